"""Transform and its inverse."""

import weakref
from typing import Any

from rushlight.distributions import constraints

__all__ = ["Transform"]


class Transform:
    """The base class of transformations y = f(x) whose Jacobian's determinant is known.

    A subclass has ``domain`` and ``codomain`` (constraints) and ``bijective``, and defines
    ``_call``, ``_inverse`` and ``log_abs_det_jacobian``. A monotonic f also needs ``sign``.

    Args:
        cache_size: 1 to keep the last pair (x, y): the inverse of that very y is then x itself,
            without rounding errors. 0 to keep no pair.

    Raises:
        ValueError: ``cache_size`` is neither 0 nor 1.

    >>> import rushlight as torch
    >>> exp = torch.distributions.transforms.ExpTransform()
    >>> x = torch.zeros(2)
    >>> exp(x), exp.inv(exp(x))
    (tensor([1., 1.]), tensor([0., 0.]))
    """

    bijective: Any = False
    domain: Any
    codomain: Any

    def __init__(self, cache_size=0):
        if cache_size not in (0, 1):
            raise ValueError(f"{type(self).__name__}: cache_size must be 0 or 1, got {cache_size}")
        self._cache_size = cache_size
        self._cached = None, None
        self._inv: Any = None

    def __getstate__(self):
        return {**vars(self), "_inv": None, "_cached": (None, None)}

    @property
    def event_dim(self):
        """How many dims of x and of y are transformed together.

        Raises:
            ValueError: the numbers for x and y differ.
        """
        if self.domain.event_dim == self.codomain.event_dim:
            return self.domain.event_dim
        raise ValueError(
            f"{self!r} has no one event_dim: use .domain.event_dim or .codomain.event_dim"
        )

    @property
    def inv(self):
        """The inverse transform, whose own ``inv`` is this one."""
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = _InverseTransform(self)
            self._inv = weakref.ref(inverse)
        return inverse

    @property
    def sign(self) -> Any:
        """1 if f is increasing, -1 if f is decreasing; a number, or a tensor for a batch."""
        raise NotImplementedError

    def with_cache(self, cache_size=1):
        """Return the same transform with another ``cache_size``.

        Args:
            cache_size: As for the class. Default: 1.

        Returns:
            This transform, or a new one.
        """
        if self._cache_size == cache_size:
            return self
        if type(self).__init__ is Transform.__init__:
            return type(self)(cache_size=cache_size)
        raise NotImplementedError(f"{type(self)}.with_cache is not implemented")

    def __eq__(self, other):
        return self is other

    __hash__: Any = None

    def __ne__(self, other):
        return not self == other

    def __call__(self, x):
        """y of x."""
        if self._cache_size == 0:
            return self._call(x)
        if self._cached[0] is not x:
            self._cached = x, self._call(x)
        return self._cached[1]

    def _inv_call(self, y):
        """x of y."""
        if self._cache_size == 0:
            return self._inverse(y)
        if self._cached[1] is not y:
            self._cached = self._inverse(y), y
        return self._cached[0]

    def _call(self, x):
        """Compute y of x."""
        raise NotImplementedError

    def _inverse(self, y):
        """Compute x of y."""
        raise NotImplementedError

    def log_abs_det_jacobian(self, x, y):
        """Compute log |det dy/dx|.

        Args:
            x: Tensor of values in ``domain``.
            y: The tensor f(x).

        Returns:
            Tensor with one number for each event.
        """
        raise NotImplementedError

    def forward_shape(self, shape):
        """Compute the shape of y.

        Args:
            shape: The shape of x.

        Returns:
            The shape of y.
        """
        return shape

    def inverse_shape(self, shape):
        """Compute the shape of x.

        Args:
            shape: The shape of y.

        Returns:
            The shape of x.
        """
        return shape

    def __repr__(self):
        return f"{type(self).__name__}()"


class _InverseTransform(Transform):
    """The inverse of a transform, which holds the cache."""

    def __init__(self, transform):
        super().__init__(cache_size=transform._cache_size)
        self._inv = transform

    def __getstate__(self):
        return vars(self)

    @constraints.dependent_property(is_discrete=False)
    def domain(self):
        """The transform's codomain."""
        return self._inv.codomain

    @constraints.dependent_property(is_discrete=False)
    def codomain(self):
        """The transform's domain."""
        return self._inv.domain

    @property
    def bijective(self):
        """Whether the transform is bijective."""
        return self._inv.bijective

    @property
    def sign(self):
        """The transform's sign: the inverse increases if the transform increases."""
        return self._inv.sign

    @property
    def inv(self):
        """The transform whose inverse this is."""
        return self._inv

    def with_cache(self, cache_size=1):
        """The same inverse with another ``cache_size``."""
        return self.inv.with_cache(cache_size).inv

    def __eq__(self, other):
        return isinstance(other, _InverseTransform) and self._inv == other._inv

    def __call__(self, x):
        return self._inv._inv_call(x)

    def _inv_call(self, y):
        return self._inv(y)

    def log_abs_det_jacobian(self, x, y):
        """Minus the transform's ``log_abs_det_jacobian`` at the same pair of values."""
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape):
        """The shape of x from that of y."""
        return self._inv.forward_shape(shape)

    def __repr__(self):
        return f"_InverseTransform({self._inv!r})"
