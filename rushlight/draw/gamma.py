"""Gamma and Dirichlet numbers, by squeezed rejection of cubes of normals.

Source: Marsaglia and Tsang, A simple method for generating gamma variables, ACM Transactions on
Mathematical Software 26 (2000); section 6 for shapes below 1.
"""

import math

import numpy as np

from rushlight.draw.singles import each
from rushlight.draw.words import F32, F64, refuse

__all__ = ["dirichlet", "gamma"]

THIRD = np.float32(1 / 3)
TINY = {d: np.finfo(d).tiny for d in (F32, F64)}


def gamma(generator, shapes):
    """Draw a gamma number of rate 1 for each shape parameter in the array ``shapes``.

    The result has the dtype of ``shapes`` and is never 0: its least value is the dtype's smallest
    normal number.

    Raises:
        NotImplementedError: ``shapes`` is not float32 or float64.
    """
    if shapes.dtype not in (F32, F64):
        refuse("gamma_cpu", shapes.dtype)
    found = each(generator, _number, *_constants(shapes)).reshape(shapes.shape)
    if shapes.dtype == F32:
        with np.errstate(over="ignore", under="ignore"):
            found = found.astype(F32)
    return np.fmax(found, TINY[shapes.dtype])


def dirichlet(generator, concentrations):
    """Draw points whose K coordinates add up to 1, from an array (*, K) of concentrations.

    Raises:
        NotImplementedError: ``concentrations`` is not float32 or float64.
    """
    dtype = concentrations.dtype
    if dtype not in (F32, F64):
        refuse("dirichlet", dtype)
    parts = gamma(generator, concentrations.astype(np.float64))
    found = (parts / parts.sum(-1, keepdims=True)).astype(dtype)
    return np.clip(found, TINY[dtype], np.nextafter(dtype.type(1), dtype.type(0)))


def _constants(shapes):
    """Return the constants (d, c, inverse) of the method for each shape parameter.

    A gamma number of a shape below 1 is drawn for shape + 1 and then scaled by a uniform number to
    the power ``inverse`` = 1 / shape. From shape 1 on, ``inverse`` is 0. ``d`` is the shape less
    1/3, and ``c`` is 1 / sqrt(9 d). The constants are rounded as in PyTorch, where 1/3 is a float32
    number.
    """
    small = shapes < 1
    if not hasattr(small, "noted") and not small.any():
        d = shapes - THIRD
        return d, 1 / np.sqrt(9 * d.astype(np.float64)), 0.0
    with np.errstate(all="ignore"):
        inverse = np.where(small, 1 / shapes, 0)  # inf for a shape of 0
        d = np.where(small, shapes + 1, shapes) - THIRD
        return d, 1 / np.sqrt(9 * d.astype(np.float64)), inverse


def _power(x, y):
    """x to the y, for x in (0, 1]: infinite where Python's power raises an error."""
    return x**y if y > 0.0 or x**-y > 5.6e-309 else math.inf


def _number(stream, d, c, inverse):
    if inverse == math.inf:
        return 0.0
    scale = _power(1.0 - stream.uniform(), inverse) if inverse else 1.0
    while True:
        y = 0.0
        while y <= 0.0:
            x = stream.normal()
            y = 1.0 + c * x
        v = y * y * y
        u = 1.0 - stream.uniform()
        square = x * x
        if u < 1.0 - 0.0331 * square * square:
            return scale * d * v
        if math.log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            return scale * d * v
