"""The exponential of a matrix."""

from math import factorial

import numpy as np

from rushlight.linalg.checks import squares
from rushlight.linalg.on_devices import exponential
from rushlight.ops.core.kinds import kernel
from rushlight.ops.linear.matmul import adjoint
from rushlight.ops.shape.join import cat

__all__ = ["matrix_exp"]

#: Bytes of a real number → the largest 1-norm at which the polynomial has all digits.
_LARGEST = {4: 3.01, 8: 1.09}


@kernel(name="linalg_matrix_exp", public=False, method=False, prepare=squares("linalg.matrix_exp"))
def matrix_exp(xp, x):
    """Return the matrix exponential of square matrices: the sum of xᵏ/k! over all k ≥ 0.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        RuntimeError: ``input`` is not square, or not floating point or complex.

    Source: Moler and Van Loan 2003, method 3: a Taylor polynomial of x / 2ˢ, squared s times; its
    limits are those of Bader, Blanes and Casas 2019.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_exp(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    if x.shape[-1] == 1:
        return np.exp(x)
    norms = np.abs(x).sum(-2).max(-1, initial=0)
    with np.errstate(all="ignore"):
        halvings = np.ceil(np.log2(norms / _LARGEST[norms.dtype.itemsize]))
    halvings = np.where(np.isfinite(halvings) & (halvings > 0), halvings, 0)
    found = _polynomial(x * (0.5**halvings).astype(norms.dtype)[..., None, None])
    for i in range(int(halvings.max(initial=0))):
        found = np.where((i < halvings)[..., None, None], found @ found, found)
    return found


def _polynomial(x):
    """The sum of xᵏ/k! up to k = 18. Source: Paterson and Stockmeyer 1973, in blocks of 3."""
    square = x @ x
    cube = square @ x
    one = np.eye(x.shape[-1], dtype=x.dtype)
    found = cube / factorial(18)
    for k in range(15, -1, -3):
        found = found + one / factorial(k) + x / factorial(k + 1) + square / factorial(k + 2)
        found = found @ cube if k else found
    return found


def _slope(g, x):
    # The upper right block of exp([[xᴴ, g], [0, xᴴ]]) is the derivative of exp at xᴴ along g.
    n, xh = x.shape[-1], adjoint(x)
    block = cat([cat([xh, g], -1), cat([xh * 0, xh], -1)], -2)
    return matrix_exp(block)[..., :n, n:]


matrix_exp.lower_on_devices(lambda x: exponential(x))
matrix_exp.grad(x=_slope)
