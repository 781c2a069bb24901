"""Operations that write slices at the indices of a dim: index_add, index_copy, index_fill."""

import numpy as np
from numpy import ndarray

import rushlight.dtype as dtypes
from rushlight import shapes
from rushlight.backend.accumulate import add_at
from rushlight.dtype import COMPLEX_KINDS, OF
from rushlight.errors import DtypeError, IndexRangeError, ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.autocast import WIDEST
from rushlight.ops.core.definition import composed, function
from rushlight.ops.core.in_place import overwrite
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import (
    check_fit,
    check_index,
    check_indices,
    require_fit,
    require_range,
)  # fmt: skip
from rushlight.ops.core.scale_factors import factor
from rushlight.ops.index import along_dim
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.strides import preserved
from rushlight.tensor import Tensor, method

# index_put --------------------------------------------------------------------------------


def _along(dim, index):
    return (*[slice(None)] * dim, index.reshape(-1))


def checked_dim(name, x, index, source, dim):
    """Return ``dim`` counted from the front; raise if the 1-D ``index`` or ``source`` don't fit."""
    if name == "index_fill":  # the order of the checks is PyTorch's
        check_index(name, index, error=IndexError)
    dim = shapes.dim(dim, x.ndim, name)
    if index.ndim > 1:
        error = RuntimeError if name == "index_fill" else IndexError
        raise error(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    if name == "index_copy" and x.ndim != source.ndim and x.ndim and source.ndim:
        raise IndexError(
            f"{name}(): When source and destination are not scalars, their dimensionality must "
            f"match. Source dimensionality ({source.ndim}), destination dimensionality ({x.ndim})"
        )
    check_index(name, index)
    if source is not None:
        if x.dtype != source.dtype:
            raise DtypeError(
                f"{name}(): self ({OF[x.dtype]}) and source ({OF[source.dtype]}) must have the "
                "same scalar type"
            )
        copies = name == "index_copy"
        checks = (_check_slices, _check_count) if copies else (_check_count, _check_slices)
        for check in checks:
            check(name, x, index, source, dim)
    return dim


def _check_count(name, x, index, source, dim):
    n = source.shape[dim] if source.ndim else 1
    if index.size != n:
        error = ShapeError if source.ndim and name != "index_copy" else IndexError
        raise error(
            f"{name}(): Number of indices ({index.size}) should be equal to source.size(dim): "
            f"({n}), for dim: {dim}"
        )


def _check_slices(name, x, index, source, dim):
    rest = [s.shape[:dim] + s.shape[dim + 1 :] for s in (x, source)]
    if rest[0] != rest[1] or (name != "index_copy" and x.ndim != source.ndim):
        raise ShapeError(
            f"{name}: source tensor shape must match self tensor shape, excluding the specified "
            f"dimension. Got self.shape = {list(x.shape)} source.shape = {list(source.shape)}"
        )


def _row_check(name, error, of_none=True):
    def check(x, index, *rest, dim, **params):
        if x.size or x.ndim < 2 or of_none:
            require_range(name, index, x.shape[dim] if x.ndim else 1, dim, error)

    return check


def _by_parts(batch, e, operands, params):
    """No rule for batches: ``index`` has one dim, also where the operands have more.

    So ``vmap`` runs what the operation is made of.
    """


def _addable(x, index, source, *, dim, alpha):
    alpha = factor(alpha, OF[x.dtype], rounded=True)
    return {"dim": checked_dim("index_add", x, index, source, dim), "alpha": alpha}


def _add_into(out, index, source, *, dim, alpha=1):
    if alpha != 1:
        source = (source * alpha).astype(out.dtype, copy=False)
    if not out.ndim:
        out += source.reshape(())
    elif out.size:
        add_at(out, _along(dim, index), source)


@kernel(
    public=False, method=False, name="index_add", prepare=_addable,
    check=_row_check("index_add", IndexRangeError, of_none=False),
)  # fmt: skip
def _index_add(xp, x, index, source, *, dim, alpha=1):
    """Return a copy of ``x`` with the slices of ``source`` added at ``index`` along ``dim``."""
    out = x.copy()
    _add_into(out, index, source, dim=dim, alpha=alpha)
    return out


@_index_add.lower
def _added(x, index, source, dim, alpha):
    if not x.shape:
        return NotImplemented
    source = source if alpha == 1 else (source * alpha).to(x.dtype)
    return x.scatter_add(dim, _repeated(index, dim, x), source)


def _repeated(index, dim, x):
    return along_dim.repeated(index.reshape(index.numel()), dim, x.shape)


_index_add.op.batching = _by_parts
_index_add.lower_check(
    lambda x, index, dim: check_indices("index_add", x, index, dim, IndexRangeError)
)


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
    # As in PyTorch the source is saved, so backward raises if the source was written to since.
    source=lambda g, index, dim, source, alpha: _rows_back(g, index, dim, source.shape, alpha),
)


@function
def index_add(input, dim, index, source, *, alpha=1, out=None):
    """Return a copy of ``input`` with ``alpha`` times ``source`` added at ``index``.

    Slice ``i`` of ``source`` along ``dim`` is added to slice ``index[i]`` of the copy.

    Args:
        alpha: Number by which ``source`` is multiplied. Default: 1.

    Raises:
        IndexError: An index is negative or too large.
        RuntimeError: ``source`` does not fit ``input`` and ``index``.

    >>> import rushlight as torch
    >>> torch.zeros(2).index_add(0, torch.tensor([1, 1]), torch.tensor([3.0, 4.0]))
    tensor([0., 7.])
    """
    return _index_add(input, index, source, dim, alpha, out=out)


