"""Convolution in any number of dims, and its two gradients.

The gradient of each of the three operations is made of the other two.

Shapes: x (N, C, *size), weight (O, C / groups, *kernel), out (N, O, *places).
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from rushlight.backend.parallel import each, parts
from rushlight.backend.summation import MIDDLE, column_sums, row_sums
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import LOWER
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import conj, in_c_order, is_array, total
from rushlight.ops.windows import im2col
from rushlight.ops.windows.pad import constant_pad
from rushlight.ops.windows.window import inside, output_size, padded, per_dim, span
from rushlight.strides import made_like
from rushlight.tensor import Tensor

__all__ = ["conv", "conv1d", "conv2d", "conv3d", "conv_input", "conv_weight", "remembered"]

# Geometry ---------------------------------------------------------------------------------


def _geometry(x, weight, bias, *, stride, padding, dilation, groups, name="convolution"):
    """Check a convolution's arguments, and return its parameters as tuples of ints."""
    n = weight.ndim - 2
    listed = f"x {tuple(x.shape)}; w {tuple(weight.shape)}"
    stride = per_dim(stride, n, name, "stride")
    padding = per_dim(padding, n, name, "padding")
    dilation = per_dim(dilation, n, name, "dilation")
    if min(stride) < 1:
        raise RuntimeError(f"{name}: non-positive stride is not supported: {list(stride)}")
    if min(padding) < 0:
        raise RuntimeError(f"{name}: negative padding is not supported: {list(padding)}")
    if min(dilation) < 1:
        raise RuntimeError(
            f"{name}: dilation should be greater than zero, but got {list(dilation)}"
        )
    if groups < 1:
        raise RuntimeError(f"{name}: non-positive groups is not supported: {groups}")
    if weight.shape[0] < 1 or weight.shape[0] % groups:
        raise ShapeError(
            f"{name}: expected weight to be at least {groups} at dimension 0, and divisible by "
            f"groups={groups}: {listed}"
        )
    if x.shape[1] != weight.shape[1] * groups:
        raise ShapeError(
            f"{name}: x {tuple(x.shape)} has {x.shape[1]} channels in dim 1; w "
            f"{tuple(weight.shape)} "
            f"with groups={groups} expects {weight.shape[1] * groups} (expected "
            f"input{list(x.shape)} to have {weight.shape[1] * groups} channels, but got "
            f"{x.shape[1]} channels instead)"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ShapeError(
            f"{name}: w {tuple(weight.shape)} needs a bias of shape {(weight.shape[0],)}, one "
            "for each "
            f"of its {weight.shape[0]} outputs, but got {tuple(bias.shape)}"
        )
    _check_types(name, x, weight, bias)
    if (x.shape[0] and 0 in x.shape[2:]) or 0 in weight.shape[2:]:
        raise ShapeError(
            f"{name}: Only zero batch or zero channel inputs are supported, but got {listed}"
        )
    size = [s + 2 * p for s, p in zip(x.shape[2:], padding, strict=True)]
    if any(k > s for k, s in zip(span(weight.shape[2:], dilation), size, strict=True)):
        raise ShapeError(
            f"{name}: Kernel size can't be greater than actual input size: the padded input is "
            f"{tuple(size)}, the kernel covers {span(weight.shape[2:], dilation)}: {listed}"
        )
    return {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "name": name,
    }  # fmt: skip


def _check_types(name, x, weight, bias):
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != x.dtype):
        given = [str(OF[a.dtype]) for a in (x, weight, bias) if a is not None]
        raise DtypeError(
            f"{name}: Input type, weight type and bias type should be the same, but are "
            f"{', '.join(given)}; convert with .to()"
        )
    if x.dtype.kind == "b":
        raise UnsupportedDtypeError(f"{name}: not implemented for {OF[x.dtype]}")


class _Operand(NamedTuple):
    """What ``geometry`` asks of an operand."""

    shape: tuple
    dtype: np.dtype
    ndim: int


