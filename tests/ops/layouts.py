"""Inputs of every layout for every sample, and the strides that its results then have.

Values stay what the sample has, except where a dim is expanded: there its first slice is repeated.
"""

import warnings

import numpy as np

from tests.conformance import flat
from tests.samples import SAMPLES

__all__ = ["LAYOUTS", "cases", "laid_out", "outcome", "strides", "tensor"]


def _permuted(*order):
    """The array with its dims in memory in the given order; None where it has other dims."""

    def laid(a):
        if a.ndim != len(order):
            return None
        back = np.argsort(order)
        return np.ascontiguousarray(a.transpose(order)).transpose(back)

    return laid


def _turned(a):
    return np.asfortranarray(a) if a.ndim > 1 else None


def _swapped(a):
    """The last two dims change places in memory."""
    return np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2) if a.ndim > 2 else None


def _channels_last(a):
    """The second dim is the last in memory, as channels are in ``channels_last``."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) if a.ndim > 2 else None


def _sliced(a):
    """Every second element of a larger array along the last dim."""
    large = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    large[..., ::2] = a
    return large[..., ::2]


def _window(a):
    """The inside of a larger array."""
    large = np.zeros([n + 2 for n in a.shape], a.dtype)
    inside = large[tuple([slice(1, 1 + n) for n in a.shape])]
    inside[...] = a
    return inside


def _turned_window(a):
    return _window(a.T).T if a.ndim > 1 else None


def _expanded(a):
    """The first dim's first slice, repeated without memory."""
    return np.broadcast_to(a[:1], a.shape) if a.ndim > 1 and len(a) > 1 else None


#: How an array lies in memory, by name. A layout gives None for an array that it does not fit.
LAYOUTS = {
    "contiguous": lambda a: a,
    "turned": _turned,
    "swapped": _swapped,
    "channels_last": _channels_last,
    "rotated": lambda a: _permuted(1, 2, 0)(a) if a.ndim == 3 else None,
    "sliced": _sliced,
    "window": _window,
    "turned_window": _turned_window,
    "expanded": _expanded,
}


def laid_out(sample, layout, only=None):
    """The inputs of ``sample`` in the layout; None where that fits none of them."""
    found, fits = [], False
    for i, a in enumerate(sample.inputs):
        b = LAYOUTS[layout](a) if a.size and a.ndim and only in (None, i) else None
        fits = fits or b is not None
        found.append(a if b is None else b)
    return found if fits else None


def cases():
    """(key, sample, layout, the one input that has it or None) of every case."""
    for name, s in SAMPLES.items():
        for layout in LAYOUTS:
            yield f"{name}/{layout}", s, layout, None
            if len(s.inputs) > 1 and layout in ("turned", "channels_last", "expanded"):
                for i in range(len(s.inputs)):
                    yield f"{name}/{layout}/{i}", s, layout, i


def tensor(framework, a):
    """A tensor over a copy of the memory that the array is a window of."""
    owner = a if a.base is None else a.base
    owner = np.array(owner if isinstance(owner, np.ndarray) else a, order="K")
    if a.base is None:
        return framework.from_numpy(owner)
    first = a.__array_interface__["data"][0] - a.base.__array_interface__["data"][0]
    steps = [s // a.itemsize for s in a.strides]
    flat_owner = framework.from_numpy(owner.ravel(order="K"))
    return flat_owner.as_strided(a.shape, steps, first // a.itemsize)


def strides(t):
    """The strides of a result; those of an empty one mean nothing."""
    return list(t.stride()) if t.numel() else []


def outcome(framework, sample, layout, only=None, call=None):
    """The strides of each tensor of the result; "error" where the call raises.

    None where the layout fits none of the inputs.
    """
    inputs = laid_out(sample, layout, only)
    if inputs is None:
        return None
    given = [tensor(framework, a) for a in inputs]
    framework.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = flat((call or sample.call)(framework, *given))
        except Exception:
            return "error"
    return [strides(t) for t in found if hasattr(t, "stride")]
