"""Average pooling with windows of a fixed size, and adaptive average pooling."""

from functools import lru_cache
from math import prod
from operator import add
from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.dtype import COMPLEX_KINDS, OF, int64
from rushlight.errors import IndexRangeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.create.range import arange
from rushlight.ops.shape.join import cat
from rushlight.ops.windows.max_pool import pool_geometry, pooled_shape
from rushlight.ops.windows.uneven_means import bounds, means, spans
from rushlight.ops.windows.window import (
    LONG,
    Windows,
    elements_along,
    folded,
    inside,
    offsets,
)  # fmt: skip
from rushlight.strides import channels_order, laid
from rushlight.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "places_of",
]  # fmt: skip

# Fixed windows ------------------------------------------------------------------------------


@lru_cache(1024, typed=True)
def _divisor(size, w, include_pad, override):
    """The divisor of each window's sum: one number, or an array with a number for each window."""
    if override is not None:
        return override
    counts = np.ones((), np.int64)
    for n, k, step, p, o in zip(size, w.kernel_size, w.stride, w.padding, w.places, strict=True):
        start = np.arange(o) * step - p
        end = np.minimum(start + k, n + p)
        if not include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, n)
        counts = np.multiply.outer(counts, end - start)
    same = counts.size and (counts == counts.flat[0]).all()
    return int(counts.flat[0]) if same else counts


def _counts(size, w, include_pad):
    """The divisors of the windows' sums as a tensor."""
    counts = 1
    for d, (n, k, step, p, o) in enumerate(
        zip(size, w.kernel_size, w.stride, w.padding, w.places, strict=True)
    ):
        start = arange(o) * step - p
        end = (start + k).clamp(max=n + p if include_pad else n)
        start = start if include_pad else start.clamp(min=0)
        counts = counts * (end - start).reshape([-1 if i == d else 1 for i in range(len(size))])
    return counts


def _divided(total, divisor):
    if total.dtype.kind in "iu":
        # The integer quotient is rounded towards zero, as in C++.
        quotient, rest = np.divmod(total.astype(np.int64, copy=False), divisor)
        quotient += (rest != 0) & (quotient < 0)
        return quotient.astype(total.dtype, copy=False)
    found = np.true_divide(total, divisor, dtype=total.dtype)
    found += 0  # a mean of -0.0 is 0.0
    return found


def _avg_pool(xp, x, *, windows, include_pad, override):
    """The sum of each window, divided."""
    w, n = windows, len(windows.places)
    size = x.shape[-n:]
    divisor = _divisor(size, w, include_pad, override)
    if w.reach(size) != size:
        wide = np.zeros((*x.shape[:-n], *w.reach(size)), x.dtype)
        inside(wide, w.padding, size)[...] = x
        x = wide
    for first, *others in elements_along(w):
        total = x[first]
        for k, at in enumerate(others):
            total = np.add(total, x[at], out=total if k else None)
        x = total
    return _divided(x, divisor)


def _divided_tensor(total, size, w, include_pad, override):
    divisor: Any = _divisor(tuple(size), w, include_pad, override)
    if isinstance(divisor, np.ndarray):
        divisor = _counts(size, w, include_pad)
    if total.dtype.is_floating_point:
        return total / divisor
    return total.to(int64).div(divisor, rounding_mode="trunc").to(total.dtype)


def _mean_of_elements(x, windows, include_pad, override):
    together = lambda t: t.sum(-1, dtype=t.dtype)
    total = folded(x, windows, 0, add, together) + 0  # a sum of -0.0 is 0.0
    return _divided_tensor(total, x.shape[-len(windows.places) :], windows, include_pad, override)


def _image_shape(g, *, size, **params):
    return (*g.shape[: -len(size)], *size)


@kernel(public=False, method=False, primitive="pooling sum_grad", shape=_image_shape)
def window_sum_backward(xp, g, *, size, windows):
    """The gradient of windows' sums: each element of ``g`` is added to all elements of its window.

    The result has ``size`` in the last dims.
    """
    w = windows
    found = np.zeros((*g.shape[: -len(size)], *w.reach(size)), g.dtype)
    for _, met in offsets(w.kernel_size, w.stride, w.dilation, w.places):
        found[(..., *met)] += g
    return np.ascontiguousarray(inside(found, w.padding, size))


