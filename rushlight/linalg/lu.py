"""LU factorizations, and solutions that are computed from them.

LAPACK stores both factors in one matrix, LU: U is its upper triangle, and L is its lower triangle
with ones on the diagonal. Row i was swapped with row ``pivots[i]``, counted from 1, in the order of
i. The gradient of the factorization is that of its triangles, seen through A = P·L·U.
"""

import numpy as np

import rushlight
from rushlight.autograd.tape import watch
from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import (
    check_info,
    check_matrices,
    check_square,
    identity,
)  # fmt: skip
from rushlight.linalg.lapack import columns, each, empty, matrices
from rushlight.linalg.many import are_many, eliminated, substituted
from rushlight.linalg.on_devices import from_side, order_of, solved
from rushlight.linalg.on_devices import lu as lu_on_devices
from rushlight.linalg.solve import row_order, substitute
from rushlight.linalg.triangular import triangular_solution
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.linear.matmul import adjoint as adjoint_of
from rushlight.ops.linear.matmul import same_dtype
from rushlight.ops.linear.triangle import tril, triu
from rushlight.ops.shape.join import cat
from rushlight.return_types import result_type
from rushlight.tensor import Tensor

__all__ = ["factored", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "unpacked"]

_Checked = result_type("linalg_lu_factor_ex", "LU", "pivots", "info")
_Factored = result_type("linalg_lu_factor", "LU", "pivots")
_Factors = result_type("linalg_lu", "P", "L", "U")
_Unpacked = result_type("lu_unpack", "P", "L", "U")


def _prepare(A):
    check_matrices("linalg.lu_factor", A)
    return {}


@kernel(public=False, method=False, name="linalg_lu_factor_ex", prepare=_prepare, autocast=SINGLE,
        columns=(0,), unread=(2,))  # fmt: skip
def _factor(xp, A):
    """Return (LU, pivots, info). info is 0, or the number of U's first pivot that is 0."""
    return factored(A)


def factored(A):
    """Do the work of ``_factor`` on an array."""
    lead, (rows, n) = A.shape[:-2], A.shape[-2:]
    if are_many(A):
        LU, pivots, info = eliminated(A)
        LU = np.moveaxis(LU, -1, 0).reshape(A.shape)
        return LU, pivots.T.reshape(A.shape[:-1]) + np.int32(1), info.reshape(lead)
    LU, k = columns(A), min(rows, n)
    pivots, info = empty(A, (len(LU), k), np.int32), empty(A, len(LU), np.int32)
    info[...] = 0
    if A.size:
        each("getrf", rows, n, LU, rows, pivots, info)
    return matrices(LU, lead), pivots.reshape(*lead, k), info.reshape(lead)


@kernel(public=False, method=False, name="lu_row_order")
def _row_order(xp, pivots, *, rows):
    """Return the order of A's rows in L·U: row i of L·U is row ``order[i]`` of A."""
    return row_order(pivots, rows)


def _in_order(x, order, dim=-2):
    """Return the rows (or columns, with ``dim=-1``) of matrices in another order."""
    index = order[..., None] if dim == -2 else order[..., None, :]
    dims = max(x.ndim, index.ndim)
    x, index = [t[(None,) * (dims - t.ndim)] for t in (x, index)]
    take = rushlight.take_along_dim if isinstance(x, Tensor) else np.take_along_axis
    return take(x, index, dim)


def _factors(LU):
    """Return L (…, M, K) and U (…, K, N), with K = min(M, N)."""
    rows, k = LU.shape[-2], min(LU.shape[-2:])
    ones = rushlight.eye(rows, k, dtype=LU.dtype)
    left = LU if LU.shape[-1] == k else LU[..., :k]
    return tril(left, -1) + ones, triu(LU if rows == k else LU[..., :k, :])


