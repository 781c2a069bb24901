"""Transforms to triangular and to positive-definite matrices."""

import math

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.transforms.base import Transform
from rushlight.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix
from rushlight.nn.functional import pad, softplus

__all__ = ["CorrCholeskyTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform"]


class LowerCholeskyTransform(Transform):
    """Turns any square matrix into a Cholesky factor: its lower triangle, with eˣ on the diagonal.

    >>> import rushlight as torch
    >>> torch.distributions.LowerCholeskyTransform()(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def __eq__(self, other):
        return isinstance(other, LowerCholeskyTransform)

    def _call(self, x):
        return x.tril(-1) + rushlight.diag_embed(x.diagonal(dim1=-2, dim2=-1).exp())

    def _inverse(self, y):
        return y.tril(-1) + rushlight.diag_embed(y.diagonal(dim1=-2, dim2=-1).log())


class PositiveDefiniteTransform(Transform):
    """Turns any square matrix into the positive-definite L·Lᵀ; L is its ``LowerCholeskyTransform``.

    >>> import rushlight as torch
    >>> torch.distributions.PositiveDefiniteTransform()(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def __eq__(self, other):
        return isinstance(other, PositiveDefiniteTransform)

    def _call(self, x):
        L = LowerCholeskyTransform()(x)
        return L @ L.mT

    def _inverse(self, y):
        return LowerCholeskyTransform().inv(rushlight.linalg.cholesky(y))


class CorrCholeskyTransform(Transform):
    """Turns N(N - 1)/2 numbers into the Cholesky factor of an N × N correlation matrix.

    tanh turns the numbers into partial correlations. Each row of the factor has length 1. In each
    row, from left to right, each partial correlation takes its share of the length that is left.

    Source: Stan reference manual, "Cholesky factors of correlation matrices"; D. Lewandowski,
    D. Kurowicka and H. Joe, J. Multivariate Analysis 100 (2009).

    >>> import rushlight as torch
    >>> torch.distributions.CorrCholeskyTransform()(torch.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x):
        eps = rushlight.finfo(x.dtype).eps
        partial = vec_to_tril_matrix(x.tanh().clamp(min=-1 + eps, max=1 - eps), diag=-1)
        left = (1 - partial**2).sqrt().cumprod(-1)  # of each row's length
        ones = rushlight.eye(partial.shape[-1], dtype=partial.dtype, device=partial.device)
        return (partial + ones) * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y):
        left = pad(_left_of_rows(y)[..., :-1], [1, 0], value=1)
        partial = tril_matrix_to_vec(y, -1) / tril_matrix_to_vec(left, -1).sqrt()
        return (partial.log1p() - (-partial).log1p()) / 2

    def log_abs_det_jacobian(self, x, y, intermediates=None):
        """½ Σ log(squared length that was left in a row) + Σ log(1 - tanh² x)."""
        of_rows = 0.5 * tril_matrix_to_vec(_left_of_rows(y), -2).log().sum(-1)
        of_tanh = -2 * (x + softplus(-2 * x) - math.log(2.0)).sum(-1)
        return of_rows + of_tanh

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        if not len(shape):
            raise ValueError("CorrCholeskyTransform: expected the shape of vectors, got ()")
        n = (1 + math.isqrt(1 + 8 * shape[-1])) // 2
        if n * (n - 1) // 2 != shape[-1]:
            raise ValueError(
                f"CorrCholeskyTransform: no N has N(N - 1)/2 = {shape[-1]}, the size of the vector"
            )
        return (*shape[:-1], n, n)

    def inverse_shape(self, shape):
        """The shape of x from that of y."""
        if len(shape) < 2 or shape[-2] != shape[-1]:
            raise ValueError(
                f"CorrCholeskyTransform: expected the shape of square matrices, got {tuple(shape)}"
            )
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


def _left_of_rows(y):
    """1 less the sum of squares in the row, up to and including each place."""
    return 1 - (y * y).cumsum(-1)
