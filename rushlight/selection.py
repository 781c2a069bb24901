"""The k smallest of a row, with equal elements in the order that PyTorch leaves them in.

Neither ``topk`` nor ``multinomial`` promises an order among equals, but their results show one:
that of libstdc++'s algorithms, which do not keep equals in place. Half-precision rows and rows
with zeros are full of equals, so results match only if every comparison and every move does.

``order`` is a list of positions and ``key`` their keys, smallest first; ``low`` and ``high`` bound
the part of ``order`` to work on, ``high`` excluded.

Source: introsort and introselect, Musser, Introspective sorting and selection algorithms,
Software: Practice and Experience 27 (1997); heaps, Williams, Algorithm 232 (1964); with the
medians, thresholds and directions of libstdc++ as PyTorch's results show them.
"""

import numpy as np

__all__ = ["largest", "topk"]

SMALL = 16  # parts up to this size are left to one insertion sort


def largest(rows, count):
    """(R, N) array → (R, count) positions of each row's largest, as ``torch.topk`` orders them."""
    by_size = np.argsort(-rows, axis=1, kind="stable")  # nan sorts to the end
    found = by_size[:, :count]
    border = rows[np.arange(len(rows))[:, None], by_size[:, : count + 1]]
    unclear = (border[:, 1:] == border[:, :-1]).any(axis=1) | np.isnan(rows).any(axis=1)
    for i in np.flatnonzero(unclear):
        # Ranks make nan the largest, equal to itself, as PyTorch takes it.
        rank = np.unique(rows[i], return_inverse=True)[1]
        found[i] = topk((-rank).tolist(), count)
    return found


def topk(key, count):
    """Positions of the ``count`` smallest keys, sorted."""
    order = list(range(len(key)))
    if count * 64 <= len(key):
        _heap_select(order, key, 0, count, len(key))
        _sort_heap(order, key, 0, count)
    else:
        _select(order, key, count - 1)
        _sort(order, key, 0, count - 1)
    return order[:count]


def _depth(size):
    return 2 * (size.bit_length() - 1) if size else 0


def _select(order, key, nth):
    """Bring the nth smallest to its place, the smaller before it."""
    low, high = 0, len(order)
    depth = _depth(high)
    while high - low > 3:
        if depth == 0:
            _heap_select(order, key, low, nth + 1, high)
            order[low], order[nth] = order[nth], order[low]
            return
        depth -= 1
        cut = _partition(order, key, low, high)
        if cut <= nth:
            low = cut
        else:
            high = cut
    _insertion_sort(order, key, low, high)


def _sort(order, key, low, high):
    parts = [(low, high, _depth(high - low))]
    while parts:
        start, stop, depth = parts.pop()
        while stop - start > SMALL:
            if depth == 0:
                _heap_select(order, key, start, stop, stop)
                _sort_heap(order, key, start, stop)
                break
            depth -= 1
            cut = _partition(order, key, start, stop)
            parts.append((cut, stop, depth))
            stop = cut
    # No element is more than one part from its place: the whole is one insertion sort, whose
    # first SMALL elements check for the start and the others need not; the moves are the same.
    _insertion_sort(order, key, low, high)


def _partition(order, key, low, high):
    """Split around the median of three, which ends at ``low``; returns the second part's start."""
    a, b, c = low + 1, low + (high - low) // 2, high - 1
    ka, kb, kc = key[order[a]], key[order[b]], key[order[c]]
    if ka < kb:
        median = b if kb < kc else c if ka < kc else a
    else:
        median = a if ka < kc else c if kb < kc else b
    order[low], order[median] = order[median], order[low]
    pivot = key[order[low]]
    left, right = low + 1, high
    while True:
        while key[order[left]] < pivot:
            left += 1
        right -= 1
        while pivot < key[order[right]]:
            right -= 1
        if left >= right:
            return left
        order[left], order[right] = order[right], order[left]
        left += 1


def _insertion_sort(order, key, low, high):
    for i in range(low + 1, high):
        moved = order[i]
        k = key[moved]
        j = i
        while j > low and k < key[order[j - 1]]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = moved


def _heap_select(order, key, low, middle, high):
    """The smallest of [low, high) into a heap at [low, middle), its largest at ``low``."""
    size = middle - low
    for parent in range((size - 2) // 2, -1, -1):
        _sift(order, key, low, parent, size, order[low + parent])
    for i in range(middle, high):
        if key[order[i]] < key[order[low]]:
            value = order[i]
            order[i] = order[low]
            _sift(order, key, low, 0, size, value)


def _sort_heap(order, key, low, high):
    for end in range(high - 1, low, -1):
        value = order[end]
        order[end] = order[low]
        _sift(order, key, low, 0, end - low, value)


def _sift(order, key, low, hole, size, value):
    """Put ``value`` at ``hole``: follow the larger children down to a leaf, then climb back up."""
    top = hole
    child = 2 * hole + 2
    while child < size:
        if key[order[low + child]] < key[order[low + child - 1]]:
            child -= 1
        order[low + hole] = order[low + child]
        hole = child
        child = 2 * hole + 2
    if child == size:  # an only child
        order[low + hole] = order[low + child - 1]
        hole = child - 1
    k = key[value]
    parent = (hole - 1) // 2
    while hole > top and key[order[low + parent]] < k:
        order[low + hole] = order[low + parent]
        hole = parent
        parent = (hole - 1) // 2
    order[low + hole] = value
