"""Linear algebra: ``torch.linalg``."""

import inspect

from rushlight.docstrings import document
from rushlight.linalg.checks import LinAlgError
from rushlight.linalg.cholesky import cholesky, cholesky_ex
from rushlight.linalg.determinant import det, slogdet
from rushlight.linalg.diagonal import diagonal
from rushlight.linalg.eig import eig, eigvals
from rushlight.linalg.eigen import eigh, eigvalsh
from rushlight.linalg.exponential import matrix_exp
from rushlight.linalg.inverse import inv, inv_ex, tensorinv
from rushlight.linalg.ldl import ldl_factor, ldl_factor_ex, ldl_solve
from rushlight.linalg.least_squares import lstsq
from rushlight.linalg.lu import lu, lu_factor, lu_factor_ex, lu_solve
from rushlight.linalg.norms import cond, matrix_norm, norm, vector_norm
from rushlight.linalg.products import cross, matrix_power, multi_dot, vander, vecdot
from rushlight.linalg.qr import householder_product, qr
from rushlight.linalg.rank import matrix_rank, pinv
from rushlight.linalg.solve import solve, solve_ex, tensorsolve
from rushlight.linalg.svd import svd, svdvals
from rushlight.linalg.triangular import solve_triangular
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.guard import of_space
from rushlight.ops.linear.matmul import matmul

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh",
    "eigvals", "eigvalsh", "householder_product", "inv", "inv_ex", "ldl_factor",
    "ldl_factor_ex", "ldl_solve", "lstsq", "lu", "lu_factor", "lu_factor_ex",
    "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank",
    "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular",
    "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip

#: The types of the parameters that mean something else in other namespaces.
_KINDS = {
    **dict.fromkeys(("A", "B", "LU", "LD", "pivots", "b", "other", "tau", "y"), "Tensor"),
    **dict.fromkeys(("atol", "rtol", "rcond", "tol"), "any"),
    "dim": "ints", "ord": "order", "p": "order", "ind": "int", "N": "int",
}  # fmt: skip

#: Functions whose first argument PyTorch documents as ``A`` or ``x``, and takes by name as input.
_OF_INPUT = (
    "cholesky", "cholesky_ex", "cond", "eig", "eigh", "eigvals", "eigvalsh", "householder_product",
    "ldl_factor", "ldl_factor_ex", "lstsq", "matrix_norm", "matrix_power", "matrix_rank", "norm",
    "pinv", "solve_triangular", "tensorinv", "tensorsolve", "vector_norm",
)  # fmt: skip

for _name in __all__:
    _call = document(globals()[_name], "linalg")
    if hasattr(_call, "op"):
        _call.__module__, _call.__qualname__ = __name__, _name  # where pickle finds it
    elif not isinstance(_call, type):
        _strict = not hasattr(_call, "is_short")
        if _strict:
            takes(kinds=_KINDS | getattr(_call, "kinds", {}))(_call)
        if _name in _OF_INPUT:
            takes(spelled={"input": inspect.unwrap(_call).__code__.co_varnames[0]})(_call)
        globals()[_name] = of_space(_call, "linalg", _name, _strict)
