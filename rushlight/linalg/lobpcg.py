"""The iteration behind ``torch.lobpcg``, and its gradient."""

import warnings

import numpy as np

from rushlight.ops.core.definition import OPS
from rushlight.ops.core.kinds import kernel
from rushlight.tensor import Tensor

__all__ = ["iterated", "of_matrix"]


def _shapes(A, X, B=None, iK=None, *, k, niter, tol, largest):
    return [(*A.shape[:-2], k), (*A.shape[:-1], k)]


@kernel(public=False, method=False, name="lobpcg", shape=_shapes)
def iterated(xp, A, X, B=None, iK=None, *, k, niter, tol, largest):
    """Return k eigenvalues and eigenvectors. The iteration starts from the columns of X."""
    values, vectors = np.empty((*A.shape[:-2], k), A.dtype), np.empty((*A.shape[:-1], k), A.dtype)
    for i in np.ndindex(A.shape[:-2]):
        metric, near = [None if t is None else np.broadcast_to(t, A.shape)[i] for t in (B, iK)]
        start = np.broadcast_to(X, (*A.shape[:-2], *X.shape[-2:]))[i]
        size = np.linalg.norm(A[i])
        w, V = of_matrix(A[i], start, metric, near, tol * size, niter, largest)
        values[i], vectors[i] = w[:k], V[:, :k]
    return values, vectors


def of_matrix(A, X, B, iK, tol, niter, largest):
    """Do the work of ``iterated`` for one matrix, an array or one of SciPy's sparse arrays."""
    from scipy.sparse.linalg import lobpcg as solve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns of a limited number of iterations
        return solve(A, np.array(X), B, iK, tol=tol, maxiter=niter, largest=largest)


def _slope(g, A, B, out, k, largest):
    if B is not None:
        raise ValueError("lobpcg: there is no gradient with a matrix B, as in PyTorch")
    slope_of_values, slope_of_vectors = g
    values, U = out
    found = None
    if slope_of_values is not None:
        found = (U * slope_of_values[..., None, :]) @ U.mT
    if slope_of_vectors is not None:
        # A change of A turns an eigenvector towards all others, the more the nearer their values.
        w, V = OPS["linalg_eigh"].call(A, UPLO="L")
        others = 1 - _selection(w, k, largest)
        gap = (values[..., None, :] - w[..., :, None]) * others + (1 - others)
        turned = V @ ((V.mT @ slope_of_vectors) * others / gap) @ U.mT
        found = turned if found is None else found + turned
    return found


def _selection(w, k, largest):
    """Return ones where eigenvalue i of all is eigenvalue j of the k chosen ones, else zeros."""
    n = w.shape[-1]
    chosen = np.zeros((n, k))
    chosen[n - 1 - np.arange(k) if largest else np.arange(k), np.arange(k)] = 1
    return w.new_tensor(chosen) if isinstance(w, Tensor) else chosen.astype(w.dtype)


iterated.grad(A=_slope)
