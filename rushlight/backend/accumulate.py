"""Add values at indices; an index may occur several times."""

import math

import numpy as np
from numpy import ndarray

from rushlight.backend import native
from rushlight.backend.sizes import large_from

__all__ = ["add_at", "add_rows", "sum_runs"]

# With at least this many values, a sparse matrix product is faster than np.add.at.
_MANY = large_from(2048)
_MASKS, _INTEGERS = {"b"}, {"i"}  # kinds of dtypes
_NARROW = 3  # a sparse product with so few columns is faster column by column


def add_rows(out, rows, values):
    """``out[rows[i]] += values[i]`` for each i, in order.

    Shape: out (R, D), rows (N,), values (N, D).

    Raises:
        IndexError: A row is not in ``out``. Nothing is written then.
    """
    if not values.size:
        return
    if out.shape[1] == 1:
        np.add.at(out[:, 0], rows, values[:, 0])
        return
    if values.size < _MANY or out.dtype.char not in "fdFD":
        np.add.at(out, rows, values)
        return
    n, size = len(rows), len(out)
    # Read as unsigned, negative numbers are large: one comparison finds those that need care.
    if rows.dtype != np.int64 or rows.view(np.uint64).max() >= size:
        outside = rows[(rows < -size) | (rows >= size)]
        if outside.size:  # the loops would write to other memory
            raise IndexError(
                f"index {outside[0]} is out of bounds for dimension 0 with size {size}"
            )
        rows = np.where(rows < 0, rows + size, rows).astype(np.int64, copy=False)
    if out.dtype.char in "fd" and out.flags.c_contiguous and type(values) is ndarray:
        given = [values.astype(out.dtype, copy=False), rows, n, out.shape[1]]
        if native.looped(_add_rows, given, [out]) is not None:
            return
    from scipy.sparse import csc_array

    ones = np.ones(n, out.dtype)
    out += csc_array((ones, rows, np.arange(n + 1)), shape=(size, n)) @ values


def _add_rows(values, rows, n, width, out):
    """Each row of ``values`` is added to the row of ``out`` that ``rows`` names."""
    for i in range(n):
        place = rows[i] * width
        for d in range(width):
            out[place + d] += values[i * width + d]


def sum_runs(table, rows, ends, factors=None):
    """For each run of ``rows``, the sum of the table's rows that it names; None: wrong dtype.

    ``ends`` (runs + 1) begins with 0 and never falls. It has the place in ``rows`` where each run
    begins, and then the last run's end. ``factors`` (N) multiply the rows.
    """
    if table.dtype.char not in "fd":
        return None
    if len(rows) * table.shape[1] >= native.LEAST_LOOP:
        given = [table, rows, ends, *([] if factors is None else [factors])]
        shape = len(ends) - 1, table.shape[1]
        loop = _sum_rows if factors is None else _sum_products
        found = native.looped(loop, (*given, *shape), [(shape, table.dtype)])
        if found is not None:
            return found[0]
    if len(rows) * table.shape[1] < _MANY:
        return _sum_few(table, rows, ends, factors)
    from scipy.sparse import csr_array

    shares = np.ones(len(rows), table.dtype) if factors is None else factors
    which = csr_array((shares, rows, ends), shape=(len(ends) - 1, len(table)))
    if table.shape[1] > _NARROW:
        return which @ table
    found = np.empty((len(ends) - 1, table.shape[1]), table.dtype)
    for k in range(table.shape[1]):
        found[:, k] = which @ np.ascontiguousarray(table[:, k])
    return found


def _sum_rows(table, rows, ends, runs, width, out):
    """The sums of rows of the table, for each run.

    Sums of several columns are in registers, because a sum in memory waits for each store.
    """
    for a in range(runs):
        whole = width // 8 * 8
        for d in range(0, whole, 8):
            _sum_eight(table, rows, ends[a], ends[a + 1], width, d, out, a * width + d)
        for d in range(whole, width, 4):
            _sum_four(table, rows, ends[a], ends[a + 1], width, d, out, a * width)


def _sum_eight(table, rows, begin, end, width, d, out, place):
    """Eight columns from ``d`` on of the sum of a run."""
    out[place] = 0.0
    s0 = out[place]  # of the table's dtype
    s1 = s0
    s2 = s0
    s3 = s0
    s4 = s0
    s5 = s0
    s6 = s0
    s7 = s0
    for i in range(begin, end):
        at = rows[i] * width + d
        s0 += table[at]
        s1 += table[at + 1]
        s2 += table[at + 2]
        s3 += table[at + 3]
        s4 += table[at + 4]
        s5 += table[at + 5]
        s6 += table[at + 6]
        s7 += table[at + 7]
    out[place] = s0
    out[place + 1] = s1
    out[place + 2] = s2
    out[place + 3] = s3
    out[place + 4] = s4
    out[place + 5] = s5
    out[place + 6] = s6
    out[place + 7] = s7


