"""Samples of Bessel functions and orthogonal polynomials, and of the parts of floating-point numbers."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.sample import bools, floats, ints, sample


def special(name, *rest):
    return lambda t, *xs: getattr(t.special, name)(*xs, *rest)


UNARY = ("airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_i0", "modified_bessel_i1",
         "modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1",
         "spherical_bessel_j0")
_edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-20, 50.0, -50.0], "f4")
for _name in UNARY:
    # PyTorch's oscillating functions are right to 1e-6 only, also in float64.
    _dtypes = () if _name.startswith(("airy", "bessel")) else ("float64",)
    _call, _name = special(_name), f"special_{_name}"
    sample(_name, _call, floats(3, 4, low=0.1, high=6), grad=False, dtypes=_dtypes)
    sample(_name, _call, floats(3, 4, low=-20, high=20, t=True), grad=False, tolerance=2e-5, dtypes=_dtypes)
    sample(_name, _call, _edges, grad=False, tolerance=2e-5, dtypes=_dtypes)
    sample(_name, _call, floats(low=1, high=2), grad=False, dtypes=_dtypes)
    sample(_name, _call, floats(0, 3), grad=False)
    sample(_name, _call, ints(4, low=0, high=5), grad=False)
    sample(_name, _call, bools(4), grad=False)

POLYNOMIALS = (*(f"{s}chebyshev_polynomial_{k}" for s in ("", "shifted_") for k in "tuvw"), "hermite_polynomial_h",
               "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p")
for _name in POLYNOMIALS:
    _op = f"special_{_name}"
    for _n in (-1, 0, 1, 2, 4.7, 12):
        sample(_op, special(_name, _n), floats(3, 4, low=-1.2, high=1.2), grad=False, tolerance=5e-5)
    sample(_op, special(_name), floats(3, 1, low=-0.9, high=1.4), ints(4, low=-1, high=12), grad=False, tolerance=5e-5)
    sample(_op, special(_name), floats(4, 3, t=True), floats(3, 1, 1, low=-2, high=7, seed=1), grad=False, tolerance=5e-5)
    sample(_op, lambda t, n, f=_name: getattr(t.special, f)(0.25, n), ints(6, low=0, high=15), grad=False, tolerance=5e-5)
    sample(_op, special(_name), ints(3), ints(3, low=0, high=4), grad=False)
    sample(_op, special(_name, 3), floats(), grad=False)
    sample(_op, special(_name, 3), floats(0, 2), grad=False)
    sample(_op, special(_name, 3), np.array([np.inf, -np.inf, np.nan], "f4"), grad=False)

HALF = ("float64", "float16", "bfloat16")
_values = np.array([0.0, -0.0, 1.0, -3.0, 100.25, np.inf, -np.inf, np.nan], "f4")
sample("frexp", lambda t, x: t.frexp(x), floats(3, 4), dtypes=HALF)
sample("frexp", lambda t, x: x.frexp(), floats(4, 3, t=True), dtypes=HALF)
sample("frexp", lambda t, x: t.frexp(x).mantissa, floats())
sample("frexp", lambda t, x: t.frexp(x), floats(0, 3))
sample("frexp", lambda t, x: t.frexp(x), _values, dtypes=HALF, grad=False)

for _a, _b in [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (3,)), ((0, 3), (3,)), ((), ())]:
    if _a != (3, 1) and _b != (3,):  # PyTorch warns if integers make the result larger than x
        sample("ldexp", lambda t, x, n: t.ldexp(x, n), floats(*_a), ints(*_b, low=0, high=6), dtypes=HALF)
    sample("ldexp", lambda t, x, y: x.ldexp(y), floats(*_a), floats(*_b, seed=1))
sample("ldexp", lambda t, x, n: t.ldexp(x, n), floats(3, 4), ints(4, low=0, high=6), dtypes=HALF)
sample("ldexp", lambda t, n, m: t.ldexp(n, m), ints(3, 4), ints(4))
sample("ldexp", lambda t, x, n: x.clone().ldexp_(n), floats(4, 3, t=True), ints(4, 3, low=0))
sample("ldexp", lambda t, x, n: t.ldexp(x, n), _values, ints(8), grad=False)
sample("ldexp", lambda t, x, n: t.ldexp(x, n), np.float32([1e-30, 1e30]), np.int32([200, -200]), grad=False)

for _a, _b in [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (3,)), ((0, 3), (3,)), ((), ())]:
    sample("nextafter", lambda t, x, y: t.nextafter(x, y), floats(*_a), floats(*_b, seed=1), dtypes=HALF, numeric=False, tolerance=2e-7)
    sample("heaviside", lambda t, x, y: t.heaviside(x.round(), y), floats(*_a), floats(*_b, seed=1), dtypes=HALF, grad=False)
sample("nextafter", lambda t, x, y: x.nextafter(y.double()), floats(3), floats(3, seed=1), grad=False, tolerance=0)
sample("nextafter", lambda t, x, y: x.clone().nextafter_(y), _values, _values[::-1].copy(), grad=False, tolerance=0)
sample("heaviside", lambda t, n, m: n.heaviside(m), ints(4, 3, low=-1, high=2), ints(3))
sample("heaviside", lambda t, n, m: t.heaviside(n, m), bools(6), bools(6, seed=1))
sample("heaviside", lambda t, x, y: x.clone().heaviside_(y), _values, floats(8), grad=False)
