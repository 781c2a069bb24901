"""QR factorizations, and the Householder reflections of which Q is a product."""

import numpy as np

import rushlight
from rushlight.autograd.tape import watch
from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import check_matrices
from rushlight.linalg.columns import in_columns
from rushlight.linalg.triangular import solve_triangular
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import underivable
from rushlight.ops.linear.matmul import adjoint, same_dtype
from rushlight.ops.linear.triangle import tril, triu
from rushlight.ops.shape.join import cat
from rushlight.return_types import result_type

__all__ = ["geqrf", "householder_product", "qr", "reflected"]

_Factors = result_type("linalg_qr", "Q", "R")
_Reflections = result_type("geqrf", "a", "tau")


def _prepared(A, *, mode):
    check_matrices("linalg.qr", A)
    return {"mode": mode}


@kernel(public=False, method=False, name="linalg_qr", prepare=_prepared, autocast=SINGLE,
        columns=(0, 1))  # fmt: skip
def _qr(xp, A, *, mode):
    """Return (Q, R).

    A must not have more columns than rows, except with mode "r", which has no gradient.
    """
    if mode == "r":
        return np.empty(0, A.dtype), np.linalg.qr(A, "r")
    return tuple(np.linalg.qr(A, mode))


def _slope(g, out, mode):
    Q, R = out
    if mode == "r" or Q.shape[-1] != R.shape[-1]:
        raise RuntimeError(
            f"linalg.qr: mode={mode!r} has no gradient for R {tuple(R.shape)}; use mode='reduced'"
        )
    gQ, gR = g
    inner = 0
    if gR is not None:
        inner = gR @ adjoint(R)
    if gQ is not None:
        inner = inner - adjoint(Q) @ gQ
    inner = triu(inner)
    symmetric = inner + adjoint(inner)
    both = Q @ (symmetric - tril(triu(symmetric)) * 0.5)
    if gQ is not None:
        both = both + gQ
    return solve_triangular(adjoint(R), both, upper=False, left=False)


_qr.grad(A=_slope)


def qr(A, mode="reduced", *, out=None):
    """Factor A = Q·R with orthonormal columns of Q and upper triangular R.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        mode: With ``"reduced"`` (default) Q has K = min(M, N) columns. With ``"complete"`` it has
            K = M columns. With ``"r"`` Q is not computed and returned empty.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``Q`` ``(*, M, K)`` and ``R`` ``(*, K, N)``.

    Raises:
        RuntimeError: The mode is unknown, or A has fewer than two dims.

    >>> import rushlight as torch
    >>> A = torch.tensor([[3.0, 1.0], [4.0, 2.0]])
    >>> Q, R = torch.linalg.qr(A)
    >>> torch.allclose(Q @ R, A)
    True
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"linalg.qr: mode must be 'reduced', 'complete' or 'r', but got {mode!r}"
        )
    check_matrices("linalg.qr", A)
    rows, columns = A.shape[-2:]
    if rows < columns and mode != "r":
        Q, R = _qr(A[..., :rows], mode=mode)
        R = in_columns(cat([R, adjoint(Q) @ A[..., rows:]], -1))
        watch(R, Q, R)
    else:
        Q, R = _qr(A, mode=mode)
    if out is not None:
        Q, R = store(out[0], Q, "linalg.qr"), store(out[1], R, "linalg.qr")
    return _Factors((Q, R))


def _prepare_geqrf(x):
    check_matrices("geqrf", x)
    return {}


@kernel(public=False, method=False, name="geqrf", prepare=_prepare_geqrf, columns=(0,))
def _reflections(xp, x):
    """Return (a, tau) of LAPACK's geqrf."""
    h, tau = np.linalg.qr(x, "raw")
    return h.swapaxes(-1, -2), tau


_reflections.grad(x=underivable("geqrf"))


def geqrf(input, *, out=None):
    """Compute ``torch.geqrf``."""
    found = _reflections(input)
    if out is not None:
        found = tuple([store(o, f, "geqrf", casts=True) for o, f in zip(out, found, strict=True)])
    return _Reflections(found)


@autocasts(SINGLE)
def householder_product(A, tau, *, out=None):
    """Return the first N columns of the product of the Householder reflections I − τ·v·vᴴ.

    Each v is a column of A: below the diagonal its elements are those of A, on the diagonal it is
    1, and above it is 0.

    Args:
        A: Tensor ``(*, M, N)`` with M ≥ N, floating point or complex.
        tau: Tensor ``(*, K)`` with K ≤ N, which holds the τ of the first K columns.

    Returns:
        Tensor ``(*, M, N)``.

    Raises:
        RuntimeError: The shapes do not fit.

    Source: Schreiber and Van Loan 1989: the product is I − V·T·Vᴴ with T upper triangular.

    >>> import rushlight as torch
    >>> torch.linalg.householder_product(torch.zeros(2, 2), torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_matrices("linalg.householder_product", A)
    if tau.dtype is not A.dtype:
        raise DtypeError(
            f"linalg.householder_product: tau dtype {tau.dtype} does not match input dtype "
            f"{A.dtype}"
        )
    (rows, columns), k = A.shape[-2:], tau.shape[-1]
    if rows < columns or columns < k or tau.shape[:-1] != A.shape[:-2]:
        raise ShapeError(
            f"linalg.householder_product: A (…, M, N) is {tuple(A.shape)} and tau (…, K) is "
            f"{tuple(tau.shape)}; M ≥ N ≥ K and the same leading dims are needed"
        )
    V, VH, scale, inverse = _block(A[..., :k], tau)
    inner = solve_triangular(inverse, scale * VH[..., :columns], upper=True, unitriangular=True)
    found = in_columns(rushlight.eye(rows, columns, dtype=A.dtype) - V @ inner)
    watch(found, A, tau, found)
    return found if out is None else store(out, found, "linalg.householder_product", casts=True)


def _block(A, tau):
    """Return V, Vᴴ, the column τ, and W with T = (I + W)⁻¹·diag(τ) in the product I − V·T·Vᴴ.

    W is diag(τ)·S, where S is Vᴴ·V above its diagonal.
    """
    V = tril(A, -1) + rushlight.eye(*A.shape[-2:], dtype=A.dtype)
    VH, scale = V.mH, tau.unsqueeze(-1)
    return V, VH, scale, scale * triu(VH @ V, 1)


@autocasts(SINGLE)
def reflected(A, tau, C, left=True, transpose=False, *, out=None):
    """Compute ``torch.ormqr``: C multiplied by the product of all reflections, or its adjoint."""
    _check_reflected(A, tau, C, left)
    X = C if left else C.mH  # C·Q is the adjoint of Qᴴ·Cᴴ
    V, VH, scale, inverse = _block(A[..., : tau.shape[-1]], tau)
    if transpose == left:  # by the adjoint I − V·Tᴴ·Vᴴ
        inner = solve_triangular(inverse.mH, VH @ X, upper=False, unitriangular=True)
        inner = scale.conj() * inner
    else:
        inner = solve_triangular(inverse, scale * (VH @ X), upper=True, unitriangular=True)
    found = X - V @ inner
    found = in_columns(found if left else found.mH)
    watch(found, A, tau, C, found)
    return found if out is None else store(out, found, "ormqr")


def _check_reflected(A, tau, C, left):
    check_matrices("ormqr", A)
    same_dtype("ormqr", A, tau, C)
    shapes = tuple(A.shape), tuple(tau.shape), tuple(C.shape)
    fits = len(shapes[0]) == len(shapes[2]) and shapes[0][:-2] == shapes[1][:-1] == shapes[2][:-2]
    if fits:
        rows = shapes[2][-2 if left else -1]
        fits = rows == shapes[0][-2] and shapes[1][-1] == min(rows, shapes[0][-1])
    if not fits:
        raise ShapeError(
            "ormqr: input (…, M, K), tau (…, min(M, K)) and other, which has M in dim "
            f"{-2 if left else -1}, must fit, got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
