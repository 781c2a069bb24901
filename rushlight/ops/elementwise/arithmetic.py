"""Sums, products, quotients and linear interpolation, element by element."""

import numpy as np

import rushlight.dtype as dtypes
from rushlight.autograd import mode
from rushlight.autograd.tape import renamed
from rushlight.dtype import OF
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import FLOATS
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.legacy_arguments import scaled_order, takes_older_order
from rushlight.ops.core.promotion import promote, to_float
from rushlight.ops.core.rules import conj
from rushlight.ops.core.scale_factors import check_category, factor
from rushlight.remote import is_remote
from rushlight.tensor import Tensor, short

_F4, _F8 = FLOATS
_FLOATS = (dtypes.float32, dtypes.float64)

# Sums -------------------------------------------------------------------------------------


def no_bool(operands):
    """``promote`` for subtraction and negation, which refuse bool."""
    bools = [x.dtype == np.bool_ if hasattr(x, "dtype") else isinstance(x, bool) for x in operands]
    if any(bools):
        invert = (
            "on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or "
            "`logical_not()` operator instead."
        )
        if len(operands) == 1:
            raise DtypeError(f"Negation, the `-` operator, {invert}")
        raise DtypeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead."
            if all(bools)
            else f"Subtraction, the `-` operator, {invert.replace('on a', 'with a')}"
        )
    return promote(operands)


@elementwise(public=False, method=False, inplace=False, name="add",
             operator=("__add__", "__radd__"), numbers=True, least=None)  # fmt: skip
def add_(xp, x, y):
    """x + y."""
    return x + y


add_.grad(x=lambda g: g, y=lambda g: g)


@elementwise(
    public=False, method=False, inplace=False, operator="__sub__", name="sub", dtype=no_bool,
    numbers=True, least=None,
)  # fmt: skip
def sub_(xp, x, y):
    """x - y."""
    return x - y


sub_.grad(x=lambda g: g, y=lambda g: -g)


@elementwise(public=False, method=False, inplace=False, operator="__rsub__", own_operator=True,
             name="rsub", dtype=no_bool, grad_name="RsubBackward1",
             least=None)  # fmt: skip
def rsub_(xp, x, y):
    """y - x."""
    return y - x


rsub_.grad(x=lambda g: -g, y=lambda g: g)


def _first_two(rule):
    return lambda operands: rule(operands[:2])


@elementwise(public=False, method=False, inplace=False, dtype=_first_two(promote), exact=(2,),
             grad_name="AddBackward0", tensors=("y",), keeps_order=(0, 1))  # fmt: skip
def add_scaled(xp, x, y, alpha):
    """x + alpha · y with a number for alpha."""
    return x + alpha * y


add_scaled.grad(x=lambda g: g, y=lambda g, alpha: g * conj(alpha))


@elementwise(public=False, method=False, inplace=False, dtype=_first_two(no_bool), exact=(2,),
             grad_name="SubBackward0", tensors=("y",), keeps_order=(0, 1))  # fmt: skip
def sub_scaled(xp, x, y, alpha):
    """x - alpha · y with a number for alpha."""
    return x - alpha * y


sub_scaled.grad(x=lambda g: g, y=lambda g, alpha: -g * conj(alpha))


def _scaled(plain, scaled, x, y, alpha, out):
    """``plain(x, alpha · y)``. The operation ``scaled`` computes both in the result's dtype."""
    kind = type(alpha)
    if kind is int and alpha == 1:
        return plain(x, y, out=out)
    if mode.intercept > mode.metas or type(x) is not Tensor or type(y) is not Tensor:
        named = {"alpha": alpha} if out is None else {"alpha": alpha, "out": out}
        found = overridden(plain, (x, y), named)
        if found is not NotImplemented:
            return found
    if (kind is float or kind is int) and type(x) is Tensor is type(y):
        d = x._array.dtype
        if d is y._array.dtype and (d is _F4 or d is _F8):
            alpha = factor(alpha, OF[d])
            if mode.intercept and is_remote(x):  # one kernel is faster than two
                return scaled(x, y, alpha, out=out)
            y = mul(y, alpha)
            return plain(x, y) if out is None else plain(x, y, out=out)
    name = plain.op.name
    result = plain.op.dtype([x, y])
    check_category(name, "alpha", alpha, result)
    alpha = factor(alpha, result, rounded=True)
    if not isinstance(y, Tensor):
        return plain(x, y and alpha if result is dtypes.bool else y * alpha, out=out)
    if y._array.dtype is result.numpy and result in (dtypes.float32, dtypes.float64):
        return plain(x, mul(y, alpha), out=out)
    return scaled(x, y, alpha, out=out)


@short
@function(inplace=True, direct=True)
@takes_older_order
def add(input, other, *older, alpha=1, out=None):
    """Add ``alpha · other`` to ``input``.

    Args:
        alpha: Number by which ``other`` is multiplied. Default: 1.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast.

    >>> import rushlight as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), alpha=10)
    tensor([31., 42.])
    """
    if older:
        other, alpha = scaled_order("add", "alpha", other, *older)
    return _scaled(add_, add_scaled, input, other, alpha, out)