@composed
@method
def index_add_(self, dim, index, source, *, alpha=1):
    """In-place version of ``index_add``."""
    return overwrite(self, _index_add, (index, source), {"dim": dim, "alpha": alpha}, _add_into)


def _copyable(x, index, source, *, dim):
    return {"dim": checked_dim("index_copy", x, index, source, dim)}


def _copy_into(out, index, source, *, dim):
    if not out.ndim:
        out[...] = source.reshape(())
    else:
        out[_along(dim, index)] = source


@kernel(
    public=False, method=False, name="index_copy", widen=False, prepare=_copyable,
    check=_row_check("index_copy", IndexError), autocast=WIDEST,
)  # fmt: skip
def _index_copy(xp, x, index, source, *, dim):
    """Return a copy of ``x`` with the slices of ``source`` written at ``index`` along ``dim``."""
    out = x.copy()
    _copy_into(out, index, source, dim=dim)
    return out


_index_copy.op.batching = _by_parts


@_index_copy.lower
def _copied(x, index, source, dim):
    if not x.shape:
        return NotImplemented
    return x.scatter(dim, _repeated(index, dim, x), source)


_index_copy.lower_check(lambda x, index, dim: (
    check_indices("index_copy", x, index, dim, IndexError)
))  # fmt: skip


def _rows_erased(g, index, dim):
    if type(g) is not ndarray:
        return g.index_fill(dim, index, 0)
    out = g.copy()
    _fill_into(out, index, 0, dim=dim)
    return out


_index_copy.grad(
    x=_rows_erased,
    source=lambda g, index, dim, source: _rows_back(g, index, dim, source.shape),
)


@function
def index_copy(input, dim, index, source, *, out=None):
    """Return a copy of ``input`` with ``source``'s slices written at ``index`` along ``dim``.

    Raises:
        IndexError: An index is negative or too large, or ``source`` has another number of slices.
        RuntimeError: ``source`` has another dtype, or another shape in the other dims.

    >>> import rushlight as torch
    >>> torch.zeros(3).index_copy(0, torch.tensor([2, 0]), torch.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    return _index_copy(input, index, source, dim, out=out)


@composed
@method
def index_copy_(self, dim, index, source):
    """In-place version of ``index_copy``."""
    return overwrite(self, _index_copy, (index, source), {"dim": dim}, _copy_into)


def _fillable(x, index, value, *, dim):
    zero_dim("index_fill_", value)
    # PyTorch refuses any complex number, while other fills take those without an imaginary part.
    kinds = COMPLEX_KINDS if x.dtype.kind not in COMPLEX_KINDS else ()
    if (type(value) is complex and kinds) or getattr(value, "dtype", x.dtype).kind in kinds:
        raise RuntimeError(
            "index_fill_(): Converting complex Scalar to non-complex type is not supported"
        )
    return {"dim": checked_dim("index_fill", x, index, None, dim)}


def _wrapping(x, index, value, *, dim):
    n = x.shape[dim] if x.ndim else 1
    require_range("index_fill", index, n, dim, IndexError if n else IndexRangeError, low=-n)
    require_fit(x, value)


def zero_dim(name, value):
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


@kernel(
    public=False,
    method=False,
    name="index_fill",
    widen=False,
    prepare=_fillable,
    check=_wrapping,
    keeps_order=True,
)
def _index_fill(xp, x, index, value, *, dim):
    """Return a copy of ``x`` with ``value`` in all slices at ``index`` along ``dim``."""
    out = preserved(x)
    _fill_into(out, index, value, dim=dim)
    return out


_index_fill.op.batching = _by_parts


@_index_fill.lower
def _filled(x, index, value, dim):
    if not x.shape:
        return NotImplemented
    index = _repeated(along_dim.positive(index, x.shape[dim]), dim, x)
    value = along_dim.filled(x, value)
    return x.scatter(dim, index, value if type(value) is not Tensor else value.expand(index.shape))


@_index_fill.lower_check
def _check_fill(x, index, value, dim):
    check_indices("index_fill", x, index, dim, IndexError, negative=True)
    check_fit(x, value)


def _filled_sum(g, index, dim):
    """Return the sum of ``g`` over the filled slices.

    A slice counts once, even if its index occurs several times.
    """
    if type(g) is not ndarray:
        filled = g.new_zeros(g.shape, dtype=dtypes.bool).index_fill(dim, index, True)
        return g.where(filled, 0).sum()
    filled = np.zeros(g.shape, bool)
    _fill_into(filled, index, True, dim=dim)
    return g.sum(where=filled)


_index_fill.grad(x=_rows_erased, value=_filled_sum)


@function(kinds={"value": "value"})
def index_fill(input, dim, index, value):
    """Return a copy of ``input`` with ``value`` in all slices at ``index`` along ``dim``.

    Args:
        index: The positions along ``dim``: int32 or int64 tensor ``(n)``. Negative positions count
            from the end.
        value: Number or 0-dim tensor.

    Raises:
        IndexError: An index is out of range.
        RuntimeError: ``value`` has dims, or the dtype cannot hold it.

    >>> import rushlight as torch
    >>> torch.zeros(3).index_fill(0, torch.tensor([2, 0]), 1)
    tensor([1., 0., 1.])
    """
    return _index_fill(input, index, value, dim)


@composed
@method
@takes("input, dim, index, value: value")
def index_fill_(self, dim, index, value):
    """In-place version of ``index_fill``."""
    others, name = (index, value), "index_fill_"
    return overwrite(self, _index_fill, others, {"dim": dim}, _fill_into, shared=name)
