"""Transforms that are made of other transforms."""

import math
import weakref

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.transforms.base import Transform
from rushlight.distributions.utils import lazy_property, sum_rightmost

__all__ = ["CatTransform", "ComposeTransform", "StackTransform", "identity_transform"]


class ComposeTransform(Transform):
    """One transform after the other.

    Args:
        parts: A list of transforms; the first one is applied first.

    >>> import rushlight as torch
    >>> t = torch.distributions.transforms
    >>> t.ComposeTransform([t.ExpTransform(), t.AffineTransform(1.0, 2.0)])(torch.zeros(1))
    tensor([3.])
    """

    def __init__(self, parts, cache_size=0):
        if cache_size:
            parts = [part.with_cache(cache_size) for part in parts]
        super().__init__(cache_size=cache_size)
        self.parts = parts

    def __eq__(self, other):
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    @constraints.dependent_property(is_discrete=False)
    def domain(self):
        """The first part's domain, with as many event dims as all parts together need."""
        if not self.parts:
            return constraints.real
        event_dim = self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            gained = part.codomain.event_dim - part.domain.event_dim
            event_dim = max(event_dim - gained, part.domain.event_dim)
        return _widened(self.parts[0].domain, event_dim)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self):
        """The last part's codomain, with as many event dims as all parts together need."""
        if not self.parts:
            return constraints.real
        event_dim = self.parts[0].domain.event_dim
        for part in self.parts:
            gained = part.codomain.event_dim - part.domain.event_dim
            event_dim = max(event_dim + gained, part.codomain.event_dim)
        return _widened(self.parts[-1].codomain, event_dim)

    @lazy_property
    def bijective(self):
        """Whether all parts are bijective."""
        return all(part.bijective for part in self.parts)

    @lazy_property
    def sign(self):
        """The product of the parts' signs."""
        return math.prod(part.sign for part in self.parts)

    @property
    def inv(self):
        """The parts' inverses, in the opposite order."""
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = ComposeTransform([part.inv for part in reversed(self.parts)])
            self._inv, inverse._inv = weakref.ref(inverse), weakref.ref(self)
        return inverse

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        return self if self._cache_size == cache_size else ComposeTransform(self.parts, cache_size)

    def __call__(self, x):
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x, y):
        """The sum of the parts' ``log_abs_det_jacobian``, over each event."""
        if not self.parts:
            return rushlight.zeros_like(x)
        values = [x]
        for part in self.parts[:-1]:
            values.append(part(values[-1]))
        values.append(y)
        total, event_dim = 0, self.domain.event_dim
        for part, before, after in zip(self.parts, values[:-1], values[1:], strict=True):
            found = part.log_abs_det_jacobian(before, after)
            total = total + sum_rightmost(found, event_dim - part.domain.event_dim)
            event_dim += part.codomain.event_dim - part.domain.event_dim
        return total

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape):
        """The shape of x from that of y."""
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self):
        parts = ",\n    ".join([repr(part) for part in self.parts])
        return f"ComposeTransform(\n    {parts}\n)"


def _widened(constraint, event_dim):
    more = event_dim - constraint.event_dim
    return constraints.independent(constraint, more) if more else constraint


identity_transform = ComposeTransform([])


class _Parts(Transform):
    """Transforms of parts of a tensor along ``dim``. A subclass splits values into parts."""

    def __init__(self, tseq, dim=0, cache_size=0):
        for t in tseq:
            if not isinstance(t, Transform):
                raise AssertionError(
                    f"{type(self).__name__}: expected Transform objects, got {type(t).__name__}"
                )
        if cache_size:
            tseq = [t.with_cache(cache_size) for t in tseq]
        super().__init__(cache_size=cache_size)
        self.transforms = list(tseq)
        self.dim = dim

    @property
    def bijective(self):
        """Whether all parts are bijective."""
        return all(t.bijective for t in self.transforms)

    def _apart(self, value):
        """The part of ``value`` for each transform."""
        raise NotImplementedError

    def _pairs(self, value):
        if not -value.ndim <= self.dim < value.ndim:
            raise AssertionError(
                f"{type(self).__name__}: dim {self.dim} is none of a value of shape "
                f"{tuple(value.shape)}"
            )
        return zip(self.transforms, self._apart(value), strict=True)

    def _jacobians(self, x, y):
        pairs = zip(self._pairs(x), self._apart(y), strict=True)
        return [(t, t.log_abs_det_jacobian(part, made)) for (t, part), made in pairs]


