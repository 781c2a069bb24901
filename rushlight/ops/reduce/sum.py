"""Sums, means and counts over dims, and tests for any or all non-zero elements."""

import math

import numpy as np

import rushlight.dtype as dtypes
from rushlight import late, shapes
from rushlight.backend import numpy as xp
from rushlight.backend.half_sums import sum_of_halves
from rushlight.backend.summation import folded, narrow, summed
from rushlight.errors import DtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.kinds import reduction
from rushlight.ops.core.rules import kept, spread
from rushlight.ops.elementwise.arithmetic import div_

#: On devices with many units, sums of so many elements are made of so many parts.
_MANY, _PARTS = 1 << 16, 1024

# Sums -------------------------------------------------------------------------------------


@reduction(takes_dtype=True, grad_name="SumBackward1", whole_name="SumBackward0",
           primitive="reduction add", halves=sum_of_halves)  # fmt: skip
def sum(xp, x, *, dim=None, keepdim=False):
    """Add the elements over ``dim``.

    Args:
        dtype: Convert ``input`` to this dtype first. Default: int64 for integers and bools; others
            keep their dtype.

    >>> import rushlight as torch
    >>> torch.sum(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([3., 7.])
    """
    return summed(x, dim, keepdim)


sum.grad(x=lambda g, x_shape, dim, keepdim: spread(g, x_shape, dim, keepdim))


@sum.lower_on_devices
def _in_parts(x, dim, keepdim):
    """The sum of all of many elements in two steps: one row alone would keep one unit busy."""
    n = math.prod(x.shape)
    if n < _MANY or len(dim) < len(x.shape) or not late.spreads():
        return NotImplemented
    flat, size = x.reshape(-1), n // _PARTS
    total = sum(sum(flat[: _PARTS * size].reshape(_PARTS, size), dim=1), dim=0)
    if n % _PARTS:
        total = total + sum(flat[_PARTS * size :], dim=0)
    return total.reshape([1] * len(x.shape)) if keepdim else total


@reduction(takes_dtype=True, grad_name="NansumBackward0")
def nansum(xp, x, *, dim=None, keepdim=False):
    """Add the elements over ``dim`` and count nan as 0.

    Args:
        input: Tensor of any shape ``(*)``, real.
        dtype: Convert ``input`` to this dtype first. Default: int64 for integers and bools; others
            keep their dtype.

    >>> import rushlight as torch
    >>> torch.nansum(torch.tensor([1.0, torch.nan, 2.0]))
    tensor(3.)
    """
    if x.dtype.kind == "c":
        raise DtypeError("nansum does not support complex inputs")
    found = summed(x, dim, keepdim)
    if x.dtype.kind != "f" or not xp.isnan(found).any():
        return found  # no number was nan
    return summed(xp.where(x == x, x, 0), dim, keepdim)


@nansum.lower
def _nansum_of_sum(x, dim, keepdim):
    if x.dtype.category == 2:
        x = x.where(x == x, 0)
    return sum(x, dim, keepdim=keepdim)


nansum.grad(x=lambda g, x, x_shape, dim, keepdim: kept(g, x_shape, dim, keepdim) * (x == x))


def count(shape, dim):
    """The number of elements that a reduction of ``shape`` over ``dim`` puts into one result."""
    n = 1
    for i in dim:
        n *= shape[i]
    return n


def _mean_of_halves(x, *, dim=None, keepdim=False):
    return sum_of_halves(x, dim, keepdim, count(x.shape, dim))


@reduction(takes_dtype=True, grad_name="MeanBackward1", whole_name="MeanBackward0",
           halves=_mean_of_halves)  # fmt: skip
def mean(xp, x, *, dim=None, keepdim=False):
    """Compute the mean over ``dim``.

    Args:
        dtype: Convert ``input`` to this dtype first. Default: keep its dtype.

    Raises:
        RuntimeError: ``input`` has integers and no ``dtype`` is given; pass
            ``dtype=torch.float32``.

    >>> import rushlight as torch
    >>> torch.mean(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([2., 3.])
    """
    if x.dtype.kind not in "fc":
        raise DtypeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {dtypes.scalar_name(x.dtype)} ({dtypes.of(x.dtype)})"
        )
    return np.true_divide(summed(x, dim, keepdim), count(x.shape, dim), dtype=x.dtype)


