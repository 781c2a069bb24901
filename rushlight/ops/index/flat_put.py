"""``put``: elements are written at positions in the flattened tensor."""

from rushlight.backend.accumulate import add_at
from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.in_place import overwrite
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_range, require_within
from rushlight.ops.core.rules import zeros
from rushlight.ops.index.gather import flat_range
from rushlight.ops.shape.view import tensor_array
from rushlight.strides import preserved
from rushlight.tensor import Tensor, method

__all__ = ["put"]


def _check(x, index, source, *, accumulate):
    if OF[index.dtype] is not int64:
        raise DtypeError(f"put_(): Expected a long tensor for index, but got {OF[index.dtype]}")
    if x.dtype != source.dtype:
        raise DtypeError(
            "put_(): self and source expected to have the same dtype, but got "
            f"self.dtype = {OF[x.dtype]} and source.dtype = {OF[source.dtype]}"
        )
    if index.size != source.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.size}, index.numel() = {index.size}"
        )
    if index.size and not x.size:
        raise IndexError("put_(): Tried to put elements into an empty tensor")
    return {"accumulate": accumulate}


def _put_into(out, index, source, *, accumulate=False):
    flat, index, source = [a.reshape(-1) for a in (out, index, source)]
    if accumulate:
        add_at(flat, (index,), source)
    else:
        flat[index] = source
    if not out.flags.c_contiguous:
        out[...] = flat.reshape(out.shape)


@kernel(
    public=False, method=False, name="put_flat", grad_name="PutBackward0", prepare=_check,
    check=lambda x, index, source, **_: require_within(index, **flat_range("", x.size)),
    keeps_order=True,
)  # fmt: skip
def _put(xp, x, index, source, *, accumulate=False):
    """Return a copy of ``x`` with ``source`` written, or added, at flat positions."""
    out = preserved(x)
    _put_into(out, index, source, accumulate=accumulate)
    return out


@_put.lower
def _put_of_index_put(x, index, source, accumulate):
    flat = x.reshape(-1).index_put((index.reshape(-1),), source.reshape(-1), accumulate)
    return flat.reshape(x.shape)


_put.lower_check(lambda x, index: check_range(index, **flat_range("", x.numel())))


def _erased(g, index, source, accumulate):
    if accumulate:
        return g
    if isinstance(g, Tensor):
        return _put(g, index, zeros(source).to(g.dtype))
    out = g.copy()
    _put_into(out, index, zeros(source))
    return out


_put.grad(
    x=_erased,
    source=lambda g, index, source_shape: g.take(index).reshape(source_shape),
)
_put.watch(source="source")


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
    for t in (input, index, source):
        tensor_array(t, "put_")
    return _put(input, index, source, accumulate=accumulate)


@method
def put_(self, index, source, accumulate=False):
    """In-place version of ``put``."""
    for t in (index, source):
        tensor_array(t, "put_")
    return overwrite(self, _put, (index, source), {"accumulate": accumulate}, _put_into)
