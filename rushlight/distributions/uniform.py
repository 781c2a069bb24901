"""The uniform distribution over an interval."""

from math import nan, sqrt

from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, validated

__all__ = ["Uniform"]


class Uniform(Distribution):
    """Numbers from [``low``, ``high``), all with the same density.

    Args:
        low: The lower end, which is included: a number or tensor ``(*)``.
        high: The upper end, which is excluded: a number or tensor, broadcast with ``low``.

    Raises:
        ValueError: ``low`` is not below ``high``.

    >>> import rushlight as torch
    >>> torch.distributions.Uniform(0.0, 4.0).cdf(torch.tensor([1.0]))
    tensor([0.2500])
    """

    has_rsample = True

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)

    @property
    def arg_constraints(self):
        """``low`` must be below ``high``, and ``high`` above ``low``."""
        return {
            "low": constraints.less_than(self.high),
            "high": constraints.greater_than(self.low),
        }

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """From ``low`` to ``high``."""
        return constraints.interval(self.low, self.high)

    @property
    def mean(self):
        return (self.high + self.low) / 2

    @property
    def mode(self):
        return nan * self.high

    @property
    def stddev(self):
        return (self.high - self.low) / sqrt(12)

    @property
    def variance(self):
        return (self.high - self.low).square() / 12

    def rsample(self, sample_shape=()):
        u = self.low.new_empty(self._extended_shape(sample_shape)).uniform_()
        return self.low + u * (self.high - self.low)

    @validated
    def log_prob(self, value):
        inside = (self.low <= value) & (value < self.high)
        return inside.to(self.low.dtype).log() - (self.high - self.low).log()

    @validated
    def cdf(self, value):
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value):
        return value * (self.high - self.low) + self.low

    def entropy(self):
        return (self.high - self.low).log()
