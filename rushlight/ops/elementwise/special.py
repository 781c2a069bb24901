"""Special functions, element by element: gamma, error and Bessel functions.

SciPy computes few numbers. Programs, kernels of many numbers and devices compute formulas
(``special_formulas.py``). The derivatives consist of functions of the same families, so gradients
of every order work. Functions that PyTorch has only in ``torch.special`` are published only there
(``rushlight/special.py``).
"""

from math import factorial, inf, pi, sqrt
from math import log as ln

from rushlight.dtype import bool as bool_
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.rules import typed, where
from rushlight.ops.elementwise import special_formulas as formulas
from rushlight.ops.elementwise.activation import erf
from rushlight.ops.elementwise.exponential import exp, floating, floats, log
from rushlight.ops.elementwise.hurwitz import hurwitz
from rushlight.ops.elementwise.incomplete_gamma import as_integral
from rushlight.ops.elementwise.unary import tabled

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "i0", "i0e", "i1", "i1e", "igamma",
    "igammac", "lgamma", "log_ndtr", "mvlgamma", "ndtr", "ndtri", "polygamma", "xlog1py", "zeta",
]  # fmt: skip

#: From so many numbers on, a kernel saves more time than it took to make: for functions that SciPy
#: computes as fast as a kernel, much slower, and many times slower.
_MANY, _SLOW, _SLOWEST = 1 << 14, 1 << 13, 1 << 12
_SPECIAL_ONLY = {"public": False, "method": False, "inplace": False}


def _unary(title, what, example, **options):
    """An operation for SciPy's function ``title`` of one number."""

    def forward(xp, x):
        return getattr(xp, title)(x)

    options.setdefault("least", _MANY)
    return tabled(forward, title, what, example, dtype=floats, **options)


def _special(title, what, example, **options):
    """``_unary`` for a function that is published in ``torch.special`` only."""
    name = f"special_{title}"
    return _unary(
        title, what, example, space="torch.special", name=name, **_SPECIAL_ONLY, **options
    )


def _computed_by(op, formula, on_processors=formulas.wide):
    """State the formula of ``op``. Devices, which may have no float64, compute it as it is."""
    op.lower(on_processors(formula))
    op.lower_on_devices(formulas.narrow(formula))


# Gamma and its logarithmic derivatives ----------------------------------------------------


def _log_gamma(xp, x):
    found = xp.gammaln(x)
    infinite = xp.isinf(found)
    if infinite.any():
        # At -inf SciPy gives -inf, C and PyTorch inf. Near 0, where 1 / x overflows, SciPy gives
        # inf.
        size = abs(x)
        found = xp.where(size < 1e-300, -xp.log(size), xp.where(infinite, inf, found))
    return found


lgamma = tabled(
    _log_gamma, "lgamma", "The logarithm of the absolute value of the gamma function",
    ("[1.0, 4.0]", "[0.0000, 1.7918]"), dtype=floats, least=_MANY,
)  # fmt: skip
digamma = _unary("digamma", "The derivative of ``lgamma``", ("[1.0, 2.0]", "[-0.5772,  0.4228]"))


@elementwise(**_SPECIAL_ONLY, dtype=floats, name="polygamma", least=_MANY)
def _polygamma(xp, x, *, n):
    if n == 0:
        return xp.digamma(x)
    # In float64, as SciPy's own polygamma, which takes twice as long to call.
    size = float(factorial(n)) if n < 171 else inf
    found = (size if n % 2 else -size) * xp.zeta(xp.float64(n + 1), x)
    if n == 1:  # it is periodic far to the left, so there is no limit
        found = xp.where(x == -inf, xp.nan, found)
    return found.astype(x.dtype)


