"""The largest singular values of matrices, and principal components, by random projections.

Source: Halko, Martinsson and Tropp 2009, "Finding structure with randomness", algorithms 4.4 and
5.1.
"""

from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.linear.matmul import adjoint
from rushlight.ops.random.sampling import randn

__all__ = ["components", "factored", "pca_lowrank", "svd_lowrank"]


def factored(times, back, shape, dtype, q, niter):
    """Return U, S and V of matrices A of ``shape`` (*, M, N), of which only products are needed.

    ``times(X)`` is A·X, and ``back(X)`` is Aᴴ·X.
    """
    from rushlight.linalg import qr, svd

    if dtype.itemsize < 4 or dtype.category < 2:
        raise UnsupportedDtypeError(f"svd_lowrank: not implemented for {dtype}")
    if shape[-2] < shape[-1]:
        turned = (*shape[:-2], shape[-1], shape[-2])
        V, S, U = factored(back, times, turned, dtype, q, niter)
        return U, S, V
    Q = qr(times(randn(shape[-1], q, dtype=dtype))).Q  # its columns nearly span those of A
    for _ in range(niter):
        Q = qr(back(Q)).Q
        Q = qr(times(Q)).Q
    U, S, Vh = svd(adjoint(back(Q)), full_matrices=False)
    return Q @ U, S, adjoint(Vh)


def _factors(A, q, niter):
    return factored(lambda X: A @ X, lambda X: adjoint(A) @ X, A.shape, A.dtype, q, niter)


@function(method=False, kinds={"A": "Tensor", "q": "int", "niter": "int", "M": "Tensor"},
          in_python=True)  # fmt: skip
def svd_lowrank(A, q=6, niter=2, M=None):
    """Return nearly the ``q`` largest singular values of matrices, and their vectors.

    The result is random: it is exact if the rank of A is at most ``q``, and else the better, the
    faster the singular values fall.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        q: The number of singular values, a little more than the rank that is looked for. Default:
            6.
        niter: Number of iterations. Default: 2.
        M: Tensor that broadcasts with A, and is subtracted from A first. Default: none.

    Returns:
        Tuple of U ``(*, M, q)``, S ``(*, q)`` and V ``(*, N, q)`` with A ≈ U·diag(S)·Vᴴ. They have
        fewer columns if M or N is smaller than ``q``.

    Raises:
        ValueError: A has fewer than two dims.

    Source: Halko, Martinsson and Tropp 2009, "Finding structure with randomness", algorithms 4.4
    and 5.1.

    >>> import rushlight as torch
    >>> x = torch.tensor([[3.0, 4.0], [6.0, 8.0]])
    >>> torch.svd_lowrank(x, q=1)[1]
    tensor([11.1803])
    """
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    if len(A.shape) < 2:
        raise ValueError(f"svd_lowrank: expected matrices (…, M, N), got {tuple(A.shape)}")
    return _factors(A if M is None else A - M, q, niter)


@function(method=False, kinds={"A": "Tensor", "q": "int", "niter": "int"}, in_python=True)
def pca_lowrank(A, q=None, center=True, niter=2):
    """Return nearly the ``q`` first principal components of the rows of matrices.

    Args:
        A: Tensor ``(*, M, N)`` of M samples with N features, floating point or complex.
        q: The number of components, at most min(M, N). Default: min(6, M, N).
        center: Subtract the mean of the rows first. Default: True.
        niter: Number of iterations. Default: 2.

    Returns:
        Tuple of U ``(*, M, q)``, S ``(*, q)`` and V ``(*, N, q)``. The columns of V are the
        directions of the components, and S² / (M - 1) are their variances.

    Raises:
        ValueError: A has fewer than two dims, or ``q`` or ``niter`` is out of range.

    >>> import rushlight as torch
    >>> x = torch.tensor([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]])
    >>> torch.pca_lowrank(x, q=1)[1]
    tensor([3.1623])
    """
    q = components(A, q, niter)
    return _factors(A - A.mean(-2, keepdim=True) if center else A, q, niter)


def components(A, q, niter):
    """Return how many components ``pca_lowrank`` finds; raise if an argument is wrong."""
    if len(A.shape) < 2:
        raise ValueError(f"pca_lowrank: expected matrices (…, M, N), got {tuple(A.shape)}")
    most = min(A.shape[-2:])
    q = min(6, most) if q is None else q
    if not 0 <= q <= most:
        raise ValueError(
            f"pca_lowrank: q(={q}) must be non-negative integer and not greater than min(m, n)="
            f"{most}"
        )
    if niter < 0:
        raise ValueError(f"pca_lowrank: niter(={niter}) must be non-negative integer")
    return q
