"""Sums, products, quotients and remainders, element by element."""

import numpy as np

import rushlight.dtype as dtypes
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.definition import function
from rushlight.ops.kinds import elementwise
from rushlight.ops.older import scaled_order, takes_older_order
from rushlight.ops.promotion import promote, scalar_dtype, to_float
from rushlight.ops.rules import conj
from rushlight.tensor import Tensor, short

# Sums -------------------------------------------------------------------------------------


def no_bool(operands):
    """``promote`` where bool has no meaning: minus."""
    for x in operands:
        if x.dtype == np.bool_ if hasattr(x, "dtype") else isinstance(x, bool):
            raise DtypeError(
                "Subtraction, the `-` operator, is not supported with a bool tensor; use `^` or "
                "`logical_xor()`, or `~` and `logical_not()` to invert a mask"
            )
    return promote(operands)


@elementwise(public=False, method=False, inplace=False, name="add",
             operator=("__add__", "__radd__"))  # fmt: skip
def add_(xp, x, y):
    """x + y."""
    return x + y


add_.grad(x=lambda g: g, y=lambda g: g)


@elementwise(
    public=False, method=False, inplace=False, operator="__sub__", name="sub", dtype=no_bool
)
def sub_(xp, x, y):
    """x - y."""
    return x - y


sub_.grad(x=lambda g: g, y=lambda g: -g)


@elementwise(public=False, method=False, inplace=False, operator="__rsub__", name="rsub",
             dtype=no_bool, grad_name="RsubBackward1")  # fmt: skip
def rsub_(xp, x, y):
    """y - x."""
    return y - x


rsub_.grad(x=lambda g: -g, y=lambda g: g)


