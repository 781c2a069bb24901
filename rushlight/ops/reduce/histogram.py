"""Histograms of one and of several dimensions."""

import math
from itertools import accumulate, pairwise

import numpy as np

from rushlight.backend import native
from rushlight.errors import DimError, DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import underivable
from rushlight.ops.create.from_data import as_tensor
from rushlight.ops.create.range import spaced
from rushlight.ops.reduce.search import searchsorted
from rushlight.ops.shape.join import cat, stack
from rushlight.return_types import result_type
from rushlight.tensor import Tensor, from_array

_Histogram = result_type("histogram", "hist", "bin_edges")
_Histogramdd = result_type("histogramdd", "hist", "bin_edges")


_no_gradient = underivable("histogram")


def _edge_shape(x, *, bins, limits):
    return (sum(bins) + len(bins),)


@kernel(public=False, method=False, name="histogram_edges", shape=_edge_shape)
def _edges(xp, x, *, bins, limits):
    """The edges of ``bins[d]`` equal bins of each column d of x (N, D), one after the other.

    ``limits`` holds the lower and the upper end of each column's bins, one after the other. None:
    the bins reach from the smallest to the largest element.
    """
    found = []
    for d, count in enumerate(bins):
        column = x[:, d]
        if limits is not None:
            low, high = limits[2 * d : 2 * d + 2]
        elif column.size:
            low, high = column.min(), column.max()
        else:
            low, high = 0, 1
        low, high = float(low), float(high)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(
                f"torch.histogramdd: dimension {d}'s range [{low:g}, {high:g}] is not finite"
            )
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} "
                f"for dimension {d}"
            )
        if low == high:
            low, high = low - 0.5, high + 0.5
        found.append(spaced(xp, low, high, count + 1, x.dtype))
    return np.concatenate(found) if found else np.empty(0, x.dtype)


def _bins(x, edges, weight=None, *, sizes, even, density):
    return tuple([n - 1 for n in sizes])


@kernel(public=False, method=False, name="histogram_counts", shape=_bins)
def _counts(xp, x, edges, weight=None, *, sizes, even, density):
    """The number, or the weight, of the rows of x (N, D) in each bin between the ``edges``.

    ``edges`` holds the edges of each column one after the other; ``sizes`` says how many there are.
    An element on an edge belongs to the bin above it, and on the last edge to the last bin.
    ``even``: the bins of a column have equal widths.
    """
    bins = tuple([n - 1 for n in sizes])
    ends = [0, *accumulate(sizes)]
    parts = [edges[start:end] for start, end in pairwise(ends)]
    found = None
    is_large = x.size >= native.LEAST_LOOP and x.dtype.char in "fd"
    if even and is_large and all(_has_scale(part) for part in parts):
        found = _counted_by_loop(x, edges, weight, sizes)
    if found is None:
        found = _counted(x, parts, weight, bins, even)
    found = found.reshape(bins).astype(x.dtype)
    if not density:
        return found
    with np.errstate(all="ignore"):
        found /= found.sum()
        for d, part in enumerate(parts):
            found /= np.diff(part).reshape([-1 if i == d else 1 for i in range(len(bins))])
    return found


def _counted(x, parts, weight, bins, even):
    """The number, or the weight in float64, of the rows of x in each bin, in one dim."""
    inside = np.ones(len(x), bool)
    for d, part in enumerate(parts):
        inside &= (x[:, d] >= part[0]) & (x[:, d] <= part[-1])
    weights = None if weight is None else weight[inside]
    rows = x[inside]
    place = np.zeros(len(rows), np.int64)
    for d, (part, count) in enumerate(zip(parts, bins, strict=True)):
        place = place * count + _bin(rows[:, d], part, even)
    return np.bincount(place, weights, math.prod(bins))


def _has_scale(edges):
    """Whether the reciprocal of the bins' equal width is a number above 0."""
    with np.errstate(all="ignore"):
        return 0 < (len(edges) - 1) / (edges[-1] - edges[0]) < math.inf


