"""Quantiles, of all elements or of those that are not nan."""

import numpy as np

from rushlight import shapes
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.backend.sizes import large_from
from rushlight.dtype import float32, float64
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.outputs import store
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.filled import full
from rushlight.ops.elementwise.arithmetic import lerp_arrays
from rushlight.ops.reduce.merge_sort import picked
from rushlight.ops.reduce.sort import sort_
from rushlight.tensor import Tensor

_WAYS = "linear", "lower", "higher", "midpoint", "nearest"


def _checked(input, q, interpolation, out):
    """Raise unless the arguments are valid; return ``q`` as a tensor of ``input``'s dtype."""
    if not input.numel():
        raise ShapeError("quantile() input tensor must be non-empty")
    if input.dtype not in (float32, float64):
        raise DtypeError("quantile() input tensor must be either float or double dtype")
    if isinstance(q, Tensor):
        if q.ndim > 1:
            raise ShapeError("quantile() q must be a scalar or 1D tensor")
        if q.dtype is not input.dtype:
            raise DtypeError("quantile() q tensor must be same dtype as the input tensor")
    if interpolation not in _WAYS:
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if out is not None and out.dtype is not input.dtype:
        raise DtypeError("quantile() out tensor must be same dtype as the input tensor")
    if isinstance(q, Tensor):
        message = "quantile() q values must be in the range [0, 1]: {}"
        check_range(q.detach(), low=0, high=1, error=RuntimeError, message=message)
        return q
    if not 0 <= q <= 1:
        raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q}")
    return full((), q, dtype=input.dtype)


def _ranks(ordered, q, ignore_nan):
    """The places (*, Q) of the quantiles ``q`` in the sorted rows ``ordered``, as fractions.

    nan sorts to the end. So the last place gives nan for a row that has one.
    """
    last = ordered.shape[-1] - 1
    if ignore_nan:
        last = (~ordered.isnan()).sum(-1, keepdim=True) - 1
        ranks = q * last.to(q.dtype)
        return ranks.masked_fill(ranks < 0, 0)
    ranks = (q * last).expand((*ordered.shape[:-1], *q.shape))
    return ranks.masked_fill(ordered.narrow(-1, last, 1).isnan(), last)


def _at_ranks(ordered, ranks, interpolation):
    """The elements of each row at fractional places, by interpolation between two neighbours."""
    if interpolation in ("lower", "higher", "nearest"):
        way = {"lower": "floor", "higher": "ceil", "nearest": "round"}[interpolation]
        return ordered.gather(-1, getattr(ranks.detach(), way)().long())
    below = ranks.long()
    weight = ranks - below if interpolation == "linear" else ranks.new_full(ranks.shape, 0.5)
    above = ranks.detach().ceil().long()
    return ordered.gather(-1, below).lerp(ordered.gather(-1, above), weight)


#: In rows of at least so many elements, up to ``_FEW`` quantiles are split off without a sort.
_LONG, _FEW = large_from(512), 2
_NARROW = 6  # a kernel sorts rows of at most so many elements


def _sorted_rows(x, q, dim, ignore_nan):
    """The rows (*, n) of the array ``x`` along ``dim``, sorted; None: one row of all elements.

    Other elements than the last one, and those that the quantiles ``q`` need, may not be in place.
    """
    if dim is None or not x.ndim:
        rows = x.reshape(-1)
    else:
        rows = np.ascontiguousarray(x[..., None].swapaxes(dim, -1))
    last = rows.shape[-1] - 1
    if last < _NARROW and rows.size >= native.LEAST_MATRIX:  # a kernel sorts such rows
        return sort_.op.forward(xp, rows, dim=rows.ndim - 1)[0]
    if ignore_nan or last < _LONG or q.size > _FEW:
        return np.sort(rows, -1)
    ranks = q * last
    return np.partition(rows, [*np.floor(ranks).astype(int), *np.ceil(ranks).astype(int), last], -1)


