"""Resizing of images: nearest, linear, cubic and Lanczos interpolation, and means of areas."""

import math

import numpy as np

from rushlight.dtype import OF, float64, int32, uint8
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.kinds import kernel
from rushlight.ops.windows.avg_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
)
from rushlight.ops.windows.resample import (
    apply_taps,
    apply_taps_to_bytes,
    integers,
    taps,
    transposed,
)
from rushlight.ops.windows.tensor_taps import resampled, resampled_back
from rushlight.tensor import Tensor, constant

__all__ = ["interpolate"]

# Kernels ----------------------------------------------------------------------------------


def _geometries(size, places, mode, align, factors, antialias, kind):
    """The arguments of ``taps`` for each dim. ``kind``: the dtype of positions and weights."""
    return [
        (n, o, mode, align, factor, antialias, kind)
        for n, o, factor in zip(size, places, factors, strict=True)
    ]


def _upsample(xp, x, *, places, mode, align=False, factors, antialias=False):
    """x with its last dims resampled to ``places``."""
    size = x.shape[x.ndim - len(places) :]
    nearest = mode.startswith("nearest")
    kind = np.float64 if x.dtype in (np.float64, np.uint8) else np.float32
    if nearest:
        quick = _is_quick(x, places)
        kind = np.float64 if x.dtype == np.float64 and not quick else np.float32
        mode = "nearest, by factor" if mode == "nearest" and not quick else mode
    tables = _geometries(size, places, mode, align, factors, antialias, kind)
    if x.dtype == np.uint8 and not nearest:
        return apply_taps_to_bytes(x, [taps(*g) for g in tables])
    return apply_taps(x, [taps(*g) for g in tables])


def _is_quick(x, places):
    """Whether PyTorch takes the quicker one of its two kernels for the nearest element.

    It computes positions in float32. Whatever the factor is, it copies dims that keep their size in
    the mode "nearest", and repeats those that double it. So do the gradients of both kernels.
    """
    n = len(places)
    last = n > 1 and x.shape[1] > 3 and np.moveaxis(x, 1, -1).flags.c_contiguous
    return last or (n == 2 and sum(places) <= 128)


@kernel(public=False, method=False, name="upsample_backward")
def _upsample_grad(xp, g, *, size, mode, align, factors, antialias):
    """The gradient of resampling an image of ``size``: the transpose of the taps, applied to g."""
    places = g.shape[g.ndim - len(size) :]
    double = g.dtype == np.float64 and not mode.startswith("nearest")
    kind = np.float64 if double else np.float32
    tables = _geometries(size, places, mode, align, factors, antialias, kind)
    return apply_taps(g, [transposed(*t) for t in tables])


def _slope(g, x_shape, places, mode, align, factors, antialias):
    size = tuple(x_shape[len(x_shape) - len(places) :])
    return _upsample_grad(
        g, size=size, mode=mode, align=align, factors=factors, antialias=antialias
    )  # fmt: skip


