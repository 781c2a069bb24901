"""Values of a kernel that is being written: Python's operators on them append LLVM instructions.

A ``Value`` is one number, or a vector of numbers (its *lanes*), of a NumPy dtype. bool is ``i1`` in
registers and a byte in memory. float16 and bfloat16 exist in memory only: a load gives float32, and
a store rounds to nearest, ties to even.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir

from rushlight.compiler.ir.abstract import HALF

__all__ = [
    "Unsupported", "Value", "computed", "constant", "intrinsic", "ir_type", "lane_numbers", "lift",
    "pair", "select", "splat", "vector_type",
]  # fmt: skip

BOOL = np.dtype(bool)
FLOAT = np.dtype(np.float32)
INT = np.dtype(np.int64)


def computed(dtype):
    """The dtype in which kernels compute with ``dtype``: float32 for half precision."""
    return FLOAT if dtype in HALF else dtype


class Unsupported(TypeError):
    """A forward used an operation that a kernel can't do on Values."""


def ir_type(dtype, lanes=1):
    """The LLVM type of ``lanes`` values of ``dtype`` in registers."""
    if dtype.kind == "f" or dtype in HALF:
        element: Any = ir.DoubleType() if dtype.itemsize == 8 else ir.FloatType()
    elif dtype.kind in "iu":
        element = ir.IntType(dtype.itemsize * 8)
    elif dtype.kind == "b":
        element = ir.IntType(1)
    else:
        raise Unsupported(f"no kernel computes with {dtype}")
    return element if lanes == 1 else vector_type(element, lanes)


# llvmlite keeps the text of a type and of a constant in the object, so equal ones are one object.
# Otherwise the texts of vectors took a third of the time of writing a module down.
@lru_cache(maxsize=1024)
def vector_type(element, lanes):
    """The LLVM type of ``lanes`` values of the LLVM type ``element``."""
    return ir.VectorType(element, lanes)


@lru_cache(maxsize=1024)
def _lane_numbers(numbers):
    return ir.Constant(vector_type(ir.IntType(32), len(numbers)), numbers)


def lane_numbers(numbers):
    """A constant vector of i32, such as the lanes that a shuffle picks."""
    return _lane_numbers(tuple([int(n) for n in numbers]))


def intrinsic(b, name, result, args):
    """Call the LLVM function ``name``, declaring it in the module when first used."""
    module = b.module
    found = module.globals.get(name)
    if found is None:
        found = ir.Function(module, ir.FunctionType(result, [a.type for a in args]), name)
    return b.call(found, args)


def suffix(typ):
    """How LLVM's overloaded functions name a type: ``v16f32``."""
    if isinstance(typ, ir.VectorType):
        return f"v{typ.count}{suffix(typ.element)}"
    if isinstance(typ, ir.PointerType):
        return "p0"
    return f"i{typ.width}" if isinstance(typ, ir.IntType) else typ.intrinsic_name


class _Splat(ir.Constant):
    """A vector constant of equal elements; spelling them all out would slow LLVM's parser."""

    def __init__(self, element, lanes):
        self.type = vector_type(element.type, lanes)
        self.constant = element

    def _get_reference(self):
        return f"splat ({self.constant.type} {self.constant.get_reference()})"


def constant(b, number, dtype, lanes=1):
    """``number`` in ``dtype``, wrapped around if it is an integer that does not fit."""
    dtype = computed(dtype)
    with np.errstate(all="ignore"):
        python = np.asarray(number).astype(dtype).item()
    element = ir.Constant(ir_type(dtype), python)
    return Value(b, element if lanes == 1 else _Splat(element, lanes), dtype)


def splat(value, lanes):
    """A 1-lane value repeated in ``lanes`` lanes; a vector of ``lanes`` lanes is left as it is."""
    if value.lanes == lanes:
        return value
    if value.lanes != 1:
        raise Unsupported(f"cannot make {lanes} lanes of {value.lanes}")
    b, v = value.b, value.v
    if isinstance(v, ir.Constant):
        return Value(b, _Splat(v, lanes), value.dtype)
    typ = vector_type(v.type, lanes)
    first = b.insert_element(ir.Constant(typ, ir.Undefined), v, ir.IntType(32)(0))
    zeros = ir.Constant(vector_type(ir.IntType(32), lanes), None)
    return Value(b, b.shuffle_vector(first, ir.Constant(typ, ir.Undefined), zeros), value.dtype)


