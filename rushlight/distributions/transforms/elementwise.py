"""Transforms of each element by itself."""

import math
from typing import Any

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.transforms.base import Transform
from rushlight.distributions.utils import lazy_property, sum_rightmost
from rushlight.nn.functional import softplus
from rushlight.tensor import Tensor

__all__ = [
    "AbsTransform", "AffineTransform", "CumulativeDistributionTransform", "ExpTransform",
    "PowerTransform", "SigmoidTransform", "SoftplusTransform", "TanhTransform", "clipped_sigmoid",
]  # fmt: skip


class _Alike(Transform):
    """A transform without parameters. Two transforms of the same class are therefore equal."""

    def __eq__(self, other):
        return type(self) is type(other)


class ExpTransform(_Alike):
    """y = eˣ.

    >>> import rushlight as torch
    >>> torch.distributions.ExpTransform()(torch.zeros(1))
    tensor([1.])
    """

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x):
        return x.exp()

    def _inverse(self, y):
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        """x."""
        return x


class PowerTransform(Transform):
    """y = x to an exponent, for positive x.

    Args:
        exponent: Tensor that broadcasts with x, or a number other than 0.

    >>> import rushlight as torch
    >>> torch.distributions.PowerTransform(torch.tensor(2.0))(torch.tensor([3.0]))
    tensor([9.])
    """

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True
    exponent: Any

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size=cache_size)
        self.exponent = exponent if isinstance(exponent, Tensor) else rushlight.tensor(exponent)

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        return self if self._cache_size == cache_size else PowerTransform(self.exponent, cache_size)

    @lazy_property
    def sign(self):
        """The exponent's sign."""
        return self.exponent.sign()

    def __eq__(self, other):
        return isinstance(other, PowerTransform) and _all_equal(self.exponent, other.exponent)

    def _call(self, x):
        return x.pow(self.exponent)

    def _inverse(self, y):
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        """log |exponent · y / x|."""
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        return rushlight.broadcast_shapes(shape, self.exponent.shape)

    inverse_shape = forward_shape


def clipped_sigmoid(x):
    """The sigmoid of x, clamped so that rounding never makes it 0 or 1."""
    limits = rushlight.finfo(x.dtype)
    return x.sigmoid().clamp(min=limits.tiny, max=1 - limits.eps)


class SigmoidTransform(_Alike):
    """y = 1 / (1 + e⁻ˣ).

    >>> import rushlight as torch
    >>> torch.distributions.SigmoidTransform()(torch.zeros(1))
    tensor([0.5000])
    """

    domain = constraints.real
    codomain = constraints.unit_interval
    bijective = True
    sign = 1

    def _call(self, x):
        return clipped_sigmoid(x)

    def _inverse(self, y):
        limits = rushlight.finfo(y.dtype)
        y = y.clamp(min=limits.tiny, max=1 - limits.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x, y):
        """log y + log(1 - y)."""
        return -softplus(-x) - softplus(x)


class SoftplusTransform(_Alike):
    """y = log(1 + eˣ).

    >>> import rushlight as torch
    >>> torch.distributions.SoftplusTransform()(torch.zeros(1))
    tensor([0.6931])
    """

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x):
        return softplus(x)

    def _inverse(self, y):
        return (-(-y).expm1()).log() + y

    def log_abs_det_jacobian(self, x, y):
        """The logarithm of the sigmoid of x."""
        return -softplus(-x)


class TanhTransform(_Alike):
    """y = tanh x.

    The inverse is inaccurate for values near ±1. With ``cache_size=1``, the inverse of the value
    computed last is exact.

    >>> import rushlight as torch
    >>> torch.distributions.TanhTransform()(torch.zeros(1))
    tensor([0.])
    """

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = 1

    def _call(self, x):
        return x.tanh()

    def _inverse(self, y):
        return rushlight.atanh(y)

    def log_abs_det_jacobian(self, x, y):
        """log(1 - y²), from x."""
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class AbsTransform(_Alike):
    """y = |x|, which is not bijective; its inverse gives the positive x.

    >>> import rushlight as torch
    >>> torch.distributions.AbsTransform()(torch.tensor([-1.0]))
    tensor([1.])
    """

    domain = constraints.real
    codomain = constraints.positive

    def _call(self, x):
        return x.abs()

    def _inverse(self, y):
        return y


class AffineTransform(Transform):
    """y = loc + scale · x.

    Args:
        loc, scale: Numbers or tensors that broadcast with x.
        event_dim: How many dims make one event. Default: 0, each element is one.

    >>> import rushlight as torch
    >>> torch.distributions.AffineTransform(1.0, 2.0)(torch.tensor([3.0]))
    tensor([7.])
    """

    bijective = True

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size=cache_size)
        self.loc = loc
        self.scale = scale
        self._event_dim = event_dim

    @property
    def event_dim(self):
        """How many dims make one event."""
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self):
        """All numbers, of ``event_dim`` dims."""
        return (
            constraints.independent(constraints.real, self.event_dim)
            if self.event_dim
            else (constraints.real)
        )

    codomain = domain

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        if self._cache_size == cache_size:
            return self
        return AffineTransform(self.loc, self.scale, self.event_dim, cache_size)

    def __eq__(self, other):
        return (
            isinstance(other, AffineTransform)
            and _all_equal(self.loc, other.loc)
            and _all_equal(self.scale, other.scale)
        )

    @property
    def sign(self):
        """The scale's sign."""
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return (self.scale > 0) - (self.scale < 0)

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        """log |scale|, for each element, summed over an event."""
        if isinstance(self.scale, Tensor):
            found = self.scale.abs().log()
        else:
            found = rushlight.full_like(x, math.log(abs(self.scale)))
        return sum_rightmost(found.expand(x.shape), self.event_dim)

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        sizes = [getattr(t, "shape", ()) for t in (self.loc, self.scale)]
        return rushlight.broadcast_shapes(shape, *sizes)

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """y = the cumulative probability of x under a distribution; the inverse gives quantiles.

    Args:
        distribution: A distribution with ``cdf`` and ``icdf``.

    >>> import rushlight as torch
    >>> d = torch.distributions
    >>> uniform = d.CumulativeDistributionTransform(d.Normal(0.0, 1.0))
    >>> uniform(torch.zeros(1))
    tensor([0.5000])
    """

    bijective = True
    codomain = constraints.unit_interval
    sign = 1

    def __init__(self, distribution, cache_size=0):
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    @property
    def domain(self):
        """The distribution's support."""
        return self.distribution.support

    def _call(self, x):
        return self.distribution.cdf(x)

    def _inverse(self, y):
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x, y):
        """The logarithm of the density at x."""
        return self.distribution.log_prob(x)

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        if self._cache_size == cache_size:
            return self
        return CumulativeDistributionTransform(self.distribution, cache_size)


def _all_equal(a, b):
    """Whether two parameters agree in every element; each is a number or a tensor."""
    if a is not b and (isinstance(a, Tensor) or isinstance(b, Tensor)):
        return bool(rushlight.as_tensor(a == b).all())
    return a is b or a == b
