"""Max pooling with windows of unequal size (adaptive, fractional), and max unpooling.

The positions of the maxima are found first. Values are then picked at these positions, and
gradients are added there. A position is a flat index into the last ``n`` dims. Shapes:
x (…, *size), at and out (…, *places).
"""

from functools import lru_cache
from math import prod

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import watch
from rushlight.backend import native
from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.dispatch import apply, raw, refuse
from rushlight.ops.core.fast_path import plain
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.rules import is_array
from rushlight.ops.create.filled import zeros
from rushlight.ops.windows.avg_pool import COUNTED, places_of
from rushlight.ops.windows.max_pool import (
    as_input,
    maxima_and_positions,
    maxima_of,
    memo_for,
    rows_first,
)
from rushlight.ops.windows.maxima_places import flat, pick, pick_op, picked, spread
from rushlight.ops.windows.uneven_maxima import (
    best,
    best_by_loop,
    best_of_equal,
    best_of_table,
    elements,
    in_all,
    unpooled_by_loop,
)
from rushlight.ops.windows.window import Windows, per_dim
from rushlight.ops.windows.window_maxima import FEW, is_finite
from rushlight.tensor import Tensor, from_array

__all__ = [
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "fractional",
    "unpool",
]  # fmt: skip

#: Windows of up to so many elements are compared element by element, larger ones dim by dim.
_EACH = 16

# Positions --------------------------------------------------------------------------------


