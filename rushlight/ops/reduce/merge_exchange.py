"""Sort short rows side by side, as machine code: Batcher's merge exchange.

A fixed sequence of comparisons sorts rows of n elements, whatever their values: each comparison
exchanges two elements if they are in the wrong order. So it compares the elements of many rows at
once, with vector instructions. A number of 32 bits and its place make one integer of 64 bits; no
two of these are equal, so equal elements keep their order.

Source: Knuth, The Art of Computer Programming 3 (1998), 5.2.2, Algorithm M.
"""

from functools import lru_cache

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import large_from

__all__ = ["exchanged"]

#: Longer rows, and fewer of them, are sorted in another way just as fast.
_LONGEST, _FEWEST = 128, large_from(16)
_LANES = 32  # rows that are sorted side by side, so that their integers stay in the cache


def exchanged(x, start, stop, descending):
    """(the elements from ``start`` to ``stop`` of each sorted row, their indices), or None.

    Args:
        x: Array (*, N) of numbers of 32 bits. nan counts as the largest number.
        start, stop: Places in the sorted rows, ``0 <= start < stop <= N``.
        descending: Put the largest element first.
    """
    n = x.shape[-1]
    count = x.size // n
    if x.dtype.char not in "fi" or not 1 < n <= _LONGEST or count < _FEWEST:
        return None
    pairs = _comparisons(n, start, stop)
    shape = *x.shape[:-1], stop - start
    bits = x.view(np.int32)
    loop = _floats if x.dtype.kind == "f" else _integers
    given = bits, pairs, len(pairs), count, n, start, stop, int(descending)
    results = [(shape, bits.dtype), (shape, np.dtype("i8")), ((n * _LANES,), np.dtype("i8"))]
    found = native.looped(loop, given, results)
    return None if found is None else [found[0].view(x.dtype), found[1]]


@lru_cache(64)
def _comparisons(n, start, stop):
    """The pairs of places that are compared, one after the other, in an array.

    Comparisons that change nothing from ``start`` to ``stop`` are left out.
    """
    pairs, top = [], 1 << (n - 1).bit_length() - 1
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    kept, needed = [], set(range(start, stop))
    for pair in reversed(pairs):
        if not needed.isdisjoint(pair):
            kept.append(pair)
            needed.update(pair)
    return np.array(kept[::-1], np.int64).reshape(-1)


def _floats(x, pairs, count, rows, n, start, stop, descending, values, index, keys):
    _exchange(x, pairs, count, rows, n, start, stop, descending, values, index, keys, _key_of_bits)


def _integers(x, pairs, count, rows, n, start, stop, descending, values, index, keys):
    _exchange(
        x, pairs, count, rows, n, start, stop, descending, values, index, keys, _key_of_integer
    )


def _key_of_integer(bits):
    return bits


def _key_of_bits(bits):
    """An integer that is as large among others as the float32 with these bits."""
    size = bits & 0x7FFFFFFF
    is_nan = size > 0x7F800000
    return 0x7FFFFFFF if is_nan else (-size if bits < 0 else size)


def _exchange(x, pairs, count, rows, n, start, stop, descending, values, index, keys, key_of):
    """Sort rows of x (rows, n), ``_LANES`` at a time; ``keys`` (n, _LANES) has their integers."""
    width = stop - start
    for first in range(0, rows, _LANES):
        some = min(rows - first, _LANES)
        for r in range(some):
            for j in range(n):
                key = key_of(x[(first + r) * n + j])
                key = -1 - key if descending > 0 else key
                keys[j * _LANES + r] = key * 4294967296 + j
        for k in range(0, count, 2):
            left = pairs[k] * _LANES
            right = pairs[k + 1] * _LANES
            for r in range(_LANES):
                a = keys[left + r]
                b = keys[right + r]
                keys[left + r] = min(a, b)
                keys[right + r] = max(a, b)
        for r in range(some):
            place = (first + r) * width
            for j in range(width):
                at = keys[(start + j) * _LANES + r] & 0xFFFFFFFF
                index[place + j] = at
                values[place + j] = x[(first + r) * n + at]
