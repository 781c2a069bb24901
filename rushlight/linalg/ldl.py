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
from rushlight.linalg.lapack import Room, clear, columns, each, empty, matrices
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
    n, lead = A.shape[-1], A.shape[:-2]
    LD, room = columns(A), 64 * n
    pivots, info = empty(A, (len(LD), n), np.int32), empty(A, len(LD), np.int32)
    info[...] = 0
    clear(LD)
    if A.size:
        each(_routine("trf", A, hermitian), b"L", n, LD, n, pivots, Room(room, A.dtype), room,
             info)  # fmt: skip
    return matrices(LD, lead), pivots.reshape(A.shape[:-1]), info.reshape(lead)


def _routine(task, A, hermitian):
    return ("he" if hermitian and A.dtype.kind == "c" else "sy") + task


_factor.grad(A=underivable("linalg_ldl_factor_ex"))


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
    size = pivots.abs()
    check_range(
        size * (size >= rushlight.arange(1, rows + 1)), low=1, high=rows, error=RuntimeError,
        message="linalg.ldl_solve: the pivot of a row, or its absolute value, must be the "
        "number of this row or of a later one, counted from 1; pass the results of ldl_factor",
    )  # fmt: skip


def _are_paired(pivots):
    """Whether negative pivots, of which LAPACK takes two at a time, stand side by side in pairs."""
    negative = pivots < 0
    if not negative.any():
        return True
    # The number of negative pivots up to each row is even where a row that is not negative follows.
    odd = np.logical_xor.accumulate(negative, -1)
    return not (odd[..., -1].any() or (odd[..., :-1] & ~negative[..., 1:]).any())


@kernel(public=False, method=False, name="linalg_ldl_solve", prepare=_check, columns=(0,))
def _solve(xp, LD, pivots, B, *, hermitian):
    """Return the X of A·X = B, where LD and pivots are the factors of A."""
    (n, k), lead = B.shape[-2:], np.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    X = columns(B, lead)
    if not _are_paired(pivots):
        raise RuntimeError(
            "linalg.ldl_solve: two negative pivots stand for a block of two rows, but one of them "
            "is alone; pass the results of ldl_factor"
        )
    if X.size and not xp.dry:  # LAPACK would swap rows that are not there, as told by zeros
        # ``ascontiguousarray`` keeps replays away: a new entry is tried on other pivots, which only
        # ``ldl_solve`` checks.
        pivots = np.ascontiguousarray(np.broadcast_to(pivots, (*lead, n)), np.int32).reshape(-1, n)
        each(_routine("trs", LD, hermitian), b"L", n, k, columns(LD, lead), n, pivots, X, n,
             Room(1, np.int32))  # fmt: skip
    return matrices(X, lead)


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
