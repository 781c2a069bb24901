"""Sampling of images at arbitrary points: ``affine_grid`` and ``grid_sample``.

The value at a point is a weighted sum of the pixels around it. Along each dim a point has a few
taps: pixel positions with weights, both of shape (N, taps, P). Each combination of one tap per dim
is a tap of the point, and its weight is the product of their weights.
"""

import warnings
from functools import lru_cache
from math import prod

import numpy as np

from rushlight.autograd import mode as modes
from rushlight.autograd.mode import recorder
from rushlight.autograd.tape import watch
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.meta import is_meta
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.compute import compute
from rushlight.ops.core.dispatch import refuse
from rushlight.ops.core.fast_path import FLOATS, plain
from rushlight.ops.create.filled import ones, zeros
from rushlight.ops.create.range import arange, linspace
from rushlight.ops.shape.join import stack
from rushlight.ops.windows.grid_sample import weighted_gather
from rushlight.tensor import Tensor, from_array

__all__ = ["affine_grid", "grid_sample"]


def _aligned(name, align_corners):
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior: align_corners is False unless given, "
            f"since PyTorch 1.3; pass it to {name}",
            stacklevel=3,
        )
    return bool(align_corners)


# Affine grids -----------------------------------------------------------------------------


def _line(n, align, dtype):
    """Return the coordinates of ``n`` pixel centres in [-1, 1].

    With ``align`` the outermost centres are -1 and 1. Otherwise the outer edges are -1 and 1.
    """
    if n <= 1:
        return zeros(n, dtype=dtype)
    line = linspace(-1, 1, n, dtype=dtype)
    return line if align else line * ((n - 1) / n)


def _centres(places, align, dtype):
    """The coordinates of all pixel centres, and a 1 for each: a tensor (1, pixels, n + 1)."""
    n = len(places)
    lines = []
    for d in reversed(range(n)):  # x comes first and belongs to the last dim
        line = _line(places[d], align, dtype)
        lines.append(line.reshape([-1 if i == d else 1 for i in range(n)]).expand(places))
    return stack([*lines, ones(places, dtype=dtype)], -1).reshape(1, -1, n + 1)


_FEW = large_from(1 << 10)  # the largest number of pixels whose centres are kept for later calls


@lru_cache(64)
def _few_centres(*args):
    return _centres(*args)._array


