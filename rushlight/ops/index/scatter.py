"""Operations that write elements at an index along one dim: scatter, scatter_add."""

import operator
import warnings
from math import prod

import numpy as np
from numpy import ndarray

from rushlight.backend import native
from rushlight.backend.accumulate import add_at
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import composed, function
from rushlight.ops.core.in_place import overwrite
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_indices
from rushlight.ops.create.range import arange
from rushlight.ops.index.along_dim import filled
from rushlight.ops.index.gather import along, check_along, check_along_range, flat_places
from rushlight.ops.index.segments import joined_at
from rushlight.ops.index.slice import embed
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.tensor import Tensor, method

_LARGE = large_from(4096)  # so many elements are scattered by a loop of machine code


def _same_dtype(name, x, src):
    if x.dtype != src.dtype:
        raise DtypeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype, but self is {OF[x.dtype]} "
            f"and src is {OF[src.dtype]}"
        )


def _scatterable(name):
    def prepare(x, index, src, *, dim, reduce=None):
        dim = check_along(name, x, index, dim)
        if hasattr(src, "strides"):
            _same_dtype(name, x, src)
            if src.shape == index.shape:
                return {"dim": dim, "reduce": _known(name, reduce)}
            shape, places = src.shape or (1,), index.shape or (1,)
            fits = len(shape) == len(places) and all(
                i <= s for i, s in zip(places, shape, strict=True)
            )
            if len(shape) != len(places) and index.size:
                raise ShapeError(
                    f"{name}: Index tensor must have the same number of dimensions as src tensor: "
                    f"index {list(index.shape)}, src {list(src.shape)}"
                )
            if not fits and index.size and index.ndim:
                raise ShapeError(
                    f"{name}: Expected index {list(index.shape)} to be no larger than self "
                    f"{list(x.shape)} apart from dimension {dim} and to be no larger size than src "
                    f"{list(src.shape)}"
                )
        return {"dim": dim, "reduce": _known(name, reduce)}

    return prepare


def _known(name, reduce):
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(
            f"{name}: reduce argument must be either add or multiply, not {reduce!r}"
        )
    return reduce


def _scattered(x, index, src, dim, reduce):
    """``x`` with ``src`` at ``index``, by a loop of machine code; None: use NumPy."""
    if index.size < _LARGE or reduce == "multiply" or not hasattr(src, "strides"):
        return None
    fits = 0 < x.ndim == index.ndim and src.shape == index.shape and x.dtype.char in "fdilq"
    if not fits or index.shape != (*x.shape[:dim], index.shape[dim], *x.shape[dim + 1 :]):
        return None
    before, behind = prod(x.shape[:dim]), prod(x.shape[dim + 1 :])
    loop = _written if reduce is None else _added
    sizes = before, x.shape[dim], index.shape[dim], behind
    found = native.looped(loop, (x, index, src, *sizes), [(x.shape, x.dtype)])
    return found and found[0]


def _written(x, index, src, before, n, m, behind, out):
    """out = x (before, n, behind), with src (before, m, behind) at the places ``index``."""
    _each(x, index, src, before, n, m, behind, out, _second)


def _added(x, index, src, before, n, m, behind, out):
    """As ``_written``, but src is added."""
    _each(x, index, src, before, n, m, behind, out, operator.add)


def _each(x, index, src, before, n, m, behind, out, combined):
    for i in range(before * n * behind):
        out[i] = x[i]
    for a in range(before):
        for i in range(a * m, a * m + m):
            for j in range(behind):
                k = i * behind + j
                place = (a * n + index[k]) * behind + j
                out[place] = combined(out[place], src[k])


def _second(x, y):
    return y


def _scatter_into(out, index, src, *, dim, reduce=None):
    if not index.size:
        return
    if not out.ndim or not index.ndim:
        out, index = (a.reshape(-1) for a in (out, index))
        src = src.reshape(-1) if isinstance(src, ndarray) else src
    if not isinstance(src, ndarray):
        src = as_scalar(src, out.dtype)
    elif src.ndim and src.shape != index.shape:
        src = src[tuple([slice(n) for n in index.shape])]
    places = flat_places(out, index, dim) if reduce in (None, "add") else None
    if places is not None and (reduce is None or out.dtype.char in "fd"):
        flat, values = out.reshape(-1), src.reshape(-1) if np.ndim(src) else src
        if reduce is None:
            flat[places] = values
        else:
            np.add.at(flat, places, values)
        return
    key = along(index, dim)
    if reduce is None:
        out[key] = src
    elif reduce == "multiply":
        np.multiply.at(out, key, src)
    else:
        add_at(out, key, src)


def _scatter(name, reduces, grad_name=None, primitive="scatter"):
    def scatter(xp, x, index, src, *, dim, reduce=None):
        """Return a copy of ``x`` with ``src`` written at ``index`` along ``dim``."""
        found = _scattered(x, index, src, dim, reduce)
        if found is not None:
            return found
        out = x.copy()
        _scatter_into(out, index, src, dim=dim, reduce=reduce)
        return out

    return kernel(
        scatter, public=False, method=False, name=name, widen=reduces, prepare=_scatterable(name),
        check=check_along_range, grad_name=grad_name, primitive=primitive,
    )  # fmt: skip


_scatter_write = _scatter("scatter", False)
_scatter_value = _scatter("scatter_value", False, "ScatterBackward1", "")
_scatter_reduce = _scatter("scatter_add", True)


