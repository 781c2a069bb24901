"""``unfold`` writes image patches as columns, and ``fold`` sums columns into images.

Each is the other's gradient. Shapes: image (N, C, *size), columns (N, C · kernel, places). ``w``
is a ``window.Windows``.
"""

from math import prod
from operator import mul

from rushlight.dtype import OF
from rushlight.errors import IndexRangeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.dispatch import refuse
from rushlight.ops.core.kinds import kernel
from rushlight.ops.index.slice import placed
from rushlight.ops.windows.pad import constant_pad
from rushlight.ops.windows.window import Windows, inside, output_size, padded, span
from rushlight.storage import bits, strided
from rushlight.strides import made_like
from rushlight.tensor import Tensor

__all__ = ["fold", "unfold"]

# Columns ----------------------------------------------------------------------------------


def _as_columns(x, w):
    """Reshape windows (N, C, *places, *kernel), an array or a tensor, to columns."""
    n = len(w.places)
    dims = range(2, 2 + n)
    turned = x.permute if isinstance(x, Tensor) else x.transpose
    columns = turned((0, 1, *[d + n for d in dims], *dims))
    return columns.reshape((x.shape[0], x.shape[1] * prod(w.kernel_size), prod(w.places)))


def _dilated(x, w):
    """Keep only the elements that a dilated window selects."""
    return x[(..., *[slice(None, None, d) for d in w.dilation])]


@kernel(public=False, method=False, name="im2col", grad_name="Im2ColBackward0", widen=False)
def _columns(xp, x, *, windows):
    """The windows of an image as columns."""
    w = windows
    image = bits(padded(x, w.padding))
    lead, steps = image.strides[:2], image.strides[2:]
    strides = (*lead, *map(mul, steps, w.stride), *map(mul, steps, w.dilation))
    view = strided(image, (*x.shape[:2], *w.places, *w.kernel_size), strides)
    return _as_columns(view, w).view(x.dtype)


@_columns.lower
def _columns_of_views(x, windows):
    w = windows
    x = constant_pad(x, pad=tuple([p for p in reversed(w.padding) for _ in range(2)]))
    for d, (size, step) in enumerate(zip(span(w.kernel_size, w.dilation), w.stride, strict=True)):
        x = x.unfold(d + 2, size, step)
    return _as_columns(_dilated(x, w), w)


# Images -----------------------------------------------------------------------------------


