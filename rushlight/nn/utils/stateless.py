"""Calls of a module with other tensors in place of its parameters and buffers."""

import warnings

from rushlight.autograd import mode
from rushlight.nn.parameter import Parameter
from rushlight.tensor import Tensor

__all__ = ["functional_call"]


def functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """The deprecated name of ``torch.func.functional_call``.

    >>> import rushlight as torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> layer = torch.nn.Linear(1, 1, bias=False)
    >>> torch.nn.utils.stateless.functional_call(layer, {"weight": torch.eye(1)}, torch.ones(1))
    tensor([1.])
    """
    warnings.warn(
        "torch.nn.utils.stateless.functional_call is deprecated; use torch.func.functional_call",
        FutureWarning,
        stacklevel=2,
    )
    return call_with(module, parameters_and_buffers, args, kwargs, tie_weights, strict)


def _functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """``functional_call`` without its warning: what PyTorch's libraries call."""
    return call_with(module, parameters_and_buffers, args, kwargs, tie_weights, strict)


def call_with(module, tensors, args, kwargs, tie_weights, strict):
    """Call ``module(*args, **kwargs)`` with ``tensors``, a dict by name, in place of its own."""
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _Swapped(module, tensors, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def _reparametrize_module(
    module, parameters_and_buffers, tie_weights=False, strict=False, stack_weights=False
):
    """PyTorch's name of the context manager, inside which ``module`` holds other tensors."""
    return _Swapped(module, parameters_and_buffers, tie_weights, strict)


class _Swapped:
    """A context manager, inside which ``module`` holds other tensors."""

    def __init__(self, module, tensors, tie_weights, strict):
        self.module = module
        self.given = tensors
        for name, tensor in tensors.items():
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"functional_call: {name!r} must be a Tensor, not {type(tensor).__name__}"
                )
        # A module that contains itself has no list of its tensors under all of their names.
        own = _own(module) if tie_weights or strict else {}
        self.tensors = _tied(own, tensors) if tie_weights else tensors
        if strict:
            _check_names(module, own, self.tensors)
        self.places = {name: _place(module, name, t) for name, t in self.tensors.items()}

    def __enter__(self):
        if recording := mode.recorder():
            recording.touch_module(self.module)  # before its tensors are replaced
        self.before = {}
        for name, (registry, key) in self.places.items():
            self.before[name] = registry.get(key, self)
            registry[key] = self.tensors[name]

    def __exit__(self, *exc):
        for name, (registry, key) in self.places.items():
            if name in self.given:  # the call may have replaced a buffer
                self.given[name] = registry[key]
            if self.before[name] is self:
                del registry[key]
            else:
                registry[key] = self.before[name]


def _own(module):
    """Return all parameters and buffers by name. A tied tensor is under each of its names."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _tied(own, tensors):
    """Return ``tensors`` with the tensor of a tied parameter under each of the tied names."""
    names: dict = {}
    for name, tensor in own.items():
        names.setdefault(id(tensor), []).append(name)
    found = dict(tensors)
    for group in names.values():
        given = [name for name in group if name in tensors]
        if len({id(tensors[name]) for name in given}) > 1:
            raise ValueError(
                f"functional_call: got multiple values for keys {given}, which are tied. Consider "
                "using tie_weights=False"
            )
        if given:
            found.update(dict.fromkeys(group, tensors[given[0]]))
    return found


def _check_names(module, own, tensors):
    unexpected = [name for name in tensors if name not in own]
    missing = [name for name in own if name not in tensors]
    if unexpected or missing:
        parts = [
            f"{what} key(s): {', '.join(map(repr, keys))}."
            for what, keys in (("Unexpected", unexpected), ("Missing", missing))
            if keys
        ]
        raise RuntimeError(
            f"functional_call: error in the tensors for {type(module).__name__}: {' '.join(parts)}"
        )


def _place(module, name, tensor):
    """Return (the dict that holds, or will hold, ``tensor`` by its ``name``, its key there)."""
    path, _, key = name.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(getattr(type(owner), key, None), property):
        raise RuntimeError(
            f"functional_call: {name!r} is computed by a parametrization; give what it is computed "
            f"from, such as {name.removesuffix(key)}parametrizations.{key}.original"
        )
    for registry in (owner._parameters, owner._buffers):
        if key in registry:
            return registry, key
    before = owner.__dict__.get(key)
    if before is not None and not isinstance(before, Tensor):
        raise TypeError(
            f"functional_call: attribute {name!r} is no Tensor, but {type(before).__name__}"
        )
    if isinstance(tensor, Parameter):
        return owner._parameters, key
    return owner.__dict__, key
