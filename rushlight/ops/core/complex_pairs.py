"""Complex numbers as pairs of real tensors, for devices, whose kernels have no complex numbers.

A program for a device replaces each complex value by two real ones
(``compiler/device/complex_values.py``). The forward of an elementwise operation runs on ``Pair``
objects, with ``PAIRS`` as ``xp``. Other operations state a rule: ``Op.lower_on_pairs``.
"""

import cmath

import numpy as np

from rushlight.tensor import Tensor

__all__ = ["PAIRS", "NoParts", "Pair", "lifted"]


class NoParts(Exception):
    """A function of complex numbers has no form in real and imaginary parts: the host computes."""


def _is_number(x):
    return not isinstance(x, Tensor | Pair)


def lifted(x):
    """``x`` as a Pair. A tensor is real; a number may be complex."""
    if isinstance(x, Pair):
        return x
    if isinstance(x, Tensor):
        return Pair(x, 0.0)
    x = complex(x)
    return Pair(x.real, x.imag)


def _binary(f):
    def forward(x, y):
        return f(lifted(x), lifted(y))

    def backward(x, y):
        return f(lifted(y), lifted(x))

    return forward, backward


class Pair:
    """Complex numbers as the real tensors ``real`` and ``imag``. One of them may be a number."""

    __slots__ = ("imag", "real")

    def __init__(self, real=None, imag=None):
        self.real, self.imag = real, imag

    @property
    def dtype(self):
        """The complex dtype, as NumPy's."""
        part = self.imag if _is_number(self.real) else self.real
        return np.result_type(part._array.dtype, np.complex64)

    def __getattr__(self, name):
        raise NoParts(name)

    __add__, __radd__ = _binary(lambda x, y: Pair(x.real + y.real, x.imag + y.imag))
    __sub__, __rsub__ = _binary(lambda x, y: Pair(x.real - y.real, x.imag - y.imag))
    __mul__, __rmul__ = _binary(lambda x, y: _product(x, y))
    __truediv__, __rtruediv__ = _binary(lambda x, y: _quotient(x, y))
    __eq__ = lambda x, y: _equal(x, lifted(y))
    __ne__ = lambda x, y: _differ(x, lifted(y))
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self):
        return Pair(-self.real, -self.imag)

    def __pos__(self):
        return self

    def __pow__(self, y):
        return PAIRS.power(self, y)

    def _refused(self, *_):
        raise NoParts("complex numbers have no order")

    __lt__ = __le__ = __gt__ = __ge__ = __mod__ = __floordiv__ = _refused
    __bool__ = __iter__ = __len__ = __rpow__ = _refused


def _product(x, y):
    return Pair(x.real * y.real - x.imag * y.imag, x.real * y.imag + x.imag * y.real)


def _quotient(x, y):
    """Smith's algorithm: it divides by the larger part of y, so that squares do not overflow."""
    a, b, c, d = x.real, x.imag, y.real, y.imag
    if _is_number(c) and _is_number(d):
        if not d:
            return Pair(a / c, b / c) if c else Pair(a * float("inf"), b * float("inf"))
        c, d = _tensors(c, d, a)
    elif _is_number(c) or _is_number(d):
        c, d = _tensors(c, d, d if _is_number(c) else c)
    first = c.abs() >= d.abs()
    large, small = c.where(first, d), d.where(first, c)
    ratio = (small / large).where(large != 0, large)
    whole = large + small * ratio
    a, b = _tensors(a, b, whole)
    return Pair(
        (a + b * ratio).where(first, a * ratio + b) / whole,
        (b - a * ratio).where(first, b * ratio - a) / whole,
    )


def _tensors(x, y, like):
    """Both numbers as tensors; those that are tensors stay as they are."""
    full = lambda v: like.new_full((), v) if _is_number(v) else v
    return full(x), full(y)


def _equal(x, y):
    return (x.real == y.real) & (x.imag == y.imag)


def _differ(x, y):
    return (x.real != y.real) | (x.imag != y.imag)


def _parts(x):
    """(real, imaginary) of a Pair as tensors."""
    return _tensors(x.real, x.imag, x.imag if _is_number(x.real) else x.real)


