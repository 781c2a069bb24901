"""Arithmetic, comparison and logic, element by element."""

import builtins

import numpy as np

from rushlight import dtype as dtypes
from rushlight.dtype import OF
from rushlight.errors import DtypeError
from rushlight.ops.definition import function
from rushlight.ops.kinds import elementwise
from rushlight.ops.promotion import integers, promote, real_only, to_float
from rushlight.tensor import Tensor

# Arithmetic -------------------------------------------------------------------------------


def _is_bool(x):
    return isinstance(x, builtins.bool) or (isinstance(x, Tensor) and x.dtype is dtypes.bool)


@elementwise(public=False, method=False, inplace=False, operator="__add__", name="add")
def _add(xp, x, y):
    """x + y."""
    return x + y


_add.grad(x=lambda g: g, y=lambda g: g)


def _no_bool(operands):
    d = promote(operands)
    if d is dtypes.bool:
        raise DtypeError(
            "subtraction, the `-` operator, is not supported with two bool tensors; use the `^` or "
            "`logical_xor()` operator, or `~` and `logical_not()` to invert"
        )
    return d


@elementwise(public=False, method=False, inplace=False, operator="__sub__", name="sub", dtype=_no_bool)
def _sub(xp, x, y):
    """x - y."""
    return x - y


_sub.grad(x=lambda g: g, y=lambda g: -g)


def _scaled(y, alpha, name):
    if alpha == 1:
        return y
    if isinstance(alpha, float) and isinstance(y, Tensor) and y.dtype.category < 2:
        raise RuntimeError(f"{name}: For integral input tensors, argument alpha must not be a floating point number.")
    return y * alpha


@function(inplace=True)
def add(input, other, *, alpha=1, out=None):
    """``input + alpha · other``, broadcast.

    >>> import rushlight as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), alpha=10)
    tensor([31., 42.])
    """
    return _add(input, _scaled(other, alpha, "add"), out=out)


@function(inplace=True, alias="subtract")
def sub(input, other, *, alpha=1, out=None):
    """``input - alpha · other``, broadcast.

    >>> import rushlight as torch
    >>> torch.sub(torch.tensor([3, 4]), 1)
    tensor([2, 3])
    """
    return _sub(input, _scaled(other, alpha, "sub"), out=out)


@function(public=False)
def __rsub__(self, other):
    return _sub(other, self) if isinstance(other, Tensor) else _rsub(self, other)


@elementwise(public=False, method=False, inplace=False, name="rsub", dtype=_no_bool)
def _rsub(xp, x, y):
    """y - x: with a number on the left."""
    return y - x


_rsub.grad(x=lambda g: -g, y=lambda g: g)


@elementwise(alias="multiply", operator="__mul__")
def mul(xp, x, y):
    """The product of ``input`` and ``other``, broadcast.

    >>> import rushlight as torch
    >>> torch.mul(torch.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return x * y


mul.grad(x=lambda g, y: g * conj(y), y=lambda g, x: g * conj(x))


@elementwise(public=False, method=False, inplace=False, operator="__truediv__", name="div", dtype=to_float)
def _div(xp, x, y):
    """x / y."""
    return xp.true_divide(x, y)


_div.grad(x=lambda g, y: g / conj(y), y=lambda g, x, y: -g * conj(x / y / y))


def conj(x):
    """The complex conjugate; real values as they are."""
    if isinstance(x, (complex, np.ndarray, np.generic)):
        return x.conjugate() if isinstance(x, complex) or x.dtype.kind == "c" else x
    if getattr(x, "array", None) is not None and x.array.dtype.kind == "c":
        return x.conj()
    return x


@elementwise(public=False, method=False, inplace=False, name="floor_divide_", dtype=real_only)
def _floor_divide(xp, x, y):
    """⌊x / y⌋."""
    return xp.floor_divide(x, y)


@elementwise(public=False, method=False, inplace=False, name="trunc_divide_", dtype=real_only)
def _trunc_divide(xp, x, y):
    """x / y rounded towards zero."""
    if np.result_type(x).kind == "f":
        return xp.trunc(x / y)
    quotient = xp.floor_divide(x, y)
    return quotient + ((x - quotient * y != 0) & ((x < 0) != (y < 0)))


def _zero_division(x, other):
    integral = lambda v: OF[v.array.dtype].category < 2 if isinstance(v, Tensor) else isinstance(v, int)
    if integral(x) and integral(other):
        zero = (other.array == 0).any() if isinstance(other, Tensor) else other == 0
        if zero:
            raise RuntimeError("ZeroDivisionError: integer division by zero")


@function(inplace=True, alias="divide")
def div(input, other, *, rounding_mode=None, out=None):
    """``input / other``; ``rounding_mode`` may be "trunc" or "floor".

    >>> import rushlight as torch
    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    if rounding_mode is None:
        return _div(input, other, out=out)
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' "
            f"but found '{rounding_mode}'"
        )
    _zero_division(input, other)
    return (_floor_divide if rounding_mode == "floor" else _trunc_divide)(input, other, out=out)


@function(inplace=True)
def true_divide(input, other, *, out=None):
    """``input / other``, always true division."""
    return _div(input, other, out=out)


@function(inplace=True)
def floor_divide(input, other, *, out=None):
    """``⌊input / other⌋``."""
    return div(input, other, rounding_mode="floor", out=out)


@elementwise(operator="__neg__", alias="negative", dtype=_no_bool)
def neg(xp, x):
    """``-input``.

    >>> import rushlight as torch
    >>> torch.neg(torch.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return -x


neg.grad(x=lambda g: -g)


@elementwise(dtype=to_float)
def exp(xp, x):
    """e to the ``input``.

    >>> import rushlight as torch
    >>> torch.exp(torch.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return xp.exp(x)


exp.grad(x=lambda g, out: g * conj(out))
