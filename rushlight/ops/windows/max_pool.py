"""Max pooling in one, two or three dims: the maxima, their positions, and the gradient."""

from functools import lru_cache
from math import inf, prod

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import watch
from rushlight.dtype import COMPLEX_KINDS, OF
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE, suspended
from rushlight.ops.core.dispatch import apply, raw, refuse
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import is_array, memo_of
from rushlight.ops.elementwise.clamp import maximum
from rushlight.ops.tensor.memory_format import contiguous_format
from rushlight.ops.windows import window_maxima
from rushlight.ops.windows.maxima_places import spread
from rushlight.ops.windows.window import Windows, folded, meets, per_dim, span
from rushlight.strides import channels_order, in_order, laid
from rushlight.tensor import Tensor, from_array

__all__ = [
    "MAX_POOL", "as_input", "max_pool1d", "max_pool2d", "max_pool3d", "max_positions",
    "maxima_and_positions", "maxima_of", "memo_for", "places_of", "pool_geometry", "pooled_shape",
    "rows_first",
]  # fmt: skip

# Geometry ---------------------------------------------------------------------------------


def places_of(size, kernel_size, stride, padding, dilation, ceil_mode):
    """The number of windows that fit into each dim.

    With ``ceil_mode`` the last window may stick out, but it must start inside the input or the
    padding before it.
    """
    found = []
    for n, s, step, p in zip(size, span(kernel_size, dilation), stride, padding, strict=True):
        room = n + 2 * p - s
        k = (room + (step - 1 if ceil_mode else 0)) // step + 1
        if ceil_mode and (k - 1) * step >= n + p:  # the last window starts in the padding after x
            k -= 1
        found.append(k)
    return tuple(found)


def pool_geometry(name, n, x, *numbers):
    """Check the parameters of a pooling and return its ``Windows``.

    Args:
        numbers: kernel_size, stride, padding, dilation and ceil_mode.
    """
    # 1.0 equals 1, but is refused, so the types of numbers count as well.
    types = tuple([tuple(map(type, v)) for v in numbers if type(v) is tuple])
    try:
        return _known_windows(types, name, n, x.shape, *numbers)
    except TypeError:  # a parameter is a list, or of the wrong type
        return _windows(name, n, x.shape, *numbers)


@lru_cache(4096, typed=True)
def _known_windows(types, *given):
    return _windows(*given)


