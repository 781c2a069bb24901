"""Writing elements at indices: index_put, index_add, scatter, masked_fill and their relatives.

Each operation is a function ``into(out, ...)`` that writes into an array, and a kernel that
writes into a copy; the in-place method writes into the tensor's own memory unless gradients or a
trace have to see the write.
"""

import warnings

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import check_write, stamp, write
from rushlight.backend.accumulate import add_at
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.cast import as_scalar
from rushlight.ops.definition import function
from rushlight.ops.gather import (
    _explain_index,
    along,
    check_along,
    check_index,
    check_range,
    choose,
    key_of,
)
from rushlight.ops.kinds import kernel
from rushlight.tensor import Tensor, from_array, method

__all__ = ["index_put", "overwrite", "put"]


def _seen(x, others):
    """True where a trace or gradients have to see a write to ``x``."""
    if mode.intercept:
        return True
    if mode.grad_off and not mode.state.grad:
        return False
    if x.view_of is not None and x.view_of.root.node is not None:
        return True
    return x.node is not None or any(getattr(t, "node", None) is not None for t in others)


def overwrite(x, call, others, params, into):
    """``x[...] = call(x, *others, **params)``, straight into x's memory where nothing watches."""
    op = call.op
    check_write(x, op.name + "_")
    if _seen(x, others):
        return write(x, call(x, *others, **params), op.name + "_")
    refresh(x)
    arrays = []
    for t in others:
        if isinstance(t, Tensor):
            refresh(t)
            arrays.append(t.array)
        else:
            arrays.append(t)
    if op.prepare is not None:
        params = op.prepare(x.array, *arrays, **params)
    try:
        into(x.array, *arrays, **params)
    except (ValueError, IndexError) as error:
        if op.shape is not None:
            op.shape(x.array, *arrays, **params)
        raise ShapeError(f"{op.name}_: {error}") from None
    stamp(x)
    return x


def _copy(x):
    return x.copy(order="K")


def _same_dtype(name, x, src, what="src"):
    if x.dtype != src.dtype:
        raise DtypeError(
            f"{name}(): Expected self.dtype to be equal to {what}.dtype, but self is {OF[x.dtype]} "
            f"and {what} is {OF[src.dtype]}"
        )


# index_put --------------------------------------------------------------------------------


def _put_into(out, values, *indices, dims, accumulate=False):
    key = key_of(out.ndim, dims, [i for i in indices if i is not None])
    if accumulate:
        add_at(out, key, values)
    else:
        out[key] = values


def _explain_put(x, values, *indices, dims, accumulate):
    _explain_index(x, *indices, dims=dims)
    found = x[key_of(x.ndim, dims, [i for i in indices if i is not None])].shape
    raise ShapeError(
        f"index_put: shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast "
        f"to indexing result of shape {list(found)}"
    )


def _puttable(x, values, *indices, dims, accumulate):
    if x.dtype != values.dtype:
        raise DtypeError(
            "Index put requires the source and destination dtypes match, got "
            f"{OF[x.dtype]} for the destination and {OF[values.dtype]} for the source."
        )
    return {"dims": dims, "accumulate": accumulate}


@kernel(
    public=False, method=False, grad_name="IndexPutBackward0", shape=_explain_put, prepare=_puttable
)
def put(xp, x, values, i0, i1=None, i2=None, i3=None, i4=None, i5=None, *, dims, accumulate=False):
    """A copy of ``x`` with ``values`` written, or added, at the indices of ``dims``."""
    out = _copy(x)
    _put_into(out, values, i0, i1, i2, i3, i4, i5, dims=dims, accumulate=accumulate)
    return out


def _put_back_x(g, i0, i1, i2, i3, i4, i5, dims, accumulate):
    if accumulate:
        return g
    if type(g) is ndarray:
        out = g.copy()
        out[key_of(g.ndim, dims, [i for i in (i0, i1, i2, i3, i4, i5) if i is not None])] = 0
        return out
    return put(g, g.new_zeros(()), i0, i1, i2, i3, i4, i5, dims=dims)


def _put_back_values(g, i0, i1, i2, i3, i4, i5, dims):
    if type(g) is ndarray:
        return g[key_of(g.ndim, dims, [i for i in (i0, i1, i2, i3, i4, i5) if i is not None])]
    from rushlight.ops.gather import index

    return index(g, i0, i1, i2, i3, i4, i5, dims=dims)


