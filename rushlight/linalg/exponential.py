"""The exponential of a matrix."""

from rushlight.linalg.checks import squares
from rushlight.ops.core.kinds import kernel
from rushlight.ops.linear.matmul import adjoint
from rushlight.ops.shape.join import cat

__all__ = ["matrix_exp"]


@kernel(name="linalg_matrix_exp", public=False, method=False, prepare=squares("linalg.matrix_exp"))
def matrix_exp(xp, x):
    """Return the matrix exponential of square matrices: the sum of xᵏ/k! over all k ≥ 0.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        RuntimeError: ``input`` is not square, or not floating point or complex.

    Source: Al-Mohy and Higham 2009, in SciPy's implementation.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_exp(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    from scipy.linalg import expm

    return expm(x).astype(x.dtype, copy=False)


def _slope(g, x):
    # The upper right block of exp([[xᴴ, g], [0, xᴴ]]) is the derivative of exp at xᴴ along g.
    n, xh = x.shape[-1], adjoint(x)
    block = cat([cat([xh, g], -1), cat([xh * 0, xh], -1)], -2)
    return matrix_exp(block)[..., :n, n:]


matrix_exp.grad(x=_slope)