def _repeats(shape, size, places, mode, factors):
    """(the sizes of the leading dims, a pair (n, r) for each dim that is resampled).

    The n elements of such a dim are each repeated r times. The result is None unless the mode is
    "nearest" or "nearest-exact" and all factors are whole. A factor given for "nearest-exact" must
    be odd, too.
    """
    repeats = [(n, o // n) for n, o in zip(size, places, strict=True)]
    regular = all(
        o % n == 0 and factor in (None, r) and (mode == "nearest" or r % 2 or factor is None)
        for (n, r), o, factor in zip(repeats, places, factors, strict=True)
    )
    if not mode.startswith("nearest") or not regular:
        return None
    return tuple(shape[: len(shape) - len(size)]), repeats


def _lowered(x, places, mode, align, factors, antialias):
    """Elements are repeated if all factors are whole, and gathered by taps if not."""
    size = x.shape[len(x.shape) - len(places) :]
    found = _repeats(x.shape, size, places, mode, factors)
    if found is None:
        if antialias or not _taps_are_exact(x, size, places, mode, factors):
            return NotImplemented
        return resampled(x, places, mode, align, factors, antialias)
    lead, repeats = found
    ones = [k for n, _ in repeats for k in (n, 1)]
    many = [k for pair in repeats for k in pair]
    return x.reshape((*lead, *ones)).expand((*lead, *many)).reshape((*lead, *places))


def _taps_are_exact(x, size, places, mode, factors):
    """Whether taps that are computed with tensors find the same elements as ``taps`` does.

    Not in float64, whose nearest elements may be found in float32, nor where a factor is given but
    may be ignored: see ``_is_quick``.
    """
    if not mode.startswith("nearest"):
        return True
    sizes = zip(size, places, factors, strict=True)
    ignored = any(factor is not None and o in (n, 2 * n) for n, o, factor in sizes)
    return x.dtype is not float64 and not (mode == "nearest" and ignored)


@_upsample_grad.lower
def _summed(g, size, mode, align, factors, antialias):
    """The gradients of an element's repetitions are summed, or added by taps."""
    places = g.shape[len(g.shape) - len(size) :]
    found = _repeats(g.shape, size, places, mode, factors)
    if found is None:
        if antialias or not _taps_are_exact(g, size, places, mode, factors):
            return NotImplemented
        return resampled_back(g, size, mode, align, factors, antialias)
    lead, repeats = found
    dims = tuple([len(lead) + 2 * k + 1 for k in range(len(size))])
    return g.reshape((*lead, *[n for pair in repeats for n in pair])).sum(dims)


_upsample_grad.lower_on_devices(
    lambda g, size, mode, align, factors, antialias: resampled_back(
        g, size, mode, align, factors, antialias
    )
)


def _bytes_on_devices(x, places, mode, align, factors, antialias):
    """``apply_taps_to_bytes`` on a device: the host sends the tables, which are small."""
    if x.dtype is not uint8 or mode.startswith("nearest") or not x.is_contiguous() or not x.numel():
        return NotImplemented
    first = x.ndim - len(places)
    tables = _geometries(x.shape[first:], places, mode, align, factors, antialias, np.float64)
    for dim, geometry in reversed(list(enumerate(tables, first))):
        index, weight, _ = taps(*geometry)
        if index.shape == (1, x.shape[dim]):  # the dim keeps its size
            continue
        weight, bits = integers(index, weight)
        there = constant(np.maximum(index, 0).astype(np.int64).reshape(-1))  # others weigh nothing
        parts = x.index_select(dim, there).reshape(
            (*x.shape[:dim], *index.shape, *x.shape[dim + 1 :])
        )
        weights = constant(weight).reshape((*index.shape, *[1] * (x.ndim - dim - 1)))
        total = (parts.to(int32) * weights).sum(dim, dtype=int32) + (1 << bits - 1)
        x = (total >> bits).clamp(0, 255).to(uint8)
    return x


def _op(name, title, nearest):
    op = kernel(
        _upsample, public=False, method=False, name=f"upsample_{name}", widen=not nearest,
        channels=1, shape=lambda x, *, places, **_: (*x.shape[: x.ndim - len(places)], *places),
        grad_name=f"Upsample{title}Backward0",
    )  # fmt: skip
    op.lower(_lowered)
    op.lower_on_devices(resampled)
    op.lower_by_counting(_bytes_on_devices)
    op.grad(x=_slope)
    return op.op


_OPS = {}
for _n in (1, 2, 3):
    _OPS["nearest", False, _n] = _op(f"nearest{_n}d", f"Nearest{_n}D", True)
    _OPS["nearest-exact", False, _n] = _op(f"nearest_exact{_n}d", f"NearestExact{_n}D", True)
_OPS["linear", False, 1] = _op("linear1d", "Linear1D", False)
_OPS["linear", False, 2] = _op("bilinear2d", "Bilinear2D", False)
_OPS["linear", False, 3] = _op("trilinear3d", "Trilinear3D", False)
_OPS["cubic", False, 2] = _op("bicubic2d", "Bicubic2D", False)
_OPS["linear", True, 2] = _op("bilinear2d_aa", "Bilinear2DAa", False)
_OPS["cubic", True, 2] = _op("bicubic2d_aa", "Bicubic2DAa", False)
_OPS["lanczos", True, 2] = _op("lanczos2d_aa", "Lanczos2DAa", False)


def _again(h, g_shape, size, mode, align, factors, antialias):
    n = len(size)
    params = {
        "places": tuple(g_shape[len(g_shape) - n :]), "mode": mode, "align": align,
        "factors": factors, "antialias": antialias,
    }  # fmt: skip
    return apply(_OPS[mode, antialias, n], (h,), params)


_upsample_grad.grad(g=_again)

# Function ---------------------------------------------------------------------------------

_BY_NAME: dict[str, tuple[str, tuple]] = {
    "nearest": ("nearest", (1, 2, 3)), "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "linear": ("linear", (1,)), "bilinear": ("linear", (2,)), "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)), "lanczos": ("lanczos", (2,)),
}  # fmt: skip
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def _factors(n, size, scale_factor):
    """(sizes, None) or (None, factors), each with one number for each of ``n`` dims."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "interpolate: exactly one of size and scale_factor must be defined, but got "
            f"size={size} and scale_factor={scale_factor}"
        )
    given = scale_factor if size is None else size
    what = "scale_factor" if size is None else "size"
    if isinstance(given, (tuple, list)):
        if len(given) != n:
            raise ValueError(
                f"interpolate: Input and {what} must have the same number of spatial dimensions, "
                f"but the input has {n} and {what} is {tuple(given)}"
            )
        given = tuple(given)
    else:
        given = (given,) * n
    return (None, given) if size is None else (tuple([s.__index__() for s in given]), None)


def _check_options(n, mode, align_corners, antialias, size, recompute_scale_factor):
    if align_corners is not None and mode in ("nearest", "area", "nearest-exact"):
        raise ValueError(
            "interpolate: align_corners option can only be set with the interpolating modes: "
            f"linear | bilinear | bicubic | trilinear, not {mode}"
        )
    if recompute_scale_factor and size is not None:
        raise ValueError(
            "interpolate: recompute_scale_factor is not meaningful with an explicit size"
        )
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and n == 2):
        raise ValueError(
            "interpolate: Anti-alias option is restricted to bilinear, bicubic and lanczos modes "
            "and requires a 4-D tensor as input"
        )
    if mode == "lanczos" and n == 2 and (align_corners or not antialias):
        raise ValueError(
            "interpolate: Lanczos mode requires antialias=True and does not support "
            f"align_corners=True, but got antialias={antialias}, align_corners={align_corners}"
        )


def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None,
    recompute_scale_factor=None, antialias=False,
):  # fmt: skip
    """Resize ``input`` to ``size``, or by ``scale_factor``.

    Images of uint8 give images of uint8, which are rounded after each dim.

    Args:
        input: Tensor ``(N, C, L)``, ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
        size: Spatial size of the result: int or ints. Either ``size`` or ``scale_factor`` is given.
        mode: ``"nearest"`` (default), ``"nearest-exact"`` or ``"area"``; ``"linear"`` for one
            spatial dim; ``"bilinear"``, ``"bicubic"`` or ``"lanczos"`` for two; ``"trilinear"`` for
            three.
        align_corners: True: the centres of the corner elements of ``input`` and result coincide.
            False or None (default): their outer edges do. Only linear and cubic modes take it.
        recompute_scale_factor: Compute the points from the rounded sizes instead of
            ``scale_factor``. Default: False.
        antialias: Filter an image before it shrinks. Only ``"bilinear"``, ``"bicubic"`` and
            ``"lanczos"`` take it, and ``"lanczos"`` requires it. Default: False.

    Returns:
        Tensor ``(N, C, *size')`` with size' = ``size``, or ⌊size · scale_factor⌋.

    Raises:
        ValueError: The options do not go together.
        NotImplementedError: The mode does not take such an input.
        RuntimeError: The result, or an image, would be empty.

    >>> import rushlight as torch
    >>> x = torch.tensor([[[1.0, 2.0]]])
    >>> torch.nn.functional.interpolate(x, scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> torch.nn.functional.interpolate(x, size=4, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    if not isinstance(input, Tensor):
        refuse(_OPS["nearest", False, 2], 0, input)
    n = input._array.ndim - 2
    _check_options(n, mode, align_corners, antialias, size, recompute_scale_factor)
    places, factors = _factors(n, size, scale_factor)
    shape = tuple(input.shape[2:])
    if places is None:
        places = tuple([math.floor(s * float(f)) for s, f in zip(shape, factors, strict=True)])
        if recompute_scale_factor or mode == "area":
            factors = None
    if mode == "area" and n in _AREA:
        return _AREA[n](input, places)
    kind, dims = _BY_NAME.get(mode, ("", ()))
    if n not in dims:
        raise NotImplementedError(
            f"interpolate: mode {mode!r} is not implemented for a {n + 2}D input "
            f"{tuple(input.shape)}: 3D takes nearest, nearest-exact, linear and area; 4D "
            "bilinear, bicubic and lanczos, 5D trilinear in place of linear"
        )
    _check_sizes(input._array, places, kind)
    params = {
        "places": places, "mode": kind, "align": bool(align_corners),
        "factors": (None,) * n if factors is None else tuple(map(float, factors)),
        "antialias": antialias,
    }  # fmt: skip
    return apply(_OPS[kind, antialias, n], (input,), params)


def _check_sizes(x, places, kind):
    if min(places) < 1 or 0 in x.shape[1:]:
        raise ShapeError(
            f"interpolate: Input and output sizes should be greater than 0, but got input "
            f"{tuple(x.shape)} and output {places}"
        )
    is_bytes = x.dtype == np.uint8 and (kind.startswith("nearest") or len(places) == 2)
    if x.dtype.kind not in "fV" and not is_bytes:
        raise UnsupportedDtypeError(
            f"interpolate: not implemented for {OF[x.dtype]}; convert with .float()"
        )
