"""The largest and the smallest elements over dims, and their indices."""

import numpy as np

from rushlight import shapes
from rushlight.backend.summation import extreme, index_of
from rushlight.dtype import COMPLEX_KINDS, int64
from rushlight.dtype import bool as bool_
from rushlight.errors import DimError, DtypeError, IndexRangeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import several
from rushlight.ops.core.kinds import kernel, reduction
from rushlight.ops.core.rules import kept, scattered, total, typed, where
from rushlight.ops.elementwise.clamp import maximum, minimum
from rushlight.return_types import result_type
from rushlight.tensor import Tensor


def _check(name, x, dim, given=False):
    """Raise if ``x`` is complex, or if it has no elements over the tuple ``dim``.

    ``given``: the caller named the dim.
    """
    if x.dtype.kind in COMPLEX_KINDS:
        raise UnsupportedDtypeError(
            f"{name}: not implemented for complex tensors: they have no order"
        )
    if x.size:
        return
    if len(dim) == x.ndim and not given:
        raise IndexRangeError(  # PyTorch raises an IndexError only if dim was given; this is both
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0: "
            f"shape {x.shape}. Specify the reduction dim with the 'dim' argument."
        )
    for d in dim:
        if not x.shape[d]:
            raise DimError(
                f"{name}(): Expected reduction dim {d} to have non-zero size: shape {x.shape}"
            )


def _shared(g, x, out, x_shape, dim, keepdim):
    """Divide ``g`` evenly among the elements equal to the extremum. A nan extremum gives nan."""
    g, out = kept(g, x_shape, dim, keepdim), kept(out, x_shape, dim, keepdim)
    mask = typed(x == out, g)
    return mask * (g / total(mask, dim))


def _shared_by_all(g, x, out, x_shape, dim):
    """Divide ``g`` evenly among the elements equal to the extremum. Here nan equals nan."""
    mask = (x == out) | ((x != x) & (out != out))
    return where(mask, g / total(typed(mask, g), dim), 0)


@reduction(primitive="reduction max")
def amax(xp, x, *, dim=None, keepdim=False):
    """Return the largest element over ``dim``.

    >>> import rushlight as torch
    >>> torch.amax(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([5., 3.])
    """
    _check("amax", x, dim)
    return extreme(xp.maximum, x, dim, keepdim)


@reduction(primitive="reduction min")
def amin(xp, x, *, dim=None, keepdim=False):
    """Return the smallest element over ``dim``.

    >>> import rushlight as torch
    >>> torch.amin(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1., 2.])
    """
    _check("amin", x, dim)
    return extreme(xp.minimum, x, dim, keepdim)


@reduction(public=False, method=False, name="max_all", grad_name="MaxBackward1", casts=True)
def max_all(xp, x, *, dim=None, keepdim=False):
    """The largest of all elements."""
    _check("max", x, dim)
    return xp.maximum.reduce(x, axis=None if not keepdim else dim, keepdims=keepdim)


@reduction(public=False, method=False, name="min_all", grad_name="MinBackward1", casts=True)
def min_all(xp, x, *, dim=None, keepdim=False):
    """The smallest of all elements."""
    _check("min", x, dim)
    return xp.minimum.reduce(x, axis=None if not keepdim else dim, keepdims=keepdim)


for _op in (amax, amin):
    _op.grad(x=_shared)
for _op in (max_all, min_all):
    _op.grad(x=_shared_by_all)
max_all.lower(lambda x, dim, keepdim: amax(x, dim, keepdim=keepdim))
min_all.lower(lambda x, dim, keepdim: amin(x, dim, keepdim=keepdim))


# Values with their indices ----------------------------------------------------------------


def _one_dim(name):
    def prepare(x, *, dim, keepdim):
        dim = shapes.dim(dim, x.ndim, name)
        _check(name, x, (dim,) if x.ndim else (), given=True)
        return {"dim": dim, "keepdim": shapes.flag(keepdim, name)}

    return prepare


def _found(xp, ufunc, locate, x, dim, keepdim):
    if not x.ndim:
        return x.copy(), xp.zeros((), xp.int64)
    return extreme(ufunc, x, (dim,), keepdim), index_of(locate, x, dim, keepdim)


@kernel(public=False, method=False, name="max", grad_name="MaxBackward0", prepare=_one_dim("max"))
def max_dim(xp, x, *, dim, keepdim=False):
    """The largest elements along one dim and their indices."""
    return _found(xp, xp.maximum, xp.argmax, x, dim, keepdim)


@kernel(public=False, method=False, name="min", grad_name="MinBackward0", prepare=_one_dim("min"))
def min_dim(xp, x, *, dim, keepdim=False):
    """The smallest elements along one dim and their indices."""
    return _found(xp, xp.minimum, xp.argmin, x, dim, keepdim)


