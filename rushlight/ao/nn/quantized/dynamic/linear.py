"""A linear layer with int8 weights, and its parameters."""

from typing import Any

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.nn import Module
from rushlight.quantized import QuantizedTensor, choose_parameters, quantize_per_tensor

__all__ = ["Linear", "PackedParams", "product", "quantized_weight"]

#: With at least this many columns, sums of products of 8 bits can exceed float32 whole numbers.
_WIDE = 2**24 // (128 * 255)


def quantized_weight(weight, observer, dtype):
    """The weight as integers, by the scale that ``observer`` chooses; or in half precision."""
    weight = weight.detach().float()
    if dtype is rushlight.float16:
        return weight.half()
    observer(weight)
    scale, zero_point = observer.calculate_qparams()
    if observer.qscheme in (rushlight.per_channel_symmetric, rushlight.per_channel_affine):
        return rushlight.quantize_per_channel(
            weight, scale, zero_point, observer.ch_axis, rushlight.qint8
        )
    return quantize_per_tensor(weight, float(scale), int(zero_point), rushlight.qint8)


def product(x, weight, bias):
    """``x @ weight.T + bias``, computed with integers: x becomes 7 bits without a sign.

    Args:
        x: Tensor ``(*, in)`` of at least two dims, float32.
        weight: QuantizedTensor ``(out, in)``; a float16 Tensor is multiplied in float32.
        bias: Tensor ``(out,)``, or None.
    """
    x = x.detach()
    if x.ndim < 2:
        raise RuntimeError("The dimension of input tensor should be larger than or equal to 2")
    if not isinstance(weight, QuantizedTensor):
        return rushlight.nn.functional.linear(x, weight.float(), bias)
    if not x.numel():
        return x.new_zeros((*x.shape[:-1], weight.shape[0]))
    scale, zero_point = choose_parameters(x, reduce_range=True)
    wide = rushlight.float64 if x.shape[-1] >= _WIDE else rushlight.float32
    q = ((x * (1 / scale.float())).round() + zero_point.float()).clamp(0, 255)
    w = weight.values.to(wide) - _along_rows(weight.zero_point, wide)
    # All sums are whole numbers that the dtype holds exactly, so their order does not matter.
    sums = ((q - zero_point.float()).to(wide) @ w.T).float()
    found = sums * (scale.float() * _along_columns(weight.scale))
    return found if bias is None else found + bias


def _along_rows(value, dtype):
    return value.to(dtype).reshape(-1, 1) if isinstance(value, rushlight.Tensor) else value


def _along_columns(value):
    return value.float() if isinstance(value, rushlight.Tensor) else value


class PackedParams(Module):
    """The weight and the bias of a linear layer, as a part of its state.

    Args:
        weight: QuantizedTensor, or a float16 tensor.
        bias: Tensor, or None.
        dtype: ``torch.qint8`` or ``torch.float16``.

    >>> PackedParams(None, None).dtype
    torch.qint8
    """

    def __init__(self, weight, bias, dtype=rushlight.qint8):
        super().__init__()
        self.dtype = dtype
        self.packed = weight, bias  # in a tuple, so that the bias is no parameter of the module

    weight = property(lambda self: self.packed[0])
    bias = property(lambda self: self.packed[1])

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}dtype"] = self.dtype
        destination[f"{prefix}_packed_params"] = self.packed

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        for key in ("dtype", "_packed_params"):
            if f"{prefix}{key}" not in state_dict:
                missing_keys.append(f"{prefix}{key}")
                return
        self.dtype = state_dict.pop(f"{prefix}dtype")
        self.packed = state_dict.pop(f"{prefix}_packed_params")

    def forward(self, x):
        """Return ``x @ weight.T + bias``."""
        return product(x, self.weight, self.bias)


class Linear(Module):
    """A linear layer whose weight is int8, and whose input becomes 7 bits at each call.

    ``torch.ao.quantization.quantize_dynamic`` makes such layers of others. Results have no
    gradients.

    Args:
        in_features, out_features: The sizes of input and output.
        bias_: Whether there is a bias.
        dtype: ``torch.qint8``; ``torch.float16`` stores the weight in half precision.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3))
    >>> torch.ao.quantization.quantize_dynamic(net)[0].weight().dtype
    torch.qint8
    """

    version = 4

    def __init__(self, in_features, out_features, bias_=True, dtype=rushlight.qint8):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.scale, self.zero_point = 1.0, 0
        weight: Any = rushlight.zeros(out_features, in_features)
        if dtype is rushlight.qint8:
            weight = quantize_per_tensor(weight, 1.0, 0, dtype)
        elif dtype is rushlight.float16:
            weight = weight.half()
        else:
            raise RuntimeError("Unsupported dtype specified for dynamic quantized Linear!")
        bias = rushlight.zeros(out_features) if bias_ else None
        self._packed_params = PackedParams(weight, bias, dtype)

    def __repr__(self):
        return f"DynamicQuantizedLinear({self.extra_repr()})"

    def extra_repr(self):
        """Return the sizes and the dtype, for ``print``."""
        kind = self._packed_params.dtype
        text = f"in_features={self.in_features}, out_features={self.out_features}, dtype={kind}"
        return f"{text}, qscheme={self.weight().qscheme()}" if kind is rushlight.qint8 else text

    def weight(self):
        """Return the weight, a QuantizedTensor ``(out_features, in_features)``."""
        return self._packed_params.weight

    def bias(self):
        """Return the bias, or None."""
        return self._packed_params.bias

    def set_weight_bias(self, w, b):
        """Replace the weight and the bias.

        Args:
            w: QuantizedTensor.
            b: Tensor, or None.
        """
        self._packed_params.packed = w, b

    @no_grad()
    def forward(self, x):
        """Return the layer's output.

        Args:
            x: Tensor ``(*, in_features)`` of at least two dims, float32.

        Returns:
            Tensor ``(*, out_features)``, float32, without gradients.
        """
        return self._packed_params(x)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Make the layer of a linear layer with a ``qconfig``.

        Args:
            mod: A ``torch.nn.Linear``.
            use_precomputed_fake_quant: Accepted without effect.

        Returns:
            The quantized layer.
        """
        from rushlight.ao.quantization import default_dynamic_qconfig

        observer = (getattr(mod, "qconfig", None) or default_dynamic_qconfig).weight()
        if observer.dtype not in (rushlight.qint8, rushlight.float16):
            raise RuntimeError(
                "Unsupported dtype specified for dynamic quantized Linear: only torch.qint8 and "
                "torch.float16"
            )
        made = cls(mod.in_features, mod.out_features, mod.bias is not None, observer.dtype)
        made.set_weight_bias(quantized_weight(mod.weight, observer, observer.dtype), mod.bias)
        return made

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}scale"] = rushlight.tensor(self.scale)
        destination[f"{prefix}zero_point"] = rushlight.tensor(self.zero_point)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        for key in ("scale", "zero_point"):
            if f"{prefix}{key}" not in state_dict:
                missing_keys.append(f"{prefix}{key}")
        self.scale = float(state_dict.pop(f"{prefix}scale", 1.0))
        self.zero_point = int(state_dict.pop(f"{prefix}zero_point", 0))
