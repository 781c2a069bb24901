"""``index_put``: elements are written at the places that tensors of indices and masks select."""

import numpy as np
from numpy import ndarray

from rushlight.backend.accumulate import add_at
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.definition import composed, function
from rushlight.ops.core.in_place import overwrite
from rushlight.ops.core.kinds import kernel
from rushlight.ops.index import along_dim
from rushlight.ops.index.compaction import beside, places_of, without_masks
from rushlight.ops.index.gather import explain_index, from_empty, index, key_of
from rushlight.ops.index.subscript import check_mask, index_tensor, refuse_bytes
from rushlight.strides import preserved
from rushlight.tensor import Tensor, method

# index_put --------------------------------------------------------------------------------


def _put_into(out, values, *indices, dims, accumulate=False):
    given = [i for i in indices if i is not None]
    key = key_of(out.ndim, dims, given)
    try:
        if accumulate:
            add_at(out, key, values)
        else:
            out[key] = values
    except IndexError:
        if out.size:
            raise
        # For an empty tensor, PyTorch only refuses indices into a dim of size 0.
        from_empty(out, dims, given)


def _explain_put(x, values, *indices, dims, accumulate):
    given = [i for i in indices if i is not None]
    if x.size:
        explain_index(x, *indices, dims=dims)
        found = x[key_of(x.ndim, dims, given)].shape
    else:
        found = from_empty(x, dims, given).shape
    raise ShapeError(
        f"index_put: shape mismatch: value tensor of shape {list(values.shape)} cannot be "
        f"broadcast to indexing result of shape {list(found)}"
    )


def _puttable(x, values, *indices, dims, accumulate):
    if x.dtype != values.dtype:
        raise DtypeError(
            f"Index put requires the source and destination dtypes match, got {OF[x.dtype]} for "
            f"the destination and {OF[values.dtype]} for the source."
        )
    return {"dims": dims, "accumulate": accumulate}


def _fit_by_count(x, values, *indices, dims, accumulate=False):
    """Whether the values fit only where a mask selects a certain number of elements."""
    given = [np.zeros(i.shape, i.dtype) for i in indices if i is not None]
    if not any(i.dtype.kind == "b" for i in given) or 0 in x.shape:
        return False
    selected = np.broadcast_to(False, x.shape)[key_of(len(x.shape), dims, given)].shape
    try:
        return np.broadcast_shapes(values.shape, selected) != selected
    except ValueError:
        return True


@kernel(
    public=False,
    method=False,
    grad_name="IndexPutBackward0",
    explain=_explain_put,
    prepare=_puttable,
    keeps_order=True,
    dynamic=_fit_by_count,
)
def put(xp, x, values, i0, i1=None, i2=None, i3=None, i4=None, i5=None, *, dims, accumulate=False):
    """Return a copy of ``x`` with ``values`` written, or added, at the indices of ``dims``."""
    out = preserved(x)
    _put_into(out, values, i0, i1, i2, i3, i4, i5, dims=dims, accumulate=accumulate)
    return out


def _key_in(g, dims, *indices):
    """Return the NumPy index of ``g``.

    If ``g`` is empty, its int indices were never checked, so zeros stand in for them.
    """
    given = [i for i in indices if i is not None]
    if not g.size:
        given = [i if i.dtype.kind == "b" else i * 0 for i in given]
    return key_of(g.ndim, dims, given)


def _put_back_x(g, i0, i1, i2, i3, i4, i5, dims, accumulate):
    if accumulate:
        return g
    if type(g) is ndarray:
        out = g.copy()
        out[_key_in(g, dims, i0, i1, i2, i3, i4, i5)] = 0
        return out
    dims, keys = places_of(dims, (i0, i1, i2, i3, i4, i5))
    return put(g, g.new_zeros(()), *keys, dims=dims)


def _put_back_values(g, i0, i1, i2, i3, i4, i5, dims):
    if type(g) is ndarray:
        return g[_key_in(g, dims, i0, i1, i2, i3, i4, i5)]
    dims, keys = places_of(dims, (i0, i1, i2, i3, i4, i5))
    return index(g, *keys, dims=dims)


