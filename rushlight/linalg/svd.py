"""Singular values and vectors."""

from functools import lru_cache

import numpy as np

from rushlight.autograd import mode
from rushlight.linalg.checks import LinAlgError, check_matrices, identity
from rushlight.linalg.jacobi import singular
from rushlight.linalg.lapack import Room, columns, each, empty, matrices
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.rules import is_complex
from rushlight.ops.linear.matmul import adjoint
from rushlight.ops.linear.triangle import tril, triu
from rushlight.return_types import result_type

__all__ = ["svd", "svdvals"]

_NOT_FINITE = (
    "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite "
    "values"
)
_NOT_CONVERGED = (
    "linalg.svd: The algorithm failed to converge because the input matrix is ill-conditioned or "
    "has too many repeated singular values"
)
_Factors = result_type("linalg_svd", "U", "S", "Vh")


def _prepared(A, *, full_matrices, vectors=True):
    check_matrices("linalg.svd", A)
    return {"full_matrices": bool(full_matrices), "vectors": vectors}


@kernel(public=False, method=False, name="linalg_svd", prepare=_prepared, autocast=SINGLE,
        columns=(0, 2))  # fmt: skip
def _svd(xp, A, *, full_matrices, vectors=True):
    """Return (U, S, Vᴴ), with S in descending order. Without ``vectors`` U and Vᴴ are empty."""
    return decompose(A, full_matrices, vectors)


def decompose(A, full_matrices=False, vectors=True):
    """Do the work of ``_svd`` on an array, in its own precision.

    Inf and nan are refused, because LAPACK may run forever with them.
    """
    if not np.isfinite(A).all():
        raise LinAlgError(_NOT_FINITE)
    lead, (rows, n), real = A.shape[:-2], A.shape[-2:], A.real.dtype
    stack, k = columns(A), min(rows, n)
    S = empty(A, (len(stack), k), real)
    if not vectors:
        U, Vh = np.empty((len(stack), 0, 0), A.dtype), np.empty((len(stack), 0, 0), A.dtype)
    else:
        wide, high = (rows, n) if full_matrices else (k, k)
        U, Vh = empty(A, (len(stack), wide, rows)), empty(A, (len(stack), n, high))
    if stack.size:
        _call((b"A" if full_matrices else b"S") if vectors else b"N", stack, S, U, Vh)
    elif vectors:
        for x in (U, Vh):  # matrices without elements change no vector
            x[...] = np.eye(*x.shape[1:], dtype=A.dtype)
    return matrices(U, lead), S.reshape(*lead, k), matrices(Vh, lead)


def _call(job, A, S, U, Vh):
    """Let LAPACK write the decompositions of the column-major matrices ``A`` to the others."""
    (count, n, rows), k = A.shape, S.shape[1]
    info, room = empty(A, count, np.int32), _room(job, rows, n, A.dtype)
    more = [Room(_real_room(job, rows, n), S.dtype)] if A.dtype.kind == "c" else []
    high = Vh.shape[2]
    if job == b"N":
        U = Vh = Room(1, A.dtype)
    each("gesdd", job, rows, n, A, rows, S, U, rows, Vh, max(1, high),
         Room(room, A.dtype), room, *more, Room(8 * k, np.int32), info)  # fmt: skip
    if info.any():
        raise LinAlgError(_NOT_CONVERGED)


@lru_cache(256)
def _room(job, rows, n, dtype):
    """The number of elements of the workspace with which LAPACK is fastest."""
    found = np.zeros((1, 1), dtype)
    any_of = Room(1, dtype)
    more = [Room(1, found.real.dtype)] if found.dtype.kind == "c" else []
    each("gesdd", job, rows, n, any_of, rows, Room(1, found.real.dtype), any_of, rows, any_of, n,
         found, -1, *more, Room(1, np.int32), Room(1, np.int32))  # fmt: skip
    # A single-precision number may have been rounded down.
    return int(found[0, 0].real * (1 + np.finfo(found.dtype).eps)) + 1


def _real_room(job, rows, n):
    """The number of real elements that complex matrices need, by LAPACK's documentation."""
    least, most = sorted((rows, n))
    if job == b"N":
        return 7 * least
    return least * max(5 * least + 7, 2 * most + 2 * least + 1)


