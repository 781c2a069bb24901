"""The half-normal distribution."""

from math import inf, log, pi, sqrt

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.normal import Normal
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import AbsTransform
from rushlight.distributions.utils import validated

__all__ = ["HalfNormal"]


class HalfNormal(TransformedDistribution):
    """The absolute value of a normal number around 0, of standard deviation ``scale``.

    Args:
        scale: The standard deviation of the normal number: a positive number or tensor ``(*)``.

    Raises:
        ValueError: ``scale`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        base = Normal(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    @property
    def scale(self):
        """The standard deviation of the whole normal distribution."""
        return self.base_dist.scale

    @property
    def mean(self):
        return self.scale * sqrt(2 / pi)

    @property
    def mode(self):
        return rushlight.zeros_like(self.scale)

    @property
    def variance(self):
        return self.scale.square() * (1 - 2 / pi)

    @validated
    def log_prob(self, value):
        return rushlight.where(value >= 0, self.base_dist.log_prob(value) + log(2), -inf)

    @validated
    def cdf(self, value):
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob):
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self):
        return self.base_dist.entropy() - log(2)
