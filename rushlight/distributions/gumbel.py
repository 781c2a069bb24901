"""The Gumbel distribution: the largest of many numbers."""

from math import pi, sqrt

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import AffineTransform, ExpTransform
from rushlight.distributions.uniform import Uniform
from rushlight.distributions.utils import broadcast_all, euler_constant, validated

__all__ = ["Gumbel"]


class Gumbel(TransformedDistribution):
    """Largest values of many numbers, with mode ``loc`` and a spread in proportion to ``scale``.

    Args:
        loc: The mode: a number or tensor ``(*)``.
        scale: The spread: a positive number or tensor, broadcast with ``loc``.

    Raises:
        ValueError: ``scale`` is not positive.

    >>> import rushlight as torch
    >>> torch.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        limits = rushlight.finfo(self.loc.dtype)
        base = Uniform(
            rushlight.full_like(self.loc, limits.tiny),
            rushlight.full_like(self.loc, 1 - limits.eps),
            validate_args=validate_args,
        )
        super().__init__(base, _transforms(self.loc, self.scale), validate_args=validate_args)

    @validated
    def log_prob(self, value):
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    @property
    def mean(self):
        return self.loc + self.scale * euler_constant

    @property
    def mode(self):
        return self.loc

    @property
    def stddev(self):
        return pi / sqrt(6) * self.scale

    @property
    def variance(self):
        return self.stddev.square()

    def entropy(self):
        return self.scale.log() + (1 + euler_constant)


def _transforms(loc, scale):
    """The transforms that turn a uniform number u into loc - scale · log(-log u)."""
    negate = AffineTransform(loc=0, scale=-rushlight.ones_like(scale))
    return [ExpTransform().inv, negate, ExpTransform().inv, AffineTransform(loc, -scale)]