def lift(b, x):
    """``x`` as a Value: Python's numbers get NumPy's dtype for them."""
    return x if isinstance(x, Value) else constant(b, x, np.asarray(x).dtype)


def _weak(x):
    """The operand for ``np.result_type``: a dtype, or a Python number as it is.

    Python's numbers only raise the kind of the common dtype (NEP 50).
    """
    return x if type(x) in (bool, int, float) else x.dtype


def common(*operands):
    """The dtype that NumPy computes in for these Values, numbers and NumPy scalars."""
    try:
        found = np.result_type(*[_weak(x) for x in operands])
    except (TypeError, AttributeError):
        raise Unsupported(f"no common dtype of {operands}") from None
    ir_type(found)  # raises for a dtype that no kernel computes with
    return found


def aligned(b, operands, dtype):
    """The operands as Values of one dtype and one number of lanes."""
    lanes = max([x.lanes for x in operands if isinstance(x, Value)], default=1)
    return [
        splat(x.astype(dtype), lanes) if isinstance(x, Value) else constant(b, x, dtype, lanes)
        for x in operands
    ]


def pair(b, x, y):
    """Two operands brought to their common dtype and number of lanes."""
    return aligned(b, (x, y), common(x, y))


# Operators --------------------------------------------------------------------------------


def _arithmetic(floating, integer, logical=None):
    """(operator, reflected operator) from the names of the builder's methods for each kind.

    None: the operator is not defined for this kind.
    """

    def operate(self, other):
        x, y = pair(self.b, self, other)
        kind = x.dtype.kind
        name = floating if kind == "f" else integer if kind in "iu" else logical
        if name is None:
            raise Unsupported(f"operator not defined for {x.dtype}")
        return Value(x.b, getattr(x.b, name)(x.v, y.v), x.dtype)

    def reflected(self, other):
        return operate(lift_like(self, other), self)

    return operate, reflected


def lift_like(value, other):
    """``other``, the left operand of ``value``, in the dtype that both compute in."""
    return other if isinstance(other, Value) else constant(value.b, other, common(value, other))


def _comparison(sign):
    def compare(self, other):
        x, y = pair(self.b, self, other)
        b, kind = x.b, x.dtype.kind
        if kind == "f":
            by = b.fcmp_unordered if sign == "!=" else b.fcmp_ordered
        else:
            by = b.icmp_signed if kind == "i" else b.icmp_unsigned
        return Value(b, by(sign, x.v, y.v), BOOL)

    return compare


def _shift(signed, unsigned):
    def shift(self, other):
        x, y = pair(self.b, self, other)
        if x.dtype.kind not in "iu":
            raise Unsupported(f"{x.dtype} has no shift")
        return Value(x.b, getattr(x.b, signed if x.dtype.kind == "i" else unsigned)(x.v, y.v),
                     x.dtype)  # fmt: skip

    return shift, lambda self, other: shift(lift_like(self, other), self)


