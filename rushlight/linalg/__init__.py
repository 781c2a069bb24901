"""Linear algebra: ``torch.linalg``."""

from rushlight.linalg.checks import LinAlgError
from rushlight.linalg.cholesky import cholesky, cholesky_ex
from rushlight.linalg.eigen import eigh, eigvalsh
from rushlight.linalg.exponential import matrix_exp
from rushlight.linalg.qr import householder_product, qr
from rushlight.linalg.solve import solve, solve_ex
from rushlight.linalg.triangular import solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "eigh", "eigvalsh", "householder_product",
    "matrix_exp", "qr", "solve", "solve_ex", "solve_triangular",
]  # fmt: skip
