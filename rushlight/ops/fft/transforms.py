"""The transforms behind the public functions, over any dims.

Each of the three takes the public function's name for messages, its arguments, and whether the
transform is an inverse one.
"""

from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.fft.arguments import (
    as_complex,
    as_float,
    dims_and_sizes,
    fitted,
    scaling,
    stored,
)
from rushlight.ops.fft.kernels import complex_to_complex, complex_to_real, real_to_complex

__all__ = ["first_half", "from_half", "whole"]


def whole(name, x, s, dim, norm, inverse, out):
    """Transform complex or real numbers into complex numbers."""
    dims, sizes = dims_and_sizes(name, x, s, dim)
    x, norm = fitted(as_float(x), dims, sizes), scaling(norm)
    if x.dtype.is_complex or name not in ("fft", "ifft"):  # PyTorch converts real numbers, too
        found = complex_to_complex(as_complex(x), dim=dims, norm=norm, inverse=inverse)
    else:
        found = real_to_complex(x, dim=dims, norm=norm, inverse=inverse, onesided=False)
    return stored(name, found, out)


def first_half(name, x, s, dim, norm, inverse, out):
    """Transform real numbers into the first half of complex ones."""
    dims, sizes = dims_and_sizes(name, x, s, dim)
    _check_dims(name, dims)
    if x.dtype.is_complex:
        raise DtypeError(f"{name} expects a real input tensor, but got {x.dtype}")
    x, norm = fitted(as_float(x), dims, sizes), scaling(norm)
    found = real_to_complex(x, dim=dims, norm=norm, inverse=inverse, onesided=True)
    return stored(name, found, out)


def from_half(name, x, s, dim, norm, inverse, out):
    """Transform the first half of complex numbers into real ones."""
    dims, sizes = dims_and_sizes(name, x, s, dim, half=True)
    _check_dims(name, dims)
    *others, n = sizes
    x, norm = fitted(as_complex(x), dims, [*others, n // 2 + 1]), scaling(norm)
    return stored(name, complex_to_real(x, dim=dims, norm=norm, inverse=inverse, n=n), out)


def _check_dims(name, dims):
    if not dims:
        raise ShapeError(f"{name} must transform at least one axis")
