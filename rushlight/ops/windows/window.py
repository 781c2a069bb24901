"""Windows that slide over an image: their geometry, and what each of their elements meets."""

import itertools
from typing import NamedTuple

import numpy as np

__all__ = ["Windows", "inside", "offsets", "output_size", "padded", "per_dim", "spaced", "span"]


class Windows(NamedTuple):
    """Where windows lie: their size, their step and how many there are, for each dim."""

    kernel_size: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    places: tuple

    def reach(self, size):
        """The size of a padded image of ``size`` in which every window lies."""
        ends = [
            (o - 1) * step + s
            for o, step, s in zip(
                self.places, self.stride, span(self.kernel_size, self.dilation), strict=True
            )
        ]
        padded_size = [n + p for n, p in zip(size, self.padding, strict=True)]
        return tuple(map(max, ends, padded_size))


def per_dim(value, ndim, name, what):
    """``value`` for each of ``ndim`` dims: from one int, or a sequence of one or ``ndim`` ints."""
    try:
        if isinstance(value, (tuple, list)):
            found = tuple([n.__index__() for n in value])
        else:
            found = (value.__index__(),)
    except AttributeError:
        raise TypeError(
            f"{name}(): argument '{what}' must be an int or a tuple of {ndim} ints, not {value!r}"
        ) from None
    if len(found) == 1:
        return found * ndim
    if len(found) != ndim:
        raise RuntimeError(
            f"{name}: expected {what} to be a single integer value or a list of {ndim} values to "
            f"match the {ndim} dims, but got {what}={list(found)}"
        )
    return found


def span(kernel, dilation):
    """What a window covers in each dim, from its first element to its last."""
    return tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)])


def output_size(size, kernel, stride, padding, dilation):
    """How many whole windows fit into each dim."""
    return tuple([
        (n + 2 * p - s) // step + 1
        for n, s, step, p in zip(size, span(kernel, dilation), stride, padding, strict=True)
    ])  # fmt: skip


def padded(x, padding, value=0):
    """``x`` with ``padding`` elements of ``value`` on both sides of its last dims."""
    if not any(padding):
        return x
    lead = x.shape[: x.ndim - len(padding)]
    size = x.shape[x.ndim - len(padding) :]
    out = np.full((*lead, *[n + 2 * p for n, p in zip(size, padding, strict=True)]), value, x.dtype)
    inside(out, padding, size)[...] = x
    return out


def inside(x, padding, size):
    """The view of ``x`` that its padding surrounds."""
    return x[(..., *[slice(p, p + n) for p, n in zip(padding, size, strict=True)])]


def spaced(x, dim, start, step, count):
    """``count`` elements of ``dim``, ``step`` apart, from ``start``."""
    end = start + step * (count - 1) + 1
    return x[(*[slice(None)] * dim, slice(start, end, step))]


def offsets(kernel, stride, dilation, out):
    """(position in the kernel, slices of the places that it meets) for each element of a window."""
    for at in itertools.product(*map(range, kernel)):
        yield at, tuple([
            slice(k * d, k * d + step * (n - 1) + 1, step)
            for k, d, step, n in zip(at, dilation, stride, out, strict=True)
        ])  # fmt: skip