def _sum_four(table, rows, begin, end, width, first, out, place):
    """Sum up to four columns from ``first`` on; behind the end, the last column is summed again."""
    second = min(first + 1, width - 1)
    third = min(first + 2, width - 1)
    fourth = min(first + 3, width - 1)
    out[place + first] = 0.0
    s0 = out[place + first]
    s1 = s0
    s2 = s0
    s3 = s0
    for i in range(begin, end):
        at = rows[i] * width
        s0 += table[at + first]
        s1 += table[at + second]
        s2 += table[at + third]
        s3 += table[at + fourth]
    out[place + first] = s0
    out[place + second] = s1
    out[place + third] = s2
    out[place + fourth] = s3


def _sum_products(table, rows, ends, factors, runs, width, out):
    """As ``_sum_rows``, with a factor for each row."""
    for a in range(runs):
        for d in range(a * width, a * width + width):
            out[d] = 0.0
        for i in range(ends[a], ends[a + 1]):
            row = rows[i] * width
            for d in range(width):
                out[a * width + d] += table[row + d] * factors[i]


def _sum_few(table, rows, ends, factors):
    """``sum_runs`` by NumPy, which adds a run's rows one after the other, as ``_sum_rows`` does."""
    given = slice(ends[0], ends[-1])  # without runs, ``ends`` begins with its end
    values = table.take(rows[given], 0)
    if factors is not None:
        values *= factors[given, None]
    runs, width = len(ends) - 1, table.shape[1]
    found = np.zeros(runs * width, table.dtype)
    first = np.repeat(np.arange(runs) * width, np.diff(ends))
    np.add.at(found, (first[:, None] + np.arange(width)).reshape(-1), values.reshape(-1))
    return found.reshape(runs, width)


def add_at(out, key, values):
    """``out[key] += values``; a position that occurs several times gets the sum of its values.

    ``key`` is a NumPy index: a tuple of integer arrays, bool arrays and full slices.
    """
    arrays = [k for k in key if type(k) is not slice]
    kinds = {a.dtype.kind for a in arrays}
    if kinds <= _MASKS:
        out[key] += values  # a mask selects each position at most once
        return
    if len(key) == 1 and out.flags.c_contiguous and arrays[0].ndim == 1 and out.ndim:
        rows = arrays[0]
        if np.shape(values) != (len(rows), *out.shape[1:]):
            values = np.broadcast_to(values, (len(rows), *out.shape[1:]))
        width = math.prod(out.shape[1:])
        add_rows(out.reshape(len(out), width), rows, values.reshape(len(rows), width))
        return
    if kinds == _INTEGERS and len(arrays) == out.ndim and np.size(values) < _MANY:
        try:
            np.add.at(out, key, values)
            return
        except (IndexError, TypeError):  # NumPy writes nothing then
            pass
    dims, indices = _integer_indices(key)
    common = np.broadcast_arrays(*indices)
    index_shape = common[0].shape
    rest = [d for d in range(out.ndim) if d not in dims]
    sizes = [out.shape[d] for d in dims]
    inner = [out.shape[d] for d in rest]
    if 0 in (*inner, *index_shape):
        return  # no element is asked for, so PyTorch looks at no index
    rows = _flattened(common, sizes)
    adjacent = dims == list(range(dims[0], dims[0] + len(dims)))
    lead = dims[0] if adjacent else 0
    result = (*inner[:lead], *index_shape, *inner[lead:])
    values = np.broadcast_to(values, result)
    k = len(index_shape)
    values = values.transpose(
        (*range(lead, lead + k), *range(lead), *range(lead + k, len(result)))
    ).reshape(len(rows), math.prod(inner))
    turned = out.transpose((*dims, *rest))
    table = turned.reshape(math.prod(sizes), math.prod(inner))
    add_rows(table, rows, values.astype(out.dtype, copy=False))
    if not np.shares_memory(table, out):
        turned[...] = table.reshape(turned.shape)


def _integer_indices(key):
    """(dims, the integer index of each dim). A mask becomes the indices of its True elements."""
    dims, indices, d = [], [], 0
    for k in key:
        if isinstance(k, slice):
            d += 1
            continue
        parts = k.nonzero() if k.dtype.kind == "b" else (k,)
        for part in parts:
            dims.append(d)
            indices.append(part)
            d += 1
    return dims, indices


def _flattened(indices, sizes):
    """The flat row numbers of ``indices``, one index array for each dim of ``sizes``."""
    rows = np.zeros(indices[0].size, np.int64)
    for index, n in zip(indices, sizes, strict=True):
        flat = index.reshape(-1).astype(np.int64, copy=False)
        flat = np.where(flat < 0, flat + n, flat)
        # Read as unsigned, negative numbers are large: one comparison finds both kinds of error.
        if flat.size and flat.view(np.uint64).max() >= n:
            raise IndexError(f"an index is out of bounds for size {n}")
        rows = rows * n + flat
    return rows
