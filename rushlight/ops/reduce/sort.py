"""Sorting, the k largest elements, and elements of a given rank such as the median."""

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.dtype import COMPLEX_KINDS
from rushlight.errors import DimError, DtypeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import several
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import scattered, typed, where
from rushlight.ops.reduce.extrema import selected
from rushlight.ops.reduce.merge_sort import alone, picked, rank, ranked
from rushlight.ops.reduce.sorted_rows import leading, part
from rushlight.return_types import result_type
from rushlight.selection import SMALL, first, kth, order, settle
from rushlight.strides import ordered_like

_Sort = result_type("sort", "values", "indices")
_Topk = result_type("topk", "values", "indices")
_Kthvalue = result_type("kthvalue", "values", "indices")
_Median = result_type("median", "values", "indices")
_Nanmedian = result_type("nanmedian", "values", "indices")


def _ordered(x, name):
    if x.dtype.kind in COMPLEX_KINDS:
        kind = DtypeError if name in ("sort", "topk") else UnsupportedDtypeError
        raise kind(f"{name}: does not support complex tensors: they have no order")


# Sorting ----------------------------------------------------------------------------------

#: From this many elements on, equal elements keep their order. Below, they come in PyTorch's order,
#: which takes a microsecond for each element.
_MANY = 1024


def _sorted(x, dim, descending, stable):
    """(the elements in order along ``dim``, or None; the indices that sort ``x``).

    If not ``stable``, equal elements come in PyTorch's order in tensors below ``_MANY`` elements.
    """
    if stable or x.shape[dim] <= SMALL or x.size >= _MANY:
        return part(x, dim, 0, x.shape[dim], descending)
    index = rank(x, dim, descending)
    rows = _rows(x, dim)
    places = _rows(index, dim)  # a copy unless dim is the last
    arranged = picked(rows, places, 1)
    equal = arranged[:, 1:] == arranged[:, :-1]
    if x.dtype.kind == "f":
        outermost = arranged[:, 0 if descending else -1]
        if np.count_nonzero(outermost != outermost):
            equal |= np.isnan(arranged[:, 1:]) & np.isnan(arranged[:, :-1])
    if not np.count_nonzero(equal):
        return (arranged.reshape(x.shape) if dim == x.ndim - 1 else None), index
    for i in np.flatnonzero(equal.any(axis=1)):
        places[i] = order(rows[i], descending)
    shape = np.moveaxis(x, dim, -1).shape
    return None, np.ascontiguousarray(np.moveaxis(places.reshape(shape), -1, dim))


def _rows(x, dim):
    """A matrix with the elements along ``dim`` in rows."""
    x = x if dim == x.ndim - 1 else np.moveaxis(x, dim, -1)
    return x.reshape(-1, x.shape[-1])


def _sort_dims(x, *, dim, **rest):
    _ordered(x, "sort")
    return {"dim": shapes.dim(dim, x.ndim, "sort"), **rest}


@kernel(public=False, method=False, name="sort", prepare=_sort_dims, keeps_order=True)
def sort_(xp, x, *, dim=-1, descending=False, stable=False):
    """The sorted elements, and their indices in x."""
    if not x.ndim:
        return x.copy(), xp.zeros((), xp.int64)
    values, index = _sorted(x, dim, descending, stable)
    values = picked(x, index, dim) if values is None else values
    return ordered_like(values, x), ordered_like(index, x)


def _scattered_back(g, index, x_shape, dim):
    return None if g[0] is None else scattered(g[0], index, dim, x_shape)


@sort_.lower_on_devices
def _sorted_on_devices(x, dim, descending):
    if not x.shape:
        return alone(x)
    index = ranked(x, dim, descending)
    return x.gather(dim, index), index


sort_.grad(x=_scattered_back)


