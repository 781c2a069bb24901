"""``index_reduce``: slices of a tensor are reduced with the source's slices for each index."""

from rushlight.autograd.tape import renamed, watch
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.outputs import in_place, store
from rushlight.ops.core.range_checks import check_indices
from rushlight.ops.index.along_dim import repeated
from rushlight.ops.index.index_slices import checked_dim
from rushlight.ops.index.scatter_reduce import scatter_reduce
from rushlight.ops.shape.view import tensor_array
from rushlight.tensor import Tensor

__all__ = ["index_reduce"]


@function
@takes("input, dim: int, index, source, reduce: str, *, include_self: bool=, out?=")
def index_reduce(input, dim, index, source, reduce, *, include_self=True, out=None):
    """Return a copy of ``input`` in which slices are reduced with slices of ``source``.

    Slice ``i`` of ``source`` along ``dim`` takes part in the reduction of slice ``index[i]`` of the
    copy. Slices whose position is not in ``index`` keep their values.

    Args:
        reduce: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: Let the slice of ``input`` take part. Default: True.

    Raises:
        IndexError: An index is negative or too large.
        RuntimeError: ``reduce`` is another string, or ``source`` does not fit ``input`` and
            ``index``.

    >>> import rushlight as torch
    >>> source, index = torch.tensor([3.0, 4.0, 5.0]), torch.tensor([0, 0, 1])
    >>> torch.ones(2).index_reduce(0, index, source, "prod")
    tensor([12.,  5.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    x, places, values = [tensor_array(t, "index_reduce") for t in (input, index, source)]
    dim = checked_dim("index_reduce_", x, places, values, dim)
    check_indices("index_reduce", input, index, dim, IndexError)
    places = repeated(index, dim, source.shape) if source.ndim else index.reshape(())
    found = scatter_reduce(input, dim, places, source, reduce, include_self=include_self)
    watch(renamed(found, "IndexReduceBackward0"), index, source)
    return found if out is None else store(out, found, "index_reduce")


Tensor.index_reduce_ = in_place(index_reduce, "index_reduce_")