def selected(g, index, x_shape, dim, keepdim):
    """The gradient of picking one element along ``dim`` by ``index``, from the values' ``g[0]``."""
    g = g[0]
    if g is None:
        return None
    if not keepdim and x_shape:
        shape = [1 if i == dim else n for i, n in enumerate(x_shape)]
        g, index = g.reshape(shape), index.reshape(shape)
    return scattered(g, index, dim, x_shape)


for _op in (max_dim, min_dim):
    _op.grad(x=selected)


def _ordered(x):
    """``x``, with bool as uint8, because argmax and argmin refuse bool."""
    return x.byte() if x.dtype is bool_ else x


max_dim.lower(lambda x, dim, keepdim: (
    amax(x, dim, keepdim=keepdim), argmax(_ordered(x), dim, keepdim=keepdim)
))  # fmt: skip
min_dim.lower(lambda x, dim, keepdim: (
    amin(x, dim, keepdim=keepdim), argmin(_ordered(x), dim, keepdim=keepdim)
))  # fmt: skip

_Max = result_type("max", "values", "indices")
_Min = result_type("min", "values", "indices")
_Aminmax = result_type("aminmax", "min", "max")


def _extremum(name, whole, along, pairwise, pack, input, args, out, named):
    """``max`` and ``min`` along a dim (``along``) or of two tensors (``pairwise``)."""
    given = dict(zip(("dim", "keepdim"), args, strict=False))
    for key, value in named.items():
        key = {"axis": "dim", "keepdims": "keepdim"}.get(key, key)
        if key not in ("dim", "keepdim", "other") or key in given:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        given[key] = value
    if len(args) > 2:
        raise TypeError(
            f"{name}() takes from 1 to 3 positional arguments but {len(args) + 1} were given"
        )
    other = given.pop("other", given.get("dim"))
    if isinstance(other, Tensor):
        return pairwise(input, other, out=out)
    dim = given.get("dim")
    if dim is None or isinstance(dim, float | str | tuple | list):
        raise TypeError(f"{name}(): argument 'dim' must be int or Tensor, not {type(dim).__name__}")
    params = {"dim": dim, "keepdim": given.get("keepdim", False)}
    return pack(several(along, input, params, out))


@function
@takes("input, *, out?=", "input, dim: int, keepdim=, *, out?=", "input, other: Tensor, *, out?=")
def max(input, *args, out=None, **named):
    """Return the largest element, or the largest elements along ``dim`` with their indices.

    ``max(input, other)`` is ``maximum(input, other)``.

    Args:
        input: Tensor of any shape ``(*)``, real.
        out: Tensor that receives the result; with ``dim`` a pair of tensors.
        dim: The one dim to reduce. Default: all dims.
        keepdim: Keep ``dim`` with size 1. Default: False.
        other: Tensor in place of ``dim``. Both are broadcast to one shape.

    Returns:
        Tensor ``()``. With ``dim`` a pair ``(values, indices)`` of tensors without this dim, and
        with ``other`` a tensor of the broadcast shape.

    Raises:
        IndexError: there are no elements to compare.

    >>> import rushlight as torch
    >>> torch.max(torch.tensor([[1.0, 5.0], [3.0, 2.0]]))
    tensor(5.)
    >>> torch.max(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    torch.return_types.max(
    values=tensor([5., 3.]),
    indices=tensor([1, 0]))
    """
    if not args and not named:
        return max_all(input) if out is None else max_all(input, out=out)
    if len(args) == 1 and type(args[0]) is int and not named:
        return _Max(several(max_dim, input, {"dim": args[0], "keepdim": False}, out))
    return _extremum("max", max_all, max_dim, maximum, _Max, input, args, out, named)


@function
@takes("input, *, out?=", "input, dim: int, keepdim=, *, out?=", "input, other: Tensor, *, out?=")
def min(input, *args, out=None, **named):
    """Return the smallest element, or the smallest elements along ``dim`` with their indices.

    ``min(input, other)`` is ``minimum(input, other)``.

    Args:
        input: Tensor of any shape ``(*)``, real.
        out: Tensor that receives the result; with ``dim`` a pair of tensors.
        dim: The one dim to reduce. Default: all dims.
        keepdim: Keep ``dim`` with size 1. Default: False.
        other: Tensor in place of ``dim``. Both are broadcast to one shape.

    Returns:
        Tensor ``()``. With ``dim`` a pair ``(values, indices)`` of tensors without this dim, and
        with ``other`` a tensor of the broadcast shape.

    Raises:
        IndexError: there are no elements to compare.

    >>> import rushlight as torch
    >>> torch.min(torch.tensor([[1.0, 5.0], [3.0, 2.0]]))
    tensor(1.)
    """
    if not args and not named:
        return min_all(input) if out is None else min_all(input, out=out)
    if len(args) == 1 and type(args[0]) is int and not named:
        return _Min(several(min_dim, input, {"dim": args[0], "keepdim": False}, out))
    return _extremum("min", min_all, min_dim, minimum, _Min, input, args, out, named)


