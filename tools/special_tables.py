"""Compute the tables of special functions in tensors: ``python tools/special_tables.py``.

It writes ``rushlight/ops/elementwise/special_tables.py``: Chebyshev coefficients, by mpmath. It is
run only if a function is added.
"""

import pprint
from pathlib import Path

import mpmath
from mpmath import mpf

FILE = Path(__file__).resolve().parent.parent / "rushlight/ops/elementwise/special_tables.py"
HEAD = '''"""Chebyshev series for ``special_formulas.py``, by ``tools/special_tables.py``."""

__all__ = ["TABLES"]

#: name → the coefficients; the function's domain is mapped to [-1, 1] where it is used.
'''
POINTS = 64


def series(f):
    """The Chebyshev coefficients of ``f`` on [-1, 1], down to the precision of float64."""
    nodes = [mpmath.cos(mpmath.pi * (k + mpf(1) / 2) / POINTS) for k in range(POINTS)]
    values = [f(x) for x in nodes]
    found = []
    for j in range(POINTS):
        terms = [
            v * mpmath.cos(mpmath.pi * j * (k + mpf(1) / 2) / POINTS) for k, v in enumerate(values)
        ]
        found.append(2 * mpmath.fsum(terms) / POINTS)
    found[0] /= 2
    least = max(map(abs, found)) * mpf(2) ** -55
    while abs(found[-1]) < least:
        found.pop()
    return [float(c) for c in found]


def erfcx(t):
    """e^x² erfc(x) · (1 + 2 x) for x = 3.75 (1 + t) / (1 - t)."""
    x = mpf(3.75) * (1 + t) / (1 - t)
    return mpmath.exp(x * x) * mpmath.erfc(x) * (1 + 2 * x)


def erf_near(t):
    """erf(x) / x for x² = (1 + t) / 8."""
    x = mpmath.sqrt((1 + t) / 8)
    return mpmath.erf(x) / x


def _erfinv(w):
    """erfinv(x) for w = -log(1 - x²), by Newton's method for the logarithm of erfc."""
    wanted = mpmath.log(-mpmath.expm1(mpmath.log1p(-mpmath.exp(-w)) / 2))
    return mpmath.findroot(lambda y: mpmath.log(mpmath.erfc(y)) - wanted, mpmath.sqrt(w) * 0.9)


def erfinv_near(t):
    """erfinv(x) / x for w = 3.125 (1 + t)."""
    w = mpf(3.125) * (1 + t)
    return _erfinv(w) / mpmath.sqrt(-mpmath.expm1(-w))


def erfinv_middle(t):
    """erfinv(x) / x for √w = 3.25 + 0.75 t."""
    w = (mpf(3.25) + mpf(0.75) * t) ** 2
    return _erfinv(w) / mpmath.sqrt(-mpmath.expm1(-w))


def erfinv_far(t):
    """erfinv(x) / √w for 1 / √w = (4 + 3 t) / 28: to where 1 - x is the least float64."""
    root = 28 / (4 + 3 * t)
    return _erfinv(root * root) / root


def lgamma_near(t):
    """lgamma(x) / ((x - 1) (x - 2)) for x = 2 + t."""
    x = 2 + t
    return mpmath.loggamma(x) / ((x - 1) * (x - 2))


def lgamma_far(t):
    """What Stirling's formula lacks of lgamma(x), times x, for 1 / x = (1 + t) / 6."""
    x = 6 / (1 + t)
    whole = (x - mpf(1) / 2) * mpmath.log(x) - x + mpmath.log(2 * mpmath.pi) / 2
    return (mpmath.loggamma(x) - whole) * x


def digamma_far(t):
    """(log(x) - 1 / (2 x) - digamma(x)) · x² for 1 / x = (1 + t) / 6."""
    x = 6 / (1 + t)
    return (mpmath.log(x) - 1 / (2 * x) - mpmath.digamma(x)) * x * x


def trigamma_far(t):
    """(trigamma(x) - 1 / x - 1 / (2 x²)) · x³ for 1 / x = (1 + t) / 6."""
    x = 6 / (1 + t)
    return (mpmath.polygamma(1, x) - 1 / x - 1 / (2 * x * x)) * x**3


def near(order):
    """The scaled Bessel function for x = 4 (1 + t), over x if the order is 1."""

    def f(t):
        x = 4 * (1 + t)
        return mpmath.besseli(order, x) * mpmath.exp(-x) / (x if order else 1)

    return f


def far(order):
    """The scaled Bessel function times √x for 1 / x = (1 + t) / 16."""

    def f(t):
        x = 16 / (1 + t)
        return mpmath.besseli(order, x) * mpmath.exp(-x) * mpmath.sqrt(x)

    return f


