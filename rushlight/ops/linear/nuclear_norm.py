"""The nuclear norm under the name of its own."""

from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function


@function(method=False)
@takes("input, dim: ints, keepdim: bool=, *, out?=", "input, keepdim: bool=, *, out?=")
def nuclear_norm(input, dim=(-2, -1), keepdim=False, *, out=None):
    """Compute the sum of the singular values of matrices, as ``linalg.matrix_norm`` does.

    Args:
        input: Tensor of at least two dims, floating point or complex.
        dim: The two dims of the matrices. Default: the last two.

    Returns:
        Real tensor without the two dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``dim`` is no pair of different dims.

    >>> import rushlight as torch
    >>> torch.nuclear_norm(torch.diag(torch.tensor([3.0, -4.0])))
    tensor(7.)
    """
    from rushlight.linalg import matrix_norm

    if isinstance(dim, bool):  # nuclear_norm(input, keepdim)
        dim, keepdim = (-2, -1), dim
    return matrix_norm(input, "nuc", dim, keepdim, out=out)
