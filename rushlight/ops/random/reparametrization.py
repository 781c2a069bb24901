"""How samples move with the parameters of their distribution, by implicit reparametrisation.

A sample keeps its quantile F(x) when a parameter changes, so dx/dα = -(∂F/∂α) / (∂F/∂x). With a
variable z of x in which the density is e^h(z), h concave, and with h(z) = α A(z) + ..., that is

    dz/dα = -∫ (A(t) - E[A]) exp(h(t) - h(z)) dt  over t from -∞ to z

or the same with the other sign from z to ∞. Of the two the one is taken along which h falls: its
integrand is 1 at z and smooth, and Gauss's rule gives ten digits on a range where it has gone.

Source: Figurnov, Mohamed and Mnih, Implicit reparameterization gradients, NeurIPS 2018.
"""

import numpy as np

__all__ = ["beta_slope", "gamma_slope"]

DROP = 40.0  # how far h falls over the range of integration at least: e^-40 is nothing
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
# For the integral over [0, 1] in u of 2u f(u²): close to z the nodes are dense.
PLACES, WEIGHTS = ((1 + NODES) / 2) ** 2, (1 + NODES) / 2 * WEIGHTS
CHUNK = 1 << 12  # samples at a time


def _slope(score, fall, side):
    """dz/dα, where ``score(s)`` is A - E[A] and ``fall(s)`` what h has fallen, s from z."""
    reach = np.ones_like(side)
    while (far := fall(reach) > DROP).any() and reach[far].min() > 1e-300:
        reach[far] /= 2
    while (near := fall(2 * reach) <= DROP).any() and reach[near].max() < 1e300:
        reach[near] *= 2
    s = 2 * reach * PLACES[:, None]
    return side * 2 * reach * (WEIGHTS[:, None] * score(s) * np.exp(-fall(s))).sum(0)


def gamma_slope(shape, x):
    """dx/dα of a gamma number ``x`` of rate 1 and the given ``shape`` α: arrays of one shape.

    With z = log x, h(z) = αz - e^z and A(z) = z.
    """
    from scipy.special import digamma

    def slope(a, x):
        side = np.where(x < a, -1.0, 1.0)
        mean = np.log(x) - digamma(a)
        found = _slope(
            lambda s: mean + side * s, lambda s: x * np.expm1(side * s) - a * side * s, side
        )
        return x * found

    return _by_chunks(slope, shape, x)


def beta_slope(x, alpha, beta):
    """dx/dα / (1 - x) of a beta number ``x`` of parameters α and β: arrays of one shape.

    With z = log(x / (1 - x)), h(z) = α log x + β log(1 - x) and A(z) = log x.
    """
    from scipy.special import digamma

    def slope(x, a, b):
        rest = 1 - x
        falling = x * b < a * rest  # from z down
        side = np.where(falling, -1.0, 1.0)
        mean = np.log(x) - digamma(a) + digamma(a + b)

        def total(s):
            """log(x e^±s + 1 - x): what log(1 - x) loses on the way from z to z ± s."""
            return np.log1p(np.where(falling, x, rest) * np.expm1(-s)) + np.where(falling, 0, s)

        found = _slope(
            lambda s: mean + side * s - total(s), lambda s: (a + b) * total(s) - a * side * s, side
        )
        return x * found

    return _by_chunks(slope, x, alpha, beta)


def _by_chunks(slope, *arrays):
    flat = [a.astype(np.float64).reshape(-1) for a in arrays]
    out = np.empty_like(flat[0])
    with np.errstate(all="ignore"):
        for start in range(0, len(out), CHUNK):
            part = slice(start, start + CHUNK)
            out[part] = slope(*[a[part] for a in flat])
    return out.reshape(arrays[0].shape)
