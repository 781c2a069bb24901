"""The generalized Pareto distribution, over values above a high threshold."""

from math import inf, nan

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, validated
from rushlight.ops.elementwise.special import xlog1py

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Values above a threshold, with a tail that may be bounded, exponential or heavy.

    Args:
        loc: The threshold: a number or tensor ``(*)``.
        scale: The scale of the excesses over the threshold: a positive number or tensor, broadcast
            with ``loc``.
        concentration: The shape of the tail: a number or tensor, broadcast with ``loc``. The values
            are bounded if it is negative, and exponential if it is 0.

    Raises:
        ValueError: ``scale`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.GeneralizedPareto(0.0, 1.0, 0.5).mean
    tensor(2.)
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """Values from ``loc`` on; if ``concentration`` is negative, up to a bound."""
        bound = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, rushlight.where(self.concentration < 0, bound, inf))

    def _shapes(self):
        """Return (where the tail is exponential, the concentration with 1 at these places)."""
        c = self.concentration
        exponential = rushlight.isclose(c, rushlight.zeros_like(c))
        return exponential, rushlight.where(exponential, 1, c)

    @property
    def mean(self):
        c = self.concentration
        return rushlight.where(c < 1, self.loc + self.scale / (1 - c), nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        c = self.concentration
        variance = self.scale.square() / ((1 - c).square() * (1 - 2 * c))
        return rushlight.where(c < 0.5, variance, nan)

    def rsample(self, sample_shape=()):
        return self.icdf(self.loc.new_empty(self._extended_shape(sample_shape)).uniform_())

    @validated
    def log_prob(self, value):
        z = (value - self.loc) / self.scale
        exponential, c = self._shapes()
        fall = xlog1py(1 / c + 1, c * z)
        return -self.scale.log() - rushlight.where(exponential, z, fall)

    @validated
    def log_survival_function(self, value):
        """The logarithm of the probability of more than ``value``.

        Args:
            value: Tensor that broadcasts with ``batch_shape``.

        Returns:
            Tensor of the shape to which ``value`` and ``batch_shape`` are broadcast.
        """
        z = (value - self.loc) / self.scale
        exponential, c = self._shapes()
        return rushlight.where(exponential, -z, -(c * z).log1p() / c)

    def log_cdf(self, value):
        """The logarithm of ``cdf``.

        Args:
            value: Tensor that broadcasts with ``batch_shape``.

        Returns:
            Tensor of the shape to which ``value`` and ``batch_shape`` are broadcast.
        """
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value):
        return self.log_cdf(value).exp()

    def icdf(self, value):
        exponential, c = self._shapes()
        log_rest = (-value).log1p()
        excess = rushlight.where(exponential, -log_rest, (-c * log_rest).expm1() / c)
        return self.loc + self.scale * excess

    def entropy(self):
        return self.scale.log() + self.concentration + 1
