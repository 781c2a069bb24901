"""Sort rows or select their k smallest elements, with equal elements in PyTorch's order.

``sort``, ``topk``, ``kthvalue`` and ``multinomial`` promise no order among equal elements. Their
results have an order all the same: that of libstdc++'s algorithms, which are not stable. Rows in
half precision and rows with zeros hold many equal elements. So the results match PyTorch's only
if the functions here make the same comparisons and the same moves.

In this file ``order`` is a list of positions in a row, and ``key[position]`` is the number by which
the element there is sorted, smallest first. The functions work on ``order[low:high]``.

Source: introsort and introselect, Musser, Introspective sorting and selection algorithms,
Software: Practice and Experience 27 (1997); heaps, Williams, Algorithm 232 (1964); with the
medians, thresholds and directions of libstdc++ as PyTorch's results show them.
"""

import numpy as np

__all__ = ["SMALL", "first", "kth", "largest", "order", "settle", "topk"]

SMALL = 16  # parts of up to this many elements are left to one final insertion sort
LARGE = 256  # parts of more elements than this are split with NumPy arrays


def largest(rows, count):
    """Return the positions (R, count) of each row's largest elements in ``torch.topk``'s order.

    ``rows`` is an array of shape (R, N).
    """
    if type(rows) is np.ndarray:
        by_size = np.stack([_smallest(-row, count + 1) for row in rows])
    else:  # a call that will be replayed
        by_size = (-rows).argsort(axis=1, kind="stable")[:, : count + 1]
    found = by_size[:, :count]
    settle(rows, found, by_size[:, count : count + 1], True)
    return found


def _smallest(row, count):
    """The positions of the ``count`` smallest elements, equal ones by position; nan comes last.

    If the row is much longer, only elements up to the last of them are sorted.
    """
    if count * 8 <= len(row):
        last = np.partition(row, count - 1)[count - 1]
        if last == last:
            places = np.flatnonzero(row <= last)
            return places[np.argsort(row[places], kind="stable")[:count]]
    return np.argsort(row, kind="stable")[:count]


def settle(rows, found, following, most):
    """Correct ``found`` in place so that equal elements have PyTorch's order.

    ``found`` holds the positions of each row's largest elements, or of its smallest elements if
    ``most`` is False. ``following`` (R, 1) holds the position of the next element in size. It
    shows whether an element outside ``found`` equals the last element inside. If there is no next
    element, ``following`` has the shape (R, 0).
    """
    at = np.concatenate([found, following], axis=1)
    border = np.take_along_axis(rows, at, 1)
    unclear = (border[:, 1:] == border[:, :-1]).any(axis=1)
    if rows.dtype.kind == "f":
        unclear |= np.isnan(
            border[:, -1] if not most else np.maximum.reduce(rows, axis=1, initial=0.0)
        )
    if type(rows) is not np.ndarray and not unclear.any():
        return
    for i in np.flatnonzero(unclear):
        found[i] = topk(_ranks(rows[i], most), found.shape[1])


def order(row, descending):
    """Return the positions that sort a row, in the order of ``torch.sort(stable=False)``."""
    key = _ranks(row, descending)
    found = list(range(len(key)))
    _sort(found, key, 0, len(key))
    return found


def kth(row, k):
    """Return the position of a row's k-th smallest element (k from 0), as ``torch.kthvalue``."""
    key = _ranks(row, False)
    order = list(range(len(key)))
    _quick_select(order, key, k)
    return order[k]


def first(size):
    """Return the position that ``torch.nanmedian`` reports in a row of ``size`` nans."""
    order = list(range(size))
    _select(order, [0] * size, 0)
    return order[0]


def _ranks(row, most):
    """Return an int for each element of ``row``, with the same order; nan counts as the largest.

    With ``most`` the order is reversed: the largest element gets the smallest int.
    """
    rank = np.unique(row, return_inverse=True)[1]
    return (-rank if most else rank).tolist()


def topk(key, count):
    """Return the positions of the ``count`` smallest keys, the smallest first."""
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
    """Move the nth smallest element to index ``nth`` and the smaller elements before it."""
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
    # libstdc++ now sorts the whole range by one insertion sort. Insertion sort is stable, so any
    # stable sort gives the same order.
    order[low:high] = sorted(order[low:high], key=key.__getitem__)


def _partition(order, key, low, high):
    """Split ``order[low:high]`` around the median of three; return the second part's start.

    The median is moved to ``low`` and serves as the pivot.
    """
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
    """Do with arrays what the loop of ``_partition`` does, and return the same cut.

    The left end of the loop stops at each element that is not below the pivot. The right end stops
    at each element that is not above the pivot. The n-th stops of both ends change places, until
    the ends meet.
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
    # The cut is where the left end stops next: at its next stop, or at the element that the last
    # exchange put to the right, if that element comes first.
    ends = [*left[count : count + 1], *right[count - 1 : count]] if count else left[:1]
    return low + int(min(ends))


def _quick_select(order, key, k):
    """Move the k-th smallest element to index ``k`` by the same moves as PyTorch's ``kthvalue``."""
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
    """Move the smallest elements of [low, high) into a max-heap at [low, middle)."""
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
    """Insert ``value`` at ``hole``: move larger children up to a leaf, then sift ``value`` up."""
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
