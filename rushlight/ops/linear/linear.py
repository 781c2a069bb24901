"""A linear layer as one operation: x @ weight.T + bias."""

from math import prod

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.backend.products import LARGE, matrix_product
from rushlight.backend.summation import column_sums
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import LOWER, autocasts
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.fast_path import FLOATS, recorded, taped
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import conj, is_array
from rushlight.ops.linear.matmul import product, times
from rushlight.tensor import Tensor

_F4, _F8 = FLOATS


def _check(bias, x, weight):
    """The shape of the result; raise an error if the operands do not fit."""
    shapes = f"x {tuple(x.shape)} and weight {tuple(weight.shape)}"
    if weight.ndim != 2:
        raise ShapeError(f"linear: weight must have 2 dims (out, in), but {shapes}")
    if not x.ndim:
        raise ShapeError(f"linear: both arguments need to be at least 1D, but {shapes}")
    if x.dtype.kind == "b":
        raise UnsupportedDtypeError("linear: not implemented for torch.bool; convert with .float()")
    if x.shape[-1] != weight.shape[1]:
        rows = x.size // x.shape[-1] if x.shape[-1] else 0
        sizes = f"{rows}x{x.shape[-1]} and {weight.shape[1]}x{weight.shape[0]}"
        raise ShapeError(
            f"linear: {shapes} disagree: x has {x.shape[-1]} features in its last dim, weight "
            f"expects {weight.shape[1]} (mat1 and mat2 shapes cannot be multiplied ({sizes}))"
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


# Kernels ----------------------------------------------------------------------------------


def _rows(x):
    """``x``, an array or a tensor, as a matrix whose rows hold the last dim."""
    return x if len(x.shape) == 2 else x.reshape(prod(x.shape[:-1]), x.shape[-1])


def _product(x, weight, bias=None):
    if (
        not x.dtype == weight.dtype == (weight if bias is None else bias).dtype
        or x.dtype.kind == "b"
    ):
        _check(bias, x, weight)
    rows = _rows(x)
    out = product(np, rows, weight.T)
    if bias is not None:
        out += bias
    return out.reshape(*x.shape[:-1], len(weight))


def _lowered(x, weight, bias=None):
    """The lowering for the compiler: one product of matrices, whatever the rank of x."""
    out = _rows(x).mm(weight.t())
    out = out if bias is None else out + bias
    return out if len(x.shape) == 2 else out.reshape(*x.shape[:-1], len(weight))


def _x_slope(g, weight):
    if (g.dtype is _F4 or g.dtype is _F8) and g.ndim == 2:
        return matrix_product(g, weight)
    found = times(_rows(g), conj(weight))
    return found if len(g.shape) == 2 else found.reshape(*g.shape[:-1], weight.shape[1])


def _weight_slope(g, x):
    if (g.dtype is _F4 or g.dtype is _F8) and g.ndim == 2:
        return matrix_product(g.T, x)
    g = _rows(g)
    return times(g.T if is_array(g) else g.t(), conj(_rows(x)))


def _bias_slope(g):
    g = g if len(g.shape) == 2 else _rows(g)
    return column_sums(g) if is_array(g) else g.sum(0)


vars(_bias_slope)["added"] = 1  # see ``Op.added``


def _kernels(rank, affine_name, product_name):
    """The operations with and without bias. Their gradients have PyTorch's names."""
    named = {"public": False, "method": False, "eight_bits": True, "rounds_once": True}

    # The inputs are in the order of PyTorch's addmm, because the autograd graph shows this order.
    @kernel(name="linear" + rank, grad_name=affine_name, shape=_check, **named)
    def affine(xp, bias, x, weight):
        """x @ weight.T + bias."""
        return _product(x, weight, bias)

    @kernel(
        name="linear_unbiased" + rank, grad_name=product_name,
        shape=lambda x, weight: _check(None, x, weight), **named,
    )  # fmt: skip
    def unbiased(xp, x, weight):
        """x @ weight.T."""
        return _product(x, weight)

    affine.lower(lambda bias, x, weight: _lowered(x, weight, bias))
    unbiased.lower(lambda x, weight: _lowered(x, weight))
    affine.grad(bias=_bias_slope, x=_x_slope, weight=_weight_slope)
    unbiased.grad(x=_x_slope, weight=_weight_slope)
    return affine.op, unbiased.op


_AFFINE, _UNBIASED = _kernels("", "AddmmBackward0", "MmBackward0")
_AFFINE_ND, _UNBIASED_ND = _kernels("_nd", "ViewBackward0", "UnsafeViewBackward0")

# Function ---------------------------------------------------------------------------------


@in_c
def linear(input, weight, bias=None):
    """Map the last dim linearly: ``input @ weight.T + bias``.

    Args:
        input: Tensor ``(*, in_features)``.
        weight: Tensor ``(out_features, in_features)``. Without ``bias`` also ``(in_features,)``,
            which gives the result ``(*)``.
        bias: Tensor ``(out_features,)``. Default: None, add nothing.

    Returns:
        Tensor ``(*, out_features)``.

    Raises:
        RuntimeError: The numbers of features or the dtypes disagree.

    >>> import rushlight as torch
    >>> torch.nn.functional.linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4)).shape
    torch.Size([2, 4])
    """
    try:
        if input.view_of is not None:
            refresh(input)
        if weight.view_of is not None:
            refresh(weight)
        x, w = input._array, weight._array
        d, op = x.dtype, None  # op stays None if this path does not serve
        if bias is None:
            b = None
        else:
            if bias.view_of is not None:
                refresh(bias)
            b = bias._array
        fits = b is None or (b.dtype is d and b.ndim == 1)
        if fits and (d is _F4 or d is _F8) and w.dtype is d and w.ndim == 2 and not mode.intercept:
            matrix = x.ndim == 2
            if not matrix:
                out = _product(x, w)
            elif LARGE >= x.size > 1 < w.size <= LARGE:  # as ``matrix_product``
                out = x.dot(w.T)
            else:
                out = matrix_product(x, w.T)
            px, pw = input.node, weight.node
            parents: tuple
            if b is None:
                op, parents = _UNBIASED if matrix else _UNBIASED_ND, (px, pw)
            else:
                row = out[0] if len(out) == 1 and matrix else out
                row += b  # adding arrays of equal shape is twice as fast as broadcasting
                op, parents = _AFFINE if matrix else _AFFINE_ND, (bias.node, px, pw)
    except (AttributeError, ValueError, IndexError):
        op = None
    if op is None:
        return _general(input, weight, bias)
    kept_w = cell_w = None
    if px is not None:
        kept_w, cell_w = w, weight._cell or weight.cell
    if pw is None:
        return taped(op, out, parents, (kept_w, None), (cell_w, None))
    kept_x, cell_x = x, input._cell or input.cell
    return recorded(op, out, parents, (kept_w, kept_x), (cell_w, cell_x))


@autocasts(LOWER)
def _general(input, weight, bias):
    """``linear`` in any mode, of any dtype."""
    operands = {"input": input, "weight": weight, "bias": bias}
    for position, (name, t) in enumerate(operands.items(), 1):
        if not isinstance(t, Tensor) and (t is not None or name != "bias"):
            raise TypeError(
                f"linear(): argument '{name}' (position {position}) must be Tensor, not "
                f"{type(t).__name__}"
            )
    if weight._array.ndim == 1 and bias is None:
        return input @ weight
    _check(None if bias is None else bias._array, input._array, weight._array)
    matrix = input._array.ndim == 2
    if bias is None:
        return apply(_UNBIASED if matrix else _UNBIASED_ND, (input, weight), {})
    if bias._array.ndim != 1:
        return _general(input, weight, None) + bias
    return apply(_AFFINE if matrix else _AFFINE_ND, (bias, input, weight), {})
