"""Inverses of matrices and of tensors."""

import numpy as np

from rushlight.errors import ShapeError
from rushlight.linalg.checks import check_info, squares
from rushlight.linalg.lapack import are_few
from rushlight.linalg.on_devices import identities, solution
from rushlight.linalg.solve import solve_each
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.linear.matmul import adjoint
from rushlight.return_types import result_type
from rushlight.shapes import numel

__all__ = ["inv", "inv_ex", "inverse", "tensorinv"]

_Inverted = result_type("linalg_inv_ex", "inverse", "info")


@kernel(public=False, method=False, name="linalg_inv_ex", prepare=squares("linalg.inv"),
        autocast=SINGLE, columns=(0,))  # fmt: skip
def _invert(xp, A):
    """Return (X, info) with A·X = I. info is 0, or the number of A's first pivot that is 0."""
    if are_few(A):
        try:
            return np.linalg.inv(A), xp.zeros(A.shape[:-2], np.int32)
        except np.linalg.LinAlgError:
            pass
    return solve_each(A, np.broadcast_to(np.eye(A.shape[-1], dtype=A.dtype), A.shape))


def _slope(g, out):
    if g[0] is None:
        return None
    back = adjoint(out[0])
    return -(back @ g[0] @ back)


_invert.grad(A=_slope)
_invert.lower_on_devices(lambda A: solution(A, identities(A, A.shape[-1])))


def inverse(A):
    """Return the inverses of matrices, for gradient rules; nan for singular matrices."""
    return _invert(A)[0]


def inv_ex(A, *, check_errors=False, out=None):
    """Compute ``inv`` without raising an error for singular matrices.

    Args:
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``inverse`` ``(*, N, N)`` and ``info``, int32 ``(*)``. ``info`` is 0, or the
        number of the first pivot that is 0. Such a matrix gives nan.

    Raises:
        LinAlgError: ``check_errors`` is True, and a matrix is singular.
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.inv_ex(torch.zeros(1, 1)).info
    tensor(1, dtype=torch.int32)
    """
    found = _Inverted(_checked("linalg.inv_ex", A) if check_errors else _invert(A))
    return found if out is None else store(out, found, "linalg.inv_ex")


def _checked(name, A):
    """Invert A, and raise if it is singular."""
    X, info = _invert(A)
    check_info(name, info, "The diagonal element {} is zero, the inversion could not be completed "
               "because the input matrix is singular.")  # fmt: skip
    return X, info


def inv(A, *, out=None):
    """Return the inverses of square matrices.

    ``solve`` computes A⁻¹·B faster, and more exactly, than a product with the inverse.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        LinAlgError: A matrix is singular.
        RuntimeError: A is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    X = _checked("linalg.inv", A)[0]
    return X if out is None else store(out, X, "linalg.inv")


def tensorinv(A, ind=2, *, out=None):
    """Return the inverse of A as a linear map from tensors to tensors.

    A maps a tensor T of the shape ``A.shape[ind:]`` to ``tensordot(A, T, T.dim())``. The result
    maps this tensor back to T.

    Args:
        A: Tensor whose first ``ind`` dims have as many elements together as its other dims.
        ind: The number of dims that form the rows, a positive int. Default: 2.

    Returns:
        Tensor of the shape ``A.shape[ind:] + A.shape[:ind]``.

    Raises:
        LinAlgError: The map has no inverse.
        RuntimeError: ``ind`` is not positive, or the numbers of elements differ.

    >>> import rushlight as torch
    >>> torch.linalg.tensorinv(torch.eye(6).reshape(2, 3, 6)).shape
    torch.Size([6, 2, 3])
    """
    if ind <= 0:
        raise RuntimeError(
            f"linalg.tensorinv: Expected a strictly positive integer for 'ind', but got {ind}"
        )
    rows, columns = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    n = numel(columns)
    if numel(rows) != n:
        raise ShapeError(
            "linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {n} != {numel(rows)}: self is {tuple(A.shape)}, and "
            f"ind is {ind}"
        )
    found = inv(A.reshape(n, n)).reshape(*columns, *rows)
    return found if out is None else store(out, found, "linalg.tensorinv", casts=True)
