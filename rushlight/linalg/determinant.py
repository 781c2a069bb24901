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
    """(the determinant's sign, or for complex numbers its phase; the logarithm of its size)."""
    sign, size = np.linalg.slogdet(A)
    return np.asarray(sign), np.asarray(size)


def _slope(g, A, out):
    slope_of_sign, slope = g
    if slope_of_sign is not None and is_complex(A):
        turn = (conj(out[0]) * slope_of_sign).imag * 1j  # a phase changes only along its circle
        slope = turn if slope is None else slope + turn
    return None if slope is None else slope[..., None, None] * adjoint(inverse(A))


_slogdet.grad(A=_slope)


def slogdet(A, *, out=None):
    """The determinants' signs (phases, if complex) and the logarithms of their sizes.

    Shape: A (…, N, N) → (…) and (…), real. A singular matrix gives 0 and -inf.

    Raises:
        RuntimeError: A is not square, or not of floating-point or complex numbers.

    >>> import rushlight as torch
    >>> torch.linalg.slogdet(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).sign
    tensor(-1.)
    """
    found = _Determinant(_slogdet(A))
    return found if out is None else store(out, found, "linalg.slogdet")
