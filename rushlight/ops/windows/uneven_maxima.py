"""The positions of the maxima of windows that differ in size, or from row to row, on arrays.

A position is a flat index into the last ``n`` dims. Shapes: x (…, *size), positions (…, *places).
"""

from functools import lru_cache
from math import prod
from operator import mul
from typing import Any

import numpy as np

from rushlight.backend import native

__all__ = [
    "EVEN",
    "best",
    "best_by_loop",
    "best_of_equal",
    "best_of_table",
    "elements",
    "in_all",
    "picked_by_loop",
    "unpooled_by_loop",
]


#: Up to so many elements a loop finds the maxima faster than NumPy: of windows that differ, and of
#: equal windows, which NumPy compares with fewer calls.
UNEVEN, EVEN = 1 << 14, 1 << 12


def best(x, starts, ends):
    """The flat position of each window's first maximum, or of its last nan.

    ``starts`` and ``ends`` have an array for each pooled dim: the first element of each window,
    and the element after its last. An array's shape is (places) or (…, places).

    One dim after the other, the last one first, moves to the front and is reduced there, because
    NumPy is fast on long rows. The dims are then (size, *later places, rows, *earlier sizes).
    """
    n = len(starts)
    lead = x.shape[: x.ndim - n]
    best, step = x.reshape(prod(lead), *x.shape[x.ndim - n :]), 1
    at: Any = None
    nans = bool((x != x).any())
    for d in reversed(range(n)):
        best = np.ascontiguousarray(np.moveaxis(best, -1, 0))
        # A row of windows for each row of ``x``, or one for all.
        rows, count = 1 if starts[d].ndim == 1 else prod(lead), starts[d].shape[-1]
        shape = (count, *[1] * (n - 1 - d), rows, *[1] * d)
        start, end = (a.reshape(rows, count).T.reshape(shape) for a in (starts[d], ends[d]))
        size = len(best)
        best, where = _best_of_rows(best, start, end, nans)
        if at is not None:
            at = _rows(np.ascontiguousarray(np.moveaxis(at, -1, 0)), where)
        at = where if at is None else at + where * step
        step *= size
    return np.ascontiguousarray(np.moveaxis(at, -1, 0)).reshape(*lead, *at.shape[:-1])


def best_by_loop(x, starts, ends, most=UNEVEN):
    """``best``, and the maxima there, by machine code; None: NumPy is faster, or there is none.

    ``most``: with more elements NumPy is faster. Every smaller call that will be replayed takes the
    loop, because it needs no check of the positions then.
    """
    if x.size > most or (type(x) is np.ndarray and x.size < native.LEAST_LOOP):
        return None
    n = len(starts)
    lead = prod(x.shape[: x.ndim - n])
    size, places = ((*(1,) * (3 - n), *s) for s in (x.shape[x.ndim - n :], _lengths(starts)))
    apart = starts[0].ndim > 1
    edges = [_edges(a, lead if apart else 1, n, k) for k, a in enumerate((starts, ends))]
    shape = *x.shape[: x.ndim - n], *_lengths(starts)
    given = (x, *edges, int(apart), lead, *size, *places)
    return native.looped(_best, given, [(shape, np.dtype(np.int64)), (shape, x.dtype)])


def _lengths(starts):
    return tuple([a.shape[-1] for a in starts])


def _edges(arrays, rows, n, missing):
    """The starts or ends of the windows along three dims, in one array (rows, …)."""
    others = [np.full((rows, 1), missing)] * (3 - n)
    return np.concatenate([*others, *[a.reshape(rows, -1) for a in arrays]], 1)


def _best(x, starts, ends, apart, rows, depth, height, width, front, top, left, at, found):
    """Fill ``at`` and ``found`` (rows, front, top, left) for x (rows, depth, height, width).

    ``starts`` and ``ends`` have the edges along the three dims, for each row if ``apart``.
    """
    for row in range(rows):
        first = row * depth * height * width
        i = row * (front + top + left) if apart else 0
        j = i + front
        k = j + top
        place = row * front * top * left
        for a in range(i, i + front):
            for b in range(j, j + top):
                for c in range(k, k + left):
                    best = (starts[a] * height + starts[b]) * width + starts[c]
                    most = x[first + best]
                    for z in range(starts[a], ends[a]):
                        for y in range(starts[b], ends[b]):
                            here = (z * height + y) * width
                            for v in range(starts[c], ends[c]):
                                value = x[first + here + v]
                                if value > most or value != value:
                                    most = value
                                    best = here + v
                    at[place] = best
                    found[place] = most
                    place = place + 1


def picked_by_loop(x, at, n):
    """The elements of x at flat positions in its last ``n`` dims, by machine code, or None."""
    lead = prod(x.shape[: x.ndim - n])
    sizes = lead, prod(x.shape[x.ndim - n :]), prod(at.shape[at.ndim - n :])
    found = native.looped(_picked, (x, at, *sizes), [(at.shape, x.dtype)])
    return None if found is None else found[0]


def _picked(x, at, rows, size, count, found):
    for row in range(rows):
        for i in range(row * count, row * count + count):
            found[i] = x[row * size + at[i]]


