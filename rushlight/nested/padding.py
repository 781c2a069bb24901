"""Nested tensors as padded dense tensors, and back; their single sequences."""

import math

import numpy as np

import rushlight
from rushlight.device_array import placed
from rushlight.errors import LayoutError
from rushlight.nested.jagged import NestedTensor, jagged, rule
from rushlight.nested.ragged import Ragged
from rushlight.remote import device_of
from rushlight.tensor import from_array

__all__ = ["from_padded", "padded"]


def padded(x, padding, longest=None):
    """Return ``x`` as a dense tensor (B, …, longest, …), filled with ``padding``.

    Without ``longest`` all elements fit. Otherwise sequences are cut there.
    """
    pattern, r = x.pattern, x.ragged
    which, place, at = pattern.positions()
    if longest is None:
        longest = pattern.max
        if len(place) and place.max() >= longest:
            raise RuntimeError(
                f"to_padded_tensor: max_seqlen={longest} is less than the length "
                f"{place.max() + 1} of a sequence"
            )
    else:
        keep = place < longest
        which, place, at = which[keep], place[keep], at[keep]
    values = x.stored.movedim(r - 1, 0) if r > 1 else x.stored
    if len(at) != values.shape[0] or not np.array_equal(at, np.arange(len(at))):
        values = values.index_select(0, _places(at, values))
    rows = _places(which * longest + place, values)
    base = values.new_full((len(pattern) * longest, *values.shape[1:]), padding)
    found = base.index_copy_(0, rows, values).unflatten(0, (len(pattern), longest))
    return found.movedim(1, r) if r > 1 else found


def _places(at, x):
    """The indices ``at`` as a tensor where ``x`` lies."""
    return from_array(placed(at, device_of(x)))


def from_padded(y, pattern, ragged, total):
    """Return the values of a jagged tensor: the elements of ``y`` (B, …, n, …) without padding.

    ``total`` is the size of the values at the ragged dim. Gaps between sequences become 0.
    """
    which, place, at = pattern.positions()
    y = y.movedim(ragged, 1) if ragged > 1 else y
    found = y.flatten(0, 1).index_select(0, _places(which * y.shape[1] + place, y))
    if not pattern.is_whole(total):
        base = found.new_zeros((total, *found.shape[1:]))
        found = base.index_copy_(0, _places(at, found), found)
    return found.movedim(0, ragged - 1) if ragged > 1 else found


@rule
def to_padded_tensor(input, padding, output_size=None):
    if input.pattern.lengths is not None:
        raise LayoutError("to_padded_tensor(): not supported for nested tensors with holes")
    longest = None
    if output_size is not None:
        size = tuple(output_size)
        expected = [n for k, n in enumerate(input.sizes) if k != input.ragged]
        if (
            len(size) != input.ndim
            or [n for k, n in enumerate(size) if k != input.ragged] != expected
        ):
            raise RuntimeError(
                f"to_padded_tensor: output_size {size} does not fit the shape {input.sizes}; only "
                "the ragged dim may have another size"
            )
        longest = size[input.ragged]
    if isinstance(padding, bool) or not isinstance(padding, (int, float, complex)):
        padding = padding.item() if hasattr(padding, "item") else padding
    if not input.dtype.is_floating_point and isinstance(padding, float):
        padding = _whole(padding, input.dtype)
    return padded(input, padding, longest)


def _whole(padding, dtype):
    if math.isfinite(padding):
        return int(padding)
    raise RuntimeError(f"to_padded_tensor: the padding {padding} is no {dtype}")


@rule
def unbind(input, dim=0):
    if dim not in (0, -input.ndim):
        raise LayoutError("unbind(): only supported for NestedTensor on dim=0")
    pattern, axis, values = input.pattern, input.ragged - 1, input.values()
    counts = [int(n) for n in pattern.counts]
    total = values.shape[axis]
    if pattern.is_whole(total):
        return values.split(counts, axis) if counts else ()
    starts = [int(n) for n in pattern.starts]
    for start, n in zip(starts, counts, strict=True):
        if start < 0 or n < 0 or start + n > total:
            raise RuntimeError(
                "unbind(): nested tensor offsets and lengths do not match ragged_idx dimension: a "
                f"sequence of length {n} begins at {start}, but the values have {total} there"
            )
    pairs = zip(starts, counts, strict=True)
    return tuple([values.narrow(axis, start, n) for start, n in pairs])


@rule
def masked_select(input, mask):
    if not isinstance(input, NestedTensor) or not isinstance(mask, NestedTensor):
        raise RuntimeError("masked_select: input and mask must both be nested tensors")
    if input.ndim > 2:
        raise LayoutError("masked_select only support 2-D selections currently")
    if input.sizes != mask.sizes:
        raise RuntimeError(
            f"Mask with shape {mask.sizes} is not compatible with input's shape {input.sizes}"
        )
    pairs = list(zip(input.unbind(), mask.unbind(), strict=True))
    counts = [m.sum().item() for _, m in pairs]
    values = rushlight.cat([v.masked_select(m) for v, m in pairs])
    return jagged(values, Ragged.of_lengths(counts))
