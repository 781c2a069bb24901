"""``torch.ops.aten``: rushlight's operations as operators of PyTorch's namespace."""

import inspect
from functools import cache

import rushlight
from rushlight import late
from rushlight.autograd import mode
from rushlight.ops.core.definition import FUNCTIONS, OPS
from rushlight.ops.core.dispatch import apply
from rushlight.tensor import Tensor

__all__ = ["AtenOverload", "AtenPacket", "overload_of", "packet"]

#: The names of overloads in PyTorch. All of them are one object here.
_OVERLOADS = (
    "default", "Tensor", "Scalar", "Tensor_Scalar", "Tensor_Tensor", "int", "dim", "self", "out",
    "dim_IntList", "dim_int", "Dimname", "correction", "using_ints", "start", "start_step",
    "stable", "dtype", "device", "other", "dtype_layout", "low", "self_int", "two", "List",
    "ScalarList",
)  # fmt: skip
#: The overloads of operations on lists whose second operand is a number, a list or a tensor.
_FOREACH = {
    f"_foreach_{name}": ["Scalar", "List", "ScalarList", *more.split()]
    for name, more in {
        "add": "Tensor", "mul": "Tensor", "div": "Tensor", "sub": "", "clamp_max": "",
        "clamp_min": "", "maximum": "", "minimum": "", "pow": "",
    }.items()
}  # fmt: skip


class AtenOverload:
    """An operation, as ``TorchDispatchMode`` is told of it.

    Args:
        call: The function that computes it.
        packet: The AtenPacket of its name.
        overload: The overload's name.
        op: The operation (an Op). Default: that of ``call``.
    """

    namespace = "aten"
    dispatch_rules: dict = {}

    def __init__(self, call, packet, overload, op=None):
        self._call, self._overloadpacket, self._overloadname = call, packet, overload
        if op is None and not hasattr(call, "is_in_place"):
            op = getattr(call, "op", None)
        self._set_op(op)
        self._opname = packet.__name__
        self.__name__ = f"{packet.__name__}.{overload}"
        self.__module__ = "torch._ops.aten"
        self.__doc__ = getattr(call, "__doc__", None)

    def _set_op(self, op):
        self.op = op
        self._required = frozenset() if op is None else frozenset(op.required)
        self._known = frozenset() if op is None else frozenset(op.params)

    @property
    def overloadpacket(self):
        """The packet of all overloads of the name."""
        return self._overloadpacket

    def name(self):
        """The qualified name, such as ``"aten::add"``."""
        overload = "" if self._overloadname == "default" else f".{self._overloadname}"
        return f"aten::{self._opname}{overload}"

    def __call__(self, *args, **kwargs):
        if mode.intercept and not mode.state.handlers:
            return late.handlers().on_memory(self._compute, args, kwargs)
        return self._compute(*args, **kwargs)

    def _compute(self, *args, **kwargs):
        op = self.op
        own = op is not None and len(args) == len(op.inputs)
        if own and self._required <= kwargs.keys() <= self._known:
            return _run(op, args, kwargs)
        return self._call(*args, **kwargs)

    def __eq__(self, other):
        if not isinstance(other, AtenOverload):
            return NotImplemented
        return self._overloadpacket is other._overloadpacket

    def __hash__(self):
        return hash(self._opname)

    def __str__(self):
        return f"aten.{self.__name__}"

    def __repr__(self):
        return f"<OpOverload(op='aten.{self._opname}', overload='{self._overloadname}')>"

    def __reduce__(self):
        return getattr, (self._overloadpacket, self._overloadname)

    def __deepcopy__(self, memo):
        return self


class AtenPacket:
    """An operation of ``torch.ops.aten``.

    Args:
        name: The operation's name.
        call: The function that computes it.
    """

    namespace = "aten"

    def __init__(self, name, call):
        self.__name__, self._call = name, call
        self.__module__ = "torch._ops.aten"
        self._default = None
        self._qualified_op_name = f"aten::{name}"

    def overloads(self):
        """The names of the overloads."""
        return _FOREACH.get(self.__name__.removesuffix("_"), ["default"])

    def __getattr__(self, name):
        if name not in _OVERLOADS:
            raise AttributeError(f"The underlying op of '{self}' has no overload name '{name}'")
        found = self.__dict__["_default"]
        if found is None:
            found = self.__dict__["_default"] = AtenOverload(self._call, self, "default")
        return found

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)

    def __str__(self):
        return f"aten.{self.__name__}"

    def __repr__(self):
        return f"<OpOverloadPacket(op='{self}')>"

    def __reduce__(self):
        return packet, (self.__name__,)

    def __deepcopy__(self, memo):
        return self


def _to_copy(self, *, dtype=None, non_blocking=False, memory_format=None, **options):
    options.pop("pin_memory", None), options.pop("layout", None)
    format = rushlight.preserve_format if memory_format is None else memory_format
    return self.to(**options, dtype=dtype or self.dtype, copy=True, memory_format=format)


def _slice(self, dim=0, start=None, end=None, step=1):
    index = [slice(None)] * self.ndim
    index[dim] = slice(start, end, step)
    return self[tuple(index)]


def _sparse_addmm(*args, **options):
    return rushlight.sparse.addmm(*args, **options)


#: Operators that Tensor has under another name, or only in the form of a subscript.
_UNNAMED: dict = {
    "_to_copy": _to_copy,
    "slice": _slice,
    "index": lambda self, indices: self[tuple([slice(None) if i is None else i for i in indices])],
    "_local_scalar_dense": lambda self: self.item(),
    "alias": lambda self: self.view_as(self),
    "_pin_memory": lambda self, device=None: self.pin_memory(),
    "_sparse_addmm": _sparse_addmm,
    "sym_size": lambda self, dim=None: self.size(dim),
    "sym_numel": lambda self: self.numel(),
}


@cache
def packet(name):
    """Return the operation ``torch.ops.aten.<name>``, or None."""
    call = FUNCTIONS.get(name) or _UNNAMED.get(name)
    if call is None:
        call = getattr(rushlight.nn.functional, name, None)
    if call is None and callable(getattr(Tensor, name, None)):
        call = getattr(Tensor, name)
    if call is None and name in OPS:
        call = OPS[name].call
    if call is None and name.startswith("_") and callable(getattr(rushlight, name, None)):
        call = getattr(rushlight, name)  # such as _foreach_add_ and _local_scalar_dense
    return None if call is None else AtenPacket(name, call)


@cache
def overload_of(op):
    """Return what stands for an operation (an Op) in ``TorchDispatchMode``."""
    name = op.name.removesuffix("_number")
    home = packet(name) or AtenPacket(name, op.call)
    if name != op.name:  # the form of the operation whose second operand is a number
        return AtenOverload(op.call, home, "Scalar", op)
    if home.default.op is not op:
        home.default._set_op(op)
    return home.default


def _run(op, args, params):
    """Run an operation on its own operands and parameters."""
    missing = {k: v for k, v in op.defaults.items() if k not in params and k in _accepted(op)}
    if "memo" in missing:  # a list for values that gradient rules reuse
        missing["memo"] = []
    return apply(op, args, missing | params)


@cache
def _accepted(op):
    """The parameters that a call of an operation may state; ``prepare`` may add others."""
    if op.prepare is None:
        return frozenset(op.params)
    found = inspect.signature(op.prepare).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in found):
        return frozenset(op.params)
    return frozenset([p.name for p in found])