put.grad(x=_put_back_x, values=_put_back_values)


def _put_arguments(x, indices, values, name):
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, not "
            f"{type(indices).__name__}"
        )
    if not isinstance(values, Tensor):
        raise TypeError(
            f"{name}(): argument 'values' (position 2) must be Tensor, not {type(values).__name__}"
        )
    from rushlight.ops.index import index_tensor

    dims, found, d = [], [], 0
    for i, k in enumerate(indices):
        if k is None:
            d += 1
            continue
        if not isinstance(k, Tensor):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got {type(k).__name__}"
            )
        k = index_tensor(k)
        dims.append(d)
        found.append(k)
        d += k.array.ndim if k.array.dtype.kind == "b" else 1
    if d > x.array.ndim:
        raise IndexError(
            f"{name}: too many indices for tensor of dimension {x.array.ndim} (got {d})"
        )
    if not 1 <= len(found) <= 6:
        raise IndexError(f"{name}: takes 1 to 6 index tensors, not {len(found)}")
    return (values, *found), tuple(dims)


@function
def index_put(input, indices, values, accumulate=False):
    """A copy of ``input`` with ``values`` at ``indices``, as in ``input[indices] = values``.

    With ``accumulate`` the values are added, also where an index comes twice.

    >>> import rushlight as torch
    >>> torch.zeros(3).index_put((torch.tensor([0, 0]),), torch.ones(2), accumulate=True)
    tensor([2., 0., 0.])
    """
    others, dims = _put_arguments(input, indices, values, "index_put")
    return put(input, *others, dims=dims, accumulate=accumulate)


@method
def index_put_(self, indices, values, accumulate=False):
    """In-place version of ``index_put``."""
    others, dims = _put_arguments(self, indices, values, "index_put_")
    return overwrite(self, put, others, {"dims": dims, "accumulate": accumulate}, _put_into)


# Slices along a dim -----------------------------------------------------------------------


def _along(dim, index):
    return (*[slice(None)] * dim, index.reshape(-1))


def _rows(name, x, index, source, dim, error):
    check_index(name, index)
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    dim = shapes.dim(dim, x.ndim, name)
    if source is not None:
        if x.dtype != source.dtype:
            raise DtypeError(
                f"{name}(): self ({OF[x.dtype]}) and source ({OF[source.dtype]}) must have the same "
                "scalar type"
            )
        n = source.shape[dim] if source.ndim else 1
        if index.size != n:
            raise ShapeError(
                f"{name}(): Number of indices ({index.size}) should be equal to source.size(dim): "
                f"({n}), for dim: {dim}"
            )
        rest = [s.shape[:dim] + s.shape[dim + 1 :] for s in (x, source)]
        if rest[0] != rest[1]:
            raise ShapeError(
                f"{name}: source tensor shape must match self tensor shape, excluding the specified "
                f"dimension. Got self.shape = {list(x.shape)} source.shape = {list(source.shape)}"
            )
    n = x.shape[dim] if x.ndim else 1
    index = np.where(index < 0, index + n, index) if error is None else index
    check_range(name, index, n, dim, error or IndexError)
    return dim


def _addable(x, index, source, *, dim, alpha):
    return {"dim": _rows("index_add", x, index, source, dim, RuntimeError), "alpha": alpha}


def _add_into(out, index, source, *, dim, alpha=1):
    if alpha != 1:
        source = (source * alpha).astype(out.dtype, copy=False)
    if not out.ndim:
        out += source.reshape(())
    else:
        add_at(out, _along(dim, index), source)


@kernel(public=False, method=False, name="index_add", prepare=_addable)
def _index_add(xp, x, index, source, *, dim, alpha=1):
    """A copy of ``x`` with the slices of ``source`` added at ``index`` along ``dim``."""
    out = _copy(x)
    _add_into(out, index, source, dim=dim, alpha=alpha)
    return out


def _rows_of(g, dim, index):
    if not g.ndim:
        return g.reshape(1) if index.ndim else g
    if type(g) is ndarray:
        return g.take(index.reshape(-1), dim)
    return g.index_select(dim, index)


def _rows_back(g, index, dim, source_shape, alpha=1):
    found = _rows_of(g, dim, index)
    return (found if alpha == 1 else found * alpha).reshape(source_shape)


_index_add.grad(
    x=lambda g: g,
    source=lambda g, index, dim, source_shape, alpha: _rows_back(g, index, dim, source_shape, alpha),
)


