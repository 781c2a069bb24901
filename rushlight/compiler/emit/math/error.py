"""The error function: the normal distribution's integral."""

from rushlight.compiler.emit.math.coefficients import ERF, ERFC
from rushlight.compiler.emit.math.exponential import exp2
from rushlight.compiler.emit.math.floats import choose, copysign, fma, polynomial

__all__ = ["erf"]

_SATURATED = {4: 4.0, 8: 6.0}  # erf is 1 from here on


def erf(x):
    """2/√π times the integral of e^-t² from 0 to x."""
    size = abs(x)
    small = fma(x, polynomial(x * x, ERF[x.dtype]), x)
    limit = _SATURATED[x.dtype.itemsize]
    bits = polynomial(choose(size > limit, limit, size) - 1, ERFC[x.dtype])
    return choose(size < 1, small, copysign(1 - exp2(-bits), x))
