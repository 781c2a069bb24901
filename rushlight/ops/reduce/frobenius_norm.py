"""The Frobenius norm under the name of its own."""

from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.reduce.vector_norm import vector_norm


@function(method=False, kinds={"dim": "ints"})
def frobenius_norm(input, dim, keepdim=False, *, out=None):
    """Compute the root of the sum of squares over one or two dims, as ``norm`` does.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.
        dim: The dim, or a tuple of at most two dims. ``()`` means all dims.

    Returns:
        Real tensor without the reduced dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``dim`` has more than two dims, or ``input`` has integers or bools.

    >>> import rushlight as torch
    >>> torch.frobenius_norm(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), dim=1)
    tensor([5., 1.])
    """
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) > 2:
        raise ShapeError(f"Expected at most 2 dimensions, but got {len(dims)} dimensions instead.")
    if input.dtype.category < 2:
        raise DtypeError(
            "norm(): input dtype should be either floating point or complex. Got "
            f"{input.dtype} instead."
        )
    return vector_norm(input, dims, keepdim, p=2, out=out)
