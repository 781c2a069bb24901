"""NumPy as the namespace ``xp`` that an operation's forward computes with.

A forward sees the arrays of one operation and this module: NumPy's functions by their own names,
and SciPy's special functions, which are imported when one is first used.
"""

import importlib
import sys
import warnings
from math import prod

import numpy as np

# NumPy warns of overflow, division by zero and invalid values where PyTorch returns inf or nan
# in silence. A NumPy warning belongs to the module of the line that computed, so this silences
# rushlight's own lines and leaves the user's as they are.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"rushlight\.")

_SPECIAL = {
    "digamma", "erf", "erfc", "erfcx", "erfinv", "expit", "gammainc", "gammaincc", "gammaln", "i0",
    "i0e", "i1", "i1e", "log_ndtr", "ndtr", "ndtri", "polygamma", "xlog1py", "xlogy", "zeta",
}  # fmt: skip


dry = False  # whether numbers matter


class Dry:
    """This module where dtypes and shapes are asked for: no reason to import SciPy or compile."""

    dry = True

    def __getattr__(self, name):
        return _float_of if name in _OF_ONE else getattr(sys.modules[__name__], name)


def _float_of(x):
    return np.ones(np.shape(x), x.dtype if x.dtype.kind == "f" else np.float64)


#: The special functions of one argument.
_OF_ONE = _SPECIAL - {
    "gammainc", "gammaincc", "polygamma", "xlog1py", "xlogy", "zeta",
}  # fmt: skip


def __getattr__(name):
    # Asked once for each name: what is found stays in this module.
    if name in _SPECIAL:
        found = getattr(importlib.import_module("scipy.special"), name)
    else:
        found = getattr(np, name)
    globals()[name] = found
    return found


def reshape_view(x, shape):
    """``x.reshape(shape)`` as a view; None where only a copy has that shape."""
    try:
        return x.reshape(shape, copy=False)
    except ValueError:
        return None


_BOOL = np.dtype(bool)
_I4, _I8 = np.dtype("i4"), np.dtype("i8")
_INTEGER = {1: np.dtype("i1"), 2: np.dtype("i2"), 4: _I4, 8: _I8}
_FLOATS = (np.dtype("f4"), np.dtype("f8"))


def gated(condition, x):
    """``x``, of floats, where ``condition`` holds, else 0: 0 or 1 times the bits, nan's as well."""
    integer = _I4 if x.itemsize == 4 else _I8
    mask = condition.astype(integer)
    return np.multiply(mask, x.view(integer), mask).view(x.dtype)


def matrix_product(x, y, out=None):
    """``x.dot(y)``, which takes half of ``matmul``'s overhead for the same call of BLAS.

    Of one element NumPy makes a scale for the other operand, and a scale of 0 leaves 0 where
    0 · inf is nan.
    """
    return x.dot(y, out) if x.size > 1 < y.size else np.matmul(x, y, out)


def where(condition, x, y):
    """``np.where``; by masks of bits where that is faster: ten times on irregular conditions."""
    if (
        (type(x) is type(condition) is np.ndarray and type(y) is int and y == 0)
        and (x.dtype in _FLOATS and condition.dtype is _BOOL)
        and x.shape == condition.shape
    ):
        return gated(condition, x)
    shape = np.shape(condition)
    if prod(shape) < 4096 or condition.dtype != bool:
        return np.where(condition, x, y)
    for value in (x, y):
        if np.shape(value) not in ((), shape):
            return np.where(condition, x, y)
    dtype = np.result_type(x, y)
    integer = _INTEGER.get(dtype.itemsize)
    if integer is None:
        return np.where(condition, x, y)
    mask = condition.astype(integer)
    np.negative(mask, out=mask)  # 0, or all bits set
    y = _bits(y, dtype, integer)
    mask &= _bits(x, dtype, integer) ^ y
    mask ^= y
    return mask.view(dtype)


def _bits(x, dtype, integer):
    return np.asarray(x, dtype).view(integer)
