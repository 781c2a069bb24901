"""Rounding, signs, magnitudes and angles, element by element."""

from math import pi

import rushlight.dtype as dtypes
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.core.definition import FUNCTIONS, function
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.outputs import in_place
from rushlight.ops.core.promotion import promote, real_only, to_float
from rushlight.ops.core.rules import conj, is_complex, where, zeros
from rushlight.ops.elementwise.division import real_numbers
from rushlight.ops.elementwise.exponential import floating, floats
from rushlight.tensor import Tensor

# Whole parts ------------------------------------------------------------------------------


@elementwise(dtype=real_numbers, least=None)
def floor(xp, x):
    """The largest whole number not above ``input``.

    >>> import rushlight as torch
    >>> torch.floor(torch.tensor([-1.5, 1.5]))
    tensor([-2.,  1.])
    """
    return xp.floor(x)


@elementwise(dtype=real_numbers, least=None)
def ceil(xp, x):
    """The smallest whole number not below ``input``.

    >>> import rushlight as torch
    >>> torch.ceil(torch.tensor([-1.5, 1.5]))
    tensor([-1.,  2.])
    """
    return xp.ceil(x)


@elementwise(dtype=real_numbers, alias="fix", least=None)
def trunc(xp, x):
    """``input`` without its fractional part.

    >>> import rushlight as torch
    >>> torch.trunc(torch.tensor([-1.5, 1.5]))
    tensor([-1.,  1.])
    """
    return xp.trunc(x)


@elementwise(dtype=floating)
def frac(xp, x):
    """The fractional part of ``input``, with its sign.

    >>> import rushlight as torch
    >>> torch.frac(torch.tensor([-1.5, 1.25]))
    tensor([-0.5000,  0.2500])
    """
    return x - xp.trunc(x)


@elementwise(
    public=False, method=False, inplace=False, name="round", dtype=real_numbers, least=None
)
def _round(xp, x):
    """x rounded to the nearest whole number, halves to the even one."""
    return xp.rint(x) if x.dtype.kind == "f" else +x


@elementwise(public=False, method=False, inplace=False, name="round_decimals", dtype=real_numbers,
             grad_name="RoundBackward1")  # fmt: skip
def _round_decimals(xp, x, *, decimals):
    """x rounded to ``decimals`` decimals."""
    if x.dtype.kind != "f":
        raise UnsupportedDtypeError("round: integers have no decimals; convert with .float()")
    ten = 10.0 ** max(decimals, -decimals)
    return xp.rint(x * ten) / ten if decimals >= 0 else xp.rint(x / ten) * ten


for _op in (floor, ceil, trunc, _round, _round_decimals):
    _op.grad(x=zeros)
frac.grad(x=lambda g: g)


@function(inplace=True)
def round(input, *, decimals=0, out=None):
    """Round ``input`` to whole numbers, or to ``decimals`` decimals.

    A number in the middle between two candidates goes to the even one, so 0.5 goes to 0.

    Args:
        input: Tensor of any shape ``(*)``, of integers or floats.
        decimals: Number of digits that remain after the point. Negative numbers round to tens (-1),
            hundreds (-2) and so on. Default: 0.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        RuntimeError: ``input`` has integers and ``decimals`` is not 0.

    >>> import rushlight as torch
    >>> torch.round(torch.tensor([0.5, 1.5, -2.7]))
    tensor([ 0.,  2., -3.])
    """
    if decimals == 0:
        return _round(input, out=out)
    return _round_decimals(input, decimals=decimals, out=out)


# Signs and magnitudes ---------------------------------------------------------------------


def _magnitude(operands):
    d = promote(operands)
    if d is dtypes.bool:
        raise UnsupportedDtypeError("not implemented for 'Bool'")
    return d


_FLOATS = dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64


def _of_magnitudes(operands):
    """``out`` of complex numbers takes their magnitudes in any floating dtype, or in their own."""
    (x,) = operands
    return (*_FLOATS, x.dtype) if x.dtype.is_complex else ()


@elementwise(alias="absolute", operator="__abs__", dtype=_magnitude, inplace=False, eight_bits=True,
             casts=_of_magnitudes, least=None)  # fmt: skip
def abs(xp, x):
    """The absolute value, which for complex numbers is the modulus.

    >>> import rushlight as torch
    >>> torch.abs(torch.tensor([-1.0, 2.0]))
    tensor([1., 2.])
    """
    return xp.abs(x)


abs.grad(x=lambda g, x: g * sgn(x))


def _real_abs(input):
    if input.dtype.is_complex:
        raise DtypeError("In-place abs is not supported for complex tensors: the result is real")
    return abs(input)


for _name in ("abs_", "absolute_"):
    FUNCTIONS[_name] = in_place(_real_abs, _name)
    setattr(Tensor, _name, FUNCTIONS[_name])


@elementwise(dtype=real_only)
def sign(xp, x):
    """The sign of ``input``: -1, 0 or 1.

    >>> import rushlight as torch
    >>> torch.sign(torch.tensor([-3.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    if x.dtype.kind == "b":
        return x
    return xp.where(x == x, xp.sign(x), 0) if x.dtype.kind == "f" else xp.sign(x)


sign.grad(x=zeros)


@elementwise
def sgn(xp, x):
    """Compute ``input / |input|``, or 0 where ``input`` is 0.

    For real numbers the result is that of ``sign``.

    >>> import rushlight as torch
    >>> torch.sgn(torch.tensor([3 + 4j]))
    tensor([0.6000+0.8000j])
    """
    if x.dtype.kind != "c":
        return sign.op.forward(xp, x)
    size = xp.abs(x)
    size = xp.where(size == 0, 1, size)
    out = xp.empty_like(x)
    out.real, out.imag = x.real / size, x.imag / size  # x / size overflows if size is tiny
    return out


def _sgn_slope(g, x, out):
    if getattr(x, "_array", x).dtype.kind != "c":
        return zeros(g)
    size = abs(x)
    none = size == 0
    size = where(none, 1, size)  # the slope's own slopes must be finite at 0, too
    return where(none, 0, (g - out * (conj(out) * g).real) / size)


sgn.grad(x=_sgn_slope)


@elementwise(dtype=real_only, inplace=False, least=None)
def signbit(xp, x):
    """True where the sign bit is set, -0.0 included.

    >>> import rushlight as torch
    >>> torch.signbit(torch.tensor([-0.0, 1.0]))
    tensor([ True, False])
    """
    return xp.signbit(x) if x.dtype.kind == "f" else x < 0


@elementwise(public=False, method=False, inplace=False, name="copysign", dtype=floats,
             tensors=("x",))  # fmt: skip
def _copysign(xp, x, y):
    """|x| with the sign of y."""
    return xp.copysign(x, y)


@elementwise(public=False, method=False, inplace=False, name="copysign_number", dtype=floats,
             grad_name="CopysignBackward1", tensors=("x",))  # fmt: skip
def _copysign_number(xp, x, y):
    """|x| with the sign of a number."""
    return xp.copysign(x, y)


def _copysign_slope(g, x, out):
    return g * where(x == 0, 0, out / where(x == 0, 1 + x, x))


for _op in (_copysign, _copysign_number):
    _op.grad(x=_copysign_slope, y=zeros)


@function(inplace=True)
def copysign(input, other, *, out=None):
    """Give the absolute values of ``input`` the signs of ``other``.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Floating-point tensor of the shape to which ``input`` and ``other`` are broadcast.

    >>> import rushlight as torch
    >>> torch.copysign(torch.tensor([1.0, -2.0]), torch.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """
    return (_copysign if isinstance(other, Tensor) else _copysign_number)(input, other, out=out)


def _angles(xp, x):
    return (
        xp.angle(x)
        if x.dtype.kind == "c"
        else xp.where(x < 0, x.dtype.type(pi), xp.where(x == x, 0, x))
    )


def _angle_slope(g, x):
    if not is_complex(x):
        return zeros(g)
    size = abs(x)
    return where(size == 0, 0, g * x * 1j / where(size == 0, 1 + size, size * size))


def _angle_op(name, **options):
    op = elementwise(
        _angles, name=name, grad_name="AngleBackward0", public=False, method=False, inplace=False,
        dtype=to_float, **options,
    )  # fmt: skip
    op.grad(x=_angle_slope)
    return op


_angle_of_reals, _angle_of_complex = _angle_op("angle"), _angle_op("angle_z", keeps_order=False)


@function
def angle(input, *, out=None):
    """Compute the angles of complex numbers in radians.

    Negative real numbers have the angle π, and other real numbers 0.

    Returns:
        Real tensor of ``input``'s shape, with values in [-π, π].

    >>> import rushlight as torch
    >>> torch.angle(torch.tensor([-1.0, 1.0]))
    tensor([3.1416, 0.0000])
    """
    return (_angle_of_complex if is_complex(input) else _angle_of_reals)(input, out=out)
