"""The exponential distribution: waiting times."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import broadcast_all, validated

__all__ = ["Exponential"]


class Exponential(ExponentialFamily):
    """Waiting times for the next of events that occur at ``rate``.

    Args:
        rate: Number of events in a unit of time: a positive number or tensor ``(*)``.

    Raises:
        ValueError: ``rate`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Exponential(torch.tensor([2.0])).cdf(torch.tensor([1.0]))
    tensor([0.8647])
    """

    arg_constraints = {"rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.rate.reciprocal()

    @property
    def mode(self):
        return rushlight.zeros_like(self.rate)

    @property
    def stddev(self):
        return self.rate.reciprocal()

    @property
    def variance(self):
        return self.rate.pow(-2)

    def rsample(self, sample_shape=()):
        return self.rate.new_empty(self._extended_shape(sample_shape)).exponential_() / self.rate

    @validated
    def log_prob(self, value):
        return self.rate.log() - self.rate * value

    @validated
    def cdf(self, value):
        return 1 - (-self.rate * value).exp()

    def icdf(self, value):
        return -(-value).log1p() / self.rate

    def entropy(self):
        return 1 - self.rate.log()

    @property
    def _natural_params(self):
        return (-self.rate,)

    def _log_normalizer(self, x):
        return -(-x).log()
