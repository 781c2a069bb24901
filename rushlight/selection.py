"""Rows sorted, or their k smallest, with equal elements in the order that PyTorch leaves them in.

Neither ``sort``, ``topk``, ``kthvalue`` nor ``multinomial`` promises an order among equals, but
their results show one: that of libstdc++'s algorithms, which do not keep equals in place.
Half-precision rows and rows with zeros are full of equals, so results match only if every
comparison and every move does.

``order`` is a list of positions and ``key`` their keys, smallest first; ``low`` and ``high`` bound
the part of ``order`` to work on, ``high`` excluded.

Source: introsort and introselect, Musser, Introspective sorting and selection algorithms,
Software: Practice and Experience 27 (1997); heaps, Williams, Algorithm 232 (1964); with the
medians, thresholds and directions of libstdc++ as PyTorch's results show them.
"""

import numpy as np

__all__ = ["SMALL", "first", "kth", "largest", "order", "settle", "topk"]

SMALL = 16  # parts up to this size are left to one insertion sort
LARGE = 256  # parts from this size on are split with arrays


def largest(rows, count):
    """(R, N) array → (R, count) positions of each row's largest, as ``torch.topk`` orders them."""
    by_size = np.argsort(-rows, axis=1, kind="stable")  # nan sorts to the end
    found = by_size[:, :count]
    settle(rows, found, by_size[:, count : count + 1], True)
    return found


def settle(rows, found, following, most):
    """Put equals among the positions ``found`` of a (R, N) array's largest in PyTorch's order.

    ``following`` is the position of the next in size, or has no columns; with ``most`` False the
    positions are of the smallest.
    """
    at = np.concatenate([found, following], axis=1)
    border = np.take_along_axis(rows, at, 1)
    unclear = (border[:, 1:] == border[:, :-1]).any(axis=1)
    if rows.dtype.kind == "f":
        unclear |= np.isnan(border[:, -1] if not most else rows.max(axis=1, initial=0))
    for i in np.flatnonzero(unclear):
        found[i] = topk(_ranks(rows[i], most), found.shape[1])


def order(row, descending):
    """The positions that sort a row, as ``torch.sort`` orders them where it need not be stable."""
    key = _ranks(row, descending)
    found = list(range(len(key)))
    _sort(found, key, 0, len(key))
    return found


def kth(row, k):
    """The position of the k-th smallest of a row (k from 0), as ``torch.kthvalue`` finds it."""
    key = _ranks(row, False)
    order = list(range(len(key)))
    _quick_select(order, key, k)
    return order[k]


def first(size):
    """The position of the smallest of ``size`` equals, as ``torch.nanmedian`` finds it of nans."""
    order = list(range(size))
    _select(order, [0] * size, 0)
    return order[0]


def _ranks(row, most):
    """Whole numbers in the order of ``row``, or in the opposite one; nan is largest."""
    rank = np.unique(row, return_inverse=True)[1]
    return (-rank if most else rank).tolist()


def topk(key, count):
    """Positions of the ``count`` smallest keys, sorted."""
    if not count:
        return []
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
    # What is left is one insertion sort of the whole, which keeps equals as they are: any stable
    # sort gives the same.
    order[low:high] = sorted(order[low:high], key=key.__getitem__)


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
    if high - low > LARGE:
        return _exchange(order, key, low + 1, high, pivot)
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


def _exchange(order, key, low, high, pivot):
    """What the loop of ``_partition`` does, with arrays.

    Its left end stops at each element that is not below the pivot and its right end at each that
    is not above; stops of the same number change places until the ends meet.
    """
    part = np.array(order[low:high])
    keys = np.array([key[i] for i in order[low:high]])
    left = np.flatnonzero(keys >= pivot)
    right = np.flatnonzero(keys <= pivot)[::-1]
    n = min(len(left), len(right))
    count = np.count_nonzero(left[:n] < right[:n])
    a, b = left[:count], right[:count]
    part[a], part[b] = part[b], part[a]
    order[low:high] = part.tolist()
    # Beyond its last stop the left end comes to the last element put to the right.
    ends = [*left[count : count + 1], *right[count - 1 : count]] if count else left[:1]
    return low + int(min(ends))


def _quick_select(order, key, k):
    """Bring the k-th smallest to its place, the way of ``kthvalue``."""
    low, high = 0, len(order) - 1

    def put_in_order(a, b):
        if key[order[a]] > key[order[b]]:
            order[a], order[b] = order[b], order[a]

    while high > low:
        if high == low + 1:
            put_in_order(low, high)
            return
        middle = low + (high - low) // 2
        order[middle], order[low + 1] = order[low + 1], order[middle]
        put_in_order(low + 1, high)
        put_in_order(low, high)
        put_in_order(low + 1, low)
        pivot = key[order[low]]
        left, right = low + 1, high
        while True:
            left += 1
            while key[order[left]] < pivot:
                left += 1
            right -= 1
            while pivot < key[order[right]]:
                right -= 1
            if right < left:
                break
            order[left], order[right] = order[right], order[left]
        order[low], order[right] = order[right], order[low]
        if right <= k:
            low = left
        if right >= k:
            high = right - 1


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
