"""Eigenvalues and singular values of sparse matrices, of which only products are computed."""

import numpy as np

from rushlight.autograd import mode
from rushlight.errors import LayoutError, ShapeError
from rushlight.linalg.lobpcg import of_matrix
from rushlight.ops.linear.lobpcg import arguments
from rushlight.ops.linear.low_rank import components, factored
from rushlight.sparse.container import SparseTensor, refuse, rule
from rushlight.sparse.conversion import as_coo
from rushlight.tensor import from_array

__all__: list[str] = []


@rule(method=False)
def svd_lowrank(A, q=6, niter=2, M=None):
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    if not isinstance(A, SparseTensor):
        refuse("svd_lowrank", M)
    H = A.mH
    if M is None:
        return factored(lambda X: A @ X, lambda X: H @ X, A.shape, A.dtype, q, niter)
    M = M.expand(A.shape)
    times, back = lambda X: A @ X - M @ X, lambda X: H @ X - M.mH @ X
    return factored(times, back, A.shape, A.dtype, q, niter)


@rule(method=False)
def pca_lowrank(A, q=None, center=True, niter=2):
    q = components(A, q, niter)
    if not center:
        return svd_lowrank(A, q, niter)
    H, rows = A.mH, A.shape[0]
    mean = (H @ A.values().new_ones((rows, 1)) / rows).mH  # (1, columns)
    return factored(
        lambda X: A @ X - mean @ X, lambda X: H @ X - mean.mH @ X.sum(0, keepdim=True),
        A.shape, A.dtype, q, niter,
    )  # fmt: skip


@rule(method=False)
def lobpcg(
    A, k=None, B=None, X=None, n=None, iK=None, niter=None, tol=None, largest=None, method=None,
    tracker=None, ortho_iparams=None, ortho_fparams=None, ortho_bparams=None,
):  # fmt: skip
    k, X, options = arguments(A, k, X, n, niter, tol, largest, tracker)
    operands = [t for t in (A, B, X, iK) if t is not None]
    if any(t.dim() != 2 for t in operands):
        raise ShapeError("lobpcg: sparse matrices take no batches")
    if mode.records() and any(t.requires_grad for t in operands):
        raise LayoutError("lobpcg: there is no gradient with sparse matrices")
    matrix = _of_scipy(A)
    options["tol"] *= np.sqrt((matrix * matrix).sum())  # the Frobenius norm of A
    start, metric, near = [None if t is None else _of_scipy(t) for t in (X, B, iK)]
    w, V = of_matrix(matrix, start, metric, near, **options)
    return from_array(w[:k].copy()), from_array(np.ascontiguousarray(V[:, :k]))


def _of_scipy(t):
    """Return the matrix ``t`` as an array, or a sparse one as SciPy's ``csr_array``."""
    if not isinstance(t, SparseTensor):
        return t._array
    from scipy.sparse import csr_array

    t = as_coo(t)
    return csr_array((t._values()._array, t._indices()._array), shape=tuple(t.shape))