def _counted_by_loop(x, edges, weight, sizes):
    """``_counted`` by machine code, for equal bins that ``_has_scale``; None: there is none."""
    results = [((math.prod([n - 1 for n in sizes]),), np.dtype(np.float64))]
    given = x, edges, np.array(sizes), x if weight is None else weight, int(weight is not None)
    found = native.looped(_count, (*given, *x.shape), results)
    return None if found is None else found[0]


def _count(x, edges, sizes, weight, is_weighted, rows, columns, found):
    bins = 1
    for d in range(columns):
        bins = bins * (sizes[d] - 1)
    for k in range(bins):
        found[k] = 0.0
    for i in range(rows):
        place = 0
        first = 0
        for d in range(columns):
            value = x[i * columns + d]
            count = sizes[d] - 1
            low = edges[first]
            high = edges[first + count]
            if value >= low and value <= high:
                k = min(max(int((value - low) * (float(count) / (high - low))), 0), count - 1)
                # By rounding, the product may give the bin beside.
                if value < edges[first + k]:
                    k = k - 1
                elif value >= edges[first + k + 1]:
                    k = k + 1
                place = place * count + min(k, count - 1)
            else:
                place = -1
                break
            first = first + sizes[d]
        if place >= 0:
            found[place] = found[place] + (weight[i] if is_weighted else 1.0)


@_edges.lower_by_counting
def _edges_on_devices(x, bins, limits):
    if limits is None and x.shape[0]:
        ends = stack([x.amin(0), x.amax(0)], -1).reshape(-1).tolist()
    else:
        ends = limits
    found = _edges.op.forward(np, np.empty((0, len(bins)), x.dtype.numpy), bins=bins, limits=ends)
    return as_tensor(found, device=x.device)


@_counts.lower_on_devices
def _counts_on_devices(x, edges, weight, sizes, density):
    bins = tuple([n - 1 for n in sizes])
    parts = edges.split(list(sizes))
    place = inside = None
    for d, part in enumerate(parts):
        column = x[:, d].contiguous()
        fits = (column >= part[0]) & (column <= part[-1])
        at = (searchsorted(part, column, right=True) - 1).clamp(0, bins[d] - 1)
        place = at if place is None else place * bins[d] + at
        inside = fits if inside is None else inside & fits
    weight = x[:, 0] * 0 + 1 if weight is None else weight
    found = x.new_zeros(math.prod(bins)).scatter_add(0, place, weight.to(x.dtype).where(inside, 0))
    found = found.reshape(bins)
    if density:
        found = found / found.sum()
        for d, part in enumerate(parts):
            shape = [-1 if i == d else 1 for i in range(len(bins))]
            found = found / part.diff().reshape(shape)
    return found


def _bin(column, edges, even):
    """The bin between ``edges`` of each element. No element is outside."""
    count = len(edges) - 1
    if not even or not edges[-1] > edges[0]:  # edges close together may round to one number
        return np.minimum(_upper_bound(edges, column) - 1, count - 1)
    # A product finds the bin faster than a search. By rounding, it may be one beside.
    index = ((column - edges[0]) * (count / (edges[-1] - edges[0]))).astype(np.int64)
    index = index.clip(0, count - 1)
    index -= column < edges[index]
    index += column >= edges[index + 1]
    return np.minimum(index, count - 1)


def _upper_bound(edges, column):
    """The number of ``edges`` that are not above each element.

    Edges out of order, or with nan, give what C++'s ``std::upper_bound`` gives, as in PyTorch.
    """
    if (edges[:-1] <= edges[1:]).all():
        return np.searchsorted(edges, column, "right")
    found, left = np.zeros(len(column), np.int64), np.full(len(column), len(edges))
    while left.any():
        half = left // 2
        middle = np.minimum(found + half, len(edges) - 1)
        passed = (left > 0) & ~(column < edges[middle])
        found = np.where(passed, middle + 1, found)
        left = np.where(passed, left - half - 1, half)
    return found


@kernel(public=False, method=False, name="histogram_own_edges", shape=lambda edges, *_: edges.shape)
def _own_edges(xp, edges, x, weight=None):
    """A copy of the ``edges`` of one column, through which no gradient goes to any argument."""
    return edges.copy()


