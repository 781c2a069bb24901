"""A bilinear form of two inputs."""

from rushlight.autograd.tape import watch
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.half_precision import rounded_once
from rushlight.ops.core.handlers import in_c
from rushlight.ops.shape.view import tensor_array

__all__ = ["bilinear"]


def _check(x1, x2, weight, bias):
    """Raise an error if the operands do not fit."""
    shapes = f"input1 {tuple(x1.shape)}, input2 {tuple(x2.shape)}, weight {tuple(weight.shape)}"
    dtypes = {t.dtype for t in (x1, x2, weight, bias) if t is not None}
    if len(dtypes) > 1:
        raise DtypeError(f"bilinear: all tensors must have the same dtype, but got {dtypes}")
    if weight.ndim != 3:
        raise ShapeError(f"bilinear: weight must have 3 dims (out, in1, in2): {shapes}")
    if x1.shape[:-1] != x2.shape[:-1]:
        raise ShapeError(f"bilinear(): input batch dimensions do not match: {shapes}")
    for i, x in enumerate((x1, x2), 1):
        if x.ndim == 0 or x.shape[-1] != weight.shape[i]:
            raise ShapeError(f"bilinear(): input{i} size does not match weight size: {shapes}")
    if bias is not None and tuple(bias.shape) != tuple(weight.shape[:1]):
        raise ShapeError(
            f"bilinear(): bias {tuple(bias.shape)} does not match weight size {weight.shape[0]}"
        )


@in_c
@function(method=False)
def bilinear(input1, input2, weight, bias=None):
    """Compute ``input1ᵀ W input2 + b``, with a matrix W for each feature of the result.

    Args:
        input1: Tensor ``(*, in1)``.
        input2: Tensor ``(*, in2)`` with the leading dims of ``input1``.
        weight: Tensor ``(out, in1, in2)``, which holds the matrices W.
        bias: Tensor ``(out,)``. Default: None, add nothing.

    Returns:
        Tensor ``(*, out)``.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0])
    >>> torch.bilinear(x, y, torch.tensor([[[1.0], [10.0]]]))
    tensor([63.])
    """
    for name, t in (("input1", input1), ("input2", input2), ("weight", weight)):
        tensor_array(t, "bilinear", name)
    _check(input1, input2, weight, bias)
    found = rounded_once(_forms, input1, input2, weight, bias)
    return watch(found, weight if input1.requires_grad or input2.requires_grad else None)


def _forms(input1, input2, weight, bias):
    out, in1, in2 = weight.shape
    forms = input1 @ weight.permute(1, 0, 2).reshape(in1, out * in2)
    products = forms.reshape(*input1.shape[:-1], out, in2) * input2.unsqueeze(-2)
    found = products.sum(-1, dtype=products.dtype)
    return found if bias is None else found + bias