def _of_pairs(f):
    """A function of one Pair; a real tensor is given to its own method."""
    name = f.__name__

    def call(self, x):
        return f(self, x) if isinstance(x, Pair) else getattr(Tensor, name)(x)

    call.__name__ = name
    return call


class PairNamespace:
    """NumPy's functions on Pairs. Those that are not here raise ``NoParts``."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        real = getattr(Tensor, name, None)

        def call(x, *rest):
            if real is None or isinstance(x, Pair) or any(isinstance(y, Pair) for y in rest):
                raise NoParts(name)
            return real(x, *rest)

        return call

    # Parts --------------------------------------------------------------------------------

    def from_parts(self, x, y):
        return Pair(x, y)

    def empty_like(self, x):
        return Pair()

    def conjugate(self, x):
        return Pair(x.real, -x.imag) if isinstance(x, Pair) else x

    @_of_pairs
    def abs(self, x):
        return _hypot(*_parts(x))

    @_of_pairs
    def angle(self, x):
        re, im = _parts(x)
        return im.atan2(re)

    def arctan2(self, y, x):
        return y.atan2(x)

    @_of_pairs
    def isnan(self, x):
        re, im = _parts(x)
        return re.isnan() | im.isnan()

    @_of_pairs
    def isinf(self, x):
        re, im = _parts(x)
        return re.isinf() | im.isinf()

    @_of_pairs
    def isfinite(self, x):
        re, im = _parts(x)
        return re.isfinite() & im.isfinite()

    @_of_pairs
    def isreal(self, x):
        return _parts(x)[1] == 0

    def where(self, condition, x, y):
        if not isinstance(x, Pair) and not isinstance(y, Pair):
            return _where(condition, x, y)
        x, y = lifted(x), lifted(y)
        return Pair(_where(condition, x.real, y.real), _where(condition, x.imag, y.imag))

    # Arithmetic ---------------------------------------------------------------------------

    def add(self, x, y):
        return x + y

    def subtract(self, x, y):
        return x - y

    def multiply(self, x, y):
        return x * y

    def true_divide(self, x, y):
        return x / y

    divide = true_divide

    def negative(self, x):
        return -x

    def positive(self, x):
        return x

    @_of_pairs
    def square(self, x):
        return x * x

    @_of_pairs
    def reciprocal(self, x):
        return 1.0 / x

    def equal(self, x, y):
        return lifted(x) == y

    def not_equal(self, x, y):
        return lifted(x) != y

    def logical_not(self, x):
        return lifted(x) == 0

    def logical_and(self, x, y):
        return (lifted(x) != 0) & (lifted(y) != 0)

    def logical_or(self, x, y):
        return (lifted(x) != 0) | (lifted(y) != 0)

    def logical_xor(self, x, y):
        return (lifted(x) != 0) ^ (lifted(y) != 0)

    def power(self, x, y):
        if _is_number(y) and complex(y).imag == 0 and float(complex(y).real).is_integer():
            n = int(complex(y).real)
            if -32 <= n <= 32:
                return _integer_power(lifted(x), n)
        x, y = lifted(x), lifted(y)
        if _is_number(x.real) and _is_number(x.imag):
            base = complex(x.real, x.imag)
            if not base:
                raise NoParts("power")
            return self.exp(y * cmath.log(base))
        found = self.exp(y * self.log(x))
        zero = x == 0
        least = y == 0  # a bool, if y is a number
        least = float(least) if isinstance(least, bool) else least.to(found.real.dtype)
        return Pair(_where(zero, least, found.real), _where(zero, 0.0, found.imag))

    # Functions ----------------------------------------------------------------------------

    @_of_pairs
    def exp(self, x):
        re, im = _parts(x)
        size = re.exp()
        return Pair(size * im.cos(), size * im.sin())

    @_of_pairs
    def expm1(self, x):
        re, im = _parts(x)
        half = (im / 2).sin()
        return Pair(re.expm1() * im.cos() - 2 * half * half, re.exp() * im.sin())

    @_of_pairs
    def log(self, x):
        re, im = _parts(x)
        size = _hypot(re, im)
        a, b = re.abs(), im.abs()
        most, least = a.maximum(b), a.minimum(b)
        # Near the unit circle the logarithm of the rounded modulus has lost its digits.
        near = ((most - 1) * (most + 1) + least * least).log1p() / 2
        return Pair(near.where((size > 0.5) & (size < 2), size.log()), im.atan2(re))

    @_of_pairs
    def log2(self, x):
        return self.log(x) * 1.4426950408889634

    @_of_pairs
    def log10(self, x):
        return self.log(x) * 0.4342944819032518

    @_of_pairs
    def sqrt(self, x):
        re, im = _parts(x)
        size = ((re.abs() + _hypot(re, im)) / 2).sqrt()
        other = (im.abs() / (2 * size)).where(size != 0, size)
        positive = re >= 0
        return Pair(size.where(positive, other), other.where(positive, size).copysign(im))

    @_of_pairs
    def sin(self, x):
        re, im = _parts(x)
        return Pair(re.sin() * im.cosh(), re.cos() * im.sinh())

    @_of_pairs
    def cos(self, x):
        re, im = _parts(x)
        return Pair(re.cos() * im.cosh(), -(re.sin() * im.sinh()))

    @_of_pairs
    def sinh(self, x):
        re, im = _parts(x)
        return Pair(re.sinh() * im.cos(), re.cosh() * im.sin())

    @_of_pairs
    def cosh(self, x):
        re, im = _parts(x)
        return Pair(re.cosh() * im.cos(), re.sinh() * im.sin())

    @_of_pairs
    def tanh(self, x):
        re, im = _parts(x)
        t, u, c = re.tanh(), im.tan(), 1 / re.cosh()
        whole = 1 + t * t * u * u
        return Pair(t * (1 + u * u) / whole, u * c * c / whole)

    @_of_pairs
    def tan(self, x):
        re, im = _parts(x)
        return _turned_back(self.tanh(Pair(-im, re)))

    @_of_pairs
    def sinc(self, x):
        turns = x * 3.141592653589793
        return self.where(x == 0, 1.0, self.sin(turns) / turns)

    # Inverse functions, by Kahan's formulas: none of them loses digits by cancelling. Source: Kahan
    # 1987, Branch Cuts for Complex Elementary Functions.

    @_of_pairs
    def arcsin(self, x):
        less, more = self.sqrt(1.0 - x), self.sqrt(1.0 + x)
        turned = self.conjugate(less) * more
        return Pair(_parts(x)[0].atan2((less * more).real), turned.imag.asinh())

    @_of_pairs
    def arccos(self, x):
        less, more = self.sqrt(1.0 - x), self.sqrt(1.0 + x)
        turned = self.conjugate(more) * less
        return Pair(2 * less.real.atan2(more.real), turned.imag.asinh())

    @_of_pairs
    def arctanh(self, x):
        re, im = _parts(x)
        gap, square = 1 - re, im * im
        size = (4 * re / (gap * gap + square)).log1p() / 4
        return Pair(size, (2 * im).atan2(gap * (1 + re) - square) / 2)

    @_of_pairs
    def arccosh(self, x):
        less, more = self.sqrt(x - 1.0), self.sqrt(x + 1.0)
        turned = self.conjugate(less) * more
        return Pair(turned.real.asinh(), 2 * less.imag.atan2(more.real))

    @_of_pairs
    def arcsinh(self, x):
        return _turned_back(self.arcsin(_turned(x)))

    @_of_pairs
    def arctan(self, x):
        return _turned_back(self.arctanh(_turned(x)))


def _turned(x):
    """x · i."""
    return Pair(-x.imag, x.real)


def _turned_back(x):
    return Pair(x.imag, -x.real)


def _where(condition, x, y):
    if isinstance(x, Tensor):
        return x.where(condition, y)
    if isinstance(y, Tensor):
        return y.where(~condition, x)
    return condition.where(condition, condition) * (x - y) + y


def _hypot(x, y):
    return x.hypot(y)


def _integer_power(x, n):
    """x^n by repeated squares, as NumPy computes powers with small exponents."""
    if n < 0:
        return 1.0 / _integer_power(x, -n)
    found, square = None, x
    while n:
        if n & 1:
            found = square if found is None else found * square
        n >>= 1
        if n:
            square = square * square
    return lifted(1.0) if found is None else found


PAIRS = PairNamespace()
