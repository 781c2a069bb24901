"""Sort many elements along rows faster than NumPy's stable ``argsort`` does.

Narrow rows are sorted side by side by a compiled network of comparisons. Each comparison exchanges
two neighbours if the second one comes first, so equal elements keep their order (Knuth, The Art of
Computer Programming 3, 5.3.4). Wider rows of up to 128 elements are sorted side by side by
``merge_exchange.py``. In still wider rows, a number of 32 bits and its place make one integer of
64 bits. NumPy sorts such integers with vector instructions, and no two of them are equal.
"""

from math import prod

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.dtype import int64
from rushlight.ops.create.filled import full
from rushlight.ops.reduce.merge_exchange import exchanged
from rushlight.ops.reduce.merge_sort import rank

__all__ = ["leading", "part"]

#: A compiled network has at most so many comparisons.
_NETWORK = 16
#: From so many elements on, in rows of at least so many, keys are faster.
_LARGE, _WIDE = large_from(8192), large_from(8)
_KEYS = "fibhB?"
#: A heap is the fastest way to so many times fewer elements than a row has.
_HEAP = 32
_SHORT = 256  # NumPy sorts rows of up to so many keys faster than it splits them


def _along(x, dim, start, stop, descending):
    """``_sorted_rows`` along any dim."""
    if dim == x.ndim - 1:
        return _sorted_rows(x, start, stop, descending)
    found = _sorted_rows(np.moveaxis(x, dim, -1), start, stop, descending)
    return found and [_moved_back(v, dim) for v in found]


def _moved_back(values, dim):
    """``values`` with the last dim at the place ``dim``, in C order."""
    if dim == values.ndim - 1:
        return values
    return np.moveaxis(values, -1, dim).copy()


def part(x, dim, start, stop, descending):
    """(the elements at the places ``start`` to ``stop`` in order along ``dim``, their indices).

    Equal elements keep their order. The elements may be None.
    """
    found = None if x.size < native.LEAST_LOOP else _along(x, dim, start, stop, descending)
    if found is None:
        index = rank(x, dim, descending)
        if stop - start < x.shape[dim]:
            index = index[(*(slice(None),) * dim, slice(start, stop))].copy()
        found = None, index
    return found


def leading(x, k, dim, largest):
    """``part`` with the k largest (or smallest) elements."""
    n = x.shape[dim]
    if not k or k * 4 >= n or n < 256:
        return part(x, dim, 0, k, largest)
    found = _by_heap(x, k, dim, largest) if k * _HEAP <= n else None
    if found is None and x.size >= _LARGE:
        found = _along(x, dim, 0, k, largest)
    if found is not None:
        return found
    # Few elements are wanted, so they are split off first, and then sorted.
    at = n - k if largest else k - 1
    order = np.argpartition(x, max(at, 0), axis=dim)
    order = order[(*(slice(None),) * dim, slice(n - k, None) if largest else slice(k))]
    order = np.sort(order, axis=dim)  # sort the indices, so that equal elements keep their order
    again = rank(np.take_along_axis(x, order, dim), dim, largest)
    return None, np.take_along_axis(order, again, dim)


def _by_heap(x, k, dim, largest):
    """``leading`` by a loop of machine code that passes once over each row; None: use NumPy."""
    if x.size < native.LEAST_LOOP or x.dtype.char not in "fdbBhilq":
        return None
    rows = np.moveaxis(x, dim, -1)
    shape = (*rows.shape[:-1], k)
    loop = _largest if largest else _smallest
    given = rows, prod(rows.shape[:-1]), x.shape[dim], k
    found = native.looped(loop, given, [(shape, x.dtype), (shape, np.dtype("i8"))])
    return found and [_moved_back(v, dim) for v in found]


def _largest(x, rows, n, k, values, index):
    _leading_of_rows(x, rows, n, k, _is_larger, values, index)


def _smallest(x, rows, n, k, values, index):
    _leading_of_rows(x, rows, n, k, _is_smaller, values, index)


def _is_larger(a, b):
    return (a > b) | ((a != a) & (b == b))


def _is_smaller(a, b):
    return (a < b) | ((a == a) & (b != b))