put.lower(lambda x, values, i0, i1, i2, i3, i4, i5, dims, accumulate: (
    along_dim.write(x, values, dims, (i0, i1, i2, i3, i4, i5), accumulate)
))  # fmt: skip


@put.lower_by_counting
def _put_at_marks(x, values, i0, i1, i2, i3, i4, i5, dims, accumulate):
    keys = (i0, i1, i2, i3, i4, i5)
    if values.numel() == 1 and i1 is None and not accumulate:
        return NotImplemented  # where() suffices
    found = without_masks(dims, keys)
    places, given = (dims, [k for k in keys if k is not None]) if found is None else found
    if not all(k.numel() for k in given) and x.numel():
        taken = index(x, *given, dims=places)  # the host raises the error where values do not fit
        fits = not taken.numel() and tuple(values.shape) == tuple(taken.shape)
        return x.clone() if fits else NotImplemented
    return (
        NotImplemented
        if found is None
        else put(x, values, *given, dims=places, accumulate=accumulate)
    )


put.lower_check(lambda x, i0, i1, i2, i3, i4, i5, dims: (
    along_dim.check_bounds(x, dims, (i0, i1, i2, i3, i4, i5))
))  # fmt: skip
put.grad(x=_put_back_x, values=_put_back_values)


def _put_arguments(x, indices, values, accumulate, name):
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, not "
            f"{type(indices).__name__}"
        )
    if not isinstance(values, Tensor):
        raise TypeError(
            f"{name}(): argument 'values' (position 2) must be Tensor, not {type(values).__name__}"
        )
    dims, found, d = [], [], 0
    for i, k in enumerate(indices):
        if not isinstance(k, Tensor):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got "
                f"{type(k).__name__}"
            )
        k = index_tensor(k)
        dims.append(d)
        found.append(k)
        d += k._array.ndim if k._array.dtype.kind == "b" else 1
    if d > x._array.ndim:
        raise IndexError(
            f"{name}: too many indices for tensor of dimension {x._array.ndim} (got {d})"
        )
    if len(found) == 1 and not accumulate:
        refuse_bytes(indices, values._array)
    if not found:
        raise RuntimeError(f"{name}: takes 1 to 6 index tensors, not 0")
    if len(found) > 6:
        raise IndexError(f"{name}: takes 1 to 6 index tensors, not {len(found)}")
    for dim, k in zip(dims, found, strict=True):
        check_mask(k, dim, x._array.shape)
    dims, found = places_of(tuple(dims), found)
    return (values, *beside(x, found)), dims


@function
def index_put(input, indices, values, accumulate=False):
    """Return a copy of ``input`` with ``values`` written at ``indices``.

    The copy is changed as by ``copy[indices] = values``.

    Args:
        indices: A tuple of 1 to 6 index tensors, one for each of the first dims: int32, int64 or
            bool. They are broadcast to one shape. A bool tensor stands for the dims that it has.
        values: Tensor of ``input``'s dtype that broadcasts to the shape of ``input[indices]``.
        accumulate: Add the values instead; all values of an index that occurs several times count.
            Default: False.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        IndexError: An index is out of range, or there are too many.
        RuntimeError: The dtypes differ, or ``values`` does not broadcast.

    >>> import rushlight as torch
    >>> torch.zeros(3).index_put((torch.tensor([0, 0]),), torch.ones(2), accumulate=True)
    tensor([2., 0., 0.])
    """
    others, dims = _put_arguments(input, indices, values, accumulate, "index_put")
    return put(input, *others, dims=dims, accumulate=accumulate)


@composed
@method
def index_put_(self, indices, values, accumulate=False):
    """In-place version of ``index_put``."""
    others, dims = _put_arguments(self, indices, values, accumulate, "index_put_")
    params = {"dims": dims, "accumulate": accumulate}
    return overwrite(self, put, others, params, _put_into, shared="index_put_")