def _slope(g, out):
    (g, *_), (LU, pivots, _) = g, out
    if g is None:
        return None
    k = min(LU.shape[-2:])
    tall, wide = LU.shape[-2] > k, LU.shape[-1] > k
    square, corner = LU[..., :k, :k], g[..., :k, :k]
    back = adjoint_of(square)
    # The changes of L and of U, each multiplied by the adjoint of its factor.
    lower = (triu(back, 1) + identity(square)) @ tril(corner, -1)
    upper = triu(corner) @ tril(back)
    if wide:  # U's columns on the right are L⁻¹ times columns of A
        lower = lower - g[..., k:] @ adjoint_of(LU[..., k:])
    if tall:  # L's rows below are rows of A times U⁻¹
        upper = upper - adjoint_of(LU[..., k:, :]) @ g[..., k:, :]
    found = tril(lower, -1) + triu(upper)
    found = cat([found, g[..., k:, :]], -2) if tall else found
    found = triangular_solution(back, found, upper=False, left=False)
    top = cat([found, g[..., k:]], -1) if wide else found[..., :k, :]
    top = triangular_solution(back, top, upper=True, unitriangular=True)
    found = cat([top, found[..., k:, :]], -2) if tall else top
    order = _row_order(pivots, rows=LU.shape[-2])
    return _in_order(found, order.argsort(-1))


_factor.grad(A=_slope)
_factor.lower_on_devices(lu_on_devices)
_row_order.lower_on_devices(order_of)


def lu_factor_ex(A, *, pivot=True, check_errors=False, out=None):
    """Compute ``lu_factor`` without raising an error for singular matrices.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        pivot: It must be True: swap rows, so that the factorization exists and is exact.
        out: Tuple of three tensors that receive the results.

    Returns:
        Named tuple of ``LU`` ``(*, M, N)``, ``pivots``, int32 ``(*, min(M, N))``, and ``info``,
        int32 ``(*)``. ``info`` is 0, or the number of U's first diagonal element that is 0.

    Raises:
        RuntimeError: ``check_errors`` is True and a matrix is singular, ``pivot`` is False, or A
            has fewer than two dims.

    >>> import rushlight as torch
    >>> torch.linalg.lu_factor_ex(torch.zeros(1, 1)).info
    tensor(1, dtype=torch.int32)
    """
    if not pivot:
        raise RuntimeError(
            "linalg.lu_factor: LU without pivoting is not implemented on the CPU; leave pivot out"
        )
    found = _Checked(_factor(A))
    if check_errors:
        _check_diagonal("linalg.lu_factor_ex", found.info)
    return found if out is None else store(out, found, "linalg.lu_factor_ex")


def _check_diagonal(name, info):
    what = (
        "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero. If you "
        "still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
        "linalg.lu_factor_ex(A, pivot)"
    )
    check_info(f"torch.{name}", info, what, error=RuntimeError)


def lu_factor(A, *, pivot=True, out=None):
    """Factor A = P·L·U, and return the factors as ``lu_solve`` takes them.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        pivot: It must be True: swap rows, so that the factorization exists and is exact.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``LU`` ``(*, M, N)`` and ``pivots``, int32 ``(*, min(M, N))``. The upper
        triangle of ``LU`` is U. Its lower triangle, with ones on the diagonal, is L. Row i was
        swapped with row ``pivots[i]``, counted from 1.

    Raises:
        RuntimeError: A matrix is singular, ``pivot`` is False, or A has fewer than two dims.

    >>> import rushlight as torch
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[0.0, 2.0], [4.0, 1.0]]))
    >>> LU
    tensor([[4., 1.],
            [0., 2.]])
    >>> pivots
    tensor([2, 2], dtype=torch.int32)
    """
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    _check_diagonal("linalg.lu_factor", info)
    found = _Factored((LU, pivots))
    return found if out is None else store(out, found, "linalg.lu_factor")