def j_near(order):
    """J(x), over x if the order is 1, for x² = 32 (1 + t)."""

    def f(t):
        x = mpmath.sqrt(32 * (1 + t))
        return mpmath.besselj(order, x) / (x if order else 1)

    return f


def y_near(order):
    """Y(x) without its logarithm and pole, over x if the order is 1, for x² = 32 (1 + t)."""

    def f(t):
        x = mpmath.sqrt(32 * (1 + t))
        rest = mpmath.log(x) * mpmath.besselj(order, x) - (1 / x if order else 0)
        return (mpmath.bessely(order, x) - 2 / mpmath.pi * rest) / (x if order else 1)

    return f


def wave(order, sine):
    """The cosine's factor, or the sine's times x, in √(πx/2) J(x), for 64 / x² = (1 + t) / 2."""

    def f(t):
        x = mpmath.sqrt(128 / (1 + t))
        angle = x - mpmath.pi / 4 * (2 * order + 1)
        j, y = mpmath.besselj(order, x), mpmath.bessely(order, x)
        c, s = mpmath.cos(angle), mpmath.sin(angle)
        size = mpmath.sqrt(mpmath.pi * x / 2)
        return size * ((y * c - j * s) * x if sine else j * c + y * s)

    return f


def k_near(order):
    """What K(x) has besides its logarithm, times x if the order is 1, for x² = 2 (1 + t)."""

    def f(t):
        x = mpmath.sqrt(2 * (1 + t))
        rest = mpmath.log(x / 2) * mpmath.besseli(order, x)
        return (mpmath.besselk(order, x) + (-rest if order else rest)) * (x if order else 1)

    return f


def k_far(order):
    """K(x) e^x √x for 2 / x = (1 + t) / 2."""

    def f(t):
        x = 4 / (1 + t)
        return mpmath.besselk(order, x) * mpmath.exp(x) * mpmath.sqrt(x)

    return f


def airy_near(t):
    """Ai(x) for x = 5 t - 3."""
    return mpmath.airyai(5 * t - 3)


def _zeta(x):
    return 2 * mpmath.sqrt(x) ** 3 / 3


def airy_far(t):
    """2 √π x^¼ e^ζ Ai(x) for ζ(2) / ζ = (1 + t) / 2, where ζ is 2/3 x^1.5."""
    zeta = 2 * _zeta(mpf(2)) / (1 + t)
    x = mpmath.cbrt(zeta * 3 / 2) ** 2
    size = 2 * mpmath.sqrt(mpmath.pi * mpmath.sqrt(x))
    return size * mpmath.exp(zeta) * mpmath.airyai(x)


def airy_wave(cosine):
    """The factor of the sine, or of the cosine times ζ, in √π |x|^¼ Ai(x), for x < -8."""

    def f(t):
        zeta = _zeta(mpf(8)) * mpmath.sqrt(2 / (1 + t))
        x = mpmath.cbrt(zeta * 3 / 2) ** 2
        c, s = mpmath.cos(zeta + mpmath.pi / 4), mpmath.sin(zeta + mpmath.pi / 4)
        size = mpmath.sqrt(mpmath.pi * mpmath.sqrt(x))
        a, b = mpmath.airyai(-x) * size, mpmath.airybi(-x) * size
        return (s * b - c * a) * zeta if cosine else s * a + c * b

    return f


def main():
    mpmath.mp.dps = 60
    functions = {
        "erf_near": erf_near, "erfcx": erfcx, "erfinv_near": erfinv_near,
        "erfinv_middle": erfinv_middle, "erfinv_far": erfinv_far, "lgamma_near": lgamma_near,
        "lgamma_far": lgamma_far,
        "digamma_far": digamma_far, "trigamma_far": trigamma_far, "i0_near": near(0),
        "i0_far": far(0), "i1_near": near(1), "i1_far": far(1),
        **{f"{name}{n}_near": f(n) for name, f in (("j", j_near), ("y", y_near), ("k", k_near))
           for n in (0, 1)},
        **{f"wave{n}_{'sine' if sine else 'cosine'}": wave(n, sine)
           for n in (0, 1) for sine in (False, True)},
        "k0_far": k_far(0), "k1_far": k_far(1),
        "airy_near": airy_near, "airy_far": airy_far, "airy_sine": airy_wave(False),
        "airy_cosine": airy_wave(True),
    }  # fmt: skip
    tables = {name: series(f) for name, f in functions.items()}
    print({name: len(t) for name, t in tables.items()})
    body = pprint.pformat(tables, width=90, compact=True, sort_dicts=False)
    FILE.write_text(
        f"{HEAD}TABLES = {body[:-1]}\n}}  # fmt: skip\n", encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    main()