def affine_grid(theta, size, align_corners=None):
    """Apply the affine maps ``theta`` to the pixel coordinates of an image of ``size``.

    The result is a grid for ``grid_sample``. The image covers the range from -1 to 1.

    Args:
        theta: Tensor ``(N, 2, 3)`` for images or ``(N, 3, 4)`` for volumes, floating point.
        size: The image's size, ``(N, C, H, W)`` or ``(N, C, D, H, W)``: a tuple of ints.
        align_corners: As for ``grid_sample``.

    Returns:
        Tensor ``(N, H, W, 2)`` or ``(N, D, H, W, 3)``. Its last dim holds the coordinates x, y
        (and z).

    Raises:
        ValueError: ``theta`` has a wrong shape or is not floating point, or a size is below 1.
        NotImplementedError: ``size`` does not have 4 or 5 numbers.

    Source: Jaderberg et al. 2015, https://arxiv.org/abs/1506.02025

    >>> import rushlight as torch
    >>> keep = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> torch.nn.functional.affine_grid(keep, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    if not theta.is_floating_point():
        raise ValueError(
            f"affine_grid: Expected theta to have floating point type, but got {theta.dtype}"
        )
    size = tuple([n.__index__() for n in size])
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine maps; got {size}"
        )
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (n, n + 1):
        raise ValueError(
            f"affine_grid: Expected affine matrices of shape (N, {n}, {n + 1}) for size {size}, "
            f"but theta is {tuple(theta.shape)}"
        )
    if min(size) <= 0:
        raise ValueError(f"affine_grid: Expected non-zero, positive output size. Got {size}")
    if theta.shape[0] != size[0]:
        raise ShapeError(
            f"affine_grid: theta {tuple(theta.shape)} has {theta.shape[0]} maps, size {size} "
            f"wants {size[0]}"
        )
    align, places = _aligned("affine_grid", align_corners), size[2:]
    if align and 1 in places:
        warnings.warn(
            f"affine_grid: size {size} with align_corners=True: where a dim has one pixel, it lies "
            "at 0, not at -1",
            stacklevel=2,
        )
    if modes.intercept or prod(places) > _FEW:
        points = _centres(places, align, theta.dtype)
    else:
        points = from_array(_few_centres(places, align, theta.dtype))
    return (points @ theta.transpose(1, 2)).reshape(size[0], *places, n)


# Points -----------------------------------------------------------------------------------


def _constant(x, value):
    """Return a tensor like ``x`` filled with ``value``; its gradient is zero."""
    return x.floor().nan_to_num(0.0).clamp(value, value)


def _pixels(x, n, align):
    """Convert coordinates from -1 to 1 into pixel positions from 0 to ``n`` - 1."""
    return (x + 1) / 2 * (n - 1) if align else ((x + 1) * n - 1) / 2


def _clipped(x, n, volume):
    """Limit ``x`` to [0, n - 1]; the gradient is zero outside and at the ends.

    A nan is the first pixel of an image, and the last one of a volume.
    """
    inside = (x > 0) & (x < n - 1)
    before = x <= 0 if volume else (x > 0).logical_not()
    return x.where(inside, _constant(x, 0.0).where(before, _constant(x, n - 1.0)))


def _reflected(x, n, align):
    """Reflect ``x`` at the ends of the image, until it lies inside.

    The ends are the centres of the outermost pixels with ``align``, and their edges otherwise.
    """
    low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
    if span <= 0:
        return _constant(x, 0.0)
    x = (x - low).abs()
    x = x - (x / (2 * span)).trunc() * (2 * span)
    back = 2 * span - x
    return back.where(x > back, x) + low


def _within(x, n, align, padding_mode, volume):
    """Move ``x`` into the image by the padding mode; return it unchanged for "zeros"."""
    if padding_mode == "zeros":
        return x
    return _clipped(_reflected(x, n, align) if padding_mode == "reflection" else x, n, volume)


# Taps -------------------------------------------------------------------------------------


def _cubic(t):
    """Return the weights of the four pixels around a point, by Keys' cubic with a = -0.75.

    The point lies ``t`` behind the second pixel.
    """
    a = -0.75
    near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
    far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _taps(x, n, align, mode, padding_mode, volume):
    """Return (positions, weights) of the taps of the coordinates ``x`` (N, P) along one dim.

    Both have the shape (N, taps, P).
    """
    x = _pixels(x, n, align)
    if mode == "bicubic":
        first = x.floor()
        weight = stack(_cubic(x - first), 1)
        # The padding mode applies to each of the four pixels, and not to the point.
        place = first.detach().unsqueeze(1) + arange(-1, 3, dtype=x.dtype).unsqueeze(1)
        return _within(place, n, align, padding_mode, volume), weight
    x = _within(x, n, align, padding_mode, volume)
    if mode == "nearest":
        return x.round().unsqueeze(1), _constant(x, 1.0).unsqueeze(1)
    first = x.floor()
    t = x - first
    return stack([first, first + 1], 1).detach(), stack([1 - t, t], 1)


def _single_taps(x, n, align, mode, padding_mode, volume):
    """Return a list with (position, weight) of each tap. A kernel cannot stack them as ``_taps``.

    Many small operations take longer than few, so eager tensors are left to ``_taps``.
    """
    x = _pixels(x, n, align)
    if mode == "bicubic":
        first = x.floor()
        places = [_within(first + k, n, align, padding_mode, volume) for k in (-1, 0, 1, 2)]
        return list(zip(places, _cubic(x - first), strict=True))
    x = _within(x, n, align, padding_mode, volume)
    if mode == "nearest":
        return [(x.round(), _constant(x, 1.0))]
    first = x.floor()
    t = x - first
    return [(first, 1 - t), (first + 1, t)]


def _inside(place, weight, n):
    """Return the positions as indices, their weights, and a mask of those inside the image.

    A position outside gets the index 0.
    """
    is_in = (place >= 0) & (place < n)
    return place.where(is_in, 0).to(int64), weight, is_in


def _combined(dims, sizes):
    """Combine the taps of all dims to flat indices and weights of the points' taps (N, taps, P).

    A tap outside the image gets the index -1 and, after the product, the weight 0, so that no pixel
    has a part in the gradient of its weight.
    """
    index, weight, inside = dims[0]
    for (place, share, is_in), n in zip(dims[1:], sizes[1:], strict=True):
        shape = (index.shape[0], index.shape[1] * place.shape[1], index.shape[2])
        index = (index.unsqueeze(2) * n + place.unsqueeze(1)).reshape(shape)
        weight = (weight.unsqueeze(2) * share.unsqueeze(1)).reshape(shape)
        inside = (inside.unsqueeze(2) & is_in.unsqueeze(1)).reshape(shape)
    return index.where(inside, -1), weight.where(inside, 0)


def _lost(found, points):
    """``found`` (N, C, P) with nan for points that lie nowhere, as their taps have no place."""
    known = points.isfinite()
    if recorder() is None and not is_meta(known) and known.all():
        return found
    return found.masked_fill(known.all(-1).logical_not().unsqueeze(1), float("nan"))


def _taps_of_arrays(points, size, align, mode, padding_mode):
    """(flat indices, weights) of all taps (N, taps, P), for an array ``points`` (N, P, dims).

    The tensor functions above say the same for points that have a gradient. They take five times
    as long for a few points, because they work on one dim after the other.
    """
    known = _numbers(size, points.dtype)
    # The last coordinate belongs to the first dim.
    x = points.transpose(2, 0, 1)[::-1].copy()
    x += known.one
    if align:
        x *= known.half
        x *= known.last
    else:
        x *= known.sizes
        x -= known.one
        x *= known.half
    if padding_mode == "border":
        # fmin and fmax give the number beside a nan, which stands for the pixel as in ``_clipped``.
        if len(size) == 3:
            np.maximum(np.fmin(x, known.last, out=x), known.zero, out=x)
        else:
            np.minimum(np.fmax(x, known.zero, out=x), known.last, out=x)
    if mode == "nearest":
        place, weight = np.rint(x)[:, :, None], np.ones_like(x)[:, :, None]
    else:
        place, weight = np.empty((2, len(size), len(points), 2, points.shape[1]), x.dtype)
        first, second = place[:, :, 0], weight[:, :, 1]
        np.floor(x, first)
        np.add(first, known.one, place[:, :, 1])
        np.subtract(x, first, second)
        np.subtract(known.one, second, weight[:, :, 0])
    outside = place >= known.zero
    outside &= place < known.sizes[..., None]
    np.logical_not(outside, outside)
    np.copyto(weight, known.zero, where=outside)
    # The index of a tap that lies outside along one dim is negative, whatever its other dims add.
    np.copyto(place, known.outside, where=outside)
    place = place.astype(np.int64)
    at, share = place[0], weight[0]
    for d in range(1, len(size)):
        shape = at.shape[0], at.shape[1] * place.shape[2], at.shape[2]
        at = (at[:, :, None] * known.steps[d] + place[d][:, None]).reshape(shape)
        share = (share[:, :, None] * weight[d][:, None]).reshape(shape)
    return np.maximum(at, known.nowhere, out=at), share


class _Numbers:
    """Numbers for images of one size, as arrays: NumPy takes twice as long for Python's numbers."""

    def __init__(self, size, dtype):
        self.zero, self.one, self.half = [np.array(v, dtype) for v in (0, 1, 0.5)]
        self.sizes = np.array(size, dtype).reshape(-1, 1, 1)
        self.last = self.sizes - self.one
        self.outside = np.array(-2 * prod(size), dtype)
        self.steps = [np.array(n) for n in size]
        self.nowhere = np.array(-1)


