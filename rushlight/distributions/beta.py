"""The beta distribution, over numbers between 0 and 1."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.dirichlet import Dirichlet
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import broadcast_all, validated
from rushlight.tensor import Size

__all__ = ["Beta"]


class Beta(ExponentialFamily):
    """Numbers x between 0 and 1: the first of two coordinates of a Dirichlet distribution.

    Args:
        concentration1: The power of x in the density, plus 1: a positive number or tensor ``(*)``.
        concentration0: The power of 1 - x in the density, plus 1: a positive number or tensor,
            broadcast with ``concentration1``.

    Raises:
        ValueError: a concentration that is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Beta(torch.tensor([3.0]), torch.tensor([1.0])).mean
    tensor([0.7500])
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        both = rushlight.stack(broadcast_all(concentration1, concentration0), -1)
        self._dirichlet = Dirichlet(both, validate_args=validate_args)
        super().__init__(self._dirichlet.batch_shape, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        shape = Size(batch_shape)
        return self._expanded(Beta, shape, _instance, _dirichlet=self._dirichlet.expand(shape))

    @property
    def concentration1(self):
        """The power of x in the density, plus 1."""
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self):
        """The power of 1 - x in the density, plus 1."""
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self):
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self):
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self):
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    def rsample(self, sample_shape=()):
        return self._dirichlet.rsample(sample_shape).select(-1, 0)

    @validated
    def log_prob(self, value):
        return self._dirichlet.log_prob(rushlight.stack([value, 1.0 - value], -1))

    def entropy(self):
        return self._dirichlet.entropy()

    @property
    def _natural_params(self):
        return self.concentration1, self.concentration0

    def _log_normalizer(self, x, y):
        return x.lgamma() + y.lgamma() - (x + y).lgamma()
