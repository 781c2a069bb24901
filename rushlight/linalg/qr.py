"""QR factorizations, and the Householder reflections of which Q is a product."""

import numpy as np

import rushlight
from rushlight.autograd.tape import watch
from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import check_matrices
from rushlight.linalg.columns import in_columns
from rushlight.linalg.lapack import Room, are_few, clear, columns, each, empty, matrices
from rushlight.linalg.on_devices import from_side, identities, reflections
from rushlight.linalg.on_devices import qr as qr_on_devices
from rushlight.linalg.on_devices import reflected as reflected_on_devices
from rushlight.linalg.triangular import triangular_solution
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj, underivable, zeros
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
    (rows, n), lead = A.shape[-2:], A.shape[:-2]
    if not A.size or (lead and are_few(A)):
        found = np.linalg.qr(A, mode)
        return (np.empty(0, A.dtype), found) if mode == "r" else tuple(found)
    Q, tau = _factored(A)
    if mode == "complete" and rows > n:
        Q = np.concatenate([Q, empty(A, (len(Q), rows - n, rows))], 1)
    R = Q[:, :n, : min(Q.shape[1], rows)].copy()
    clear(R, below=True)
    if mode == "r":
        return np.empty(0, A.dtype), matrices(R, lead)
    _multiply(Q, tau)
    return matrices(Q, lead), matrices(R, lead)


def _factored(A):
    """Return LAPACK's form of the factors, each matrix column by column, and τ."""
    (rows, n), k = A.shape[-2:], min(A.shape[-2:])
    Q, room = columns(A), 64 * n
    tau = empty(A, (len(Q), k))
    if Q.size:
        each("geqrf", rows, n, Q, rows, tau, Room(room, A.dtype), room, Room(1, np.int32))
    return Q, tau


def _multiply(Q, tau):
    """Replace the vectors of reflections in ``Q``, by columns, by the reflections' product."""
    (_, n, rows), k, room = Q.shape, tau.shape[-1], 64 * Q.shape[1]
    name = "ungqr" if Q.dtype.kind == "c" else "orgqr"
    each(name, rows, n, k, Q, rows, tau, Room(room, Q.dtype), room, Room(1, np.int32))


def _slope(g, out, mode):
    Q, R = out
    if mode == "complete" and Q.shape[-1] != R.shape[-1]:
        raise RuntimeError(
            "linalg.qr: The QR decomposition is not differentiable when mode='complete' and "
            f"nrows > ncols: R is {tuple(R.shape)}"
        )
    if mode == "r" or Q.shape[-1] != R.shape[-1]:
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'; use "
            f"mode='reduced' for R {tuple(R.shape)}"
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
    return triangular_solution(adjoint(R), both, upper=False, left=False)


_qr.grad(A=_slope)
_qr.lower_on_devices(qr_on_devices)


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
            f"linalg.qr: qr received unrecognized mode {mode!r} but expected one of 'reduced' "
            "(default), 'r', or 'complete'"
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
    check_matrices("geqrf", x, "input")
    return {}


@kernel(public=False, method=False, name="geqrf", prepare=_prepare_geqrf, columns=(0,),
        autocast=SINGLE)  # fmt: skip
def _reflections(xp, x):
    """Return (a, tau) of LAPACK's geqrf."""
    h, tau = _factored(x)
    return matrices(h, x.shape[:-2]), tau.reshape(*x.shape[:-2], tau.shape[-1])


_reflections.lower_on_devices(lambda x: reflections(x))
_reflections.grad(x=underivable("geqrf", listed=True))


def geqrf(input, *, out=None):
    """Compute ``torch.geqrf``."""
    found = _reflections(input)
    if out is not None:
        found = tuple([store(o, f, "geqrf", casts=True) for o, f in zip(out, found, strict=True)])
    return _Reflections(found)


@kernel(public=False, method=False, name="householder_product", columns=(0,),
        grad_name="LinalgHouseholderProductBackward0")  # fmt: skip
