"""Distinct values, and elements that are among others: unique, unique_consecutive, isin."""

from itertools import pairwise

import numpy as np

from rushlight import late, shapes
from rushlight.backend.sizes import large_from
from rushlight.dtype import COMPLEX_KINDS, bfloat16, int64
from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.promotion import promote
from rushlight.ops.core.rules import underivable
from rushlight.ops.create.filled import full, ones, zeros
from rushlight.ops.reduce.search import searchsorted_
from rushlight.ops.reduce.sort import sort_
from rushlight.ops.shape.join import cat
from rushlight.tensor import Tensor, from_array

_MANY = large_from(4096)  # from so many integers on, their range is looked at
_LONG = large_from(1 << 13)  # from so many elements on, runs are numbered by machine code
_RARE = 16  # a mask has long runs if at most one element in so many is left out
_FEW = 32  # up to so many elements, comparing each pair is faster than sorting


@kernel(
    public=False,
    method=False,
    name="unique",
    dynamic=True,
    widen=False,
    keeps_order=True,
    grad_name="Unique2Backward0",
)
def _unique(xp, x, *, dim):
    """(the distinct elements or slices in order, the index among them of each, their counts)."""
    if x.dtype.kind in COMPLEX_KINDS:
        raise UnsupportedDtypeError(
            "unique: not implemented for complex tensors: they have no order"
        )
    if dim is None:
        flat = _comparable(x).reshape(-1)
        values, inverse, counts = _by_counting(flat) or _by_sorting(flat)
        return values.astype(x.dtype), inverse.reshape(x.shape), counts
    if not x.size:
        return _none_of(x, dim)
    values, inverse, counts = np.unique(
        _comparable(x), return_inverse=True, return_counts=True, axis=dim, equal_nan=False
    )
    return values.astype(x.dtype), inverse.reshape(-1), counts


def _by_counting(flat):
    """The results for many integers in a range that is not larger than their number, or None."""
    if flat.size < _MANY or flat.dtype.kind not in "iu":
        return None
    low, high = int(flat.min()), int(flat.max())
    if high - low > flat.size or high >= 1 << 63:
        return None
    places = flat.astype(np.int64)
    places -= low
    counts = np.bincount(places)
    found = np.flatnonzero(counts)
    rank = np.empty(len(counts), np.int64)
    rank[found] = np.arange(len(found))
    return found + low, rank.take(places), counts[found]


def _by_sorting(flat):
    order = flat.argsort()
    values, rank, counts = _runs.op.forward(np, flat[order], dim=None)
    inverse = np.empty_like(rank)
    inverse[order] = rank
    return values, inverse, counts


def _none_of(x, dim):
    """The results for a tensor without elements: it has no slices along ``dim``."""
    if x.shape[dim] or x.shape.count(0) > 1:
        raise ShapeError(
            f"unique: There are 0 sized dimensions besides dim {dim}, so unique cannot be "
            f"applied: shape {x.shape}"
        )
    empty = np.empty(0, np.int64)
    return x, empty, empty


def _comparable(x):
    """``x`` in a dtype that NumPy can sort: bfloat16 becomes float32."""
    return x.astype(np.float32) if x.dtype == bfloat16.numpy else x


@_unique.lower_by_counting
def _unique_of_sorted(x, dim):
    if not x.numel():
        return NotImplemented
    if dim is None:
        values, order = x.reshape(-1).sort(stable=True)
    else:
        order = _order_of_rows(x.movedim(dim, 0).reshape(x.shape[dim], -1))
        values = x.index_select(dim, order)
    found, rank, counts = _runs(values, dim=dim)
    inverse = rank.new_zeros(rank.shape).scatter(0, order, rank)
    return found, inverse.reshape(x.shape) if dim is None else inverse, counts


def _order_of_rows(x):
    """The indices that sort the rows of a matrix by their first elements, then by the second …

    The columns' elements become ranks. Each step makes one column of two, whose ranks it joins.
    """
    n, width = x.shape
    ranks, order = _ranked(x)
    while width > 1:
        pairs = ranks[:, : width - 1 : 2] * n + ranks[:, 1::2]
        ranks, order = _ranked(cat([pairs, ranks[:, width - width % 2 :]], 1))
        width = ranks.shape[1]
    return order.reshape(-1)


def _ranked(x):
    """(the rank of each element among the distinct ones of its column, the sorting indices)."""
    values, order = x.sort(stable=True, dim=0)
    steps = cat([zeros((1, x.shape[1]), dtype=int64), (values[1:] != values[:-1]).to(int64)])
    return zeros(x.shape, dtype=int64).scatter(0, order, steps.cumsum(0)), order


_unique.grad(x=underivable("unique", listed=True))


def _packed(found, return_inverse, return_counts):
    values, inverse, counts = found
    found = (values, *([inverse] if return_inverse else []), *([counts] if return_counts else []))
    return found if len(found) > 1 else values


