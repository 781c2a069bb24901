"""The most frequent elements along a dim."""

import numpy as np

from rushlight import shapes
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.dtype import COMPLEX_KINDS
from rushlight.errors import DimError, UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import several
from rushlight.ops.core.kinds import kernel
from rushlight.ops.reduce.extrema import selected
from rushlight.ops.reduce.merge_sort import alone, picked, ranked
from rushlight.ops.reduce.parallel_scan import places_along
from rushlight.ops.reduce.scan import running_max
from rushlight.return_types import result_type
from rushlight.selection import SMALL, order

_Mode = result_type("mode", "values", "indices")

#: In tensors with fewer elements, the index is PyTorch's. It depends on the moves of a sort that is
#: not stable, which take a microsecond for each element. See ``sort``.
_MANY = 1024

#: From so many elements on, short rows are counted instead of sorted.
_COUNTED = large_from(4096)


def _one_dim(x, *, dim, keepdim):
    dim = shapes.dim(dim, x.ndim, "mode")
    if x.ndim and not x.shape[dim]:
        raise DimError(f"mode(): Expected reduction dim {dim} to have non-zero size.")
    if (
        x.ndim
        and x.size
        and (x.dtype.kind in COMPLEX_KINDS or (x.dtype.kind == "u" and x.itemsize > 1))
    ):
        raise UnsupportedDtypeError(f"mode: not implemented for {x.dtype}")
    return {"dim": dim, "keepdim": shapes.flag(keepdim, "mode")}


@kernel(public=False, method=False, name="mode", prepare=_one_dim)
def _mode(xp, x, *, dim=-1, keepdim=False):
    """The most frequent elements along one dim, and the index of one occurrence of each."""
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    rows = x if dim == x.ndim - 1 else np.moveaxis(x, dim, -1)
    lead, n = rows.shape[:-1], rows.shape[-1]
    rows = xp.ascontiguousarray(rows).reshape(-1, n)
    index = None
    if n <= SMALL and type(rows) is not np.ndarray:  # a call that will be replayed
        index = _by_loop(rows, n)
    elif n <= SMALL and rows.size >= _COUNTED:
        index = _by_counts(rows, n)
    if index is None:
        by_size = _sorted(rows, n)
        ordered = picked(rows, by_size, 1)
        index = picked(by_size, _end_of_longest_run(ordered)[:, None], 1)
    values = picked(rows, index.reshape(-1, 1), 1).reshape(lead)
    index = index.reshape(lead)
    return (np.expand_dims(values, dim), np.expand_dims(index, dim)) if keepdim else (values, index)


def _by_loop(rows, n):
    """``_by_counts`` as machine code, or None."""
    if rows.dtype.char not in "fdilq" or (rows.dtype.kind == "f" and np.isnan(rows).any()):
        return None
    found = native.looped(_modes, (rows, n, len(rows)), [((len(rows),), np.dtype("i8"))])
    return None if found is None else found[0]


def _modes(rows, n, count, index):
    """The last place of the least of the most frequent elements of each row (count, n)."""
    for row in range(count):
        first = row * n
        best = 0
        most = 0
        for i in range(n):
            times = 0
            for j in range(n):
                if rows[first + j] == rows[first + i]:
                    times += 1
            if times > most or (times == most and rows[first + i] <= rows[first + best]):
                most = times
                best = i
        index[row] = best


def _by_counts(rows, n):
    """The index of each short row's mode, by comparisons of all pairs; None if there is a nan."""
    if rows.dtype.kind == "f" and np.isnan(rows).any():
        return None
    columns = np.ascontiguousarray(rows.T)
    counts = np.zeros(columns.shape, np.uint8)  # of equal elements in the row, besides the own one
    for i in range(1, n):
        same = columns[:i] == columns[i]
        counts[:i] += same
        counts[i] += np.add.reduce(same, 0, np.uint8)
    if rows.dtype == bool:
        columns = columns.view(np.uint8)
    largest = np.inf if rows.dtype.kind == "f" else np.iinfo(columns.dtype).max
    rare = counts != np.maximum.reduce(counts, 0)
    values = np.minimum.reduce(np.where(rare, columns.dtype.type(largest), columns), 0)
    places = (columns == values) * np.arange(n, dtype=np.uint8)[:, None]
    return np.maximum.reduce(places, 0).astype(np.int64)  # a stable sort puts the last place last


def _sorted(rows, n):
    """The indices that sort each row. Equal elements come in PyTorch's order in small tensors."""
    found = np.argsort(rows, axis=1, kind="stable")
    if n > SMALL and rows.size < _MANY:
        for i, row in enumerate(rows):
            found[i] = order(row, False)
    elif n <= SMALL and rows.dtype.kind == "f":
        nans = rows != rows
        for k in np.flatnonzero(nans.any(axis=1)) if np.count_nonzero(nans) else ():
            found[k] = _inserted(rows[k].tolist())
    return found


def _inserted(row):
    """The indices that sort a short row, with the comparisons of an insertion sort.

    A comparison with nan is false. So nan ends the search for a smaller element's place, and where
    the elements go depends on these comparisons.
    """
    found: list[int] = []
    for i, value in enumerate(row):
        place = len(found)
        if found and value < row[found[0]]:
            place = 0
        while place and value < row[found[place - 1]]:
            place -= 1
        found.insert(place, i)
    return found


def _end_of_longest_run(ordered):
    """The last place of the first of the longest runs of equal elements in each sorted row."""
    place = np.arange(ordered.shape[1])
    begins = np.empty(ordered.shape, bool)
    begins[:, 0] = True
    np.not_equal(ordered[:, 1:], ordered[:, :-1], begins[:, 1:])
    few = begins.size <= _MANY
    start = np.maximum.accumulate(begins * place if few else np.where(begins, place, 0), axis=1)
    return (place - start).argmax(axis=1)


@_mode.lower_on_devices
def _mode_on_devices(x, dim, keepdim):
    if not x.shape:
        return alone(x)
    order = ranked(x, dim)
    ordered, places = x.gather(dim, order), places_along(x, dim)
    before = ordered.gather(dim, (places - 1).clamp(0).expand(x.shape))
    begins = (ordered != before) | (places == 0)
    length = places - running_max(places.where(begins, 0), dim=dim)
    index = order.gather(dim, length.argmax(dim, keepdim=True))
    found = x.gather(dim, index), index
    return found if keepdim else tuple([v.squeeze(dim) for v in found])


_mode.grad(x=selected)


@function
def mode(input, dim=-1, keepdim=False, *, out=None):
    """Return the most frequent element along ``dim`` and an index of it.

    Of several elements that are equally frequent, it is the smallest.

    Args:
        input: Tensor of any shape ``(*)``, real.
        dim: The one dim to reduce; negative ones count from the end. Default: the last dim.
        out: Pair of tensors that receive the results.

    Returns:
        Pair ``(values, indices)`` of tensors without ``dim``; with ``keepdim`` it has size 1.

    Raises:
        IndexError: ``dim`` has no elements.

    >>> import rushlight as torch
    >>> torch.mode(torch.tensor([3, 1, 2, 1]))
    torch.return_types.mode(
    values=tensor(1),
    indices=tensor(3))
    """
    return _Mode(several(_mode, input, {"dim": dim, "keepdim": keepdim}, out))
