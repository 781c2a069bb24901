"""Sampling of images at arbitrary points: ``affine_grid`` and ``grid_sample``."""

import warnings
from functools import lru_cache
from math import prod

from rushlight.autograd import mode as modes
from rushlight.autograd.tape import renamed
from rushlight.backend.sizes import large_from
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.create.filled import ones, zeros
from rushlight.ops.create.range import linspace
from rushlight.ops.shape.join import stack
from rushlight.ops.windows.grid_sampler import grid_sampler
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
    return line if align else line * (n - 1) / n


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
    # The points are constants, so a second backward is possible, as in PyTorch.
    found = renamed(points @ theta.transpose(1, 2), holds=False)
    return renamed(found.reshape(size[0], *places, n), "AffineGridGeneratorBackward0")


# Sampling ---------------------------------------------------------------------------------


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
            refuse(grid_sampler[2].op, i, t)
    align = _aligned("grid_sample", align_corners)
    _check(input, grid, mode)
    params = {"mode": mode, "padding": padding_mode, "align": align}
    return apply(grid_sampler[input.ndim - 2].op, (input, grid), params)
