"""Products along dims, running products, and the recurrences in their gradients.

The gradient of a factor is the product of all other factors. If a factor may be zero, the whole
product cannot be divided by it. So the gradients are made of two operations: ``earlier``, the
product of all factors before an element, and ``recurrence``, ``y[j] = x[j] + a[j] · y[j-1]``. The
gradients of both are made of these operations and shifts, so gradients of every order are exact.
"""

import operator

import numpy as np

from rushlight import shapes
from rushlight.autograd.mode import is_grad_enabled
from rushlight.backend.summation import FEW, FLOATS, SMALL
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel, like_first
from rushlight.ops.core.rules import conj, kept, where
from rushlight.ops.index.slice import placed
from rushlight.ops.reduce.parallel_scan import in_blocks, places_along
from rushlight.ops.reduce.scan import accumulated, one_dim, reversed_sum, widened
from rushlight.tensor import Tensor

_COLUMNS = 1024  # the product of all elements of a large array is made of so many products


def _at(ndim, dim, part):
    return (*(slice(None),) * dim, part, *(slice(None),) * (ndim - dim - 1))


@kernel(public=False, method=False)
def shifted(xp, x, *, dim, reverse):
    """Move ``x`` by one place along ``dim``, and put 0 in the gap.

    The elements move to the end, with ``reverse`` to the front.
    """
    out = xp.zeros_like(x)
    ahead, behind = _at(x.ndim, dim, slice(1, None)), _at(x.ndim, dim, slice(None, -1))
    if reverse:
        out[behind] = x[ahead]
    else:
        out[ahead] = x[behind]
    return out


@shifted.lower
def _shifted_of_slices(x, dim, reverse):
    ahead, behind = (
        _at(x._array.ndim, dim, slice(1, None)),
        _at(x._array.ndim, dim, slice(None, -1)),
    )
    source, target = (ahead, behind) if reverse else (behind, ahead)
    return placed(x.new_zeros(x.shape), x[source], target)


shifted.grad(x=lambda g, dim, reverse: shifted(g, dim=dim, reverse=not reverse))


@kernel(public=False, method=False)
def recurrence(xp, x, a, *, dim, reverse):
    """y[j] = x[j] + a[j] · y[j-1] along ``dim``; with ``reverse`` y[j+1] instead of y[j-1]."""
    out = xp.empty(xp.broadcast_shapes(x.shape, a.shape), xp.result_type(x, a))
    ahead, xs, factors = (xp.moveaxis(v, dim, 0) for v in (out, xp.broadcast_to(x, out.shape), a))
    last = None
    places = range(out.shape[dim])
    for j in reversed(places) if reverse else places:
        ahead[j] = xs[j] if last is None else xs[j] + factors[j] * last
        last = ahead[j]
    return out


@recurrence.lower_on_devices
def _doubled_recurrence(x, a, dim, reverse):
    if not a.shape:
        return NotImplemented
    found = (x + a * 0).flip(dim) if reverse else x + a * 0
    a = a.flip(dim) if reverse else a
    at, step = places_along(a, dim), 1
    while step < a.shape[dim]:
        places = (at - step).clamp(0).expand(a.shape)
        found, a = [
            joined.where(at >= step, old)
            for joined, old in (
                (found + a * found.gather(dim, places), found),
                (a * a.gather(dim, places), a),
            )
        ]
        step *= 2
    return found.flip(dim) if reverse else found


def _recurrence_back(g, a, dim, reverse):
    following = conj(shifted(a, dim=dim, reverse=not reverse))
    return recurrence(g, following, dim=dim, reverse=not reverse)


recurrence.grad(
    x=_recurrence_back,
    a=lambda g, a, out, dim, reverse: (
        _recurrence_back(g, a, dim, reverse) * conj(shifted(out, dim=dim, reverse=reverse))
    ),
)


@kernel(public=False, method=False)
def earlier(xp, x, *, dim, reverse):
    """For each element, the product of all elements before it along ``dim``.

    With ``reverse`` it is the product of all elements after it.
    """
    x = xp.flip(x, dim) if reverse else x
    out = xp.ones_like(x)
    before, after = _at(x.ndim, dim, slice(None, -1)), _at(x.ndim, dim, slice(1, None))
    xp.multiply.accumulate(x[before], axis=dim, out=out[after])
    return xp.ascontiguousarray(xp.flip(out, dim)) if reverse else out


def _earlier_slope(g, x, dim, reverse):
    later = conj(shifted(x, dim=dim, reverse=not reverse))
    rest = recurrence(shifted(g, dim=dim, reverse=not reverse), later, dim=dim, reverse=not reverse)
    return conj(earlier(x, dim=dim, reverse=reverse)) * rest


@earlier.lower
def _earlier_of_cumprod(x, dim, reverse):
    ndim = x._array.ndim
    x = x.flip(dim) if reverse else x
    product = cumprod_(x[_at(ndim, dim, slice(None, -1))], dim)
    out = placed(x.new_ones(x.shape), product, _at(ndim, dim, slice(1, None)))
    return out.flip(dim) if reverse else out


earlier.grad(x=_earlier_slope)


# Products ---------------------------------------------------------------------------------


@kernel(public=False, method=False, name="prod_all", grad_name="ProdBackward0", autocast=SINGLE)
def prod_all(xp, x):
    """The product of all elements."""
    whole = x.size - x.size % _COLUMNS
    if whole > _COLUMNS and type(x) is np.ndarray and x.dtype in FLOATS and x.flags.c_contiguous:
        flat = x.reshape(
            -1
        )  # NumPy multiplies whole rows at a time, but single elements one by one
        columns = xp.multiply.reduce(flat[:whole].reshape(-1, _COLUMNS), axis=0)
        return xp.multiply.reduce(columns) * xp.multiply.reduce(flat[whole:])
    return xp.multiply.reduce(x, axis=None, dtype=x.dtype)


