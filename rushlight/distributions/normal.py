"""The normal distribution."""

from math import log, pi, sqrt

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import broadcast_all, expanded, validated

__all__ = ["Normal"]


class Normal(ExponentialFamily):
    """Normal numbers of mean ``loc`` and standard deviation ``scale``.

    Args:
        loc: The mean: a number or tensor ``(*)``.
        scale: The standard deviation: a positive number or tensor, broadcast with ``loc``.

    Raises:
        ValueError: ``scale`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Normal(0.0, 2.0).log_prob(torch.tensor([0.0, 2.0]))
    tensor([-1.6121, -2.1121])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.loc

    @property
    def mode(self):
        return self.loc

    @property
    def stddev(self):
        return self.scale

    @property
    def variance(self):
        return self.scale.square()

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return rushlight.normal(expanded(self.loc, shape), expanded(self.scale, shape))

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        noise = rushlight.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + noise * self.scale

    @validated
    def log_prob(self, value):
        distance = (value - self.loc).square() / (2 * self.variance)
        return -distance - self.scale.log() - log(sqrt(2 * pi))

    @validated
    def cdf(self, value):
        return 0.5 * (1 + ((value - self.loc) / self.scale / sqrt(2)).erf())

    def icdf(self, value):
        return self.loc + self.scale * (2 * value - 1).erfinv() * sqrt(2)

    def entropy(self):
        return 0.5 + 0.5 * log(2 * pi) + self.scale.log()

    @property
    def _natural_params(self):
        return self.loc / self.variance, -0.5 / self.variance

    def _log_normalizer(self, x, y):
        return -0.25 * x.square() / y + 0.5 * (-pi / y).log()