def lu(A, *, pivot=True, out=None):
    """Factor A = P·L·U with a permutation P, and triangles L and U.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        pivot: It must be True: swap rows, so that the factorization exists and is exact.
        out: Tuple of three tensors that receive the results.

    Returns:
        Named tuple of ``P`` ``(*, M, M)``, ``L`` ``(*, M, K)``, which is lower triangular with ones
        on the diagonal, and ``U`` ``(*, K, N)``, which is upper triangular; K is min(M, N).

    Raises:
        RuntimeError: ``pivot`` is False, or A has fewer than two dims.

    >>> import rushlight as torch
    >>> A = torch.tensor([[0.0, 2.0], [4.0, 1.0]])
    >>> P, L, U = torch.linalg.lu(A)
    >>> torch.equal(P @ L @ U, A)
    True
    """
    found = _Factors(unpacked(*lu_factor_ex(A, pivot=pivot)[:2]))
    for factor in found[1:]:
        watch(factor, *found)
    return found if out is None else store(out, found, "linalg.lu")


def unpacked(LU, pivots, data=True, permutation=True):
    """Compute ``torch.lu_unpack``: (P, L, U), with empty tensors for what is not wanted."""
    if LU.ndim < 2:
        raise ShapeError(f"lu_unpack: expected matrices (…, M, N), got {tuple(LU.shape)}")
    shape, n = tuple(LU.shape), min(LU.shape[-2:])
    lead = tuple(pivots.shape[:-1])
    if permutation:
        if pivots.ndim >= LU.ndim:
            raise ShapeError(
                f"lu_unpack: pivots {tuple(pivots.shape)} have more leading dims than LU {shape}"
            )
        if lead != shape[len(shape) - 2 - len(lead) : -2] or pivots.shape[-1] < n:
            raise ShapeError(f"lu_unpack: pivots {tuple(pivots.shape)} do not belong to LU {shape}")
        pivots = pivots if pivots.shape[-1] == n else pivots[..., :n]
        _check_pivots("lu_unpack", LU, pivots)
        P = _permutation(pivots, shape[-2], LU.dtype)
        if P.ndim < len(shape):
            P = P.expand(*shape[: len(shape) - P.ndim], *P.shape).contiguous()
    else:
        P = LU.new_empty(0)
    L, U = _factors(LU) if data else (LU.new_empty(0), LU.new_empty(0))
    return _Unpacked((P, L, U))


def _permutation(pivots, rows, dtype):
    """Return P of A = P·L·U."""
    numbers = np.arange(rows)[:, None]
    matrix = lambda p: (row_order(p, rows)[..., None, :] == numbers).astype(dtype.numpy)
    found = on_arrays(matrix, pivots, floats=False)
    if found is not None:
        return found
    order = _row_order(pivots, rows=rows)
    return (order.unsqueeze(-2) == rushlight.arange(rows).unsqueeze(-1)).to(dtype)


def _check_pivots(name, LU, pivots):
    if pivots.dtype.name != "int32":
        raise DtypeError(f"{name}: the pivots must be of torch.int32 dtype, got {pivots.dtype}")
    rows = LU.shape[-2]
    check_range(
        pivots, low=1, high=rows, error=RuntimeError,
        message=f"{name}: pivots must be between 1 and LU.size(-2) inclusive: greater or equal to "
        f"1 and smaller or equal to LU.size(-2), which is {rows}; pass the results of lu_factor",
    )  # fmt: skip


@kernel(public=False, method=False, name="linalg_lu_solve", autocast=SINGLE, keeps_order=True)
def _solve(xp, LU, pivots, B, *, left, adjoint):
    """Return X; its matrices are stored by columns if ``left``, else by rows."""
    lead = np.broadcast_shapes(LU.shape[:-2], B.shape[:-2])
    conjugated = B.dtype.kind == "c" and adjoint and not left
    B = B if left else (B.conj() if conjugated else B).swapaxes(-1, -2)
    # X·A = B is Aᵀ·Xᵀ = Bᵀ, and X·Aᴴ = B is the conjugate of A·Xᴴ = Bᴴ.
    turn = (b"C" if adjoint else b"N") if left else (b"N" if adjoint else b"T")
    if not xp.dry:
        found = substituted(LU, pivots, np.broadcast_to(B, (*lead, *B.shape[-2:])), turn != b"N")
        if found is not None:
            return found if left else found.swapaxes(-1, -2)
    X = columns(B, lead)
    if X.size and not xp.dry:  # LAPACK would swap rows that are not there, as told by zeros
        substitute(LU, pivots, X, lead, turn)
    X = matrices(X.conj() if conjugated else X, lead)
    return X if left else X.swapaxes(-1, -2)