def _scaled(x, y, alpha, name):
    """``alpha · y``, for ``add`` and ``sub``."""
    if type(alpha) is int and alpha == 1:
        return y
    result = promote([x, y])
    given = promote([alpha]) if isinstance(alpha, Tensor) else scalar_dtype(alpha)
    if given is None:
        raise TypeError(f"{name}(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    if given is dtypes.bool and result is not dtypes.bool:
        raise DtypeError(f"{name}: Boolean alpha only supported for Boolean results.")
    if given.category > max(result.category, 1):
        kind = "floating point" if given.category == 2 else "complex"
        need = "integral" if result.category < 2 else "non-complex"
        raise DtypeError(
            f"{name}: For {need} input tensors, argument alpha must not be a {kind} number."
        )
    if result is dtypes.bool:
        alpha = bool(alpha)
    if isinstance(y, Tensor):
        return mul(y, alpha)
    return y and alpha if result is dtypes.bool else y * alpha


@short
@function(inplace=True)
@takes_older_order
def add(input, other, *older, alpha=1, out=None):
    """``input + alpha · other``, broadcast.

    >>> import rushlight as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), alpha=10)
    tensor([31., 42.])
    """
    if older:
        other, alpha = scaled_order("add", "alpha", other, *older)
    return add_(input, _scaled(input, other, alpha, "add"), out=out)


@short
@function(inplace=True, alias="subtract")
@takes_older_order
def sub(input, other, *older, alpha=1, out=None):
    """``input - alpha · other``, broadcast.

    >>> import rushlight as torch
    >>> torch.sub(torch.tensor([3, 4]), 1)
    tensor([2, 3])
    """
    if older:
        other, alpha = scaled_order("sub", "alpha", other, *older)
    return sub_(input, _scaled(input, other, alpha, "sub"), out=out)


@function(method=False)
def rsub(input, other, *, alpha=1):
    """``other - alpha · input``, broadcast.

    >>> import rushlight as torch
    >>> torch.rsub(torch.tensor([3, 4]), 1)
    tensor([-2, -3])
    """
    return rsub_(_scaled(other, input, alpha, "rsub"), other)


@elementwise(operator="__neg__", alias="negative", dtype=no_bool)
def neg(xp, x):
    """``-input``.

    >>> import rushlight as torch
    >>> torch.neg(torch.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return -x


neg.grad(x=lambda g: -g)


@function
def positive(input):
    """``+input``: the tensor itself.

    >>> import rushlight as torch
    >>> torch.positive(torch.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input.dtype is dtypes.bool:
        raise DtypeError("positive: The `+` operator, on a bool tensor is not supported.")
    return input


# Products ---------------------------------------------------------------------------------


@elementwise(alias="multiply", operator=("__mul__", "__rmul__"))
def mul(xp, x, y):
    """The product of ``input`` and ``other``, broadcast.

    >>> import rushlight as torch
    >>> torch.mul(torch.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return x * y


mul.grad(x=lambda g, y: g * conj(y), y=lambda g, x: g * conj(x))


@function(inplace=True)
@takes_older_order
def addcmul(input, tensor1, tensor2, *older, value=1, out=None):
    """``input + value · tensor1 · tensor2``, broadcast.

    >>> import rushlight as torch
    >>> torch.addcmul(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), value=0.5)
    tensor([2.5000, 5.0000])
    """
    if older:
        tensor1, tensor2, value = scaled_order("addcmul", "value", tensor1, tensor2, *older)
    return _addcmul(input, tensor1, tensor2, value=value, out=out)


def _numbers(operands):
    d = promote(operands)
    if d is dtypes.bool:
        raise UnsupportedDtypeError("not implemented for 'Bool'; convert with .int()")
    return d


def _whole_value(x, tensor1, tensor2, *, value):
    for operand in (x, tensor1, tensor2):
        if operand.dtype.kind not in "iub":
            return {"value": value}
    return {"value": int(value)}


@elementwise(public=False, method=False, inplace=False, name="addcmul", prepare=_whole_value,
             dtype=_numbers, tensors=("x", "tensor1", "tensor2"))  # fmt: skip
def _addcmul(xp, x, tensor1, tensor2, *, value=1):
    """x + value · tensor1 · tensor2."""
    return x + value * tensor1 * tensor2


_addcmul.grad(
    x=lambda g: g,
    tensor1=lambda g, tensor2, value: g * conj(tensor2 * value),
    tensor2=lambda g, tensor1, value: g * conj(tensor1 * value),
)


@function(inplace=True)
@takes_older_order
def addcdiv(input, tensor1, tensor2, *older, value=1, out=None):
    """``input + value · tensor1 / tensor2``, broadcast; floating point only.

    >>> import rushlight as torch
    >>> torch.addcdiv(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))
    tensor([1.5000, 1.5000])
    """
    if older:
        tensor1, tensor2, value = scaled_order("addcdiv", "value", tensor1, tensor2, *older)
    return _addcdiv(input, tensor1, tensor2, value=value, out=out)


def _no_integer_division(operands):
    if promote(operands[1:]).category < 2:
        raise DtypeError(
            "Integer division with addcdiv is no longer supported; use "
            "x + value * torch.trunc(tensor1 / tensor2), or convert to float"
        )
    return promote(operands)


@elementwise(public=False, method=False, inplace=False, name="addcdiv", dtype=_no_integer_division,
             tensors=("x", "tensor1", "tensor2"))  # fmt: skip
def _addcdiv(xp, x, tensor1, tensor2, *, value=1):
    """x + value · tensor1 / tensor2."""
    return x + value * tensor1 / tensor2


_addcdiv.grad(
    x=lambda g: g,
    tensor1=lambda g, tensor2, value: g * conj(value / tensor2),
    tensor2=lambda g, tensor1, tensor2, value: -g * conj(value * tensor1 / (tensor2 * tensor2)),
)


# Between two ------------------------------------------------------------------------------


def _lerp_forward(xp, x, y, weight):
    # From the nearer end, so that the ends are exact.
    gap = y - x
    return xp.where(xp.abs(weight) < 0.5, x + weight * gap, y - gap * (1 - weight))


def _same_dtype(operands):
    kinds = {x.dtype for x in operands if hasattr(x, "dtype")}
    if len(kinds) > 1:
        raise DtypeError(
            f"expected one dtype for all tensors, not {', '.join(sorted(map(str, kinds)))}"
        )
    d = promote(operands)
    if d.category < 2:
        raise UnsupportedDtypeError(f"not implemented for {d}; convert with .float()")
    return d


@elementwise(public=False, method=False, inplace=False, name="lerp_number",
             dtype=lambda operands: _same_dtype(operands[:2]),
             grad_name="LerpBackward0", tensors=("x", "end"))  # fmt: skip
def _lerp_number(xp, x, end, weight):
    """x + weight · (end - x) with a number for the weight."""
    return _lerp_forward(xp, x, end, weight)


@elementwise(public=False, method=False, inplace=False, name="lerp", dtype=_same_dtype,
             grad_name="LerpBackward1", tensors=("x", "end"), casts=False)  # fmt: skip
def _lerp(xp, x, end, weight):
    """x + weight · (end - x)."""
    return _lerp_forward(xp, x, end, weight)


_lerp_number.grad(
    x=lambda g, weight: g * (1 - conj(weight)),
    end=lambda g, weight: g * conj(weight),
)
_lerp.grad(
    x=lambda g, weight: g * conj(1 - weight),
    end=lambda g, weight: g * conj(weight),
    weight=lambda g, x, end: g * conj(end - x),
)


@function(inplace=True, kinds={"weight": "value"})
def lerp(input, end, weight, *, out=None):
    """``input + weight · (end - input)``: the point between both at ``weight``.

    >>> import rushlight as torch
    >>> torch.lerp(torch.tensor([0.0, 10.0]), torch.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    if isinstance(weight, Tensor):
        return _lerp(input, end, weight, out=out)
    return _lerp_number(input, end, weight, out=out)


# Quotients --------------------------------------------------------------------------------


@elementwise(
    public=False, method=False, inplace=False, operator="__truediv__", name="div", dtype=to_float
)
def div_(xp, x, y):
    """x / y."""
    return xp.true_divide(x, y)


div_.grad(x=lambda g, y: g / conj(y), y=lambda g, x, y: -g * conj(x / y / y))
