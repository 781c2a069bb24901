"""Circular and hyperbolic functions, element by element."""

from math import pi

from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import to_float
from rushlight.ops.core.rules import conj, is_complex, where
from rushlight.ops.elementwise.exponential import floats
from rushlight.ops.elementwise.power import sqrt
from rushlight.ops.elementwise.unary import tabled


def _unary(name, what, example, numpy_name=None, alias=(), **options):
    """An operation for NumPy's function ``numpy_name`` (default: ``name``) of one number."""
    numpy_name = numpy_name or name

    def forward(xp, x):
        return getattr(xp, numpy_name)(x)

    return tabled(forward, name, what, example, dtype=to_float, alias=alias, **options)


sin = _unary("sin", "The sine of an angle in radians", ("[0.0, 1.0]", "[0.0000, 0.8415]"))
cos = _unary("cos", "The cosine of an angle in radians", ("[0.0, 1.0]", "[1.0000, 0.5403]"))
tan = _unary("tan", "The tangent of an angle in radians", ("[0.0, 1.0]", "[0.0000, 1.5574]"))
asin = _unary("asin", "The angle with the given sine", ("[0.0, 1.0]", "[0.0000, 1.5708]"),
              "arcsin", "arcsin")  # fmt: skip
acos = _unary("acos", "The angle with the given cosine", ("[0.0, 1.0]", "[1.5708, 0.0000]"),
              "arccos", "arccos")  # fmt: skip
atan = _unary("atan", "The angle with the given tangent", ("[0.0, 1.0]", "[0.0000, 0.7854]"),
              "arctan", "arctan")  # fmt: skip
sinh = _unary("sinh", "The hyperbolic sine", ("[0.0, 1.0]", "[0.0000, 1.1752]"))
cosh = _unary("cosh", "The hyperbolic cosine", ("[0.0, 1.0]", "[1.0000, 1.5431]"))
tanh = _unary("tanh", "The hyperbolic tangent", ("[0.0, 1.0]", "[0.0000, 0.7616]"), least=None,
              halves=False)  # fmt: skip
asinh = _unary("asinh", "The inverse hyperbolic sine", ("[0.0, 1.0]", "[0.0000, 0.8814]"),
               "arcsinh", "arcsinh")  # fmt: skip
acosh = _unary("acosh", "The inverse hyperbolic cosine", ("[1.0, 2.0]", "[0.0000, 1.3170]"),
               "arccosh", "arccosh", least=1 << 16)  # fmt: skip
atanh = _unary("atanh", "The inverse hyperbolic tangent", ("[0.0, 0.5]", "[0.0000, 0.5493]"),
               "arctanh", "arctanh")  # fmt: skip

sin.grad(x=lambda g, x: g * conj(cos(x)))
cos.grad(x=lambda g, x: -g * conj(sin(x)))
tan.grad(x=lambda g, out: g * conj(1 + out * out))
asin.grad(x=lambda g, x: g / conj(sqrt(1 - x * x)))
acos.grad(x=lambda g, x: -g / conj(sqrt(1 - x * x)))
atan.grad(x=lambda g, x: g / conj(x * x + 1))
sinh.grad(x=lambda g, x: g * conj(cosh(x)))
cosh.grad(x=lambda g, x: g * conj(sinh(x)))
tanh.grad(x=lambda g, out: g * conj(1 - out * out))
asinh.grad(x=lambda g, x: g * conj((x * x + 1) ** -0.5))
acosh.grad(
    # As in PyTorch, real numbers below -1 have a gradient, too. For complex numbers only the
    # product of two roots is on the right branch.
    x=lambda g, x: g * (
        conj((x - 1) ** -0.5 * (x + 1) ** -0.5) if is_complex(x) else (x * x - 1) ** -0.5
    )
)  # fmt: skip
atanh.grad(x=lambda g, x: g / conj(1 - x * x))


@elementwise(dtype=floats, alias="arctan2", tensors=("x", "y"))
def atan2(xp, x, y):
    """Compute the angle in radians of the point (``other``, ``input``).

    Args:
        input, other: Tensors. They are broadcast to one shape.

    Returns:
        Floating-point tensor of that shape, with values in [-π, π].

    >>> import rushlight as torch
    >>> torch.atan2(torch.tensor([1.0]), torch.tensor([-1.0]))
    tensor([2.3562])
    """
    return xp.arctan2(x, y)


def _over_square(x, y):
    square = x * x + y * y
    return where(square == 0, 0, 1 / square)


atan2.grad(
    x=lambda g, x, y: g * (y * _over_square(x, y)),
    y=lambda g, x, y: g * (-x * _over_square(x, y)),
)


@elementwise(dtype=to_float)
def sinc(xp, x):
    """Compute ``sin(πx) / (πx)``, with 1 at 0.

    >>> import rushlight as torch
    >>> torch.sinc(torch.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    return xp.sinc(x)


def _sinc_slope(g, x):
    a = x * pi
    near = abs(a) < 0.01  # the quotient is mostly rounding there; the series ends below 1e-16
    series = 0 - x * (pi**2 / 3) * (1 - a * a / 10 * (1 - a * a / 28))
    slope = where(near, series, (cos(a) * a - sin(a)) / where(near, 1, a * x))
    return where((x == 0) & (g - g != 0), 0, g * conj(slope))  # 0 at 0 for every g


sinc.grad(x=_sinc_slope)


@elementwise(dtype=floats, grad_name="Deg2RadBackward0", keeps_order="like", least=None)
def deg2rad(xp, x):
    """Convert degrees to radians.

    >>> import rushlight as torch
    >>> torch.deg2rad(torch.tensor([180.0]))
    tensor([3.1416])
    """
    return x * (pi / 180)


deg2rad.grad(x=lambda g: g * (pi / 180))


@elementwise(dtype=floats, grad_name="Rad2DegBackward0", keeps_order="like", least=None)
def rad2deg(xp, x):
    """Convert radians to degrees.

    >>> import rushlight as torch
    >>> torch.rad2deg(torch.tensor([3.14159265]))
    tensor([180.])
    """
    return x * (180 / pi)


rad2deg.grad(x=lambda g: g * (180 / pi))