def _windows(name, n, shape, kernel_size, stride, padding, dilation, ceil_mode):
    kernel_size = per_dim(kernel_size, n, name, "kernel_size")
    stride = (
        per_dim(stride, n, name, "stride")
        if stride is not None and (type(stride) not in (tuple, list) or stride)
        else kernel_size
    )
    padding = per_dim(padding, n, name, "padding")
    dilation = per_dim(dilation, n, name, "dilation")
    if min(kernel_size) < 1 or min(stride) < 1:
        low = min(kernel_size) < 1
        raise RuntimeError(
            f"{name}: {'kernel_size' if low else 'stride'} must be greater than zero, but got "
            f"{min(kernel_size if low else stride)}: kernel_size={kernel_size}, stride={stride}; "
            "stride should not be zero"
        )
    if min(dilation) < 1:
        raise RuntimeError(f"{name}: dilation must be greater than zero, but got {min(dilation)}")
    if min(padding) < 0:
        raise RuntimeError(f"{name}: pad must be non-negative, but got pad: {min(padding)}")
    if any(p > s // 2 for p, s in zip(padding, span(kernel_size, dilation), strict=True)):
        raise RuntimeError(
            f"{name}: pad should be at most half of effective kernel size, but got "
            f"pad={_short(padding)}, kernel_size={_short(kernel_size)} and "
            f"dilation={_short(dilation)}"
        )
    size = shape[-n:]
    if 0 in shape[-n - 1 :]:
        raise ShapeError(
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch "
            f"size for input: Expected input's non-batch dimensions to have positive length, but "
            f"got: {list(shape)}"
        )
    places = places_of(size, kernel_size, stride, padding, dilation, ceil_mode)
    if min(places) < 1:
        raise ShapeError(
            f"{name}: Invalid computed output size: {min(places)}. Output size is too small: input "
            f"{tuple(shape)} with kernel_size={kernel_size}, padding={padding} and "
            f"dilation={dilation} gives places {places}"
        )
    return Windows(kernel_size, stride, padding, dilation, places)


def _short(sizes):
    """A size as PyTorch writes it in messages: one number for equal ones."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


# Maxima -----------------------------------------------------------------------------------


def as_input(found, x, n):
    """``found``, which was pooled over the last ``n`` dims of ``x``, in the memory format of ``x``.

    The format is channels-last or contiguous.
    """
    order = channels_order([x], (0,) if n == 1 else ()) if x.ndim == n + 2 else None
    return in_order(found) if order is None else laid(found, order)


def rows_first(input, n):
    """``input``, or a contiguous copy if ``input`` is channels-last in memory."""
    order = channels_order([input._array], (0,) if n == 1 else ())
    return input if order is None else input.clone(memory_format=contiguous_format)


@kernel(public=False, method=False, name="max_pool_positions", widen=False, keeps_order=True,
        primitive="pooling positions", least=1 << 13)  # fmt: skip
def max_positions(xp, x, *, windows):
    """The position of each window's maximum, as a flat index into the last dims."""
    return as_input(window_maxima.positions(x, windows), x, len(windows.places))


def pooled_shape(x, *, windows, **params):
    """The shape of the result if each window over the last dims of x gives one value."""
    return (*x.shape[: -len(windows.places)], *windows.places)


@kernel(
    public=False, method=False, name="max_pool_noted", widen=False, primitive="pooling maxima",
    least=1 << 12,
    shape=lambda x, *, windows: [pooled_shape(x, windows=windows)] * 2,
)  # fmt: skip
def max_pool_noted(xp, x, *, windows):
    """The maximum of each window, and its position as int32."""
    return window_maxima.noted(x, windows)


def _max_pool(xp, x, *, windows, memo=None):
    """The maximum of each window. A list ``memo`` gets the positions of the maxima.

    A window that lies in the padding has no position, so nothing is noted then.
    """
    noted = memo is not None and x.dtype.kind in "fV"
    if not noted or not meets(tuple(x.shape[-len(windows.places) :]), windows).all():
        return window_maxima.maxima(x, windows)
    found, *memo[:] = raw(max_pool_noted.op, (x,), {"windows": windows})
    return found


def _max_pool_slope(g, x, out, windows, memo):
    """The gradient of max pooling.

    Memory can be written in ways that nobody sees (through ``.data``, or NumPy). So the gradient
    goes to the positions that the forward noted, if it noted any.
    """
    if not memo or mode.recorder() is not None:
        return max_pool_grad(g, x, out, windows=windows)
    size = tuple(x.shape[-len(windows.places) :])
    at = memo[0] if is_array(g) else from_array(memo[0])
    return spread(g, at, size=size, windows=windows)


def memo_for(input):
    """A list in which the forward of a call with a gradient leaves the positions, else None.

    None in a trace: its program finds the maxima again.
    """
    if not (input.requires_grad and mode.records()) or mode.recorder() is not None:
        return None
    return memo_of(input._array)


def _max_of_elements(x, windows):
    lowest = -inf if x.dtype.is_floating_point else np.iinfo(x.dtype.numpy).min
    together = lambda t: t.amax(-1)
    return folded(x, windows, lowest, maximum, together)  # of equal elements the first


@kernel(
    public=False, method=False, name="max_pool_backward", least=1 << 14,
    primitive="pooling max_grad",
    shape=lambda g, x, best, *, windows: x.shape,
)  # fmt: skip
def max_pool_grad(xp, g, x, best, *, windows):
    """The gradient of max_pool: each window's ``g`` is added at the place of its maximum."""
    return window_maxima.slope(g, x, best, windows)


@kernel(public=False, method=False, name="max_pool_pick", primitive="pooling pick")
def max_pool_pick(xp, h, x, *, windows):
    """The elements of ``h`` at the places where ``x`` has its windows' maxima."""
    there = meets(x.shape[-len(windows.places) :], windows)
    at = np.where(there, window_maxima.positions(x, windows), 0)
    lead = x.shape[: -len(windows.places)]
    flat = h.reshape(*lead, prod(h.shape[len(lead) :]))
    picked = np.take_along_axis(flat, at.reshape(*lead, prod(windows.places)), -1)
    return np.where(there, picked.reshape(at.shape), h.dtype.type(0))


MAX_POOL = {}
for _n in (1, 2, 3):
    _op = kernel(
        _max_pool, public=False, method=False, name=f"max_pool{_n}d", widen=False, flat=True,
        primitive="pooling max", again=True, spared=("out",), channels=1,
        lines=(0,) if _n == 1 else (), worth=lambda x, *, windows, memo=None: memo is None,
        shape=pooled_shape, least=1 << 17, autocast=SINGLE if _n == 3 else None,
        grad_name="SqueezeBackward1" if _n == 1 else f"MaxPool{_n}DWithIndicesBackward0",
    )  # fmt: skip
    _op.lower(_max_of_elements)
    _op.grad(x=_max_pool_slope)
    MAX_POOL[_n] = _op.op


def _pick_slope(g, x, windows):
    best = apply(MAX_POOL[len(windows.places)], (x,), {"windows": windows, "memo": None})
    return max_pool_grad(g, x, best, windows=windows)


max_pool_grad.grad(g=lambda h, x, windows: max_pool_pick(h, x, windows=windows))
max_pool_pick.grad(h=_pick_slope)

# Functions --------------------------------------------------------------------------------


def _pooled(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    if not isinstance(input, Tensor):
        refuse(MAX_POOL[n], 0, input)
    x = input._array
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"{name}: non-empty {n + 1}D or {n + 2}D (batch mode) tensor expected for input: "
            f"Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim "
            "batch size for "
            f"input, but got: {list(x.shape)}"
        )
    whole = x.dtype.kind in "iu" and n == 1 and not return_indices
    if x.dtype.kind in ("b", *COMPLEX_KINDS) or whole:
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")
    windows = pool_geometry(name, n, x, kernel_size, stride, padding, dilation, ceil_mode)
    if n == 1 and not return_indices and not (input.requires_grad and mode.records()):
        # PyTorch computes this case by another function, whose result is always contiguous.
        input = rows_first(input, n)
    if not return_indices:
        return maxima_of(n, input, windows)
    with suspended():  # PyTorch's autocast has no rule for the function that returns indices, too
        return maxima_and_positions(n, input, windows)


def maxima_of(n, input, windows):
    """The maxima of the windows over the last ``n`` dims of ``input``."""
    return apply(MAX_POOL[n], (input,), {"windows": windows, "memo": memo_for(input)})


def maxima_and_positions(n, input, windows):
    """The same, and the positions."""
    memo = memo_for(input)
    found = apply(MAX_POOL[n], (input,), {"windows": windows, "memo": memo})
    if memo:
        positions = from_array(as_input(memo[0].astype(np.int64), input._array, n))
    else:
        positions = max_positions(input, windows=windows)
    return watch(found, positions), positions


def max_pool1d(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Compute the maximum of each window.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.

    Returns:
        Tensor ``(N, C, L')`` or ``(C, L')``, with
        L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1. With ``return_indices``
        a pair: the maxima, and their positions in L, int64.

    Raises:
        RuntimeError: Windows do not fit the input; a parameter is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.max_pool1d(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[3., 2.]]])
    """
    return _pooled(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Compute the maximum of each window.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.

    Returns:
        Tensor ``(N, C, H', W')`` or ``(C, H', W')``, with
        H' = (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1. With ``return_indices``
        a pair: the maxima, and their flat positions in (H, W), int64.

    Raises:
        RuntimeError: Windows do not fit the input; a parameter is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.max_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _pooled(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool3d(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Compute the maximum of each window.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Returns:
        Tensor ``(N, C, D', H', W')`` or ``(C, D', H', W')``, each size as in ``max_pool1d``. With
        ``return_indices`` a pair: the maxima, and their flat positions in (D, H, W), int64.

    Raises:
        RuntimeError: Windows do not fit the input; a parameter is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.max_pool3d(torch.ones(1, 1, 4, 4, 4), 2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    return _pooled(
        "max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )
