"""Powers and roots, element by element."""

import numpy as np

import rushlight.dtype as dtypes
from rushlight.autograd.write import write
from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.outputs import store
from rushlight.ops.core.promotion import promote, to_float
from rushlight.ops.core.rules import conj, is_complex, log, number, typed, where, zeros
from rushlight.ops.elementwise.exponential import floating
from rushlight.tensor import Tensor, method

# Powers with these exponents are computed as products or roots, as in PyTorch.
_SHORT = {
    2: lambda xp, x: x * x,
    3: lambda xp, x: x * x * x,
    -1: lambda xp, x: 1 / x,
    -2: lambda xp, x: 1 / (x * x),
    0.5: lambda xp, x: xp.sqrt(x),
    -0.5: lambda xp, x: 1 / xp.sqrt(x),
}


def _check_exponent(x, y):
    if not isinstance(y, int) or x.dtype.kind not in "iub":
        return
    if y < 0:
        raise RuntimeError(
            f"pow: Integers to negative integer powers are not allowed: {y}; convert with .float()"
        )
    if x.dtype.kind != "b" and y > np.iinfo(x.dtype).max:
        raise RuntimeError(f"pow: value {y} cannot be converted to type {x.dtype} without overflow")


@elementwise(public=False, method=False, inplace=False, name="pow_number", grad_name="PowBackward0",
             check=_check_exponent, varies=True, keeps_order=(0,), eight_bits=True,
             least=None, halves=False)  # fmt: skip
def pow_number(xp, x, y):
    """x to the power of a number."""
    if x.dtype.kind not in "fc":
        return x | ~y if x.dtype.kind == "b" else xp.power(x, y)
    short = _SHORT.get(number(y))
    return xp.power(x, y) if short is None else short(xp, x)


@pow_number.op.lower
def _short_power(x, y):
    short = _SHORT.get(y) if isinstance(y, (int, float)) and x.dtype.is_floating_point else None
    return NotImplemented if short is None else short(Tensor, x)


def _power_slope(g, x, y):
    exponent = number(y)
    if exponent == 0:
        return zeros(g)
    if exponent == 2:
        return g * conj(x * 2)
    power = exponent - 1
    slope = x**power if isinstance(x, Tensor) else pow_number.op.forward(np, np.asarray(x), power)
    return g * conj(slope * exponent)


pow_number.grad(x=_power_slope, y=lambda g, x, y: g * conj(log(x) * x ** number(y)))


def _no_bools(operands):
    d = promote(operands)
    if d is dtypes.bool:
        raise UnsupportedDtypeError("not implemented for 'Bool'; convert with .int()")
    return d


@elementwise(public=False, method=False, inplace=False, name="pow", grad_name="PowBackward1",
             dtype=_no_bools, least=None, halves=False)  # fmt: skip
def pow_(xp, x, y):
    """x to the power y."""
    return xp.power(x, y) if x.dtype.kind in "fc" else _integer_power(xp, x, y)


def _integer_power(xp, x, y):
    negative = y < 0
    if not xp.any(negative):
        return xp.power(x, y)
    # For a negative y the result is 1 / x^|y| rounded towards zero: 0, unless x is 1 or -1.
    sign = xp.where(y % 2 == 0, 1, x).astype(x.dtype)
    inverse = xp.where(xp.abs(x) == 1, sign, 0).astype(x.dtype)
    return xp.where(negative, inverse, xp.power(x, xp.where(negative, 0, y)))


@elementwise(public=False, method=False, inplace=False, name="number_pow", grad_name="PowBackward2",
             dtype=_no_bools, varies=True, keeps_order=False)  # fmt: skip
def _number_pow(xp, x, y):
    """A number to the power y."""
    return pow_.op.forward(xp, np.asarray(x, y.dtype), y)


def _exponent_slope(g, x, y, out):
    base = typed(x, out) if hasattr(x, "dtype") else x
    if is_complex(out) and isinstance(base, (int, float)):
        base = complex(base)  # a real number below 0 has a complex logarithm only
    slope = conj(out * log(base))
    # As in PyTorch, the slope of 0 to a power with an imaginary part is nan.
    positive = (y.real >= 0) & (y.imag == 0) if is_complex(y) else y >= 0
    return g * where((x == 0) & positive, 0, slope)