class Value:
    """A number, or a vector of them, that exists when the kernel runs.

    Attributes:
        b: The builder that appends instructions.
        v: The llvmlite value.
        dtype: Its NumPy dtype.
        lanes: How many numbers it holds.
        mask: The bool Value that it was converted from, or None. ``where`` takes its condition in
            the dtype of the result, and this spares the conversion back.
    """

    __slots__ = ("b", "dtype", "mask", "v")
    __array_ufunc__ = None  # for an operator of a NumPy scalar and a Value, Value's is called

    def __init__(self, b, v, dtype, mask=None):
        self.b, self.v, self.dtype, self.mask = b, v, dtype, mask

    def __repr__(self):
        return f"Value({self.v.type}, {self.dtype})"

    @property
    def lanes(self):
        return self.v.type.count if isinstance(self.v.type, ir.VectorType) else 1

    def __bool__(self):
        raise Unsupported("the truth of a Value is not known while its kernel is written")

    def __hash__(self):  # such as to look it up in a table of numbers
        raise Unsupported("a Value is not known while its kernel is written")

    def __float__(self):
        raise Unsupported("a Value is not known while its kernel is written")

    __int__ = __float__

    __add__, __radd__ = _arithmetic("fadd", "add", "or_")
    __sub__, __rsub__ = _arithmetic("fsub", "sub")
    __mul__, __rmul__ = _arithmetic("fmul", "mul", "and_")
    __and__, __rand__ = _arithmetic(None, "and_", "and_")
    __or__, __ror__ = _arithmetic(None, "or_", "or_")
    __xor__, __rxor__ = _arithmetic(None, "xor", "xor")
    __lshift__, __rlshift__ = _shift("shl", "shl")
    __rshift__, __rrshift__ = _shift("ashr", "lshr")
    __eq__, __ne__ = _comparison("=="), _comparison("!=")
    __lt__, __le__, __gt__, __ge__ = [_comparison(sign) for sign in ("<", "<=", ">", ">=")]

    def __truediv__(self, other):
        dtype = common(self, other)
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        x, y = aligned(self.b, (self, other), dtype)
        return Value(x.b, x.b.fdiv(x.v, y.v), dtype)

    def __rtruediv__(self, other):
        return lift_like(self, other) / self

    def __pos__(self):
        return self

    def __neg__(self):
        if self.dtype.kind == "f":
            return Value(self.b, self.b.fneg(self.v), self.dtype)
        if self.dtype.kind == "b":
            raise Unsupported("bool has no negative")
        return 0 - self

    def __invert__(self):
        if self.dtype.kind == "f":
            raise Unsupported("floating-point numbers have no bits to turn")
        return self ^ True if self.dtype.kind == "b" else self ^ -1

    def __abs__(self):
        if self.dtype.kind == "f":
            return self.call("llvm.fabs")
        return self if self.dtype.kind in "ub" else select(self < 0, -self, self)

    def call(self, name, *others):
        """LLVM's overloaded function ``name`` of this value and others of its type."""
        args = [self.v, *[x.v for x in others]]
        found = intrinsic(self.b, f"{name}.{suffix(self.v.type)}", self.v.type, args)
        return Value(self.b, found, self.dtype)

    def bits(self, dtype):
        """The same bits read as ``dtype``, of the same size."""
        dtype = np.dtype(dtype)
        return Value(self.b, self.b.bitcast(self.v, ir_type(dtype, self.lanes)), dtype)

    def astype(self, dtype):
        """This value in another dtype; for a half type, a float32 with rounded numbers."""
        dtype = np.dtype(dtype)
        if dtype is self.dtype:
            return self
        if dtype in HALF:
            from rushlight.compiler.codegen.half import rounded

            return rounded(self, dtype)
        if dtype.kind == "b":
            return self != 0 if self.mask is None else self.mask
        b, typ = self.b, ir_type(dtype, self.lanes)
        found = _converted(b, self.v, self.dtype, dtype, typ)
        return Value(b, found, dtype, self if self.dtype.kind == "b" else None)


def select(condition, x, y):
    """``x`` where the bool ``condition`` holds, else ``y``: Values of one dtype."""
    lanes = max(condition.lanes, x.lanes, y.lanes)
    condition, x, y = (splat(v, lanes) for v in (condition, x, y))
    return Value(x.b, x.b.select(condition.v, x.v, y.v), x.dtype)


def _converted(b, v, source, target, typ):
    if source.kind == "f":
        if target.kind == "f":
            return (b.fpext if target.itemsize > source.itemsize else b.fptrunc)(v, typ)
        return _whole(b, v, target, typ)
    if target.kind == "f":
        return (b.sitofp if source.kind == "i" else b.uitofp)(v, typ)
    if source.kind != "b" and target.itemsize < source.itemsize:
        return b.trunc(v, typ)
    if source.kind != "b" and target.itemsize == source.itemsize:
        return v
    return (b.sext if source.kind == "i" else b.zext)(v, typ)


def _whole(b, v, target, typ):
    """A float as an integer, as C compilers convert it: to narrow types through a wider one."""
    if target.itemsize == 8:
        return (b.fptosi if target.kind == "i" else b.fptoui)(v, typ)
    wide: Any = ir.IntType(64 if target.kind == "u" and target.itemsize == 4 else 32)
    if isinstance(typ, ir.VectorType):
        wide = vector_type(wide, typ.count)
    found = b.fptosi(v, wide)
    return found if wide == typ else b.trunc(found, typ)
