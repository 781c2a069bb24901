"""Least squares: the X for which A·X is nearest to B."""

from math import prod

import numpy as np

import rushlight
from rushlight.dtype import OF
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.linalg.checks import LinAlgError, check_matrices
from rushlight.linalg.jacobi import MOST
from rushlight.linalg.lapack import Room, columns, each, matrices
from rushlight.linalg.svd import svd
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.linear.matmul import adjoint, same_dtype
from rushlight.return_types import result_type

__all__ = ["lstsq"]

_Solved = result_type("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _check(A, B, *, rcond, driver):
    same_dtype("linalg.lstsq", A, B)
    if A.shape[-2] != B.shape[-2]:
        raise ShapeError(
            "linalg.lstsq: input.size(-2) should match other.size(-2): A (…, M, N) is "
            f"{tuple(A.shape)} and B (…, M, K) is {tuple(B.shape)}"
        )
    return {"rcond": rcond, "driver": driver}


def _depends_on_rank(A, B, *, rcond, driver):
    """Whether the shape of the residuals depends on A's rank."""
    return driver in ("gelsd", "gelss") and A.shape[-2] > A.shape[-1]


@kernel(public=False, method=False, name="linalg_lstsq", prepare=_check, autocast=SINGLE,
        dynamic=_depends_on_rank, keeps_order=True, unread=(1, 2, 3))  # fmt: skip
def _lstsq(xp, A, B, *, rcond, driver):
    """Return (X, residuals, ranks, singular values); what the driver does not compute is empty."""
    if driver in ("gelsd", "gelss") and not np.isfinite(A).all():  # LAPACK may run forever
        raise LinAlgError(
            "linalg.lstsq: The least squares solution could not be computed because the input "
            "matrix contained non-finite values"
        )
    own, lead = A.shape[:-2], np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    A, B = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (A, B)]
    (rows, n), k = A.shape[-2:], B.shape[-1]
    real = A.real.dtype
    ranks, S = np.zeros(lead, np.int64), np.zeros((*lead, min(rows, n)), real)
    # LAPACK writes X, column by column, into the memory that contained B.
    memory = np.zeros((prod(lead), k, max(rows, n)), A.dtype)
    X = matrices(memory, lead)[..., :n, :]
    if memory.size and A.size:
        if driver in ("gels", "gelsy"):
            memory[:, :, :rows] = columns(B)
            ranks = _by_factors(columns(A), memory, rcond, driver, lead)
        else:
            _by_values(A, B, rcond, driver, (X, ranks, S))
    full = driver == "gels" or (driver != "gelsy" and (ranks == n).all())
    residuals = np.empty(0, real)
    if rows > n and full:
        error = B - A @ X
        residuals = (error.real**2 + error.imag**2 if A.dtype.kind == "c" else error**2).sum(-2)
    # A matrix that is solved for several B has one rank.
    part = tuple([slice(n) for n in own])
    ranks, S = ranks[part].copy(), S[part].copy()
    return (
        X,
        residuals,
        np.empty(0, np.int64) if driver == "gels" else ranks,
        S if driver in ("gelsd", "gelss") else np.empty(0, real),
    )


def _by_factors(A, X, rcond, driver, lead):
    """Replace B in ``X`` by X, by QR factors of ``A``; return the ranks. Both are column-major."""
    (count, n, rows), (_, k, length) = A.shape, X.shape
    info, room = np.empty(count, np.int32), 64 * (2 * n + k + 1)
    work = Room(room, A.dtype)
    if driver == "gels":
        each("gels", b"N", rows, n, k, A, rows, X, length, work, room, info)
        if info.any():
            at = int((info != 0).argmax())
            place = f"(Batch element {at}): " if lead else ""
            raise LinAlgError(
                f"linalg.lstsq: {place}The least squares solution could not be computed because "
                f"the input matrix does not have full rank (error code: {info[at]}); "
                "driver='gelsy' takes such matrices"
            )
        return np.full(lead, n)
    least, ranks = np.array([rcond], A.real.dtype), np.empty(count, np.int32)
    more = [Room(2 * n, A.real.dtype)] if A.dtype.kind == "c" else []
    each("gelsy", rows, n, k, A, rows, X, length, np.zeros((count, n), np.int32), least, ranks,
         work, room, *more, info)  # fmt: skip
    return ranks.astype(np.int64).reshape(lead)


def _by_values(A, B, rcond, driver, outs):
    """Write X, the ranks of ``A``, and its singular values to ``outs``."""
    from scipy.linalg import lstsq as solve

    X, ranks, S = outs
    for i in np.ndindex(ranks.shape):
        X[i], _, ranks[i], S[i] = solve(A[i], B[i], rcond, lapack_driver=driver, check_finite=False)


def _slope_of_A(g, A, B, out):
    g, slope_of_residuals, X = g[0], g[1], out[0]
    error, found = B - A @ X, None
    if g is not None:
        P = _pseudoinverse(A)
        back = adjoint(P) @ g
        found = error @ adjoint(P @ back) - back @ adjoint(X)
        found = found + (adjoint(P) @ X) @ adjoint(g - adjoint(A) @ back)
    if slope_of_residuals is not None and out[1].shape[-1]:
        more = -(error * (2 * slope_of_residuals[..., None, :])) @ adjoint(X)
        found = more if found is None else found + more
    return found


def _slope_of_B(g, A, B, out):
    g, slope_of_residuals = g[:2]
    found = None if g is None else adjoint(_pseudoinverse(A)) @ g
    if slope_of_residuals is not None and out[1].shape[-1]:
        more = (B - A @ out[0]) * (2 * slope_of_residuals[..., None, :])
        found = more if found is None else found + more
    return found


def _pseudoinverse(A):
    """The pseudoinverse of arrays and tensors."""
    return OPS["linalg_pinv"].call(A, 0.0, _least_part(A), hermitian=False)


def _least_part(A):
    """The part of the largest singular value below which others count as 0, by default."""
    return rushlight.finfo(OF[getattr(A, "_array", A).dtype]).eps * max(A.shape[-2:])


@_lstsq.lower_by_counting
def _on_devices(A, B, rcond, driver):
    rows, n = A.shape[-2:]
    if A.is_complex():
        return NotImplemented  # the singular vectors would come from the host all the same
    if max(rows, n) > MOST or not A.numel() or not B.numel() or not A.isfinite().all():
        return NotImplemented
    U, S, Vh = svd(A, full_matrices=False)
    ranks = (rcond * S[..., :1] < S).sum(-1)
    full = driver != "gelsy" and bool((ranks == n).all())
    if driver == "gels" and not (full or rows < n):
        return NotImplemented  # the host says which matrix has too low a rank
    reciprocal = (1 / S).where(rcond * S[..., :1] < S, 0)
    X = (Vh.mT * reciprocal.unsqueeze(-2)) @ (U.mT @ B)
    error = B - A @ X
    return (
        X,
        (error * error).sum(-2) if rows > n and full else A.new_empty(0),
        ranks.new_empty(0) if driver == "gels" else ranks,
        S if driver in ("gelsd", "gelss") else A.new_empty(0),
    )


_lstsq.grad(A=_slope_of_A, B=_slope_of_B)


@autocasts(SINGLE)
def lstsq(A, b, rcond=None, *, driver=None, out=None):
    """Solve least-squares problems: find the X with the least norm of A·X - b.

    If several X have the least norm, the smallest of them is found (not by ``"gels"``). The
    gradients are those of matrices whose rank does not change.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        b: Tensor ``(*, M, K)``; or vectors ``(*, M)`` of the batch of A.
        rcond: Singular values below ``rcond`` times the largest count as 0. Default: the dtype's
            ``eps`` times max(M, N).
        driver: LAPACK's routine. ``"gelsy"`` (default) uses a QR factorization with pivots,
            ``"gels"`` one without, for A of full rank only, and ``"gelsd"`` and ``"gelss"`` use
            singular values.
        out: Tuple of four tensors that receive the results.

    Returns:
        Named tuple of ``solution`` ``(*, N, K)``; ``residuals`` ``(*, K)``, the squared norms of
        the columns of A·X - b, if M > N and A has full rank, but not with ``"gelsy"``; ``rank``
        ``(*)`` of A, but not with ``"gels"``; and ``singular_values`` ``(*, min(M, N))``, with
        ``"gelsd"`` and ``"gelss"``. What is not computed is empty.

    Raises:
        RuntimeError: The shapes or dtypes do not fit, or the driver is unknown.
        LinAlgError: A does not have full rank, and the driver is ``"gels"``.

    Source: Golub and Pereyra 1973, "The differentiation of pseudo-inverses", for the gradients.

    >>> import rushlight as torch
    >>> A = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> torch.linalg.lstsq(A, torch.tensor([[1.0], [3.0], [5.0]])).solution
    tensor([[1.0000],
            [2.0000]])
    """
    check_matrices("linalg.lstsq", A, "input")
    if A.dtype.itemsize < 4:
        raise UnsupportedDtypeError(f"linalg.lstsq: not implemented for {A.dtype}")
    if not b.dim():
        raise ShapeError("linalg.lstsq: other must have at least 1 dimension")
    if not 0 <= A.dim() - b.dim() <= 1:
        raise ShapeError(
            "linalg.lstsq: input.dim() must be greater or equal to other.dim() and at most by 1 "
            f"greater: A is {tuple(A.shape)} and b {tuple(b.shape)}"
        )
    driver = "gelsy" if driver is None else driver
    if driver not in _DRIVERS:
        raise RuntimeError(
            f"linalg.lstsq: parameter `driver` should be one of ({', '.join(_DRIVERS)}), "
            f"not {driver!r}"
        )
    vectors = b.dim() == 1 or tuple(b.shape) == tuple(A.shape[:-1])
    if vectors and b.shape[-1] != A.shape[-2]:
        raise ShapeError(
            "linalg.lstsq: input.size(-2) should match other.size(-1): A (…, M, N) is "
            f"{tuple(A.shape)} and b (…, M) is {tuple(b.shape)}"
        )
    rcond = _least_part(A) if rcond is None else float(rcond)
    found = _lstsq(A, b.unsqueeze(-1) if vectors else b, rcond=rcond, driver=driver)
    X, residuals, rank, S = found
    found = _Solved((X.squeeze(-1) if vectors else X, residuals, rank, S.detach()))
    return found if out is None else store(out, found, "linalg.lstsq", casts=True)
