"""Fake quantization: numbers rounded to those that few bits can hold, with gradients."""

import numpy as np

from rushlight.dtype import OF
from rushlight.errors import DimError, UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.rules import where
from rushlight.ops.elementwise.rounding import round
from rushlight.tensor import Tensor

__all__ = ["fake_quantize_per_channel_affine", "fake_quantize_per_tensor_affine"]


def _of_input(operands):
    d = OF[operands[0].dtype]
    if not d.is_floating_point:
        raise UnsupportedDtypeError(f"not implemented for {d}: only floats are quantized")
    return d


def _fake(xp, x, scale, inverse, zero_point, *, quant_min, quant_max):
    q = xp.rint(x * inverse) + zero_point
    q = xp.where(q >= quant_min, q, quant_min)  # nan goes to the least one
    return (xp.where(q <= quant_max, q, quant_max) - zero_point) * scale


def _slope(g, x, inverse, zero_point, quant_min, quant_max):
    q = round(x * inverse) + zero_point
    return where((q >= quant_min) & (q <= quant_max), g, 0)


_options: dict = {
    "dtype": _of_input, "public": False, "method": False, "inplace": False, "tensors": ("x",),
    "exact": (1, 2, 3), "constants": ("scale", "inverse", "zero_point"),
}  # fmt: skip


@elementwise(name="fake_quantize_per_tensor_affine_cachemask", copied=("x",), **_options)
def _per_tensor(xp, x, scale, inverse, zero_point, *, quant_min, quant_max):
    """x rounded to a multiple of ``scale``, within the range of the integers."""
    return _fake(xp, x, scale, inverse, zero_point, quant_min=quant_min, quant_max=quant_max)


@elementwise(name="fake_quantize_per_channel_affine_cachemask", copied=("x",), **_options)
def _per_channel(xp, x, scale, inverse, zero_point, *, quant_min, quant_max):
    """As ``fake_quantize_per_tensor_affine_cachemask``, with tensors that are broadcast."""
    return _fake(xp, x, scale, inverse, zero_point, quant_min=quant_min, quant_max=quant_max)


_per_tensor.op.grad(x=_slope)
_per_channel.op.grad(x=_slope)


def _check_range(quant_min, quant_max):
    if quant_min > quant_max:
        raise RuntimeError("`quant_min` should be less than or equal to `quant_max`.")


@function(method=False, kinds={"scale": "operand", "zero_point": "operand"})
def fake_quantize_per_tensor_affine(input, scale, zero_point, quant_min, quant_max):
    """Round ``input`` as if it were quantized: training with it prepares for quantization.

    Computes ``(clamp(round(x / s) + z, quant_min, quant_max) - z) · s``. The gradient of an element
    is 1 where it is within the range, else 0; ``scale`` must not require grad.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        scale: The distance s of two numbers: a number, or a tensor with one element.
        zero_point: The integer z that stands for 0: an int, or a tensor with one element.
        quant_min: The least integer.
        quant_max: The greatest integer.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        RuntimeError: ``quant_min`` exceeds ``quant_max``, or ``zero_point`` is not between them.

    >>> import rushlight as torch
    >>> torch.fake_quantize_per_tensor_affine(torch.tensor([0.26, 9.0]), 0.5, 0, -8, 7)
    tensor([0.5000, 3.5000])
    """
    _check_range(quant_min, quant_max)
    if isinstance(scale, Tensor):
        s = scale.reshape(()).float()
        inverse, z = 1 / s, zero_point
        if isinstance(z, Tensor):
            z = z.detach().reshape(()).float()
    else:
        if isinstance(zero_point, Tensor):
            zero_point = int(zero_point)
        if not quant_min <= zero_point <= quant_max:
            raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")
        one, s32 = np.float32(1), np.float32(scale)
        with np.errstate(divide="ignore"):
            s, inverse, z = float(s32), float(one / s32), zero_point
    return _per_tensor(input, s, inverse, z, quant_min=quant_min, quant_max=quant_max)


@function(method=False)
def fake_quantize_per_channel_affine(input, scale, zero_point, axis, quant_min, quant_max):
    """Round ``input`` as if it were quantized, with a scale for each channel.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        scale: Tensor ``(C,)``, float32: the distance of two numbers in each channel.
        zero_point: Tensor ``(C,)``, int32 or float: the integer that stands for 0 in each channel.
        axis: The dim of the channels.
        quant_min: The least integer.
        quant_max: The greatest integer.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        IndexError: ``input`` has no dim ``axis``.
        RuntimeError: Shapes or dtypes do not fit, or ``quant_min`` exceeds ``quant_max``.

    >>> import rushlight as torch
    >>> scale, zero = torch.tensor([0.5, 2.0]), torch.zeros(2, dtype=torch.int32)
    >>> torch.fake_quantize_per_channel_affine(torch.tensor([[1.2], [1.2]]), scale, zero, 0, -8, 7)
    tensor([[1.],
            [2.]])
    """
    if scale.dtype.name != "float32":
        raise RuntimeError(f"Scale must be Float, found {scale.dtype}")
    if zero_point.dtype.name not in ("int32", "float32", "float16"):
        raise RuntimeError(f"Zero-point must be Int32, Float or Half, found {zero_point.dtype}")
    if scale.ndim != 1 or zero_point.ndim != 1:
        raise RuntimeError("scale and zero point should be 1-D tensors")
    if scale.shape != zero_point.shape:
        raise RuntimeError("scale and zero-point need to have the same dimensions")
    _check_range(quant_min, quant_max)
    if not 0 <= axis < max(input.ndim, 1):
        raise DimError(
            f"fake_quantize_per_channel_affine: Dimension out of range: axis {axis} of an input "
            f"with {input.ndim} dims"
        )
    if not input.ndim or scale.shape[0] != input.shape[axis]:
        raise RuntimeError(
            "dimensions of scale and zero-point are not consistent with input tensor"
        )
    shape = [-1 if d == axis else 1 for d in range(input.ndim)]
    s, z = scale.reshape(shape), zero_point.detach().reshape(shape).float()
    return _per_channel(input, s, 1 / s, z, quant_min=quant_min, quant_max=quant_max)
