"""Many small matrices at once: elimination and substitution, one step for all matrices together.

A call of LAPACK takes a microsecond or more for each matrix, however small it is. Here NumPy works
on one element of all matrices at a time, so the matrices' number is the last dim of the arrays.
"""

from math import prod

import numpy as np

__all__ = ["are_many", "eliminated", "in_front", "substituted"]

#: Matrices with more rows are left to LAPACK, and so are fewer matrices.
_ROWS, _FEW = 8, 32


def are_many(A):
    """Whether ``A`` holds many small square matrices of finite numbers."""
    rows, columns = A.shape[-2:]
    return rows == columns <= _ROWS and prod(A.shape[:-2]) >= _FEW and bool(np.isfinite(A).all())


def in_front(x, dims):
    """The last ``dims`` dims of ``x`` in front of one dim that counts the matrices; a copy."""
    flat = x.reshape(-1, *x.shape[x.ndim - dims :])
    return np.moveaxis(flat, 0, -1).copy()


def eliminated(A):
    """Factor square matrices with row exchanges: P·A = L·U.

    Args:
        A: Array ``(*, n, n)``.

    Returns:
        (LU, pivots, info): LU ``(n, n, count)`` holds both factors of each matrix. Step k exchanged
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


def substituted(T, B, lower):
    """Solve T·X = B for triangular matrices with ones on their diagonal.

    Args:
        T: Array ``(n, n, count)``; only the part below the diagonal, or above it, is read.
        B: Array ``(n, k, count)``, which is overwritten with X.
        lower: The part below the diagonal is read.

    Returns:
        B.
    """
    n, _, count = T.shape
    if count < max(4, n // 4):  # a call of LAPACK for each matrix takes less time
        from scipy.linalg import solve_triangular

        for m in range(count):
            B[..., m] = solve_triangular(
                T[..., m], B[..., m], lower=lower, unit_diagonal=True, check_finite=False
            )
        return B
    for i in range(n) if lower else reversed(range(n)):
        known = slice(0, i) if lower else slice(i + 1, n)
        B[i] -= np.einsum("jc,jkc->kc", T[i, known], B[known])
    return B
