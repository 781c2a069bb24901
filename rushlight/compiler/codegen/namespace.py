"""The namespace ``xp`` of a kernel: NumPy's functions on Values, for the forwards of operations."""

import numpy as np

from rushlight.compiler.codegen.control import repeat_while, where_any
from rushlight.compiler.codegen.math import (
    division,
    error,
    exponential,
    floats,
    hyperbolic,
    trigonometry,
)
from rushlight.compiler.codegen.math.floats import choose, copysign, nextafter
from rushlight.compiler.codegen.math.power import hypot, integer_power, power
from rushlight.compiler.codegen.memory import load, maximum, minimum
from rushlight.compiler.codegen.scope import constant_array
from rushlight.compiler.codegen.value import (
    BOOL,
    INT,
    Unsupported,
    Value,
    aligned,
    common,
    constant,
    ir_type,
    lift,
    pair,
    select,
)  # fmt: skip

__all__ = ["Namespace"]

DOUBLE = np.dtype(np.float64)


class Namespace:
    """NumPy's functions, which append their instructions to the builder ``b``."""

    inf, nan, pi = np.inf, np.nan, np.pi
    float32, float64, int64, uint8 = np.float32, np.float64, np.int64, np.uint8

    def __init__(self, b):
        self.b = b

    def __getattr__(self, name):
        raise Unsupported(f"{name} has no form in a kernel")

    def any(self, x):
        """Always True, because the elements are unknown while the kernel is written.

        The forward then does for all elements what it does if some element needs it.
        """
        return True

    def polynomial(self, x, coefficients):
        """The sum of coefficients[k] · x^k, for floats."""
        return floats.horner(x, coefficients)

    def where_any(self, condition, change, x):
        """``change(x)`` if the condition holds in any lane, else ``x``."""
        return where_any(condition, [x], lambda x: [change(x)])[0]

    def repeat_while(self, condition, step, values):
        """``values`` after a loop of ``values = step(*values)``; see ``control.repeat_while``."""
        return repeat_while(condition, step, values)

    def weighted_sum(self, function, places, weights, like):
        """The sum of weight · function(place), with the lanes of ``like``, in a loop."""
        module, double = self.b.module, ir_type(DOUBLE)
        tables = [
            constant_array(module, module.get_unique_name("table"), double, t.tolist())
            for t in (places, weights)
        ]

        def step(i, total):
            entry = lambda t: self.b.gep(t, [i.v], source_etype=double)
            place, weight = [load(self.b, entry(t), DOUBLE) for t in tables]
            return i + 1, total + weight * function(place)

        start = constant(self.b, 0, INT), constant(self.b, 0, DOUBLE, like.lanes)
        return repeat_while(lambda i, total: i < len(places), step, start)[1]

    # Choice ---------------------------------------------------------------------------

    def where(self, condition, x, y):
        return select(lift(self.b, condition).astype(BOOL), *pair(self.b, x, y))

    def maximum(self, x, y):
        return maximum(*pair(self.b, x, y))

    def minimum(self, x, y):
        return minimum(*pair(self.b, x, y))

    def fmax(self, x, y):
        x, y = pair(self.b, x, y)
        return select((x >= y) | (y != y), x, y)

    def fmin(self, x, y):
        x, y = pair(self.b, x, y)
        return select((x <= y) | (y != y), x, y)

    def logical_and(self, x, y):
        return lift(self.b, x).astype(BOOL) & lift(self.b, y).astype(BOOL)

    def logical_or(self, x, y):
        return lift(self.b, x).astype(BOOL) | lift(self.b, y).astype(BOOL)

    def logical_xor(self, x, y):
        return lift(self.b, x).astype(BOOL) ^ lift(self.b, y).astype(BOOL)

    def logical_not(self, x):
        return ~lift(self.b, x).astype(BOOL)

    # The parts of a number ------------------------------------------------------------

    def abs(self, x):
        return abs(lift(self.b, x))

    def sign(self, x):
        x = lift(self.b, x)
        found = (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)
        return choose(x == x, found, x) if x.dtype.kind == "f" else found

    def signbit(self, x):
        x = lift(self.b, x)
        return x.bits(f"i{x.dtype.itemsize}") < 0 if x.dtype.kind == "f" else x < 0

    def isfinite(self, x):
        x = lift(self.b, x)
        return abs(x) < np.inf if x.dtype.kind == "f" else x == x

    def isinf(self, x):
        x = lift(self.b, x)
        return abs(x) == np.inf if x.dtype.kind == "f" else x != x

    def isreal(self, x):
        x = lift(self.b, x)
        return (x == x) | (x != x)

    def conjugate(self, x):
        return lift(self.b, x)

    # Arithmetic -----------------------------------------------------------------------

    def add(self, x, y):
        return lift(self.b, x) + y

    def multiply(self, x, y):
        return lift(self.b, x) * y

    def true_divide(self, x, y):
        return lift(self.b, x) / y

    def fma(self, x, y, z):
        """x · y + z, rounded once."""
        return floats.fma(x, y, z)

    def power(self, x, y):
        if common(x, y).kind == "f":
            return power(*pair(self.b, x, y))
        return integer_power(x, y)


