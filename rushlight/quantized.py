"""Quantized tensors: integers with a scale. They are stored, printed, and dequantized.

A quantized tensor is no ``Tensor``, because operations must not take its integers for numbers.
"""

from typing import Any

import rushlight
from rushlight.dtype import QuantizedDtype, qint8, qint32, quint8
from rushlight.notices import warn_once
from rushlight.printing import format_with
from rushlight.tensor import Tensor

__all__ = [
    "QScheme", "QuantizedTensor", "choose_parameters", "dequantize", "int_repr",
    "per_channel_affine", "per_channel_affine_float_qparams", "per_channel_symmetric",
    "per_tensor_affine", "per_tensor_symmetric", "q_per_channel_axis", "q_per_channel_scales",
    "q_per_channel_zero_points", "q_scale", "q_zero_point", "quantize_per_channel",
    "quantize_per_tensor", "quantize_per_tensor_dynamic",
]  # fmt: skip

_SMALLEST_SCALE = 6.1e-5
_LIMITS = {qint8: (-128, 127), quint8: (0, 255), qint32: (-(2**31), 2**31 - 1)}


class QScheme:
    """How a quantized tensor's integers stand for numbers.

    Args:
        name: The name in ``torch``.

    >>> import rushlight as torch
    >>> torch.per_tensor_affine
    torch.per_tensor_affine
    """

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return _scheme, (self.name,)

    def __deepcopy__(self, memo):
        return self


per_tensor_affine = QScheme("per_tensor_affine")
per_tensor_symmetric = QScheme("per_tensor_symmetric")
per_channel_affine = QScheme("per_channel_affine")
per_channel_symmetric = QScheme("per_channel_symmetric")
per_channel_affine_float_qparams = QScheme("per_channel_affine_float_qparams")


qscheme = QScheme


def _scheme(name):
    return globals()[name]