def _prod_dim(x, *, dim, keepdim):
    return {"dim": shapes.dim(dim, x.ndim, "prod"), "keepdim": shapes.flag(keepdim, "prod")}


@kernel(public=False, method=False, name="prod", grad_name="ProdBackward1", prepare=_prod_dim,
        autocast=SINGLE, primitive="reduction mul")  # fmt: skip
def prod_(xp, x, *, dim, keepdim=False):
    """The product along one dim."""
    if x.size > SMALL and x.shape[dim] <= FEW and x.size:
        factors = np.moveaxis(x, dim, 0)
        found = factors[0].copy()
        for k in range(1, len(factors)):
            found *= factors[k]
        return np.expand_dims(found, dim) if keepdim else found
    return xp.multiply.reduce(x, axis=dim if x.ndim else (), keepdims=keepdim, dtype=x.dtype)


prod_.lower(lambda x: NotImplemented if x.shape else x)


def _others(x, dim):
    """For each element, the product of all other elements along ``dim``."""
    return earlier(x, dim=dim, reverse=False) * earlier(x, dim=dim, reverse=True)


def _prod_slope(g, x, out, dim):
    if not x.shape or x.shape[dim] == 1:  # one factor has gradient g, even if x / x is nan
        return g
    if not isinstance(x, Tensor) and np.all(x):
        return g * conj(out / x)
    return g * conj(_others(x, dim))


def _prod_all_slope(g, x, out):
    found = _prod_slope(g, x.reshape(-1), out, 0).reshape(x.shape)
    if isinstance(found, Tensor) and is_grad_enabled():  # the second slope may not be 0
        return found
    # With two zeros each slope is 0, as in PyTorch, even if ``g`` is infinite.
    return where((x == 0).sum() > 1, 0, found)


prod_all.lower(lambda x: prod_(x.reshape(x.numel()), 0))
prod_all.grad(x=_prod_all_slope)
prod_.grad(
    x=lambda g, x, out, x_shape, dim, keepdim: _prod_slope(
        kept(g, x_shape, (dim,), keepdim or not x_shape),
        x,
        kept(out, x_shape, (dim,), keepdim or not x_shape),
        dim,
    )
)


@function
@takes("input, *, dtype?=", "input, dim: int, keepdim=, *, dtype?=, out?=")
def prod(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """Multiply all elements, or those along one ``dim``.

    Args:
        dim: The one dim to reduce. Default: all dims.
        dtype: Convert ``input`` to this dtype first. Default: int64 for integers and bools; others
            keep their dtype.

    Returns:
        Tensor without the reduced dims; with ``keepdim`` they have size 1.

    >>> import rushlight as torch
    >>> torch.prod(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([ 2., 12.])
    """
    input = widened(input, dtype, out)
    if dim is None:
        return prod_all(input)
    return prod_(input, dim=dim, keepdim=keepdim, out=out)


@kernel(public=False, method=False, name="cumprod", prepare=one_dim("cumprod"), shape=like_first,
        primitive="scan mul")  # fmt: skip
def cumprod_(xp, x, *, dim):
    """The running product."""
    return accumulated(xp.multiply, x, dim)


cumprod_.lower_on_devices(lambda x, dim: in_blocks(x, dim, cumprod_, operator.mul, 1))


def _cumprod_slope(g, x, out, dim):
    if not x.shape or x.shape[dim] == 1:
        return g
    if not isinstance(x, Tensor) and np.all(x):
        return reversed_sum(g * conj(out), dim) / conj(x)
    if not isinstance(g, Tensor):
        return _slope_with_zeros(g, x, out, dim)
    later = conj(shifted(x, dim=dim, reverse=True))
    return conj(earlier(x, dim=dim, reverse=False)) * recurrence(g, later, dim=dim, reverse=True)


def _slope_with_zeros(g, x, out, dim):
    """``_cumprod_slope`` of an array that has zeros.

    As in PyTorch nothing is computed of elements that a zero makes ineffective, so that nan and
    infinity among them do not count. Those are all behind the first zero.
    """
    count = (x == 0).cumsum(dim)
    before, between = count == 0, count == 1
    found = np.where(before, reversed_sum(np.where(before, g * conj(out), 0), dim) / conj(x), 0)
    first = between & (x == 0)
    factors = np.multiply.accumulate(np.where(between & ~first, conj(x), 1), dim)
    slope = (factors * np.where(between, g, 0)).sum(dim, keepdims=True)
    place = between.argmax(dim, keepdims=True)
    ahead = np.take_along_axis(conj(out), np.maximum(place - 1, 0), dim)
    return np.where(first, slope * np.where(place == 0, 1, ahead), found)


cumprod_.grad(x=_cumprod_slope)


@function(inplace=True)
def cumprod(input, dim, *, dtype=None, out=None):
    """Compute the running product along ``dim``.

    Args:
        dtype: Convert ``input`` to this dtype first. Default: int64 for integers and bools; others
            keep their dtype.

    Returns:
        Tensor of ``input``'s shape.

    >>> import rushlight as torch
    >>> torch.cumprod(torch.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  2,  6, 24])
    """
    return cumprod_(widened(input, dtype, out), dim=dim, out=out)
