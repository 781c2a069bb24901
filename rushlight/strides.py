"""The order in which PyTorch visits the elements of a strided array.

Random functions write one number after another, so for an array that is not contiguous the
numbers depend on the order of the visits: along memory, not along the indices. PyTorch sorts
the dims by their strides, with rules of its own for ties.

Source: the observable behaviour of ``torch.empty_strided(...).random_()``; the order is that
of ATen's TensorIterator and of ``empty_like`` with ``torch.preserve_format``.
"""

import numpy as np

__all__ = ["empty_like", "fill", "ordered_like", "overlaps", "preserved", "visit_order"]


def visit_order(shape, strides):
    """The dims from the slowest to the fastest, as PyTorch visits them.

    >>> visit_order((4, 3), (8, 32))
    [1, 0]
    """
    order = list(range(len(shape) - 1, -1, -1))  # fastest first, as in a contiguous array
    for i in range(1, len(order)):
        at = i
        for j in range(i - 1, -1, -1):
            inner, outer = order[j], order[at]
            a, b = strides[inner], strides[outer]
            if a == 0 or b == 0:
                continue  # an expanded dim fits anywhere: compare with the next one
            if a < b:
                break
            if a > b or shape[inner] > shape[outer]:
                order[j], order[at] = outer, inner
                at = j
    return order[::-1]


def overlaps(array):
    """Whether elements of ``array`` may share a place in memory.

    >>> overlaps(np.lib.stride_tricks.sliding_window_view(np.arange(4), 2))
    True
    """
    if array.flags.c_contiguous:
        return False
    reach = 0
    for stride, n in sorted(zip(map(abs, array.strides), array.shape, strict=True)):
        if n > 1:
            if stride <= reach or not stride:
                return True
            reach += stride * (n - 1)
    return False


def fill(out, values):
    """Write the 1-D ``values`` into ``out`` in PyTorch's order of visits; returns ``out``.

    Raises:
        RuntimeError: two elements of ``out`` share one place in memory (``expand``).
    """
    if out.flags.c_contiguous:
        out[...] = values.reshape(out.shape)
        return out
    for size, stride in zip(out.shape, out.strides, strict=True):
        if stride == 0 and size > 1:
            raise RuntimeError(
                f"cannot write into shape {out.shape} with strides {out.strides}: several elements "
                "share one place in memory; clone() the tensor first"
            )
    view = out.transpose(visit_order(out.shape, out.strides))
    view[...] = values.reshape(view.shape)
    return out


def empty_like(array, dtype=None):
    """An uninitialised dense array of ``array``'s shape, its dims in memory in the same order."""
    dtype = dtype or array.dtype
    if array.flags.c_contiguous:
        return np.empty(array.shape, dtype)
    order = visit_order(array.shape, array.strides)
    dense = np.empty([array.shape[d] for d in order], dtype)
    return dense.transpose(np.argsort(order))


def preserved(array, dtype=None):
    """A dense copy of ``array`` whose dims lie in memory in the same order.

    NumPy's own copies with order "K" put expanded dims last in memory, PyTorch leaves them first.
    """
    if array.flags.c_contiguous:
        return array.astype(dtype or array.dtype)
    return ordered_like(array, array, dtype)


def ordered_like(values, array, dtype=None):
    """``values`` with its dims in memory in the order of those of ``array``."""
    if array.flags.c_contiguous and values.flags.c_contiguous and dtype is None:
        return values
    out = empty_like(array, dtype or values.dtype)
    np.copyto(out, values, casting="unsafe")
    return out
