"""Cholesky factors, and inverses and solutions that are computed from them."""

from functools import partial
from math import prod

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.autograd.tape import watch
from rushlight.linalg.checks import check_info, check_square, squares
from rushlight.linalg.columns import in_columns
from rushlight.linalg.lapack import Room, columns, each, matrices
from rushlight.linalg.on_devices import cholesky as cholesky_on_devices
from rushlight.linalg.triangular import check_triangular, triangular_solution
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.fast_path import plain
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj
from rushlight.ops.linear.matmul import adjoint
from rushlight.ops.linear.triangle import tril
from rushlight.return_types import result_type

__all__ = ["cholesky", "cholesky_ex", "cholesky_inverse", "cholesky_solve"]

_Factored = result_type("linalg_cholesky_ex", "L", "info")


@kernel(
    public=False,
    method=False,
    name="linalg_cholesky_ex",
    prepare=squares("linalg.cholesky"),
    autocast=SINGLE,
    columns=(0,),
)
def _factor(xp, A, *, upper=False):
    """Return (L, info) with A = L·Lᴴ, from the lower or the upper triangle of A.

    info is 0, or if there is no such L, the order of the first leading minor that is not positive.
    """
    if upper:
        A = conj(A.swapaxes(-1, -2))
    try:
        L = np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        return _factor_each(A)
    # LAPACK does not report a pivot that is nan.
    whole = not np.isnan(L.diagonal(0, -2, -1)).any()
    return (L, xp.zeros(A.shape[:-2], np.int32)) if whole else _factor_each(A)


def _factor_each(A):
    """Do the work of ``_factor`` matrix by matrix, because some matrices have no factor."""
    from scipy.linalg.lapack import get_lapack_funcs

    (potrf,) = get_lapack_funcs(("potrf",), (A,))
    L, info = np.empty(A.shape, A.dtype), np.empty(A.shape[:-2], np.int32)
    for i in np.ndindex(info.shape):
        L[i], info[i] = potrf(A[i], lower=True, clean=True)
        bad = np.isnan(L[i].diagonal())
        if bad.any() and not info[i]:
            first = int(bad.argmax())  # from here on nothing was computed
            pivot = L[i][first, first]
            L[i][:, first:] = np.tril(A[i])[:, first:]
            L[i][first, first], info[i] = pivot, first + 1
    return L, info


def _slope(g, out):
    g, L = g[0], out[0]
    if g is None:
        return None
    LH = conj(L).mT
    gap = LH @ g  # the lower triangle of the product depends only on the lower triangle of g
    half = (tril(gap) + conj(tril(gap, -1)).mT) * 0.5
    right = triangular_solution(L, half, upper=False, left=False)
    return triangular_solution(LH, right, upper=True)


_factor.grad(A=_slope)
_factor.lower_on_devices(lambda A, upper: cholesky_on_devices(A.mT if upper else A))


def _factored(name, A, upper, check_errors):
    L, info = _factor(A, upper=bool(upper))
    if check_errors:
        check_info(
            name,
            info,
            "The factorization could not be completed because the input is not positive-definite "
            "(the leading minor of order {} is not positive-definite).",
        )
    if upper:
        L = in_columns(L.mH)
        watch(L, L)
    return _Factored((L, info))


def cholesky_ex(A, *, upper=False, check_errors=False, out=None):
    """Compute ``cholesky`` without raising an error for matrices that have no factor.

    Returns:
        Named tuple of ``L``, the factors ``(*, N, N)``, and ``info``, int32 ``(*)``. ``info`` is 0,
        or the order of the first leading minor that is not positive-definite.

    Raises:
        LinAlgError: ``check_errors`` is True, and a matrix is not positive-definite.

    >>> import rushlight as torch
    >>> torch.linalg.cholesky_ex(-torch.eye(2)).info
    tensor(1, dtype=torch.int32)
    """
    found = _factored("linalg.cholesky_ex", A, upper, check_errors)
    return found if out is None else store(out, found, "linalg.cholesky_ex")