_numbers = lru_cache(64)(_Numbers)


#: From so many coordinates on, a kernel computes the taps.
_LEAST = large_from(1 << 11)


def _tap_columns(points, size, align, mode, padding_mode):
    """The indices of the K taps of ``points`` (P, dims), then their weights: 2 K tensors (P)."""
    dims = []
    for d, n in enumerate(size):
        taps = _single_taps(points[:, -1 - d], n, align, mode, padding_mode, len(size) == 3)
        dims.append([_inside(place, weight, n) for place, weight in taps])
    taps = dims[0]
    for more, n in zip(dims[1:], size[1:], strict=True):
        taps = [(i * n + j, w * v, a & b) for i, w, a in taps for j, v, b in more]
    return (*[i.where(a, -1) for i, _, a in taps], *[w.where(a, 0) for _, w, a in taps])


def _taps_by_kernel(points, size, *options):
    """As ``_taps_of_arrays``, by a kernel for any number of points; None without a kernel.

    The results lie in memory as (taps, N, P).
    """
    n, count, dims = points.shape
    if points.size < _LEAST:
        return None
    taps = {"nearest": 1, "bilinear": 2, "bicubic": 4}[options[1]] ** dims
    index = np.empty((taps, n, count), np.int64)
    weight = np.empty(index.shape, points.dtype)
    found = native.matrices(
        ("grid taps", size, *options), lambda x: _tap_columns(x, size, *options),
        np.ascontiguousarray(points).reshape(n * count, dims),
        outs=[column.reshape(-1) for part in (index, weight) for column in part], least=_LEAST,
    )  # fmt: skip
    return None if found is None else (index.transpose(1, 0, 2), weight.transpose(1, 0, 2))