@function(in_python=True)
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """Return the distinct elements in order, or the distinct slices along ``dim``.

    Args:
        input: Tensor of any shape ``(*)``, real.
        sorted: Accepted without effect: the elements are always sorted.
        return_inverse: Return the index of each element in the result, too. Default: False.
        return_counts: Return the number of times each element occurs, too. Default: False.
        dim: The dim whose slices are compared. Default: None, single elements are compared.

    Returns:
        Tensor ``(K,)`` of the elements. With ``dim`` it has ``input``'s shape, with size K in this
        dim. With the options it is the first item of a tuple. The indices follow, with ``input``'s
        shape or, with ``dim``, of shape ``(input.size(dim),)``. The counts ``(K,)`` come last.

    >>> import rushlight as torch
    >>> torch.unique(torch.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    dim = None if dim is None else shapes.dim(dim, input.ndim, "unique")
    return _packed(_unique(input, dim=dim), return_inverse, return_counts)


@kernel(
    public=False,
    method=False,
    name="unique_consecutive",
    dynamic=True,
    widen=False,
    keeps_order=True,
)
def _runs(xp, x, *, dim, inverse=True, counts=True):
    """(the first of each run of equal elements or slices, the run of each, the runs' lengths).

    If not ``inverse``, the run of each may be left out: an empty array. If not ``counts``, so may
    the lengths.
    """
    if dim is not None and not x.size:
        return _none_of(x, dim)
    if dim is None and 0 < x.size <= _FEW and x.dtype.kind in "fiub" and type(x) is np.ndarray:
        return _few_runs(x)
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1)
    starts = np.ones(len(rows), bool)
    differs = rows[1:] != rows[:-1]
    starts[1:] = differs if dim is None else differs.any(axis=1)
    none = np.empty(0, np.int64)
    if dim is None and not inverse and not counts:
        return _marked(rows, starts), none, none
    found = _numbered_runs(rows, starts) if dim is None and inverse else None
    values, first, run = found or (None, np.flatnonzero(starts), none)
    lengths = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=lengths[:-1])
    lengths[-1:] = len(rows) - first[-1:]
    if values is not None:
        return values, run.reshape(x.shape), lengths
    run = _numbered(starts) if inverse else run
    if dim is None:
        run = run.reshape(x.shape) if inverse else run
        return x.reshape(-1).take(first, mode="wrap"), run, lengths
    # In the result, the slices lie one after the other in memory, as in PyTorch.
    return np.moveaxis(np.take(np.moveaxis(x, dim, 0), first, axis=0), 0, dim), run, lengths


def _few_runs(x):
    """``_runs`` of a few elements, for which a loop is faster than ten calls of NumPy."""
    items = x.reshape(-1).tolist()
    last, first, run = items[0], [0], []
    for i, item in enumerate(items):
        if i and item != last:
            first.append(i)
        last = item
        run.append(len(first) - 1)
    lengths = [b - a for a, b in pairwise([*first, len(items)])]
    integers = [np.array(found, np.int64) for found in (first, run, lengths)]
    return x.reshape(-1).take(first), integers[1].reshape(x.shape), integers[2]


def _numbered(starts):
    """The number of each element's run: how many runs began before its own."""
    if starts.size >= _LONG:
        results = [(starts.shape, np.dtype(np.int64))]
        found = late.looped(_number, (starts.view(np.int8), starts.size), results)
        if found is not None:
            return found[0]
    return np.cumsum(starts) - 1


def _number(starts, count, run):
    current = -1
    for i in range(count):
        current = current + starts[i]
        run[i] = current


def _end(marks):
    """The place behind the last marked element, which is sought near the end first."""
    for count in (min(len(marks), 1 << 10), len(marks)):
        found = np.flatnonzero(marks[-count:])
        if found.size:
            return len(marks) - count + int(found[-1]) + 1
    return 0


def _numbered_runs(x, starts):
    """(the first of each run, its place, the number of each element's run), or None: use NumPy."""
    kind = f"i{x.dtype.itemsize}"
    if len(x) < _LONG or x.dtype.itemsize > 8 or not x.flags.c_contiguous:
        return None
    count, integer = np.count_nonzero(starts), np.dtype(np.int64)
    results = [((count,), np.dtype(kind)), ((count,), integer), (x.shape, integer)]
    given = x.view(kind), starts.view(np.int8), _end(starts), len(x)
    found = late.looped(_number_runs, given, results)
    return None if found is None else (found[0].view(x.dtype), *found[1:])


def _number_runs(x, starts, stop, count, values, first, run):
    """An element that begins no run is written, too, and overwritten: no branch is mispredicted."""
    k = 0
    for i in range(stop):
        values[k] = x[i]
        first[k] = i
        k += starts[i]
        run[i] = k - 1
    for i in range(stop, count):
        run[i] = k - 1


def _marked(x, mask):
    """Return the elements of the one-dimensional ``x`` that ``mask`` marks, in memory of its own.

    NumPy copies a masked array run by run. That is the fastest way if the runs are long.
    """
    left = len(x) - np.count_nonzero(mask)
    if not left:
        return x.copy()
    if left * _RARE <= len(x):
        return x[mask]
    if len(x) >= _LONG and x.dtype.itemsize <= 8 and left < len(x):
        kind = f"i{x.dtype.itemsize}"
        given = np.ascontiguousarray(x).view(kind), mask.view(np.int8), _end(mask)
        found = late.looped(_mark, given, [((len(x) - left,), np.dtype(kind))])
        if found is not None:
            return found[0].view(x.dtype)
    return x.take(np.flatnonzero(mask), mode="wrap")


def _mark(x, mask, stop, out):
    """As ``_number_runs``, each element is written."""
    k = 0
    for i in range(stop):
        out[k] = x[i]
        k += mask[i]


@_runs.lower_by_counting
def _runs_on_devices(x, dim, inverse, counts):
    if not x.numel():
        return NotImplemented
    from rushlight.ops.index.compaction import marked

    slices = x.reshape(-1) if dim is None else x.movedim(dim, 0)
    n = slices.shape[0]
    differs = (slices[1:] != slices[:-1]).reshape(n - 1, x.numel() // n).any(1)
    starts = cat([ones(1, dtype=bool_), differs])
    first = marked(starts)
    ends = cat([first[1:], full((1,), n, dtype=int64)])
    run = starts.to(int64).cumsum(0) - 1 if inverse else x.new_empty(0, dtype=int64)
    found = slices.index_select(0, first)
    if dim is None:
        return found, run.reshape(x.shape) if inverse else run, ends - first
    return found.movedim(0, dim), run, ends - first


@function(in_python=True)
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """Return the first element of each run of equal elements.

    Args:
        input: Tensor of any shape ``(*)``, flattened if ``dim`` is None.
        return_inverse: Return the index of each element's run, too. Default: False.
        return_counts: Return the length of each run, too. Default: False.
        dim: The dim whose slices are compared. Default: None, single elements are compared.

    Returns:
        Tensor ``(K,)`` with an element for each run. With ``dim`` it has ``input``'s shape, with
        size K in this dim. With the options it is the first item of a tuple. The indices follow,
        with ``input``'s shape or, with ``dim``, of shape ``(input.size(dim),)``. The lengths
        ``(K,)`` come last.

    >>> import rushlight as torch
    >>> torch.unique_consecutive(torch.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    dim = None if dim is None else shapes.dim(dim, input.ndim, "unique_consecutive")
    found = _runs(input, dim=dim, inverse=return_inverse, counts=return_counts)
    return _packed(found, return_inverse, return_counts)


@kernel(public=False, method=False, name="isin", widen=False)
def _isin(xp, x, y):
    """True for each element of x that is among the elements of y. Both have one dtype."""
    x, y = _comparable(x), _comparable(y)
    if y.size <= _FEW and x.size * y.size < _MANY:
        return (x[..., None] == y.reshape(-1)).any(axis=-1)
    return np.isin(x, y)


@_isin.lower
def _isin_of_comparisons(x, y):
    if y.numel() > _FEW:
        return NotImplemented
    return (x.unsqueeze(-1) == y.reshape(y.numel())).any(-1)


@_isin.lower_on_devices
def _isin_of_search(x, y):
    ordered = sort_(y.reshape(-1), dim=0)[0]
    places = searchsorted_(ordered, x, None, side="left", integer=np.int64)
    return ordered.gather(0, places.clamp(max=y.numel() - 1).reshape(-1)).reshape(x.shape) == x


@function(method=False)
@takes(
    "elements: Tensor, test_elements: Tensor, *, assume_unique=, invert=, out?=",
    "elements: Tensor, test_element: Number, *, assume_unique=, invert=, out?=",
    "element: Number, test_elements: Tensor, *, assume_unique=, invert=, out?=",
    spelled={"element": "elements", "test_element": "test_elements"},
)
def isin(elements, test_elements, *, assume_unique=False, invert=False, out=None):
    """True where an element of ``elements`` is among ``test_elements``.

    Args:
        elements: Tensor of any shape ``(*)``, or a number.
        test_elements: Tensor of any shape, or a number.
        assume_unique: Accepted without effect.
        invert: Give True where the element is not among them. Default: False.

    Returns:
        Bool tensor of ``elements``'s shape.

    Raises:
        RuntimeError: an argument is bool or complex.

    >>> import rushlight as torch
    >>> torch.isin(torch.tensor([1, 2, 3]), torch.tensor([2, 3]))
    tensor([False,  True,  True])
    """
    given = elements, test_elements
    tensors = [x if isinstance(x, Tensor) else from_array(np.asarray(x)) for x in given]
    for t in tensors:
        if t.dtype.category in (0, 3):  # bool and complex
            raise DtypeError(f"isin(): Unsupported input type: {t.dtype}; convert it first")
    if not tensors[0].numel():  # of dtypes that have no common one, too
        found = zeros(tensors[0].shape, dtype=bool_)
    else:
        common = promote(given)
        found = _isin(*[t.to(common) for t in tensors])
    found = ~found if invert else found
    return found if out is None else store(out, found, "isin")
