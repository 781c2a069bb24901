"""Linear algebra: ``torch.linalg``."""

from rushlight.linalg.checks import LinAlgError
from rushlight.linalg.cholesky import cholesky, cholesky_ex
from rushlight.linalg.eigen import eigh, eigvalsh
from rushlight.linalg.triangular import solve_triangular

__all__ = ["LinAlgError", "cholesky", "cholesky_ex", "eigh", "eigvalsh", "solve_triangular"]