# The function -----------------------------------------------------------------------------


def _is_plain(t):
    """Whether nobody asks for a gradient of a tensor, and no mode for its operations."""
    return not (modes.intercept or (t.node is not None and modes.records()))


def _plain_taps(points, size, align, mode, padding_mode):
    """(flat indices, weights) of all taps (N, taps, P) of an array; None: it takes tensors."""
    found = _taps_by_kernel(points, size, align, mode, padding_mode)
    if found is None and mode != "bicubic" and padding_mode != "reflection":
        found = _taps_of_arrays(points, size, align, mode, padding_mode)
    return found


def _sampled(x, grid, align, mode, padding_mode):
    """``grid_sample`` of arrays of float32 or float64; None: it takes tensors."""
    size, places = x.shape[2:], grid.shape[1:-1]
    points = grid.reshape(len(grid), prod(places), len(size))
    taps = _plain_taps(points, size, align, mode, padding_mode)
    if taps is None:
        return None
    index, weight = taps
    found = compute(weighted_gather.op, (x.reshape(*x.shape[:2], prod(size)), weight, index), {})
    if _marks_lost(size, mode, padding_mode) and not (known := np.isfinite(points)).all():
        np.copyto(found, np.nan, where=~known.all(-1)[:, None])
    return from_array(found.reshape(*x.shape[:2], *places))


def _marks_lost(size, mode, padding_mode):
    """Whether a point that lies nowhere becomes nan."""
    return len(size) == 2 and mode != "nearest" and (mode == "bicubic" or padding_mode == "zeros")


def _all_taps(points, size, align, mode, padding_mode):
    """(flat indices, weights) of all taps of ``points`` (N, P, dims): tensors (N, taps, P)."""
    if _is_plain(points):
        found = _plain_taps(plain(points), size, align, mode, padding_mode)
        if found is not None:
            return tuple(map(from_array, found))
    dims = []
    for d, n in enumerate(size):
        at = points[..., -1 - d]
        place, weight = _taps(at, n, align, mode, padding_mode, len(size) == 3)
        dims.append(_inside(place, weight, n))
    return _combined(dims, size)


