"""Translate elementwise operations into ONNX nodes.

If ONNX has an operator for an operation, this operator is used. Otherwise the operation's own
``forward`` is run. A forward calls NumPy's functions through its argument ``xp``. Here ``xp`` is a
Namespace and the operands are Values, so each call appends an ONNX node. The compiler uses the same
method to append instructions. So elementwise operations need no rules of their own.
"""

import numpy as np

from rushlight.dtype import bfloat16, float16
from rushlight.errors import DtypeError
from rushlight.export.sizes import Size, Unknown
from rushlight.onnx.errors import UnsupportedOperatorError

__all__ = ["elementwise"]

#: Operation name → the ONNX operator that computes the same, without parameters.
NAMED = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin", "asinh": "Asinh",
    "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "div": "Div",
    "eq": "Equal", "erf": "Erf", "exp": "Exp", "floor": "Floor", "ge": "GreaterOrEqual",
    "gt": "Greater", "hardswish": "HardSwish", "le": "LessOrEqual", "log": "Log", "lt": "Less",
    "maximum": "Max", "minimum": "Min", "mish": "Mish", "mul": "Mul", "neg": "Neg", "pow": "Pow",
    "pow_number": "Pow", "prelu_kernel": "PRelu", "reciprocal": "Reciprocal", "relu": "Relu",
    "round": "Round", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "sqrt": "Sqrt", "sub": "Sub", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
_HALF = (float16.numpy, bfloat16.numpy)
_BOOL = np.dtype(bool)
_FLOAT, _BYTE = np.dtype(np.float32), np.dtype(np.uint8)


def elementwise(b, e):
    """Append the nodes of an elementwise equation; return the name of the result."""
    out = e.outs[0].dtype
    if e.op.name == "where":
        condition, *pair = e.ins
        kind = _BYTE if out == _BOOL else out  # onnxruntime chooses among no truth values
        chosen = [_named(b, _operand(b, x, kind), kind) for x in pair]
        found = b.node("Where", _operand(b, condition, _BOOL).name, *chosen)
        return Value(b, found, kind).cast(out).name
    try:
        dtype = e.op.dtype([_example(x) for x in e.raw.ins]).numpy
        dtype = _FLOAT if dtype in _HALF else dtype
        ins = [_operand(b, x, dtype) for x in e.ins]
        if e.op.name in NAMED and dtype.kind in "fiu" and dtype.itemsize > 2:
            found = Value(b, b.node(NAMED[e.op.name], *[_named(b, x, dtype) for x in ins]), dtype)
            return found.cast(out).name if out.kind != "b" else found.name
        params = {k: _operand(b, v, dtype) for k, v in e.params.items()}
        found = e.op.forward(Namespace(b), *ins, **params)
    except (NoForm, DtypeError, TypeError) as error:
        raise UnsupportedOperatorError(
            f"torch.onnx.export: no rule for the operation {e.op.name}: {error} ({e.raw!r})"
        ) from None
    return lift(b, found, dtype).cast(out).name


def _example(x):
    return np.ones((1,) * min(len(x.shape), 1), x.dtype) if hasattr(x, "id") else x


def _operand(b, x, dtype):
    """Convert an operand to a Value in ``dtype``. Plain numbers stay numbers; Sizes do not."""
    if hasattr(x, "id"):
        return Value(b, b.name(x), x.dtype).cast(dtype)
    return Value(b, b.number(x, dtype), dtype) if isinstance(x, (Size, Unknown)) else x


def _named(b, x, dtype):
    return lift(b, x, dtype).cast(dtype).name


class NoForm(TypeError):
    """A forward uses a function or a check of values that has no form in ONNX."""


def lift(b, x, dtype):
    """Make a Value of a number, in ``dtype``, or in float32 if ``dtype`` cannot hold a float."""
    if isinstance(x, Value):
        return x
    if isinstance(x, float) and dtype.kind not in "f":
        dtype = _FLOAT
    return Value(b, b.number(x, dtype), dtype)


