"""Derivatives of samples by their distribution's parameters, by implicit reparametrisation.

A sample x keeps its quantile F(x) when a parameter α changes, so dx/dα = -(∂F/∂α) / (∂F/∂x). Let z
be a variable of x whose density is proportional to e^h(z), with a concave h(z) = α A(z) + .... Then

    dz/dα = -∫ (A(t) - E[A]) exp(h(t) - h(z)) dt  over t from -∞ to z

or the same with the other sign over t from z to ∞. The code integrates on the side on which h
falls, because the exponential is 1 at z there, smooth, and falls to 0. Gauss-Legendre quadrature
over the range in which the exponential falls to e^-40 gives ten digits. For float32, ``short``, a
fall to e^-24 and fewer nodes give six.

``xp`` is NumPy or the namespace of a kernel, and all numbers are float64.

Source: Figurnov, Mohamed and Mnih, Implicit reparameterization gradients, NeurIPS 2018.
"""

from rushlight.ops.elementwise.incomplete_gamma import distance, excess, positive_root, quadrature

__all__ = ["beta_slope", "gamma_slope"]


def _precision(short):
    """(how far h falls over the range of integration, the nodes, their weights)."""
    return (24.0, *quadrature(28)) if short else (40.0, *quadrature(64))


def gamma_slope(xp, shape, x, digamma, short):
    """dx/dα of gamma samples ``x`` with rate 1 and the shape parameters α = ``shape``.

    With z = log x, h(z) = αz - e^z and A(z) = z. ``digamma`` is that of ``shape``.
    """
    drop, places, weights = _precision(short)
    side = xp.where(x < shape, -1.0, 1.0)
    mean = xp.log(x) - digamma
    reach = distance(xp, shape, x, side, drop)

    def value(place):
        s = side * reach * place
        return (mean + s) * xp.exp((shape - x) * s - x * excess(xp, s, short))

    found = side * reach * x * xp.weighted_sum(value, places, weights, mean)
    return xp.where(x == 0, 0.0, found)


def beta_slope(xp, x, alpha, beta, digammas, short):
    """dx/dα / (1 - x) of beta samples ``x`` with parameters α and β.

    With z = log(x / (1 - x)), h(z) = α log x + β log(1 - x) and A(z) = log x. ``digammas`` is that
    of α less that of α + β.
    """
    drop, places, weights = _precision(short)
    rest, total = 1 - x, alpha + beta
    falling = x * beta < alpha * rest  # h falls from z downwards, else upwards
    mean = xp.log(x) - digammas
    # At the distance s from z, h has fallen by p s + (α + β) log1p(q (e^-s - 1)).
    q, p = xp.where(falling, x, rest), xp.where(falling, alpha, beta)
    other, far = xp.where(falling, beta, alpha), xp.where(falling, rest, x)
    # A bound of log1p(...) + q s is q (1 - q) s² / (2 + (1 - q) s).
    steep = xp.maximum(p - total * q, 0.0)
    reach = positive_root(xp, far * (steep + total * q) / 2, steep - drop * far / 2, drop)
    # A step of a fixed point that stays above it.
    reach = xp.minimum(reach, xp.log1p(xp.expm1((drop + other * reach) / total) / far))
    shift = xp.where(falling, 1.0, 0.0)

    def value(place):
        s = reach * place
        log = xp.log1p(q * xp.expm1(-s))
        return (mean - log - shift * s) * xp.exp(-total * log - p * s)

    sign = xp.where(falling, -1.0, 1.0)
    found = sign * reach * x * xp.weighted_sum(value, places, weights, mean)
    return xp.where(x == 0, 0.0, found)
