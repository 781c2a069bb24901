"""The inner product of complex vectors."""

from rushlight.ops.core.definition import function
from rushlight.ops.linear.matmul import _dot, check_tensors, dot, inner_product
from rushlight.ops.linear.short_path import short_path

__all__ = ["vdot"]


@function
@short_path(_dot, (1, 1), inner_product)  # the numbers of this path are real
def vdot(input, other, *, out=None):
    """Return the inner product of two vectors, with the conjugate of the first.

    Args:
        input: Tensor ``(n,)``. Its elements are conjugated.
        other: Tensor ``(n,)``.

    Returns:
        0-dim tensor.

    Raises:
        RuntimeError: An operand is not 1-dim, or the sizes or the dtypes differ.

    >>> import rushlight as torch
    >>> torch.vdot(torch.tensor([1j, 2.0]), torch.tensor([1j, 1.0]))
    tensor(3.+0.j)
    """
    check_tensors("vdot", input=input, other=other)
    return dot(input.conj(), other, out=out)
