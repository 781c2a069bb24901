"""Diagonals of matrices."""

from rushlight.ops.shape.strided import diagonal as _diagonal

__all__ = ["diagonal"]


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """Return a diagonal of each matrix, as a view.

    Args:
        A: Tensor ``(*, M, N)`` of any dtype.
        offset: Which diagonal: 0 is the main one, n > 0 is n above it, n < 0 is -n below it.
            Default: 0.
        dim1, dim2: The dims of the matrices' rows and columns. Negative dims count from the end.
            Default: the last two dims.

    Returns:
        Tensor of A's shape without ``dim1`` and ``dim2``. The diagonal lies in a new last dim.

    Raises:
        RuntimeError: ``dim1`` and ``dim2`` are the same dim.

    >>> import rushlight as torch
    >>> torch.linalg.diagonal(torch.arange(4).reshape(2, 2))
    tensor([0, 3])
    """
    return _diagonal(A, offset, dim1, dim2)
