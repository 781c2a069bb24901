"""The ranges of the integers that equations on 0-dim values compute, by interval arithmetic.

They prove that an index is in range whatever the positions are, so that nothing has to check it.
"""

from math import inf

import numpy as np

from rushlight.compiler.ir.abstract import Abstract

__all__ = ["Range", "ranges"]


class Unknown(AttributeError):
    """Interval arithmetic has no rule for a function or its operands."""


class Range:
    """The integers from ``low`` to ``high``, either of which may be infinite."""

    dtype = np.dtype(np.int64)

    def __init__(self, low=-inf, high=inf):
        self.low, self.high = low, high

    @property
    def ends(self):
        return self.low, self.high

    def __add__(self, other):
        other = _range(other)
        return Range(self.low + other.low, self.high + other.high)

    def __neg__(self):
        return Range(-self.high, -self.low)

    def __sub__(self, other):
        return self + -_range(other)

    def __rsub__(self, other):
        return _range(other) - self

    def __mul__(self, other):
        ends = *self.ends, *_range(other).ends
        if inf in map(abs, ends):
            return Range()
        products = [x * y for x in ends[:2] for y in ends[2:]]
        return Range(min(products), max(products))

    def __abs__(self):
        low, high = sorted(map(abs, self.ends))
        return Range(0 if self.low <= 0 <= self.high else low, high)

    def __invert__(self):
        return -self - 1

    def _truth(self, other):
        return Range(0, 1)

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _truth
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self):
        raise Unknown

    __radd__, __rmul__ = __add__, __mul__


def _range(x):
    if isinstance(x, Range):
        return x
    if isinstance(x, (int, np.integer, np.bool_)):
        return Range(int(x), int(x))
    raise Unknown


def _positive(x):
    """The number that the range ``x`` is, if it is one number above 0."""
    low, high = _range(x).ends
    if not 0 < low == high < inf:
        raise Unknown
    return low


class _Namespace:
    """NumPy's functions on ranges, for the forwards of operations."""

    int64 = np.int64

    def __getattr__(self, name):
        raise Unknown(name)

    def where(self, condition, x, y):
        x, y = _range(x), _range(y)
        return Range(min(x.low, y.low), max(x.high, y.high))

    def minimum(self, x, y):
        x, y = _range(x), _range(y)
        return Range(min(x.low, y.low), min(x.high, y.high))

    def maximum(self, x, y):
        x, y = _range(x), _range(y)
        return Range(max(x.low, y.low), max(x.high, y.high))

    def abs(self, x):
        return abs(x)

    def floor_divide(self, x, y):
        x, y = _range(x), _positive(y)
        return Range(*[n if abs(n) == inf else n // y for n in x.ends])

    def remainder(self, x, y):
        return Range(0, _positive(y) - 1)


_XP = _Namespace()


def ranges(equations, known):
    """id of a value → its ``Range``, where equations or ``known``, for the inputs, tell it."""
    found = dict(known)

    def of(x):
        if not isinstance(x, Abstract):
            return x
        return found.get(x.id, Range(0, 1) if x.dtype == bool else Range())

    for e in equations:
        out = e.outs[0]
        if out.dtype.kind not in "iu" or out.size != 1:
            continue
        moved = e.op.role == "view" or e.op.role == "copy"
        if moved and e.ins[0].dtype.kind in "iub":
            got = of(e.ins[0])
        elif e.op.role == "pointwise":
            try:
                got = e.op.forward(_XP, *map(of, e.ins), **e.params)
            except (TypeError, AttributeError):
                continue
        else:
            continue
        # A number beyond the ends of the dtype would wrap around.
        ends = np.iinfo(out.dtype)
        if isinstance(got, Range) and ends.min <= got.low and got.high <= ends.max:
            found[out.id] = got
    return found