@lru_cache(64)
def _adaptive_table(size, places):
    """``elements`` of windows that cover ``size`` evenly, if it is small; else None."""
    longest = [-(-n // o) + 1 for n, o in zip(size, places, strict=True)]
    if prod(longest) * prod(places) > FEW:
        return None
    return elements(size, *_regions(size, places))


def _few_positions(x, places):
    """The positions of the maxima in windows that cover x evenly; None: many."""
    n = len(places)
    if type(x) is not np.ndarray:  # a call that will be replayed
        found = best_by_loop(x, *_regions(x.shape[x.ndim - n :], places))
        if found is not None:
            return found[0]
    table = _adaptive_table(x.shape[x.ndim - n :], places)
    if table is None or not 0 < prod(x.shape[:-n]) * table.size <= FEW:
        return None
    if is_finite(x):
        return best_of_table(x, table, places)
    return best(x, *_regions(x.shape[x.ndim - n :], places))


def _regions(size, places):
    """(starts, ends) of the windows of each dim: ``places`` windows that cover ``size`` evenly."""
    counts = [np.arange(o) for o in places]
    starts = [i * n // o for i, n, o in zip(counts, size, places, strict=True)]
    ends = [-(-(i + 1) * n // o) for i, n, o in zip(counts, size, places, strict=True)]
    return starts, ends


@kernel(public=False, method=False, name="adaptive_max_positions", widen=False, keeps_order=True,
        primitive="pooling positions")  # fmt: skip
def _adaptive_positions(xp, x, *, places):
    """The positions of the maxima of ``places`` windows that cover x evenly."""
    n = len(places)
    if 0 in places:
        return np.zeros((*x.shape[: x.ndim - n], *places), np.int64)
    if set(places) == {1} and x.dtype.kind == "f":
        rows = flat(x, n)
        at = rows.argmax(-1, keepdims=True)
        if not np.isnan(np.take_along_axis(rows, at, -1)).any():
            return as_input(at.reshape(*at.shape[:-1], *places), x, n)
    found = _few_positions(x, places)
    if found is None:
        edges = _regions(x.shape[x.ndim - n :], places)
        looped = best_by_loop(x, *edges)
        found = best(x, *edges) if looped is None else looped[0]
    return as_input(found, x, n)


@kernel(public=False, method=False, name="fractional_max_positions", widen=False)
def _fractional_positions(xp, x, samples, *, kernel_size, places):
    """The position of each window's maximum; ``samples`` (N, C, n) determine the windows' starts.

    Source: Graham 2014.
    """
    n = len(places)
    lead = x.shape[: x.ndim - n]
    if 0 in places:
        return np.zeros((*lead, *places), np.int64)
    samples = samples.reshape(*lead, n)
    # With two dims, the first sample belongs to the width, as in PyTorch.
    order = (1, 0) if n == 2 else (0, 1, 2)
    starts = [
        _steps(xp, samples[..., order[d]], x.shape[x.ndim - n + d] - kernel_size[d], places[d])
        for d in range(n)
    ]
    ends = [s + k for s, k in zip(starts, kernel_size, strict=True)]
    if (found := best_by_loop(x, starts, ends)) is not None:
        return found[0]
    if 0 < prod((*lead, *places, *kernel_size)) <= FEW and is_finite(x):
        return best_of_table(x, elements(x.shape[x.ndim - n :], starts, ends), places)
    if prod(kernel_size) <= _EACH:
        return best_of_equal(x, starts, kernel_size)
    return best(x, starts, ends)


def _steps(xp, sample, last, count):
    """Starts of ``count`` windows, from 0 to ``last``, for each random number in ``sample``."""
    out = xp.empty((*sample.shape, count), np.int64)
    if count > 1:
        alpha = sample.dtype.type(last) / sample.dtype.type(count - 1)
        at = np.arange(count - 1).astype(sample.dtype) + sample[..., None]
        out[..., :-1] = (at * alpha).astype(np.int64) - (sample * alpha).astype(np.int64)[..., None]
    out[..., -1] = last
    return out


_FRACTIONAL = {
    n: pick_op(f"fractional_max_pool{n}d", f"FractionalMaxPool{n}D", autocast=SINGLE)
    for n in (2, 3)
}

# Adaptive ---------------------------------------------------------------------------------


def _adaptive(xp, x, *, places, memo=None):
    """The maximum of each of ``places`` windows that cover x evenly.

    A list ``memo`` gets the positions of the maxima.
    """
    n = len(places)
    if 0 in places:
        return np.empty((*x.shape[: x.ndim - n], *places), x.dtype)
    if memo is not None:
        at = raw(_adaptive_positions.op, (x,), {"places": places})
        memo[:] = (at,)
        return picked(xp, x, at, n=n)
    if set(places) == {1}:
        return flat(x, n).max(-1).reshape(*x.shape[: x.ndim - n], *places)
    found = _few_positions(x, places)
    if found is not None:
        return picked(xp, x, found, n=n)
    starts, ends = _regions(x.shape[x.ndim - n :], places)
    for d in range(n):
        dim = x.ndim - n + d
        out = x.take(starts[d], dim)
        for t in range(1, int((ends[d] - starts[d]).max())):
            np.maximum(out, x.take(np.minimum(starts[d] + t, ends[d] - 1), dim), out=out)
        x = out
    return x


def _adaptive_on_devices(x, places):
    n, at = len(places), _adaptive_positions(x, places=places)
    return flat(x, n).gather(-1, flat(at, n)).reshape(at.shape)


def _adaptive_slope(g, x, places, memo):
    """The gradient, which goes to the positions that the forward noted, if it noted any."""
    if memo and mode.recorder() is None:
        at = memo[0] if is_array(g) else from_array(memo[0])
    else:
        at = _adaptive_positions(x, places=places)
    return spread(g, at, size=tuple(x.shape[len(x.shape) - len(places) :]))


_ADAPTIVE = {}
for _n in (1, 2, 3):
    _op = kernel(
        _adaptive, public=False, method=False, name=f"adaptive_max_pool{_n}d", widen=False,
        flat=True,
        channels=1, lines=(0,) if _n == 1 else (), autocast=SINGLE if _n == 3 else None,
        grad_name="SqueezeBackward1" if _n == 1 else f"AdaptiveMaxPool{_n}DBackward0",
    )  # fmt: skip
    _op.op.batching = "images"
    _op.lower_on_devices(_adaptive_on_devices)
    _op.grad(x=_adaptive_slope)
    _ADAPTIVE[_n] = _op.op


def _adapted(name, n, input, output_size, return_indices):
    if not isinstance(input, Tensor):
        refuse(_ADAPTIVE[2], 0, input)
    x = input._array
    given = places_of(name, n, x, output_size)
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(f"{name}: Expected {n + 1}D or {n + 2}D tensor, but got {list(x.shape)}")
    if len(given) != n:
        raise RuntimeError(f"{name}: 'output_size' should contain {COUNTED[n]}, but got {given}")
    size = tuple(x.shape[-n:])
    places = tuple([s if o is None else o for o, s in zip(given, size, strict=True)])
    if 0 in x.shape[1:]:
        raise ShapeError(
            f"{name}: Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {list(x.shape)}"
        )
    if min(places) < 0:
        raise RuntimeError(
            f"{name}: Trying to create tensor with negative dimension: output_size is {places}"
        )
    if x.dtype.kind not in "fV":
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")
    if n == 3:
        input = rows_first(input, n)
    even = all(o and s % o == 0 for s, o in zip(size, places, strict=True))
    if even and set(places) != {1}:
        return _even(n, input, size, places, return_indices)
    memo = memo_for(input)
    if not return_indices:
        return apply(_ADAPTIVE[n], (input,), {"places": places, "memo": memo})
    if memo is not None and 0 not in places:
        found = apply(_ADAPTIVE[n], (input,), {"places": places, "memo": memo})
        if memo:  # else a mode ran the operation, with a list of its own
            positions = from_array(as_input(memo[0].copy(), input._array, n))
        else:
            positions = _adaptive_positions(input, places=places)
        return watch(found, positions), positions
    positions = _adaptive_positions(input, places=places)
    if 0 not in places and not (mode.intercept or (input.node is not None and mode.records())):
        found = picked(np, plain(input), positions._array, n=n)
        return from_array(as_input(found, input._array, n)), positions
    found = apply(_ADAPTIVE[n], (input,), {"places": places, "memo": None})
    return watch(found, positions), positions


def _even(n, input, size, places, return_indices):
    """Ordinary max pooling, for windows that have equal sizes and lie side by side."""
    k = tuple([s // o for s, o in zip(size, places, strict=True)])
    windows = Windows(k, k, (0,) * n, (1,) * n, places)
    return (maxima_and_positions if return_indices else maxima_of)(n, input, windows)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """Compute the maxima of ``output_size`` windows that cover the last dim evenly.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.
        output_size: Number of windows; None: L.

    Returns:
        Tensor ``(N, C, output_size)`` or ``(C, output_size)``. With ``return_indices`` a pair:
        the maxima, and their positions in L, int64.

    Raises:
        RuntimeError: The input has an empty dim; ``output_size`` does not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_max_pool1d(torch.arange(7.0).reshape(1, 1, 7), 2)
    tensor([[[3., 6.]]])
    """
    return _adapted("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """Compute the maxima of windows that cover the last two dims evenly.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.

    Returns:
        Tensor ``(N, C, *output_size)`` or ``(C, *output_size)``. With ``return_indices`` a pair:
        the maxima, and their flat positions in (H, W), int64.

    Raises:
        RuntimeError: The input has an empty dim; ``output_size`` does not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_max_pool2d(torch.ones(1, 2, 5, 7), (2, None)).shape
    torch.Size([1, 2, 2, 7])
    """
    return _adapted("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """Compute the maxima of windows that cover the last three dims evenly.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Returns:
        Tensor ``(N, C, *output_size)`` or ``(C, *output_size)``. With ``return_indices`` a pair:
        the maxima, and their flat positions in (D, H, W), int64.

    Raises:
        RuntimeError: The input has an empty dim; ``output_size`` does not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_max_pool3d(torch.ones(1, 2, 5, 5, 5), 2).shape
    torch.Size([1, 2, 2, 2, 2])
    """
    return _adapted("adaptive_max_pool3d", 3, input, output_size, return_indices)


# Fractional -------------------------------------------------------------------------------


def fractional(name, n, input, kernel_size, output_size, samples):
    """Check the arguments, and return (maxima, positions) of fractional pooling over ``n`` dims."""
    kernel_size = per_dim(kernel_size, n, name, "kernel_size")
    places = per_dim(output_size, n, name, "output_size")
    x = input._array
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(f"{name}: Expected {n + 1}D or {n + 2}D tensor, but got {list(x.shape)}")
    if 0 in x.shape[1:]:
        raise ShapeError(
            f"{name}: Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {list(x.shape)}"
        )
    if min(kernel_size) < 1 or min(places) < 0:
        raise ShapeError(
            f"{name}: kernel_size must be positive, and output_size not negative, but they are "
            f"{kernel_size} and {places}"
        )
    for size, k, o in zip(x.shape[-n:], kernel_size, places, strict=True):
        if o + k - 1 > size - (n == 3):  # in three dims the last window must not end at the edge
            raise ShapeError(
                f"{name}: kernel size {k} and output size {o} are too large relative to the "
                f"input {tuple(x.shape)}"
            )
    if x.dtype.kind not in "fV":
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")
    lead = x.shape[:-n] if x.ndim == n + 2 else (1, *x.shape[:-n])
    count, *rest = samples.shape or (0,)
    if rest != [*lead[1:], n] or count < lead[0]:
        raise ShapeError(
            f"{name}: expected _random_samples of shape {(*lead, n)}, got {tuple(samples.shape)}"
        )
    if samples.dtype != input.dtype:
        raise DtypeError(
            f"{name}: Expect _random_samples to have the same dtype as input, {input.dtype}, but "
            f"they are {samples.dtype}"
        )
    samples = samples[: lead[0]]  # those that are left over are ignored
    at = _fractional_positions(input, samples, kernel_size=kernel_size, places=places)
    return apply(_FRACTIONAL[n], (input, at), {"n": n}), at


# Unpooling --------------------------------------------------------------------------------


def _check_positions(x, at, *, size):
    count = prod(size)
    if at.size and (at.min() < 0 or at.max() >= count):
        wrong = at[(at < 0) | (at >= count)]
        raise RuntimeError(
            f"max_unpool: found an invalid max index {wrong.flat[0]} for an output of size {size}"
        )


def _unpooled(xp, x, at, *, size):
    """Zeros of ``size`` with x at the flat positions ``at``."""
    n = len(size)
    lead = x.shape[: x.ndim - n]
    if type(x) is np.ndarray and x.size >= native.LEAST_LOOP and x.dtype.char in "fd":
        found = unpooled_by_loop(x, at, size)
        if found is not None:
            return found
    out = xp.zeros(prod(lead) * prod(size), x.dtype)
    out[in_all(at, n, prod(size))] = x
    return out.reshape(*lead, *size)


def _unpooled_by_scatter(x, at, size):
    n = len(size)
    lead = tuple(x.shape[: len(x.shape) - n])
    out = zeros((*lead, prod(size)), dtype=x.dtype)
    return out.scatter(-1, flat(at, n), flat(x, n)).reshape((*lead, *size))


def _unpool_op(n):
    op = kernel(
        _unpooled, public=False, method=False, name=f"max_unpool{n}d", widen=False,
        grad_name=f"MaxUnpool{n}DBackward0", check=_check_positions, autocast=SINGLE,
        channels=int(n == 2),
    )  # fmt: skip
    op.lower(_unpooled_by_scatter)
    op.lower_check(lambda at, size: check_range(
        at, low=0, high=prod(size) - 1, error=RuntimeError,
        message=f"max_unpool: found an invalid max index {{}} for an output of size {size}",
    ))  # fmt: skip
    op.grad(x=lambda g, at, size: apply(pick, (g, at), {"n": len(size)}))
    return op.op


_UNPOOL = {n: _unpool_op(n) for n in (2, 3)}


def unpool(name, n, input, indices, size):
    """Check the arguments, and put ``input`` at ``indices`` into zeros of ``size``.

    ``size`` is the size of the last ``n`` dims.
    """
    for i, t in enumerate((input, indices)):
        if not isinstance(t, Tensor):
            refuse(_UNPOOL[max(n, 2)], i, t)
    if indices.dtype is not int64:
        raise RuntimeError(
            f"{name}: elements in indices should be type int64 but got: {indices.dtype}"
        )
    if input._array.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"{name}: Expected {n + 1}D or {n + 2}D input, but got {list(input.shape)}"
        )
    if not input.is_floating_point():
        raise UnsupportedDtypeError(f"{name}: not implemented for {input.dtype}")
    if tuple(input.shape) != tuple(indices.shape):
        raise ShapeError(
            f"{name}: Expected shape of indices to be same as that of the input "
            f"{tuple(input.shape)} but got {tuple(indices.shape)}"
        )
    return apply(_UNPOOL[max(n, 2)], (input, indices), {"size": tuple(size)})