def _slope(g, A_shape, out, full_matrices):
    gU, gS, gVh = g
    U, S, Vh = out
    k = S.shape[-1]
    U, Vh = U[..., :k], Vh[..., :k, :]
    if gU is None and gVh is None:
        return (U * gS[..., None, :]) @ Vh
    if full_matrices and A_shape[-2] != A_shape[-1]:
        gU, gVh = _of_singular_vectors(A_shape, k, gU, gVh)
    if is_complex(U):
        _check_phases(U, Vh, gU, gVh)
    row, column = S[..., None, :], S[..., :, None]
    # Only elements off the diagonal are divided by the gaps, because the diagonal stands for
    # changes of the vectors' lengths, which are fixed. The identity avoids divisions by 0 there.
    gap = (row - column) * (row + column) + identity(S)
    inner, found = 0, 0
    if gU is not None:
        turn = adjoint(U) @ gU
        skew = turn - adjoint(turn)
        inner = _off_diagonal(skew) / gap * row
        if is_complex(U):
            inner = inner + _diagonal(skew) / (2 * row)
        found = (gU - U @ turn) / row @ Vh if A_shape[-2] > k else 0
    if gVh is not None:
        turn = gVh @ adjoint(Vh)
        inner = inner + column * _off_diagonal(adjoint(turn) - turn) / gap
        if A_shape[-1] > k:
            found = found + U @ ((gVh - turn @ Vh) / column)
    if gS is not None:
        inner = inner + identity(S) * gS[..., None, :]
    return U @ inner @ Vh + found


def _of_singular_vectors(A_shape, k, gU, gVh):
    """The gradients of the first k vectors, if those of the further ones are zero."""
    more = (gU is not None and gU[..., k:], gVh is not None and gVh[..., k:, :])
    if any(g is not False and (g != 0).any() for g in more):
        raise RuntimeError(
            f"linalg.svd: the vectors of A {tuple(A_shape)} that have no singular value have no "
            "gradient; use full_matrices=False"
        )
    return gU if gU is None else gU[..., :k], gVh if gVh is None else gVh[..., :k, :]


def _check_phases(U, Vh, gU, gVh):
    """Raise if a change of the phases of the vectors, which are free, changes the loss."""
    change = 0
    if gU is not None:
        change = change + (U.conj() * gU).sum(-2).imag
    if gVh is not None:
        change = change - (Vh.conj() * gVh).sum(-1).imag
    check_range(
        change, low=-5e-3, high=5e-3, error=RuntimeError,
        message="svd_backward: The singular vectors in the complex case are specified up to "
        "multiplication by e^{{i phi}}. The specified loss function depends on this phase term, "
        "making it ill-defined.",
    )  # fmt: skip


def _diagonal(x):
    return tril(triu(x))


def _off_diagonal(x):
    return tril(x, -1) + triu(x, 1)


_svd.grad(A=_slope)
_svd.lower_on_devices(lambda A, full_matrices: singular(A, full_matrices))
_svd.lower_check(lambda A: check_range(
    A.isfinite().long(), low=1, high=1, error=LinAlgError, message=_NOT_FINITE
))  # fmt: skip


def svd(A, full_matrices=True, *, driver=None, out=None):
    """Compute the singular value decomposition A = U·diag(S)·Vᴴ.

    The columns of U and V are orthonormal. In the shapes below, K is min(M, N).

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        full_matrices: Make U and Vᴴ square by further columns and rows. False: return only K of
            them. Default: True.
        out: Tuple of three tensors that receive the results.

    Returns:
        Named tuple of ``U`` ``(*, M, M)`` or ``(*, M, K)``, ``S`` ``(*, K)``, which is real and in
        descending order, and ``Vh`` ``(*, N, N)`` or ``(*, K, N)``.

    Raises:
        LinAlgError: A has elements that are inf or nan.
        RuntimeError: A has fewer than two dims, or is not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.svd(torch.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    _check_driver(driver)
    found = _Factors(_svd(A, full_matrices=full_matrices))
    return found if out is None else store(out, found, "linalg.svd")


def _check_driver(driver):
    if driver is not None:
        raise RuntimeError(f"linalg.svd: driver={driver!r} is for GPUs; leave it out here")


def svdvals(A, *, driver=None, out=None):
    """Return the singular values of matrices.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.

    Returns:
        Real tensor ``(*, min(M, N))`` in descending order.

    Raises:
        LinAlgError: A has elements that are inf or nan.
        RuntimeError: A has fewer than two dims, or is not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.svdvals(torch.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([2., 1.])
    """
    _check_driver(driver)
    # Only the gradient needs the vectors. A trace may be given gradients later. A call that will be
    # replayed is computed as it is now, because without vectors the values have other last bits.
    traced = bool(mode.intercept) and not hasattr(A._array, "noted")
    vectors = traced or (A.requires_grad and mode.records())
    found = _svd(A, full_matrices=False, vectors=vectors)[1]
    return found if out is None else store(out, found, "linalg.svdvals")