@function
def index_add(input, dim, index, source, *, alpha=1, out=None):
    """A copy of ``input`` with ``alpha`` times each slice of ``source`` added at ``index``.

    >>> import rushlight as torch
    >>> torch.zeros(2).index_add(0, torch.tensor([1, 1]), torch.tensor([3.0, 4.0]))
    tensor([0., 7.])
    """
    return _index_add(input, index, source, dim, alpha, out=out)


@method
def index_add_(self, dim, index, source, *, alpha=1):
    """In-place version of ``index_add``."""
    return overwrite(self, _index_add, (index, source), {"dim": dim, "alpha": alpha}, _add_into)


def _copyable(x, index, source, *, dim):
    return {"dim": _rows("index_copy", x, index, source, dim, IndexError)}


def _copy_into(out, index, source, *, dim):
    if not out.ndim:
        out[...] = source.reshape(())
    else:
        out[_along(dim, index)] = source


@kernel(public=False, method=False, name="index_copy", widen=False, prepare=_copyable)
def _index_copy(xp, x, index, source, *, dim):
    """A copy of ``x`` with the slices of ``source`` at ``index`` along ``dim``."""
    out = _copy(x)
    _copy_into(out, index, source, dim=dim)
    return out


def _rows_erased(g, index, dim):
    if type(g) is not ndarray:
        return g.index_fill(dim, index, 0)
    out = g.copy()
    _fill_into(out, index, 0, dim=dim)
    return out


_index_copy.grad(
    x=_rows_erased,
    source=lambda g, index, dim, source_shape: _rows_back(g, index, dim, source_shape),
)


@function
def index_copy(input, dim, index, source, *, out=None):
    """A copy of ``input`` with the slices of ``source`` written at ``index`` along ``dim``."""
    return _index_copy(input, index, source, dim, out=out)


@method
def index_copy_(self, dim, index, source):
    """In-place version of ``index_copy``."""
    return overwrite(self, _index_copy, (index, source), {"dim": dim}, _copy_into)


def _fillable(x, index, value, *, dim):
    _zero_dim("index_fill_", value)
    return {"dim": _rows("index_fill", x, index, None, dim, None)}


def _zero_dim(name, value):
    if getattr(value, "ndim", 0):
        raise ShapeError(
            f"{name} only supports a 0-dimensional value tensor, but got tensor with {value.ndim} "
            "dimension(s)."
        )


def _fill_into(out, index, value, *, dim):
    value = as_scalar(value, out.dtype)
    if not out.ndim:
        out[...] = value if index.size else out
    else:
        out[_along(dim, index)] = value


@kernel(public=False, method=False, name="index_fill", widen=False, prepare=_fillable)
def _index_fill(xp, x, index, value, *, dim):
    """A copy of ``x`` with ``value`` in the slices at ``index`` along ``dim``."""
    out = _copy(x)
    _fill_into(out, index, value, dim=dim)
    return out


_index_fill.grad(
    x=_rows_erased, value=lambda g, index, dim: _rows_of(g, dim, index).sum()
)


@function
def index_fill(input, dim, index, value):
    """A copy of ``input`` with ``value`` in the slices at ``index`` along ``dim``."""
    return _index_fill(input, index, value, dim)


@method
def index_fill_(self, dim, index, value):
    """In-place version of ``index_fill``."""
    return overwrite(self, _index_fill, (index, value), {"dim": dim}, _fill_into)


# scatter ----------------------------------------------------------------------------------


def _scatterable(name):
    def prepare(x, index, src, *, dim, reduce=None):
        dim = check_along(name, x, index, dim)
        if isinstance(src, ndarray):
            _same_dtype(name, x, src)
            fits = len(src.shape) == len(index.shape) and all(
                i <= s for i, s in zip(index.shape, src.shape, strict=True)
            )
            if not fits and index.size and index.ndim:
                raise ShapeError(
                    f"{name}: Expected index {list(index.shape)} to be no larger than self "
                    f"{list(x.shape)} apart from dimension {dim} and to be no larger size than src "
                    f"{list(src.shape)}"
                )
        if reduce not in (None, "add", "multiply"):
            raise RuntimeError(
                f"{name}: reduce argument must be either add or multiply, not {reduce!r}"
            )
        return {"dim": dim, "reduce": reduce}

    return prepare