def _slope_of_solved(g, LU, pivots, out, left, adjoint):
    # X·A = B is the same as Aᴴ·Xᴴ = Bᴴ.
    G, X = (g, out) if left else (adjoint_of(g), adjoint_of(out))
    back = adjoint_of(LU)
    if left == adjoint:  # from Aᴴ·X = B, where Aᴴ is Uᴴ·Lᴴ·Pᵀ
        order = _row_order(pivots, rows=LU.shape[-1])
        Z = _in_order(X, order)
        lower = triangular_solution(LU, _in_order(G, order), upper=False, unitriangular=True)
        upper = triangular_solution(LU, lower, upper=True)
        half = triu(back, 1) @ Z + Z
        return -(tril(Z @ adjoint_of(lower), -1) + triu(half @ adjoint_of(upper)))
    upper = triangular_solution(back, G, upper=False)
    lower = triangular_solution(back, upper, upper=True, unitriangular=True)
    XH = adjoint_of(X)
    return -(tril(lower @ (XH @ tril(back)), -1) + triu(upper @ XH))


_solve.grad(
    LU=_slope_of_solved,
    B=lambda g, LU, pivots, left, adjoint: _solve(LU, pivots, g, left=left, adjoint=not adjoint),
)
_solve.watch(B="out")

_solve.lower_on_devices(lambda LU, pivots, B, left, adjoint: (
    from_side(solved, LU, pivots, B, left, adjoint)
))  # fmt: skip
_solve.op.batching = "matrices"


def lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """Solve the linear equations A·X = B for X, from the factors of A that ``lu_factor`` returned.

    Args:
        LU: Tensor ``(*, N, N)``, the factors.
        pivots: Tensor ``(*, N)`` of int32, the swapped rows.
        B: Tensor ``(*, N, K)``, or ``(*, K, N)`` with ``left=False``. Its leading dims and those
            of ``LU`` are broadcast.
        adjoint: Solve Aᴴ·X = B, or X·Aᴴ = B. Default: False.

    Returns:
        Tensor X of B's shape, with the leading dims broadcast. A zero on the diagonal of U gives
        infinities and nan.

    Raises:
        RuntimeError: ``LU`` is not square, or the shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[0.0, 2.0], [4.0, 0.0]]))
    >>> torch.linalg.lu_solve(LU, pivots, torch.ones(2, 1))
    tensor([[0.2500],
            [0.5000]])
    """
    _check_solve(LU, pivots, B, left)
    found = _solve(LU, pivots, B, left=bool(left), adjoint=bool(adjoint))
    return found if out is None else store(out, found, "linalg.lu_solve")


def _check_solve(LU, pivots, B, left):
    name = "linalg.lu_solve"
    check_square(name, LU)
    same_dtype(name, LU, B)
    if pivots.shape != LU.shape[:-1]:
        raise ShapeError(
            f"{name}: LU {tuple(LU.shape)} needs one pivot for each row, got {tuple(pivots.shape)}"
        )
    _check_pivots(name, LU, pivots)
    dim = -2 if left else -1
    if B.dim() < 2 or B.shape[dim] != LU.shape[-1]:
        raise ShapeError(
            f"{name}: Incompatible shapes: LU {tuple(LU.shape)} with left={left} needs "
            f"{LU.shape[-1]} in dim {dim} of B, which is {tuple(B.shape)}"
        )
