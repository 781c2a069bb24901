"""The parts of floating-point numbers: mantissa and exponent, powers of 2, neighbours."""

from math import log

import numpy as np

from rushlight.dtype import float64, int32, int64
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import elementwise, kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.promotion import promote, to_float
from rushlight.ops.core.rules import conj, where, zeros
from rushlight.ops.elementwise.exponential import full_precision
from rushlight.ops.elementwise.power import pow
from rushlight.return_types import result_type

__all__ = ["frexp", "ldexp", "nextafter"]

_Frexp = result_type("frexp", "mantissa", "exponent")


# Mantissa and exponent --------------------------------------------------------------------


@kernel(public=False, method=False, name="frexp", keeps_order=True)
def _frexp(xp, x):
    """The mantissa and the exponent of x."""
    mantissa, exponent = xp.frexp(x)
    # The C library leaves the exponent of inf and nan open; PyTorch says 0.
    return mantissa, xp.where(xp.isfinite(x), exponent, np.int32(0))


def _mantissa_slope(g, index):
    return None if g[0] is None else scaled(g[0], -index)


@_frexp.lower_on_devices
def _frexp_on_devices(x):
    double = x.dtype is float64
    least, shift = (2.0**-1022, 54) if double else (2.0**-126, 24)
    tiny = x.abs() < least  # denormal numbers, and 0
    size = (x.abs() * 2.0**shift).where(tiny, x.abs())
    fine = x.isfinite() & (x != 0)
    exponent = size.where(fine, 1).log2().floor().to(int32) + 1
    mantissa = _scaled_on_devices(size.where(fine, 1), -exponent)
    for above, factor, step in ((mantissa >= 1, 0.5, 1), (mantissa < 0.5, 2.0, -1)):
        mantissa = (mantissa * factor).where(above, mantissa)
        exponent = (exponent + step).where(above, exponent)
    mantissa = (-mantissa).where(x < 0, mantissa).where(fine, x)
    return mantissa, (exponent - shift * tiny.to(int32)).where(fine, 0).to(int32)


_frexp.grad(x=_mantissa_slope)


@function
def frexp(input, *, out=None):
    """Split each element into a mantissa and a power of 2: ``input = mantissa · 2**exponent``.

    The absolute value of the mantissa lies in [0.5, 1). For 0, inf and nan, the mantissa is the
    element itself, and the exponent is 0.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        out: Pair of tensors that receive the results.

    Returns:
        Named tuple of ``mantissa`` and ``exponent``, an int32 tensor, both of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` is not floating point.

    >>> import rushlight as torch
    >>> torch.frexp(torch.tensor([3.0, 100.0]))
    torch.return_types.frexp(
    mantissa=tensor([0.7500, 0.7812]),
    exponent=tensor([2, 7], dtype=torch.int32))
    """
    if not input.is_floating_point():
        raise DtypeError(f"torch.frexp() only supports floating-point dtypes, got {input.dtype}")
    return _Frexp(_frexp(input, out=out))


# Products with powers of 2 ----------------------------------------------------------------


@kernel(public=False, method=False, name="ldexp", keeps_order=(0, 1))
def scaled(xp, x, other):
    """x · 2**other for integers ``other``, which is exact unless the result overflows."""
    # NumPy has no ldexp for unsigned 64-bit exponents.
    return xp.ldexp(x, other if other.dtype.kind == "i" else other.astype(np.int64))


@scaled.lower_on_devices
def _scaled_on_devices(x, other):
    """Three products with powers of 2, of which only the last one can round."""
    low, high = (-1022, 1023) if x.dtype is float64 else (-126, 127)
    rest = other.to(int64).clamp(3 * low, 3 * high)
    for _ in range(2):
        part = rest - rest.clamp(low, high)
        x = x * part.clamp(low, high).to(x.dtype).exp2()
        rest = rest - part.clamp(low, high)
    return x * rest.to(x.dtype).exp2()