def _leading_of_rows(x, rows, n, k, leads, values, index):
    """The k elements of each row of x (rows, n) that lead, in order, and their places.

    A heap has the leading elements so far; the one that would be last in order is at its root. A
    new element stands behind equal ones, because its place is larger.
    """
    for r in range(rows):
        first = r * k
        for i in range(k):
            value = x[r * n + i]
            at = i
            while at > 0 and not leads(value, values[first + (at - 1) // 2]):
                values[first + at] = values[first + (at - 1) // 2]
                index[first + at] = index[first + (at - 1) // 2]
                at = (at - 1) // 2
            values[first + at] = value
            index[first + at] = i
        i = k
        while i < n:
            while i < n and not leads(x[r * n + i], values[first]):
                i += 1
            if i < n:
                _sink(values, index, first, k, x[r * n + i], i, leads)
                i += 1
        for end in range(k - 1, 0, -1):
            value = values[first + end]
            place = index[first + end]
            values[first + end] = values[first]
            index[first + end] = index[first]
            _sink(values, index, first, end, value, place, leads)


def _sink(values, index, first, size, value, place, leads):
    """Put an element into a heap of ``size`` elements, in place of the root."""
    at = 0
    child = 1
    while child < size:
        if child + 1 < size:
            left = first + child
            if leads(values[left], values[left + 1]) or (
                not leads(values[left + 1], values[left]) and index[left + 1] > index[left]
            ):
                child += 1
        last = first + child
        if leads(values[last], value) or (not leads(value, values[last]) and index[last] < place):
            break
        values[first + at] = values[last]
        index[first + at] = index[last]
        at = child
        child = 2 * at + 1
    values[first + at] = value
    index[first + at] = place


def _sorted_rows(x, start, stop, descending=False):
    """(the elements from ``start`` to ``stop`` of each sorted row, their indices), or None.

    Args:
        x: Array (*, N).
        start, stop: Places in the sorted rows, ``0 <= start < stop <= N``.
        descending: Put the largest element first. nan counts as the largest number.

    Returns:
        Contiguous arrays (*, ``stop - start``), or None if NumPy's ``argsort`` is as fast.
    """
    if start >= stop:
        return None
    n, found = x.shape[-1], None
    if x.size < _LARGE:
        return exchanged(x, start, stop, descending)
    narrow = n > 1 and stop * (2 * n - stop - 1) <= 2 * _NETWORK
    keyed = n >= _WIDE and x.dtype.char in _KEYS and x.size <= 1 << 31
    rows = np.ascontiguousarray(x).reshape(-1, n) if narrow or keyed else x
    if narrow:
        found = _by_network(rows, start, stop, descending)
    found = found or exchanged(x, start, stop, descending)
    if found is None and keyed:
        found = _by_keys(rows, start, stop, descending)
    return None if found is None else [v.reshape(*x.shape[:-1], stop - start) for v in found]


def _by_network(rows, start, stop, descending):
    n = rows.shape[1]

    def network(x):
        values = [x[:, j] for j in range(n)]
        index = [full((), j, dtype=int64) for j in range(n)]
        for done in range(stop):
            for j in range(n - 1, done, -1):
                left, right = values[j - 1], values[j]
                large, small = (right, left) if descending else (left, right)
                swap = (small < large) | ((large != large) & (small == small))
                for items in (values, index):
                    a, b = items[j - 1 : j + 1]
                    items[j - 1 : j + 1] = b.where(swap, a), a.where(swap, b)
        return (*values[start:stop], *index[start:stop])

    found = native.matrices(("sorted rows", n, start, stop, descending), network, rows)
    if found is None:
        return None
    count = stop - start
    return [np.stack(part, axis=1) for part in (found[:count], found[count:])]


def _by_keys(rows, start, stop, descending):
    if rows.dtype.char != "f":
        keys = rows.astype(np.int64)
    elif np.isnan(rows.max()):
        return None
    else:
        bits = (rows + np.float32(0)).view(np.int32)  # -0 becomes 0
        bits ^= (bits >> 31) & 0x7FFFFFFF  # negative floats have their sizes in reverse order
        keys = bits.astype(np.int64)
    if descending:
        np.invert(keys, out=keys)
    keys <<= 32
    n = rows.shape[1]
    keys |= np.arange(rows.size).reshape(rows.shape)
    if n > _SHORT and (stop - start) * 4 < n:  # few elements are wanted, so they are split off
        keys.partition((start, stop - 1), axis=1)
        keys = keys[:, start:stop].copy()
        start, stop = 0, stop - start
    keys.sort(axis=1)
    keys = keys[:, start:stop] & 0xFFFFFFFF
    values = rows.reshape(-1).take(keys)
    keys -= np.arange(0, rows.size, n)[:, None]
    return values, keys