def _scatter_into(out, index, src, *, dim, reduce=None):
    if not index.size:
        return
    if not out.ndim:
        out, index = out.reshape(1), index.reshape(1)
        src = src.reshape(1) if isinstance(src, ndarray) else src
    if not index.ndim:
        index = index.reshape(1)
    if isinstance(src, ndarray):
        src = src[tuple([slice(n) for n in index.shape])] if src.ndim else src
    else:
        src = as_scalar(src, out.dtype)
    key = along(index, dim)
    if reduce is None:
        out[key] = src
    elif reduce == "multiply":
        np.multiply.at(out, key, src)
    else:
        add_at(out, key, src)


def _scatter(name, reduces):
    def scatter(xp, x, index, src, *, dim, reduce=None):
        """A copy of ``x`` with ``src`` written at ``index`` along ``dim``."""
        out = _copy(x)
        _scatter_into(out, index, src, dim=dim, reduce=reduce)
        return out

    return kernel(
        scatter, public=False, method=False, name=name, widen=reduces, prepare=_scatterable(name)
    )


_scatter_write = _scatter("scatter", False)
_scatter_reduce = _scatter("scatter_add", True)


def _scatter_back_x(g, index, dim):
    if type(g) is not ndarray:
        return g.scatter(dim, index, 0)
    out = g.copy()
    _scatter_into(out, index, 0, dim=dim)
    return out


def _scatter_back_src(g, index, dim, src_shape):
    if src_shape is None or src_shape == ():
        found = g.gather(dim, index) if type(g) is not ndarray else _gathered(g, index, dim)
        return found.sum()
    if type(g) is ndarray:
        found = _gathered(g, index, dim)
        if found.shape == tuple(src_shape):
            return found
        out = np.zeros(src_shape, g.dtype)
        out[tuple([slice(n) for n in found.shape])] = found
        return out
    found = g.gather(dim, index)
    if tuple(found.shape) == tuple(src_shape):
        return found
    from rushlight.ops.index import embed

    where = tuple([slice(n) for n in found.shape])
    return embed(found, shape=tuple(src_shape), index=where)


def _gathered(g, index, dim):
    if not g.ndim:
        return np.full(index.shape, g)
    return g[along(index, dim)] if index.ndim else g[index]


_scatter_write.grad(x=_scatter_back_x, src=_scatter_back_src)


def _only_added(reduce):
    if reduce == "multiply":
        raise RuntimeError("derivative for scatter with reduce='multiply' is not implemented")


def _reduced_back_x(g, reduce):
    _only_added(reduce)
    return g


def _reduced_back_src(g, index, dim, src_shape, reduce):
    _only_added(reduce)
    return _scatter_back_src(g, index, dim, src_shape)


_scatter_reduce.grad(x=_reduced_back_x, src=_reduced_back_src)


def _source(src, value, reduce):
    if reduce is not None and isinstance(src, Tensor):
        warnings.warn(
            "The reduce argument of torch.scatter with Tensor src is deprecated; use scatter_add "
            "for sums.", stacklevel=3,
        )  # fmt: skip
    found = value if src is None else src
    if found is None:
        raise TypeError("scatter() missing 1 required argument: 'src' or 'value'")
    return found.item() if isinstance(found, Tensor) and value is not None else found