scaled.grad(x=lambda g, other: scaled(g, other))
scaled.watch(x="out")


@elementwise(public=False, method=False, inplace=False, name="ldexp_by_power", dtype=to_float,
             grad_name="LdexpBackward0", keeps_order=(0, 2), least=None)  # fmt: skip
def _powered(xp, x, y, power):
    """x · power, where ``power`` is 2**y; all are of any dtypes."""
    return x * power


_powered.grad(x=lambda g, y: g * conj(2.0**y), y=lambda g, out: g * conj(out * log(2)))
_powered.watch(x="out")


@function(inplace=True)
@takes("input, other: Tensor, *, out?=")
def ldexp(input, other, *, out=None):
    """Multiply ``input`` by 2 to the power ``other``.

    If ``input`` is floating point and ``other`` has integers, the result is exact unless it
    overflows, even where the power itself would be too large or too small for the dtype.

    Args:
        input: Tensor of any shape ``(*)``.
        other: Tensor of exponents, which broadcasts with ``input``.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast, floating point or
        complex.

    Raises:
        NotImplementedError: ``input`` is floating point, and ``other`` is bool.
        RuntimeError: The shapes do not broadcast.

    >>> import rushlight as torch
    >>> torch.ldexp(torch.tensor([1.0, 3.0]), torch.tensor([2, -1]))
    tensor([4.0000, 1.5000])
    """
    if not input.is_floating_point() or other.dtype.category > 1:
        # As in PyTorch, the power is rounded to the dtype of ``other`` unless that is 0-dim, or
        # has integers.
        y = other.detach()
        if not other.ndim or other.dtype.category == 1:
            kind = promote([input, other])
            y = y.to(kind if other.is_complex() else kind.to_real())
        found = _powered(input, other, pow(2.0, y))
    elif other.dtype.category:
        found = scaled(input, other)
    else:
        raise UnsupportedDtypeError(f"ldexp: not implemented for exponents of {other.dtype}")
    return found if out is None else store(out, found, "ldexp", casts=True)


# Neighbours -------------------------------------------------------------------------------


@elementwise(public=False, method=False, inplace=False, dtype=full_precision, name="neighbour")
def _neighbour(xp, x, y):
    """``_nextafter`` of numbers that are not half precision."""
    return xp.nextafter(x, y)


@kernel(public=False, method=False, name="nextafter", widen=False, keeps_order=(0, 1),
        least=1 << 13, slopes=False)  # fmt: skip
def _nextafter(xp, x, y):
    """The neighbour of x towards y; both have one dtype."""
    return xp.nextafter(x, y)


_nextafter.lower(lambda x, y: _neighbour(x, y) if x.dtype.itemsize > 2 else NotImplemented)
_nextafter.grad(
    x=lambda g, x, y: where(x == y, 0, g),
    y=lambda g: zeros(g),
)


@function(inplace=True)
@takes("input, other: Tensor, *, out?=")
def nextafter(input, other, *, out=None):
    """Return the number next to ``input`` in the direction of ``other``.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        other: Tensor that broadcasts with ``input``. Elements equal to ``input`` give themselves.

    Returns:
        Tensor of the shape to which ``input`` and ``other`` are broadcast, of their common dtype.

    Raises:
        NotImplementedError: The common dtype is not floating point.
        RuntimeError: The shapes do not broadcast.

    >>> import rushlight as torch
    >>> torch.nextafter(torch.tensor([1.0]), torch.tensor([2.0])) == 1 + torch.finfo().eps
    tensor([True])
    """
    common = promote([input, other])
    if not common.is_floating_point:
        raise UnsupportedDtypeError(f"nextafter: not implemented for {common}")
    given = [t if t.dtype is common else t.to(common) for t in (input, other)]
    found = _nextafter(*given)
    return found if out is None else store(out, found, "nextafter", casts=True)