def remembered(geometry):
    """``geometry(x, weight, bias, **params)``, whose results are kept by the operands' looks."""

    @lru_cache(4096, typed=True)
    def known(types, x, x_dtype, weight, weight_dtype, bias, bias_dtype, **params):
        x, weight = _Operand(x, x_dtype, len(x)), _Operand(weight, weight_dtype, len(weight))
        bias = None if bias is None else _Operand(bias, bias_dtype, len(bias))
        return geometry(x, weight, bias, **params)

    def prepared(x, weight, bias, **params):
        no_bias = bias is None
        try:
            # 1.0 equals 1, but is refused, so the types of numbers count as well.
            types = tuple([tuple(map(type, v)) for v in params.values() if type(v) is tuple])
            return known(
                types, x.shape, x.dtype, weight.shape, weight.dtype,
                None if no_bias else bias.shape, None if no_bias else bias.dtype, **params,
            )  # fmt: skip
        except TypeError:  # a parameter is a list, or of the wrong type
            return geometry(x, weight, bias, **params)

    return prepared


# Kernels ----------------------------------------------------------------------------------

#: A convolution with at least ``_MANY`` multiplications gets a kernel for the shape of its images:
#: some hundred calls then save the time that the compilation takes. The limit is lower by the
#: factor ``_DEPTHWISE`` for depthwise convolutions, where NumPy is slower, and higher by the factor
#: ``_ONE_TAP`` for windows of one element, where BLAS multiplies the images as they are. Elsewhere
#: NumPy copies all windows, so ``_COPIED`` elements of windows are enough, too.
_MANY, _DEPTHWISE, _ONE_TAP, _COPIED = 1 << 24, 512, 16, 1 << 18
#: Code for many shapes is compiled once for all of them, so ``_SHARED`` multiplications are enough
#: for it. Weights with ``_LARGE`` elements may need other code.
_SHARED, _LARGE = 1 << 19, 1 << 18
#: A weight with ``_HUGE`` elements that meets at most ``_FEW`` places costs most by being read.
#: Kernels would pack it first; a product of matrices reads it as it lies. The gradients' products
#: are BLAS's, which gain up to ``_FEW_IN_GRADIENTS`` places.
_FEW, _FEW_IN_GRADIENTS, _HUGE = 64, 32, 1 << 20


def _worth(results, weight, groups, is_sum=True, few=_FEW_IN_GRADIENTS):
    """True if a kernel is justified for ``results`` results with a weight of shape ``weight``.

    ``is_sum``: a result is a sum over channels, as it is not in the gradient of a weight. ``few``:
    up to so many places a large weight is read as it lies.
    """
    multiplications = results * prod(weight[1:])
    if groups == 1 and results <= few * weight[0] and prod(weight) >= _HUGE:
        return False
    if groups > 1 == weight[1]:
        return multiplications * _DEPTHWISE >= _MANY
    if prod(weight[2:]) == 1:
        return multiplications >= _MANY * _ONE_TAP
    if multiplications >= _MANY or multiplications * groups >= _COPIED * weight[0]:
        return True
    return is_sum and multiplications >= _SHARED and prod(weight) < _LARGE


@lru_cache(4096)
def _forward_is_worth(x, weight, stride, padding, dilation, groups):
    """``_worth`` of a convolution of arrays of these shapes."""
    places = output_size(x[2:], weight[2:], stride, padding, dilation)
    return _worth(x[0] * weight[0] * prod(places), weight, groups, few=_FEW)


_places = lru_cache(4096)(output_size)


def _shape(x, weight, bias=None, *, stride, padding, dilation, **params):
    places = output_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return (x.shape[0], weight.shape[0], *places)