@short
@function(inplace=True, alias="subtract", direct=True)
@takes_older_order
def sub(input, other, *older, alpha=1, out=None):
    """Subtract ``alpha · other`` from ``input``.

    Args:
        alpha: Number by which ``other`` is multiplied. Default: 1.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast.

    Raises:
        RuntimeError: an operand is bool.

    >>> import rushlight as torch
    >>> torch.sub(torch.tensor([3, 4]), 1)
    tensor([2, 3])
    """
    if older:
        other, alpha = scaled_order("sub", "alpha", other, *older)
    return _scaled(sub_, sub_scaled, input, other, alpha, out)


@function(method=False)
@takes("input, other: Tensor, *, alpha=", "input, other: Number, alpha=")
def rsub(input, other, alpha=1):
    """Subtract ``alpha · input`` from ``other``.

    Args:
        alpha: Number by which ``input`` is multiplied. Default: 1.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast.

    Raises:
        RuntimeError: an operand is bool.

    >>> import rushlight as torch
    >>> torch.rsub(torch.tensor([3, 4]), 1)
    tensor([-2, -3])
    """
    if type(alpha) is int and alpha == 1:
        if not isinstance(other, Tensor):
            return rsub_(input, other)
        return renamed(sub_(other, input), "RsubBackward0")
    found = _scaled(sub_, sub_scaled, other, input, alpha, None)
    return renamed(found, f"RsubBackward{int(not isinstance(other, Tensor))}")