def _pair(b, x, y):
    """Convert two operands to Values of their common dtype; a number takes the other's dtype."""
    like = next((v.dtype for v in (x, y) if isinstance(v, Value)), _FLOAT)
    x, y = lift(b, x, like), lift(b, y, like)
    dtype = np.result_type(x.dtype, y.dtype)
    return x.cast(dtype), y.cast(dtype), dtype


def _binary(kind, logical=None):
    def operate(self, other):
        x, y, dtype = _pair(self.b, self, other)
        name = kind if dtype.kind != "b" or logical is None else logical
        return Value(self.b, self.b.node(name, x.name, y.name), dtype)

    return operate


def _reflected(kind):
    def operate(self, other):
        y, x, dtype = _pair(self.b, self, other)
        return Value(self.b, self.b.node(kind, x.name, y.name), dtype)

    return operate


def _comparison(kind):
    def compare(self, other):
        x, y, dtype = _pair(self.b, self, other)
        if dtype == _BOOL and kind != "Equal":  # ONNX orders no truth values
            x, y = x.cast(_BYTE), y.cast(_BYTE)
        return Value(self.b, self.b.node(kind, x.name, y.name), _BOOL)

    return compare


class Value:
    """A value of the ONNX graph. Python's operators on Values append nodes."""

    def __init__(self, b, name, dtype):
        self.b, self.name, self.dtype = b, name, dtype

    __add__, __radd__ = _binary("Add"), _reflected("Add")
    __sub__, __rsub__ = _binary("Sub"), _reflected("Sub")
    __mul__, __rmul__ = _binary("Mul", "And"), _reflected("Mul")
    __pow__, __rpow__ = _binary("Pow"), _reflected("Pow")
    __and__ = __rand__ = _binary("BitwiseAnd", "And")
    __or__ = __ror__ = _binary("BitwiseOr", "Or")
    __xor__ = __rxor__ = _binary("BitwiseXor", "Xor")
    __lt__, __le__ = _comparison("Less"), _comparison("LessOrEqual")
    __gt__, __ge__ = _comparison("Greater"), _comparison("GreaterOrEqual")
    __eq__ = _comparison("Equal")
    __hash__ = object.__hash__

    def __ne__(self, other):
        return ~(self == other)

    def __truediv__(self, other):
        return _binary("Div")(self._floating(), other)

    def __rtruediv__(self, other):
        return _reflected("Div")(self._floating(), other)

    def __neg__(self):
        return self.apply("Neg")

    def __invert__(self):
        return self.apply("Not" if self.dtype.kind == "b" else "BitwiseNot")

    def __abs__(self):
        return self.apply("Abs")

    def __bool__(self):
        raise NoForm("it looks at values")

    def _floating(self):
        return self if self.dtype.kind == "f" else self.cast(_FLOAT)

    def apply(self, kind):
        """Append a node of this kind with this Value as its only input; return its output."""
        return Value(self.b, self.b.node(kind, self.name), self.dtype)

    @property
    def real(self):
        """This Value itself, because Values are never complex."""
        return self

    def cast(self, dtype):
        """Convert this Value to another dtype."""
        dtype = np.dtype(dtype)
        same = self.dtype == dtype
        return self if same else Value(self.b, self.b.cast(self.name, dtype), dtype)

    astype = cast


def _unary(kind):
    def call(self, x):
        return lift(self.b, x, _FLOAT)._floating().apply(kind)

    return call


