"""``put``: elements are written at positions in the flattened tensor."""

from rushlight.autograd.tape import watch
from rushlight.dtype import int64
from rushlight.errors import DtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.outputs import in_place
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.filled import empty_like
from rushlight.ops.shape.view import tensor_array
from rushlight.tensor import Tensor

__all__ = ["put"]


def _check(input, index, source):
    x, places, values = [tensor_array(t, "put_") for t in (input, index, source)]
    if index.dtype is not int64:
        raise DtypeError(f"put_(): Expected a long tensor for index, but got {index.dtype}")
    if input.dtype is not source.dtype:
        raise DtypeError(
            "put_(): self and source expected to have the same dtype, but got "
            f"self.dtype = {input.dtype} and source.dtype = {source.dtype}"
        )
    if places.size != values.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {values.size}, index.numel() = {places.size}"
        )
    if places.size and not x.size:
        raise IndexError("put_(): Tried to put elements into an empty tensor")
    check_range(
        index, low=-x.size, high=x.size - 1, error=IndexError,
        message=f"out of range: tried to access index {{}} on a tensor of {x.size} elements.",
    )  # fmt: skip


@function
def put(input, index, source, accumulate=False):
    """Return a copy of ``input`` with ``source`` written at positions in the flattened tensor.

    Args:
        index: Positions in the flattened ``input``: int64 tensor ``(*)``. Negative positions count
            from the end.
        source: Tensor of ``input``'s dtype with as many elements as ``index``.
        accumulate: Add the elements instead; all elements of a position that occurs several times
            count. Default: False.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        IndexError: A position is out of range, or ``source`` has another number of elements.
        RuntimeError: ``index`` is not int64, or ``source`` has another dtype.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).put(torch.tensor([1, 2]), torch.tensor([5.0, 6.0]))
    tensor([[0., 5.],
            [6., 0.]])
    """
    _check(input, index, source)
    flat = input.reshape(-1).index_put((index.reshape(-1),), source.reshape(-1), accumulate)
    found = watch(flat.reshape(input.shape), index, source if source.requires_grad else None)
    return found if input.is_contiguous() else empty_like(input).copy_(found)


Tensor.put_ = in_place(put, "put_")