@function
def aminmax(input, *, dim=None, keepdim=False, out=None):
    """Return the smallest and the largest element over one ``dim`` or over all dims.

    Args:
        input: Tensor of any shape ``(*)``, real.
        dim: The one dim to reduce. Default: all dims.
        out: Pair of tensors that receive the results.

    Returns:
        Pair ``(min, max)`` of tensors without the reduced dims; with ``keepdim`` they have size 1.

    >>> import rushlight as torch
    >>> torch.aminmax(torch.tensor([3.0, 1.0, 2.0]))
    torch.return_types.aminmax(
    min=tensor(1.),
    max=tensor(3.))
    """
    return _Aminmax(several(_aminmax, input, {"dim": dim, "keepdim": keepdim}, out))


def _aminmax_dims(x, *, dim, keepdim):
    dims = shapes.dims(dim, x.ndim, "aminmax")
    _check("aminmax", x, dims)
    return {"dim": dims, "keepdim": shapes.flag(keepdim, "aminmax")}


@kernel(public=False, method=False, name="aminmax", prepare=_aminmax_dims)
def _aminmax(xp, x, *, dim=None, keepdim=False):
    """The smallest and the largest elements."""
    return extreme(xp.minimum, x, dim, keepdim), extreme(xp.maximum, x, dim, keepdim)


_aminmax.lower(lambda x, dim, keepdim: (
    amin(x, dim, keepdim=keepdim), amax(x, dim, keepdim=keepdim)
))  # fmt: skip


def _aminmax_slope(g, x, out, x_shape, dim, keepdim):
    found = [
        _shared(gi, x, extremum, x_shape, dim, keepdim)
        for gi, extremum in zip(g, out, strict=True)
        if gi is not None
    ]
    return found[0] if len(found) == 1 else found[0] + found[1]


_aminmax.grad(x=_aminmax_slope)


# Indices alone ----------------------------------------------------------------------------


def _arg_dim(name):
    def prepare(x, *, dim, keepdim):
        if x.dtype.kind in ("b", *COMPLEX_KINDS):
            raise DtypeError(
                f"{name}(): does not support {'bool' if x.dtype.kind == 'b' else 'complex'} input"
            )
        if dim is not None:
            dim = shapes.dim(dim, x.ndim, name)
        if dim is None and not x.size:
            raise DimError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        _check(name, x, () if dim is None or not x.ndim else (dim,))
        return {"dim": dim, "keepdim": shapes.flag(keepdim, name)}

    return prepare


def _arg(locate, x, dim, keepdim):
    if not x.ndim:
        return np.zeros((), np.int64)
    return index_of(locate, x, dim, keepdim)


@kernel(prepare=_arg_dim("argmax"), primitive="extremum max")
def argmax(xp, x, *, dim=None, keepdim=False):
    """Return the index of the largest element along ``dim``.

    Args:
        input: Tensor of any shape ``(*)``, of integers or floats.
        dim: The one dim to search. Default: all; the index is then that in the flattened tensor.

    Returns:
        Int64 tensor without the searched dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``input`` is bool or complex.

    >>> import rushlight as torch
    >>> torch.argmax(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    return _arg(xp.argmax, x, dim, keepdim)


@kernel(prepare=_arg_dim("argmin"), primitive="extremum min")
def argmin(xp, x, *, dim=None, keepdim=False):
    """Return the index of the smallest element along ``dim``.

    Args:
        input: Tensor of any shape ``(*)``, of integers or floats.
        dim: The one dim to search. Default: all; the index is then that in the flattened tensor.

    Returns:
        Int64 tensor without the searched dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``input`` is bool or complex.

    >>> import rushlight as torch
    >>> torch.argmin(torch.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
    return _arg(xp.argmin, x, dim, keepdim)


def _whole(op):
    """The lowering of ``op`` without a dim: ``op`` along the only dim of the flattened tensor."""

    def lowered(x, dim, keepdim):
        if not x.shape:
            return x.new_zeros((), dtype=int64)
        if dim is not None:
            return NotImplemented
        found = op(x.reshape(x.numel()), 0)
        return found.reshape([1] * x.dim()) if keepdim else found

    return lowered


argmax.lower(_whole(argmax))
argmin.lower(_whole(argmin))
