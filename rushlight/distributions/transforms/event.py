"""Transforms that change which dims count as an event."""

from rushlight.distributions import constraints
from rushlight.distributions.transforms.base import Transform
from rushlight.distributions.utils import sum_rightmost
from rushlight.tensor import Size

__all__ = ["IndependentTransform", "ReshapeTransform"]


class IndependentTransform(Transform):
    """A transform whose rightmost batch dims count as parts of an event.

    Args:
        base_transform: The transform whose dims are counted anew.
        reinterpreted_batch_ndims: How many of its batch dims become part of an event.

    >>> import rushlight as torch
    >>> t = torch.distributions.transforms
    >>> x = torch.ones(2, 3)
    >>> t.IndependentTransform(t.ExpTransform(), 1).log_abs_det_jacobian(x, x.exp())
    tensor([3., 3.])
    """

    def __init__(self, base_transform, reinterpreted_batch_ndims, cache_size=0):
        super().__init__(cache_size=cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        if self._cache_size == cache_size:
            return self
        return IndependentTransform(self.base_transform, self.reinterpreted_batch_ndims, cache_size)

    @constraints.dependent_property(is_discrete=False)
    def domain(self):
        """The base's domain, for events of more dims."""
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self):
        """The base's codomain, for events of more dims."""
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    @property
    def bijective(self):
        """Whether the base is bijective."""
        return self.base_transform.bijective

    @property
    def sign(self):
        """The base's sign."""
        return self.base_transform.sign

    def _call(self, x):
        _require_dims("IndependentTransform", x.shape, self.domain.event_dim)
        return self.base_transform(x)

    def _inverse(self, y):
        _require_dims("IndependentTransform", y.shape, self.codomain.event_dim)
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x, y):
        """The base's ``log_abs_det_jacobian``, summed over the reinterpreted dims."""
        found = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(found, self.reinterpreted_batch_ndims)

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape):
        """The shape of x from that of y."""
        return self.base_transform.inverse_shape(shape)

    def __repr__(self):
        return f"IndependentTransform({self.base_transform!r}, {self.reinterpreted_batch_ndims})"


def _require_dims(name, shape, ndim):
    if len(shape) < ndim:
        raise ValueError(f"{name}: an event has {ndim} dims, the value's shape is {tuple(shape)}")


class ReshapeTransform(Transform):
    """Change the shape of events from ``in_shape`` to ``out_shape``.

    Args:
        in_shape: The shape of one event of x.
        out_shape: The shape of one event of y, with as many elements.

    Raises:
        ValueError: the shapes have different numbers of elements.

    >>> import rushlight as torch
    >>> torch.distributions.ReshapeTransform((2, 3), (6,))(torch.zeros(4, 2, 3)).shape
    torch.Size([4, 6])
    """

    bijective = True

    def __init__(self, in_shape, out_shape, cache_size=0):
        self.in_shape = Size(in_shape)
        self.out_shape = Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError(
                f"ReshapeTransform: in_shape {tuple(in_shape)} and out_shape {tuple(out_shape)} "
                "have different numbers of elements"
            )
        super().__init__(cache_size=cache_size)

    @constraints.dependent_property
    def domain(self):
        """All numbers, of the dims of ``in_shape``."""
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property
    def codomain(self):
        """All numbers, of the dims of ``out_shape``."""
        return constraints.independent(constraints.real, len(self.out_shape))

    def with_cache(self, cache_size=1):
        """The same transform with another ``cache_size``."""
        if self._cache_size == cache_size:
            return self
        return ReshapeTransform(self.in_shape, self.out_shape, cache_size)

    def _call(self, x):
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y):
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x, y):
        """Zeros, because reshaping does not change volumes."""
        return x.new_zeros(x.shape[: x.ndim - len(self.in_shape)])

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        return self._exchanged(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape):
        """The shape of x from that of y."""
        return self._exchanged(shape, self.out_shape, self.in_shape)

    @staticmethod
    def _exchanged(shape, old, new):
        _require_dims("ReshapeTransform", shape, len(old))
        cut = len(shape) - len(old)
        if tuple(shape[cut:]) != tuple(old):
            raise ValueError(f"ReshapeTransform: shape {tuple(shape)} must end in {tuple(old)}")
        return Size(shape[:cut]) + new