@function
@takes("input, dim=, descending=, *, out?=", "input, *, stable?, dim=, descending=, out?=")
def sort(input, dim=-1, descending=False, stable=False, *, out=None):
    """Sort the elements along ``dim`` and return them with their indices.

    nan counts as the largest number.

    Args:
        input: Tensor of any shape ``(*)``, real.
        dim: The dim to sort along; negative ones count from the end. Default: the last dim.
        descending: Put the largest element first. Default: False.
        stable: Let equal elements keep their order. Default: False. Their order is then undefined,
            but the same as PyTorch's in tensors of fewer than 1,024 elements.
        out: Pair of tensors that receive the results.

    Returns:
        Pair ``(values, indices)`` of tensors of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` is complex.

    >>> import rushlight as torch
    >>> torch.sort(torch.tensor([3.0, 1.0, 2.0]))
    torch.return_types.sort(
    values=tensor([1., 2., 3.]),
    indices=tensor([1, 2, 0]))
    """
    params = {"dim": dim, "descending": descending, "stable": bool(stable)}
    return _Sort(several(sort_, input, params, out))


@kernel(prepare=_sort_dims, keeps_order=True)
def argsort(xp, x, *, dim=-1, descending=False, stable=False):
    """Return the indices that sort ``input`` along ``dim``.

    Args:
        input: Tensor of any shape ``(*)``, real.
        dim: The dim to sort along; negative ones count from the end. Default: the last dim.
        descending: Put the largest element first. Default: False.
        stable: Let equal elements keep their order, as in ``sort``. Default: False.

    Returns:
        Int64 tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` is complex.

    >>> import rushlight as torch
    >>> torch.argsort(torch.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    if not x.ndim:
        return xp.zeros((), xp.int64)
    return ordered_like(_sorted(x, dim, descending, stable)[1], x)


@argsort.lower_on_devices
def _argsort_on_devices(x, dim, descending):
    return ranked(x, dim, descending) if x.shape else alone(x)[1]


@function
def msort(input, *, out=None):
    """Sort ``input`` along its first dim.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Tensor of ``input``'s shape.

    >>> import rushlight as torch
    >>> torch.msort(torch.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    found = sort_(input, dim=0, descending=False)[0]
    return found if out is None else store(out, found, "msort")


# Some of the elements ---------------------------------------------------------------------


def _topk_dims(x, *, k, dim, largest, sorted):
    _ordered(x, "topk")
    dim = shapes.dim(dim, x.ndim, "topk")
    if x.dtype.kind == "b":
        raise DtypeError("topk: does not support bool tensors; convert with .int()")
    size = x.shape[dim] if x.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(
            f"topk: selected index k out of range: k={k}, dim {dim} of {x.shape} has {size}"
        )
    return {"k": k, "dim": dim, "largest": largest, "sorted": sorted}


@kernel(public=False, method=False, name="topk", prepare=_topk_dims)
def topk_(xp, x, *, k, dim=-1, largest=True, sorted=True):
    """The k largest (or smallest) elements and their indices."""
    if not x.ndim:  # as in PyTorch, also if ``k`` is 0
        return x.copy(), xp.zeros((), xp.int64)
    if not k or not 0 < x.size < _MANY:
        values, index = leading(x, k, dim, largest)
        return picked(x, index, dim) if values is None else values, index
    index = leading(x, min(k + 1, x.shape[dim]), dim, largest)[1]
    border = picked(x, index, dim)
    if dim == x.ndim - 1 and _is_clear(border):
        return border[..., :k].copy(), index[..., :k].copy()
    index = _settled(x, index, k, dim, largest)
    return picked(x, index, dim), index


def _is_clear(border):
    """Whether the elements, in order along the last dim, all differ, and none of them is nan."""
    # The count takes a quarter of the time of ``any``.
    equal = np.count_nonzero(border[..., 1:] == border[..., :-1])
    return not (equal or np.count_nonzero(border != border))


def _settled(x, index, k, dim, largest):
    """The first ``k`` of the indices, equal elements in PyTorch's order."""
    rows = np.moveaxis(x, dim, -1)
    lead = rows.shape[:-1]
    rows = rows.reshape(-1, x.shape[dim])
    found = np.moveaxis(index, dim, -1).reshape(len(rows), -1)
    first = np.array(found[:, :k])
    settle(rows, first, found[:, k:], largest)
    return np.ascontiguousarray(np.moveaxis(first.reshape(*lead, k), -1, dim))


@topk_.lower_on_devices
def _topk_on_devices(x, k, dim, largest):
    if not x.shape:
        return alone(x)
    index = ranked(x, dim, largest).narrow(dim, 0, k)
    return x.gather(dim, index), index


topk_.grad(x=_scattered_back)


@function
def topk(input, k, dim=-1, largest=True, sorted=True, *, out=None):
    """Return the ``k`` largest or smallest elements along ``dim`` and their indices.

    Args:
        input: Tensor of any shape ``(*)``, real but not bool.
        k: The number of elements, from 0 to the size of ``dim``.
        dim: The dim to search; negative ones count from the end. Default: the last dim.
        largest: Return the largest elements; False: the smallest. Default: True.
        sorted: Accepted without effect: the elements always come in order.
        out: Pair of tensors that receive the results.

    Returns:
        Pair ``(values, indices)`` of tensors of ``input``'s shape, with size ``k`` in ``dim``.

    Raises:
        RuntimeError: ``k`` is negative or larger than the dim.

    >>> import rushlight as torch
    >>> torch.topk(torch.tensor([3.0, 1.0, 2.0]), 2)
    torch.return_types.topk(
    values=tensor([3., 2.]),
    indices=tensor([0, 2]))
    """
    params = {"k": k, "dim": dim, "largest": largest, "sorted": sorted}
    return _Topk(several(topk_, input, params, out))


# Elements of a rank -----------------------------------------------------------------------


def _rank_dims(name):
    def prepare(x, *, dim, keepdim, **rest):
        _ordered(x, name)
        if x.dtype.kind == "b":
            raise UnsupportedDtypeError(f"{name}: not implemented for bool")
        dim = shapes.dim(dim, x.ndim, name)
        size = x.shape[dim] if x.ndim else 1
        if not size:
            raise DimError(
                f"{name}(): Expected reduction dim {dim} to have non-zero size: shape {x.shape}"
            )
        if not 1 <= rest.get("k", 1) <= size:
            raise RuntimeError(
                f"{name}(): selected number k out of range for dimension {dim}: "
                f"k={rest['k']} of {size}"
            )
        return {"dim": dim, "keepdim": shapes.flag(keepdim, name), **rest}

    return prepare


def _of_rank(x, place, dim, keepdim):
    """(the elements at ``place`` in sorted order along ``dim``, their indices).

    ``place`` is an int, or an array of size 1 in ``dim``.
    """
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    if isinstance(place, ndarray):
        values, index = None, np.take_along_axis(rank(x, dim), place, dim)
    else:
        values, index = part(x, dim, place, place + 1, False)
        index = index.copy()  # not a part of larger memory
    values = np.take_along_axis(x, index, dim) if values is None else values
    return (values, index) if keepdim else (values.squeeze(dim), index.squeeze(dim))


@kernel(public=False, method=False, name="kthvalue", prepare=_rank_dims("kthvalue"))
def kthvalue_(xp, x, *, k, dim=-1, keepdim=False):
    """The k-th smallest elements and their indices."""
    if not x.ndim or x.size >= _MANY:
        return _of_rank(x, k - 1, dim, keepdim)
    low = max(k - 2, 0)
    index = part(x, dim, low, min(k + 1, x.shape[dim]), False)[1]
    border = picked(x, index, dim)
    own = (*(slice(None),) * dim, slice(k - 1 - low, k - low))
    values, index = border[own], index[own]
    if not _is_clear(border if dim == x.ndim - 1 else np.moveaxis(border, dim, -1)):
        equal = (x == values) | ((x != x) & (values != values))
        unclear = (equal.sum(axis=dim) > 1).reshape(-1)
        if unclear.any():
            rows = np.moveaxis(x, dim, -1).reshape(-1, x.shape[dim])
            places = index.reshape(-1).copy()
            for i in np.flatnonzero(unclear):
                places[i] = kth(rows[i], k - 1)
            index = places.reshape(index.shape)
            values = picked(x, index, dim)  # of equal zeros, the one at this place
    return (values, index) if keepdim else (values.squeeze(dim), index.squeeze(dim))


@function
def kthvalue(input, k, dim=-1, keepdim=False, *, out=None):
    """Return the ``k``-th smallest element along ``dim`` and its index.

    Args:
        input: Tensor of any shape ``(*)``, real but not bool.
        k: The rank: 1 for the smallest element, up to the size of ``dim``.
        dim: The dim to search; negative ones count from the end. Default: the last dim.
        out: Pair of tensors that receive the results.

    Returns:
        Pair ``(values, indices)`` of tensors without ``dim``; with ``keepdim`` it has size 1.

    Raises:
        RuntimeError: ``k`` is out of range.

    >>> import rushlight as torch
    >>> torch.kthvalue(torch.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    return _Kthvalue(several(kthvalue_, input, {"k": k, "dim": dim, "keepdim": keepdim}, out))


def _rank_on_devices(place_of):
    """The lowering of an element of a rank: ``place_of(x, nans, k)`` is its place in sorted order.

    ``nans`` is the number of nan, and ``k`` the parameter if there is one.
    """

    def lowered(x, k, dim, keepdim):
        if not x.shape:
            return alone(x)
        nans = (x != x).sum(dim, keepdim=True)
        index = ranked(x, dim).gather(dim, place_of(x.shape[dim], nans, k))
        found = x.gather(dim, index), index
        return found if keepdim else tuple([v.squeeze(dim) for v in found])

    return lowered


def _middle_on_devices(n, nans, _):
    return (n - nans).where(nans > 0, (n - 1) // 2)


def _middle_of_numbers(n, nans, _):
    return (n - nans - 1).clamp(0) // 2


def _middle(x, dim, ignore_nan):
    """The place of the lower median in sorted order.

    If there is a nan, it is the place of the first nan, or with ``ignore_nan`` of the lower median
    of the other elements.
    """
    n = x.shape[dim] if x.ndim else 1
    if x.dtype.kind != "f":
        return (n - 1) // 2
    nans = np.isnan(x)
    if not np.count_nonzero(nans):
        return (n - 1) // 2
    nans = nans.sum(axis=dim, keepdims=True) if x.ndim else nans.astype(np.int64)
    if ignore_nan:
        return np.maximum(n - nans - 1, 0) // 2
    return np.where(nans > 0, n - nans, (n - 1) // 2)


@kernel(
    public=False,
    method=False,
    name="median_dim",
    prepare=_rank_dims("median"),
    grad_name="MedianBackward1",
)
def median_dim(xp, x, *, dim, keepdim=False):
    """The lower medians along one dim and their indices."""
    return _of_rank(x, _middle(x, dim, False), dim, keepdim)


@kernel(public=False, method=False, name="nanmedian_dim", prepare=_rank_dims("nanmedian"),
        grad_name="NanmedianBackward1")  # fmt: skip
def nanmedian_dim(xp, x, *, dim, keepdim=False):
    """The lower medians of the elements that are not nan, and their indices."""
    values, index = _of_rank(x, _middle(x, dim, True), dim, keepdim)
    if x.ndim and x.dtype.kind == "f" and x.size < _MANY:
        index = np.where(np.isnan(values), first(x.shape[dim]), index)
    return values, index


_find = _rank_on_devices(lambda n, nans, k: nans * 0 + (k - 1))
kthvalue_.lower_on_devices(lambda x, k, dim, keepdim: _find(x, k, dim, keepdim))
_find_middle = _rank_on_devices(_middle_on_devices)
median_dim.lower_on_devices(lambda x, dim, keepdim: _find_middle(x, None, dim, keepdim))
_find_number = _rank_on_devices(_middle_of_numbers)
nanmedian_dim.lower_on_devices(lambda x, dim, keepdim: _find_number(x, None, dim, keepdim))
for _op in (kthvalue_, median_dim, nanmedian_dim):
    _op.grad(x=selected)


#: The integer to which C converts nan on x86. It is 0 for the other integer dtypes.
_NAN_AS_INTEGER = {"int32": -(1 << 31), "int64": -(1 << 63), "uint64": 1 << 63}


_FEW = 64


def _of_all(x, name, ignore_nan):
    _ordered(x, name)
    if x.dtype.kind == "b":
        raise UnsupportedDtypeError(f"{name}: not implemented for bool")
    x = x.reshape(-1)
    if not x.size:
        if x.dtype.kind == "f":
            return np.asarray(np.nan, x.dtype)
        return np.asarray(_NAN_AS_INTEGER.get(x.dtype.name, 0), x.dtype)
    if x.dtype.kind == "f":
        nans = np.isnan(x)
        if nans.any():
            if not ignore_nan:
                return np.asarray(np.nan, x.dtype)
            x = x[~nans] if not nans.all() else x
    rank = (x.size - 1) // 2
    if x.size <= _FEW:
        return x.take(x.argsort(kind="stable")[rank])  # replays know this way
    return np.partition(x, rank)[rank]


@kernel(public=False, method=False, name="median")
def median_all(xp, x):
    """The lower median of all elements."""
    return _of_all(x, "median", False)


@kernel(public=False, method=False, name="nanmedian")
def nanmedian_all(xp, x):
    """The lower median of all elements that are not nan."""
    return _of_all(x, "nanmedian", True)


median_all.lower_on_devices(lambda x: median_dim(x.reshape(-1), dim=0)[0])
nanmedian_all.lower_on_devices(lambda x: nanmedian_dim(x.reshape(-1), dim=0)[0])


def _median_slope(g, x, out):
    mask = typed((x == out) | ((x != x) & (out != out)), g)
    return where(mask != 0, g / mask.sum(), 0)


for _op in (median_all, nanmedian_all):
    _op.grad(x=_median_slope)


_along = takes("input", "input, dim: int, keepdim=, *, out?=")


@function
@_along
def median(input, dim=None, keepdim=False, *, out=None):
    """Return the median of all elements, or the medians along ``dim`` with their indices.

    Of an even number of elements, the median is the lower one of the two in the middle. It is nan
    if an element is nan.

    Args:
        input: Tensor of any shape ``(*)``, real but not bool.
        dim: The one dim to reduce. Default: all dims.
        keepdim: Keep ``dim`` with size 1. Default: False.
        out: Pair of tensors that receive the results; only with ``dim``.

    Returns:
        Tensor ``()``. With ``dim`` a pair ``(values, indices)`` of tensors without this dim.

    >>> import rushlight as torch
    >>> torch.median(torch.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor(2.)
    """
    if dim is None:
        return median_all(input)
    return _Median(several(median_dim, input, {"dim": dim, "keepdim": keepdim}, out))


@function
@_along
def nanmedian(input, dim=None, keepdim=False, *, out=None):
    """Return the ``median`` of the elements that are not nan.

    Args:
        input: Tensor of any shape ``(*)``, real but not bool.
        dim: The one dim to reduce. Default: all dims.
        keepdim: Keep ``dim`` with size 1. Default: False.
        out: Pair of tensors that receive the results; only with ``dim``.

    Returns:
        Tensor ``()``. With ``dim`` a pair ``(values, indices)`` of tensors without this dim. Where
        all elements are nan, the value is nan.

    >>> import rushlight as torch
    >>> torch.nanmedian(torch.tensor([3.0, torch.nan, 1.0]))
    tensor(1.)
    """
    if dim is None:
        return nanmedian_all(input)
    return _Nanmedian(several(nanmedian_dim, input, {"dim": dim, "keepdim": keepdim}, out))
