"""Parametrizations: a parameter or buffer of a module that is computed from other tensors.

``module.weight`` becomes a property. Reading the property runs the parametrization on the original
tensors, which are kept in ``module.parametrizations.weight``.
"""

import copy
from collections.abc import Sequence
from contextlib import contextmanager

from rushlight.autograd.mode import no_grad
from rushlight.nn.modules.container import ModuleDict, ModuleList
from rushlight.nn.parameter import Parameter
from rushlight.tensor import Tensor

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization",
    "remove_parametrizations", "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]  # fmt: skip

_cached: dict = {}  # (id of a module, name) → the computed tensor
_caching = 0  # the number of ``cached()`` blocks around this point


@contextmanager
def cached():
    """Compute every parametrized tensor only once inside ``with cached():``.

    Returns:
        Context manager.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.parametrize
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> with P.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _caching
    _caching += 1
    try:
        yield
    finally:
        _caching -= 1
        if not _caching:
            _cached.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and the original tensors from which it is computed.

    The attribute ``original`` is the original tensor. If ``right_inverse`` returned several
    tensors, they are ``original0``, ``original1`` and so on.

    Args:
        modules: The parametrizations, in the order in which they run.
        original: The Parameter or buffer that is parametrized.
        unsafe: Allow a result of another shape or dtype than ``original``. Default: False.

    Raises:
        ValueError: A parametrization returns no tensor, or a tensor of the wrong shape or dtype.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> layer.parametrizations.weight
    ParametrizationList(
      (0): _WeightNorm()
    )
    """

    original: Tensor

    def __init__(self, modules, original, unsafe=False):
        if len(modules) == 0:
            raise ValueError("ParametrizationList: at least one parametrization is needed")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        made_from = self._made_from(original)
        self.is_tensor = isinstance(made_from, Tensor)
        self.ntensors = 1 if self.is_tensor else len(made_from)
        if self.is_tensor:
            if made_from.dtype != dtype:
                raise ValueError(
                    f"right_inverse gave {made_from.dtype} for an original of {dtype}; it must "
                    "keep the dtype"
                )
            _take(original, made_from)
            _register(self, "original", original)
        else:
            for i, t in enumerate(made_from):
                if isinstance(original, Parameter):
                    t = Parameter(t, original.requires_grad)
                _register(self, f"original{i}", t.requires_grad_(original.requires_grad))
        if not unsafe:
            _check("the parametrization", self(), shape, dtype)

    @no_grad()
    def _made_from(self, value):
        """Apply all right inverses to ``value``; return a tensor or a sequence of tensors."""
        for module in reversed(self):
            if hasattr(module, "right_inverse"):
                try:
                    value = module.right_inverse(value)
                except NotImplementedError:
                    break
        if isinstance(value, Tensor):
            return value
        if not isinstance(value, Sequence) or not all(isinstance(t, Tensor) for t in value):
            raise ValueError(
                f"right_inverse must return a Tensor or a sequence of Tensors, got {value!r}"
            )
        return value

    def originals(self):
        """Return the original tensors as a list."""
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self):
        """Compute the parametrized tensor."""
        first, *rest = self
        found = first(*self.originals())
        for module in rest:
            found = module(found)
        return found

    @no_grad()
    def right_inverse(self, value):
        """Assign ``value`` to the tensor: write the results of the right inverses to the originals.

        Raises:
            RuntimeError: A parametrization has no ``right_inverse``.
            ValueError: The results differ from the originals in number or dtype.
        """
        for module in reversed(self):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(
                    f"the parametrization {type(module).__name__} has no right_inverse, so its "
                    "tensor cannot be assigned to"
                )
            value = module.right_inverse(value)
        parts = [value] if self.is_tensor else value
        if not isinstance(parts, Sequence) or len(parts) != self.ntensors:
            raise ValueError(
                f"right_inverse must return a sequence of {self.ntensors} Tensors, got {parts!r}"
            )
        for i, (original, t) in enumerate(zip(self.originals(), parts, strict=True)):
            if not isinstance(t, Tensor):
                raise ValueError(
                    f"right_inverse must return Tensors, but its item {i} is a {type(t).__name__}"
                )
            if original.dtype != t.dtype:
                raise ValueError(
                    f"right_inverse gave {t.dtype} for item {i}, an original of {original.dtype}"
                )
            _take(original, t)


def _take(tensor, value):
    """Give ``tensor`` the values and the memory of ``value``.

    ``tensor`` stays the same object, because optimizers may hold it.
    """
    if tensor is not value:
        tensor.data = value.detach()


def _register(module, name, tensor):
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _check(what, found, shape, dtype):
    """Raise ValueError unless ``found`` is a tensor of the given shape and dtype."""
    if not isinstance(found, Tensor):
        raise ValueError(f"{what} must return a Tensor, got {type(found).__name__}")
    if found.dtype != dtype or found.shape != shape:
        raise ValueError(
            f"{what} must keep shape and dtype: it made {tuple(found.shape)} of {found.dtype} from "
            f"{tuple(shape)} of {dtype}; pass unsafe=True if that is meant"
        )


# The class of a parametrized module -------------------------------------------------------


def _property(name):
    def get(self):
        if not _caching:
            return self.parametrizations[name]()
        key = id(self), name
        if key not in _cached:
            _cached[key] = self.parametrizations[name]()
        return _cached[key]

    def put(self, value):
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _getstate(self):
    raise RuntimeError(
        f"{type(self).__name__}: a parametrized module cannot be pickled, only its state_dict(); "
        "see torch.nn.utils.parametrize.remove_parametrizations"
    )