class QuantizedTensor:
    """Integers q that stand for the numbers (q - zero_point) · scale.

    Args:
        values: Tensor of the integers.
        scale: The scale: a number, or a tensor with one for each channel.
        zero_point: The integer that stands for 0: an int, or a tensor.
        dtype: ``torch.qint8``, ``torch.quint8`` or ``torch.qint32``.
        axis: The dim of the channels; None for one scale.

    >>> import rushlight as torch
    >>> q = torch.quantize_per_tensor(torch.tensor([0.5, 1.2]), 0.5, 0, torch.qint8)
    >>> q.int_repr(), q.dequantize()
    (tensor([1, 2], dtype=torch.int8), tensor([0.5000, 1.0000]))
    """

    is_quantized = True
    requires_grad = False
    is_leaf = True
    grad_fn = grad = None

    def __init__(self, values, scale, zero_point, dtype, axis=None):
        self.values, self.scale, self.zero_point = values, scale, zero_point
        self.dtype, self.axis = dtype, axis

    # What it holds

    def int_repr(self):
        """Return the integers, as a tensor of the dtype in which they are stored."""
        return self.values.clone()

    def dequantize(self):
        """Return the numbers, as a float32 tensor."""
        return _numbers(self.values, self.scale, self.zero_point, self.axis)

    def qscheme(self):
        """Return ``torch.per_tensor_affine`` or ``torch.per_channel_affine``."""
        return per_tensor_affine if self.axis is None else per_channel_affine

    def q_scale(self):
        """Return the scale, a float."""
        self._require_one("q_scale")
        return self.scale

    def q_zero_point(self):
        """Return the integer that stands for 0."""
        self._require_one("q_zero_point")
        return self.zero_point

    def q_per_channel_scales(self):
        """Return the scales of the channels, a float64 tensor."""
        self._require_several("q_per_channel_scales")
        return self.scale

    def q_per_channel_zero_points(self):
        """Return the integers that stand for 0 in the channels, an int64 tensor."""
        self._require_several("q_per_channel_zero_points")
        return self.zero_point

    def q_per_channel_axis(self):
        """Return the dim of the channels."""
        self._require_several("q_per_channel_axis")
        return self.axis

    def _require_one(self, name):
        if self.axis is not None:
            raise RuntimeError(f"{name}: Expected quantizer->qscheme() == kPerTensorAffine")

    def _require_several(self, name):
        if self.axis is None:
            raise RuntimeError(f"{name}: Expected quantizer->qscheme() == kPerChannelAffine")

    # As a tensor

    shape = property(lambda self: self.values.shape)
    ndim = property(lambda self: self.values.ndim)
    device = property(lambda self: self.values.device)
    layout = property(lambda self: self.values.layout)
    is_cuda = property(lambda self: False)

    def size(self, dim=None):
        """Return the shape, or the size of a dim."""
        return self.values.shape if dim is None else self.values.shape[dim]

    def dim(self):
        """Return the number of dims."""
        return self.values.ndim

    def numel(self):
        """Return the number of elements."""
        return self.values.numel()

    def element_size(self):
        """Return the size of an element in bytes."""
        return self.values.element_size()

    def float(self):
        """Return the numbers, as ``dequantize``."""
        return self.dequantize()

    def detach(self):
        """Return the tensor itself, which has no history."""
        return self

    cpu = contiguous = detach

    def to(self, *args, **kwargs):
        """Return the tensor itself, which is on the CPU; its dtype can't be changed."""
        if any(isinstance(a, rushlight.dtype) for a in (*args, *kwargs.values())):
            raise RuntimeError("to: a quantized tensor has no other dtypes: dequantize() it first")
        return self

    def clone(self, **kwargs):
        """Return a copy."""
        return self._with(self.values.clone())

    def _with(self, values):
        return QuantizedTensor(values, self.scale, self.zero_point, self.dtype, self.axis)

    def __len__(self):
        return len(self.values)

    def __getattr__(self, name):
        if name in _VIEWS:
            if self.axis is not None:
                raise NotImplementedError(
                    f"{name}: not for tensors with a scale for each channel: dequantize() first"
                )
            return lambda *args, **kwargs: self._with(getattr(self.values, name)(*args, **kwargs))
        raise AttributeError(f"a quantized tensor has no attribute {name!r}: dequantize() it first")

    def __getitem__(self, index):
        return self.__getattr__("__getitem__")(index)

    def __deepcopy__(self, memo):
        return self.clone()

    def __repr__(self):
        scheme: list = [f"quantization_scheme={self.qscheme()}"]
        if self.axis is None:
            scheme += [f"scale={self.scale}", f"zero_point={self.zero_point}"]
        else:
            scheme += [f"scale={self.scale}", f"zero_point={self.zero_point}", f"axis={self.axis}"]
        numbers = self.dequantize()
        found = [f"size={tuple(self.shape)}", f"dtype={self.dtype}", *scheme]
        return format_with(numbers._array, numbers.dtype, found)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Compute one of the few functions of quantized tensors."""
        call: Any = _CALLS.get(getattr(func, "__name__", ""))
        if call is None:
            raise NotImplementedError(
                f"Could not run '{getattr(func, '__name__', func)}' with a quantized tensor: "
                "dequantize() it first"
            )
        return call(*args, **(kwargs or {}))


_VIEWS = frozenset({
    "view", "reshape", "flatten", "permute", "transpose", "t", "squeeze", "unsqueeze", "expand",
    "__getitem__", "narrow", "select", "unflatten",
})  # fmt: skip


def _numbers(values, scale, zero_point, axis):
    if axis is None:
        return (values.int() - zero_point).float() * scale
    shape = [-1 if d == axis else 1 for d in range(values.ndim)]
    steps = values.int() - zero_point.reshape(shape)
    return steps.float() * scale.reshape(shape).float()


def _equal(x, y):
    same = isinstance(x, QuantizedTensor) and isinstance(y, QuantizedTensor) and x.dtype is y.dtype
    if not same or x.axis != y.axis:
        return False
    whole = [(a.scale, a.zero_point) for a in (x, y)]
    if x.axis is not None:
        whole = [(a.scale.tolist(), a.zero_point.tolist()) for a in (x, y)]
    return whole[0] == whole[1] and rushlight.equal(x.values, y.values)


def _relu(x, inplace=False):
    x._require_one("relu")
    return x._with(x.values.clamp(min=x.zero_point))


_CALLS = {
    "equal": _equal, "relu": _relu, "clone": lambda x, **kwargs: x.clone(),
    "dequantize": lambda x: x.dequantize(),
}  # fmt: skip


# Making them ------------------------------------------------------------------------------


def _checked(input, dtype):
    if not isinstance(dtype, QuantizedDtype):
        raise RuntimeError(
            f"ScalarType {dtype} is not supported in new_qtensor: use torch.qint8, torch.quint8 or "
            "torch.qint32"
        )
    if not isinstance(input, Tensor):
        raise TypeError(f"quantize: input must be Tensor, not {type(input).__name__}")
    if input.dtype is not rushlight.float32:
        raise RuntimeError(f"Quantize only works on Float Tensor, got {input.dtype}")
    warn_once(
        "torch.quantize_per_tensor, torch.quantize_per_channel and other quantized tensor creation "
        "functions that produce tensors with dtype torch.quint8, torch.qint8, and torch.qint32 are "
        "deprecated and will be removed in a future PyTorch release. Please see "
        "https://github.com/pytorch/pytorch/issues/184982 for more information."
    )
    return input.detach()


def _rounded(x, inverse, zero_point, dtype):
    low, high = _LIMITS[dtype]
    found = (x * inverse).round().double() + zero_point
    return found.clamp(low, high).to(dtype.stored)


def quantize_per_tensor(input, scale, zero_point, dtype):
    """Round numbers to integers: q = round(x / scale) + zero_point.

    Args:
        input: Tensor of any shape ``(*)``, float32; or a list of tensors.
        scale: The distance of two numbers, a float or a tensor with one element.
        zero_point: The integer that stands for 0, an int or a tensor with one element.
        dtype: ``torch.qint8``, ``torch.quint8`` or ``torch.qint32``.

    Returns:
        A QuantizedTensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` is not float32, ``dtype`` is no quantized type, or ``zero_point`` is
            out of its range.

    >>> import rushlight as torch
    >>> torch.quantize_per_tensor(torch.tensor([-1.0, 0.26]), 0.1, 10, torch.quint8).int_repr()
    tensor([ 0, 13], dtype=torch.uint8)
    """
    if isinstance(input, (list, tuple)):
        parts = zip(input, scale, zero_point, strict=True)
        return tuple([quantize_per_tensor(x, s, z, dtype) for x, s, z in parts])
    x = _checked(input, dtype)
    scale = float(scale)
    zero_point = int(zero_point)
    low, high = _LIMITS[dtype]
    if not low <= zero_point <= high:
        where = "above upper" if zero_point > high else "below lower"
        raise RuntimeError(
            f"quantize_tensor_per_tensor_affine zero_point {zero_point} is {where} bound."
        )
    inverse = 1 / rushlight.tensor(scale, dtype=rushlight.float32)
    return QuantizedTensor(_rounded(x, inverse, zero_point, dtype), scale, zero_point, dtype)


def quantize_per_channel(input, scales, zero_points, axis, dtype):
    """Round numbers to integers, with a scale for each channel.

    Args:
        input: Tensor of any shape ``(*)``, float32.
        scales: Tensor ``(C,)``: the distance of two numbers in each channel.
        zero_points: Tensor ``(C,)`` of the integers that stand for 0.
        axis: The dim of the channels.
        dtype: ``torch.qint8``, ``torch.quint8`` or ``torch.qint32``.

    Returns:
        A QuantizedTensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` is not float32, ``dtype`` is no quantized type, or the number of
            scales is not that of channels.

    >>> import rushlight as torch
    >>> scales, zeros = torch.tensor([0.1, 0.5]), torch.tensor([0, 1])
    >>> torch.quantize_per_channel(torch.ones(2, 1), scales, zeros, 0, torch.qint8).int_repr()
    tensor([[10],
            [ 3]], dtype=torch.int8)
    """
    x = _checked(input, dtype)
    if scales.ndim != 1 or scales.shape != zero_points.shape:
        raise RuntimeError("scale and zero_points must be 1-dimensional and of one length")
    if scales.shape[0] != x.shape[axis]:
        raise RuntimeError("length of scales must equal to channel")
    shape = [-1 if d == axis else 1 for d in range(x.ndim)]
    scales, zero_points = scales.detach().double(), zero_points.detach().long()
    inverse = 1 / scales.reshape(shape).float()
    values = _rounded(x, inverse, zero_points.reshape(shape), dtype)
    return QuantizedTensor(values, scales, zero_points, dtype, axis)


def choose_parameters(x, reduce_range):
    """Return (scale, zero_point) by which 8 bits without a sign hold all numbers of ``x``.

    0 is represented exactly.

    Args:
        x: Tensor of any shape, float32, with at least one element.
        reduce_range: Use 7 of the 8 bits.

    Returns:
        Two 0-dim tensors of float64, so that a compiled program computes them, too.

    Source: ``ChooseQuantizationParams`` of PyTorch's fbgemm kernels.

    >>> import rushlight as torch
    >>> from rushlight.quantized import choose_parameters
    >>> choose_parameters(torch.tensor([0.0, 127.0]), reduce_range=True)
    (tensor(1., dtype=torch.float64), tensor(0., dtype=torch.float64))
    """
    top = 127 if reduce_range else 255
    low = x.min().clamp(max=0).double()
    high = x.max().clamp(min=0).double()
    plain = (high - low) / top
    single = plain.float()
    plain = rushlight.where((single == 0) | (1 / single).isinf(), 0.1, plain)
    small = rushlight.tensor(_SMALLEST_SCALE, dtype=rushlight.float32).double()
    cut = plain < small
    # With a scale that was raised, the ends move out in proportion.
    factor = small / plain
    new_low = rushlight.where(high == 0, -small * top, low * factor)
    new_high = rushlight.where(low == 0, small * top, high * factor)
    low, high = [
        rushlight.where(cut & (other != 0), moved, end)
        for moved, end, other in ((new_low, low, low), (new_high, high, high))
    ]
    scale = rushlight.where(cut, small, plain)
    from_low, from_high = -low / scale, top - high / scale
    errors = low.abs() / scale, top + (high / scale).abs()
    zero = rushlight.where(errors[0] < errors[1], from_low, from_high)
    return scale, zero.round().clamp(0, top)


def quantize_per_tensor_dynamic(input, dtype, reduce_range):
    """Round numbers to integers by a scale that fits the least and the greatest of them.

    Args:
        input: Tensor of any shape ``(*)``, float32.
        dtype: ``torch.quint8``, or ``torch.qint8``.
        reduce_range: Use 7 of the 8 bits, so that sums of products do not overflow in hardware.

    Returns:
        A QuantizedTensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` is not float32, or ``dtype`` is no quantized type of 8 bits.

    >>> import rushlight as torch
    >>> torch.quantize_per_tensor_dynamic(torch.tensor([0.0, 255.0]), torch.quint8, False).q_scale()
    1.0
    """
    if dtype not in (qint8, quint8):
        raise RuntimeError(f"dtype {dtype} not supported")
    x = _checked(input, dtype)
    if dtype is qint8:
        raise NotImplementedError("quantize_per_tensor_dynamic: only torch.quint8")
    scale, zero_point = choose_parameters(x, reduce_range)
    return quantize_per_tensor(x, scale, zero_point, dtype)


# Functions of quantized tensors -----------------------------------------------------------


def _require(x, name):
    if not isinstance(x, QuantizedTensor):
        raise NotImplementedError(f"{name}: the tensor is not quantized: {type(x).__name__}")
    return x


def dequantize(input):
    """Return the numbers of a quantized tensor, or of each in a list.

    Args:
        input: A QuantizedTensor, a float tensor, or a list of them.

    Returns:
        A float32 tensor, or a tuple of them.

    >>> import rushlight as torch
    >>> q = torch.quantize_per_tensor(torch.tensor([0.26]), 0.5, 0, torch.qint8)
    >>> torch.dequantize(q)
    tensor([0.5000])
    """
    if isinstance(input, (list, tuple)):
        return tuple([dequantize(x) for x in input])
    return input.dequantize() if isinstance(input, QuantizedTensor) else input.float()


def int_repr(input):
    """Return the integers of a quantized tensor.

    Args:
        input: A QuantizedTensor.

    Returns:
        Tensor of int8, uint8 or int32.

    >>> import rushlight as torch
    >>> torch.int_repr(torch.quantize_per_tensor(torch.ones(1), 0.5, 0, torch.qint8))
    tensor([2], dtype=torch.int8)
    """
    return _require(input, "int_repr").int_repr()


def q_scale(input):
    """Return the scale of a quantized tensor.

    Args:
        input: A QuantizedTensor with one scale.

    Returns:
        A float.

    >>> import rushlight as torch
    >>> torch.q_scale(torch.quantize_per_tensor(torch.ones(1), 0.5, 0, torch.qint8))
    0.5
    """
    return _require(input, "q_scale").q_scale()


def q_zero_point(input):
    """Return the integer that stands for 0 in a quantized tensor.

    Args:
        input: A QuantizedTensor with one scale.

    Returns:
        An int.

    >>> import rushlight as torch
    >>> torch.q_zero_point(torch.quantize_per_tensor(torch.ones(1), 0.5, 3, torch.qint8))
    3
    """
    return _require(input, "q_zero_point").q_zero_point()


def _of_channels(name, what):
    def call(input):
        return getattr(_require(input, name), name)()

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""Return {what} of a quantized tensor with a scale for each channel.

    Args:
        input: A QuantizedTensor.

    Returns:
        A tensor, or an int for the axis.

    >>> import rushlight as torch
    >>> ones, zeros = torch.ones(1), torch.zeros(1, dtype=torch.int64)
    >>> found = torch.{name}(torch.quantize_per_channel(torch.ones(1), ones, zeros, 0, torch.qint8))
    """
    return call


q_per_channel_scales = _of_channels("q_per_channel_scales", "the scales")
q_per_channel_zero_points = _of_channels("q_per_channel_zero_points", "the zero points")
q_per_channel_axis = _of_channels("q_per_channel_axis", "the dim of the channels")


def _rebuild_qtensor(
    storage, storage_offset, size, stride, quantizer_params, requires_grad, backward_hooks
):
    """Build a quantized tensor from a storage of its integers, as pickles of PyTorch ask for it."""
    values = rushlight.empty(0, dtype=storage.dtype)
    values.set_(storage, storage_offset, size, stride)
    dtype = {"int8": qint8, "uint8": quint8, "int32": qint32}[values.dtype.numpy.name]
    _scheme, scale, zero_point, *axis = quantizer_params
    return QuantizedTensor(values, scale, zero_point, dtype, *axis)
