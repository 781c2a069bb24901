"""The rank of matrices, and their pseudoinverses: singular values below a tolerance count as 0."""

import numpy as np

import rushlight
from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import check_floats, check_matrices, check_square
from rushlight.linalg.eigen import eigvalsh
from rushlight.linalg.jacobi import eigen, singular
from rushlight.linalg.svd import decompose, svdvals
from rushlight.ops.core.autocast import LOWER, SINGLE, autocasts
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.linear.matmul import adjoint
from rushlight.tensor import Tensor

__all__ = ["matrix_rank", "pinv"]


def _tolerances(name, A, atol, rtol):
    """Return ``atol`` and ``rtol`` with their defaults: ε·max(M, N), or 0 if ``atol`` is above 0.

    Both are numbers, or tensors that broadcast with the leading dims of A.
    """
    for given, t in (("atol", atol), ("rtol", rtol)):
        if isinstance(t, Tensor) and t.dtype.is_complex:
            raise DtypeError(f"{name}: {given} tensor of complex type is not supported: {t.dtype}")
    if rtol is None:
        rtol = rushlight.finfo(A.dtype).eps * max(A.shape[-2:])
        if isinstance(atol, Tensor):
            rtol = atol.le(0) * rtol
        elif atol is not None and atol > 0:
            rtol = 0.0
    return 0.0 if atol is None else atol, rtol


def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """Return the rank of matrices: the number of singular values above a tolerance.

    The tolerance is the larger one of ``atol`` and ``rtol`` times the largest singular value.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        tol: The first name of ``atol``; with it ``rtol`` is 0.
        hermitian: A is symmetric (Hermitian), which makes the computation faster. Only the lower
            triangle is read. Default: False.
        atol: The absolute tolerance, a number or a tensor ``(*)``. Default: 0.
        rtol: The relative tolerance, a number or a tensor ``(*)``. Default: 0 if ``atol`` is above
            0, else max(M, N) times the dtype's ``eps``.

    Returns:
        Tensor of int64 ``(*)``.

    Raises:
        RuntimeError: A has fewer than two dims, or a tolerance is complex.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_rank(torch.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    name = "linalg.matrix_rank"
    check_matrices(name, A, "The input tensor input")
    if tol is not None:
        atol, rtol = tol, 0.0
    atol, rtol = _tolerances(name, A, atol, rtol)
    A = A.detach()
    S = eigvalsh(A).abs() if hermitian else svdvals(A)
    if not S.shape[-1]:
        found = S.sum(-1).long()
    else:
        limit = rushlight.maximum(*[_spread(t, S) for t in (atol, rtol * S.amax(-1))])
        found = (limit.unsqueeze(-1) < S).sum(-1)
    return found if out is None else store(out, found, name, casts=True)


def _spread(tolerance, S):
    """Return a tolerance as a tensor."""
    return tolerance if isinstance(tolerance, Tensor) else S.new_full((), tolerance)


def _check(A, atol, rtol, *, hermitian):
    (check_square if hermitian else check_matrices)("linalg.pinv", A)
    return {"hermitian": bool(hermitian)}


@kernel(public=False, method=False, name="linalg_pinv", prepare=_check, autocast=SINGLE,
        casts=True, constants=("atol", "rtol"))  # fmt: skip
def _pseudoinverse(xp, A, atol, rtol, *, hermitian):
    """Return the Moore-Penrose inverses V·S⁺·Uᴴ."""
    if hermitian:
        S, U = np.linalg.eigh(A)
        Vh = U.conj().swapaxes(-1, -2)
    else:
        U, S, Vh = decompose(A)
    size = np.abs(S)
    limit = np.maximum(atol, rtol * size.max(-1, initial=0.0))
    kept = size > limit[..., None]
    reciprocal = np.where(kept, 1 / np.where(kept, S, 1), 0)
    return (Vh.conj().swapaxes(-1, -2) * reciprocal[..., None, :]) @ U.conj().swapaxes(-1, -2)


def _slope(g, A, out):
    P, PH, gH = out, adjoint(out), adjoint(g)
    left, right = gH @ P @ PH, PH @ (P @ gH)
    # The last two terms are for changes that leave the range of A, or that of its adjoint.
    return (left - A @ (P @ left)) + (right - right @ P @ A) - PH @ g @ PH


@_pseudoinverse.lower_on_devices
def _pseudoinverse_on_devices(A, atol, rtol, hermitian):
    found = eigen(A, False) if hermitian else singular(A, False)
    if found is NotImplemented:
        return found
    U, S, Vh = (found[1], found[0], found[1].mT) if hermitian else found
    size = S.abs()
    limit = rushlight.maximum(*[_spread(t, S) for t in (atol, rtol * size.amax(-1))])
    reciprocal = (1 / S).where(size > limit.unsqueeze(-1), 0)
    return (Vh.mT * reciprocal.unsqueeze(-2)) @ U.mT


_pseudoinverse.grad(A=_slope)


def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """Return the pseudoinverses (Moore-Penrose inverses) of matrices.

    Singular values count as 0 up to a tolerance: the larger one of ``atol`` and ``rtol`` times the
    largest singular value. The gradient is that of matrices whose rank does not change.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        rcond: The first name of ``rtol``.
        hermitian: A is symmetric (Hermitian), which makes the computation faster. Only the lower
            triangle is read. Default: False.
        atol: The absolute tolerance, a number or a tensor ``(*)``. Default: 0.
        rtol: The relative tolerance, a number or a tensor ``(*)``. Default: 0 if ``atol`` is above
            0, else max(M, N) times the dtype's ``eps``.

    Returns:
        Tensor ``(*, N, M)``.

    Raises:
        RuntimeError: A has fewer than two dims, or a tolerance is complex.

    Source: the gradient: Golub and Pereyra 1973, "The differentiation of pseudo-inverses and
    nonlinear least squares problems whose variables separate".

    >>> import rushlight as torch
    >>> torch.linalg.pinv(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    if A.dim() < 2:
        raise ShapeError(
            f"linalg.pinv: expected a tensor with 2 or more dimensions, got {tuple(A.shape)}"
        )
    check_floats("linalg.pinv", A)
    atol, rtol = _tolerances("linalg.pinv", A, atol, rtol if rcond is None else rcond)
    d = A.dtype.to_real()
    atol, rtol = [t.to(d) if isinstance(t, Tensor) else t for t in (atol, rtol)]
    found = _pseudoinverse(A, atol, rtol, hermitian=hermitian, out=out)
    return found if out is not None or A.dtype.itemsize < 4 else _lowered(found)


@autocasts(LOWER)
def _lowered(product):
    """``product`` in autocast's dtype, because PyTorch's last step is a product of matrices."""
    return product
