"""KL(p ‖ q) of distributions of two families: -H(p) - E[log q(x)], for x drawn from p.

For each q, log q(x) is a sum of a few functions of x: x, x², log x, log(1 - x), e^(-tx), |x - c|.
``MEANS`` has the means of these functions under each p. ``LOG_DENSITY`` has, for each q, the mean
of log q(x) as a formula of those means. The two tables together cover all pairs of p and q.
"""

import math
from typing import Any

import rushlight
from rushlight.distributions.bernoulli import Bernoulli
from rushlight.distributions.beta import Beta
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.continuous_bernoulli import ContinuousBernoulli
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.gumbel import Gumbel
from rushlight.distributions.kl.registry import register_kl
from rushlight.distributions.laplace import Laplace
from rushlight.distributions.normal import Normal
from rushlight.distributions.pareto import Pareto
from rushlight.distributions.poisson import Poisson
from rushlight.distributions.uniform import Uniform

__all__ = ["MEANS", "LOG_DENSITY"]

inf = rushlight.inf

# Means under p --------------------------------------------------------------------------------


def _log_of_gamma(p):
    return p.concentration.digamma() - p.rate.log()


def _mean_xlogx(low, high):
    """The mean of log x, for x uniform between two numbers that are not negative."""
    return (rushlight.xlogy(high, high) - rushlight.xlogy(low, low)) / (high - low) - 1


#: class of p → {name of a function of x: formula of the function's mean}
MEANS: dict[type, dict[str, Any]] = {
    Beta: {
        "log": lambda p: (
            p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
        ),
    },
    Exponential: {
        "log": lambda p: -p.rate.log() - rushlight.distributions.utils.euler_constant,
        "exp": lambda p, t: p.rate / (p.rate + t),
    },
    Gamma: {
        "log": _log_of_gamma,
        "exp": lambda p, t: (1 + t / p.rate).pow(-p.concentration),
    },
    Normal: {
        "exp": lambda p, t: (0.5 * (t * p.scale).square() - t * p.loc).exp(),
        "distance": lambda p, c: _folded(p.loc - c, p.scale),
    },
    Pareto: {"log": lambda p: p.scale.log() + p.alpha.reciprocal()},
    Uniform: {
        "log": lambda p: _mean_xlogx(p.low, p.high),
        "log1m": lambda p: _mean_xlogx(1 - p.high, 1 - p.low),
        "exp": lambda p, t: ((-t * p.low).exp() - (-t * p.high).exp()) / (t * (p.high - p.low)),
    },
}


def _folded(loc, scale):
    """The mean of |x| under a normal distribution of mean ``loc`` and deviation ``scale``."""
    z = loc / scale
    return (
        scale * math.sqrt(2 / math.pi) * (-0.5 * z.square()).exp()
        + loc * (z * math.sqrt(0.5)).erf()
    )


def _square(p, centre):
    """The mean of (x - centre)² under p."""
    return p.variance + (p.mean - centre).square()


# The mean of log q(x) -------------------------------------------------------------------------


def _of_beta(p, q, mean):
    a, b = q.concentration1, q.concentration0
    normalizer = (a + b).lgamma() - a.lgamma() - b.lgamma()
    return (a - 1) * mean["log"](p) + (b - 1) * mean["log1m"](p) + normalizer


def _of_gamma(p, q, mean):
    a = q.concentration
    return a * q.rate.log() - a.lgamma() + (a - 1) * mean["log"](p) - q.rate * p.mean


def _of_gumbel(p, q, mean):
    t = q.scale.reciprocal()
    return -q.scale.log() - (p.mean - q.loc) * t - (q.loc * t).exp() * mean["exp"](p, t)


#: class of q → function that computes the mean of log q(x) from p, q and ``MEANS`` of p's class
LOG_DENSITY: dict[type, Any] = {
    Beta: _of_beta,
    ContinuousBernoulli: lambda p, q, mean: p.mean * q.logits + (-q.probs).log1p() + q._log_norm(),
    Exponential: lambda p, q, mean: q.rate.log() - q.rate * p.mean,
    Gamma: _of_gamma,
    Gumbel: _of_gumbel,
    Laplace: lambda p, q, mean: -(2 * q.scale).log() - mean["distance"](p, q.loc) / q.scale,
    Normal: lambda p, q, mean: (
        -0.5 * _square(p, q.loc) / q.scale.square() - (q.scale * math.sqrt(2 * math.pi)).log()
    ),
    Pareto: lambda p, q, mean: (
        q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * mean["log"](p)
    ),
    Poisson: lambda p, q, mean: p.mean * q.rate.log() - q.rate,  # log x! is 0, as x is 0 or 1
    Uniform: lambda p, q, mean: -(q.high - q.low).log(),
}

# Where the divergence is infinite -------------------------------------------------------------


def _beyond_uniform(p, q):
    """Whether p has values outside the interval of the uniform distribution q."""
    return (q.low > p.support.lower_bound) | (q.high < p.support.upper_bound)


def _beyond_unit(p, q):
    """Whether the uniform distribution p has values outside [0, 1]."""
    return (p.low < 0) | (p.high > 1)


#: (class of p, class of q) → function that returns where KL(p ‖ q) is infinite, although the
#: formula gives a number there. None if there are no such places.
PAIRS: dict[tuple[type, type], Any] = {
    (Bernoulli, Poisson): None,
    **{(Beta, q): None for q in (ContinuousBernoulli, Exponential, Gamma, Normal)},
    (Beta, Uniform): _beyond_uniform,
    **{(ContinuousBernoulli, q): None for q in (Exponential, Normal)},
    (ContinuousBernoulli, Uniform): _beyond_uniform,
    **{(Exponential, q): None for q in (Gamma, Gumbel, Normal)},
    **{(Gamma, q): None for q in (Exponential, Gumbel, Normal)},
    (Gumbel, Normal): None,
    (Laplace, Normal): None,
    **{(Normal, q): None for q in (Gumbel, Laplace)},
    **{(Pareto, q): lambda p, q: p.alpha <= 1 for q in (Exponential, Gamma)},
    (Pareto, Normal): lambda p, q: p.alpha <= 2,
    **{(Uniform, q): _beyond_unit for q in (Beta, ContinuousBernoulli)},
    **{(Uniform, q): lambda p, q: p.low < 0 for q in (Exponential, Gamma)},
    **{(Uniform, q): None for q in (Gumbel, Normal)},
    (Uniform, Pareto): lambda p, q: p.low < q.scale,
}

#: class of p → classes of q that exclude values of p, for all parameters: KL(p ‖ q) is infinite
INFINITE: dict[type, tuple] = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
    Poisson: (Bernoulli, Binomial),
}


def _formula(type_p, type_q, excluded):
    means, log_density = MEANS.get(type_p, {}), LOG_DENSITY[type_q]

    def divergence(p, q):
        found = -p.entropy() - log_density(p, q, means)
        return found if excluded is None else found.masked_fill(excluded(p, q), inf)

    return divergence


def _infinite(p, q):
    shape = rushlight.broadcast_shapes(p.batch_shape, q.batch_shape)
    return rushlight.full(shape, inf, dtype=p.mean.dtype, device=p.mean.device)


for (_p, _q), _excluded in PAIRS.items():
    register_kl(_p, _q)(_formula(_p, _q, _excluded))
for _p, _others in INFINITE.items():
    for _q in _others:
        register_kl(_p, _q)(_infinite)
