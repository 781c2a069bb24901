"""Images read at any points: affine grids, and sampling at the points of a grid.

Points are read as weighted sums of the elements around them: along each dim a point has a few
taps, each a place (N, taps, P) and a weight. The taps of all dims multiply to those of the point.
"""

import warnings
from math import prod

from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.dispatch import refuse
from rushlight.ops.create.filled import ones, zeros
from rushlight.ops.create.range import arange, linspace
from rushlight.ops.shape.join import stack
from rushlight.ops.windows.grid_sample import weighted_gather
from rushlight.tensor import Tensor

__all__ = ["affine_grid", "grid_sample"]


def _aligned(name, align_corners):
    if align_corners is None:
        warnings.warn(
            f"{name}: align_corners is False unless given, since PyTorch 1.3; pass it",
            stacklevel=3,
        )
    return bool(align_corners)


# Affine grids -----------------------------------------------------------------------------


def _line(n, align, dtype):
    """The coordinates of ``n`` pixels: their centres, or from edge to edge, in [-1, 1]."""
    if n <= 1:
        return zeros(n, dtype=dtype)
    line = linspace(-1, 1, n, dtype=dtype)
    return line if align else line * ((n - 1) / n)


def affine_grid(theta, size, align_corners=None):
    """The points that affine maps ``theta`` take the pixels of an image of ``size`` to.

    The grid is for ``grid_sample``; its last dim is x, y (and z), each from -1 to 1.

    Shape: theta (N, 2, 3) and size (N, C, H, W) → (N, H, W, 2); (N, 3, 4) and (N, C, D, H, W) →
    (N, D, H, W, 3).

    Raises:
        ValueError: ``theta`` has another shape or no floats; a size is below 1.
        NotImplementedError: ``size`` has other than 4 or 5 numbers.

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
    lines = []
    for d in reversed(range(n)):  # x, the last dim, comes first
        line = _line(places[d], align, theta.dtype)
        lines.append(line.reshape([-1 if i == d else 1 for i in range(n)]).expand(places))
    points = stack([*lines, ones(places, dtype=theta.dtype)], -1).reshape(1, -1, n + 1)
    return (points @ theta.transpose(1, 2)).reshape(size[0], *places, n)


# Points -----------------------------------------------------------------------------------


def _constant(x, value):
    """``value`` at each place of ``x``, with a gradient of zero."""
    return x.floor().clamp(value, value)


def _pixels(x, n, align):
    """Coordinates from -1 to 1 as pixels from 0 to ``n`` - 1."""
    return (x + 1) / 2 * (n - 1) if align else ((x + 1) * n - 1) / 2


def _clipped(x, n):
    """``x`` in [0, n - 1]; at the ends, too, the gradient is zero."""
    inside = (x > 0) & (x < n - 1)
    return x.where(inside, _constant(x, 0.0).where((x > 0).logical_not(), _constant(x, n - 1.0)))


def _reflected(x, n, align):
    """``x`` mirrored at the ends: at the centres of the pixels there, or at their edges."""
    low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
    if span <= 0:
        return _constant(x, 0.0)
    x = (x - low).abs()
    x = x - (x / (2 * span)).trunc() * (2 * span)
    back = 2 * span - x
    return back.where(x > back, x) + low


def _within(x, n, align, padding_mode):
    """``x`` moved into the image as the padding mode says; as it is for zeros."""
    if padding_mode == "zeros":
        return x
    return _clipped(_reflected(x, n, align) if padding_mode == "reflection" else x, n)


# Taps -------------------------------------------------------------------------------------


def _cubic(t):
    """The weights of four elements around a point, ``t`` behind the second (Keys, a = -0.75)."""
    a = -0.75
    near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
    far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _taps(x, n, align, mode, padding_mode):
    """(places, weights), (N, taps, P) each, of the coordinates ``x`` (N, P) along one dim."""
    x = _pixels(x, n, align)
    if mode == "bicubic":
        first = x.floor()
        weight = stack(_cubic(x - first), 1)
        # What lies outside is looked up inside, element by element.
        place = first.detach().unsqueeze(1) + arange(-1, 3, dtype=x.dtype).unsqueeze(1)
        return _within(place, n, align, padding_mode), weight
    x = _within(x, n, align, padding_mode)
    if mode == "nearest":
        return x.round().unsqueeze(1), _constant(x, 1.0).unsqueeze(1)
    first = x.floor()
    t = x - first
    return stack([first, first + 1], 1).detach(), stack([1 - t, t], 1)


def _inside(place, weight, n):
    """Places as indices, their weights, and whether they lie inside."""
    is_in = (place >= 0) & (place < n)
    return place.where(is_in, 0).to(int64), weight, is_in


def _combined(dims, sizes):
    """The taps of points as flat indices and weights (N, taps, P), from those of each dim.

    The weight of a tap outside is set to 0 at the end, so that its pixel, which may be infinite,
    has no part in the gradient of any dim.
    """
    index, weight, inside = dims[0]
    for (place, share, is_in), n in zip(dims[1:], sizes[1:], strict=True):
        shape = (index.shape[0], index.shape[1] * place.shape[1], index.shape[2])
        index = (index.unsqueeze(2) * n + place.unsqueeze(1)).reshape(shape)
        weight = (weight.unsqueeze(2) * share.unsqueeze(1)).reshape(shape)
        inside = (inside.unsqueeze(2) & is_in.unsqueeze(1)).reshape(shape)
    return index, weight.where(inside, 0)


# The function -----------------------------------------------------------------------------


def _check(input, grid, mode):
    """Raise what is wrong with the operands of ``grid_sample``."""
    n = input.ndim - 2
    given = f"input {tuple(input.shape)} and grid {tuple(grid.shape)}"
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
    """``input`` at the points of ``grid``, interpolated.

    ``grid`` holds x, y (and z), which are -1 and 1 at the edges of the image, or, with
    ``align_corners``, at the centres of the pixels there. ``mode``: "bilinear", "nearest" or
    "bicubic". ``padding_mode``: beyond the edges are "zeros", the "border" pixel, or the image's
    "reflection".

    Shape: input (N, C, H, W) and grid (N, H', W', 2) → (N, C, H', W'); input (N, C, D, H, W) and
    grid (N, D', H', W', 3) → (N, C, D', H', W').

    Raises:
        ValueError: an unknown mode.
        RuntimeError: shapes or dtypes that do not fit; "bicubic" of a volume.

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
    size, places = tuple(input.shape[2:]), tuple(grid.shape[1:-1])
    points = grid.reshape(grid.shape[0], prod(places), len(size))
    if OF[input.array.dtype].itemsize < 4:
        points = points.float()  # half precision cannot tell pixels apart
    dims = []
    for d, n in enumerate(size):
        place, weight = _taps(points[..., -1 - d], n, align, mode, padding_mode)
        dims.append(_inside(place, weight, n))
    index, weight = _combined(dims, size)
    flat = input.reshape(*input.shape[:2], prod(size))
    return weighted_gather(flat, weight.to(input.dtype), index).reshape(*input.shape[:2], *places)
