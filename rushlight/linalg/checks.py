"""Checks of the arguments of linear algebra, its error class, and the identity matrix."""

import numpy as np

from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.create.range import eye
from rushlight.tensor import Tensor

__all__ = ["LinAlgError", "check_floats", "check_matrices", "check_square", "identity", "squares"]


class LinAlgError(RuntimeError):
    """A matrix lacks a property that an operation needs, such as an inverse."""


def check_floats(name, x):
    """Raise unless ``x`` holds floating-point or complex numbers."""
    dtype = OF[getattr(x, "array", x).dtype]
    if dtype.category < 2:
        raise DtypeError(f"{name}: expected floating-point or complex numbers, got {dtype}")


def check_matrices(name, x):
    """Raise unless ``x`` is a batch of matrices of floating-point or complex numbers."""
    if len(x.shape) < 2:
        raise ShapeError(f"{name}: expected matrices (…, M, N), got {tuple(x.shape)}")
    check_floats(name, x)


def check_square(name, x):
    """Raise unless ``x`` is a batch of square matrices of floating-point or complex numbers."""
    if len(x.shape) < 2 or x.shape[-2] != x.shape[-1]:
        raise ShapeError(f"{name}: expected square matrices (…, N, N), got {tuple(x.shape)}")
    check_floats(name, x)


def identity(x):
    """Return the identity matrix in the dtype of ``x``; its size is the last dim of ``x``."""
    n = x.shape[-1]
    return eye(n, dtype=x.dtype) if isinstance(x, Tensor) else np.eye(n, dtype=x.dtype)


def squares(name):
    """Return the ``prepare`` function of an operation whose only input is square matrices."""

    def prepare(x):
        check_square(name, x)
        return {}

    return prepare
