"""A linear layer as one operation: x @ weight.T + bias."""

from math import prod

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.definition import function
from rushlight.ops.direct import FLOATS, plain, taped
from rushlight.ops.dispatch import apply, refuse
from rushlight.ops.kinds import kernel
from rushlight.ops.matmul import product, times
from rushlight.ops.rules import conj
from rushlight.ops.summation import summed
from rushlight.tensor import Tensor

_F4, _F8 = FLOATS


def _check(bias, x, weight):
    """Raise what is wrong with the operands of a linear layer."""
    shapes = f"x {tuple(x.shape)} and weight {tuple(weight.shape)}"
    if weight.ndim != 2:
        raise ShapeError(f"linear: weight must have 2 dims (out, in), but {shapes}")
    if not x.ndim:
        raise ShapeError(f"linear: both arguments need to be at least 1D, but {shapes}")
    if x.dtype.kind == "b":
        raise UnsupportedDtypeError("linear: not implemented for torch.bool; convert with .float()")
    if x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: {shapes} disagree: x has {x.shape[-1]} features in its last dim, weight "
            f"expects {weight.shape[1]} (mat1 and mat2 shapes cannot be multiplied)"
        )
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != weight.dtype):
        given = f"x {x.dtype}, weight {weight.dtype}" + (
            "" if bias is None else f", bias {bias.dtype}"
        )
        raise DtypeError(
            f"linear: mat1 and mat2 must have the same dtype, but got {given}; convert one with "
            ".to()"
        )
    out = (*x.shape[:-1], weight.shape[0])
    if bias is not None and (
        bias.ndim > 2
        or any(b not in (1, n) for b, n in zip(bias.shape[::-1], out[::-1], strict=False))
    ):
        raise ShapeError(
            f"linear: bias {tuple(bias.shape)} does not fit the result {out}: it needs {out[-1:]}"
        )
    return out


# The inputs lie in the order in which PyTorch's addmm takes them: its graph shows them so.
@kernel(public=False, method=False, name="linear", grad_name="AddmmBackward0", shape=_check)
def _affine(xp, bias, x, weight):
    """x @ weight.T + bias for x: (N, in)."""
    if not x.dtype == weight.dtype == bias.dtype or x.dtype.kind == "b":
        _check(bias, x, weight)
    out = product(xp, x, weight.T)
    out += bias
    return out


@kernel(
    public=False, method=False, name="linear_unbiased", grad_name="MmBackward0",
    shape=lambda x, weight: _check(None, x, weight),
)  # fmt: skip
def _product(xp, x, weight):
    """x @ weight.T for x: (N, in)."""
    if x.dtype != weight.dtype or x.dtype.kind == "b":
        _check(None, x, weight)
    return product(xp, x, weight.T)


def _bias_slope(g):
    if type(g) is ndarray:
        return g[0] if len(g) == 1 else summed(g, (0,))
    return g.sum(0)


def _transposed(g):
    return g.T if type(g) is ndarray else g.t()


_affine.grad(
    bias=_bias_slope,
    x=lambda g, weight: times(g, conj(weight)),
    weight=lambda g, x: times(_transposed(g), conj(x)),
)
_product.grad(
    x=lambda g, weight: times(g, conj(weight)), weight=lambda g, x: times(_transposed(g), conj(x))
)
_affine_op, _product_op = _affine.op, _product.op


@function(public=False, method=False)
def linear(input, weight, bias=None):
    """``input @ weight.T + bias``.

    Shape: input (…, in), weight (out, in), bias (out) → (…, out).

    Raises:
        RuntimeError: features or dtypes disagree.

    >>> import rushlight as torch
    >>> torch.nn.functional.linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4)).shape
    torch.Size([2, 4])
    """
    try:
        x, w = plain(input), plain(weight)
        d = x.dtype
        if (
            mode.intercept
            or x.ndim != 2
            or w.ndim != 2
            or w.dtype is not d
            or (d is not _F4 and d is not _F8)
        ):
            return _general(input, weight, bias)
        px, pw = input.node, weight.node
        kept_x, cell_x = (x, input.cell) if pw is not None else (None, None)
        kept_w, cell_w = (w, weight.cell) if px is not None else (None, None)
        if bias is None:
            return taped(_product_op, x.dot(w.T), (px, pw), (kept_w, kept_x), (cell_w, cell_x))
        b = plain(bias)
        if b.dtype is not d or b.ndim != 1:
            return _general(input, weight, bias)
        out = x.dot(w.T)
        out += b
    except (AttributeError, ValueError, RuntimeWarning):
        return _general(input, weight, bias)
    return taped(_affine_op, out, (bias.node, px, pw), (kept_w, kept_x), (cell_w, cell_x))


def _general(input, weight, bias):
    """``linear`` of any rank and in any mode."""
    for i, t in enumerate((input, weight)):
        if not isinstance(t, Tensor):
            refuse(_product_op, i, t)
    x, w = input.array, weight.array
    if bias is not None and not isinstance(bias, Tensor):
        raise TypeError(
            f"linear(): argument 'bias' (position 3) must be Tensor, not {type(bias).__name__}"
        )
    if w.ndim == 1 and bias is None:
        return input @ weight
    if x.ndim == w.ndim == 2:
        if bias is None:
            return apply(_product_op, (input, weight), {})
        if bias.array.ndim != 1:
            return apply(_product_op, (input, weight), {}) + bias
        return apply(_affine_op, (bias, input, weight), {})
    out = _check(None if bias is None else bias.array, x, w)
    rows = _general(input.reshape(prod(x.shape[:-1]), x.shape[-1]), weight, bias)
    return rows.reshape(out)