pow_.grad(
    x=lambda g, x, y: where(y == 0, 0, g * conj(y * x ** (y - 1))),
    y=_exponent_slope,
)
_number_pow.grad(y=_exponent_slope)


@function(inplace=True, kinds={"input": "operand", "exponent": "operand"})
def pow(input, exponent, *, out=None):
    """Raise ``input`` to the power ``exponent``.

    Args:
        input: Tensor of any shape ``(*)``, or a number if ``exponent`` is a tensor.
        exponent: Tensor or number. The operands are broadcast to one shape.

    Returns:
        Tensor of the shape to which ``input`` and ``exponent`` are broadcast.

    Raises:
        RuntimeError: ``input`` has integers and ``exponent`` is a negative int.

    >>> import rushlight as torch
    >>> torch.pow(torch.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(exponent, Tensor):
        return (pow_ if isinstance(input, Tensor) else _number_pow)(input, exponent, out=out)
    return pow_number(input, exponent, out=out)


@function(kinds={"input": "operand", "exponent": "operand"})
def float_power(input, exponent, *, out=None):
    """Raise ``input`` to the power ``exponent`` in double precision.

    Args:
        input: Tensor of any shape ``(*)``, or a number if ``exponent`` is a tensor.
        exponent: Tensor or number. The operands are broadcast to one shape.

    Returns:
        Tensor of the shape to which ``input`` and ``exponent`` are broadcast. Its dtype is float64,
        or complex128 if an operand is complex.

    >>> import rushlight as torch
    >>> torch.float_power(torch.tensor([1, 2]), -1)
    tensor([1.0000, 0.5000], dtype=torch.float64)
    """
    is_complex = any(
        isinstance(t, complex) or (isinstance(t, Tensor) and t.is_complex())
        for t in (input, exponent)
    )
    target = dtypes.complex128 if is_complex else dtypes.float64
    wide = [
        t.to(target) if isinstance(t, Tensor) else target_number(t, target)
        for t in (input, exponent)
    ]
    found = pow(*wide)
    return found if out is None else store(out, found, "float_power")


def target_number(x, d):
    """The number ``x`` as a complex if ``d`` is complex, else as a float."""
    return complex(x) if d.is_complex else float(x)


@method
def float_power_(self, exponent):
    """In-place version of ``float_power``."""
    found = float_power(self, exponent)
    if found.dtype is not self.dtype:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype} but the operation's result "
            f"requires dtype {found.dtype}"
        )
    return write(self, found, "float_power_")


def _squared(operands):
    return promote([*operands, 2])


@elementwise(dtype=_squared, grad_name="PowBackward0", least=None)
def square(xp, x):
    """``input`` times itself.

    >>> import rushlight as torch
    >>> torch.square(torch.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """
    return x * x


square.grad(x=lambda g, x: g * conj(x * 2))


# Roots ------------------------------------------------------------------------------------


@elementwise(dtype=to_float)
def sqrt(xp, x):
    """The square root.

    >>> import rushlight as torch
    >>> torch.sqrt(torch.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """
    return xp.sqrt(x)


sqrt.grad(x=lambda g, out: g / conj(out * 2))


@elementwise(dtype=to_float)
def rsqrt(xp, x):
    """One over the square root.

    >>> import rushlight as torch
    >>> torch.rsqrt(torch.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """
    return 1 / xp.sqrt(x)


rsqrt.grad(x=lambda g, out: -0.5 * g * conj(out * out * out))


@elementwise(dtype=to_float, least=None)
def reciprocal(xp, x):
    """One over ``input``.

    >>> import rushlight as torch
    >>> torch.reciprocal(torch.tensor([4.0, 2.0]))
    tensor([0.2500, 0.5000])
    """
    return 1 / x


reciprocal.grad(x=lambda g, out: -g * conj(out * out))


@elementwise(dtype=floating, tensors=("x", "y"), least=1 << 13, widths=False, slopes=False)
def hypot(xp, x, y):
    """Compute ``√(input² + other²)`` without overflow of the squares.

    Args:
        input, other: Tensors. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.hypot(torch.tensor([3.0]), torch.tensor([4.0]))
    tensor([5.])
    """
    return xp.hypot(x, y)


hypot.grad(x=lambda g, x, out: g * (x / out), y=lambda g, y, out: g * (y / out))