@kernel(
    public=False, method=False, name="convolution", grad_name="ConvolutionBackward0",
    prepare=remembered(_geometry), shape=_shape, least=1 << 12, autocast=LOWER,
    primitive="convolution result", channels=2, lines=(0, 1),
    worth=lambda x, weight, bias=None, *, stride, padding, dilation, groups, **_: (
        _forward_is_worth(x.shape, weight.shape, stride, padding, dilation, groups)
    ),
)  # fmt: skip
def conv(xp, x, weight, bias=None, *, stride, padding, dilation, groups, name="convolution"):
    """The sum over each window of x times weight, plus bias."""
    kernel_size = weight.shape[2:]
    places = _places(x.shape[2:], kernel_size, stride, padding, dilation)
    if bias is not None:
        bias = bias.reshape(-1, *[1] * len(places))
    if im2col.is_one_block(x, kernel_size, places, weight.size // len(weight)):
        x = padded(x, padding)
        out = im2col.products(x, weight, places, stride, dilation, groups)
        return out if bias is None else np.add(out, bias, out)
    out = made_like(x, (len(x), len(weight), *places))
    if not out.size:
        return out
    x = padded(x, padding)

    def work(part):
        if _is_depthwise(weight, groups):
            im2col.depthwise(x[part], weight, out[part], stride, dilation)
            if bias is not None:
                out[part] += bias
        else:
            im2col.convolve(x[part], weight, out[part], stride, dilation, groups, bias)

    each(work, _parts(out, weight.shape))
    return out


@conv.lower
def _conv_and_bias(x, weight, bias, stride, padding, dilation, groups):
    if bias is None:
        return NotImplemented
    out = conv(
        x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    return out + bias.reshape(-1, *[1] * (out._array.ndim - 2))


def _parts(out, weight_shape):
    """Slices of the images for the threads. An image's cost is the bytes of its im2col columns."""
    return parts(len(out), prod(out.shape[2:]) * prod(weight_shape[1:]) * out.itemsize)


def _is_depthwise(weight, groups):
    return weight.shape[1] == 1 and 1 < groups == len(weight)


@kernel(
    public=False, method=False, name="convolution_input_grad", least=1 << 12,
    primitive="convolution input_grad",
    worth=lambda g, weight, *, groups, **_: _worth(g.size, weight.shape, groups),
    shape=lambda g, weight, *, size, groups, **_: (g.shape[0], weight.shape[1] * groups, *size),
)  # fmt: skip
def conv_input(xp, g, weight, *, size, stride, padding, dilation, groups):
    """The gradient of x, which is also the transposed convolution of g.

    Each window adds g times weight to its elements.
    """
    full = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    deep = _is_depthwise(weight, groups)
    whole = not deep and im2col.meets_all(weight, full, g)
    found = made_like(g, (len(g), weight.shape[1] * groups, *full), None if whole else 0)

    def work(part):
        if deep:
            im2col.spread_depthwise(found[part], g[part], weight, stride, dilation)
        else:
            im2col.spread(found[part], g[part], weight, stride, dilation, groups)

    if g.size and weight.size:
        each(work, _parts(g, weight.shape))
    found = inside(found, padding, size)
    return found if found.flags.c_contiguous else found.copy()


@kernel(
    public=False, method=False, name="convolution_weight_grad", least=1 << 12,
    primitive="convolution weight_grad",
    worth=lambda g, x, *, kernel_size, groups, **_: _worth(
        g.size, (g.shape[1], x.shape[1] // groups, *kernel_size), groups, is_sum=False
    ),
    shape=lambda g, x, *, kernel_size, groups, **_: (
        g.shape[1], x.shape[1] // groups, *kernel_size
    ),
)  # fmt: skip
def conv_weight(xp, g, x, *, kernel_size, stride, padding, dilation, groups):
    """The gradient of weight: for each weight, the sum of g times the elements of x it met."""
    if not g.size or not x.size:
        return np.zeros((g.shape[1], x.shape[1] // groups, *kernel_size), g.dtype)
    x = padded(x, padding)
    found = each(
        lambda part: im2col.correlate_weight(
            g[part], x[part], kernel_size, stride, dilation, groups
        ),
        _parts(g, (g.shape[1], x.shape[1] // groups, *kernel_size)),
    )
    return np.ascontiguousarray(sum(found[1:], found[0]))


# Gradients --------------------------------------------------------------------------------


def _bias_slope(g):
    g = g.reshape(*g.shape[:2], prod(g.shape[2:]))
    if is_array(g) and g.size <= MIDDLE:
        return column_sums(row_sums(in_c_order(g)))
    return total(g, (0, 2)).reshape(-1)


conv.grad(
    x=lambda g, x_shape, weight, stride, padding, dilation, groups: conv_input(
        g, conj(weight), size=tuple(x_shape[2:]), stride=stride, padding=padding,
        dilation=dilation, groups=groups,
    ),
    weight=lambda g, x, weight_shape, stride, padding, dilation, groups: conv_weight(
        g, conj(x), kernel_size=tuple(weight_shape[2:]), stride=stride, padding=padding,
        dilation=dilation, groups=groups,
    ),
    bias=_bias_slope,
)  # fmt: skip
# In the following rules h is the incoming gradient, and g is the operation's input named g.
conv_input.grad(
    g=lambda h, weight, stride, padding, dilation, groups: conv(
        h, conj(weight), stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    weight=lambda h, g, weight_shape, stride, padding, dilation, groups: conv_weight(
        conj(g), h, kernel_size=tuple(weight_shape[2:]), stride=stride, padding=padding,
        dilation=dilation, groups=groups,
    ),
)  # fmt: skip
conv_weight.grad(
    g=lambda h, x, stride, padding, dilation, groups: conv(
        conj(x), h, stride=stride, padding=padding, dilation=dilation, groups=groups
    ),
    x=lambda h, g, x_shape, stride, padding, dilation, groups: conv_input(
        conj(g), h, size=tuple(x_shape[2:]), stride=stride, padding=padding, dilation=dilation,
        groups=groups,
    ),
)  # fmt: skip


# Functions --------------------------------------------------------------------------------


def _same(name, weight, stride, dilation):
    """(left, right) for each dim: the padding with which the result keeps the input's size."""
    n = weight.ndim - 2
    if any(s != 1 for s in per_dim(stride, n, name, "stride")):
        raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions")
    total = [s - 1 for s in span(weight.shape[2:], per_dim(dilation, n, name, "dilation"))]
    return [(t // 2, t - t // 2) for t in total]


def convolved(name, n, input, weight, bias, stride, padding, dilation, groups):
    """The public function ``name``, a convolution of ``n`` dims."""
    for i, t in enumerate((input, weight)):
        if not isinstance(t, Tensor):
            refuse(conv.op, i, t)
    x, w = input._array, weight._array
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"{name}: Expected {n + 1}D (unbatched) or {n + 2}D (batched) input, but got "
            f"{tuple(x.shape)}"
        )
    if w.ndim != n + 2:
        raise ShapeError(
            f"{name}: weight should have at least three dimensions: it must have {n + 2} (O, "
            f"C / groups, *kernel), but is {tuple(w.shape)}; x is {tuple(x.shape)}"
            if w.ndim < 3
            else f"{name}: Expected {w.ndim}-dimensional input for {w.ndim}-dimensional weight "
            f"{list(w.shape)}, but got {x.ndim}-dimensional input of size {list(x.shape)} instead: "
            f"w must have {n + 2} dims (O, C / groups, *kernel)"
        )
    if x.ndim == n + 1:
        batch = input.unsqueeze(0)
        return convolved(name, n, batch, weight, bias, stride, padding, dilation, groups).squeeze(0)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(
                f"{name}: Invalid padding string: {padding!r}; use 'same' or 'valid'"
            )
        pairs = _same(name, w, stride, dilation) if padding == "same" else [(0, 0)] * n
        padding = tuple([low for low, _ in pairs])
        if any(low != high for low, high in pairs):
            extra = [v for low, high in reversed(pairs) for v in (0, high - low)]
            input = constant_pad(input, tuple(extra))
    params = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "name": name,
    }  # fmt: skip
    return apply(conv.op, (input, weight, bias), params)


@in_c
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide ``weight`` along ``input`` (cross-correlation).

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.
        weight: Tensor ``(O, C / groups, K)``.

    Returns:
        Tensor ``(N, O, L')`` or ``(O, L')``, with
        L' = (L + 2 padding - dilation (K - 1) - 1) // stride + 1.

    Raises:
        RuntimeError: Channels, bias, dtypes or sizes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2))
    tensor([[[2., 2., 2.]]])
    """
    return convolved("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@in_c
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide ``weight`` over ``input`` (cross-correlation).

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.
        weight: Tensor ``(O, C / groups, kH, kW)``.

    Returns:
        Tensor ``(N, O, H', W')`` or ``(O, H', W')``, with
        H' = (H + 2 padding - dilation (kH - 1) - 1) // stride + 1.

    Raises:
        RuntimeError: Channels, bias, dtypes or sizes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3)).shape
    torch.Size([1, 4, 6, 6])
    """
    return convolved("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@in_c
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide ``weight`` through ``input`` (cross-correlation).

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        weight: Tensor ``(O, C / groups, kD, kH, kW)``.

    Returns:
        Tensor ``(N, O, D', H', W')`` or ``(O, D', H', W')``, each size as in ``conv1d``.

    Raises:
        RuntimeError: Channels, bias, dtypes or sizes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.conv3d(torch.ones(1, 1, 4, 4, 4), torch.ones(2, 1, 3, 3, 3)).shape
    torch.Size([1, 2, 2, 2, 2])
    """
    return convolved("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)
