"""The gamma distribution."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import broadcast_all, validated

__all__ = ["Gamma"]


class Gamma(ExponentialFamily):
    """Positive numbers of shape ``concentration`` and of scale 1 / ``rate``.

    Args:
        concentration: The shape of the density: a positive number or tensor ``(*)``.
        rate: 1 over the scale: a positive number or tensor, broadcast with ``concentration``.

    Raises:
        ValueError: a parameter that is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Gamma(torch.tensor([3.0]), torch.tensor([2.0])).mean
    tensor([1.5000])
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def mode(self):
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self):
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        value = rushlight._standard_gamma(self.concentration.expand(shape)) / self.rate.expand(
            shape
        )
        # Keep the numbers above 0, where the density may be infinite. ``detach`` keeps the clamp
        # out of the gradient.
        value.detach().clamp_(min=rushlight.finfo(value.dtype).tiny)
        return value

    def log_prob(self, value):
        return self._log_density(rushlight.as_tensor(value, dtype=self.rate.dtype))

    @validated
    def _log_density(self, value):
        a, rate = self.concentration, self.rate
        return rushlight.xlogy(a, rate) + rushlight.xlogy(a - 1, value) - rate * value - a.lgamma()

    @validated
    def cdf(self, value):
        return rushlight.igamma(self.concentration, self.rate * value)

    def entropy(self):
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()

    @property
    def _natural_params(self):
        return self.concentration - 1, -self.rate

    def _log_normalizer(self, x, y):
        return (x + 1).lgamma() - (x + 1) * (-y).log()