mean.lower(lambda x, dim, keepdim: sum(x, dim, keepdim=keepdim) / count(x.shape, dim))
mean.grad(x=lambda g, x_shape, dim, keepdim: spread(g / count(x_shape, dim), x_shape, dim, keepdim))


# Truth ------------------------------------------------------------------------------------


def _truths(x):
    """True where an element is not zero; uint8 for uint8, as the results of ``any`` and ``all``."""
    found = x != 0
    return found.to(x.dtype) if x.dtype is dtypes.uint8 else found


def _tested(ufunc, x, dim, keepdim):
    """``ufunc`` reduced over the tuple ``dim``; uint8 for uint8, else bool."""
    if len(dim) < x.ndim and narrow(x):
        found = folded(ufunc, x.astype(bool), dim, keepdim)
    else:
        found = ufunc.reduce(x, axis=dim, keepdims=keepdim)
    return found.astype(np.uint8) if x.dtype == np.uint8 else found


@reduction(casts=(dtypes.uint8,), primitive="reduction or", of_no_dims=_truths)
def any(xp, x, *, dim=None, keepdim=False):
    """True where any element over ``dim`` is non-zero.

    >>> import rushlight as torch
    >>> torch.any(torch.tensor([[False, True], [False, False]]), dim=1)
    tensor([ True, False])
    """
    return _tested(xp.logical_or, x, dim, keepdim)


@reduction(casts=(dtypes.uint8,), primitive="reduction and", of_no_dims=_truths)
def all(xp, x, *, dim=None, keepdim=False):
    """True where all elements over ``dim`` are non-zero.

    >>> import rushlight as torch
    >>> torch.all(torch.tensor([[True, True], [True, False]]), dim=1)
    tensor([ True, False])
    """
    return _tested(xp.logical_and, x, dim, keepdim)


# Counts -----------------------------------------------------------------------------------


@reduction(public=False, method=False, name="count_nonzero")
def _count(xp, x, *, dim=None, keepdim=False):
    """The number of elements over ``dim`` that are not zero."""
    if len(dim) < x.ndim and narrow(x):
        return summed(x != 0, dim, keepdim)
    return xp.count_nonzero(x, axis=dim, keepdims=keepdim)


_count.lower(lambda x, dim, keepdim: sum(x != 0, dim, keepdim=keepdim))


@function
@takes("input, dim: int?=", "input, dim: shape")
def count_nonzero(input, dim=None):
    """Count the elements over ``dim`` that are not zero.

    Args:
        input: Tensor of any shape ``(*)``.
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. The method also
            takes several ints. Default: all.

    Returns:
        Tensor without the reduced dims, int64.

    >>> import rushlight as torch
    >>> torch.count_nonzero(torch.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """
    return _count(input, dim)


def _mean_of_known(x, dim, keepdim):
    known = x == x
    total = nansum.op.forward(xp, x, dim=dim, keepdim=keepdim)
    return total / summed(known, dim, keepdim).astype(x.dtype)


@function(kinds={"dim": "ints"})
def nanmean(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """Compute the mean over ``dim`` of the elements that are not nan.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.
        dtype: Convert ``input`` to this dtype first. Default: keep its dtype.

    Returns:
        Tensor without the reduced dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``input`` or ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.nanmean(torch.tensor([1.0, torch.nan, 2.0]))
    tensor(1.5000)
    """
    if input.dtype.category < 2 or (dtype is not None and dtype.category < 2):
        raise DtypeError(
            f"nanmean(): expected a floating point or complex dtype but got {dtype or input.dtype}"
        )
    if dtype is None and out is None and input._array.ndim:
        dims = shapes.dims(dim, input._array.ndim, "nanmean")
        found = on_arrays(lambda x: _mean_of_known(x, dims, keepdim), input)
        if found is not None:
            return found
    found = input.isnan().logical_not().sum(dim, keepdim)
    return div_(nansum(input, dim, keepdim, dtype=dtype), found, out=out)
