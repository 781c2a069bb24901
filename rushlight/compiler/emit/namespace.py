"""The namespace ``xp`` of a kernel: NumPy's functions on Values, for the forwards of operations."""

import numpy as np

from rushlight.compiler.emit.memory import maximum, minimum
from rushlight.compiler.emit.value import (
    BOOL, FLOAT, Unsupported, Value, aligned, common, lift, pair, select,
)  # fmt: skip

__all__ = ["Namespace"]


class Namespace:
    """NumPy's functions, appending their instructions to a builder."""

    inf, nan, pi = np.inf, np.nan, np.pi
    float32, float64, int64, uint8 = np.float32, np.float64, np.int64, np.uint8

    def __init__(self, b):
        self.b = b

    def __getattr__(self, name):
        raise Unsupported(f"{name} has no form in a kernel")

    def where(self, condition, x, y):
        condition = lift(self.b, condition).astype(BOOL)
        return select(condition, *pair(self.b, x, y))

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

    def abs(self, x):
        return abs(lift(self.b, x))

    def sqrt(self, x):
        return _floating(lift(self.b, x)).call("llvm.sqrt")

    def floor(self, x):
        return _rounded(self.b, "llvm.floor", x)

    def ceil(self, x):
        return _rounded(self.b, "llvm.ceil", x)

    def trunc(self, x):
        return _rounded(self.b, "llvm.trunc", x)

    def rint(self, x):
        return _rounded(self.b, "llvm.rint", _floating(lift(self.b, x)))

    def true_divide(self, x, y):
        return lift(self.b, x) / y

    def logical_and(self, x, y):
        return lift(self.b, x).astype(BOOL) & lift(self.b, y).astype(BOOL)

    def logical_or(self, x, y):
        return lift(self.b, x).astype(BOOL) | lift(self.b, y).astype(BOOL)

    def logical_xor(self, x, y):
        return lift(self.b, x).astype(BOOL) ^ lift(self.b, y).astype(BOOL)

    def logical_not(self, x):
        return ~lift(self.b, x).astype(BOOL)

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


def _floating(x):
    """NumPy's functions of real numbers take integers as float64."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _rounded(b, name, x):
    x = lift(b, x)
    return x.call(name) if x.dtype.kind == "f" else x