@function
def scatter(input, dim, index, src=None, *, value=None, reduce=None, out=None):
    """A copy of ``input`` with ``src`` (a tensor or a number) written at ``index`` along ``dim``.

    ``out[index[i][j]][j] = src[i][j]`` for ``dim`` 0; ``reduce`` may be "add" or "multiply".

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).scatter(1, torch.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    call = _scatter_write if reduce is None else _scatter_reduce
    return call(input, index, _source(src, value, reduce), dim, reduce, out=out)


@method
def scatter_(self, dim, index, src=None, *, value=None, reduce=None):
    """In-place version of ``scatter``."""
    call = _scatter_write if reduce is None else _scatter_reduce
    found = _source(src, value, reduce)
    return overwrite(self, call, (index, found), {"dim": dim, "reduce": reduce}, _scatter_into)


@function
def scatter_add(input, dim, index, src, *, out=None):
    """A copy of ``input`` with ``src`` added at ``index`` along ``dim``; an index may come twice.

    >>> import rushlight as torch
    >>> torch.zeros(3).scatter_add(0, torch.tensor([1, 1]), torch.tensor([2.0, 3.0]))
    tensor([0., 5., 0.])
    """
    return _scatter_reduce(input, index, src, dim, "add", out=out)


@method
def scatter_add_(self, dim, index, src):
    """In-place version of ``scatter_add``."""
    params = {"dim": dim, "reduce": "add"}
    return overwrite(self, _scatter_reduce, (index, src), params, _scatter_into)


# Masks ------------------------------------------------------------------------------------


def _maskable(x, mask, value):
    if mask.dtype.kind != "b":
        raise RuntimeError(
            f"masked_fill only supports boolean masks, but got mask with dtype {OF[mask.dtype]}"
        )
    _zero_dim("masked_fill", value)
    shapes.broadcast("masked_fill", x.shape, mask.shape, names=("input", "mask"))
    return {}


def _mask_into(out, mask, value):
    if np.broadcast_shapes(out.shape, mask.shape) != out.shape:
        raise ShapeError(
            f"masked_fill_: output with shape {list(out.shape)} doesn't match the broadcast shape of "
            f"mask {list(mask.shape)}"
        )
    np.copyto(out, as_scalar(value, out.dtype), where=mask)


@kernel(widen=False, prepare=_maskable, public=False, method=False, name="masked_fill")
def _masked_fill(xp, x, mask, value):
    """``x`` with ``value`` where ``mask`` holds."""
    return xp.where(mask, as_scalar(value, x.dtype), x)


_masked_fill.grad(
    x=lambda g, mask: choose(mask, 0, g),
    value=lambda g, mask: choose(mask, g, 0).sum(),
)


@function
def masked_fill(input, mask, value):
    """``input`` with ``value`` (a number or a 0-dim tensor) where ``mask`` holds, broadcast.

    >>> import rushlight as torch
    >>> torch.zeros(3).masked_fill(torch.tensor([True, False, True]), 9.0)
    tensor([9., 0., 9.])
    """
    return _masked_fill(input, mask, value)


@method
def masked_fill_(self, mask, value):
    """In-place version of ``masked_fill``."""
    return overwrite(self, _masked_fill, (mask, value), {}, _mask_into)


def _masked_source(x, mask, source):
    if x.dtype != source.dtype:
        raise DtypeError(
            f"masked_scatter: expected self and source to have same dtypes but got {OF[x.dtype]} and "
            f"{OF[source.dtype]}"
        )
    if mask.dtype.kind != "b":
        raise RuntimeError(f"masked_scatter: expects BoolTensor for mask, got {OF[mask.dtype]}")
    shapes.broadcast("masked_scatter", x.shape, mask.shape, names=("input", "mask"))
    return {}


def _scatter_mask_into(out, mask, source):
    mask = np.broadcast_to(mask, out.shape)
    n = int(np.count_nonzero(mask))
    if source.size < n:
        raise ShapeError(
            f"masked_scatter: Number of elements of source ({source.size}) < number of ones in mask "
            f"({n})"
        )
    out[mask] = source.reshape(-1)[:n]


@kernel(public=False, method=False, name="masked_scatter", widen=False, prepare=_masked_source)
def _masked_scatter(xp, x, mask, source):
    """``x`` with the next element of ``source`` wherever ``mask`` holds."""
    out = xp.broadcast_to(x, xp.broadcast_shapes(x.shape, mask.shape)).copy()
    _scatter_mask_into(out, mask, source)
    return out


def _masked_source_back(g, mask, source_shape):
    n = shapes.numel(source_shape)
    if type(g) is ndarray:
        taken = g[np.broadcast_to(mask, g.shape)]
        out = np.zeros(n, g.dtype)
        out[: taken.size] = taken
        return out.reshape(source_shape)
    taken = g.masked_select(mask)
    from rushlight.ops.index import embed

    return embed(taken, shape=(n,), index=(slice(taken.array.size),)).reshape(source_shape)


_masked_scatter.grad(x=lambda g, mask: choose(mask, 0, g), source=_masked_source_back)


@function
def masked_scatter(input, mask, source):
    """``input`` with the elements of ``source``, in order, where ``mask`` holds.

    >>> import rushlight as torch
    >>> torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    return _masked_scatter(input, mask, source)


@method
def masked_scatter_(self, mask, source):
    """In-place version of ``masked_scatter``."""
    return overwrite(self, _masked_scatter, (mask, source), {}, _scatter_mask_into)


_ = from_array