class CatTransform(_Parts):
    """A transform for each of the parts that lie one after the other along ``dim``.

    Args:
        tseq: The transforms: a list, with one for each part.
        lengths: The parts' lengths along ``dim``, in elements. Default: 1 each.

    >>> import rushlight as torch
    >>> t = torch.distributions.transforms
    >>> t.CatTransform([t.ExpTransform(), t.identity_transform], lengths=[1, 2])(torch.zeros(3))
    tensor([1., 0., 0.])
    """

    def __init__(self, tseq, dim=0, lengths=None, cache_size=0):
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(
                f"CatTransform: {len(self.transforms)} transforms, {len(self.lengths)} lengths"
            )

    @lazy_property
    def event_dim(self):
        """The largest ``event_dim`` of the parts."""
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self):
        """The length of all parts together."""
        return sum(self.lengths)

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _apart(self, value):
        if value.shape[self.dim] != self.length:
            raise AssertionError(
                f"CatTransform: the parts' lengths add up to {self.length}, dim {self.dim} of the "
                f"value is {value.shape[self.dim]}"
            )
        return value.split(self.lengths, self.dim)

    def _call(self, x):
        return rushlight.cat([t(part) for t, part in self._pairs(x)], self.dim)

    def _inverse(self, y):
        return rushlight.cat([t.inv(part) for t, part in self._pairs(y)], self.dim)

    def log_abs_det_jacobian(self, x, y):
        """The parts' ``log_abs_det_jacobian``, side by side; summed if ``dim`` is an event dim."""
        found = [
            sum_rightmost(slope, self.event_dim - t.event_dim) for t, slope in self._jacobians(x, y)
        ]
        dim = self.dim - x.ndim if self.dim >= 0 else self.dim
        dim += self.event_dim
        return rushlight.cat(found, dim) if dim < 0 else sum(found)

    @constraints.dependent_property
    def domain(self):
        """The domains of the parts, along ``dim``."""
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self):
        """The codomains of the parts, along ``dim``."""
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_Parts):
    """A transform for each slice along ``dim``.

    Args:
        tseq: The transforms: a list, with one for each slice.

    >>> import rushlight as torch
    >>> t = torch.distributions.transforms
    >>> t.StackTransform([t.ExpTransform(), t.identity_transform])(torch.zeros(2))
    tensor([1., 0.])
    """

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        if self._cache_size == cache_size:
            return self
        return StackTransform(self.transforms, self.dim, cache_size)

    def _apart(self, value):
        if value.shape[self.dim] != len(self.transforms):
            raise AssertionError(
                f"StackTransform: {len(self.transforms)} transforms, but dim {self.dim} of the "
                f"value is {value.shape[self.dim]}"
            )
        return value.unbind(self.dim)

    def _call(self, x):
        return rushlight.stack([t(part) for t, part in self._pairs(x)], self.dim)

    def _inverse(self, y):
        return rushlight.stack([t.inv(part) for t, part in self._pairs(y)], self.dim)

    def log_abs_det_jacobian(self, x, y):
        """The slices' ``log_abs_det_jacobian``, stacked."""
        return rushlight.stack([slope for _, slope in self._jacobians(x, y)], self.dim)

    @constraints.dependent_property
    def domain(self):
        """The domains of the slices, along ``dim``."""
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self):
        """The codomains of the slices, along ``dim``."""
        return constraints.stack([t.codomain for t in self.transforms], self.dim)
