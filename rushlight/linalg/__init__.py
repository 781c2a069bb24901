"""Linear algebra: ``torch.linalg``."""

from rushlight.docstrings import document
from rushlight.linalg.checks import LinAlgError
from rushlight.linalg.cholesky import cholesky, cholesky_ex
from rushlight.linalg.determinant import slogdet
from rushlight.linalg.eigen import eigh, eigvalsh
from rushlight.linalg.exponential import matrix_exp
from rushlight.linalg.norms import matrix_norm, norm, vector_norm
from rushlight.linalg.qr import householder_product, qr
from rushlight.linalg.solve import solve, solve_ex
from rushlight.linalg.svd import svd, svdvals
from rushlight.linalg.triangular import solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "eigh", "eigvalsh", "householder_product",
    "matrix_exp", "matrix_norm", "norm", "qr", "slogdet", "solve", "solve_ex", "solve_triangular",
    "svd", "svdvals", "vector_norm",
]  # fmt: skip

for _name in __all__:
    document(globals()[_name], "linalg")
