"""Systems of linear equations."""

from math import prod

import numpy as np

from rushlight import shapes
from rushlight.autograd.tape import watch
from rushlight.errors import ShapeError
from rushlight.linalg.checks import check_info, check_square
from rushlight.linalg.columns import in_columns
from rushlight.linalg.lapack import are_few, columns, each, empty, matrices, one
from rushlight.linalg.many import are_many, solved
from rushlight.linalg.on_devices import solution
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.linear.matmul import adjoint, same_dtype
from rushlight.ops.tensor.memory_format import contiguous_format
from rushlight.return_types import result_type

__all__ = ["solve", "solve_ex", "tensorsolve"]

_Solved = result_type("linalg_solve_ex", "result", "info")


def _check(A, B):
    check_square("linalg.solve", A)
    same_dtype("linalg.solve", A, B)
    if B.shape[-2] != A.shape[-1]:
        raise ShapeError(
            f"linalg.solve: A {tuple(A.shape)} needs {A.shape[-1]} rows in dim -2 of B, which is "
            f"{tuple(B.shape)}"
        )
    return {}


@kernel(public=False, method=False, name="linalg_solve", prepare=_check, autocast=SINGLE,
        grad_name="LinalgSolveExBackward0",
        columns=(0,))  # fmt: skip
def _solve(xp, A, B):
    """Return (X, info) with A·X = B. info is 0, or the number of A's first pivot that is 0."""
    if are_few(A):
        try:
            return np.linalg.solve(A, B), xp.zeros(A.shape[:-2], np.int32)
        except np.linalg.LinAlgError:
            pass
    return solve_each(A, B)


def solve_each(A, B):
    """Do the work of ``_solve`` by LAPACK. The X of singular matrices is nan."""
    n, own, lead = A.shape[-1], A.shape[:-2], np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    if own == lead and are_many(A):
        return solved(A, np.broadcast_to(B, (*lead, *B.shape[-2:])))
    LU, X, info = columns(A), columns(B, lead), empty(A, prod(own), np.int32)
    info[...] = 0
    if not A.size:
        return matrices(X, lead), info.reshape(own)
    pivots = empty(A, (len(LU), n), np.int32)
    if own == lead:
        each("gesv", n, B.shape[-1], LU, n, pivots, X, n, info)
    else:
        each("getrf", n, n, LU, n, pivots, info)
        if X.size:
            substitute(matrices(LU, own), pivots.reshape(*own, n), X, lead, b"N")
    X.reshape(*lead, *X.shape[1:])[np.broadcast_to(info.reshape(own) > 0, lead)] = np.nan
    return matrices(X, lead), info.reshape(own)


def substitute(LU, pivots, X, lead, turn):
    """Replace B in ``X`` by the solution of A·X = B.

    ``X`` has column-major matrices, which have the leading dims ``lead``. ``LU`` and ``pivots`` are
    LAPACK's factors of A; ``turn`` is its letter for A, Aᵀ or Aᴴ.
    """
    # OpenBLAS's getrs starts threads even for small matrices, which takes milliseconds.
    order = np.broadcast_to(row_order(pivots, X.shape[2]), (*lead, X.shape[2]))
    order = np.broadcast_to(order.reshape(len(X), 1, X.shape[2]), X.shape)
    factors = columns(LU, lead)
    if turn == b"N":
        X[...] = np.take_along_axis(X, order, -1)
    for upper in (False, True) if turn == b"N" else (True, False):
        letters = b"L", b"U" if upper else b"L", turn, b"N" if upper else b"U"
        each("trsm", *letters, X.shape[2], X.shape[1], one(X.dtype), factors, X.shape[2], X,
             X.shape[2])  # fmt: skip
    if turn != b"N":
        X[...] = np.take_along_axis(X, order.argsort(-1, kind="stable"), -1)


def row_order(pivots, rows):
    """Return the order of A's rows in L·U: row i of L·U is row ``order[i]`` of A."""
    lead, k = pivots.shape[:-1], pivots.shape[-1]
    numbers = empty(pivots, (prod(lead), rows), np.float64)
    numbers[...] = np.arange(rows, dtype=np.float64)
    if numbers.size and k:
        # LAPACK would swap rows that are not there, as a call with pivots of zeros asks for.
        swaps = np.minimum(np.maximum(pivots, 1), rows).reshape(-1, k)
        each("laswp", 1, numbers, rows, 1, k, swaps, 1)
    return numbers.astype(np.int64).reshape(*lead, rows)


