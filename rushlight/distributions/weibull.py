"""The Weibull distribution: of lifetimes."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import AffineTransform, PowerTransform
from rushlight.distributions.utils import broadcast_all, euler_constant

__all__ = ["Weibull"]


class Weibull(TransformedDistribution):
    """Positive numbers, which exceed x with probability exp(-(x / scale)^concentration).

    Args:
        scale: The scale: a positive number or tensor ``(*)``.
        concentration: The shape of the density: a positive number or tensor, broadcast with
            ``scale``.

    Raises:
        ValueError: a parameter that is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Weibull(torch.tensor([2.0]), torch.tensor([1.0])).mean
    tensor([2.])
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = broadcast_all(scale, concentration)
        base = Exponential(rushlight.ones_like(self.scale), validate_args=validate_args)
        super().__init__(base, self._steps(), validate_args=validate_args)

    @property
    def concentration_reciprocal(self):
        """1 / ``concentration``."""
        return self.concentration.reciprocal()

    def _steps(self):
        power = PowerTransform(self.concentration_reciprocal)
        return [power, AffineTransform(loc=0, scale=self.scale)]

    def _moment(self, n):
        """The mean of (x / scale)^n."""
        return (1 + n * self.concentration_reciprocal).lgamma().exp()

    @property
    def mean(self):
        return self.scale * self._moment(1)

    @property
    def mode(self):
        k = self.concentration
        return self.scale * ((k - 1) / k) ** self.concentration_reciprocal

    @property
    def variance(self):
        return self.scale.square() * (self._moment(2) - self._moment(1).square())

    def entropy(self):
        inverse = self.concentration_reciprocal
        return euler_constant * (1 - inverse) + (self.scale * inverse).log() + 1
