"""KL(p ‖ q) of two distributions of one family."""

import rushlight
from rushlight.autograd.mode import enable_grad
from rushlight.distributions.bernoulli import Bernoulli
from rushlight.distributions.beta import Beta
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.cauchy import Cauchy
from rushlight.distributions.continuous_bernoulli import ContinuousBernoulli
from rushlight.distributions.dirichlet import Dirichlet
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.geometric import Geometric
from rushlight.distributions.gumbel import Gumbel
from rushlight.distributions.half_normal import HalfNormal
from rushlight.distributions.independent import Independent
from rushlight.distributions.kl.registry import kl_divergence, register_kl
from rushlight.distributions.laplace import Laplace
from rushlight.distributions.normal import Normal
from rushlight.distributions.one_hot_categorical import OneHotCategorical
from rushlight.distributions.pareto import Pareto
from rushlight.distributions.poisson import Poisson
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.uniform import Uniform
from rushlight.distributions.utils import euler_constant, sum_rightmost
from rushlight.nn.functional import softplus

__all__ = ["weighted"]

inf = rushlight.inf


def weighted(probs, logarithm, impossible):
    """probs · logarithm: one event's term of KL(p ‖ q).

    The term is infinite where the event is ``impossible`` under q. It is 0 for every q where the
    event has probability 0 under p.
    """
    return (probs * logarithm).masked_fill(impossible, inf).masked_fill(probs == 0, 0)


@register_kl(Bernoulli, Bernoulli)
def bernoulli(p, q):
    """The terms of the two events, 1 and 0."""
    ones = weighted(p.probs, softplus(-q.logits) - softplus(-p.logits), q.probs == 0)
    zeros = weighted(1 - p.probs, softplus(q.logits) - softplus(p.logits), q.probs == 1)
    return ones + zeros


@register_kl(Binomial, Binomial)
def binomial(p, q):
    """The number of trials times the divergence of one trial; infinite if p has more trials.

    Raises:
        NotImplementedError: p has fewer trials than q.
    """
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "kl_divergence(Binomial, Binomial): p has fewer trials than q, and no closed form"
        )
    one = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return (p.total_count * one).masked_fill(p.total_count > q.total_count, inf)


@register_kl(Categorical, Categorical)
def categorical(p, q):
    """Σ p log(p / q)."""
    return weighted(p.probs, p.logits - q.logits, q.probs == 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def one_hot_categorical(p, q):
    """The divergence of the two ``Categorical`` distributions."""
    return categorical(p._categorical, q._categorical)


@register_kl(Geometric, Geometric)
def geometric(p, q):
    """Computed from the entropy and the mean of p."""
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def poisson(p, q):
    """λ log(λ / μ) - (λ - μ)."""
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Beta, Beta)
def beta(p, q):
    """The divergence of two Dirichlet distributions with two categories."""
    return dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def dirichlet(p, q):
    """log B(β) - log B(α) + Σ (αᵢ - βᵢ)(ψ(αᵢ) - ψ(Σα))."""
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    normalizers = total.lgamma() - b.sum(-1).lgamma() + (b.lgamma() - a.lgamma()).sum(-1)
    return normalizers + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def continuous_bernoulli(p, q):
    """Computed from the mean of p and the normalizers of p and q."""
    of_p = p._log_norm() + (-p.probs).log1p()
    of_q = q._log_norm() + (-q.probs).log1p()
    return p.mean * (p.logits - q.logits) + of_p - of_q


@register_kl(Exponential, Exponential)
def exponential(p, q):
    """r - 1 - log r, for the ratio r of the rates."""
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def exponential_family(p, q):
    """The Bregman divergence of the log normalizer (Nielsen and Nock 2010).

    Raises:
        NotImplementedError: p and q are of different families.
    """
    if type(p) is not type(q):
        raise NotImplementedError(
            f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}"
        )
    theta = [t.detach().requires_grad_() for t in p._natural_params]
    with enable_grad():
        normalizer = p._log_normalizer(*theta)
        slopes = rushlight.autograd.grad(normalizer.sum(), theta, create_graph=True)
    found = q._log_normalizer(*q._natural_params) - normalizer
    for of_q, of_p, slope in zip(q._natural_params, theta, slopes, strict=True):
        found = found - sum_rightmost((of_q - of_p) * slope, len(q.event_shape))
    return found


@register_kl(Gamma, Gamma)
def gamma(p, q):
    """Computed from the means of x and log x under p."""
    a, b = p.concentration, q.concentration
    return (
        b * (p.rate / q.rate).log()
        + (b.lgamma() - a.lgamma())
        + (a - b) * a.digamma()
        + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Gumbel, Gumbel)
def gumbel(p, q):
    """Computed from the means of x and e^(-x/scale) under p."""
    ratio, gap = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return (
        -ratio.log() + gap + ratio * euler_constant
        + ((1 + ratio).lgamma() - gap).exp() - (1 + euler_constant)
    )  # fmt: skip


@register_kl(Normal, Normal)
def normal(p, q):
    """½(r + d² - 1 - log r), for the ratio r of the variances and the distance d in q's scale."""
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def half_normal(p, q):
    """The divergence of the two whole normal distributions."""
    return normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def laplace(p, q):
    """Computed from the mean distance of x from q's centre, for x drawn from p."""
    ratio, gap = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + gap / q.scale + ratio * (-gap / p.scale).exp() - 1


@register_kl(Cauchy, Cauchy)
def cauchy(p, q):
    """log(((σ + τ)² + d²) / (4στ)), of F. Chyzak and F. Nielsen, arXiv:1905.10965."""
    gap = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return gap.log() - (4 * p.scale * q.scale).log()


@register_kl(Pareto, Pareto)
def pareto(p, q):
    """Computed from the mean of log x under p; infinite where p begins below q's ``scale``."""
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return found.masked_fill(p.scale < q.scale, inf)


@register_kl(Uniform, Uniform)
def uniform(p, q):
    """The logarithm of (length of q / length of p); infinite where p reaches beyond q."""
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return found.masked_fill((q.low > p.low) | (q.high < p.high), inf)


@register_kl(TransformedDistribution, TransformedDistribution)
def transformed(p, q):
    """The divergence of the base distributions, because a bijection does not change it.

    Raises:
        NotImplementedError: the transforms or the event shapes differ.
    """
    if p.transforms != q.transforms:
        raise NotImplementedError("kl_divergence: two different transforms, and no closed form")
    if p.event_shape != q.event_shape:
        raise NotImplementedError(
            f"kl_divergence: the event shapes {tuple(p.event_shape)} and {tuple(q.event_shape)} "
            "differ"
        )
    found = kl_divergence(p.base_dist, q.base_dist)
    return sum_rightmost(found, len(p.event_shape) - len(p.base_dist.event_shape))


@register_kl(Independent, Independent)
def independent(p, q):
    """The divergence of the base distributions, summed over an event.

    Raises:
        NotImplementedError: p and q reinterpret different numbers of dims.
    """
    dims = p.reinterpreted_batch_ndims
    if dims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            f"kl_divergence: {dims} and {q.reinterpreted_batch_ndims} reinterpreted dims differ"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), dims)
