"""The von Mises distribution: normal numbers on a circle."""

from math import log, pi

from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, validated
from rushlight.ops.elementwise.special import i0e, i1e
from rushlight.ops.random.distributions import angles

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles from [-π, π) around ``loc``; a larger ``concentration`` brings them closer to ``loc``.

    Args:
        loc: The mean angle, in radians: a number or tensor ``(*)``.
        concentration: How close the angles lie to ``loc``: a positive number or tensor, broadcast
            with ``loc``.

    Raises:
        ValueError: ``concentration`` is not positive.

    >>> import rushlight as torch
    >>> d = torch.distributions.VonMises(torch.tensor([0.0]), torch.tensor([2.0]))
    >>> d.variance
    tensor([0.3022])
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc, concentration, validate_args=None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self):
        """The mean direction."""
        return self.loc

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        """The circular variance: 1 less the length of the mean vector."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def sample(self, sample_shape=()):
        with no_grad():
            shape = self._extended_shape(sample_shape)
            loc, k = self.loc.double(), self.concentration.double()
            return ((angles(k.expand(shape)) + pi + loc) % (2 * pi) - pi).to(self.loc.dtype)

    @validated
    def log_prob(self, value):
        k = self.concentration
        return k * ((value - self.loc).cos() - 1) - i0e(k).log() - log(2 * pi)
