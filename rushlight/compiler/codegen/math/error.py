"""The error function: the normal distribution's integral."""

from rushlight.compiler.codegen.math.coefficients import ERF, ERFC
from rushlight.compiler.codegen.math.floats import choose, copysign, fma, full, polynomial

__all__ = ["erf"]

_SATURATED = {4: 4.0, 8: 6.0}  # erf is 1 from here on


def erf(x):
    """2/√π times the integral of e^-t² from 0 to x.

    Above 1¼ it is computed as 1 minus the eighth power of a polynomial. This power falls about as
    fast as e^-x² and costs only three multiplications.
    """
    size = abs(x)
    small = fma(x, polynomial(x * x, ERF[x.dtype]), x)
    limit = _SATURATED[x.dtype.itemsize]
    root = polynomial(choose(size > limit, limit, size) - 1.25, ERFC[x.dtype])
    fourth = (root * root) * (root * root)
    large = fma(-fourth, fourth, full(x, 1))
    return choose(size < 1.25, small, copysign(large, x))