def cholesky(A, *, upper=False, out=None):
    """Factor symmetric (Hermitian) positive-definite matrices: A = L·Lᴴ with lower triangular L.

    Returns:
        Tensor ``(*, N, N)``: L, or Lᴴ with ``upper``.

    Raises:
        LinAlgError: A matrix is not positive-definite.

    >>> import rushlight as torch
    >>> torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    L = _factored("linalg.cholesky", A, upper, check_errors=True)[0]
    return L if out is None else store(out, L, "linalg.cholesky")


# Inverses and solutions -------------------------------------------------------------------


#: So many matrices of at most so many rows are solved side by side by NumPy (measured).
_MANY, _ROWS = 512, 4


def _prepared(B, L, *, upper):
    check_triangular(L, B, upper=False, left=True, unitriangular=False)
    return {"upper": bool(upper)}


def _solved(solve, B, L, upper):
    """Solve A·X = B for X by two calls of ``solve``, where L is the Cholesky factor of A."""
    lower = adjoint(L) if upper else L
    half = solve(lower, B, upper=False)
    return solve(adjoint(lower), half, upper=True)


@kernel(public=False, method=False, name="cholesky_solve", prepare=_prepared, autocast=SINGLE,
        columns=(0,), own_slope=True)  # fmt: skip
def _solve(xp, B, L, *, upper):
    """The solution X of A·X = B, where L is the Cholesky factor of A."""
    n, lead = L.shape[-1], np.broadcast_shapes(L.shape[:-2], B.shape[:-2])
    if n <= _ROWS and prod(lead) >= _MANY:
        return _solved(partial(triangular_solution.op.forward, xp), B, L, upper)
    X = columns(B, lead)
    if X.size:
        turn = b"U" if upper else b"L"
        each("potrs", turn, n, X.shape[1], columns(L, lead), n, X, n, Room(1, np.int32))
    return matrices(X, lead)


def _slope_of_factor(g, L, out, upper):
    # As in PyTorch, it is that of the product L·Lᴴ of whole matrices: it has both triangles.
    change = _solve(g, L, upper=upper) @ adjoint(out)
    change = change + adjoint(change)
    return -(L @ change if upper else change @ L)


_solve.op.batching = "matrices"
_solve.lower(lambda B, L, upper: _solved(triangular_solution, B, L, upper))
_solve.grad(B=lambda g, L, upper: _solve(g, L, upper=upper), L=_slope_of_factor)
_solve.watch(B="B out", L="B")


def _first_zero(input):
    """The number of the first zero on each diagonal, counted from 1; 0 where there is none."""
    zero = input.detach().diagonal(0, -2, -1) == 0
    n = zero.shape[-1]
    if not n:
        return rushlight.zeros(zero.shape[:-1], dtype=rushlight.int64)
    order = rushlight.arange(n, 0, -1)
    most = (zero * order).amax(-1)
    return (n + 1 - most) * (most > 0)


def cholesky_inverse(input, upper=False, *, out=None):
    """Compute ``torch.cholesky_inverse``."""
    check_square("cholesky_inverse", input)
    # In a trace the check is a part of the program. Elsewhere one look at the array is enough.
    if mode.intercept or not plain(input).diagonal(0, -2, -1).all():
        check_info("cholesky_inverse", _first_zero(input),
                   "The diagonal element {} is zero, the inversion could not be completed because "
                   "the input matrix is singular.")  # fmt: skip
    identity = rushlight.eye(input.shape[-1], dtype=input.dtype)
    return cholesky_solve(identity, input, upper, out=out)


def cholesky_solve(input, L, upper=False, *, out=None):
    """Compute ``torch.cholesky_solve``."""
    found = _solve(input, L, upper=upper)
    return found if out is None else store(out, found, "cholesky_solve", casts=True)
