"""Lazy modules: they take the sizes that they were not told from their first input."""

from itertools import chain
from typing import TYPE_CHECKING, Any

from rushlight.autograd.mode import no_grad
from rushlight.nn.uninitialized import is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """For modules with uninitialized parameters: the first call initializes them.

    A subclass, of this and of a Module, defines ``initialize_parameters(*args, **kwargs)``, which
    gets forward's arguments and calls ``materialize`` on what is uninitialized. After it the module
    takes the class ``cls_to_become``, if it states one. A state dict that is loaded first settles
    the shapes as well.

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
        """Give what is uninitialized here the shape that it has in the state."""
        for name, tensor in self._own().items():
            found = state_dict.get(prefix + name)
            if found is not None and is_lazy(tensor) and not is_lazy(found):
                with no_grad():
                    tensor.materialize(found.shape)

    def initialize_parameters(self, *args, **kwargs):
        """Materialize what is uninitialized, for this input: for a subclass to define."""
        raise NotImplementedError(
            f"{type(self).__name__}: initialize_parameters is not implemented"
        )

    def has_uninitialized_params(self):
        """Whether a parameter or buffer of the module itself is uninitialized."""
        return any(is_lazy(tensor) for tensor in self._own().values())

    def _infer_parameters(self, module, args, kwargs=None):
        """The hook before the first forward."""
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