@function(method=False)
def polygamma(n, input, *, out=None):
    """Compute the derivative of order ``n`` of ``digamma``.

    Args:
        n: The order, an int from 0 on; 0 means ``digamma`` itself.
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Floating-point tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``n`` is negative.
        TypeError: ``n`` is no int.

    >>> import rushlight as torch
    >>> torch.polygamma(1, torch.tensor([1.0, 2.0]))
    tensor([1.6449, 0.6449])
    """
    if type(n) is not int:
        raise TypeError(f"polygamma(): argument 'n' must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError(f"polygamma: n={n} is negative; derivatives have orders from 0")
    return _polygamma(input, n=n, out=out)


@function(name="polygamma", public=False, inplace=True)
def _polygamma_method(self, n):
    """Compute the derivative of order ``n`` of ``digamma``.

    Args:
        n: The order, an int from 0 on; 0 means ``digamma`` itself.

    Returns:
        Floating-point tensor of this tensor's shape.

    Raises:
        RuntimeError: ``n`` is negative.
        TypeError: ``n`` is no int.

    >>> import rushlight as torch
    >>> torch.tensor([1.0, 2.0]).polygamma(1)
    tensor([1.6449, 0.6449])
    """
    return polygamma(n, self)


_computed_by(lgamma, formulas.lgamma)
_computed_by(digamma, formulas.digamma)


def _low_orders(width):
    rules = width(formulas.digamma), width(formulas.trigamma)
    return lambda x, n: rules[n](x) if n < 2 else NotImplemented


def _orders_on_devices(x, n):
    if n < 2:
        return _low_orders(formulas.narrow)(x, n)
    size = float(factorial(n)) if n < 171 else inf
    return (size if n % 2 else -size) * hurwitz(x * 0 + (n + 1), x)


_polygamma_method.__name__ = _polygamma_method.__qualname__ = "polygamma"
_polygamma.lower(_low_orders(formulas.wide))
_polygamma.lower_on_devices(_orders_on_devices)


lgamma.grad(x=lambda g, x: g * digamma(x))
digamma.grad(x=lambda g, x: g * _polygamma(x, n=1))
_polygamma.grad(x=lambda g, x, n: g * _polygamma(x, n=n + 1))


@elementwise(public=False, method=False, inplace=False, dtype=floats, name="mvlgamma",
             keeps_order=False, least=_MANY)  # fmt: skip
def _mvlgamma(xp, x, *, p):
    total = _log_gamma(xp, x) + p * (p - 1) / 4 * ln(pi)
    for k in range(1, p):
        total = total + _log_gamma(xp, x - k / 2)
    return total


def _mvlgamma_slope(g, x, p):
    slope = digamma(x)
    for k in range(1, p):
        slope = slope + digamma(x - k / 2)
    return g * slope


def _sum_of_lgammas(width):
    def rule(x, p):
        def formula(x, short):
            terms = [formulas.lgamma(x - k / 2, short) for k in range(p)]
            return sum(terms, p * (p - 1) / 4 * ln(pi))

        return width(formula)(x)

    return rule


_mvlgamma.lower(_sum_of_lgammas(formulas.wide))
_mvlgamma.lower_on_devices(_sum_of_lgammas(formulas.narrow))


_mvlgamma.grad(x=_mvlgamma_slope)


@function(inplace=True)
def mvlgamma(input, p, *, out=None):
    """Compute the logarithm of the multivariate gamma function.

    Args:
        input: Tensor of any shape ``(*)``, with elements above ``(p - 1) / 2``.
        p: The dimension of the function, an int from 1 on.

    Returns:
        Floating-point tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``p`` is below 1, or ``input`` is bool.

    >>> import rushlight as torch
    >>> torch.mvlgamma(torch.tensor([3.0]), 2)
    tensor([1.5502])
    """
    if p < 1:
        raise RuntimeError(f"mvlgamma: p={p}, but p has to be greater than or equal to 1")
    if getattr(input, "dtype", None) is bool_:
        raise RuntimeError("mvlgamma: The input tensor may not be a boolean tensor.")
    return _mvlgamma(input, p=p, out=out)


def _no_gradient(g):
    raise NotImplementedError("igamma, igammac, zeta: no derivative in the first argument")


def _without_limit(xp, x, y):
    """Where the exponent is infinite, and the limit nan: PyTorch looks at the exponent first."""
    return (x == xp.inf) & (y != y)


@elementwise(dtype=floating, tensors=("x", "y"), least=_SLOW, spreads=True)
def igamma(xp, x, y):
    """Compute the regularised lower incomplete gamma function.

    This is the integral of ``t^(a-1) · exp(-t)`` for t from 0 to ``other``, divided by Γ(a), where
    a is ``input``. There is no gradient with respect to ``input``.

    Args:
        input: The exponents a, a floating-point tensor of any shape ``(*)``.
        other: The limits of the integral, a tensor. Both are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.igamma(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([0.8647])
    """
    return xp.where(_without_limit(xp, x, y), 0.0, xp.gammainc(x, y))


@elementwise(dtype=floating, tensors=("x", "y"), least=_SLOW, spreads=True)
def igammac(xp, x, y):
    """Compute 1 - ``igamma``, precisely even if the result is small.

    There is no gradient with respect to ``input``.

    Args:
        input: The exponents, a floating-point tensor of any shape ``(*)``.
        other: The lower limits of the integral, a tensor. Both are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.igammac(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([0.1353])
    """
    return xp.where(_without_limit(xp, x, y), 1.0, xp.gammaincc(x, y))


igamma.lower(as_integral(upper=False))
igammac.lower(as_integral(upper=True))
igamma.lower_on_devices(lambda x: NotImplemented)  # some have no float64
igammac.lower_on_devices(lambda x: NotImplemented)


def _gamma_density(x, y):
    return exp(log(y) * (x - 1) - y - lgamma(x))


igamma.grad(x=_no_gradient, y=lambda g, x, y: g * _gamma_density(x, y))
igammac.grad(x=_no_gradient, y=lambda g, x, y: -g * _gamma_density(x, y))


@elementwise(**_SPECIAL_ONLY, dtype=floats)
def zeta(xp, x, y):
    """Compute the Hurwitz zeta function: the sum over k ≥ 0 of ``(k + other) ** -input``.

    There is no gradient with respect to ``input``.

    >>> import rushlight as torch
    >>> torch.special.zeta(torch.tensor([2.0]), 1.0)
    tensor([1.6449])
    """
    return xp.zeta(x, y)


zeta.lower_on_devices(lambda x, y: hurwitz(x, y))
zeta.grad(x=_no_gradient, y=lambda g, x, y: -g * x * zeta(x + 1, y))


# The error function and the normal distribution -------------------------------------------


erfc = _unary("erfc", "1 - ``erf``, precise even where it is small",
              ("[0.0, 1.0]", "[1.0000, 0.1573]"), least=_SLOW)  # fmt: skip
erfinv = _unary("erfinv", "The inverse of ``erf``",
                ("[0.0, 0.5]", "[0.0000, 0.4769]"), least=_SLOWEST)  # fmt: skip
erfcx = _special("erfcx", "``erfc`` times e to the square of ``input``",
                 ("[0.0, 10.0]", "[1.0000, 0.0561]"), least=_SLOWEST)  # fmt: skip
ndtr = _special("ndtr", "The standard normal distribution function",
                ("[0.0, 2.0]", "[0.5000, 0.9772]"), copied=("x",), least=_SLOW)  # fmt: skip
ndtri = _special("ndtri", "The inverse of ``ndtr``: the standard normal quantile",
                 ("[0.5, 0.9772]", "[0.0000, 1.9991]"))  # fmt: skip
log_ndtr = _special("log_ndtr", "The logarithm of ``ndtr``, precise for very negative numbers",
                    ("[-40.0, -30.0]", "[-804.6085, -454.3213]"))  # fmt: skip

# In float32 these are within 6 units in the last place, so they need not be computed in float64.
_computed_by(erfc, formulas.erfc, formulas.narrow)
_computed_by(erfinv, formulas.erfinv, formulas.narrow)
_computed_by(ndtr, formulas.ndtr, formulas.narrow)
_computed_by(erfcx, formulas.erfcx)
_computed_by(ndtri, formulas.ndtri)
_computed_by(log_ndtr, formulas.log_ndtr)
erfc.grad(x=lambda g, x: g * (exp(-x * x) * (-2 / sqrt(pi))))


def _erfinv_slope(g, x):
    # As in PyTorch, the rule uses the input, so that the result may be overwritten.
    out = erfinv(x)
    return g * (exp(out * out) * (sqrt(pi) / 2))


erfinv.grad(x=_erfinv_slope)
erfcx.grad(x=lambda g, x, out: g * (2 * x * out - 2 / sqrt(pi)))

ndtr.grad(x=lambda g, x: g * (exp(x * x * -0.5) / sqrt(2 * pi)))
ndtri.grad(x=lambda g, out: g * (exp(out * out * 0.5) * sqrt(2 * pi)))
log_ndtr.grad(x=lambda g, x: g / erfcx(x * -sqrt(0.5)) * sqrt(2 / pi))
log_ndtr.watch(x="out")


# Modified Bessel functions ----------------------------------------------------------------


i0 = _unary("i0", "The modified Bessel function of the first kind and order 0",
            ("[0.0, 1.0]", "[1.0000, 1.2661]"), least=_SLOWEST)  # fmt: skip
i0e = _special("i0e", "``i0`` divided by e to the absolute value of ``input``",
               ("[0.0, 100.0]", "[1.0000, 0.0399]"), least=_SLOWEST)  # fmt: skip
i1 = _special("i1", "The modified Bessel function of the first kind and order 1",
              ("[0.0, 1.0]", "[0.0000, 0.5652]"), least=_SLOWEST)  # fmt: skip
i1e = _special("i1e", "``i1`` divided by e to the absolute value of ``input``",
               ("[0.0, 100.0]", "[0.0000, 0.0397]"), least=_SLOWEST)  # fmt: skip


def _sign(x):
    return typed(x > 0, x) - typed(x < 0, x)


def _over(out, x, scale=1.0):
    """``scale`` · I1(x) / x from ``out`` = ``scale`` · I1(x).

    Near 0 it is the first terms of its series, because the derivative of the quotient would be a
    difference of almost equal numbers there, divided by the square of ``x``.
    """
    small, square = abs(x) < 0.01, x * x
    near = (0.5 + square * (1 / 16 + square / 384)) * scale
    return where(small, near, out / where(small, 1.0, x))


_computed_by(i0, formulas.i0)
_computed_by(i0e, formulas.i0e)
_computed_by(i1, formulas.i1)
_computed_by(i1e, formulas.i1e)
i0.grad(x=lambda g, x: g * i1(x))
i0e.grad(x=lambda g, x, out: g * (i1e(x) - _sign(x) * out))
i1.grad(x=lambda g, x, out: g * (i0(x) - _over(out, x)))
i1e.grad(x=lambda g, x, out: g * (i0e(x) - _sign(x) * out - _over(out, x, exp(-abs(x)))))


# Products with logarithms -----------------------------------------------------------------


@elementwise(**_SPECIAL_ONLY, dtype=floats, name="special_xlog1py")
def xlog1py(xp, x, y):
    """Multiply ``input`` by the natural logarithm of 1 + ``other``.

    The result is 0 where ``input`` is 0, unless ``other`` is nan.

    >>> import rushlight as torch
    >>> torch.special.xlog1py(torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 0.0]))
    tensor([0., 0.])
    """
    return xp.where((x == 0) & (y == y), x * x, x * xp.log1p(y))


xlog1py.grad(
    x=lambda g, x, y: where((x == 0) & (y <= -1), 0, xlog1py(g, y)),
    y=lambda g, x, y: g * x / (y + 1),
)


@elementwise(**_SPECIAL_ONLY, dtype=floats, name="special_entr")
def entr(xp, x):
    """Compute ``-input · log(input)``.

    The result is 0 at 0, and -inf for negative numbers.

    >>> import rushlight as torch
    >>> torch.special.entr(torch.tensor([0.0, 0.5]))
    tensor([0.0000, 0.3466])
    """
    return xp.where(x == 0, x, xp.where(x < 0, -xp.inf, -x * xp.log(x)))


entr.grad(x=lambda g, x: g * where(x < 0, float("nan"), -log(x) - 1))