class Namespace:
    """NumPy's functions for Values: a forward calls them as ``xp``."""

    inf, nan, pi, e = np.inf, np.nan, np.pi, np.e
    float32, float64, int64 = np.float32, np.float64, np.int64

    def __init__(self, b):
        self.b = b

    def __getattr__(self, name):
        raise NoForm(f"{name} has no form in ONNX")

    exp, log, sqrt, erf = _unary("Exp"), _unary("Log"), _unary("Sqrt"), _unary("Erf")
    sin, cos, tan, tanh = _unary("Sin"), _unary("Cos"), _unary("Tan"), _unary("Tanh")
    sinh, cosh, arctan = _unary("Sinh"), _unary("Cosh"), _unary("Atan")
    arcsin, arccos = _unary("Asin"), _unary("Acos")
    arcsinh, arccosh, arctanh = _unary("Asinh"), _unary("Acosh"), _unary("Atanh")
    floor, ceil, rint, round = _unary("Floor"), _unary("Ceil"), _unary("Round"), _unary("Round")

    def expm1(self, x):
        return self.exp(x) - 1

    def log1p(self, x):
        return self.log(x + 1)

    def log2(self, x):
        return self.log(x) * (1 / np.log(2))

    def log10(self, x):
        return self.log(x) * (1 / np.log(10))

    def exp2(self, x):
        return self.exp(x * np.log(2))

    def logaddexp(self, x, y):
        return self.maximum(x, y) + self.log1p(self.exp(-abs(x - y)))

    def square(self, x):
        return x * x

    def reciprocal(self, x):
        return 1 / x

    def abs(self, x):
        return abs(lift(self.b, x, _FLOAT))

    def negative(self, x):
        return -x

    def sign(self, x):
        return x.apply("Sign")

    def trunc(self, x):
        return self.sign(x) * self.floor(abs(x))

    def add(self, x, y):
        return lift(self.b, x, _FLOAT) + y

    def subtract(self, x, y):
        return lift(self.b, x, _FLOAT) - y

    def multiply(self, x, y):
        return lift(self.b, x, _FLOAT) * y

    def true_divide(self, x, y):
        return lift(self.b, x, _FLOAT) / y

    divide = true_divide

    def floor_divide(self, x, y):
        x, y, dtype = _pair(self.b, x, y)
        return self.floor(x / y) if dtype.kind == "f" else self._whole(x, y, dtype)

    def _whole(self, x, y, dtype):
        """Divide integers, rounding down: ONNX's Div rounds towards 0, and is corrected."""
        quotient = Value(self.b, self.b.node("Div", x.name, y.name), dtype)
        rest = x - quotient * y
        return quotient - ((rest != 0) & ((rest < 0) ^ (y < 0))).cast(dtype)

    def mod(self, x, y):
        return x - self.floor_divide(x, y) * y

    remainder = mod

    def fmax(self, x, y):
        return self.where((x >= y) | (y != y), x, y)

    def fmin(self, x, y):
        return self.where((x <= y) | (y != y), x, y)

    def fmod(self, x, y):
        x, y, dtype = _pair(self.b, x, y)
        return Value(self.b, self.b.node("Mod", x.name, y.name, fmod=1), dtype)

    def power(self, x, y):
        return lift(self.b, x, _FLOAT) ** y

    def hypot(self, x, y):
        return self.sqrt(x * x + y * y)

    def _two(self, kind, x, y):
        x, y, dtype = _pair(self.b, x, y)
        return Value(self.b, self.b.node(kind, x.name, y.name), dtype)

    def maximum(self, x, y):
        return self._two("Max", x, y)

    def minimum(self, x, y):
        return self._two("Min", x, y)

    def where(self, condition, x, y):
        x, y, dtype = _pair(self.b, x, y)
        condition = lift(self.b, condition, _BOOL).cast(_BOOL)
        kind = _BYTE if dtype == _BOOL else dtype  # onnxruntime chooses among no truth values
        x, y = x.cast(kind), y.cast(kind)
        found = self.b.node("Where", condition.name, x.name, y.name)
        return Value(self.b, found, kind).cast(dtype)

    def isnan(self, x):
        return Value(self.b, self.b.node("IsNaN", x.name), _BOOL)

    def isinf(self, x):
        return Value(self.b, self.b.node("IsInf", x.name), _BOOL)

    def isfinite(self, x):
        return ~(self.isnan(x) | self.isinf(x))

    def logical_not(self, x):
        return ~lift(self.b, x, _BOOL).cast(_BOOL)

    def logical_and(self, x, y):
        return lift(self.b, x, _BOOL).cast(_BOOL) & lift(self.b, y, _BOOL).cast(_BOOL)

    def logical_or(self, x, y):
        return lift(self.b, x, _BOOL).cast(_BOOL) | lift(self.b, y, _BOOL).cast(_BOOL)

    def logical_xor(self, x, y):
        return lift(self.b, x, _BOOL).cast(_BOOL) ^ lift(self.b, y, _BOOL).cast(_BOOL)

    def any(self, x):
        return True  # a forward skips work that no element needs; the file always does it