def unpooled_by_loop(x, at, size):
    """Zeros of ``size`` with x at flat positions in these last dims, by machine code, or None."""
    n = len(size)
    lead = x.shape[: x.ndim - n]
    sizes = prod(lead), prod(size), prod(x.shape[x.ndim - n :])
    found = native.looped(_unpooled, (x, at, *sizes), [((*lead, *size), x.dtype)])
    return None if found is None else found[0]


def _unpooled(x, at, rows, size, count, found):
    for i in range(rows * size):
        found[i] = 0.0
    for row in range(rows):
        for i in range(row * count, row * count + count):
            found[row * size + at[i]] = x[i]


def best_of_equal(x, starts, kernel_size):
    """``best`` of windows of one size, of at most 255 elements, which it compares one by one."""
    n = len(starts)
    lead, size = x.shape[: x.ndim - n], x.shape[x.ndim - n :]
    at: Any = 0
    for d, start in enumerate(starts):
        shape = [1] * n
        shape[d] = start.shape[-1]
        at = at * size[d] + start.reshape(*lead, *shape)
    steps = [prod(size[d + 1 :]) for d in range(n)]
    shifts = [sum(map(mul, place, steps)) for place in np.ndindex(*kernel_size)]
    flat, first = x.reshape(-1), in_all(at, n, prod(size))
    nans = bool((x != x).any())
    found = flat.take(first)
    # The number of the best element grows from step to step, so the last better one is the largest.
    number = np.zeros(found.shape, np.uint8)
    for k in range(1, len(shifts)):
        value = flat[shifts[k] :].take(first)
        better = value > found
        if nans:
            better |= value != value
        np.maximum(found, value, out=found)
        np.maximum(number, better * np.uint8(k), out=number)
    at += np.array(shifts).take(number)
    return at


def _best_of_rows(x, start, end, nans):
    """(maxima, their positions) of the windows along dim 0."""
    lengths = end - start
    longest = int(lengths.max(initial=0))
    # If windows of one length differ from row to row, their elements are found step by step.
    steps = start.size > len(start) and bool((lengths == longest).all())
    places, flat = _flat_places(x, start) if steps else None, x.reshape(-1)
    found = _rows(x, start) if places is None else flat.take(places)
    # The position within the window grows from step to step, so the last better one is the largest.
    place = np.zeros(found.shape, np.uint8 if longest <= 256 else np.int64)
    for t in range(1, longest):
        if places is None:
            value = _rows(x, np.minimum(start + t, end - 1))
        else:
            places += flat.size // len(x)
            value = flat.take(places)
        better = value > found
        if nans:
            better |= value != value
        np.maximum(found, value, out=found)
        np.maximum(place, better * place.dtype.type(t), out=place)
    at = start + place
    return found, at if places is not None else np.minimum(at, end - 1)


def _rows(x, index):
    """The elements of ``x``, in C order, at ``index`` along dim 0."""
    if index.size == len(index):
        return x.take(index.reshape(-1), 0)
    return x.reshape(-1).take(_flat_places(x, index))


def _flat_places(x, index):
    """The flat positions of the elements of ``x`` at ``index`` along dim 0."""
    n = prod(x.shape[1:])
    return index * n + np.arange(n).reshape(x.shape[1:])


def elements(size, starts, ends):
    """The flat positions (…, *places, elements) of the windows' elements.

    The last element of a short window is repeated.
    """
    n = len(size)
    at: Any = 0
    for d, (start, end) in enumerate(zip(starts, ends, strict=True)):
        k = np.arange(int((end - start).max()))
        own = np.minimum(start[..., None] + k, end[..., None] - 1)
        shape = [1] * (2 * n)
        shape[d], shape[n + d] = own.shape[-2:]
        at = at * size[d] + own.reshape(*own.shape[:-2], *shape)
    return at.reshape(*at.shape[:-n], -1)


def best_of_table(x, table, places):
    """The position of the first maximum of each window, for windows of ``elements`` ``table``.

    No element of x may be a nan.
    """
    n, count = len(places), table.shape[-1]
    lead = x.shape[: x.ndim - n]
    if table.ndim == n + 1:  # the same windows in all rows of x
        found = x.reshape(*lead, -1).take(table, -1).argmax(-1)
    else:
        found = x.reshape(-1).take(in_all(table, n + 1, prod(x.shape[len(lead) :]))).argmax(-1)
    found += _starts(table.shape[:-1], count)
    return table.reshape(-1).take(found)


def in_all(at, n, count):
    """Positions in all of the memory, for flat positions ``at`` in ``n`` dims of ``count``."""
    lead = at.shape[: at.ndim - n]
    return at + _starts((*lead, *[1] * n), count)


def _starts(shape, step):
    """0, step, 2 · step, … in an array of this shape."""
    return (_few_starts if prod(shape) <= _FEW else _made_starts)(shape, step)


def _made_starts(shape, step):
    return step * np.arange(prod(shape)).reshape(shape)


#: Up to so many numbers are kept.
_FEW = 1 << 10
_few_starts = lru_cache(64)(_made_starts)
