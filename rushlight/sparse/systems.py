"""Systems of linear equations with a sparse matrix, by SciPy's SuperLU.

The gradient of a solution X of A·X = B is that of ``linalg.solve``: for B a solution with the
adjoint of A, and for the values of A a product at the places of the values alone.
"""

import numpy as np

from rushlight.autograd import mode
from rushlight.errors import DtypeError, LayoutError, ShapeError
from rushlight.linalg.checks import LinAlgError
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import conj
from rushlight.ops.tensor.memory_format import sparse_csr
from rushlight.sparse.container import SparseTensor, refuse
from rushlight.sparse.conversion import as_coo, places
from rushlight.sparse.products import inside, sampled

__all__ = ["solved", "spsolve"]

_FEW = 32  # equations up to which a dense matrix is faster
_SINGULAR = "sparse.spsolve: the input matrix is singular."


@kernel(
    public=False, method=False, name="sparse_solve", columns=(0,),
    shape=lambda x, y, rows, columns: y.shape,
)  # fmt: skip
def solved(xp, x, y, rows, columns):
    """Return X (n, m) with A·X = y; the matrix A has the values ``x`` at ``rows``, ``columns``."""
    n = len(y)
    if 0 < n <= _FEW and x.size and inside(rows, n) and inside(columns, n):
        matrix = np.zeros((n, n), x.dtype)
        np.add.at(matrix, (rows, columns), x)
        try:
            return np.linalg.solve(matrix, y)
        except np.linalg.LinAlgError as error:
            raise LinAlgError(_SINGULAR) from error
    try:
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu
    except ImportError as error:
        raise ImportError(
            "sparse.spsolve needs SciPy: pip install scipy, or solve with .to_dense()"
        ) from error
    if not n:
        return y.copy()
    try:
        factors = splu(csc_array((x, (rows, columns)), shape=(n, n)))
    except RuntimeError as error:
        raise LinAlgError(_SINGULAR) from error
    return np.asarray(factors.solve(np.ascontiguousarray(y)), y.dtype)


def _slope(g, x, rows, columns):
    return solved(conj(x), g, columns, rows)


solved.grad(
    x=lambda g, x, out, rows, columns: (
        -sampled(_slope(g, x, rows, columns), conj(out), rows, columns)
    ),
    y=_slope,
)


def spsolve(input, other, *, left=True):
    """Solve a system of linear equations with a sparse matrix.

    Args:
        input: Square sparse matrix ``(n, n)`` of layout ``torch.sparse_csr``, floating point or
            complex.
        other: The right-hand side: dense tensor ``(n,)`` of the same dtype.
        left: True; the system ``input @ x = other`` is solved.

    Returns:
        Dense tensor ``(n,)``: the solution x.

    Raises:
        LinAlgError: The matrix is singular.
        RuntimeError: The layouts, shapes or dtypes do not go together, or ``left`` is False.

    Source: Li, "An overview of SuperLU" (2005), by SciPy.

    >>> import rushlight as torch
    >>> A = torch.tensor([[2.0, 0.0], [1.0, 4.0]]).to_sparse_csr()
    >>> torch.sparse.spsolve(A, torch.tensor([2.0, 9.0]))
    tensor([1., 2.])
    """
    mode.refuse_in_trace("torch.sparse.spsolve has a sparse operand, whose size depends on values")
    if not isinstance(input, SparseTensor) or input.form is not sparse_csr:
        if not hasattr(input, "layout"):
            kind = type(input).__name__
            raise TypeError(f"spsolve(): argument 'input' (position 1) must be Tensor, not {kind}")
        refuse("spsolve", input)
    if not left:
        raise LayoutError(
            "sparse.spsolve: only left=True is there; solve with input.t().to_sparse_csr()"
        )
    n = input.sizes[0]
    if len(input.sizes) != 2 or input.sizes[1] != n or tuple(other.shape) != (n,):
        raise ShapeError(
            "sparse.spsolve: expected a square matrix (n, n) and a vector (n,), but got "
            f"{tuple(input.sizes)} and {tuple(other.shape)}"
        )
    if input.dtype is not other.dtype or input.dtype.category < 2 or input.dtype.itemsize < 4:
        raise DtypeError(
            "sparse.spsolve: expected a matrix and a vector of one floating-point or complex dtype "
            f"of at least 32 bits, but got {input.dtype} and {other.dtype}"
        )
    x = as_coo(input)
    rows, columns = places(x.pattern[0])
    return solved(x.stored, other.unsqueeze(1), rows, columns).squeeze(1)