for _op in (_scatter_write, _scatter_value, _scatter_reduce):
    _op.lower_check(lambda x, index, dim: check_indices("scatter", x, index, dim))


def _lowered(op, joined):
    """Return the lowering of ``op``, one of the kernels above.

    An index of size 1 along ``dim`` is compared with all positions along ``dim``: where they are
    equal, the result is ``joined(x, src, reduce)``. Any other index is converted to int64, and
    ``src`` is cut to the size of the index.
    """

    def lowered(x, index, src, dim, reduce):
        if not index.numel():
            return x.clone()
        if not x.shape or not index.shape:
            return NotImplemented
        fitted = src[tuple([slice(n) for n in index.shape])]
        if tuple(index.shape) == (*x.shape[:dim], 1, *x.shape[dim + 1 :]):
            places = arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.dim())])
            return joined(x, fitted, reduce).where(places == index, x)
        if index.dtype is int64 and index.shape == src.shape:
            return NotImplemented
        return op(x, index.to(int64), fitted, dim, reduce)

    return lowered


def _on_devices(op):
    """The lowering of ``op`` on devices: in 0-dim tensors with one dim, of many elements sorted."""

    def lowered(x, index, src, dim, reduce):
        if x.shape and index.shape:
            return joined_at(x, index, src, dim, reduce)
        return op(x.reshape(-1), index.reshape(-1), src.reshape(-1), 0, reduce).reshape(x.shape)

    return lowered


for _op in (_scatter_write, _scatter_reduce):
    _op.lower_on_devices(_on_devices(_op))
_scatter_value.lower_on_devices(lambda x, index, src, dim: (
    _on_devices(_scatter_write)(x, index, x.new_full(index.shape, src), dim, None)
))  # fmt: skip
_scatter_write.lower(_lowered(_scatter_write, lambda x, src, reduce: src))
_scatter_reduce.lower(_lowered(
    _scatter_reduce, lambda x, src, reduce: x * src if reduce == "multiply" else x + src
))  # fmt: skip


@_scatter_value.lower
def _scatter_of_numbers(x, index, src, dim):
    if not index.numel():
        return x.clone()
    if not x.shape or not index.shape:
        return NotImplemented
    return x.scatter(dim, index, x.new_full((), filled(x, src)).expand(index.shape))


def _scatter_back_x(g, index, dim):
    if type(g) is not ndarray:
        return g.scatter(dim, index, 0)
    out = g.copy()
    _scatter_into(out, index, 0, dim=dim)
    return out


def _scatter_back_src(g, index, dim, src_shape):
    if src_shape and 0 in index.shape:
        return np.zeros(src_shape, g.dtype) if type(g) is ndarray else g.new_zeros(src_shape)
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
    where = tuple([slice(n) for n in found.shape])
    return embed(found, shape=tuple(src_shape), index=where)


def _gathered(g, index, dim):
    if not index.size or not g.ndim:
        return np.full(index.shape, g if index.size else 0, g.dtype)
    return g[along(index, dim)] if index.ndim else g[index]


_scatter_write.grad(x=_scatter_back_x, src=_scatter_back_src)
_scatter_value.grad(x=_scatter_back_x)


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


_forms = takes(
    "input, dim, index, src, *, reduce: str=, out?=",
    "input, dim, index, value: Number, *, reduce: str=, out?=",
)


@function
@_forms
def scatter(input, dim, index, src=None, *, value=None, reduce=None, out=None):
    """Return a copy of ``input`` with ``src`` written at ``index`` along ``dim``.

    For 2-D tensors and ``dim=0``, ``out[index[i][j]][j] = src[i][j]``.

    Args:
        src: Tensor of ``input``'s dtype, in no dim smaller than ``index``; or, given by position, a
            number.
        value: Number, instead of ``src``.
        reduce: ``"add"`` or ``"multiply"``: add ``src`` to the elements of ``input``, or multiply
            the two. Default: None, overwrite them.

    Raises:
        RuntimeError: An index is negative or too large, or the shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).scatter(1, torch.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    found = _source(src, value, reduce)
    return _which(found, reduce)(input, index, found, dim, reduce, out=out)


def _which(src, reduce):
    if reduce is not None:
        return _scatter_reduce
    return _scatter_write if isinstance(src, Tensor) else _scatter_value


@composed
@method
@_forms
def scatter_(self, dim, index, src=None, *, value=None, reduce=None):
    """In-place version of ``scatter``."""
    found = _source(src, value, reduce)
    params = {"dim": dim, "reduce": reduce}
    return overwrite(self, _which(found, reduce), (index, found), params, _scatter_into)


@function
def scatter_add(input, dim, index, src, *, out=None):
    """Return a copy of ``input`` with ``src`` added at ``index`` along ``dim``.

    If an index occurs several times, all its elements of ``src`` are added.

    Raises:
        RuntimeError: An index is negative or too large, or the shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.zeros(3).scatter_add(0, torch.tensor([1, 1]), torch.tensor([2.0, 3.0]))
    tensor([0., 5., 0.])
    """
    return _scatter_reduce(input, index, src, dim, "add", out=out)


@composed
@method
def scatter_add_(self, dim, index, src):
    """In-place version of ``scatter_add``."""
    params = {"dim": dim, "reduce": "add"}
    return overwrite(self, _scatter_reduce, (index, src), params, _scatter_into)
