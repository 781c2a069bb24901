"""Determinants."""

import numpy as np

from rushlight.linalg.checks import check_square, squares
from rushlight.linalg.inverse import inverse
from rushlight.linalg.jacobi import singular
from rushlight.linalg.lapack import are_few
from rushlight.linalg.lu import factored
from rushlight.linalg.many import are_many, eliminated, in_front
from rushlight.linalg.on_devices import pivots_of
from rushlight.linalg.svd import decompose
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj, is_complex
from rushlight.ops.linear.matmul import adjoint
from rushlight.ops.shape.join import cat, stack
from rushlight.return_types import result_type

__all__ = ["det", "logdet", "slogdet"]

_Determinant = result_type("linalg_slogdet", "sign", "logabsdet")


@kernel(
    public=False, method=False, name="linalg_slogdet", prepare=squares("linalg.slogdet"),
    again=True,
)  # fmt: skip
def _slogdet(xp, A):
    """Return the determinant's sign (phase, if complex) and the logarithm of its absolute value."""
    sign, size = np.linalg.slogdet(A)
    return xp.asarray(sign), xp.asarray(size)


def _slope(g, A, out):
    slope_of_sign, slope = g
    if slope_of_sign is not None and is_complex(A):
        turn = (conj(out[0]) * slope_of_sign).imag * 1j  # a phase stays on the unit circle
        slope = turn if slope is None else slope + turn
    return None if slope is None else slope[..., None, None] * adjoint(inverse(A))


_slogdet.grad(A=_slope)
_slogdet.watch(A="out0")


@_slogdet.lower_on_devices
def _slogdet_on_devices(A):
    found = pivots_of(A)
    if found is NotImplemented:
        return found
    sign, pivots = found
    return sign * pivots.sign().prod(-1), pivots.abs().log().sum(-1)


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


# Determinants themselves ------------------------------------------------------------------


@kernel(public=False, method=False, name="linalg_det", prepare=squares("linalg.det"),
        autocast=SINGLE)  # fmt: skip
def _det(xp, A):
    """Return the determinant of each matrix: the product of its pivots.

    NumPy's determinant is the exponential of a sum of logarithms, which is less exact.
    """
    from scipy.linalg import det

    if not A.size:
        return np.ones(A.shape[:-2], A.dtype)
    if are_few(A):
        # In double precision, as NumPy's inverse: det(A)·A⁻¹ is exact for nearly singular A, too.
        wide = A.astype(np.result_type(A, np.float64), copy=False)
        return np.asarray(det(wide, check_finite=False), A.dtype)
    if are_many(A):
        LU, pivots, _ = eliminated(A)
        pivots += 1
    else:
        LU, pivots, _ = factored(A)
        LU, pivots = in_front(LU, 2), in_front(pivots, 1)
    swaps = (pivots != np.arange(1, len(LU) + 1)[:, None]).sum(0)
    found = np.prod(np.einsum("iic->ic", LU), 0) * np.where(swaps % 2, -1, 1)
    return np.asarray(found.reshape(A.shape[:-2]), A.dtype)


@kernel(public=False, method=False, name="linalg_cofactor", prepare=squares("linalg.det"))
def _cofactors(xp, A):
    """Return the matrices of cofactors, conjugated: det(A)ᴴ·A⁻ᴴ, continued to singular A.

    The derivative of a determinant is a cofactor, which exists for singular matrices, too.
    """
    lost = ~np.isfinite(A).all((-2, -1))
    if lost.any():
        A = np.where(lost[..., None, None], np.eye(A.shape[-1], dtype=A.dtype), A)
        found = _cofactors.op.forward(xp, A)
        found[lost] = np.nan
        return found
    determinant = np.conj(np.linalg.det(A))[..., None, None]
    if determinant.all():
        return determinant * adjoint(np.linalg.inv(A))
    U, S, Vh = decompose(A)
    others = np.empty_like(S)  # the product of all singular values but one
    for i in range(S.shape[-1]):
        others[..., i] = np.prod(np.delete(S, i, -1), -1)
    phase = np.linalg.det(U) * np.linalg.det(Vh)
    return ((U * others[..., None, :]) @ Vh * np.conj(phase)[..., None, None]).astype(A.dtype)


def _slope_of_cofactors(g, A, out):
    back = adjoint(inverse(A))
    along = (conj(g) * out).sum(-1).sum(-1)
    return along[..., None, None] * back - out @ adjoint(g) @ back


@_det.lower_on_devices
def _det_on_devices(A):
    found = pivots_of(A)
    return found if found is NotImplemented else found[0] * found[1].prod(-1)


@_cofactors.lower_on_devices
def _cofactors_on_devices(A):
    found = singular(A, False)
    if found is NotImplemented:
        return found
    U, S, Vh = found
    n = S.shape[-1]
    if n == 1:
        return A * 0 + 1
    others = [cat([S[..., :i], S[..., i + 1 :]], -1).prod(-1) for i in range(n)]
    phase = _det_on_devices(U) * _det_on_devices(Vh)
    return (U * stack(others, -1)[..., None, :]) @ Vh * phase[..., None, None]


_cofactors.grad(A=_slope_of_cofactors)
_det.grad(A=lambda g, A: g[..., None, None] * _cofactors(A))
_det.watch(A="out")


def det(A, *, out=None):
    """Return the determinants of square matrices.

    Returns:
        Tensor ``(*)``. The determinant of a matrix without elements is 1.

    Raises:
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.det(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    return _det(A, out=out)


def logdet(A):
    """Return the logarithms of determinants; nan for negative ones. See ``torch.logdet``."""
    check_square("logdet", A)
    sign, size = _slogdet(A)
    if A.dtype.is_complex:
        return sign.log() + size
    return size.masked_fill(sign == -1, float("nan"))
