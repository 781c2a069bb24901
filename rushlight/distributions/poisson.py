"""The Poisson distribution: the number of events that occur independently at a given rate."""

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import broadcast_all, validated

__all__ = ["Poisson"]


class Poisson(ExponentialFamily):
    """Counts of mean ``rate``.

    Args:
        rate: The mean, at least 0: a number or tensor ``(*)``.

    Raises:
        ValueError: a negative rate.

    >>> import rushlight as torch
    >>> torch.distributions.Poisson(torch.tensor([2.0])).log_prob(torch.tensor([0.0]))
    tensor([-2.])
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.rate

    @property
    def mode(self):
        return self.rate.floor()

    @property
    def variance(self):
        return self.rate

    def sample(self, sample_shape=()):
        with no_grad():
            return rushlight.poisson(self.rate.expand(self._extended_shape(sample_shape)))

    @validated
    def log_prob(self, value):
        rate, value = broadcast_all(self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()

    @property
    def _natural_params(self):
        return (self.rate.log(),)

    def _log_normalizer(self, x):
        return x.exp()
