"""Eigenvalues and eigenvectors of symmetric (Hermitian) matrices."""

import numpy as np

from rushlight.linalg.checks import LinAlgError, check_phases, check_square, identity
from rushlight.linalg.jacobi import eigen
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj, is_complex
from rushlight.ops.linear.triangle import tril, triu
from rushlight.return_types import result_type

__all__ = ["eigh", "eigvalsh"]

_Eigen = result_type("linalg_eigh", "eigenvalues", "eigenvectors")


def _check(A, *, UPLO):
    check_square("linalg.eigh", A)
    if str(UPLO).upper() not in ("L", "U"):
        raise RuntimeError(f"linalg.eigh: UPLO must be 'L' or 'U', got {UPLO!r}")
    return {"UPLO": UPLO.upper()}


@kernel(public=False, method=False, name="linalg_eigh", prepare=_check, autocast=SINGLE,
        columns=(1,))  # fmt: skip
def _eigh(xp, A, *, UPLO):
    """Return the eigenvalues in ascending order, and the eigenvectors as columns."""
    try:
        return tuple(np.linalg.eigh(A, UPLO))
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg.eigh: The algorithm failed to converge: {error}") from error


def _slope(g, out):
    slope_of_values, slope_of_vectors = g
    w, V = out
    VH = conj(V).mT
    if slope_of_vectors is None:
        return V * slope_of_values[..., None, :] @ VH
    # The vectors turn, so only the skew-Hermitian part counts. Its diagonal is left out, because it
    # stands for changes of the vectors' lengths, which are fixed. The identity avoids divisions by
    # 0 on the diagonal.
    gap = w[..., None, :] - w[..., :, None] + identity(w)
    turn = VH @ slope_of_vectors
    if is_complex(V):
        check_phases("linalg.eigh", tril(triu(turn)))
    found = (turn - conj(turn).mT) / (2 * gap)
    found = V @ (tril(found, -1) + triu(found, 1)) @ VH
    return found if slope_of_values is None else found + V * slope_of_values[..., None, :] @ VH


_eigh.grad(A=_slope)
_eigh.lower_on_devices(lambda A, UPLO: eigen(A, UPLO == "U"))


def eigh(A, UPLO="L", *, out=None):
    """Return the eigenvalues and eigenvectors of symmetric (Hermitian) matrices.

    Args:
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``eigenvalues`` ``(*, N)``, which are real and in ascending order, and
        ``eigenvectors`` ``(*, N, N)``. Column i of the second belongs to eigenvalue i.

    Raises:
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.eigh(torch.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    found = _Eigen(_eigh(A, UPLO=UPLO))
    return found if out is None else store(out, found, "linalg.eigh")


def eigvalsh(A, UPLO="L", *, out=None):
    """Return the eigenvalues of symmetric (Hermitian) matrices.

    Returns:
        Real tensor ``(*, N)`` in ascending order.

    Raises:
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.eigvalsh(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    found = eigh(A, UPLO)[0]
    return found if out is None else store(out, found, "linalg.eigvalsh")