@kernel(public=False, method=False, name="avg_pool_backward", least=1 << 17, fixed=True,
        shape=_image_shape)  # fmt: skip
def _avg_pool_grad(xp, g, *, size, windows, include_pad, override):
    """The gradient of avg_pool: each window adds ``g``, divided, to all its elements."""
    share = _divided(g, _divisor(size, windows, include_pad, override))
    return window_sum_backward.op.forward(xp, share, size=size, windows=windows)


@_avg_pool_grad.lower
def _spread(g, size, windows, include_pad, override):
    divisor = _divisor(tuple(size), windows, include_pad, override)
    apart = all(k <= s for k, s in zip(windows.kernel_size, windows.stride, strict=True))
    if apart and isinstance(divisor, int):  # then the kernel that spreads the gradient divides it
        return window_sum_backward(g, size=size, windows=windows) / divisor
    share = _divided_tensor(g, size, windows, include_pad, override)
    return window_sum_backward(share, size=size, windows=windows)


def _avg_pool_slope(g, x_shape, windows, include_pad, override):
    size = tuple(x_shape[-len(windows.places) :])
    return _avg_pool_grad(g, size=size, windows=windows, include_pad=include_pad, override=override)


_AVG_POOL = {}
for _n in (1, 2, 3):
    _op = kernel(
        _avg_pool, public=False, method=False, name=f"avg_pool{_n}d", shape=pooled_shape, flat=True,
        primitive="pooling mean", channels=int(_n < 3), lines=(0,) if _n == 1 else (),
        least=1 << 17, autocast=SINGLE if _n == 3 else None,
        grad_name="SqueezeBackward1" if _n == 1 else f"AvgPool{_n}DBackward0",
    )  # fmt: skip
    _op.lower(_mean_of_elements)
    _op.grad(x=_avg_pool_slope)
    _op.watch(x="x")
    _AVG_POOL[_n] = _op.op


def _avg_pool_again(h, windows, include_pad, override):
    params = {"windows": windows, "include_pad": include_pad, "override": override}
    return apply(_AVG_POOL[len(windows.places)], (h,), params)


_avg_pool_grad.grad(g=_avg_pool_again)
window_sum_backward.grad(g=lambda h, windows: _avg_pool_again(h, windows, True, 1))


def _pooled(name, n, input, kernel_size, stride, padding, ceil_mode, include_pad, override=None):
    if not isinstance(input, Tensor):
        refuse(_AVG_POOL[n], 0, input)
    x = input._array
    if x.ndim not in (n + 1, n + 2):
        raise (IndexRangeError if x.ndim <= n else ShapeError)(
            f"{name}: Expected {n + 1} to {n + 2} dimensions, non-empty {n + 1}D or {n + 2}D, but "
            f"got a {x.ndim}-dimensional input {tuple(x.shape)}"
        )
    if x.dtype.kind in ("b", *COMPLEX_KINDS):
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")
    if override is not None:
        if isinstance(override, bool) or not hasattr(override, "__index__"):
            raise TypeError(
                f"{name}(): argument 'divisor_override' must be int, not {type(override).__name__}"
            )
        override = override.__index__()
    if override == 0:
        raise RuntimeError(f"{name}: divisor must be not zero")
    windows = pool_geometry(name, n, x, kernel_size, stride, padding, 1, ceil_mode)
    params = {"windows": windows, "include_pad": include_pad, "override": override}
    return apply(_AVG_POOL[n], (input,), params)


