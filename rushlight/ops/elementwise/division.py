"""Division with rounding, and remainders."""

import numpy as np

import rushlight.dtype as dtypes
from rushlight.autograd import mode
from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import real_only
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.replays import replayed
from rushlight.ops.core.rules import underivable, zeros
from rushlight.ops.elementwise.arithmetic import div_
from rushlight.tensor import Tensor, short

_BY_ZERO = "ZeroDivisionError: an integer is divided by zero"


def real_numbers(operands):
    """``promote`` for integers and floats: neither bool nor complex."""
    d = real_only(operands)
    if d is dtypes.bool:
        raise UnsupportedDtypeError("not implemented for 'Bool'; convert with .int() or .float()")
    return d


def _is_integer(x):
    return x.dtype.kind in "iub" if hasattr(x, "dtype") else isinstance(x, int)


def _is_bool(x):
    return x.dtype.kind == "b" if hasattr(x, "dtype") else isinstance(x, bool)


def refuse_zero(x, y):
    """Raise RuntimeError if integers would be divided by zero. Floats give inf or nan instead."""
    if not np.size(x):
        return
    if _is_integer(x) and _is_integer(y) and not np.all(y) and not (_is_bool(x) and _is_bool(y)):
        raise RuntimeError(_BY_ZERO)


def _worth(x, y):
    """Whether a kernel is faster than NumPy, which divides long integers just as fast."""
    for v in (x, y):
        if not hasattr(v, "dtype"):
            if type(v) is int and _is_integer(x):  # NumPy divides by one integer without division
                return False
        elif v.dtype.kind not in "f" and v.itemsize == 8:
            return False
    return True


#: Options of divisions that round: NumPy takes several times as long for each float as a kernel.
_KERNEL = {"least": 1 << 13, "worth": _worth, "widths": False, "slopes": False}


@elementwise(public=False, method=False, inplace=False, name="div_floor", dtype=real_numbers,
             grad_name="DivBackward2", check=refuse_zero, exact=(1,), numbers=True,
             **_KERNEL)  # fmt: skip
def div_floor(xp, x, y):
    """⌊x / y⌋."""
    return xp.floor_divide(x, y)


@elementwise(public=False, method=False, inplace=False, name="div_trunc", dtype=real_numbers,
             grad_name="DivBackward2", check=refuse_zero, exact=(1,), numbers=True)  # fmt: skip
def div_trunc(xp, x, y):
    """x / y rounded towards zero."""
    if isinstance(x, float) or (hasattr(x, "dtype") and x.dtype.kind == "f"):
        return xp.trunc(x / y)
    quotient = xp.floor_divide(x, y)
    return quotient + ((x - quotient * y != 0) & ((x < 0) != (y < 0)))


for _op in (div_floor, div_trunc):
    _op.grad(x=zeros, y=zeros)
    _op.watch(x="y", y="x y")


