"""Softmax and its logarithm, and the logarithm of a sum of exponentials."""

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.backend import native
from rushlight.backend import numpy as backend
from rushlight.backend.summation import SMALL, extreme, summed
from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import FLOATS, plain, taped
from rushlight.ops.core.kinds import kernel, like_first, reduction
from rushlight.ops.core.promotion import to_float
from rushlight.ops.core.rules import conj, kept, largest, total
from rushlight.strides import in_order
from rushlight.tensor import Tensor


def _dims(x, *, dim):
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        raise UnsupportedDtypeError(
            f"softmax: not implemented for {x.dtype}; convert with .float()"
        )
    dim = shapes.dim(dim, x.ndim, "softmax")
    return {"dim": (dim,) if x.ndim else ()}


def _shifted(xp, x, dim):
    """x minus its maximum over ``dim``, as a new array."""
    if type(x) is ndarray and 0 < x.size <= SMALL and dim:
        return x - np.maximum.reduce(x, axis=dim, keepdims=True)
    return xp.asarray(x - largest(x, dim))


@kernel(public=False, method=False, name="softmax", prepare=_dims, shape=like_first,
        least=1 << 13, slopes=True, symmetric=True)  # fmt: skip
def softmax_(xp, x, *, dim):
    """exp(x) / Σ exp(x)."""
    z = _shifted(xp, x, dim)
    e = xp.exp(z, out=z)
    sums = total(e, dim)
    if dim == (x.ndim - 1,):  # PyTorch rounds twice along the last dim, and once along others
        return xp.multiply(e, 1 / sums, out=e)
    return xp.divide(e, sums, out=e)


def _softmax_slope(g, out, dim):
    weighted = g * out
    return weighted - out * total(weighted, dim)


softmax_.lower()
softmax_.grad(x=_softmax_slope)


@kernel(public=False, method=False, name="log_softmax", prepare=_dims, shape=like_first,
        least=1 << 13, slopes=True)  # fmt: skip
def log_softmax_(xp, x, *, dim):
    """x - log(Σ exp(x))."""
    z = _shifted(xp, x, dim)
    return xp.subtract(z, xp.log(total(xp.exp(z), dim)), out=z)


log_softmax_.lower()
log_softmax_.grad(x=lambda g, out, dim: g - _exp(out) * total(g, dim))


def _exp(x):
    return x.exp() if isinstance(x, Tensor) else np.exp(x)


def _recorded(op, x, dims, node):
    """The result of ``op`` on the array ``x``, with a node that saves what the gradient needs."""
    array = native.compute(op, (x,), {"dim": dims}) if x.size >= op.least else None
    if array is None:
        array = op.forward(backend, x, dim=dims)
    found = taped(op, in_order(array), (node,), (None, dims), (None, None))
    if found.node is not None:
        found.node.saved = (found._array, dims)
        found.node.cells = (found.cell, None)
    return found


def _short(operation, input, dim, dtype, out):
    """``operation`` on ``input``, by the short path for plain floats and one dim."""
    if dtype is None and out is None and not mode.intercept and type(dim) is int:
        try:
            x = plain(input)
            if x.dtype in FLOATS and -x.ndim <= dim < x.ndim:
                return _recorded(operation.op, x, (dim % x.ndim,), input.node)
        except AttributeError:
            pass  # ``input`` is no tensor
    if dtype is not None:
        input = input.to(dtype)
    if isinstance(input, Tensor) and not input.numel() and input.dtype.category < 2:
        shapes.dim(dim, input.ndim, operation.op.name)
        found = input.clone()  # PyTorch takes integers here, because it computes nothing
        return found if out is None else operation.op.store(out, found)
    return operation(input, dim=dim, out=out)


@function
def softmax(input, dim, dtype=None, *, out=None):
    """Scale the exponentials along ``dim`` so that they sum to 1.

    Computes ``exp(x_i - max x) / Σ_j exp(x_j - max x)``. The maximum is subtracted first, so large
    inputs do not overflow.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        dim: The dim along which the result sums to 1. Negative dims count from the end.
        dtype: Convert ``input`` to this dtype before the computation. Default: keep its dtype.
        out: Tensor that receives the result; it must have the result's dtype.

    Returns:
        Tensor of ``input``'s shape, with values in [0, 1].

    Raises:
        IndexError: ``dim`` is out of range.
        RuntimeError: ``input`` is not floating point and no ``dtype`` is given.

    >>> import rushlight as torch
    >>> torch.softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _short(softmax_, input, dim, dtype, out)


@function
def log_softmax(input, dim, dtype=None, *, out=None):
    """Compute the logarithm of ``softmax``, precisely even if the softmax is tiny.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        dim: The dim along which the softmax sums to 1. Negative dims count from the end.
        dtype: Convert ``input`` to this dtype first. Default: keep its dtype.

    Returns:
        Tensor of ``input``'s shape, with values up to 0.

    Raises:
        IndexError: ``dim`` is out of range.
        RuntimeError: ``input`` is not floating point and no ``dtype`` is given.

    >>> import rushlight as torch
    >>> torch.log_softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _short(log_softmax_, input, dim, dtype, out)


@reduction(casts=True)
def logsumexp(xp, x, *, dim, keepdim=False):
    """Compute the logarithm of the sum of exponentials over ``dim``.

    Args:
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. None: all dims.

    >>> import rushlight as torch
    >>> torch.logsumexp(torch.tensor([0.0, 0.0]), dim=0)
    tensor(0.6931)
    """
    dtype = to_float((x,)).numpy
    if x.dtype.kind in "biu":  # a default dtype of half precision is rounded to once, at the end
        x = x.astype(dtype if dtype.itemsize > 2 else xp.float32)
    if not x.size:
        return xp.log(summed(x, dim, keepdim)).astype(dtype)
    largest = extreme(xp.maximum, x.real, dim, True)
    largest = xp.where(xp.isinf(largest), 0, largest).astype(x.dtype)
    found = (xp.log(summed(xp.exp(x - largest), dim, True)) + largest).astype(dtype, copy=False)
    return found if keepdim else found.reshape(shapes.reduced(x.shape, dim, False))


@logsumexp.lower
def _logsumexp_of_exp(x, dim, keepdim):
    x = x.to(to_float((x,)))
    largest = x.amax(dim, keepdim=True)
    largest = largest.masked_fill(largest.isinf(), 0)
    found = total((x - largest).exp(), dim).log() + largest
    return found if keepdim else found.squeeze(dim)


logsumexp.grad(
    x=lambda g, x, out, x_shape, dim, keepdim: (
        kept(g, x_shape, dim, keepdim) * conj(_exp(x - kept(out, x_shape, dim, keepdim)))
    )
)