def _deepcopy(self, memo):
    replica = self.__new__(type(self))
    memo[id(self)] = replica
    replica.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return replica


def _dress(module):
    """Replace the class of ``module`` by a subclass with a property for each parametrized tensor.

    If no tensor is parametrized any more, give the module its own class back.
    """
    cls, names = type_before_parametrizations(module), list(module.parametrizations)
    if not names:
        del module.parametrizations
        module.__class__ = cls
        return
    members = {"__getstate__": _getstate, "_parametrizes": True}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = _deepcopy
    members.update({name: _property(name) for name in names})
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def type_before_parametrizations(module):
    """Return the class that ``module`` had before it was parametrized.

    Args:
        module: Any module.

    Returns:
        The class; for a module that is not parametrized, its class.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> torch.nn.utils.parametrize.type_before_parametrizations(layer) is torch.nn.Linear
    True
    """
    cls = type(module)
    return cls.__bases__[0] if "_parametrizes" in vars(cls) else cls


def is_parametrized(module, tensor_name=None):
    """Return whether a tensor of ``module`` is parametrized.

    Args:
        module: Any module.
        tensor_name: Name of the tensor in ``module``. Default: None, any tensor.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.nn.utils.parametrize.is_parametrized(torch.nn.Linear(2, 2), "weight")
    False
    """
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


# Registration -----------------------------------------------------------------------------


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Parametrize a tensor of ``module``: another module computes it from now on.

    A second registration adds a parametrization that runs after the first.

    Args:
        module: The module that has the tensor. It gets a new class.
        tensor_name: Name of a parameter or buffer in ``module``.
        parametrization: The module that computes the tensor from the original tensors. If it has a
            method ``right_inverse(tensor)``, the method computes the original tensors from the
            present value, and the parametrized tensor can be assigned to. The method may return
            several tensors.
        unsafe: Allow the parametrization to change the tensor's shape or dtype. Default: False.

    Returns:
        ``module``.

    Raises:
        ValueError: There is no such parameter or buffer, or the parametrization changes its shape
            or dtype and ``unsafe`` is False.

    >>> import rushlight as torch
    >>> class Symmetric(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> P = torch.nn.utils.parametrize
    >>> layer = P.register_parametrization(torch.nn.Linear(2, 2), "weight", Symmetric())
    >>> torch.equal(layer.weight, layer.weight.T), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        present = module.parametrizations[tensor_name]
        if not unsafe:
            _check_on_top(parametrization, getattr(module, tensor_name))
        present.append(parametrization)
        present.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        made = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.parametrizations = ModuleDict()
        # ``_dress`` then adds the property.
        module.parametrizations[tensor_name] = made
        _dress(module)
    else:
        raise ValueError(
            f"register_parametrization: Module '{module}' does not have a parameter, a buffer, or "
            f"a parametrized element with name '{tensor_name}'"
        )
    return module


@no_grad()
def _check_on_top(parametrization, value):
    """Raise ValueError if ``parametrization``, or its right inverse, changes shape or dtype."""
    found = parametrization(value)
    _check("the parametrization", found, value.shape, value.dtype)
    if hasattr(parametrization, "right_inverse"):
        try:
            back = parametrization.right_inverse(found)
        except NotImplementedError:
            return
        _check("right_inverse", back, value.shape, value.dtype)


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Make a parametrized tensor of ``module`` a parameter or buffer again.

    Args:
        module: The module that has the tensor. It gets its own class back if no tensor of it is
            parametrized any more.
        tensor_name: Name of the tensor in ``module``.
        leave_parametrized: Give the tensor its computed value. False: give it the original value.
            Default: True.

    Returns:
        ``module``.

    Raises:
        ValueError: The tensor is not parametrized, or ``leave_parametrized`` is False and there are
            several original tensors.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> layer = torch.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"remove_parametrizations: Module {module} does not have a parametrization on "
            f"{tensor_name}"
        )
    present = module.parametrizations[tensor_name]
    original = present.original if present.is_tensor else present.original0
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
        if present.is_tensor:
            _take(original, value)
        elif isinstance(original, Parameter):
            original = Parameter(value.detach(), original.requires_grad)
        else:
            original = value.detach()
    elif not present.is_tensor:
        raise ValueError(
            "remove_parametrizations: leave_parametrized=False cannot leave a tensor that is "
            "computed from several"
        )
    del module.parametrizations[tensor_name]
    _dress(module)
    _register(module, tensor_name, original)
    return module


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Give ``to_module`` the parametrizations of ``from_module``, and the same original tensors.

    Args:
        from_module: The parametrized module.
        to_module: The module that is changed. It stays as it is if ``from_module`` is not
            parametrized.
        tensor_name: Name of the only tensor that is parametrized. Default: None, all tensors that
            are parametrized in ``from_module``.

    Returns:
        ``to_module``.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.parametrize
    >>> a = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    >>> b = P.transfer_parametrizations_and_params(a, torch.nn.Linear(2, 2))
    >>> torch.equal(a.weight, b.weight)
    True
    """
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        target = to_module.parametrizations[name]
        for key in source.state_dict(keep_vars=True):
            if key.startswith("original"):
                setattr(target, key, getattr(source, key))
    return to_module
