"""The order in which PyTorch visits the elements of a strided array.

Random functions write one number after another, so for an array that is not contiguous the
numbers depend on the order of the visits: along memory, not along the indices. PyTorch sorts
the dims by their strides, with rules of its own for ties.

Source: the observable behaviour of ``torch.empty_strided(...).random_()``; the order is that
of ATen's TensorIterator and of ``empty_like`` with ``torch.preserve_format``.
"""

from functools import lru_cache
from operator import gt

import numpy as np

__all__ = [
    "channels_order", "converted_strides", "empty_like", "fill", "laid", "operand_order",
    "ordered_like", "overlaps", "preserved", "result_order", "visit_order", "visited",
]  # fmt: skip


def visit_order(shape, *operands):
    """The dims from the slowest to the fastest, as PyTorch visits them.

    ``operands``: the strides of each operand. The first operand decides, and the next one only
    between dims of which the first has no opinion.

    >>> visit_order((4, 3), (8, 32))
    [1, 0]
    >>> visit_order((4, 3), (0, 0), (8, 32))
    [1, 0]
    """
    order = list(range(len(shape) - 1, -1, -1))  # fastest first, as in a contiguous array
    for i in range(1, len(order)):
        at = i
        for j in range(i - 1, -1, -1):
            sign = _compared(shape, operands, order[j], order[at])
            if sign < 0:
                break
            if sign > 0:
                order[j], order[at] = order[at], order[j]
                at = j
    return order[::-1]


def _compared(shape, operands, inner, outer):
    """Positive if the two dims must change places, negative if they must not, else 0."""
    for strides in operands:
        a, b = strides[inner], strides[outer]
        if a == 0 or b == 0:
            continue  # an expanded dim fits anywhere
        if a != b:
            return a - b
        if shape[inner] > shape[outer]:
            return 1
    return 0


def operand_order(*operands):
    """The dims of an elementwise result from the slowest to the fastest, as PyTorch lays it.

    ``operands``: the (shape, strides) of each operand.

    >>> operand_order(((2, 3), (8, 16)), ((2, 3), (24, 8)))
    [1, 0]
    """
    shape = np.broadcast_shapes(*[own for own, _ in operands])
    spread = []
    for own, strides in operands:
        lead = len(shape) - len(own)
        repeated = [n == 1 and shape[lead + d] != 1 for d, n in enumerate(own)]
        own_strides = [0 if r else s for r, s in zip(repeated, strides, strict=True)]
        spread.append([0] * lead + own_strides)
    return visit_order(shape, *spread)


@lru_cache(4096)
def result_order(*operands):
    """As ``operand_order``, and its inverse; None where NumPy lays a result of these likewise.

    ``operands``: the shape and the strides of the first operand, then of the second, and so on.
    """
    pairs = [(n, s) for n, s in zip(operands[::2], operands[1::2], strict=True) if n]
    if all(_descends(*own) for own in pairs):
        return None
    if len(set(pairs)) == 1 and _is_clear(pairs[0][1]):
        return None
    order = operand_order(*pairs)
    return tuple(order), tuple(np.argsort(order).tolist())


def _descends(shape, strides):
    """Whether the elements lie in the order of the dims, gaps allowed."""
    steps = [s for n, s in zip(shape, strides, strict=True) if n != 1]
    return all(map(gt, steps, [*steps[1:], 0]))


def _is_clear(strides):
    """Whether the strides alone tell the order of the dims."""
    return min(strides) > 0 and len(set(strides)) == len(strides)


def visited(forward, arrays, found):
    """``forward(*arrays)``, elementwise, with its dims in memory as ``result_order`` found."""
    order, back = found
    turned = []
    for a in arrays:
        if type(a) is np.ndarray and a.ndim:
            if a.ndim < len(order):
                a = a.reshape((1,) * (len(order) - a.ndim) + a.shape)
            a = a.transpose(order)
        turned.append(a)
    result = forward(*turned)
    if result.ndim != len(order):  # it was reduced
        return result
    return (result if result.flags.c_contiguous else result.copy()).transpose(back)


def converted_strides(array, dtype):
    """The strides of ``array`` in another dtype: of a dense copy, its dims in the same order."""
    if array.dtype == dtype:
        return array.strides
    found, step = [0] * array.ndim, array.itemsize
    for d in reversed(visit_order(array.shape, array.strides)):
        found[d] = step
        step *= max(array.shape[d], 1)
    return tuple(found)


def channels_order(arrays, lines=False):
    """The order of the dims in memory of ``channels_last`` if one of the arrays lies so, else None.

    ``lines``: arrays of three dims count as images of height 1.

    Source: ATen's ``suggest_memory_format``.
    """
    for x in arrays:
        shape, strides = x.shape, x.strides
        if len(shape) != len(arrays[0].shape):  # one image without a batch
            return None
        if lines and len(shape) == 3:
            shape = (*shape[:2], 1, shape[2])
            strides = (*strides[:2], x.shape[2] * strides[2], strides[2])
        # PyTorch lays a convolution of volumes as the fastest of its libraries does.
        images = len(shape) == 4 or (len(shape) == 5 and len(arrays) == 1)
        if images and strides[1] <= strides[-1] and _is_channels_last(shape, strides):
            return (0, *range(2, len(x.shape)), 1)
    return None


def _is_channels_last(shape, strides):
    """Whether each dim steps over the whole of the next one; dims of size 1 tell as well."""
    if 0 in shape or strides[1] == 0:
        return False
    reach = 0
    for d in (1, *range(len(shape) - 1, 1, -1), 0):
        if strides[d] < reach or (d == 0 and reach == strides[1]):
            return False
        reach = strides[d] * shape[d]
    return True


def laid(array, order):
    """``array``, or a copy of it, with its dims in memory in ``order``."""
    out = np.empty([array.shape[d] for d in order], array.dtype).transpose(np.argsort(order))
    out[...] = array
    return out


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