@elementwise(operator="__neg__", alias="negative", dtype=no_bool, least=None)
def neg(xp, x):
    """Change the sign of each element.

    Raises:
        RuntimeError: ``input`` is bool.

    >>> import rushlight as torch
    >>> torch.neg(torch.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return -x


neg.grad(x=lambda g: -g)


@function
def positive(input):
    """Return ``input`` itself, as ``+input`` does.

    Returns:
        ``input``, not a copy.

    Raises:
        RuntimeError: ``input`` is bool.

    >>> import rushlight as torch
    >>> torch.positive(torch.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input.dtype is dtypes.bool:
        raise DtypeError("positive: The `+` operator, on a bool tensor is not supported.")
    return input


# Products ---------------------------------------------------------------------------------


@elementwise(alias="multiply", operator=("__mul__", "__rmul__"), exact=(1,), numbers=True,
             eight_bits=True, least=None)  # fmt: skip
def mul(xp, x, y):
    """Multiply ``input`` by ``other``.

    >>> import rushlight as torch
    >>> torch.mul(torch.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return x * y


mul.grad(x=lambda g, y: g * conj(y), y=lambda g, x: g * conj(x))


@function(inplace=True, direct=True)
@takes_older_order
def addcmul(input, tensor1, tensor2, *older, value=1, out=None):
    """Add ``value · tensor1 · tensor2`` to ``input``.

    Args:
        tensor1, tensor2: The factors. They are broadcast with ``input`` to one shape.
        value: Number by which the product is multiplied. Default: 1.

    Returns:
        Tensor of the shape to which the three tensors are broadcast.

    >>> import rushlight as torch
    >>> torch.addcmul(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), value=0.5)
    tensor([2.5000, 5.0000])
    """
    if older:
        tensor1, tensor2, value = scaled_order("addcmul", "value", tensor1, tensor2, *older)
    return _with_value(_addcmul, (input, tensor1, tensor2), value, out)


def _numbers(operands):
    d = promote(operands)
    if d is dtypes.bool:
        raise UnsupportedDtypeError("not implemented for 'Bool'; convert with .int()")
    return d


def _first_three(rule):
    return lambda operands: rule(operands[:3])


def _with_value(op, tensors, value, out):
    """``op(*tensors, value)``, with the number in the dtype in which ``op`` computes."""
    if all(isinstance(t, Tensor) for t in tensors):  # if not, ``op`` raises
        d, others = tensors[0].dtype, tensors[1:]
        of_one_float = d in _FLOATS and others[0].dtype is d is others[1].dtype
        value = factor(value, d if of_one_float else op.op.dtype(tensors))
    return op(*tensors, value, out=out)


@elementwise(public=False, method=False, inplace=False, name="addcmul",
             dtype=_first_three(_numbers), tensors=("x", "tensor1", "tensor2"), exact=(3,),
             keeps_order=(0, 1, 2))  # fmt: skip
def _addcmul(xp, x, tensor1, tensor2, value):
    """x + value · tensor1 · tensor2."""
    return x + value * tensor1 * tensor2


_addcmul.grad(  # g is scaled, not the other factor, which may have a narrow integer dtype
    x=lambda g: g,
    tensor1=lambda g, tensor2, value: g * conj(value) * conj(tensor2),
    tensor2=lambda g, tensor1, value: g * conj(value) * conj(tensor1),
)


@function(inplace=True, direct=True)
@takes_older_order
def addcdiv(input, tensor1, tensor2, *older, value=1, out=None):
    """Add ``value · tensor1 / tensor2`` to ``input``.

    Args:
        tensor1: The dividend. The three tensors are broadcast to one shape.
        tensor2: The divisor.
        value: Number by which the quotient is multiplied. Default: 1.

    Returns:
        Tensor of the shape to which the three tensors are broadcast.

    Raises:
        RuntimeError: neither ``tensor1`` nor ``tensor2`` is floating point or complex.

    >>> import rushlight as torch
    >>> torch.addcdiv(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))
    tensor([1.5000, 1.5000])
    """
    if older:
        tensor1, tensor2, value = scaled_order("addcdiv", "value", tensor1, tensor2, *older)
    return _with_value(_addcdiv, (input, tensor1, tensor2), value, out)


def _no_integer_division(operands):
    if promote(operands[1:]).category < 2:
        raise DtypeError(
            "Integer division with addcdiv is no longer supported; use "
            "x + value * torch.trunc(tensor1 / tensor2), or convert to float"
        )
    return promote(operands)


@elementwise(
    public=False, method=False, inplace=False, name="addcdiv",
    dtype=_first_three(_no_integer_division), tensors=("x", "tensor1", "tensor2"), exact=(3,),
    keeps_order=(0, 1, 2),
)  # fmt: skip
def _addcdiv(xp, x, tensor1, tensor2, value):
    """x + value · tensor1 / tensor2."""
    return x + value * tensor1 / tensor2


_addcdiv.grad(
    x=lambda g: g,
    tensor1=lambda g, tensor2, value: g * conj(value / tensor2),
    tensor2=lambda g, tensor1, tensor2, value: (
        -g * conj(value) * conj(tensor1 / (tensor2 * tensor2))
    ),
)


# Linear interpolation ---------------------------------------------------------------------


def lerp_arrays(xp, x, y, weight):
    # Start at the nearer end, so that the weights 0 and 1 give the ends exactly.
    gap = y - x
    if type(weight) in (int, float):
        return x + weight * gap if abs(weight) < 0.5 else y - gap * (1 - weight)
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
             dtype=lambda operands: _same_dtype(operands[:2]), exact=(2,),
             grad_name="LerpBackward0", tensors=("x", "end"), keeps_order=(0, 1))  # fmt: skip
def _lerp_number(xp, x, end, weight):
    """x + weight · (end - x) with a number for the weight."""
    return lerp_arrays(xp, x, end, weight)


@elementwise(public=False, method=False, inplace=False, name="lerp", dtype=_same_dtype,
             grad_name="LerpBackward1", tensors=("x", "end"), casts=False)  # fmt: skip
def _lerp(xp, x, end, weight):
    """x + weight · (end - x)."""
    return lerp_arrays(xp, x, end, weight)


_lerp_number.grad(
    x=lambda g, weight: g * (1 - conj(weight)),
    end=lambda g, weight: g * conj(weight),
)
_lerp.grad(
    x=lambda g, weight: g * conj(1 - weight),
    end=lambda g, weight: g * conj(weight),
    weight=lambda g, x, end: g * conj(end - x),
)


@function(inplace=True, direct=True, kinds={"weight": "value"})
def lerp(input, end, weight, *, out=None):
    """Interpolate linearly between ``input`` and ``end``.

    Computes ``input + weight · (end - input)``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex: the result for weight 0.
        end: Tensor of ``input``'s dtype: the result for weight 1.
        weight: Number, or tensor of ``input``'s dtype, or 0-dim tensor. Numbers outside of [0, 1]
            extrapolate.

    Returns:
        Tensor of the shape to which the three arguments are broadcast.

    Raises:
        RuntimeError: the dtypes differ, or the tensors have integers.

    >>> import rushlight as torch
    >>> torch.lerp(torch.tensor([0.0, 10.0]), torch.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    if isinstance(weight, Tensor):
        if not weight.ndim and weight.dtype is not input.dtype and input.dtype is end.dtype:
            common = promote([input, end, weight])
            input, end, weight = input.to(common), end.to(common), weight.to(common)
        return _lerp(input, end, weight, out=out)
    if type(weight) is not float and isinstance(input, Tensor) and input.dtype.category > 1:
        weight = factor(weight, input.dtype)
    return _lerp_number(input, end, weight, out=out)


# Quotients --------------------------------------------------------------------------------


@elementwise(
    public=False, method=False, inplace=False, operator="__truediv__", name="div", dtype=to_float,
    exact=(1,), numbers=True, least=None,
)  # fmt: skip
def div_(xp, x, y):
    """x / y."""
    return xp.true_divide(x, y)


div_.grad(x=lambda g, y: g / conj(y), y=lambda g, x, y: -g * conj(x / y / y))
