"""The normal distribution of vectors."""

import math

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import lazy_property
from rushlight.tensor import Size

__all__ = ["MultivariateNormal", "log_diagonal", "mahalanobis", "precision_to_scale_tril"]


def mahalanobis(L, x):
    """|L⁻¹x|², for lower triangular L (B…, N, N) and vectors x (S…, B…, N) → (S…, B…).

    Vectors that share a matrix are the columns of one system.
    """
    batch = L.ndim - 2
    cut = x.ndim - 1 - batch
    columns = x.reshape((-1, *x.shape[cut:])).movedim(0, -1)
    solved = rushlight.linalg.solve_triangular(L, columns, upper=False)
    return solved.square().sum(-2).movedim(-1, 0).reshape(x.shape[:-1])


def log_diagonal(L):
    """Σ log Lᵢᵢ: half the logarithm of the determinant of L·Lᵀ."""
    return L.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def precision_to_scale_tril(precision):
    """The Cholesky factor of the inverse of ``precision``.

    With rows and columns in the opposite order, precision = Uᵀ·U; then U⁻¹ is that factor.
    """
    factor = rushlight.linalg.cholesky(precision.flip((-2, -1)))
    U = factor.flip((-2, -1)).mT
    identity = rushlight.eye(precision.shape[-1], dtype=precision.dtype)
    return rushlight.linalg.solve_triangular(U, identity, upper=False)


def given_matrix(name, **matrices):
    """(name, matrix) of the one that is not None.

    Raises:
        ValueError: not exactly one is given, or it has fewer than two dims.
    """
    given = [(k, m) for k, m in matrices.items() if m is not None]
    if len(given) != 1:
        raise ValueError(
            f"{name}: give exactly one of covariance_matrix, precision_matrix and scale_tril, "
            f"got {[k for k, _ in given] or 'none'}"
        )
    key, matrix = given[0]
    if matrix.ndim < 2:
        raise ValueError(f"{name}: {key} must have at least two dims, got {tuple(matrix.shape)}")
    return key, matrix


class MultivariateNormal(Distribution):
    """Normal vectors of N elements.

    Args:
        loc: (…, N) the mean.
        covariance_matrix, precision_matrix, scale_tril: (…, N, N) one of them: the covariance, its
            inverse, or its Cholesky factor, which is the cheapest.

    Raises:
        ValueError: ``loc`` has no dims; not exactly one matrix is given.

    >>> import rushlight as torch
    >>> d = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> d.log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc,
        covariance_matrix=None,
        precision_matrix=None,
        scale_tril=None,
        validate_args=None,
    ):
        if loc.ndim < 1:
            raise ValueError("MultivariateNormal: loc must have at least one dim, got ()")
        key, matrix = given_matrix(
            "MultivariateNormal",
            covariance_matrix=covariance_matrix,
            precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        )
        batch = Size(rushlight.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1]))
        self.loc = loc.expand((*batch, -1))
        vars(self)[key] = matrix.expand((*batch, -1, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = scale_factor(key, matrix)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        return self._expanded(
            MultivariateNormal, batch_shape, _instance,
            _unbroadcasted_scale_tril=self._unbroadcasted_scale_tril,
            **self._expanded_parameters(batch_shape),
        )  # fmt: skip

    def _broadcast(self, matrix):
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self):
        """The Cholesky factor of the covariance."""
        return self._broadcast(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self):
        """The covariance."""
        L = self._unbroadcasted_scale_tril
        return self._broadcast(L @ L.mT)

    @lazy_property
    def precision_matrix(self):
        """The inverse of the covariance."""
        return self._broadcast(rushlight.cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def mean(self):
        """``loc``."""
        return self.loc

    @property
    def mode(self):
        """``loc``."""
        return self.loc

    @property
    def variance(self):
        """The diagonal of the covariance."""
        found = self._unbroadcasted_scale_tril.square().sum(-1)
        return found.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape=()):
        """loc + L·noise."""
        noise = rushlight.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self._unbroadcasted_scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value):
        """-½(N log 2π + log |Σ| + |L⁻¹(x - loc)|²)."""
        if self._validate_args:
            self._validate_sample(value)
        L = self._unbroadcasted_scale_tril
        distance = mahalanobis(L, value - self.loc)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - log_diagonal(L)

    def entropy(self):
        """½(N(1 + log 2π) + log |Σ|)."""
        n = self._event_shape[0]
        found = 0.5 * n * (1.0 + math.log(2 * math.pi)) + log_diagonal(
            self._unbroadcasted_scale_tril
        )
        return found.expand(self._batch_shape)


def scale_factor(key, matrix):
    """The Cholesky factor of the covariance, from the matrix that is called ``key``."""
    if key == "scale_tril":
        return matrix
    if key == "covariance_matrix":
        return rushlight.linalg.cholesky(matrix)
    return precision_to_scale_tril(matrix)
