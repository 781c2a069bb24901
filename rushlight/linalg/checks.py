"""Checks of the arguments of linear algebra, its error class, and the identity matrix."""

import numpy as np

from rushlight.dtype import OF
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.range import eye
from rushlight.tensor import Tensor

__all__ = [
    "LinAlgError", "check_floats", "check_info", "check_matrices", "check_phases", "check_square",
    "identity", "squares",
]  # fmt: skip


class _LinAlgError(RuntimeError):
    """A matrix lacks a property that an operation needs, such as an inverse."""


LinAlgError = _LinAlgError  # PyTorch, too, has the class by both names


def check_floats(name, x):
    """Raise unless ``x`` holds floating-point or complex numbers."""
    dtype = OF[getattr(x, "_array", x).dtype]
    if dtype.category < 2:
        raise UnsupportedDtypeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {dtype}"
        )


def check_matrices(name, x, argument="The input tensor A"):
    """Raise unless ``x`` is a batch of matrices of floating-point or complex numbers."""
    _check_dims(name, x, argument)
    check_floats(name, x)


def _check_dims(name, x, argument="The input tensor A"):
    if len(x.shape) < 2:
        raise ShapeError(
            f"{name}: {argument} must have at least 2 dimensions, (…, M, N), got {tuple(x.shape)}"
        )


def check_square(name, x):
    """Raise unless ``x`` is a batch of square matrices of floating-point or complex numbers."""
    _check_dims(name, x)
    rows, columns = x.shape[-2:]
    if rows != columns:
        raise ShapeError(
            f"{name}: A must be batches of square matrices, but they are {rows} by {columns} "
            f"matrices: {tuple(x.shape)}"
        )
    check_floats(name, x)


def check_info(name, info, what, error=LinAlgError):
    """Raise unless all of ``info`` is 0, by an operation, so that a compiled program checks, too.

    ``info`` has for each matrix what LAPACK reported, most often the number of a pivot that is 0.
    It stands for ``{}`` in ``what``, which says what is wrong, in PyTorch's words.
    """
    check_range(info, low=0, high=0, error=error, message=f"{name}: {{batch}}{what}")


def check_phases(name, along):
    """Raise if a loss depends on the phases of complex eigenvectors, which are arbitrary.

    ``along`` has on its diagonal by how much the loss changes along each eigenvector.
    """
    check_range(
        along.imag, low=-1e-2, high=1e-2, error=RuntimeError,
        message=f"{name}: an eigenvector is only determined up to a factor of absolute value 1, "
        "but the loss depends on this factor, so its gradient is ill-defined",
    )  # fmt: skip


def identity(x):
    """Return the identity matrix in the dtype of ``x``; its size is the last dim of ``x``."""
    n = x.shape[-1]
    return eye(n, dtype=x.dtype) if isinstance(x, Tensor) else np.eye(n, dtype=x.dtype)


def squares(name):
    """Return the ``prepare`` function of an operation whose only input is square matrices."""

    def prepare(x, **params):
        check_square(name, x)
        return params

    return prepare
