"""Exponentials and logarithms, element by element."""

from math import log as ln

import numpy as np
from numpy import ndarray

from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import as_in_half, promote, real_only, to_float
from rushlight.ops.core.rules import conj, number, where
from rushlight.tensor import Tensor

LN2 = ln(2.0)
LN10 = ln(10.0)


def floating(operands):
    """``promote``, with an error unless the result is floating point."""
    d = promote(operands)
    if not d.is_floating_point:
        raise UnsupportedDtypeError(f"not implemented for {d}; convert with .float()")
    return d


def floats(operands):
    """``to_float``, with an error for complex numbers."""
    d = real_only(operands)
    return d if d.category > 1 else to_float(operands)


def full_precision(operands):
    """``floats``, with an error for half precision, which PyTorch's functions do not take."""
    d = floats(operands)
    if d.itemsize < 4:
        raise UnsupportedDtypeError(f"not implemented for {d}; convert with .float()")
    return d


def inexact(operands):
    """``promote``, with an error unless the result is floating point or complex."""
    d = promote(operands)
    if d.category < 2:
        raise UnsupportedDtypeError(f"not implemented for {d}; convert with .float()")
    return d


# Exponentials -----------------------------------------------------------------------------


@elementwise(dtype=to_float, least=1 << 19)
def exp(xp, x):
    """Raise e to the power ``input``.

    >>> import rushlight as torch
    >>> torch.exp(torch.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return xp.exp(x)


exp.grad(x=lambda g, out: g * conj(out))


def _scaled(x, factor):
    """Multiply the parts of complex numbers, so that infinite ones do not become nan."""
    if type(x) is not ndarray:
        return x * factor
    out = np.empty_like(x)
    out.real, out.imag = x.real * factor, x.imag * factor
    return out


@elementwise(dtype=to_float)
def exp2(xp, x):
    """Raise 2 to the power ``input``.

    >>> import rushlight as torch
    >>> torch.exp2(torch.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """
    return xp.exp(_scaled(x, LN2)) if x.dtype.kind == "c" else xp.exp2(x)


exp2.grad(x=lambda g, out: g * conj(out) * LN2)


@elementwise(dtype=to_float)
def expm1(xp, x):
    """Raise e to the power ``input`` and subtract 1, precisely even near 0.

    >>> import rushlight as torch
    >>> torch.expm1(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """
    return xp.expm1(x)


expm1.grad(x=lambda g, out: g * conj(out + 1))


# Logarithms -------------------------------------------------------------------------------


@elementwise(dtype=to_float)
def log(xp, x):
    """The natural logarithm.

    >>> import rushlight as torch
    >>> torch.log(torch.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """
    return xp.log(x)


log.grad(x=lambda g, x: g / conj(x))


@elementwise(dtype=to_float, least=None, halves=False)
def log2(xp, x):
    """The logarithm to base 2.

    >>> import rushlight as torch
    >>> torch.log2(torch.tensor([1.0, 8.0]))
    tensor([0., 3.])
    """
    return xp.log2(x)


log2.grad(x=lambda g, x: g / conj(x * LN2))


@elementwise(dtype=to_float, least=None, halves=False)
def log10(xp, x):
    """The logarithm to base 10.

    >>> import rushlight as torch
    >>> torch.log10(torch.tensor([1.0, 2.0]))
    tensor([0.0000, 0.3010])
    """
    return xp.log10(x)


log10.grad(x=lambda g, x: g / conj(x * LN10))


@elementwise(dtype=to_float, grad_name="Log1PBackward0")
def log1p(xp, x):
    """Compute the natural logarithm of 1 + ``input``, precisely even near 0.

    >>> import rushlight as torch
    >>> torch.log1p(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    return xp.log1p(x) if x.dtype.kind != "c" else _complex_log1p(xp, x)


def _complex_log1p(xp, x):
    """NumPy adds 1 first, and so it loses what is small.

    The square of |1 + x| is 1 + r, where r is computed without the 1.
    """
    one = x + 1
    r = x.real * (x.real + 2) + x.imag * x.imag
    near = xp.where(r == 0, x.real, xp.log1p(r) / 2)
    return xp.from_parts(
        xp.where(xp.abs(x) < 0.5, near, xp.log(one).real), xp.arctan2(x.imag, one.real)
    )


log1p.grad(x=lambda g, x: g / conj(x + 1))


@elementwise(dtype=inexact, inplace=False, tensors=("x", "y"), least=1 << 13, widths=False,
             slopes=False)  # fmt: skip
def logaddexp(xp, x, y):
    """Compute the logarithm of the sum of the exponentials of ``input`` and ``other``.

    Args:
        input, other: Tensors. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.logaddexp(torch.tensor([0.0]), torch.tensor([0.0]))
    tensor([0.6931])
    """
    if x.dtype.kind != "c":
        return xp.logaddexp(x, y)
    larger = xp.where(x.real >= y.real, x, y)
    return larger + xp.log(xp.exp(x - larger) + xp.exp(y - larger))


logaddexp.grad(
    x=lambda g, x, y: g / conj(1 + exp(y - x)),
    y=lambda g, x, y: g / conj(1 + exp(x - y)),
)


@elementwise(dtype=floating, inplace=False, tensors=("x", "y"), least=1 << 13, widths=False,
             slopes=False)  # fmt: skip
def logaddexp2(xp, x, y):
    """Compute the logarithm to base 2 of ``2^input + 2^other``.

    Args:
        input, other: Tensors. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.logaddexp2(torch.tensor([0.0]), torch.tensor([0.0]))
    tensor([1.])
    """
    return xp.logaddexp2(x, y)


logaddexp2.grad(
    x=lambda g, x, y: g / (1 + exp2(y - x)),
    y=lambda g, x, y: g / (1 + exp2(x - y)),
)


# Products with logarithms -----------------------------------------------------------------


def _xlogy_forward(xp, x, y):
    y = x.dtype.type(y) if type(y) in (int, float) else y
    return xp.where((x == 0) & (y == y), x * x, x * xp.log(y))


@elementwise(public=False, method=False, inplace=False, name="xlogy", dtype=floats)
def _xlogy(xp, x, y):
    """x · log(y)."""
    return _xlogy_forward(xp, x, y)


@elementwise(public=False, method=False, inplace=False, name="number_xlogy", dtype=floats,
             grad_name="XlogyBackward1")  # fmt: skip
def _number_xlogy(xp, x, y):
    """x · log(y) with a number for x."""
    return _xlogy_forward(xp, x, y)


@elementwise(public=False, method=False, inplace=False, name="xlogy_number", dtype=floats,
             grad_name="XlogyBackward2", varies=True)  # fmt: skip
def _xlogy_number(xp, x, y):
    """x · log(y) with a number for y."""
    return _xlogy_forward(xp, x, y)


def _xlogy_slope(g, x, y):
    return where((x == 0) & (y <= 0), 0, xlogy(g, y))


def _xlogy_number_slope(g, x, y):
    return g * ln(number(y)) if number(y) > 0 else where(x == 0, 0, xlogy(g, number(y)))


_xlogy.grad(x=_xlogy_slope, y=lambda g, x, y: g * x / y)
_number_xlogy.grad(y=lambda g, x, y: g * x / y)
_xlogy_number.grad(x=_xlogy_number_slope)


@function(inplace=True, kinds={"input": "operand"})
def xlogy(input, other, *, out=None):
    """Multiply ``input`` by the natural logarithm of ``other``.

    The result is 0 where ``input`` is 0, unless ``other`` is nan.

    Args:
        input: Tensor of any shape ``(*)``, or a number if ``other`` is a tensor.

    Returns:
        Floating-point tensor of the shape to which ``input`` and ``other`` are broadcast.

    >>> import rushlight as torch
    >>> torch.xlogy(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    if not isinstance(input, Tensor) and isinstance(other, Tensor):
        return _number_xlogy(input, other, out=out)
    if isinstance(input, Tensor) and not isinstance(other, Tensor):
        return _xlogy_number(input, other, out=out)
    return _xlogy(input, other, out=out)


@elementwise(dtype=floats, prepare=lambda x, *, eps: {"eps": as_in_half(eps, x.dtype)})
def logit(xp, x, *, eps=None):
    """Compute ``log(x / (1 - x))``, the inverse of ``sigmoid``.

    Args:
        input: Tensor of any shape ``(*)``. Numbers outside of [0, 1] give nan if ``eps`` is None.
        eps: Limit ``input`` to [eps, 1 - eps] first. Default: None, no limits.

    >>> import rushlight as torch
    >>> torch.logit(torch.tensor([0.5, 0.75]))
    tensor([0.0000, 1.0986])
    """
    if eps is not None:
        x = xp.minimum(xp.maximum(x, eps), 1 - eps)
    return xp.log(x / (1 - x))


def _logit_slope(g, x, eps):
    slope = g / (x * (1 - x))
    low, high, outside = (0, 1, float("nan")) if eps is None else (eps, 1 - eps, 0.0)
    return where((x < low) | (x > high), outside, slope)


logit.grad(x=_logit_slope)
