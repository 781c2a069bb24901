"""Many small matrices at once: elimination and substitution, one step for all matrices together.

A call of LAPACK takes a tenth of a microsecond or more for each matrix, however small it is. Here
NumPy works on one element of all matrices at a time, so the matrices' number is the last dim of the
arrays.
"""

from math import prod

import numpy as np

__all__ = ["are_many", "eliminated", "in_front", "solved"]

#: Matrices with more rows are left to LAPACK, and so are fewer matrices (measured).
_ROWS, _FEW = 4, 512


def are_many(A):
    """Whether ``A`` holds many small square matrices of finite numbers."""
    rows, columns = A.shape[-2:]
    suits = 0 < rows == columns <= _ROWS and prod(A.shape[:-2]) >= _FEW
    return suits and bool(np.isfinite(A).all())


def in_front(x, dims):
    """The last ``dims`` dims of ``x`` in front of one dim that counts the matrices; a copy."""
    flat = x.reshape(-1, *x.shape[x.ndim - dims :])
    return np.moveaxis(flat, 0, -1).copy()


def eliminated(A):
    """Factor matrices with row exchanges: P·A = L·U.

    Args:
        A: Array ``(*, n, m)`` with m ≥ n.

    Returns:
        (LU, pivots, info): LU ``(n, m, count)`` holds both factors of each matrix. Step k exchanged
        the rows k and ``pivots[k]``, counted from 0; pivots are ``(n, count)``. info ``(count,)``
        is 0, or the number of the first pivot that is 0.
    """
    LU = in_front(A, 2)
    n, _, count = LU.shape
    pivots = np.empty((n, count), np.int32)
    info = np.zeros(count, np.int32)
    with np.errstate(all="ignore"):
        for k in range(n):
            size = abs(LU[k:, k]) if LU.dtype.kind == "f" else _size(LU[k:, k])
            at = pivots[k] = size.argmax(0) + k  # of equal elements the first, as in LAPACK
            for row in range(k + 1, n):
                chosen = at == row
                upper = np.where(chosen, LU[row], LU[k])
                LU[row] = np.where(chosen, LU[k], LU[row])
                LU[k] = upper
            pivot = LU[k, k]
            none = pivot == 0
            if none.any():
                info[none & (info == 0)] = k + 1
                pivot = np.where(none, 1, pivot)
            LU[k + 1 :, k] /= pivot
            LU[k + 1 :, k + 1 :] -= LU[k + 1 :, k, None] * LU[k, None, k + 1 :]
    return LU, pivots, info


def _size(x):
    """The size by which LAPACK compares complex numbers."""
    return abs(x.real) + abs(x.imag)


def solved(A, B):
    """Solve A·X = B for matrices ``(*, n, n)`` and ``(*, n, k)`` with the same leading dims.

    Returns:
        (X, info), with ``info`` of shape ``(*)`` as in ``eliminated``. The X of singular matrices
        is nan.
    """
    n = A.shape[-1]
    # The columns of B go through the steps of the elimination, and so become L⁻¹·P·B.
    factors, _, info = eliminated(np.concatenate([A, B], -1))
    U, X = factors[:, :n], factors[:, n:]
    with np.errstate(all="ignore"):
        for i in reversed(range(n)):
            X[i] -= np.einsum("jc,jkc->kc", U[i, i + 1 :], X[i + 1 :])
            X[i] /= U[i, i]
    X[..., info > 0] = np.nan
    return np.moveaxis(X, -1, 0).reshape(B.shape), info.reshape(A.shape[:-2])