_edges.grad(x=_no_gradient)
_own_edges.lower(lambda edges, x, weight: edges.clone())
_own_edges.grad(edges=_no_gradient, x=_no_gradient, weight=_no_gradient)
_counts.grad(x=_no_gradient, edges=_no_gradient, weight=_no_gradient)


def _check_dtype(x, bounded):
    """Raise if x has a dtype without histograms.

    As in PyTorch, x has half precision only if its range is known (``bounded``) or it is empty.
    """
    if x.dtype.category != 2 or (x.dtype.itemsize == 2 and x.numel() and not bounded):
        raise UnsupportedDtypeError(f"torch.histogramdd: not implemented for {x.dtype}")


def _check(x, weight):
    """Raise unless x (*, D) and its ``weight`` (*) fit each other."""
    if x.ndim < 2:
        raise ShapeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    if weight is not None:
        if weight.dtype is not x.dtype:
            raise DtypeError(
                "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor "
                f"should have the same dtype, but got input({x.dtype}), and weight({weight.dtype})"
            )
        if weight.shape != x.shape[:-1]:
            raise ShapeError(
                "torch.histogramdd: if weight tensor is provided it should have the same shape as "
                "the input tensor excluding its innermost dimension, but got input with shape "
                f"{list(x.shape)} and weight with shape {list(weight.shape)}"
            )


def _check_edges(x, bins):
    if len(bins) != x.shape[-1]:
        raise ShapeError(
            f"torch.histogramdd: expected {x.shape[-1]} sequences of bin edges for a "
            f"{x.shape[-1]}-dimensional histogram but got {len(bins)}"
        )
    for d, edges in enumerate(bins):
        if edges.dtype is not x.dtype:
            raise DtypeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but "
                f"got input with dtype {x.dtype} and bins for dimension {d} with dtype "
                f"{edges.dtype}"
            )
        if edges.ndim != 1:
            raise ShapeError(
                f"torch.histogramdd: bins tensor should have one dimension, but got {edges.ndim} "
                f"dimensions in the bins tensor for dimension {d}"
            )
        if not len(edges):
            raise ShapeError(
                "torch.histogramdd: bins tensor should have at least 1 element, but got 0 elements "
                f"in the bins tensor for dimension {d}"
            )


def _histogram(x, bins, limits, weight, density):
    """(the histogram of x (*, D), its edges as a tuple of D tensors).

    ``bins`` holds D numbers, or D tensors of edges.
    """
    given = bool(bins) and isinstance(bins[0], Tensor)
    _check_dtype(x, given or limits is not None)
    _check(x, weight)
    if given:
        _check_edges(x, bins)
    elif len(bins) != x.shape[-1]:
        raise ShapeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    counts = [len(b) - 1 if given else b for b in bins]
    for d, n in enumerate(counts):
        if n <= 0:
            raise RuntimeError(
                f"torch.histogram(): bins must be > 0, but got {n} for dimension {d}"
            )
    if limits is not None and len(limits) != 2 * len(bins):
        raise RuntimeError(
            f"torch.histogramdd: for a {len(bins)}-dimensional histogram range should have "
            f"{2 * len(bins)} elements, but got {len(limits)}"
        )
    rows = x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))
    sizes = tuple([n + 1 for n in counts])
    if given:
        edges, parts = cat([b.reshape(-1) for b in bins]), tuple(bins)
    else:
        wanted = None if limits is None else tuple([float(v) for v in limits])
        found = (
            None if weight is not None else _on_arrays(rows, sizes, tuple(counts), wanted, density)
        )
        if found is not None:
            return found
        edges = _edges(rows, bins=tuple(counts), limits=wanted)
        ends = [sum(sizes[:d]) for d in range(len(sizes) + 1)]
        parts = tuple([edges[a:b] for a, b in pairwise(ends)])
    weights = None if weight is None else weight.reshape(-1)
    parts = tuple([_own_edges(part, rows, weights) for part in parts])
    return _counts(rows, edges, weights, sizes=sizes, even=not given, density=density), parts