def _check(input, grid, mode):
    """Raise if the shapes or dtypes of ``grid_sample``'s operands do not fit."""
    shape, other = input._array.shape, grid._array.shape
    n = len(shape) - 2
    fits = n in (2, 3) and len(other) == n + 2 and shape[0] == other[0] and other[-1] == n
    fits = fits and 0 not in shape[2:] and (mode != "bicubic" or n == 2)
    if fits and input.dtype is grid.dtype and input.is_floating_point():
        return
    given = f"input {tuple(shape)} and grid {tuple(other)}"
    if input.dtype is not grid.dtype:
        raise DtypeError(
            f"grid_sample: expected input and grid of one dtype, but got {input.dtype} and "
            f"{grid.dtype}"
        )
    if input.shape[:1] != grid.shape[:1]:
        raise ShapeError(f"grid_sample: expected one batch size, but got {given}")
    if n not in (2, 3) or grid.ndim != input.ndim:
        raise ShapeError(f"grid_sample: expected both 4D or both 5D, but got {given}")
    if grid.shape[-1] != n:
        raise ShapeError(f"grid_sample: expected grid to have size {n} in its last dim: {given}")
    if 0 in input.shape[2:]:
        raise ShapeError(f"grid_sample: expected input to have no empty spatial dims, but {given}")
    if mode == "bicubic" and n == 3:
        raise RuntimeError(f"grid_sample: bicubic interpolation only supports 4D input: {given}")
    if not input.is_floating_point():
        raise UnsupportedDtypeError(f"grid_sample: not implemented for {input.dtype}")


@autocasts(SINGLE)
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Interpolate ``input`` at the points of ``grid``.

    Args:
        input: Images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``.
        grid: Tensor ``(N, H', W', 2)`` or ``(N, D', H', W', 3)``: the points as coordinates x, y
            (and z). ``input`` covers the range from -1 to 1.
        mode: ``"bilinear"`` (default), ``"nearest"`` or, for images, ``"bicubic"``.
        padding_mode: The values beyond the edges: ``"zeros"`` (default), the outermost pixel
            (``"border"``) or the reflected image (``"reflection"``).
        align_corners: True if the coordinates -1 and 1 mean the centres of the outermost pixels,
            False if they mean their outer edges. Default: False, with a warning.

    Returns:
        Tensor ``(N, C, H', W')`` or ``(N, C, D', H', W')``.

    Raises:
        ValueError: A mode is unknown.
        RuntimeError: Shapes or dtypes do not fit, or the mode is "bicubic" for a volume.

    Source: Jaderberg et al. 2015, https://arxiv.org/abs/1506.02025

    >>> import rushlight as torch
    >>> image = torch.tensor([[[[1.0, 3.0]]]])
    >>> middle = torch.zeros(1, 1, 1, 2)
    >>> torch.nn.functional.grid_sample(image, middle, align_corners=False)
    tensor([[[[2.]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            "grid_sample: expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: "
            f"{mode!r}"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "grid_sample: expected padding_mode to be 'zeros', 'border' or 'reflection', but got: "
            f"{padding_mode!r}"
        )
    for i, t in enumerate((input, grid)):
        if not isinstance(t, Tensor):
            refuse(weighted_gather.op, i, t)
    align = _aligned("grid_sample", align_corners)
    _check(input, grid, mode)
    if _is_plain(input) and _is_plain(grid) and input._array.dtype in FLOATS:
        found = _sampled(plain(input), plain(grid), align, mode, padding_mode)
        if found is not None:
            return found
    size, places = tuple(input.shape[2:]), tuple(grid.shape[1:-1])
    points = grid.reshape(grid.shape[0], prod(places), len(size))
    if OF[input._array.dtype].itemsize < 4:
        points = points.float()  # half precision has too few digits for pixel positions
    index, weight = _all_taps(points, size, align, mode, padding_mode)
    flat = input.reshape(*input.shape[:2], prod(size))
    found = weighted_gather(flat, weight.to(input.dtype), index)
    if _marks_lost(size, mode, padding_mode):
        found = _lost(found, points)
    return watch(found.reshape(*input.shape[:2], *places), input, grid)