def _product(xp, A, tau):
    """Return the first columns of Q."""
    Q = columns(A)
    if Q.size:
        _multiply(Q, xp.ascontiguousarray(tau).reshape(len(Q), tau.shape[-1]))
    return matrices(Q, A.shape[:-2])


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

    >>> import rushlight as torch
    >>> torch.linalg.householder_product(torch.zeros(2, 2), torch.zeros(2))
    tensor([[1., 0.],
            [-0., 1.]])
    """
    check_matrices("linalg.householder_product", A, "input")
    if tau.dtype is not A.dtype:
        raise DtypeError(
            f"linalg.householder_product: tau dtype {tau.dtype} does not match input dtype "
            f"{A.dtype}"
        )
    (rows, columns), k = A.shape[-2:], tau.shape[-1]
    if rows < columns:
        raise ShapeError(
            "linalg.householder_product: input.shape[-2] must be greater than or equal to "
            f"input.shape[-1]: input is {tuple(A.shape)}"
        )
    if columns < k:
        raise ShapeError(
            "linalg.householder_product: input.shape[-1] must be greater than or equal to "
            f"tau.shape[-1]: input is {tuple(A.shape)} and tau {tuple(tau.shape)}"
        )
    if tau.shape[:-1] != A.shape[:-2]:
        raise ShapeError(
            f"linalg.householder_product: A (…, M, N) is {tuple(A.shape)} and tau (…, K) is "
            f"{tuple(tau.shape)}; the same leading dims are needed"
        )
    found = _product(A, tau)
    return found if out is None else store(out, found, "linalg.householder_product", casts=True)


def _slopes(G, X, A, tau):
    """The gradients for A and τ of the sum of conj(G)·(Q·X), with the product Q = I - V·T·Vᴴ.

    T = (I + W)⁻¹·diag(τ), where W is diag(τ)·S, and S is Vᴴ·V above its diagonal.

    Source: Schreiber and Van Loan 1989, for the form of the product.
    """
    k, extra = tau.shape[-1], A.shape[-1] - tau.shape[-1]
    V = tril(A[..., :k], -1) + _ones(A, A.shape[-2], k)
    VH, scale = adjoint(V), tau[..., None]
    S = triu(VH @ V, 1)
    W, Y = scale * S, VH @ X
    Z = triangular_solution(W, scale * Y, upper=True, unitriangular=True)
    back = triangular_solution(adjoint(W), -(VH @ G), upper=False, unitriangular=True)
    slope_of_W = -triu(back @ adjoint(Z), 1)
    slope_of_Y, slope_of_S = conj(scale) * back, conj(scale) * slope_of_W
    found = X @ adjoint(slope_of_Y) - G @ adjoint(Z) + V @ (slope_of_S + adjoint(slope_of_S))
    found = tril(found, -1)
    if extra:
        found = cat([found, zeros(A)[..., k:]], -1)
    return found, (back * conj(Y)).sum(-1) + (slope_of_W * conj(S)).sum(-1)


def _ones(x, rows, columns):
    """Return the matrix with ones on its diagonal, as an array or a tensor like ``x``."""
    if isinstance(x, np.ndarray):
        return np.eye(rows, columns, dtype=x.dtype)
    return rushlight.eye(rows, columns, dtype=x.dtype)


_product.lower_on_devices(lambda A, tau: reflected_on_devices(A, tau, identities(A, A.shape[-1])))
_product.grad(
    A=lambda g, A, tau: _slopes(g, _ones(A, *A.shape[-2:]), A, tau)[0],
    tau=lambda g, A, tau: _slopes(g, _ones(A, *A.shape[-2:]), A, tau)[1],
)
_product.watch(A="out", tau="out")
_product.op.batching = "matrices"


@kernel(public=False, method=False, name="ormqr", columns=(0,))
def _reflect(xp, A, tau, C, *, left, transpose):
    """Return C multiplied by the product of all reflections, or by its adjoint."""
    X, is_complex = columns(C), C.dtype.kind == "c"
    (_, n, rows), k = X.shape, tau.shape[-1]
    if X.size:
        room = 64 * max(n, rows) + 65 * 64
        side, turn = b"L" if left else b"R", (b"C" if is_complex else b"T") if transpose else b"N"
        each("unmqr" if is_complex else "ormqr", side, turn, rows, n, k, columns(A), A.shape[-2],
             xp.ascontiguousarray(tau).reshape(len(X), k), X, rows, Room(room, C.dtype), room,
             Room(1, np.int32))  # fmt: skip
    return matrices(X, C.shape[:-2])


def _slopes_of_factors(g, A, tau, C, left, transpose):
    X, G = (C, g) if left else (adjoint(C), adjoint(g))  # C·Q is the adjoint of Qᴴ·Cᴴ
    return _slopes(X, G, A, tau) if transpose == left else _slopes(G, X, A, tau)


_reflect.lower_on_devices(lambda A, tau, C, left, transpose: (
    from_side(reflected_on_devices, A, tau, C, left, transpose)
))  # fmt: skip
_reflect.grad(
    A=lambda g, A, tau, C, left, transpose: _slopes_of_factors(g, A, tau, C, left, transpose)[0],
    tau=lambda g, A, tau, C, left, transpose: _slopes_of_factors(g, A, tau, C, left, transpose)[1],
    C=lambda g, A, tau, left, transpose: _reflect(A, tau, g, left=left, transpose=not transpose),
)
_reflect.watch(A="out", tau="out", C="out")
_reflect.op.batching = "matrices"


@autocasts(SINGLE)
def reflected(A, tau, C, left=True, transpose=False, *, out=None):
    """Compute ``torch.ormqr``: C multiplied by the product of all reflections, or its adjoint."""
    _check_reflected(A, tau, C, left)
    found = _reflect(A, tau, C, left=bool(left), transpose=bool(transpose))
    return found if out is None else store(out, found, "ormqr")


def _check_reflected(A, tau, C, left):
    check_matrices("ormqr", A, "input")
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