def _slope(g, A, out):
    if g[0] is None:
        return None
    return -(_solve(adjoint(A), g[0])[0] @ adjoint(out[0]))


_solve.lower_on_devices(solution)
_solve.grad(A=_slope, B=lambda g, A: None if g[0] is None else _solve(adjoint(A), g[0])[0])


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """Compute ``solve`` without raising an error for a singular A.

    Args:
        B: Tensor, as for ``solve``.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``result``, the X of ``solve``, and ``info``, int32 ``(*)``. ``info`` is 0,
        or the number of A's first pivot that is 0. Such matrices give nan.

    Raises:
        LinAlgError: ``check_errors`` is True, and a matrix is singular.
        RuntimeError: A is not square, or the shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.linalg.solve_ex(torch.zeros(1, 1), torch.ones(1)).info
    tensor(1, dtype=torch.int32)
    """
    check_square("linalg.solve", A)
    vectors = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    if B.dim() == 0 or (vectors and not left):
        raise ShapeError(
            f"linalg.solve: B {tuple(B.shape)} must be matrices here, for A {tuple(A.shape)} and "
            f"left={left}; pass B.unsqueeze(-1)"
        )
    if left:
        X, info = _solve(A, B.unsqueeze(-1) if vectors else B)
        X = X.squeeze(-1) if vectors else X
        X = in_columns(X) if vectors and X.dim() > 1 else X  # as PyTorch stores vectors
        watch(X, X)
    else:
        X, info = _solve(A.mT, B.mT)
        X = X.mT.clone(memory_format=contiguous_format)
        watch(X, X)
    if check_errors:
        check_info("torch.linalg.solve", info,
                   "The solver failed because the input matrix is singular.")  # fmt: skip
    if out is not None:
        X, info = store(out[0], X, "linalg.solve_ex"), store(out[1], info, "linalg.solve_ex")
    return _Solved((X, info))


def solve(A, B, *, left=True, out=None):
    """Solve the linear equations A·X = B for X.

    Args:
        B: Tensor ``(*, N, K)``, or ``(*, K, N)`` with ``left=False``. Its leading dims and those
            of A are broadcast. B is taken as vectors ``(*, N)`` if its shape is ``(N,)``, or the
            shape of A without the last dim.

    Returns:
        Tensor X of B's shape, with the leading dims broadcast.

    Raises:
        LinAlgError: A is singular.
        RuntimeError: A is not square, or the shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.2500])
    """
    X = solve_ex(A, B, left=left, check_errors=True)[0]
    return X if out is None else store(out, X, "linalg.solve")


def tensorsolve(A, other, dims=None, *, out=None):
    """Solve the linear equations ``tensordot(A, X, X.dim()) = other`` for the tensor X.

    Args:
        A: Tensor whose shape is that of ``other``, followed by that of X.
        other: Tensor of any shape ``(*)``.
        dims: Dims of A that are moved to its end first. Default: none.

    Returns:
        Tensor X, of A's shape without its first ``other.dim()`` dims.

    Raises:
        LinAlgError: A, as a matrix, is singular.
        RuntimeError: The dims of X do not have as many elements as ``other``.

    >>> import rushlight as torch
    >>> torch.linalg.tensorsolve(torch.eye(6).reshape(2, 3, 6), torch.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    if dims is not None:
        dims = shapes.dims(dims, A.dim(), "linalg.tensorsolve")
        A = A.movedim(dims, tuple(range(A.dim() - len(dims), A.dim())))
    shape, n = tuple(A.shape[other.dim() :]), other.numel()
    if shapes.numel(shape) != n or A.numel() != n * n:
        raise ShapeError(
            "linalg.tensorsolve: Expected self to satisfy the requirement "
            "prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), both of them the "
            f"number of elements of other: self is {tuple(A.shape)} and other {tuple(other.shape)}"
        )
    found = solve(A.reshape(n, n), other.reshape(n)).reshape(shape)
    return found if out is None else store(out, found, "linalg.tensorsolve", casts=True)
