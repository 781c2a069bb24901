"""Conversions of arrays and numbers to a dtype by PyTorch's rules, which differ from NumPy's."""

import warnings

import numpy as np

import rushlight.dtype as dtypes
from rushlight import float8
from rushlight.dtype import COMPLEX_HALF, COMPLEX_KINDS
from rushlight.notices import warn_once
from rushlight.storage import strided
from rushlight.strides import ordered_like, preserved

__all__ = ["as_element", "as_scalar", "bounds", "converted", "holds", "warn_of_half"]


def converted(x, dtype):
    """Return a new array: ``x`` converted to the NumPy dtype ``dtype`` by PyTorch's rules."""
    have = x.dtype
    if dtype in COMPLEX_HALF:
        warn_of_half()
    if dtype.kind == "b":
        return ordered_like(np.asarray(x != 0), x)
    if have.kind in COMPLEX_KINDS and dtype.kind not in COMPLEX_KINDS:
        warnings.warn("Casting complex values to real discards the imaginary part", stacklevel=2)
        real = strided(x, x.shape, x.strides, np.float16) if have in COMPLEX_HALF else x.real
        return ordered_like(converted(real, dtype), x)
    if dtype.kind in "iu" and have.kind not in "iub":
        return _to_integer(x, dtype)
    if dtype in float8.KINDS:
        return float8.narrowed(x, dtype)
    if dtype.itemsize == 2 and dtype.kind not in "iu" and have.itemsize == 8:
        x = preserved(x, np.float32)  # PyTorch rounds twice: to float32 first
    elif dtype in COMPLEX_HALF and have.kind not in COMPLEX_KINDS:
        x = preserved(x, np.float32)  # PyTorch rounds twice, and NumPy knows no way from 8 bits
    return preserved(x, dtype)


def warn_of_half():
    """Warn that few of PyTorch's functions take complex32."""
    warn_once("ComplexHalf support is experimental and many operators don't support it yet.")


def _to_integer(x, dtype):
    # PyTorch's code converts through int32 for integers of up to 32 bits, so narrow integers
    # wrap around. PyTorch does not warn about numbers out of range, so NumPy's warning is off.
    with np.errstate(invalid="ignore"):
        narrow = dtype.itemsize < 4 or (dtype.kind == "i" and dtype.itemsize == 4)
        found = preserved(x, np.dtype(np.int32 if narrow else np.int64))
    return found if found.dtype == dtype else preserved(found, dtype)


def as_scalar(value, dtype):
    """Convert a Python number or a 0-dim array to a 0-dim array of the NumPy dtype ``dtype``.

    Raises:
        RuntimeError: The dtype cannot hold the number.
    """
    if isinstance(value, np.ndarray) or hasattr(value, "noted"):
        return converted(value, dtype) if value.dtype != dtype else value
    if not holds(dtype, value):
        raise RuntimeError(
            f"value cannot be converted to type {dtypes.OF[dtype].name} without overflow: {value}"
        )
    if isinstance(value, complex) and dtype.kind not in COMPLEX_KINDS:
        value = value.real if dtype.kind != "b" else value != 0
    if dtype.kind in "iu":
        value = int(value)
        if value < 0 and dtype.kind == "u":
            value += 1 << 8 * dtype.itemsize
    if dtype in float8.KINDS:
        return float8.narrowed(np.asarray(value), dtype)
    if dtype == np.float16:  # as PyTorch, which rounds to float32 first
        value = np.float32(value)
    return np.asarray(value, dtype)


def as_element(value, dtype):
    """``as_scalar``, but in 16 and 8 bits a number that is too large becomes infinite.

    So it is in ``x[i] = value`` and a 0-dim ``full``, while ``fill_`` raises, as in PyTorch.
    """
    narrow = dtype.itemsize <= 2 and dtypes.OF[dtype].category == 2
    if not narrow or isinstance(value, (np.ndarray, complex)) or holds(dtype, value):
        return as_scalar(value, dtype)
    with np.errstate(over="ignore"):
        return converted(as_scalar(value, np.dtype(np.float64)), dtype)


_LARGEST = {d.numpy: dtypes.finfo(d).max for d in dtypes.DTYPES if d.category == 2}
_REAL = {d.numpy: d.to_real().numpy for d in dtypes.DTYPES}
_BOUNDS = {
    d.numpy: (int(i.min) or -int(i.max), int(i.max))
    for d in dtypes.DTYPES
    if d.category == 1
    for i in [np.iinfo(d.numpy)]
}


def bounds(dtype, whole):
    """The lowest and the highest number that PyTorch converts to the real NumPy dtype.

    ``whole``: the number is an int. An unsigned dtype accepts a negative int and wraps it around.
    It refuses a negative float, because C does not define this conversion.
    """
    if dtype in _BOUNDS:
        low, high = _BOUNDS[dtype]
        return (low if whole or dtype.kind == "i" else 0), high
    return -_LARGEST[dtype], _LARGEST[dtype]


def holds(dtype, value):
    """True if PyTorch converts the Python number ``value`` to the NumPy dtype without overflow."""
    kind = dtype.kind
    if isinstance(value, complex):
        if kind not in COMPLEX_KINDS:
            return (kind == "b" or not value.imag) and holds(dtype, value.real)
        return holds(_REAL[dtype], value.real) and holds(_REAL[dtype], value.imag)
    if kind == "b":
        return True
    low, high = bounds(_REAL[dtype], not isinstance(value, float))
    fits = low <= value <= high  # False for nan
    return fits if dtype in _BOUNDS else fits or value != value or abs(value) == float("inf")
