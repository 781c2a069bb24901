"""Operations on image channels: channel_shuffle, pixel_shuffle and pixel_unshuffle."""

from rushlight.autograd.tape import renamed
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.handlers import in_c
from rushlight.ops.shape.view import tensor_array
from rushlight.ops.tensor.memory_format import channels_last, channels_last_3d, contiguous_format
from rushlight.strides import channels_order, copied

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def _as_image(x, input):
    """Return ``x`` in memory of its own: channels last if ``input`` is so, otherwise contiguous."""
    order = channels_order([input._array])
    if order is not None:
        return x.clone(memory_format=channels_last if len(order) == 4 else channels_last_3d)
    if x.view_of is None:
        return x
    return x.clone(memory_format=contiguous_format)


def _rearranged(input, apart, order, shape):
    """``input`` in the shape ``apart``, its dims permuted to ``order``, and then in ``shape``."""
    if channels_order([input._array]) is None:
        rearranged = lambda x: copied(x.reshape(apart).transpose(order)).reshape(shape)
        found = on_arrays(rearranged, input, floats=False)
        if found is not None:
            return found
    return _as_image(input.reshape(apart).permute(order).reshape(shape), input)


def _factor(name, what, value, x):
    """Return the argument ``value``, called ``what``, as a positive int.

    Raise if ``x`` has fewer than 3 dims.
    """
    try:
        factor = value.__index__()
    except AttributeError:
        raise TypeError(
            f"{name}(): argument '{what}' (position 2) must be int, not {value!r}"
        ) from None
    if x.ndim < 3:
        raise ShapeError(
            f"{name} expects input to have at least 3 dimensions, but got {tuple(x.shape)}"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {what}, but got {factor}")
    return factor


@in_c
@function(method=False)
def pixel_shuffle(input, upscale_factor):
    """Turn each group of r² channels into one channel of r times the height and width.

    r is ``upscale_factor``. Each pixel of the r² channels becomes a square of r x r pixels.

    Args:
        input: Tensor ``(*, C · r², H, W)``.
        upscale_factor: r, a positive int.

    Returns:
        Tensor ``(*, C, H · r, W · r)``.

    Raises:
        RuntimeError: ``input`` has fewer than 3 dims, or r² does not divide the channels.

    Source: Shi et al. 2016, https://arxiv.org/abs/1609.05158

    >>> import rushlight as torch
    >>> torch.pixel_shuffle(torch.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    r = _factor(
        "pixel_shuffle", "upscale_factor", upscale_factor, tensor_array(input, "pixel_shuffle")
    )
    *lead, c, h, w = input.shape
    if c % r**2:
        raise ShapeError(
            f"pixel_shuffle: channels must be divisible by the square of upscale_factor={r}, but "
            f"input {tuple(input.shape)} has {c} in dim -3"
        )
    n = len(lead)
    found = _rearranged(
        input, (*lead, c // r**2, r, r, h, w), (*range(n + 1), n + 3, n + 1, n + 4, n + 2),
        (*lead, c // r**2, h * r, w * r),
    )  # fmt: skip
    return renamed(found, "PixelShuffleBackward0")


@in_c
@function(method=False)
def pixel_unshuffle(input, downscale_factor):
    """Turn each square of r x r pixels into r² channels: the inverse of ``pixel_shuffle``.

    r is ``downscale_factor``.

    Args:
        input: Tensor ``(*, C, H · r, W · r)``.
        downscale_factor: r, a positive int.

    Returns:
        Tensor ``(*, C · r², H, W)``.

    Raises:
        RuntimeError: ``input`` has fewer than 3 dims, or r does not divide height and width.

    >>> import rushlight as torch
    >>> torch.pixel_unshuffle(torch.arange(4).reshape(1, 2, 2), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    array = tensor_array(input, "pixel_unshuffle")
    r = _factor("pixel_unshuffle", "downscale_factor", downscale_factor, array)
    *lead, c, h, w = input.shape
    for what, size, dim in (("height", h, -2), ("width", w, -1)):
        if size % r:
            raise ShapeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor={r}, but "
                f"input {tuple(input.shape)} has {size} in dim {dim}"
            )
    if not array.size:
        return input.clone()  # as in PyTorch, the shape stays the input's
    n = len(lead)
    found = _rearranged(
        input, (*lead, c, h // r, r, w // r, r), (*range(n + 1), n + 2, n + 4, n + 1, n + 3),
        (*lead, c * r**2, h // r, w // r),
    )  # fmt: skip
    return renamed(found, "PixelUnshuffleBackward0")


@in_c
@function(method=False, alias="native_channel_shuffle")
def channel_shuffle(input, groups):
    """Divide the channels into groups and interleave the groups.

    The first channel of each group comes first, then the second channel of each group, and so on.

    Args:
        input: Tensor ``(N, C, *)`` of at least 3 dims.
        groups: Number of groups. It must divide C.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` has fewer than 3 dims, or ``groups`` does not divide the channels.

    Source: Zhang et al. 2017, https://arxiv.org/abs/1707.01083

    >>> import rushlight as torch
    >>> torch.channel_shuffle(torch.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    groups = _factor("channel_shuffle", "groups", groups, tensor_array(input, "channel_shuffle"))
    n, c, *size = input.shape
    if c % groups:
        raise ShapeError(
            f"channel_shuffle: Number of channels must be divisible by groups. Got {c} channels "
            f"and {groups} groups: {tuple(input.shape)}"
        )
    apart = (n, groups, c // groups, *size)
    found = _rearranged(input, apart, (0, 2, 1, *range(3, len(apart))), tuple(input.shape))
    return renamed(found, "ChannelShuffleBackward0")