def _of_arrays(x, q, dim, interpolation, ignore_nan):
    """The quantiles (*, Q) of the array ``x``: ``_at_ranks`` of ``_ranks``."""
    q = q.reshape(-1)
    ordered = _sorted_rows(x, q, dim, ignore_nan)
    last = ordered.shape[-1] - 1
    if ignore_nan:
        last = np.add.reduce(ordered == ordered, -1, np.int64, keepdims=True) - 1
        ranks = q * last.astype(q.dtype)
        np.copyto(ranks, 0, where=ranks < 0)
    else:
        ranks = np.empty((*ordered.shape[:-1], *q.shape), q.dtype)
        ranks[...] = q * last
        ends = ordered[..., -1:]
        np.copyto(ranks, last, where=ends != ends)
    along = ordered.ndim - 1
    if interpolation in ("lower", "higher", "nearest"):
        way = {"lower": np.floor, "higher": np.ceil, "nearest": np.rint}[interpolation]
        return picked(ordered, way(ranks).astype(np.int64), along)
    below = ranks.astype(np.int64)
    above = np.ceil(ranks).astype(np.int64)
    weight = (
        ranks - below.astype(q.dtype) if interpolation == "linear" else np.full_like(ranks, 0.5)
    )
    low, high = [picked(ordered, index, along) for index in (below, above)]
    return lerp_arrays(xp, low, high, weight)


def _quantile(input, q, dim, keepdim, interpolation, out, ignore_nan=False):
    given = _checked(input, q, interpolation, out)
    ndim = input.ndim
    if dim is not None:
        dim = shapes.dim(dim, ndim, "quantile")
    arrays = lambda x, q: _of_arrays(x, q, dim, interpolation, ignore_nan)
    found = on_arrays(arrays, input, given, most=np.inf)
    if found is None:
        if dim is None or not ndim:
            rows = input.reshape(-1)
        else:
            rows = input.unsqueeze(-1).transpose(dim, -1)
        ordered = rows.sort(-1).values
        found = _at_ranks(ordered, _ranks(ordered, given.reshape(-1), ignore_nan), interpolation)
    found = found.movedim(-1, 0) if given.ndim else found.squeeze(-1)
    if ndim and dim is None and keepdim:
        found = found.reshape((*given.shape, *[1] * ndim))
    elif ndim and dim is not None and not keepdim:
        found = found.squeeze(dim + given.ndim)
    return found if out is None else store(out, found, "quantile")


@function(kinds={"q": "value", "keepdim": "bool", "interpolation": "str"})
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """Return the quantiles ``q`` of the elements over ``dim``.

    The quantile q of n sorted elements is the element at the place q·(n - 1). Between two places,
    ``interpolation`` decides. A row that contains nan has the quantile nan.

    Args:
        input: Tensor ``(*)``, float32 or float64, not empty.
        q: A number from 0 to 1, or a tensor of such numbers, ``()`` or ``(Q)``, of ``input``'s
            dtype.
        dim: The one dim to reduce. Default: all elements together.
        interpolation: ``"linear"`` (default) between the neighbours, the ``"lower"``, ``"higher"``
            or ``"nearest"`` of them, or their ``"midpoint"``.

    Returns:
        Tensor without the reduced dims; with ``keepdim`` they have size 1. A ``q`` of shape (Q)
        gives a new first dim of size Q.

    Raises:
        RuntimeError: A number of ``q`` is not in [0, 1], ``input`` is empty, or a dtype is another.

    >>> import rushlight as torch
    >>> torch.quantile(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.5, 0.75]))
    tensor([2., 3.])
    """
    return _quantile(input, q, dim, keepdim, interpolation, out)


@function(kinds={"q": "value", "keepdim": "bool", "interpolation": "str"})
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """Return the quantiles ``q`` of the elements over ``dim`` that are not nan.

    The quantile of a row of nothing but nan is nan.

    Args:
        input, q, dim, interpolation: As for ``quantile``.

    Returns:
        Tensor of the same shape as from ``quantile``.

    Raises:
        RuntimeError: As for ``quantile``.

    >>> import rushlight as torch
    >>> torch.nanquantile(torch.tensor([1.0, torch.nan, 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile(input, q, dim, keepdim, interpolation, out, ignore_nan=True)
