"""Transposed convolution: it maps a tensor of a convolution's output size to the input's size.

Shapes: x (N, C, *places), weight (C, O / groups, *kernel), out (N, O, *size).
"""

import numpy as np

from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import LOWER
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import conj, total
from rushlight.ops.windows.conv import conv, conv_input, conv_weight, remembered
from rushlight.ops.windows.pad import constant_pad
from rushlight.ops.windows.window import per_dim, span
from rushlight.tensor import Tensor

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

# Geometry ---------------------------------------------------------------------------------


def _geometry(x, weight, bias, *, name, stride, padding, output_padding, dilation, groups):
    """Check the arguments, and return the parameters as tuples of ints."""
    n = weight.ndim - 2
    stride = per_dim(stride, n, name, "stride")
    padding = per_dim(padding, n, name, "padding")
    output_padding = per_dim(output_padding, n, name, "output_padding")
    dilation = per_dim(dilation, n, name, "dilation")
    _check_channels(name, x, weight, bias, groups)
    if min(stride) < 1:
        raise RuntimeError(f"{name}: non-positive stride is not supported: {list(stride)}")
    if min(dilation) < 1:
        raise RuntimeError(
            f"{name}: dilation should be greater than zero, but got {list(dilation)}"
        )
    if min(padding) < 0 or min(output_padding) < 0:
        raise RuntimeError(
            f"{name}: negative padding is not supported: {list(padding)}, {list(output_padding)}"
        )
    if any(o >= max(s, d) for o, s, d in zip(output_padding, stride, dilation, strict=True)):
        raise RuntimeError(
            f"{name}: output padding must be smaller than either stride or dilation, but got "
            f"output_padding={list(output_padding)}, stride={list(stride)}, "
            f"dilation={list(dilation)}"
        )
    size = _size(x, weight, stride, padding, output_padding, dilation)
    empty = x.shape[0] and 0 in x.shape[2:]
    if empty or 0 in weight.shape[2:] or min(size) < 0:
        raise ShapeError(
            f"{name}: x {tuple(x.shape)} and w {tuple(weight.shape)} with padding={list(padding)} "
            f"would give an output of size {list(size)}; it is too small"
        )
    return {
        "stride": stride, "padding": padding, "output_padding": output_padding,
        "dilation": dilation, "groups": groups, "name": name,
    }  # fmt: skip


def _check_channels(name, x, weight, bias, groups):
    listed = f"x {tuple(x.shape)}; w {tuple(weight.shape)}"
    if groups < 1:
        raise RuntimeError(f"{name}: non-positive groups is not supported: {groups}")
    if weight.shape[0] < 1 or weight.shape[0] % groups:
        raise ShapeError(
            f"{name}: expected weight to be at least {groups} at dimension 0, and divisible by "
            f"groups={groups}: {listed}"
        )
    if x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"{name}: x {tuple(x.shape)} has {x.shape[1]} channels in dim 1; w "
            f"{tuple(weight.shape)} expects {weight.shape[0]}"
        )
    channels = weight.shape[1] * groups
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ShapeError(
            f"{name}: w {tuple(weight.shape)} with groups={groups} needs a bias of shape "
            f"{(channels,)}, but got {tuple(bias.shape)}"
        )
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != x.dtype):
        given = [str(OF[a.dtype]) for a in (x, weight, bias) if a is not None]
        raise DtypeError(
            f"{name}: Input type, weight type and bias type should be the same, but are "
            f"{', '.join(given)}; convert with .to()"
        )
    if x.dtype.kind == "b":
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")


def _reach(x, weight, stride, dilation):
    """The size that all windows cover together, before the padding is cut off."""
    return tuple([
        (n - 1) * step + s
        for n, step, s in zip(x.shape[2:], stride, span(weight.shape[2:], dilation), strict=True)
    ])  # fmt: skip


def _size(x, weight, stride, padding, output_padding, dilation):
    """The size of the result."""
    reach = _reach(x, weight, stride, dilation)
    return tuple([r - 2 * p + o for r, p, o in zip(reach, padding, output_padding, strict=True)])


# Kernel -----------------------------------------------------------------------------------


