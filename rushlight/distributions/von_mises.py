"""The von Mises distribution: normal numbers on a circle.

Source: Best and Fisher, Efficient simulation of the von Mises distribution, Applied Statistics 28
(1979), 152-157.
"""

from math import log, pi

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, validated
from rushlight.ops.special import i0e, i1e

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles from [-π, π) around ``loc``, the closer the larger ``concentration``.

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
        """By rejection from a wrapped Cauchy distribution, in double precision."""
        with no_grad():
            shape = self._extended_shape(sample_shape)
            loc, k = self.loc.double(), self.concentration.double()
            r = _proposal(k)
            angle = rushlight.zeros(shape, dtype=rushlight.float64)
            todo = rushlight.ones(shape, dtype=rushlight.bool)
            while todo.any():
                u, v, side = rushlight.rand((3, *shape), dtype=rushlight.float64)
                z = (pi * u).cos()
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accepted = (c * (2 - c) - v > 0) | ((c / v).log() + 1 - c >= 0)
                # PyTorch takes the latest that is accepted, also where one was before.
                angle = rushlight.where(accepted, (side - 0.5).sign() * f.acos(), angle)
                todo = todo & ~accepted
            return ((angle + pi + loc) % (2 * pi) - pi).to(self.loc.dtype)

    @validated
    def log_prob(self, value):
        k = self.concentration
        return k * ((value - self.loc).cos() - 1) - i0e(k).log() - log(2 * pi)


def _proposal(k):
    """The parameter of the wrapped Cauchy distribution that rejects least."""
    tau = 1 + (1 + 4 * k.square()).sqrt()
    rho = (tau - (2 * tau).sqrt()) / (2 * k)
    return rushlight.where(k < 1e-5, 1 / k + k, (1 + rho.square()) / (2 * rho))
