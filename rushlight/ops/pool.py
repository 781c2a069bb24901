"""Maxima of windows: max_pool, its gradient and its positions, for any number of dims."""

import sys
from math import prod

import numpy as np

from rushlight.dtype import OF
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.dispatch import apply, refuse
from rushlight.ops.kinds import kernel
from rushlight.ops.window import inside, offsets, per_dim, spaced, span
from rushlight.tensor import Tensor

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d", "places_of", "pool_geometry"]

BLOCK = 1 << 19  # bytes of elements that are masked at a time
#: Moves the first byte of two to the place of the second.
_TO_SECOND = np.left_shift if sys.byteorder == "little" else np.right_shift

# Geometry ---------------------------------------------------------------------------------


def places_of(size, kernel_size, stride, padding, dilation, ceil_mode):
    """How many windows fit into each dim; with ``ceil_mode`` the last may stick out."""
    found = []
    for n, s, step, p in zip(size, span(kernel_size, dilation), stride, padding, strict=True):
        room = n + 2 * p - s
        k = (room + (step - 1 if ceil_mode else 0)) // step + 1
        if ceil_mode and (k - 1) * step >= n + p:  # the last window must start inside
            k -= 1
        found.append(k)
    return tuple(found)


def pool_geometry(name, n, x, kernel_size, stride, padding, dilation, ceil_mode):
    """The parameters of a pooling as tuples of ints, checked."""
    kernel_size = per_dim(kernel_size, n, name, "kernel_size")
    stride = (
        kernel_size if stride is None or stride in ((), []) else per_dim(stride, n, name, "stride")
    )
    padding = per_dim(padding, n, name, "padding")
    dilation = per_dim(dilation, n, name, "dilation")
    if min(kernel_size) < 1 or min(stride) < 1:
        raise RuntimeError(
            f"{name}: kernel_size and stride must be greater than zero, but got {kernel_size} and "
            f"{stride}: stride should not be zero"
        )
    if min(dilation) < 1:
        raise RuntimeError(f"{name}: dilation must be greater than zero, but got {dilation}")
    if min(padding) < 0:
        raise RuntimeError(f"{name}: padding must be non-negative, but got pad: {padding}")
    if any(p > s // 2 for p, s in zip(padding, span(kernel_size, dilation), strict=True)):
        raise RuntimeError(
            f"{name}: padding should be at most half of effective kernel size, but got "
            f"pad={padding}, "
            f"kernel_size={kernel_size} and dilation={dilation}"
        )
    size = x.shape[-n:]
    if 0 in x.shape[-n - 1 :]:
        raise ShapeError(
            f"{name}: Expected a tensor whose dims are not empty, with optional 0 dim batch "
            "size, but got: "
            f"{list(x.shape)}"
        )
    places = places_of(size, kernel_size, stride, padding, dilation, ceil_mode)
    if min(places) < 1:
        raise ShapeError(
            f"{name}: Output size is too small: input {tuple(x.shape)} with "
            f"kernel_size={kernel_size}, "
            f"padding={padding} and dilation={dilation} gives places {places}"
        )
    return {
        "kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation,
        "places": places,
    }  # fmt: skip


def _lowest(dtype):
    """The number that no element is below."""
    return -np.inf if dtype.kind in "fV" else np.iinfo(dtype).min


def _surrounded(x, kernel_size, stride, padding, dilation, places):
    """``x`` with the lowest number around it, so that every window lies inside."""
    n = len(places)
    right = [
        max((o - 1) * step + s - size - p, 0)
        for o, step, s, size, p in zip(
            places, stride, span(kernel_size, dilation), x.shape[-n:], padding, strict=True
        )
    ]
    if not any(padding) and not any(right):
        return x
    shape = [size + p + r for size, p, r in zip(x.shape[-n:], padding, right, strict=True)]
    out = np.full((*x.shape[:-n], *shape), _lowest(x.dtype), x.dtype)
    inside(out, padding, x.shape[-n:])[...] = x
    return out


def _tiles(x, kernel_size, stride, padding, dilation, places):
    """True where windows neither overlap nor skip, and all lie inside ``x``."""
    return (
        kernel_size == stride
        and not any(padding)
        and all(k == 1 or d == 1 for k, d in zip(kernel_size, dilation, strict=True))
        and all(
            o * k <= n for o, k, n in zip(places, kernel_size, x.shape[-len(places) :], strict=True)
        )
    )


# Maxima -----------------------------------------------------------------------------------


def _maxima(x, kernel_size, stride, dilation, places):
    """The maximum of each window, one dim after the other."""
    n = len(places)
    # From the first dim: when the last is reached, whose elements lie apart, less is left to do.
    for d in range(n):
        parts = [
            spaced(x, x.ndim - n + d, k * dilation[d], stride[d], places[d])
            for k in range(kernel_size[d])
        ]
        x = parts[0] if len(parts) == 1 else np.maximum(parts[0], parts[1])
        for part in parts[2:]:
            np.maximum(x, part, out=x)
    return np.ascontiguousarray(x)


def _positions(x, kernel_size, stride, padding, dilation, places):
    """The flat position in the last dims of each window's maximum: the first, or the last nan."""
    n = len(places)
    size = x.shape[-n:]
    steps = [prod(size[d + 1 :]) for d in range(n)]
    wide = _surrounded(x, kernel_size, stride, padding, dilation, places)
    best = np.full((*x.shape[:-n], *places), _lowest(x.dtype), x.dtype)
    first = np.zeros(places, np.int64)
    for d in range(n):
        start = np.arange(places[d]) * stride[d] - padding[d]
        start += np.maximum(-(start // dilation[d]), 0) * dilation[d]
        first += (start * steps[d]).reshape([-1 if i == d else 1 for i in range(n)])
    found = np.broadcast_to(first, best.shape).copy()
    for at, part in offsets(kernel_size, stride, dilation, places):
        value = wide[(..., *part)]
        better = (value > best) | (value != value)
        np.copyto(best, value, where=better)
        here = np.zeros(places, np.int64)
        for d in range(n):
            p = np.arange(places[d]) * stride[d] - padding[d] + at[d] * dilation[d]
            here += (p * steps[d]).reshape([-1 if i == d else 1 for i in range(n)])
        np.copyto(found, here, where=better)
    return found


@kernel(public=False, method=False, name="max_pool_positions", widen=False)
def max_positions(xp, x, *, kernel_size, stride, padding, dilation, places):
    """Where each window's maximum lies, as a flat index into the last dims."""
    return _positions(x, kernel_size, stride, padding, dilation, places)


def _max_pool(xp, x, *, kernel_size, stride, padding, dilation, places):
    """The maximum of each window."""
    if x.size == 0:
        return np.zeros((*x.shape[: -len(places)], *places), x.dtype)
    wide = _surrounded(x, kernel_size, stride, padding, dilation, places)
    return _maxima(wide, kernel_size, stride, dilation, places)


@kernel(public=False, method=False, name="max_pool_backward")
def max_pool_grad(xp, g, x, best, *, kernel_size, stride, padding, dilation, places):
    """The gradient of max_pool: the place of each window's maximum ``best`` gets the window's."""
    n = len(places)
    if not g.size:
        return np.zeros(x.shape, g.dtype)
    if n < 3 and _tiles(x, kernel_size, stride, padding, dilation, places) and not _has_nan(best):
        plane = (
            (prod(x.shape[:-2]), *x.shape[-2:]) if n == 2 else (prod(x.shape[:-1]), 1, x.shape[-1])
        )
        windows = (plane[0], *places) if n == 2 else (plane[0], 1, *places)
        kernel_2d = kernel_size if n == 2 else (1, *kernel_size)
        found = _tiled_slope(
            g.reshape(windows), x.reshape(plane), best.reshape(windows), *kernel_2d
        )
        return found.reshape(x.shape)
    at = _positions(x, kernel_size, stride, padding, dilation, places)
    planes = prod(x.shape[:-n])
    area = prod(x.shape[-n:])
    flat = (at.reshape(planes, -1) + np.arange(planes)[:, None] * area).ravel()
    if g.dtype.kind == "f":
        found = np.bincount(flat, g.ravel(), planes * area).astype(g.dtype)
    else:
        found = np.zeros(planes * area, g.dtype)
        np.add.at(found, flat, g.ravel())
    return found.reshape(x.shape)


def _has_nan(x):
    total = np.add.reduce(x, axis=None)
    return bool(total != total) and bool(np.isnan(x).any())


def _tiled_slope(g, x, best, kh, kw):
    """The gradient where windows tile the plane: g at the first element that equals ``best``.

    Shape: x (planes, H, W), g and best (planes, places, places).
    """
    planes, ph, pw = g.shape
    h, w = ph * kh, pw * kw
    found = (np.empty if (h, w) == x.shape[1:] else np.zeros)(x.shape, g.dtype)
    # Elements are masked by bits, which is exact for infinite g, in blocks that stay in the cache.
    bits = np.dtype(f"i{g.dtype.itemsize}")
    into = found.view(bits)[:, :h, :w].reshape(planes, ph, kh, w)
    x = x[:, :h, :w].reshape(planes, ph, kh, w)
    step = max(1, BLOCK // (h * w * g.dtype.itemsize))
    for start in range(0, planes, step):
        block = slice(start, start + step)
        hits = x[block] == _widened(best[block], kw)
        if np.count_nonzero(hits) != best[block].size:
            _keep_first(hits, kw)
        mask = hits.astype(bits)
        np.negative(mask, out=mask)  # 0, or all bits set
        np.bitwise_and(mask, _widened(g[block], kw).view(bits), out=into[block])
    return found


def _widened(x, kw):
    """Each element ``kw`` times: (planes, rows, columns) → (planes, rows, 1, columns · kw)."""
    wide = np.empty((*x.shape, kw), x.dtype)
    for k in range(kw):
        wide[..., k] = x
    return wide.reshape(*x.shape[:2], 1, x.shape[2] * kw)


def _keep_first(hits, kw):
    """Clear all but the first hit of each window in ``hits`` (planes, rows, kh, columns · kw)."""
    if kw == 2:
        pairs = hits.view(np.uint16)
        pairs &= ~_TO_SECOND(pairs, np.uint16(8))
        earlier = pairs[:, :, 0] != 0
        for i in range(1, hits.shape[2]):
            pairs[:, :, i] *= ~earlier
            earlier |= pairs[:, :, i] != 0
        return
    earlier = None
    for i in range(hits.shape[2]):
        for k in range(kw):
            hit = hits[:, :, i, k::kw]
            if earlier is None:
                earlier = hit.copy()
            else:
                hit &= ~earlier
                earlier |= hit


@kernel(public=False, method=False, name="max_pool_pick")
def max_pool_pick(xp, h, x, *, kernel_size, stride, padding, dilation, places):
    """What ``h`` has where ``x`` has each window's maximum."""
    at = _positions(x, kernel_size, stride, padding, dilation, places)
    lead = x.shape[: -len(places)]
    flat = h.reshape(*lead, prod(h.shape[len(lead) :]))
    picked = np.take_along_axis(flat, at.reshape(*lead, prod(at.shape[len(lead) :])), -1)
    return picked.reshape(at.shape)


def _best(x, *geometry):
    return apply(_MAX_POOL[len(geometry[-1])], (x,), _geometry(*geometry))


def _geometry(kernel_size, stride, padding, dilation, places):
    return {
        "kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation,
        "places": places,
    }  # fmt: skip


_MAX_POOL = {}
for _n in (1, 2, 3):
    _op = kernel(
        _max_pool, public=False, method=False, name=f"max_pool_of_{_n}d", widen=False,
        grad_name="SqueezeBackward1" if _n == 1 else f"MaxPool{_n}DWithIndicesBackward0",
    )  # fmt: skip
    _op.grad(
        x=lambda g, x, out, kernel_size, stride, padding, dilation, places: max_pool_grad(
            g, x, out, **_geometry(kernel_size, stride, padding, dilation, places)
        )
    )
    _MAX_POOL[_n] = _op.op
max_pool_grad.grad(
    g=lambda h, x, kernel_size, stride, padding, dilation, places: max_pool_pick(
        h, x, **_geometry(kernel_size, stride, padding, dilation, places)
    )
)
max_pool_pick.grad(
    h=lambda g, x, kernel_size, stride, padding, dilation, places: max_pool_grad(
        g, x, _best(x, kernel_size, stride, padding, dilation, places),
        **_geometry(kernel_size, stride, padding, dilation, places),
    )
)  # fmt: skip

# Functions --------------------------------------------------------------------------------


def _pooled(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    if not isinstance(input, Tensor):
        refuse(_MAX_POOL[n], 0, input)
    x = input.array
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim "
            "batch size for "
            f"input, but got: {list(x.shape)}"
        )
    if x.dtype.kind in "bc" or (n == 1 and x.dtype.kind in "iu"):
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")
    params = pool_geometry(name, n, x, kernel_size, stride, padding, dilation, ceil_mode)
    found = apply(_MAX_POOL[n], (input,), params)
    return (found, apply(max_positions.op, (input,), params)) if return_indices else found


def max_pool1d(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The maximum of each window.

    Shape: (N, C, L) or (C, L) → (N, C, L') with
    L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1; stride None is kernel_size.

    Raises:
        RuntimeError: windows do not fit the input; a parameter is out of range.

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
    """The maximum of each window; with ``return_indices`` also its flat position in (H, W).

    Shape: (N, C, H, W) or (C, H, W) → (N, C, H', W') with
    H' = (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1; stride None is kernel_size.

    Raises:
        RuntimeError: windows do not fit the input; a parameter is out of range.

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
    """The maximum of each window.

    Shape: (N, C, D, H, W) or (C, D, H, W) → (N, C, D', H', W').

    Raises:
        RuntimeError: windows do not fit the input; a parameter is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.max_pool3d(torch.ones(1, 1, 4, 4, 4), 2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    return _pooled(
        "max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )
