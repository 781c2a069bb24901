"""Factors A = L·D·Lᵀ of symmetric (or L·D·Lᴴ of Hermitian) matrices that may be indefinite.

D has blocks of one or two rows on its diagonal. LAPACK's format keeps both factors in one matrix,
``LD``. ``pivots`` tells the swaps of rows and columns that kept the factors small: at a block of
one row i, the row ``pivots[i]``, counted from 1, was swapped with row i; at a block of two rows,
both of which have a negative number, ``-pivots[i]`` was swapped with the second.

Source: Bunch and Kaufman 1977, "Some stable methods for calculating inertia and solving symmetric
linear systems".
"""

import numpy as np

import rushlight
from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import check_info, check_square
from rushlight.linalg.many import in_front, substituted
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.rules import conj, underivable
from rushlight.ops.linear.matmul import same_dtype
from rushlight.return_types import result_type

__all__ = ["ldl_factor", "ldl_factor_ex", "ldl_solve"]

_Checked = result_type("linalg_ldl_factor_ex", "LD", "pivots", "info")
_Factored = result_type("linalg_ldl_factor", "LD", "pivots")


def _prepare(A, *, hermitian):
    check_square("linalg.ldl_factor", A)
    return {"hermitian": bool(hermitian)}


@kernel(public=False, method=False, name="linalg_ldl_factor_ex", prepare=_prepare, columns=(0,))
def _factor(xp, A, *, hermitian):
    """Return (LD, pivots, info). info is 0, or the number of the first block of D that is 0."""
    from scipy.linalg.lapack import get_lapack_funcs

    name = "hetrf" if hermitian and A.dtype.kind == "c" else "sytrf"
    (factor,) = get_lapack_funcs((name,), (A,))
    LD = np.empty(A.shape, A.dtype)
    pivots, info = np.empty(A.shape[:-1], np.int32), np.zeros(A.shape[:-2], np.int32)
    if A.size:
        for i in np.ndindex(info.shape):
            LD[i], pivots[i], info[i] = factor(A[i], lower=1)
    return np.tril(LD), pivots, info


_factor.grad(A=underivable("linalg.ldl_factor"))


def ldl_factor_ex(A, *, hermitian=False, check_errors=False, out=None):
    """Compute ``ldl_factor`` without raising an error for singular matrices.

    Args:
        hermitian: A is Hermitian, not symmetric, if it is complex. Default: False.
        out: Tuple of three tensors that receive the results.

    Returns:
        Named tuple of ``LD`` ``(*, N, N)``, ``pivots``, int32 ``(*, N)``, and ``info``, int32
        ``(*)``. ``info`` is 0, or the number of the first block of D that is 0.

    Raises:
        LinAlgError: ``check_errors`` is True, and a matrix is singular.
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.ldl_factor_ex(torch.zeros(1, 1)).info
    tensor(1, dtype=torch.int32)
    """
    found = _Checked(_factor(A, hermitian=hermitian))
    if check_errors:
        check_info("linalg.ldl_factor", found.info,
                   "The input matrix is singular: block {} of D is 0.")  # fmt: skip
    return found if out is None else store(out, found, "linalg.ldl_factor_ex")


def ldl_factor(A, *, hermitian=False, out=None):
    """Factor symmetric matrices: A = L·D·Lᵀ, with unit triangular L and nearly diagonal D.

    Only the lower triangle of A is read. The factors are what ``ldl_solve`` takes; the format is
    LAPACK's.

    Args:
        hermitian: A is Hermitian, not symmetric, if it is complex: A = L·D·Lᴴ. Default: False.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``LD`` ``(*, N, N)``, both factors in one matrix, and ``pivots``, int32
        ``(*, N)``.

    Raises:
        LinAlgError: A matrix is singular.
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> LD, pivots = torch.linalg.ldl_factor(A)
    >>> torch.linalg.ldl_solve(LD, pivots, torch.tensor([[3.0], [4.0]]))
    tensor([[1.],
            [1.]])
    """
    LD, pivots, _ = ldl_factor_ex(A, hermitian=hermitian, check_errors=True)
    found = _Factored((LD, pivots))
    return found if out is None else store(out, found, "linalg.ldl_factor")


# Solutions --------------------------------------------------------------------------------


def _check(LD, pivots, B, *, hermitian):
    check_square("linalg.ldl_solve", LD)
    same_dtype("linalg.ldl_solve", LD, B)
    if pivots.dtype.kind not in "iu":
        raise DtypeError(f"linalg.ldl_solve: Expected pivots to be integers, not {pivots.dtype}")
    if pivots.shape != LD.shape[:-1]:
        raise ShapeError(
            "linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but LD is "
            f"{tuple(LD.shape)} and pivots {tuple(pivots.shape)}"
        )
    if B.shape[-2] != LD.shape[-1]:
        raise ShapeError(
            f"linalg.ldl_solve: LD {tuple(LD.shape)} needs {LD.shape[-1]} rows in dim -2 of B, "
            f"which is {tuple(B.shape)}"
        )
    return {"hermitian": bool(hermitian)}


def _check_pivots(pivots):
    """Raise unless the absolute value of each pivot is the number of its own row or a later one."""
    rows = pivots.shape[-1]
    for first in (rushlight.arange(1, rows + 1), 1):
        check_range(
            pivots.abs() - first, low=0, high=rows - 1, error=RuntimeError,
            message="linalg.ldl_solve: the pivot of a row, or its absolute value, must be the "
            "number of this row or of a later one, counted from 1; pass the results of ldl_factor",
        )  # fmt: skip


@kernel(public=False, method=False, name="linalg_ldl_solve", prepare=_check, columns=(0,))
def _solve(xp, LD, pivots, B, *, hermitian):
    """Return the X of A·X = B, where LD and pivots are the factors of A."""
    lead = np.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    LD, B = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (LD, B)]
    if not B.size:
        return np.empty(B.shape, B.dtype)
    pivots = np.broadcast_to(pivots, LD.shape[:-1])
    hermitian = hermitian and LD.dtype.kind == "c"
    numbers, factors, rows = in_front(pivots, 1), in_front(LD, 2), in_front(B, 2)
    L, order, pairs = _unpacked(factors, numbers)
    order = order[:, None]
    half = substituted(L, np.take_along_axis(rows, order, 0), lower=True)
    half = _divided(factors, pairs, half, hermitian)
    upper = L.swapaxes(0, 1)
    half = substituted(upper.conj() if hermitian else upper, half, lower=False)
    np.put_along_axis(rows, order, half, 0)
    return np.moveaxis(rows, -1, 0).reshape(B.shape)


def _unpacked(LD, pivots):
    """The factors L, the orders of A's rows in L·D·Lᵀ, and the first rows of blocks of two rows.

    As all arrays here, they have the number of the matrix in the last dim. The blocks are a mask.
    """
    n, _, count = LD.shape
    L, order = LD.copy(), np.tile(np.arange(n)[:, None], (1, count))
    rows, negative = np.arange(n)[:, None], pivots < 0
    before = np.maximum.accumulate(np.where(negative, -1, rows), axis=0)  # the last positive pivot
    pairs = negative & ((rows - before) % 2 == 1)
    row, m = np.nonzero(pairs)
    L[row + 1, row, m] = 0  # elements of D
    lasts, others = rows + pairs, abs(pivots) - 1
    swapped = (pairs | ~negative) & (lasts != others)
    for i in np.nonzero(swapped.any(1))[0]:
        (m,) = np.nonzero(swapped[i])
        last, other = lasts[i, m], others[i, m]
        # The columns of earlier blocks still have their rows in the order before this swap.
        L[last, :i, m], L[other, :i, m] = L[other, :i, m], L[last, :i, m]
        order[last, m], order[other, m] = order[other, m], order[last, m]
    return L, order, pairs


def _divided(LD, pairs, B, hermitian):
    """Return D⁻¹·B. Blocks of two rows are scaled by their element off the diagonal."""
    diagonal = np.einsum("iic->ic", LD)
    with np.errstate(all="ignore"):
        # LAPACK's routine reads no more than the real part.
        X = B / (diagonal.real if hermitian else diagonal)[:, None]
        i, m = np.nonzero(pairs)
        below = LD[i + 1, i, m][:, None]
        right = below.conj() if hermitian else below
        a, d = diagonal[i, m][:, None] / right, diagonal[i + 1, m][:, None] / below
        x, y = B[i, :, m] / right, B[i + 1, :, m] / below
        det = a * d - 1
        X[i, :, m], X[i + 1, :, m] = (d * x - y) / det, (a * y - x) / det
    return X


def _slope_of_factors(g):
    raise RuntimeError("linalg.ldl_solve: the gradient for LD is not implemented, as in PyTorch")


def _slope(g, LD, pivots, hermitian):
    # The adjoint of a Hermitian matrix is itself, that of a symmetric one its conjugate.
    return _solve(LD if hermitian else conj(LD), pivots, g, hermitian=hermitian)


_solve.grad(LD=_slope_of_factors, B=_slope)


def ldl_solve(LD, pivots, B, *, hermitian=False, out=None):
    """Solve A·X = B for X, where LD and ``pivots`` are the factors of A from ``ldl_factor``.

    The result has a gradient for B, but not for LD.

    Args:
        LD: Tensor ``(*, N, N)``, the factors.
        pivots: Integer tensor ``(*, N)``.
        B: Tensor ``(*, N, K)``. Its leading dims and those of LD are broadcast.
        hermitian: As for ``ldl_factor``. Default: False.

    Returns:
        Tensor ``(*, N, K)``.

    Raises:
        RuntimeError: The shapes or dtypes do not fit, or the pivots are none of ``ldl_factor``.

    >>> import rushlight as torch
    >>> A = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> torch.linalg.ldl_solve(*torch.linalg.ldl_factor(A), torch.tensor([[3.0], [4.0]]))
    tensor([[4.],
            [3.]])
    """
    if pivots.dtype.category == 1 and pivots.shape == LD.shape[:-1]:
        _check_pivots(pivots)
    found = _solve(LD, pivots, B, hermitian=hermitian)
    return found if out is None else store(out, found, "linalg.ldl_solve")