def _unary(function):
    """A method for a function of one real number; integers are taken as float64, as by NumPy."""

    def method(self, x):
        x = lift(self.b, x)
        return function(x if x.dtype.kind == "f" else x.astype(DOUBLE))

    return method


def _binary(function):
    """A method for a function of two real numbers."""

    def method(self, x, y):
        dtype = common(x, y)
        return function(*aligned(self.b, (x, y), dtype if dtype.kind == "f" else DOUBLE))

    return method


def _dividing(function):
    """A method for a function of two numbers of any kind but bool."""

    def method(self, x, y):
        x, y = pair(self.b, x, y)
        if x.dtype.kind == "b":
            raise Unsupported(f"{function.__name__} of bools")
        return function(x, y)

    return method


def _rounding(name):
    """A method for LLVM's ``name``; integers are returned unchanged."""

    def method(self, x):
        x = lift(self.b, x)
        return x.call(name) if x.dtype.kind == "f" else x

    return method


_UNARY = {
    "exp": exponential.exp, "exp2": exponential.exp2, "expm1": exponential.expm1,
    "log": exponential.log, "log2": exponential.log2, "log10": exponential.log10,
    "log1p": exponential.log1p, "sin": trigonometry.sin, "cos": trigonometry.cos,
    "tan": trigonometry.tan, "arcsin": trigonometry.asin, "arccos": trigonometry.acos,
    "arctan": trigonometry.atan, "sinc": trigonometry.sinc, "sinh": hyperbolic.sinh,
    "cosh": hyperbolic.cosh, "tanh": hyperbolic.tanh, "arcsinh": hyperbolic.asinh,
    "arccosh": hyperbolic.acosh, "arctanh": hyperbolic.atanh, "erf": error.erf,
    "sqrt": lambda x: x.call("llvm.sqrt"),
}  # fmt: skip
_BINARY = {
    "arctan2": trigonometry.atan2, "hypot": hypot, "copysign": copysign,
    "nextafter": nextafter, "logaddexp": exponential.logaddexp,
    "logaddexp2": exponential.logaddexp2,
}  # fmt: skip
_DIVIDING = {
    "floor_divide": division.floor_divide, "remainder": division.remainder,
    "fmod": division.fmod, "gcd": division.gcd, "lcm": division.lcm,
}  # fmt: skip
_ROUNDING = {
    "floor": "llvm.floor", "ceil": "llvm.ceil", "trunc": "llvm.trunc", "rint": "llvm.rint",
}  # fmt: skip
for _build, _table in (
    (_unary, _UNARY), (_binary, _BINARY), (_dividing, _DIVIDING), (_rounding, _ROUNDING),
):  # fmt: skip
    for _name, _function in _table.items():
        setattr(Namespace, _name, _build(_function))


def _operator(name, swapped=False):
    def operate(self, other):
        if not isinstance(other, (Value, bool, int, float, np.generic)):
            return NotImplemented
        function = getattr(Namespace(self.b), name)
        return function(other, self) if swapped else function(self, other)

    return operate


# These three operators need the functions above.
for _symbol, _name in (("floordiv", "floor_divide"), ("mod", "remainder"), ("pow", "power")):
    setattr(Value, f"__{_symbol}__", _operator(_name))
    setattr(Value, f"__r{_symbol}__", _operator(_name, swapped=True))
