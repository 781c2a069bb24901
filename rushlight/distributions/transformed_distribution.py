"""Distributions of f(x), for x of a known distribution."""

import math
from typing import Any

from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.independent import Independent
from rushlight.distributions.transforms import ComposeTransform, Transform
from rushlight.distributions.utils import sum_rightmost, validated
from rushlight.tensor import Size

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of f(x): log p(y) = log p(x) - log |det dy/dx|.

    Args:
        base_distribution: The distribution of x.
        transforms: A transform, or a list of transforms that are applied one after the other.

    Raises:
        ValueError: no transforms; the base has fewer dims than the transforms need.

    >>> import rushlight as torch
    >>> d = torch.distributions
    >>> log_normal = d.TransformedDistribution(d.Normal(0.0, 1.0), [d.ExpTransform()])
    >>> log_normal.log_prob(torch.tensor(1.0))
    tensor(-0.9189)
    """

    arg_constraints: Any = {}
    base_dist: Any

    def __init__(self, base_distribution, transforms, validate_args=None):
        transforms = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(transforms, list) or not all(
            isinstance(t, Transform) for t in transforms
        ):
            raise ValueError(
                f"TransformedDistribution: expected a Transform or a list of them, got {transforms}"
            )
        self.transforms = transforms
        whole = ComposeTransform(transforms)
        base, shape = _fitted(base_distribution, whole)
        event_dim = len(base_distribution.event_shape)
        event_dim += whole.codomain.event_dim - whole.domain.event_dim
        cut = len(shape) - max(whole.codomain.event_dim, event_dim)
        more = whole.domain.event_dim - len(base_distribution.event_shape)
        self.base_dist = Independent(base, more) if more > 0 else base
        super().__init__(Size(shape[:cut]), Size(shape[cut:]), validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        shape = batch_shape + self.event_shape
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        return self._expanded(
            self._owner(), batch_shape, _instance,
            base_dist=self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)]),
            transforms=self.transforms,
            **self._expanded_parameters(batch_shape),
        )  # fmt: skip

    @constraints.dependent_property(is_discrete=False)
    def support(self):
        """The values that the last transform can return."""
        if not self.transforms:
            return self.base_dist.support
        found = self.transforms[-1].codomain
        more = len(self.event_shape) - found.event_dim
        return constraints.independent(found, more) if more > 0 else found

    @property
    def has_rsample(self):
        """Whether the base distribution has ``rsample``."""
        return self.base_dist.has_rsample

    def sample(self, sample_shape=()):
        """Transformed samples of the base distribution."""
        with no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        """Transformed differentiable samples of the base distribution."""
        return self._forward(self.base_dist.rsample(sample_shape))

    def _forward(self, x):
        for t in self.transforms:
            x = t(x)
        return x

    @validated
    def log_prob(self, value):
        """The base's ``log_prob`` at x, less the logarithms of the Jacobians' determinants."""
        event_dim = len(self.event_shape)
        total = 0.0
        for t in reversed(self.transforms):
            x = t.inv(value)
            event_dim += t.domain.event_dim - t.codomain.event_dim
            slope = t.log_abs_det_jacobian(x, value)
            total = total - sum_rightmost(slope, event_dim - t.domain.event_dim)
            value = x
        base = self.base_dist.log_prob(value)
        return total + sum_rightmost(base, event_dim - len(self.base_dist.event_shape))

    def _flipped(self, p):
        """Return 1 - p where the transforms are decreasing, else p."""
        sign = math.prod(t.sign for t in self.transforms)
        if isinstance(sign, int) and sign == 1:
            return p
        return sign * (p - 0.5) + 0.5

    def cdf(self, value):
        """The base's ``cdf`` at x, or 1 less it where the transforms are decreasing."""
        for t in reversed(self.transforms):
            value = t.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._flipped(self.base_dist.cdf(value))

    def icdf(self, value):
        """The transformed quantile of the base."""
        return self._forward(self.base_dist.icdf(self._flipped(value)))


def _fitted(base, whole):
    """Return (the base, expanded to the shape that the transforms need; the result's shape)."""
    shape = base.batch_shape + base.event_shape
    if len(shape) < whole.domain.event_dim:
        raise ValueError(
            f"TransformedDistribution: the transforms need a base of at least "
            f"{whole.domain.event_dim} dims, got {base!r} of shape {tuple(shape)}"
        )
    made = whole.forward_shape(shape)
    wanted = Size(whole.inverse_shape(made))
    if wanted != shape:
        base = base.expand(wanted[: len(wanted) - len(base.event_shape)])
    return base, made
