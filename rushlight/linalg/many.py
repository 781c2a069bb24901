"""Many small matrices at once: elimination and substitution, one step for all matrices together.

A call of LAPACK takes a tenth of a microsecond or more for each matrix, however small it is. Here a
kernel computes many matrices side by side, or NumPy works on one element of all matrices at a time.
So the matrices' number is the last dim of the arrays.
"""

from functools import partial
from math import prod

import numpy as np

from rushlight.backend import native
from rushlight.dtype import int32

__all__ = ["are_many", "eliminated", "in_front", "solved", "substituted"]

#: Matrices with more rows are left to LAPACK, and so are fewer matrices (measured).
_ROWS, _FEW = 4, 512
#: A kernel for more columns has too many operations, and one that eliminates and substitutes has
#: too many for more than so few rows.
_COLUMNS, _FEW_ROWS = 8, 3


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
    n, m = A.shape[-2:]
    count = prod(A.shape[:-2])
    LU, pivots = np.empty((n, m, count), A.dtype), np.empty((n, count), np.int32)
    outs = [*LU.reshape(n * m, count), *pivots, np.empty(count, np.int32)]
    if _by_kernel("eliminated", _eliminated_tensors, [A], outs):
        return LU, pivots, outs[-1]
    LU = in_front(A, 2)
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


def substituted(LU, pivots, B, turned):
    """The X of A·X = B from LAPACK's factors of A, by a kernel; None: LAPACK should compute it.

    ``turned``: Aᵀ takes the place of A.

    The matrices ``(*, n, n)``, ``(*, n)`` and ``(*, n, k)`` have the same leading dims. Those of X
    are stored by columns.
    """
    n, k = B.shape[-2:]
    if not (B.size and B.shape[:-2] == LU.shape[:-2] and are_many(LU) and np.isfinite(B).all()):
        return None
    if not LU.diagonal(0, -2, -1).all():
        return None
    if (pivots < np.arange(1, n + 1)).any():
        return None  # the kernel exchanges a row with a later one, as factorizations do
    X = np.empty((n, k, prod(B.shape[:-2])), B.dtype)
    outs, given = [*X.reshape(n * k, -1)], [LU, pivots[..., None], B]
    if not _by_kernel(("substituted", turned), partial(_substituted_tensors, turned), given, outs):
        return None
    return np.ascontiguousarray(X.T).reshape(*B.shape[:-2], k, n).swapaxes(-1, -2)


def _by_kernel(key, function, arrays, outs):
    """Whether a kernel wrote ``function`` of real matrices (*, n, m) to ``outs``."""
    if arrays[0].dtype.char not in "fd" or sum(x.shape[-1] for x in arrays) > _COLUMNS:
        return False
    rows = [np.ascontiguousarray(x).reshape(-1, *x.shape[-2:]) for x in arrays]
    return native.matrices(key, function, *rows, outs=outs, least=1) is not None


def _steps(A, *others):
    """``eliminated`` for tensors (count, n, m), side by side: (LU, pivots, info).

    LU is n lists of columns. A column has one number for each matrix, so the function becomes one
    kernel.
    """
    n = A.shape[1]
    LU = [[x[:, i, j] for x in (A, *others) for j in range(x.shape[2])] for i in range(n)]
    m = len(LU[0])
    pivots, info = [], (A[:, 0, 0] != A[:, 0, 0]).to(int32) * 0
    for k in range(n):
        zero = info * 0
        best, at = LU[k][k].abs(), zero + k
        for i in range(k + 1, n):
            size = LU[i][k].abs()
            better = (size > best) | ((size != size) & (best == best))
            best, at = size.where(better, best), (zero + i).where(better, at)
        pivots.append(at)
        first = LU[k]
        for i in range(k + 1, n):
            chosen, row = at == i, LU[i]
            LU[i] = [b.where(chosen, a) for a, b in zip(row, LU[k], strict=True)]
            first = [a.where(chosen, b) for a, b in zip(row, first, strict=True)]
        LU[k] = first
        none = first[k] == 0
        info = (zero + (k + 1)).where(none & (info == 0), info)
        pivot = first[k].where(~none, 1)
        for i in range(k + 1, n):
            factor = LU[i][k] / pivot
            rest = [LU[i][j] - factor * first[j] for j in range(k + 1, m)]
            LU[i] = [*LU[i][:k], factor, *rest]
    return LU, pivots, info


def _eliminated_tensors(A):
    LU, pivots, info = _steps(A)
    return (*[x for row in LU for x in row], *pivots, info)


def _solved_tensors(A, B):
    LU, _, info = _steps(A, B)
    n = len(LU)
    for i in reversed(range(n)):
        for c in range(n, len(LU[i])):
            known = sum(LU[i][j] * LU[j][c] for j in range(i + 1, n))
            LU[i][c] = (LU[i][c] - known) / LU[i][i]
    whole = info == 0
    return (*[x.where(whole, float("nan")) for row in LU for x in row[n:]], info)


def _substituted_tensors(turned, LU, pivots, B):
    n, k = B.shape[1:]
    A, X = [[[x[:, i, j] for j in range(x.shape[2])] for i in range(n)] for x in (LU, B)]

    def swap(i):
        for r in range(i + 1, n):
            chosen, one, other = pivots[:, i, 0] == r + 1, X[i], X[r]
            X[i] = [b.where(chosen, a) for a, b in zip(one, other, strict=True)]
            X[r] = [a.where(chosen, b) for a, b in zip(one, other, strict=True)]

    def substitute(i, others, divided):
        for c in range(k):
            for j in others:
                X[i][c] = X[i][c] - (A[j][i] if turned else A[i][j]) * X[j][c]
            X[i][c] = X[i][c] / A[i][i] if divided else X[i][c]

    for i in () if turned else range(n):
        swap(i)
    for i in range(n):
        substitute(i, range(i), turned)
    for i in reversed(range(n)):
        substitute(i, range(i + 1, n), not turned)
    for i in reversed(range(n)) if turned else ():
        swap(i)
    return tuple([x for row in X for x in row])


def _size(x):
    """The size by which LAPACK compares complex numbers."""
    return abs(x.real) + abs(x.imag)


def solved(A, B):
    """Solve A·X = B for matrices ``(*, n, n)`` and ``(*, n, k)`` with the same leading dims.

    Returns:
        (X, info), with ``info`` of shape ``(*)`` as in ``eliminated``. The X of singular matrices
        is nan.
    """
    n, k = B.shape[-2:]
    count = prod(A.shape[:-2])
    X, info = np.empty((n, k, count), A.dtype), np.empty(count, np.int32)
    outs = [*X.reshape(n * k, count), info]
    if n <= _FEW_ROWS and _by_kernel("solved", _solved_tensors, [A, B], outs):
        return np.moveaxis(X, -1, 0).reshape(B.shape), info.reshape(A.shape[:-2])
    # The columns of B go through the steps of the elimination, and so become L⁻¹·P·B.
    factors, _, info = eliminated(np.concatenate([A, B], -1))
    U, X = factors[:, :n], factors[:, n:]
    with np.errstate(all="ignore"):
        for i in reversed(range(n)):
            X[i] -= np.einsum("jc,jkc->kc", U[i, i + 1 :], X[i + 1 :])
            X[i] /= U[i, i]
    X[..., info > 0] = np.nan
    return np.moveaxis(X, -1, 0).reshape(B.shape), info.reshape(A.shape[:-2])
