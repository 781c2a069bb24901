"""Code for distributions that are given by a covariance, its inverse, or its Cholesky factor."""

import rushlight
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import lazy_property
from rushlight.tensor import Tensor

__all__ = ["OfCovariance", "given_matrix", "log_diagonal", "mahalanobis", "scale_factor"]


class OfCovariance(Distribution):
    """A distribution that holds the Cholesky factor of a covariance.

    The factor has only the batch dims of the given matrix, not those of the distribution.
    """

    _unbroadcasted_scale_tril: Tensor

    def _broadcast(self, matrix):
        n = self._event_shape[-1]
        return matrix.expand((*self._batch_shape, n, n))

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


def mahalanobis(L, x):
    """|L⁻¹x|², for lower triangular L (B…, N, N) and vectors x (S…, B…, N) → (S…, B…).

    All vectors x that share a matrix L are solved together, as the columns of one system.
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

    A Cholesky factorisation of ``precision`` with rows and columns in the opposite order gives a
    lower triangular U with precision = Uᵀ·U. U⁻¹ is then the Cholesky factor of the inverse.
    """
    factor = rushlight.linalg.cholesky(precision.flip((-2, -1)))
    U = factor.flip((-2, -1)).mT
    identity = rushlight.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return rushlight.linalg.solve_triangular(U, identity, upper=False)


def given_matrix(name, **matrices):
    """Return (name, matrix) of the only one of ``matrices`` that is not None.

    Raises:
        ValueError: not exactly one matrix is given, or the matrix has fewer than two dims.
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


def scale_factor(key, matrix):
    """The Cholesky factor of the covariance, from the parameter called ``key``."""
    if key == "scale_tril":
        return matrix
    if key == "covariance_matrix":
        return rushlight.linalg.cholesky(matrix)
    return precision_to_scale_tril(matrix)
