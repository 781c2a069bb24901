"""What gradient rules compute with, on raw arrays and on tensors alike."""

import numpy as np

from rushlight.backend import numpy as backend
from rushlight.tensor import Tensor

__all__ = [
    "conj", "is_complex", "kept", "log", "number", "scattered", "spread", "total", "typed",
    "where", "zeros",
]  # fmt: skip


def is_complex(x):
    """True for complex arrays, tensors and numbers."""
    array = getattr(x, "array", x)
    return array.dtype.kind == "c" if hasattr(array, "dtype") else isinstance(x, complex)


def conj(x):
    """The complex conjugate; real values as they are."""
    if type(x) is np.ndarray:
        return x.conj() if x.dtype.kind == "c" else x
    if is_complex(x):
        return x.conj_physical() if hasattr(x, "conj_physical") else x.conjugate()
    return x


def where(condition, x, y):
    """``x`` where ``condition`` holds, else ``y``; with a tensor, one of x and y is a tensor."""
    if not isinstance(condition, Tensor):
        return backend.where(condition, x, y)
    return x.where(condition, y) if isinstance(x, Tensor) else y.where(condition.bitwise_not(), x)


def zeros(g):
    """Zeros like ``g``, also where that is infinite or nan."""
    return g.new_zeros(g.shape) if isinstance(g, Tensor) else np.zeros_like(g)


def log(x):
    """The natural logarithm; of a Python number, a Python number."""
    if isinstance(x, Tensor):
        return x.log()
    return np.log(x).item() if isinstance(x, int | float | complex) else np.log(x)


def number(x):
    """The Python number in a 0-dim array or tensor; numbers as they are."""
    return getattr(x, "array", x).item() if hasattr(x, "item") else x


def typed(x, like):
    """``x`` in the dtype of ``like``."""
    return x.to(like.dtype) if isinstance(x, Tensor) else x.astype(like.dtype)


# Reductions -------------------------------------------------------------------------------


def kept(x, x_shape, dim, keepdim):
    """The result or gradient ``x`` of a reduction with its dims back, as 1."""
    if keepdim or not dim:
        return x
    return x.reshape([1 if i in dim else n for i, n in enumerate(x_shape)])


def spread(x, x_shape, dim, keepdim):
    """``kept``, then broadcast to the shape that was reduced."""
    x = kept(x, x_shape, dim, keepdim)
    return x.expand(x_shape) if isinstance(x, Tensor) else np.broadcast_to(x, x_shape)


def total(x, dim):
    """The sum over the tuple ``dim``, whose dims stay as 1."""
    if isinstance(x, Tensor):
        return x.sum(dim, keepdim=True) if dim else x
    from rushlight.ops.reduce.summation import summed

    return summed(x, dim, True)


def scattered(g, index, dim, shape):
    """Zeros of ``shape`` with ``g`` at ``index`` along ``dim``."""
    if isinstance(g, Tensor):
        return g.new_zeros(shape).scatter(dim, index, g)
    out = np.zeros(shape, g.dtype)
    if out.ndim:
        np.put_along_axis(out, index, g, dim)
    else:
        out[...] = g
    return out