@kernel(
    public=False, method=False, name="conv_transpose", grad_name="ConvolutionBackward0",
    prepare=remembered(_geometry), autocast=LOWER, channels=2, lines=(0, 1), own_slope=True,
)  # fmt: skip
def conv_transpose(
    xp, x, weight, bias=None, *, stride, padding, output_padding, dilation, groups, name=None
):  # fmt: skip
    """The sum of each element of x times weight at the element's window, plus bias."""
    out = conv_input.op.forward(
        xp, x, weight, size=_size(x, weight, stride, padding, output_padding, dilation),
        stride=stride, padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    return out if bias is None else np.add(out, bias.reshape(-1, *[1] * (x.ndim - 2)), out)


conv_transpose.op.batching = "convolution"


@conv_transpose.lower
def _spread_and_bias(x, weight, bias, stride, padding, output_padding, dilation, groups):
    out = conv_input(
        x, weight, size=_size(x, weight, stride, padding, output_padding, dilation), stride=stride,
        padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    return out if bias is None else out + bias.reshape(-1, *[1] * (len(x.shape) - 2))


def _met(g, x, weight, stride, padding, output_padding, dilation):
    """(``g`` with exactly the elements that the windows cover, the padding still to apply).

    If every output_padding is smaller than its stride, ``g`` remains as it is, because a
    convolution ignores the few elements at the end that are too many. An empty ``g`` is padded,
    because a convolution refuses it.
    """
    small = all(o < s for o, s in zip(output_padding, stride, strict=True))
    if small and 0 not in g.shape[2:]:
        return g, padding
    reach = _reach(x, weight, stride, dilation)
    pairs = [(p, r - n - p) for p, r, n in zip(padding, reach, g.shape[2:], strict=True)]
    pad = tuple([n for pair in reversed(pairs) for n in pair])
    return constant_pad(g, pad=pad), (0,) * len(padding)


def _input_slope(g, x, weight, stride, padding, output_padding, dilation, groups):
    g, padding = _met(g, x, weight, stride, padding, output_padding, dilation)
    return conv(
        g, conj(weight), stride=stride, padding=padding, dilation=dilation, groups=groups
    )  # fmt: skip


def _weight_slope(g, x, weight, stride, padding, output_padding, dilation, groups):
    g, padding = _met(g, x, weight, stride, padding, output_padding, dilation)
    return conv_weight(
        conj(x), g, kernel_size=tuple(weight.shape[2:]), stride=stride, padding=padding,
        dilation=dilation, groups=groups,
    )  # fmt: skip


conv_transpose.grad(
    x=_input_slope,
    weight=_weight_slope,
    bias=lambda g: total(g, (0, *range(2, len(g.shape)))).reshape(-1),
)

# Functions --------------------------------------------------------------------------------


def conv_transposed(
    name, n, input, weight, bias, stride, padding, output_padding, groups, dilation
):  # fmt: skip
    """The public function ``name``, a transposed convolution of ``n`` dims."""
    for i, t in enumerate((input, weight)):
        if not isinstance(t, Tensor):
            refuse(conv_transpose.op, i, t)
    if input._array.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"{name}: Expected {n + 1}D (unbatched) or {n + 2}D (batched) input, but got "
            f"{tuple(input.shape)}"
        )
    if weight._array.ndim != n + 2:
        raise ShapeError(
            f"{name}: w must have {n + 2} dims (C, O / groups, *kernel), but is "
            f"{tuple(weight.shape)}; x is {tuple(input.shape)}"
        )
    single = input._array.ndim == n + 1
    batch = input.unsqueeze(0) if single else input
    params = {
        "stride": stride, "padding": padding, "output_padding": output_padding,
        "dilation": dilation, "groups": groups, "name": name,
    }  # fmt: skip
    found = apply(conv_transpose.op, (batch, weight, bias), params)
    return found.squeeze(0) if single else found


@in_c
def conv_transpose1d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):  # fmt: skip
    """Add each element of ``input`` times ``weight`` to the result, at the element's window.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.
        weight: Tensor ``(C, O / groups, K)``.

    Returns:
        Tensor ``(N, O, L')`` or ``(O, L')``, with
        L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.

    Raises:
        RuntimeError: Channels, bias, dtypes or sizes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.conv_transpose1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    tensor([[[1., 2., 2., 1.]]])
    """
    return conv_transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


@in_c
def conv_transpose2d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):  # fmt: skip
    """Add each element of ``input`` times ``weight`` to the result, at the element's window.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.
        weight: Tensor ``(C, O / groups, kH, kW)``.

    Returns:
        Tensor ``(N, O, H', W')`` or ``(O, H', W')``, each size as in ``conv_transpose1d``.

    Raises:
        RuntimeError: Channels, bias, dtypes or sizes do not fit.

    >>> import rushlight as torch
    >>> x, w = torch.ones(1, 3, 4, 4), torch.ones(3, 2, 3, 3)
    >>> torch.nn.functional.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1).shape
    torch.Size([1, 2, 8, 8])
    """
    return conv_transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


@in_c
def conv_transpose3d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):  # fmt: skip
    """Add each element of ``input`` times ``weight`` to the result, at the element's window.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        weight: Tensor ``(C, O / groups, kD, kH, kW)``.

    Returns:
        Tensor ``(N, O, D', H', W')`` or ``(O, D', H', W')``, each size as in ``conv_transpose1d``.

    Raises:
        RuntimeError: Channels, bias, dtypes or sizes do not fit.

    >>> import rushlight as torch
    >>> x, w = torch.ones(1, 1, 2, 2, 2), torch.ones(1, 2, 3, 3, 3)
    >>> torch.nn.functional.conv_transpose3d(x, w).shape
    torch.Size([1, 2, 4, 4, 4])
    """
    return conv_transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip
