"""The Cauchy distribution, which has no mean."""

from math import inf, log, nan, pi

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, validated

__all__ = ["Cauchy"]


class Cauchy(Distribution):
    """Numbers of median ``loc`` and half width ``scale``, such as the ratio of two normal numbers.

    Args:
        loc: The median: a number or tensor ``(*)``.
        scale: Half the width between the quartiles: a positive number or tensor, broadcast with
            ``loc``.

    Raises:
        ValueError: ``scale`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Cauchy(0.0, 1.0).cdf(torch.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7500])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self):
        return rushlight.full_like(self.loc, nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        return rushlight.full_like(self.loc, inf)

    def rsample(self, sample_shape=()):
        noise = self.loc.new_empty(self._extended_shape(sample_shape)).cauchy_()
        return self.loc + noise * self.scale

    @validated
    def log_prob(self, value):
        return -((value - self.loc) / self.scale).square().log1p() - self.scale.log() - log(pi)

    @validated
    def cdf(self, value):
        return ((value - self.loc) / self.scale).atan() / pi + 0.5

    def icdf(self, value):
        return (pi * (value - 0.5)).tan() * self.scale + self.loc

    def entropy(self):
        return self.scale.log() + log(4 * pi)