def _apart(columns, w):
    """Reshape columns, an array or a tensor, to (N, C, *kernel, *places)."""
    n, rows, _ = columns.shape
    return columns.reshape((n, rows // prod(w.kernel_size), *w.kernel_size, *w.places))


def _added(x, w, size, zeros, add):
    """Sum the columns ``x`` into a padded image, one dim after the other.

    ``zeros(shape)`` makes an image. ``add(image, place, part)`` returns the image with ``part``
    added at ``place``.
    """
    x = _apart(x, w)
    for d, wide in enumerate(w.reach(size)):
        # x is (N, C, kernel dims from d on, image dims before d, places of the dims from d on).
        at = len(size) + 1  # where d's places are once d's kernel dim is removed
        shape = [*x.shape[:2], *x.shape[3:]]
        shape[at] = wide
        found = zeros(shape)
        for tap in range(w.kernel_size[d]):
            start = tap * w.dilation[d]
            met = slice(start, start + w.stride[d] * (w.places[d] - 1) + 1, w.stride[d])
            found = add(found, (*[slice(None)] * at, met), x[:, :, tap])
        x = found
    return x


def _add_to(image, place, part):
    image[place] += part
    return image


@kernel(public=False, method=False, name="col2im", grad_name="Col2ImBackward0")
def _image(xp, x, *, windows, size):
    """The image of ``size`` in which the columns are summed."""
    whole = _added(x, windows, size, lambda shape: made_like(x, tuple(shape), 0), _add_to)
    found = inside(whole, windows.padding, size)
    return found if found.flags.c_contiguous else found.copy()


@_image.lower
def _image_of_parts(x, windows, size):
    whole = _added(
        x, windows, size, x.new_zeros, lambda to, place, part: placed(to, to[place] + part, place)
    )
    return inside(whole, windows.padding, size).contiguous()


_columns.grad(x=lambda g, windows, x_shape: _image(g, windows=windows, size=tuple(x_shape[2:])))
_image.grad(x=lambda g, windows: _columns(g, windows=windows))

# Functions --------------------------------------------------------------------------------


def _pair(name, what, value, least):
    """``value`` as a pair of ints; raise unless both are at least ``least``."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(given) != 2:
        raise RuntimeError(f"{name}: {what} must be an int or two, but got {len(given)}: {value}")
    try:
        pair = tuple([n.__index__() for n in given])
    except AttributeError:
        raise TypeError(
            f"{name}(): argument '{what}' must be int or two ints, not {value!r}"
        ) from None
    if min(pair) < least:
        raise RuntimeError(f"{name}: {what} should be at least {least}, but got {pair}")
    return pair


def _windows(name, size, kernel_size, dilation, padding, stride):
    kernel_size = _pair(name, "kernel_size", kernel_size, 1)
    stride, dilation = _pair(name, "stride", stride, 1), _pair(name, "dilation", dilation, 1)
    padding = _pair(name, "padding", padding, 0)
    places = output_size(size, kernel_size, stride, padding, dilation)
    if min(places) < 1:
        raise ShapeError(
            f"{name}: no window fits: size {size}, kernel_size={kernel_size}, "
            f"dilation={dilation}, padding={padding}, stride={stride} give {places} windows"
        )
    return Windows(kernel_size, stride, padding, dilation, places)


def _checked(op, name, input, dims, expected):
    """True if ``input`` has a batch dim.

    Raise unless it has ``dims`` dims (batched) or one less, none of them empty but the batch's,
    and no integer dtype.
    """
    if not isinstance(input, Tensor):
        refuse(op, 0, input)
    x = input._array
    if x.ndim not in (dims - 1, dims) or 0 in x.shape[x.ndim - dims + 1 :]:
        raise (IndexRangeError if x.ndim < dims - 1 else ShapeError)(
            f"{name}: Expected {expected} with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(x.shape)}"
        )
    if x.dtype.kind in "iu":
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")
    return x.ndim == dims


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Write each patch of an image as a column, with one channel after the other.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.
        stride: Elements from patch to patch: int or two ints. Default: 1.

    Returns:
        Tensor ``(N, C · kernel, places)`` or ``(C · kernel, places)``: kernel is the number of
        elements of a patch, and places the number of patches.

    Raises:
        RuntimeError: ``input`` does not have 3 or 4 dims; no window fits.

    >>> import rushlight as torch
    >>> torch.nn.functional.unfold(torch.arange(9.0).reshape(1, 1, 3, 3), 2)
    tensor([[[0., 1., 3., 4.],
             [1., 2., 4., 5.],
             [3., 4., 6., 7.],
             [4., 5., 7., 8.]]])
    """
    batched = _checked(_columns.op, "unfold", input, 4, "3D or 4D (batch mode) tensor")
    size = tuple(input.shape[-2:])
    windows = _windows("unfold", size, kernel_size, dilation, padding, stride)
    found = _columns(input if batched else input.unsqueeze(0), windows=windows)
    return found if batched else found.squeeze(0)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Put the columns of ``input`` as patches into an image, and sum patches that overlap.

    Args:
        input: Tensor ``(N, C · kernel, places)`` or ``(C · kernel, places)``, as ``unfold`` gives.
        output_size: Height and width of the image: int or two ints.
        stride: Elements from patch to patch: int or two ints. Default: 1.

    Returns:
        Tensor ``(N, C, *output_size)`` or ``(C, *output_size)``.

    Raises:
        RuntimeError: ``input`` does not have 2 or 3 dims; its rows or columns do not fit.

    >>> import rushlight as torch
    >>> columns = torch.nn.functional.unfold(torch.ones(1, 1, 3, 3), 2)
    >>> torch.nn.functional.fold(columns, 3, 2)
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    batched = _checked(_image.op, "fold", input, 3, "2D or 3D (batch mode) tensor")
    size = _pair("fold", "output_size", output_size, 1)
    windows = _windows("fold", size, kernel_size, dilation, padding, stride)
    rows, columns = input.shape[-2:]
    for what, n, fits, wanted in (
        ("rows", rows, rows % prod(windows.kernel_size) == 0, f"{windows.kernel_size} divides"),
        ("columns", columns, columns == prod(windows.places), f"of {windows.places} windows"),
    ):
        if not fits:
            raise ShapeError(
                f"fold: input {tuple(input.shape)} has {n} {what}, expected as many as {wanted}: "
                f"output_size={size}, kernel_size={windows.kernel_size}, "
                f"dilation={windows.dilation}, padding={windows.padding}, stride={windows.stride}"
            )
    found = _image(input if batched else input.unsqueeze(0), windows=windows, size=size)
    return found if batched else found.squeeze(0)