@short
@function(inplace=True, alias="divide", direct=True)
@replayed
def div(input, other, *, rounding_mode=None, out=None):
    """Divide ``input`` by ``other``.

    Args:
        rounding_mode: ``"trunc"`` rounds the quotients towards zero, ``"floor"`` rounds them down.
            None (default) does not round, so integers give floats.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast.

    Raises:
        RuntimeError: an integer is divided by zero with a rounding mode.

    >>> import rushlight as torch
    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    if rounding_mode is None:
        return div_(input, other, out=out)
    if mode.intercept > mode.metas or type(input) is not Tensor or type(other) is not Tensor:
        named = {"rounding_mode": rounding_mode}
        found = overridden(div, (input, other), named if out is None else {**named, "out": out})
        if found is not NotImplemented:
            return found
    if rounding_mode == "floor":
        return div_floor(input, other, out=out)
    if rounding_mode == "trunc":
        return div_trunc(input, other, out=out)
    raise RuntimeError(
        "div expected rounding_mode to be one of None, 'trunc', or 'floor' "
        f"but found '{rounding_mode}'"
    )


@short
@function(inplace=True, direct=True)
@replayed
def true_divide(input, other, *, out=None):
    """Divide ``input`` by ``other`` without rounding, so that integers give floats.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast.

    >>> import rushlight as torch
    >>> torch.true_divide(torch.tensor([3, 4]), 2)
    tensor([1.5000, 2.0000])
    """
    if mode.intercept > mode.metas:
        found = overridden(true_divide, (input, other), {} if out is None else {"out": out})
        if found is not NotImplemented:
            return found
    return div_(input, other, out=out)


@elementwise(name="floor_divide", operator="__floordiv__", own_operator=True, dtype=real_numbers,
             check=refuse_zero, exact=(1,), numbers=True,
             **_KERNEL)  # fmt: skip
def floor_divide(xp, x, y):
    """Divide ``input`` by ``other`` and round down.

    The function has no gradient. ``div`` with ``rounding_mode="floor"`` has the gradient 0.

    Raises:
        RuntimeError: an integer is divided by zero.

    >>> import rushlight as torch
    >>> torch.floor_divide(torch.tensor([7.0, -7.0]), 2)
    tensor([ 3., -4.])
    """
    return xp.floor_divide(x, y)


floor_divide.grad(x=underivable("floor_divide"), y=underivable("floor_divide"))


# Remainders -------------------------------------------------------------------------------


@elementwise(public=False, method=False, inplace=False, name="remainder", dtype=real_numbers,
             grad_name="RemainderBackward1", check=refuse_zero, **_KERNEL)  # fmt: skip
def _remainder(xp, x, y):
    """x - ⌊x / y⌋ · y."""
    return xp.remainder(x, y)


@elementwise(public=False, method=False, inplace=False, name="remainder_number", dtype=real_numbers,
             grad_name="RemainderBackward0", check=refuse_zero, **_KERNEL)  # fmt: skip
def _remainder_number(xp, x, y):
    """``remainder`` with a number for y."""
    return _remainder.op.forward(xp, x, y)


@elementwise(public=False, method=False, inplace=False, name="fmod", dtype=real_numbers,
             grad_name="FmodBackward1", check=refuse_zero, tensors=("x",), **_KERNEL)  # fmt: skip
def _fmod(xp, x, y):
    """x - trunc(x / y) · y."""
    return xp.fmod(x, y)


@elementwise(public=False, method=False, inplace=False, name="fmod_number", dtype=real_numbers,
             grad_name="FmodBackward0", check=refuse_zero, tensors=("x",), **_KERNEL)  # fmt: skip
def _fmod_number(xp, x, y):
    """``fmod`` with a number for y."""
    return _fmod.op.forward(xp, x, y)


_remainder.grad(x=lambda g: g, y=lambda g, x, y: -g * div_floor(x, y))
_remainder_number.grad(x=lambda g: g, y=zeros)
_fmod.grad(x=lambda g: g, y=lambda g, x, y: -g * div_trunc(x, y))
_fmod_number.grad(x=lambda g: g, y=zeros)


@function(inplace=True, kinds={"input": "operand"})
def remainder(input, other, *, out=None):
    """Compute the remainder of ``input / other``, with the sign of ``other``.

    Args:
        input: Tensor of any shape ``(*)``, or a number if ``other`` is a tensor.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast.

    Raises:
        RuntimeError: an integer is divided by zero.

    >>> import rushlight as torch
    >>> torch.remainder(torch.tensor([-7, 7]), 3)
    tensor([2, 1])
    """
    if isinstance(other, Tensor):
        return _remainder(input, other, out=out)
    return _remainder_number(input, other, out=out)


@function(inplace=True)
def fmod(input, other, *, out=None):
    """Compute the remainder of ``input / other``, with the sign of ``input``.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast.

    Raises:
        RuntimeError: an integer is divided by zero.

    >>> import rushlight as torch
    >>> torch.fmod(torch.tensor([-7, 7]), 3)
    tensor([-1,  1])
    """
    if isinstance(other, Tensor):
        return _fmod(input, other, out=out)
    return _fmod_number(input, other, out=out)


def _check_zero(x, y):
    """``refuse_zero`` on tensors: a recorded check that runs with the trace."""
    whole = [v.dtype.category < 2 if isinstance(v, Tensor) else isinstance(v, int) for v in (x, y)]
    zero = y == 0
    if isinstance(x, Tensor) and not x.numel():
        return
    if all(whole) and zero is not False:
        zero = zero if isinstance(zero, Tensor) else x == x
        check_range(zero, low=0, high=0, error=RuntimeError, message=_BY_ZERO)


for _op in (
    div_floor, div_trunc, floor_divide, _remainder, _remainder_number, _fmod, _fmod_number,
):  # fmt: skip
    _op.lower_check(_check_zero)
