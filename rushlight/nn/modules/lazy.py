"""Lazy modules: they take the sizes that were not given to them from their first input."""

from itertools import chain
from typing import TYPE_CHECKING, Any

from rushlight.autograd.mode import no_grad
from rushlight.nn.uninitialized import is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """Mixin for modules with uninitialized parameters: the first call initializes the parameters.

    A subclass inherits from this class and from a Module. The subclass defines
    ``initialize_parameters(*args, **kwargs)``, which gets forward's arguments and calls
    ``materialize`` on the uninitialized parameters and buffers. Afterwards the module's class
    changes to ``cls_to_become``, unless that is None. If a state dict is loaded before the first
    call, the parameters take their shapes from the state dict.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.ReLU(), torch.nn.LazyLinear(1))
    >>> net(torch.ones(2, 3)).shape, net[0]
    (torch.Size([2, 1]), Linear(in_features=3, out_features=4, bias=True))
    """

    cls_to_become: type | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(
            self._infer_parameters, with_kwargs=True
        )

    def _own(self):
        """The module's own parameters and buffers, by name."""
        pairs = chain(self._parameters.items(), self._buffers.items())
        return {name: tensor for name, tensor in pairs if tensor is not None}

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        for name, tensor in self._own().items():
            if name not in self._non_persistent_buffers_set:
                kept = keep_vars or is_lazy(tensor)
                destination[prefix + name] = tensor if kept else tensor.detach()

    def _lazy_load_hook(self, state_dict, prefix, *_):
        """Give uninitialized parameters and buffers the shapes that they have in ``state_dict``."""
        for name, tensor in self._own().items():
            found = state_dict.get(prefix + name)
            if found is not None and is_lazy(tensor) and not is_lazy(found):
                with no_grad():
                    tensor.materialize(found.shape)

    def initialize_parameters(self, *args, **kwargs):
        """Materialize the uninitialized parameters for this input. A subclass defines this."""
        raise NotImplementedError(
            f"{type(self).__name__}: initialize_parameters is not implemented"
        )

    def has_uninitialized_params(self):
        """Whether a parameter or buffer of the module itself is uninitialized."""
        return any(is_lazy(tensor) for tensor in self._own().values())

    def _infer_parameters(self, module, args, kwargs=None):
        """Initialize the parameters. This hook runs before the first forward only."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(
                f"{module._get_name()}: initialize_parameters left parameters uninitialized"
            )
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become
