"""What linear algebra asks of its arguments, and its error."""

from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError

__all__ = ["LinAlgError", "check_floats", "check_square"]


class LinAlgError(RuntimeError):
    """A matrix without the property that an operation needs."""


def check_floats(name, x):
    """Raise unless ``x`` holds floating-point or complex numbers."""
    dtype = OF[getattr(x, "array", x).dtype]
    if dtype.category < 2:
        raise DtypeError(f"{name}: expected floating-point or complex numbers, got {dtype}")


def check_square(name, x):
    """Raise unless ``x`` is a batch of square matrices of floating-point or complex numbers."""
    if len(x.shape) < 2 or x.shape[-2] != x.shape[-1]:
        raise ShapeError(f"{name}: expected square matrices (…, N, N), got {tuple(x.shape)}")
    check_floats(name, x)
