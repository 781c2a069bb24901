"""Determinants."""

import numpy as np

from rushlight.linalg.checks import squares
from rushlight.linalg.solve import inverse
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj, is_complex
from rushlight.ops.linear.matmul import adjoint
from rushlight.return_types import result_type

__all__ = ["slogdet"]

_Determinant = result_type("linalg_slogdet", "sign", "logabsdet")


@kernel(
    public=False, method=False, name="linalg_slogdet", prepare=squares("linalg.slogdet"),
    again=True,
)  # fmt: skip
def _slogdet(xp, A):
    """Return the determinant's sign (phase, if complex) and the logarithm of its absolute value."""
    sign, size = np.linalg.slogdet(A)
    return np.asarray(sign), np.asarray(size)


def _slope(g, A, out):
    slope_of_sign, slope = g
    if slope_of_sign is not None and is_complex(A):
        turn = (conj(out[0]) * slope_of_sign).imag * 1j  # a phase stays on the unit circle
        slope = turn if slope is None else slope + turn
    return None if slope is None else slope[..., None, None] * adjoint(inverse(A))


_slogdet.grad(A=_slope)


def slogdet(A, *, out=None):
    """Return the sign and the logarithm of the absolute value of each matrix's determinant.

    Args:
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``sign`` ``(*)`` and ``logabsdet`` ``(*)``, which is real. For complex
        matrices the sign is the phase, a number of absolute value 1. A singular matrix gives 0 and
        -inf.

    Raises:
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.slogdet(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).sign
    tensor(-1.)
    """
    found = _Determinant(_slogdet(A))
    return found if out is None else store(out, found, "linalg.slogdet")
