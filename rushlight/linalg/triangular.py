"""Systems of linear equations with triangular matrices."""

from math import prod

import numpy as np

from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import check_square
from rushlight.linalg.lapack import columns, each, matrices, one, stored
from rushlight.linalg.on_devices import substituted
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import conj
from rushlight.ops.linear.triangle import tril, triu

__all__ = ["check_triangular", "solve_triangular", "triangular_solution"]


def check_triangular(A, B, *, upper, left, unitriangular):
    """Return the parameters as bools; raise if A and B do not fit."""
    name = "linalg.solve_triangular"
    check_square(name, A)
    if A.dtype != B.dtype:
        raise DtypeError(f"{name}: A and B must have one dtype, got {A.dtype} and {B.dtype}")
    dim = -2 if left else -1
    if B.ndim < 2 or B.shape[dim] != A.shape[-1]:
        raise ShapeError(
            f"{name}: B {tuple(B.shape)} must have {A.shape[-1]} in dim {dim}, as A "
            f"{tuple(A.shape)} with left={bool(left)}"
        )
    return {"upper": bool(upper), "left": bool(left), "unitriangular": bool(unitriangular)}


@kernel(
    public=False, method=False, name="linalg_solve_triangular", prepare=check_triangular,
    tensors=("A", "B"), autocast=SINGLE, columns=(0,),
)  # fmt: skip
def triangular_solution(xp, A, B, *, upper, left=True, unitriangular=False):
    """The X of A·X = B, or of X·A = B with ``left=False``."""
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    # BLAS is called once for each matrix; ``_solve`` makes about 2·N calls of NumPy.
    if prod(batch) <= 2 * A.shape[-1]:
        return _solve_each(A, columns(B, batch), batch, upper, left, unitriangular)
    X = np.broadcast_to(B, (*batch, *B.shape[-2:])).copy()
    if left:
        _solve(A, X, upper, unitriangular)
    else:
        _solve(A.mT, X.mT, not upper, unitriangular)
    return X


def _solve_each(A, X, batch, upper, left, unit):
    """Solve one matrix after the other in place, in the column-major ``X``."""
    if X.size:
        (T, own), (_, k, rows) = stored(A, batch), X.shape
        side, triangle = b"L" if left else b"R", b"U" if upper is own else b"L"
        turn, diagonal = b"N" if own else b"T", b"U" if unit else b"N"
        each("trsm", side, triangle, turn, diagonal, rows, k, one(A.dtype), T, A.shape[-1],
             X, rows)  # fmt: skip
    return matrices(X, batch)


def _solve(A, X, upper, unit):
    """Solve a batch in place, recursively by halves, so that nearly all work is matrix products."""
    n = A.shape[-1]
    if n == 1 and not unit:
        X /= A
    if n < 2:
        return
    first, second = slice(n // 2), slice(n // 2, n)
    if upper:
        first, second = second, first
    _solve(A[..., first, first], X[..., first, :], upper, unit)
    X[..., second, :] -= A[..., second, first] @ X[..., first, :]
    _solve(A[..., second, second], X[..., second, :], upper, unit)


def _slope_of_right(g, A, upper, left, unitriangular):
    return triangular_solution(
        conj(A).mT, g, upper=not upper, left=left, unitriangular=unitriangular
    )


def _slope_of_matrix(g, A, out, upper, left, unitriangular):
    right, XH = _slope_of_right(g, A, upper, left, unitriangular), conj(out).mT
    found = right @ XH if left else XH @ right
    triangle, inside = (triu, 1) if upper else (tril, -1)
    return -triangle(found, inside if unitriangular else 0)


@triangular_solution.lower_on_devices
def _on_devices(A, B, upper, left, unitriangular):
    if left:
        return substituted(A, B, upper, unitriangular)
    found = substituted(A.mT, B.mT, not upper, unitriangular)
    return found if found is NotImplemented else found.mT


triangular_solution.grad(A=_slope_of_matrix, B=_slope_of_right)


def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None):
    """Solve the linear equations A·X = B for X, with triangular A.

    A zero on the diagonal gives infinities.

    Args:
        A: Tensor of triangular matrices ``(*, N, N)``, floating point or complex.
        B: Tensor ``(*, N, K)``, or ``(*, K, N)`` with ``left=False``. It is converted to A's dtype.
            Its leading dims and those of A are broadcast.
        upper: Read only the upper triangle of A. False: read only the lower triangle.
        left: Solve A·X = B; False: solve X·A = B. Default: True.
        unitriangular: Take the diagonal as ones, without reading it. Default: False.
        out: Tensor that receives the result; it must have A's dtype.

    Returns:
        Tensor X of B's shape and A's dtype, with the leading dims broadcast.

    Raises:
        RuntimeError: Shapes do not fit.

    >>> import rushlight as torch
    >>> A = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    >>> torch.linalg.solve_triangular(A, torch.tensor([[2.0], [3.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    B = B if B.dtype is A.dtype else B.to(A.dtype)
    return triangular_solution(A, B, upper=upper, left=left, unitriangular=unitriangular, out=out)
