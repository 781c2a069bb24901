"""``torch.ops.aten``: rushlight's operations as operators of PyTorch's namespace."""

from functools import cache

import rushlight
from rushlight.ops.core.definition import FUNCTIONS, OPS
from rushlight.tensor import Tensor

__all__ = ["AtenOverload", "AtenPacket", "packet", "packet_of"]

#: The names of overloads in PyTorch. All of them are the one operation here.
_OVERLOADS = (
    "default", "Tensor", "Scalar", "Tensor_Scalar", "Tensor_Tensor", "int", "dim", "self", "out",
    "dim_IntList", "dim_int", "Dimname", "correction", "using_ints", "start", "start_step",
)  # fmt: skip


class AtenOverload:
    """An operation, as ``TorchDispatchMode`` is told of it.

    Args:
        call: The function that computes it.
        packet: The AtenPacket of its name.
        overload: The overload's name.
    """

    namespace = "aten"
    dispatch_rules: dict = {}

    def __init__(self, call, packet, overload):
        self._call, self._overloadpacket, self._overloadname = call, packet, overload
        self._opname = packet.__name__
        self.__name__ = f"{packet.__name__}.{overload}"
        self.__module__ = "torch.ops.aten"
        self.__doc__ = call.__doc__

    @property
    def overloadpacket(self):
        """The packet of all overloads of the name."""
        return self._overloadpacket

    def name(self):
        """The qualified name, such as ``"aten::add"``."""
        overload = "" if self._overloadname == "default" else f".{self._overloadname}"
        return f"aten::{self._opname}{overload}"

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)

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
        self.__module__ = "torch.ops.aten"
        self._qualified_op_name = f"aten::{name}"

    def overloads(self):
        """The names of the overloads."""
        return ["default"]

    def __getattr__(self, name):
        if name not in _OVERLOADS:
            raise AttributeError(f"The underlying op of '{self}' has no overload name '{name}'")
        found = AtenOverload(self._call, self, name)
        self.__dict__[name] = found
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


@cache
def packet(name):
    """Return the operation ``torch.ops.aten.<name>``, or None."""
    call = FUNCTIONS.get(name)
    if call is None:
        call = getattr(rushlight.nn.functional, name, None)
    if call is None and callable(getattr(Tensor, name, None)):
        call = getattr(Tensor, name)
    if call is None and name in OPS:
        call = OPS[name].call
    return None if call is None else AtenPacket(name, call)


@cache
def packet_of(op):
    """Return the packet that stands for an operation (an Op) in ``TorchDispatchMode``."""
    return packet(op.name) or AtenPacket(op.name, op.call)
