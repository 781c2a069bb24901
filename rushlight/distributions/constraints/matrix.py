"""Constraints of matrices."""

import rushlight
from rushlight.distributions.constraints.base import Constraint

__all__ = [
    "CorrCholesky", "LowerCholesky", "LowerTriangular", "PositiveDefinite",
    "PositiveSemidefinite", "Square", "Symmetric",
]  # fmt: skip


class LowerTriangular(Constraint):
    """Square matrices with zeros above the diagonal."""

    event_dim = 2

    def check(self, value):
        return (value.tril() == value).flatten(-2).all(-1)


class LowerCholesky(LowerTriangular):
    """Cholesky factors: lower triangular, with a positive diagonal."""

    def check(self, value):
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class CorrCholesky(LowerCholesky):
    """Cholesky factors of correlation matrices: their rows are of length 1."""

    def check(self, value):
        tolerance = rushlight.finfo(value.dtype).eps * value.shape[-1] * 10  # rounding of a row
        lengths = value.detach().square().sum(-1).sqrt()
        return super().check(value) & ((lengths - 1).abs() <= tolerance).all(-1)


class Square(Constraint):
    """Square matrices."""

    event_dim = 2

    def check(self, value):
        is_square = value.shape[-2] == value.shape[-1]
        return rushlight.full(
            value.shape[:-2], is_square, dtype=rushlight.bool, device=value.device
        )


class Symmetric(Square):
    """Symmetric matrices, up to 1e-6."""

    def check(self, value):
        square = super().check(value)
        if value.shape[-2] != value.shape[-1]:
            return square
        return rushlight.isclose(value, value.mT, atol=1e-6).all(-2).all(-1)


class PositiveSemidefinite(Symmetric):
    """Symmetric matrices without negative eigenvalues."""

    def check(self, value):
        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return (rushlight.linalg.eigvalsh(value) >= 0).all(-1)


class PositiveDefinite(Symmetric):
    """Symmetric matrices of positive eigenvalues."""

    def check(self, value):
        symmetric = super().check(value)
        positive = rushlight.linalg.cholesky_ex(value).info == 0
        # No branch, so that compiled functions check it. As in PyTorch, if some matrix is not
        # symmetric, the eigenvalues of the others are not looked at.
        return rushlight.where(symmetric.all(), positive, symmetric)