def _on_arrays(x, sizes, bins, limits, density):
    """``_histogram`` of a few plain rows and equal bins, in one step; None: not plain."""
    edges = on_arrays(lambda x: _edges.op.forward(np, x, bins=bins, limits=limits), x)
    if edges is None:
        return None
    given = {"sizes": sizes, "even": True, "density": density}
    hist = from_array(_counts.op.forward(np, x._array, edges._array, **given))
    ends = accumulate(sizes, initial=0)
    return hist, tuple([from_array(edges._array[a:b].copy()) for a, b in pairwise(ends)])


@function
@takes(
    "input, bins: int=, *, range?=, weight?=, density: bool=, out?=",
    "input, bins: Tensor, *, weight?=, density: bool=, out?=",
)
def histogram(input, bins=100, *, range=None, weight=None, density=False, out=None):
    """Count the elements in each of several bins, or add up their weights.

    An element on the edge of two bins belongs to the upper one. The last bin includes its upper
    edge. Elements outside of all bins are not counted.

    Args:
        input: Tensor of any shape ``(*)``, float32 or float64.
        bins: Number of equal bins, or their edges: an increasing tensor of ``input``'s dtype.
            Default: 100.
        range: The lower edge of the first of the equal bins, and the upper edge of the last one.
            Default: the smallest and the largest element.
        weight: Tensor of ``input``'s shape and dtype: by how much each element counts. Default: 1.
        density: Divide by the sum of all counts and by the widths of the bins, so that the integral
            is 1. Default: False.
        out: Pair of tensors that receive the results.

    Returns:
        Named tuple of ``hist``, a tensor ``(bins)``, and ``bin_edges``, a tensor ``(bins + 1)``,
        both of ``input``'s dtype.

    Raises:
        RuntimeError: ``bins`` is not positive, ``range`` is not finite, or shapes or dtypes do not
            fit.

    >>> import rushlight as torch
    >>> torch.histogram(torch.tensor([1.0, 2.0, 1.0]), bins=4, range=(0.0, 3.0))
    torch.return_types.histogram(
    hist=tensor([0., 2., 1., 0.]),
    bin_edges=tensor([0.0000, 0.7500, 1.5000, 2.2500, 3.0000]))
    """
    if not input.ndim:
        input, weight = input.reshape(1), None if weight is None else weight.reshape(-1)
    hist, (edges,) = _histogram(input.unsqueeze(-1), [bins], range, weight, density)
    found = _Histogram((hist, edges))
    return found if out is None else _Histogram(store(out, tuple(found), "histogram"))


@function(method=False)
@takes(
    "input, bins: ints, range?=, weight?=, density: bool=",
    "input, bins: Tensors, range?=, weight?=, density: bool=",
)
def histogramdd(input, bins, range=None, weight=None, density=False):
    """Count the points in each of the bins of a space of D dims, or add up their weights.

    Edges are treated as in ``histogram``.

    Args:
        input: Tensor of points ``(*, D)``, float32 or float64, of at least two dims.
        bins: For each of the D dims the number of equal bins (one number serves all dims), or the
            edges: an increasing tensor of ``input``'s dtype for each dim.
        range: The lower and the upper end of the equal bins: 2·D numbers, two for each dim.
            Default: the smallest and the largest coordinate.
        weight: Tensor ``(*)`` of ``input``'s dtype: by how much each point counts. Default: 1.
        density: Divide by the sum of all counts and by the volumes of the bins, so that the
            integral is 1. Default: False.

    Returns:
        Named tuple of ``hist``, a tensor with a dim for each of the D dims, and ``bin_edges``, a
        tuple of D tensors with the edges. All have ``input``'s dtype.

    Raises:
        RuntimeError: ``bins`` is not positive, ``range`` is not finite, or shapes or dtypes do not
            fit.

    >>> import rushlight as torch
    >>> points = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> torch.histogramdd(points, [2, 2]).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    if not isinstance(bins, (tuple, list)):
        if not input.ndim:
            raise DimError("histogramdd: Dimension specified as -1 but tensor has no dimensions")
        bins = [bins] * input.shape[-1]
    hist, edges = _histogram(input, list(bins), range, weight, density)
    given = [b if isinstance(b, Tensor) else e for b, e in zip(bins, edges, strict=True)]
    return _Histogramdd((hist, tuple(given)))
