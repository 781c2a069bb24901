"""The order in which PyTorch visits the elements of a strided array.

Random functions write one number after another. In an array that is not contiguous, the order of
the visits therefore decides which element gets which number. PyTorch visits the elements along
memory, not along the indices: it sorts the dims by their strides, with its own rules for ties.

Source: the observable behaviour of ``torch.empty_strided(...).random_()``; the order is that
of ATen's TensorIterator and of ``empty_like`` with ``torch.preserve_format``.
"""

from functools import lru_cache
from math import prod
from operator import gt

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.backend.sizes import large_from
from rushlight.storage import contiguous_strides

__all__ = [
    "by_columns", "channels_order", "converted_strides", "copied", "dense_strides", "empty_like",
    "fill", "in_order", "is_dense", "is_odd", "kept_strides", "laid", "made_like", "ordered_like",
    "overlaps", "preserved", "result_order", "result_strides", "visit_order", "visited",
]  # fmt: skip


def visit_order(shape, *operands):
    """Return the dims from the slowest to the fastest, as PyTorch visits them.

    ``operands``: the strides of each operand. The first operand decides. The next operand decides
    only between dims that the first operand does not order (an expanded dim has stride 0).

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
    """Compare two dims: positive if they must change places, negative if not, 0 if undecided."""
    for strides in operands:
        a, b = strides[inner], strides[outer]
        if a == 0 or b == 0:
            continue  # an expanded dim fits anywhere
        if a != b:
            return a - b
        if shape[inner] > shape[outer]:
            return 1
    return 0


def dense_strides(shape, order, step=1):
    """Return the strides of a block without gaps whose dims lie in memory in ``order``.

    ``order`` lists the dims from the slowest to the fastest; ``step`` is the fastest dim's stride.

    >>> dense_strides((2, 3), [1, 0])
    (1, 2)
    """
    strides = [0] * len(shape)
    for d in reversed(order):
        strides[d] = step
        step *= max(shape[d], 1)
    return tuple(strides)


def result_strides(step, operands, like=False):
    """Return the strides, in elements, of the result of an elementwise operation.

    ``operands``: the (shape, strides) of each operand; the strides count bytes, and all operands
    have the itemsize ``step``. ``like``: the result gets the layout of ``empty_like`` of the first
    operand if the first operand has the result's shape.

    Source: ATen's ``TensorIteratorBase``. ``fast_set_up`` applies if all operands have the same
    layout. Otherwise ``reorder_dimensions`` applies; it also reads the strides of dims of size 1.

    >>> result_strides(8, [((2, 3), (8, 16)), ((2, 3), (24, 8))])
    (1, 2)
    """
    shape = np.broadcast_shapes(*[own for own, _ in operands])
    first, strides = operands[0]
    if like and first == shape:
        return kept_strides(shape, strides, step, 1)
    if all(own == shape for own, _ in operands):
        for order in [range(len(shape)), *([(0, 2, 3, 1)] if len(shape) == 4 else [])]:
            wanted = dense_strides(shape, order)
            if all(_lies(shape, own, wanted, step) for _, own in operands):
                return wanted
        if all(own == strides for _, own in operands) and is_dense(shape, strides, step):
            return tuple([s // step for s in strides])
    return dense_strides(shape, visit_order(shape, *_spread(shape, operands)))


def _spread(shape, operands):
    """Yield the strides of each operand broadcast to ``shape``; a repeated dim has stride 0."""
    for own, strides in operands:
        lead = len(shape) - len(own)
        repeated = [n == 1 and shape[lead + d] != 1 for d, n in enumerate(own)]
        yield (0,) * lead + tuple([0 if r else s for r, s in zip(repeated, strides, strict=True)])


def _lies(shape, strides, wanted, step):
    """True if ``strides`` (bytes) equal ``wanted`` (elements) in all dims of size other than 1."""
    return all(n == 1 or s == w * step for n, s, w in zip(shape, strides, wanted, strict=True))


def is_dense(shape, strides, step):
    """True if the elements fill a block of memory without gaps, in any order of the dims."""
    for stride, n in sorted([(s, n) for n, s in zip(shape, strides, strict=True) if n != 1]):
        if stride != step:
            return False
        step *= n
    return True


@lru_cache(4096)
def result_order(step, *operands, like=False, others=False):
    """Find the order in memory of the dims of an elementwise result, as ``visited`` needs it.

    Returns None if NumPy gives the result the same layout by itself. Otherwise returns the order,
    its inverse, and the strides in elements. The strides are None if no dim has size 1, because
    they then follow from the order.

    ``operands``: the shape and the strides of the first operand, then of the second, and so on.
    ``like``: the parameter of ``result_strides``. ``others``: NumPy also gets operands that are
    not in ``operands``.
    """
    pairs = list(zip(operands[::2], operands[1::2], strict=True))
    tensors = [own for own in pairs if own[0]]
    if not others and len(set(tensors)) == 1 and _is_clear(*tensors[0]):
        return None
    shape = np.broadcast_shapes(*operands[::2])
    strides = result_strides(step, pairs, like)
    plain = strides == contiguous_strides(shape) and all(_descends(*own) for own in tensors)
    if plain and not others:
        return None
    order = sorted(range(len(shape)), key=lambda d: -strides[d])
    return order, np.argsort(order).tolist(), strides if 1 in shape else None


def _descends(shape, strides):
    """True if the elements lie in memory in the order of the dims; gaps are allowed."""
    steps = [s for n, s in zip(shape, strides, strict=True) if n != 1]
    return all(map(gt, steps, [*steps[1:], 0]))


def _is_clear(shape, strides):
    """True if all strides are positive and different, and no dim has size 1."""
    return min(strides) > 0 and len(set(strides)) == len(strides) and 1 not in shape


def visited(forward, arrays, found):
    """Call the elementwise ``forward(*arrays)`` and lay the result in memory as PyTorch does.

    ``found`` is the layout that ``result_order`` returned.
    """
    order, back, strides = found
    turned = []
    for a in arrays:
        if type(a) is ndarray and a.ndim:
            if a.ndim < len(order):
                a = a.reshape((1,) * (len(order) - a.ndim) + a.shape)
            a = a.transpose(order)
        turned.append(a)
    result = forward(*turned)
    if result.ndim != len(order):  # ``forward`` also reduced dims
        return result
    result = result if result.flags.c_contiguous else result.copy()
    if strides is None:
        return result.transpose(back)
    shape, step = result.shape, result.itemsize
    return ndarray([shape[d] for d in back], result.dtype, result, 0, [s * step for s in strides])


# Copies --------------------------------------------------------------------------------------

LARGE = large_from(1 << 16)  # elements from which on a matrix is turned tile by tile
_TILE = 64  # rows of a tile: so many lines of the cache are written in turn
_SHORT, _MANY = 4, large_from(2048)  # elements of a row, and of an array of short rows


def _has_short_rows(array):
    """Whether an array has many rows of few elements that do not lie side by side."""
    return (
        array.size >= _MANY
        and array.ndim > 1
        and 1 < array.shape[-1] <= _SHORT
        and array.strides[-1] != array.itemsize
    )


def copied(array, out=None):
    """Copy ``array`` to ``out``, by default to a new array in the order of the dims.

    NumPy copies a turned matrix column by column, so that each line of the cache is read or written
    many times. A kernel turns squares. Without a kernel some rows are read at a time, and their
    columns stay in the cache.
    """
    out = np.empty(array.shape, array.dtype) if out is None else out
    if _has_short_rows(array) and out.flags.c_contiguous:
        # NumPy's inner loop would be over a row.
        for i in range(array.shape[-1]):
            out[..., i] = array[..., i]
    elif array.ndim < 2 or array.size < LARGE:
        out[...] = array
    elif not out.flags.c_contiguous:
        order = sorted(range(out.ndim), key=lambda d: -out.strides[d])
        dense = out.transpose(order)
        if dense.flags.c_contiguous:
            copied(array.transpose(order), dense)
        else:
            out[...] = array
    elif array.flags.c_contiguous:
        out[...] = array
    elif late.turned(out, array):
        pass
    elif array.ndim > 2 and prod(array.shape[-2:]) >= LARGE:
        for part, into in zip(array, out, strict=True):
            copied(part, into)
    elif array.ndim == 2 and abs(array.strides[0]) < abs(array.strides[1]):
        for i in range(0, array.shape[1], _TILE):
            out[:, i : i + _TILE] = array[:, i : i + _TILE]
    else:
        out[...] = array
    return out


# Dims of size 1 -----------------------------------------------------------------------------

_block = lru_cache(4096)(contiguous_strides)


def is_odd(array):
    """True if an array has a dim of size 1 and its strides are not those of a contiguous block."""
    return 1 in array.shape and array.strides != _block(array.shape, array.itemsize)


def in_order(array):
    """Return ``array`` if it has PyTorch's contiguous strides, else a view or copy that has them.

    NumPy gives a reduced dim (size 1) a stride as if the dim were not there. PyTorch computes the
    stride from the sizes of the dims that follow.
    """
    if not array.flags.c_contiguous:
        return array.copy() if array.size < LARGE else copied(array)
    shape = array.shape
    if 1 in shape:
        wanted = _block(shape, array.itemsize)
        if array.strides != wanted and array.size:
            return ndarray(shape, array.dtype, array, 0, wanted)
    return array


def converted_strides(array, dtype):
    """Return the strides that a copy of ``array`` in ``dtype`` has, in bytes.

    The copy keeps the order of the dims in memory.
    """
    dtype = np.dtype(dtype)
    if array.dtype == dtype:
        return array.strides
    return kept_strides(array.shape, array.strides, array.itemsize, dtype.itemsize)


@lru_cache(4096)
def kept_strides(shape, strides, step, new_step):
    """Return the strides, in bytes, of a copy that keeps the order of the dims in memory.

    The elements have ``step`` bytes in the array and ``new_step`` bytes in the copy.

    Source: ATen's ``empty_like`` with ``torch.preserve_format``.
    """
    if is_dense(shape, strides, step):
        return tuple([s // step * new_step for s in strides])
    return dense_strides(shape, visit_order(shape, strides), new_step)


# Images -------------------------------------------------------------------------------------


def channels_order(arrays, lines=(), by_contents=False):
    """Return the order of ``channels_last``'s dims if one of the arrays has that layout, else None.

    ``lines``: the indices of the arrays that count as images of height 1 if they have three dims.
    Of these, every array but the last counts only if it is contiguous, because PyTorch makes a
    signal contiguous before it convolves the signal.
    ``by_contents``: dims of size 1, which have any stride, count only where the others leave open
    which of the layouts the first array has.

    Source: ATen's ``suggest_memory_format``; its ``suggest_memory_format_contig`` by contents.
    """
    if by_contents:
        x = arrays[0]
        if x.strides == _block(x.shape, x.dtype.itemsize):
            return None
        for order in (None, (0, *range(2, x.ndim), 1)):
            wanted = dense_strides(x.shape, order or range(x.ndim))
            if _lies(x.shape, x.strides, wanted, x.dtype.itemsize):
                return order if x.ndim in (4, 5) else None
    for i, x in enumerate(arrays):
        shape, strides = x.shape, x.strides
        if len(shape) != len(arrays[0].shape):  # one image without a batch
            return None
        if len(shape) == 3:
            if i not in lines:
                continue
            plain = _block(shape, x.dtype.itemsize)
            if i < len(arrays) - 1 and not _lies(shape, strides, plain, 1):
                continue
            shape = (*shape[:2], 1, shape[2])
            strides = (*strides[:2], x.shape[2] * strides[2], strides[2])
        # Several arrays of five dims are a convolution of volumes. Its layout is not imitated,
        # because PyTorch takes the layout of whichever of its libraries is the fastest.
        images = len(shape) == 4 or (len(shape) == 5 and len(arrays) == 1)
        if images and strides[1] <= strides[-1] and _is_channels_last(shape, strides):
            return (0, *range(2, len(x.shape)), 1)
    return None


def _is_channels_last(shape, strides):
    """True if the strides are those of channels_last: each dim steps over the whole next dim.

    The order of the dims is channels (fastest), the spatial dims from the last to the first, batch.
    The strides of dims of size 1 are checked, too.
    """
    if 0 in shape or strides[1] == 0:
        return False
    reach = 0
    for d in (1, *range(len(shape) - 1, 1, -1), 0):
        if strides[d] < reach or (d == 0 and reach == strides[1]):
            return False
        reach = strides[d] * shape[d]
    return True


def laid(array, order):
    """Return a copy of ``array`` with its dims in memory in ``order``, the slowest first."""
    inverse = [0] * len(order)
    for place, d in enumerate(order):
        inverse[d] = place
    out = np.empty([array.shape[d] for d in order], array.dtype).transpose(inverse)
    return copied(array, out)


def by_columns(array):
    """Return ``array``, or a copy whose matrices (last two dims) lie column by column in memory.

    An array that is empty or has fewer than two dims is returned as it is.
    """
    if array.ndim < 2 or not array.size:
        return array
    if array.swapaxes(-1, -2).flags.c_contiguous and 1 not in array.shape:
        return array
    *lead, rows, columns = array.shape
    out = np.empty_like(array, order="C", shape=(*lead, columns, rows)).swapaxes(-1, -2)
    if array.size >= LARGE:
        return copied(array, out)
    out[...] = array
    return out


def overlaps(array):
    """True if elements of ``array`` may share a place in memory.

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
    """Return an uninitialised dense array with the shape and the order of dims of ``array``."""
    dtype = np.dtype(dtype or array.dtype)
    if not array.size or (array.flags.c_contiguous and 1 not in array.shape):
        found = np.empty(array.shape, dtype)
    else:
        strides = kept_strides(array.shape, array.strides, array.itemsize, dtype.itemsize)
        found = ndarray(array.shape, dtype, None, 0, strides)
    if type(array) is ndarray or not hasattr(array, "noted"):
        return found
    return array.noted(found)  # a call that will be replayed


def made_like(array, shape, value=None):
    """A new array in C order with the dtype of ``array``, filled with ``value`` unless it is None.

    Unlike ``np.empty`` it is noted if ``array`` is that of a call that will be replayed.
    """
    found = np.empty_like(array, order="C", shape=shape)
    if value is not None:
        found[...] = value
    return found


def preserved(array, dtype=None):
    """A dense copy of ``array`` whose dims lie in memory in the same order.

    NumPy's copies with order "K" put expanded dims (stride 0) last in memory. PyTorch leaves them
    where they are.
    """
    if array.flags.c_contiguous and 1 not in array.shape:
        return late.cast(array, dtype or array.dtype)
    return ordered_like(array, array, dtype)


def ordered_like(values, array, dtype=None):
    """Return ``values``, copied if necessary, with its dims in memory in ``array``'s order."""
    plain = array.flags.c_contiguous and 1 not in array.shape
    if plain and dtype is None and values.flags.c_contiguous:
        return values
    out = empty_like(array, dtype or values.dtype)
    late.cast_into(out, values)
    return out
