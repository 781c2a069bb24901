"""Eigenvalues and eigenvectors of square matrices that need not be symmetric."""

import numpy as np

from rushlight.autograd import mode
from rushlight.linalg.checks import check_phases, check_square, identity
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj
from rushlight.ops.linear.matmul import adjoint
from rushlight.ops.linear.triangle import tril, triu
from rushlight.return_types import result_type

__all__ = ["eig", "eigvals"]

_Eigen = result_type("linalg_eig", "eigenvalues", "eigenvectors")


def _prepare(A, *, vectors):
    check_square("linalg.eig", A)
    return {"vectors": vectors}


@kernel(public=False, method=False, name="linalg_eig", prepare=_prepare, autocast=SINGLE,
        columns=(1,))  # fmt: skip
def _eig(xp, A, *, vectors):
    """Return the eigenvalues, and the eigenvectors of length 1 as columns.

    Without ``vectors`` there are no eigenvectors, and no gradient.
    """
    dtype = np.result_type(A.dtype, np.complex64)
    finite = np.isfinite(A).all((-2, -1))
    if not vectors:
        if finite.all():
            return np.linalg.eigvals(A).astype(dtype), np.empty((0, 0), dtype)
        w = np.linalg.eigvals(np.where(finite[..., None, None], A, 0)).astype(dtype)
        w[~finite] = complex(np.nan, np.nan)
        return w, np.empty((0, 0), dtype)
    if not finite.all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    w, V = np.linalg.eig(A)
    return w.astype(dtype), V.astype(dtype)


def _slope(g, out, A_dtype):
    slope_of_values, slope_of_vectors = g
    w, V = out
    VH = adjoint(V)
    inner = 0
    if slope_of_vectors is not None:
        turn = VH @ slope_of_vectors
        along = tril(triu(turn))
        check_phases("linalg.eig", along)
        # Elements on the diagonal stand for changes of the vectors' lengths, which are fixed.
        inner = turn - VH @ (V * along.real.sum(-2)[..., None, :])
        gap = conj(w[..., None, :] - w[..., :, None]) + identity(w)
        inner = (tril(inner, -1) + triu(inner, 1)) / gap
    if slope_of_values is not None:
        inner = inner + identity(w) * slope_of_values[..., None, :]
    found = OPS["linalg_solve"].call(VH, inner @ VH)[0]
    return found if A_dtype.kind == "c" else found.real


_eig.grad(A=_slope)


def eig(A, *, out=None):
    """Return the eigenvalues and eigenvectors of square matrices: A·V = V·diag(L).

    The eigenvalues come in no order. Each eigenvector has length 1, and it is determined only up to
    a complex factor of absolute value 1. So losses have gradients only if they do not depend on
    this factor, and if no eigenvalue occurs twice.

    Args:
        out: Tuple of two complex tensors that receive the results.

    Returns:
        Named tuple of ``eigenvalues`` ``(*, N)`` and ``eigenvectors`` ``(*, N, N)``, both complex.
        Column i of the second belongs to eigenvalue i.

    Raises:
        RuntimeError: A is not square, not floating point or complex, or not finite.

    Source: Boeddeker, Hanebrink, Drude, Heymann and Haeb-Umbach 2017, "On the computation of
    complex-valued gradients with application to statistically optimum beamforming", 4.77.

    >>> import rushlight as torch
    >>> torch.linalg.eig(torch.tensor([[0.0, -1.0], [1.0, 0.0]])).eigenvalues
    tensor([0.+1.j, 0.-1.j])
    """
    found = _Eigen(_eig(A, vectors=True))
    return found if out is None else store(out, found, "linalg.eig", casts=True)


def eigvals(A, *, out=None):
    """Return the eigenvalues of square matrices, in no order.

    Args:
        out: Complex tensor that receives the result. It is resized if its shape is another.

    Returns:
        Complex tensor ``(*, N)``.

    Raises:
        RuntimeError: A is not square, not floating point or complex, or not finite.

    >>> import rushlight as torch
    >>> torch.linalg.eigvals(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    tensor([0.+1.j, 0.-1.j])
    """
    # A recording may run again on a tensor that wants a gradient.
    wanted = (A.requires_grad and mode.records()) or mode.recorder() is not None
    found = _eig(A, vectors=wanted)[0]
    return found if out is None else store(out, found, "linalg.eigvals", casts=True)
