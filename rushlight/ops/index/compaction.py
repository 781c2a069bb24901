"""The places that a mask marks, found by steps that many can take at the same time: for devices."""

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.device import CPU
from rushlight.dtype import bool as bool_
from rushlight.dtype import int64
from rushlight.ops.create.range import arange
from rushlight.ops.reduce.scan import cumsum_
from rushlight.ops.reduce.search import searchsorted
from rushlight.remote import device_of

__all__ = ["beside", "marked", "places_of", "spread", "without_masks"]


def marked(mask):
    """The places, in order, where a bool tensor (N,) is True; reads how many there are."""
    if not mask.numel():
        return arange(0)
    running = cumsum_(mask.to(int64), dim=0)
    return searchsorted(running, arange(1, running[-1].item() + 1))


def spread(counts):
    """0 ``counts[0]`` times, 1 ``counts[1]`` times, and so on; reads how many these are."""
    if not counts.numel():
        return arange(0)
    ends = cumsum_(counts.to(int64), dim=0)
    return searchsorted(ends, arange(ends[-1].item()), right=True)


def without_masks(dims, keys):
    """(dims, keys) with the places that the masks among the keys mark; None if there are none."""
    keys = [k for k in keys if k is not None]
    if not any(k.dtype is bool_ for k in keys):
        return None
    found: list = []
    for dim, key in zip(dims, keys, strict=True):
        parts = [key] if key.dtype is not bool_ else key.nonzero().unbind(1)
        found += [(dim + i, part) for i, part in enumerate(parts)]
    return tuple([d for d, _ in found]), [part for _, part in found]


def places_of(dims, keys):
    """(dims, keys) for a recording of ``vmap``, in which masks become the places that they mark.

    Masks that the batch has no part in have values there. Other masks are kept, and so are all
    masks elsewhere.
    """
    keys = [k for k in keys if k is not None]
    recording = mode.recorder() if mode.intercept else None
    if recording is None or not recording.batches:
        return dims, keys
    masks = [k for k in keys if k.dtype is bool_]
    if not masks or not all(isinstance(k._array, ndarray) for k in masks):
        return dims, keys
    with mode.suspended():
        return without_masks(dims, keys)


def beside(x, keys):
    """The index tensors ``keys`` on the device of ``x``.

    Raises:
        RuntimeError: an index is neither on the CPU nor on the device of ``x``.
    """
    if not mode.intercept:
        return keys
    recording = mode.recorder()
    if recording is not None and recording.batches:  # a sample of vmap is on no device
        return keys
    d = device_of(x)
    if any(device_of(k) not in (CPU, d) for k in keys):
        raise RuntimeError(
            f"indices should be either on cpu or on the same device as the indexed tensor ({d})"
        )
    return [k.to(d) for k in keys]
