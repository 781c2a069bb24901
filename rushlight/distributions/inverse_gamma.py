"""The inverse gamma distribution: numbers whose inverse is a gamma number."""

from math import inf

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import PowerTransform

__all__ = ["InverseGamma"]


class InverseGamma(TransformedDistribution):
    """1 over gamma numbers of shape ``concentration`` and of scale 1 / ``rate``.

    Args:
        concentration: The shape of the gamma density: a positive number or tensor ``(*)``.
        rate: 1 over the gamma scale: a positive number or tensor, broadcast with ``concentration``.

    Raises:
        ValueError: a parameter that is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.InverseGamma(torch.tensor([3.0]), torch.tensor([2.0])).mean
    tensor([1.])
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        base = Gamma(concentration, rate, validate_args=validate_args)
        inverse = PowerTransform(-base.rate.new_ones(()))
        super().__init__(base, inverse, validate_args=validate_args)

    @property
    def concentration(self):
        """The shape of the gamma numbers."""
        return self.base_dist.concentration

    @property
    def rate(self):
        """The rate of the gamma numbers."""
        return self.base_dist.rate

    @property
    def mean(self):
        a = self.concentration
        return rushlight.where(a > 1, self.rate / (a - 1), inf)

    @property
    def mode(self):
        return self.rate / (self.concentration + 1)

    @property
    def variance(self):
        a = self.concentration
        finite = self.rate.square() / ((a - 1).square() * (a - 2))
        return rushlight.where(a > 2, finite, inf)

    def entropy(self):
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()
