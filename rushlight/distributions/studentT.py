"""Student's t distribution."""

from math import inf, lgamma, nan

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.chi2 import Chi2
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, validated

__all__ = ["StudentT"]


class StudentT(Distribution):
    """A normal number divided by an estimate of its deviation, then scaled and shifted.

    Args:
        df: The degrees of freedom of the estimate: a positive number or tensor ``(*)``.
        loc: The median: a number or tensor, broadcast with ``df``. Default: 0.
        scale: The factor of the ratio: a positive number or tensor, broadcast with ``df``.
            Default: 1.

    Raises:
        ValueError: ``df`` or ``scale`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.StudentT(torch.tensor([4.0])).variance
    tensor([2.])
    """

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.loc.masked_fill(self.df <= 1, nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        finite = self.scale.square() * self.df / (self.df - 2)
        return rushlight.where(self.df > 2, finite, inf).masked_fill(self.df <= 1, nan)

    def rsample(self, sample_shape=()):
        x = self.df.new_empty(self._extended_shape(sample_shape)).normal_()
        squares = Chi2(self.df, validate_args=False).rsample(sample_shape)
        return self.loc + self.scale * x * (squares / self.df).rsqrt()

    def _log_beta(self):
        """log B(1/2, df/2)."""
        half = 0.5 * self.df
        return half.lgamma() + lgamma(0.5) - (half + 0.5).lgamma()

    @validated
    def log_prob(self, value):
        y = (value - self.loc) / self.scale
        norm = self.scale.log() + 0.5 * self.df.log() + self._log_beta()
        return -0.5 * (self.df + 1) * (y.square() / self.df).log1p() - norm

    def entropy(self):
        half = 0.5 * self.df
        spread = (half + 0.5) * ((half + 0.5).digamma() - half.digamma())
        return self.scale.log() + spread + 0.5 * self.df.log() + self._log_beta()
