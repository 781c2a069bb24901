"""Functions for gradient rules that take raw arrays as well as tensors."""

import numpy as np

from rushlight.backend import numpy as backend
from rushlight.backend.summation import extreme, summed
from rushlight.dtype import COMPLEX_KINDS
from rushlight.tensor import Tensor

__all__ = [
    "conj", "in_c_order", "is_array", "is_complex", "kept", "largest", "least", "log", "memo_of",
    "number", "scattered", "spread", "total", "typed", "underivable", "where", "zeros",
]  # fmt: skip


def is_array(x):
    """Whether ``x`` is a raw array, and no tensor; also while a call is noted for replays."""
    return type(x) is np.ndarray or hasattr(x, "noted")


def in_c_order(x):
    """An array with the elements of the array ``x``, in C order; ``x`` itself if it is."""
    return x if x.flags.c_contiguous else x.copy()


def is_complex(x):
    """True for complex arrays, tensors and numbers."""
    array = getattr(x, "_array", x)
    return array.dtype.kind in COMPLEX_KINDS if hasattr(array, "dtype") else isinstance(x, complex)


def conj(x):
    """The complex conjugate; real values are returned unchanged."""
    if type(x) is np.ndarray:
        return np.conjugate(x) if x.dtype.kind in COMPLEX_KINDS else x
    if is_complex(x):
        return x.conj_physical() if hasattr(x, "conj_physical") else x.conjugate()
    return x


def memo_of(x):
    """A list for values that a forward on the array ``x`` leaves for the gradient.

    None in a trace, and for arrays of devices: their rules compute these values again.
    """
    return [] if is_array(x) else None


def where(condition, x, y):
    """``x`` where ``condition`` holds, else ``y``.

    If ``condition`` is a tensor, at least one of x and y must be a tensor, too.
    """
    if not isinstance(condition, Tensor):
        return backend.where(condition, x, y)
    return x.where(condition, y) if isinstance(x, Tensor) else y.where(condition.bitwise_not(), x)


def zeros(g):
    """Zeros like ``g``, even where g is infinite or nan (0 · g would be nan there)."""
    return g.new_zeros(g.shape) if isinstance(g, Tensor) else np.zeros_like(g)


def underivable(name, listed=False):
    """The rule of an operation without a derivative: going backward through it raises.

    ``listed``: PyTorch's list of derivatives has the operation, which makes it another error, and
    leaves the node its name; else the node is ``NotImplemented``.
    """

    def rule(g):
        if listed:
            raise NotImplementedError(f"the derivative for '{name}' is not implemented.")
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    vars(rule)["unlisted"] = not listed
    return rule


def log(x):
    """The natural logarithm. The logarithm of a Python number is a Python number."""
    if isinstance(x, Tensor):
        return x.log()
    return np.log(x).item() if isinstance(x, int | float | complex) else np.log(x)


def number(x):
    """The Python number in a 0-dim array or tensor; Python numbers are returned unchanged."""
    return getattr(x, "_array", x).item() if hasattr(x, "item") else x


def typed(x, like):
    """``x`` in the dtype of ``like``; a Python number stays one."""
    if isinstance(x, Tensor):
        return x.to(like.dtype)
    return x.astype(like.dtype) if hasattr(x, "astype") else x


# Reductions -------------------------------------------------------------------------------


def kept(x, x_shape, dim, keepdim):
    """The result (or its gradient) ``x`` of a reduction, with the reduced dims as dims of size 1.

    ``x_shape`` is the shape before the reduction over the dims ``dim``.
    """
    if keepdim or not dim:
        return x
    return x.reshape([1 if i in dim else n for i, n in enumerate(x_shape)])


def spread(x, x_shape, dim, keepdim):
    """``kept``, then broadcast to ``x_shape``, the shape before the reduction."""
    if x.ndim:  # a single number broadcasts as it is
        x = kept(x, x_shape, dim, keepdim)
    return x.expand(x_shape) if isinstance(x, Tensor) else np.broadcast_to(x, x_shape)


def total(x, dim, keepdim=True):
    """The sum over the dims in the tuple ``dim``; with ``keepdim`` these stay with size 1."""
    if isinstance(x, Tensor):
        return x.sum(dim, keepdim=keepdim) if dim else x
    return summed(x, dim, keepdim)


def largest(x, dim, keepdim=True):
    """The maximum over the dims in the tuple ``dim``; the maximum of no elements is -inf."""
    return _extreme("amax", np.maximum, -np.inf, x, dim, keepdim)


def least(x, dim, keepdim=True):
    """The minimum over the dims in the tuple ``dim``; the minimum of no elements is inf."""
    return _extreme("amin", np.minimum, np.inf, x, dim, keepdim)


def _extreme(name, ufunc, of_none, x, dim, keepdim):
    if isinstance(x, Tensor):
        return getattr(x, name)(dim, keepdim=keepdim) if dim else x
    if not x.size:
        return ufunc.reduce(x, axis=dim, keepdims=keepdim, initial=of_none)
    return extreme(ufunc, x, dim, keepdim)


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