@in_c
@takes(strict=True)
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Compute the mean of each window.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.

    Returns:
        Tensor ``(N, C, L')`` or ``(C, L')``, with L' = (L + 2 padding - kernel_size) // stride + 1.

    Raises:
        RuntimeError: Windows do not fit the input; a parameter is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.avg_pool1d(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[2., 1.]]])
    """
    return _pooled(
        "avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad
    )


@in_c
@takes(strict=True)
def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None, *, out=None,
):  # fmt: skip
    """Compute the mean of each window, or its sum divided by ``divisor_override``.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.

    Returns:
        Tensor ``(N, C, H', W')`` or ``(C, H', W')``, with
        H' = (H + 2 padding - kernel_size) // stride + 1.

    Raises:
        RuntimeError: Windows do not fit the input; a parameter is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.avg_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    found = _pooled(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip
    return found if out is None else store(out, found, "avg_pool2d")


@in_c
def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None, *, out=None,
):  # fmt: skip
    """Compute the mean of each window, or its sum divided by ``divisor_override``.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Returns:
        Tensor ``(N, C, D', H', W')`` or ``(C, D', H', W')``, each size as in ``avg_pool1d``.

    Raises:
        RuntimeError: Windows do not fit the input; a parameter is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.avg_pool3d(torch.ones(1, 1, 4, 4, 4), 2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    found = _pooled(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip
    return found if out is None else store(out, found, "avg_pool3d")


# Adaptive windows ----------------------------------------------------------------------------


def _adaptive(xp, x, *, places):
    """The mean of each of ``places`` windows that cover x evenly."""
    return means(x, places)


def _adaptive_of_elements(x, places):
    size = tuple(x.shape[-len(places) :])
    if prod(places) == 1:
        return x.mean(tuple(range(-len(places), 0)), keepdim=True)
    windows = _even(size, places)
    if windows is not None:
        return _mean_of_elements(x, windows, True, None)
    for d, (n, o) in enumerate(zip(size, places, strict=True), x.ndim - len(places)):
        begin, end = bounds(arange(o), n, o)
        total = _summed(x, d, spans(n, o), begin, end)
        if total is NotImplemented:
            return NotImplemented
        x = total / _along(end - begin, d, x.ndim)
    return x


def _even(size, places):
    """The windows of equal sizes that cover ``size``; None if they are not equal."""
    if any(n % o for n, o in zip(size, places, strict=True)):
        return None
    kernel_size = tuple([n // o for n, o in zip(size, places, strict=True)])
    return Windows(kernel_size, kernel_size, (0,) * len(size), (1,) * len(size), tuple(places))


def _along(t, dim, ndim):
    return t.reshape([-1 if d == dim else 1 for d in range(ndim)])


def _summed(x, dim, places, begin, end):
    """The sum of x along ``dim`` over each of the spans ``places``, from ``begin`` to ``end``.

    NotImplemented: there are many spans, and they are long.
    """
    most = max(b - a for a, b in places)
    if most > LONG:
        parts = [x.narrow(dim, a, b - a).sum(dim, keepdim=True) for a, b in places[: LONG + 1]]
        return cat(parts, dim) if len(places) <= LONG else NotImplemented
    total: Any = 0
    for k in range(most):
        part = x.index_select(dim, (begin + k).clamp(max=x.shape[dim] - 1))
        total = part.where(_along(begin + k < end, dim, x.ndim), 0) + total
    return total


@kernel(public=False, method=False, name="adaptive_avg_pool_backward", least=1 << 17, fixed=True,
        shape=_image_shape)  # fmt: skip
def _adaptive_grad(xp, g, *, size):
    """The gradient of adaptive_avg_pool."""
    n = len(size)
    for d in range(g.ndim - n, g.ndim):
        length = size[d - g.ndim + n]
        lead = (slice(None),) * d
        out = np.zeros((*g.shape[:d], length, *g.shape[d + 1 :]), g.dtype)
        for i, (start, end) in enumerate(spans(length, g.shape[d])):
            out[(*lead, slice(start, end))] += g[(*lead, slice(i, i + 1))] / (end - start)
        g = out
    return g


@_adaptive_grad.lower
def _adaptive_spread(g, size):
    places = tuple(g.shape[-len(size) :])
    if prod(places) == 1:
        return (g / prod(size)).expand((*g.shape[: -len(size)], *size)).clone()
    windows = _even(size, places)
    if windows is not None:
        return _spread(g, tuple(size), windows, True, None)
    for d, (n, o) in enumerate(zip(size, places, strict=True), g.ndim - len(size)):
        begin, end = bounds(arange(o), n, o)
        # Windows and elements change places: element i lies in as many windows as window i of the
        # other direction has elements.
        first, last = bounds(arange(n), o, n)
        g = _summed(g / _along(end - begin, d, g.ndim), d, spans(o, n), first, last)
        if g is NotImplemented:
            return NotImplemented
    return g


_ADAPTIVE = {}
for _n in (1, 2, 3):
    _op = kernel(
        _adaptive, public=False, method=False, name=f"adaptive_avg_pool{_n}d", flat=True,
        primitive="pooling mean", channels=int(_n < 3), lines=(0,) if _n == 1 else (),
        least=1 << 17, autocast=SINGLE if _n == 3 else None,
        grad_name="SqueezeBackward1" if _n == 1 else f"AdaptiveAvgPool{_n}DBackward0",
    )  # fmt: skip
    _op.lower(_adaptive_of_elements)
    _op.grad(x=lambda g, x_shape, places: _adaptive_grad(g, size=tuple(x_shape[-len(places) :])))
    _op.watch(x="x")
    _ADAPTIVE[_n] = _op.op
_adaptive_grad.grad(
    g=lambda h, g_shape, size: apply(
        _ADAPTIVE[len(size)], (h,), {"places": tuple(g_shape[-len(size) :])}
    )
)


COUNTED = {1: "one int", 2: "two ints", 3: "three ints"}


def places_of(name, n, x, output_size):
    """``output_size`` for each of the last ``n`` dims of ``x``.

    Raises:
        ValueError: ``output_size`` is a sequence, and ``x`` does not have more dims than it.
    """
    if not isinstance(output_size, (tuple, list)):
        return (output_size,) * n
    if n > 1 and x.ndim <= len(output_size):
        raise ValueError(
            f"{name}: Input dimension should be at least {len(output_size) + 1}: it should have "
            f"more than {len(output_size)} dims, but is {tuple(x.shape)}"
        )
    return tuple([v.__index__() if isinstance(v, Tensor) else v for v in output_size])


def _adapted(name, n, input, output_size):
    if not isinstance(input, Tensor):
        refuse(_ADAPTIVE[n], 0, input)
    x = input._array
    given = places_of(name, n, x, output_size)
    if len(given) != n:
        raise RuntimeError(
            f"{name}: 'output_size' should contain {COUNTED[n]}: output_size must be {n}, but is "
            f"{given}"
        )
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(f"{name}: Expected {n + 1}D or {n + 2}D tensor, but got {list(x.shape)}")
    places = tuple([size if o is None else o for o, size in zip(given, x.shape[-n:], strict=True)])
    if min(places) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{places}"
        )
    if set(places) == {1} and not x.size:
        return input.mean(tuple(range(-n, 0)), keepdim=True)  # nan if a mean has no elements
    if set(places) == {1} and n > 1:
        return _mean_of_all(n, input)
    if 0 in (x.shape[1:] if n == 3 else x.shape[-n:]):
        raise ShapeError(
            f"{name}: Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {list(x.shape)}"
        )
    if x.dtype.kind not in "fV":
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")
    return apply(_ADAPTIVE[n], (input,), {"places": places})


def _mean_of_all(n, input):
    """The mean of each channel. The result is channels-last in memory if ``input`` is."""
    found = input.mean(tuple(range(-n, 0)), keepdim=True)
    plain = mode.recorder() is not None or input._array.ndim < n + 2
    if not plain and channels_order([input._array]) is not None:
        found._array = laid(found._array, (0, *range(2, n + 2), 1))
        found.turned = True
    return found


@in_c
def adaptive_avg_pool1d(input, output_size):
    """Compute the means of ``output_size`` windows that cover the last dim evenly.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.
        output_size: Number of windows; None: L.

    Returns:
        Tensor ``(N, C, output_size)`` or ``(C, output_size)``.

    Raises:
        RuntimeError: The input has an empty dim; ``output_size`` does not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_avg_pool1d(torch.arange(6.0).reshape(1, 1, 6), 2)
    tensor([[[1., 4.]]])
    """
    return _adapted("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """Compute the means of windows that cover the last two dims evenly.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.

    Returns:
        Tensor ``(N, C, *output_size)`` or ``(C, *output_size)``.

    Raises:
        RuntimeError: The input has an empty dim; ``output_size`` does not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_avg_pool2d(torch.ones(1, 2, 5, 7), (2, None)).shape
    torch.Size([1, 2, 2, 7])
    """
    return _adapted("adaptive_avg_pool2d", 2, input, output_size)


@autocasts(SINGLE)
def adaptive_avg_pool3d(input, output_size):
    """Compute the means of windows that cover the last three dims evenly.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Returns:
        Tensor ``(N, C, *output_size)`` or ``(C, *output_size)``.

    Raises:
        RuntimeError: The input has an empty dim; ``output_size`` does not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_avg_pool3d(torch.ones(1, 2, 4, 4, 4), 2).shape
    torch.Size([1, 2, 2, 2, 2])
    """
    return _adapted("adaptive_avg_pool3d", 3, input, output_size)
