"""``scatter_reduce``: a sum, mean, product or extremum of the source elements for each index."""

import numpy as np
from numpy import ndarray

from rushlight.autograd.tape import renamed, watch
from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import in_place, store
from rushlight.ops.core.range_checks import check_indices
from rushlight.ops.create.range import arange
from rushlight.ops.index.gather import along, check_along, check_along_range
from rushlight.ops.index.mask import where
from rushlight.ops.index.segments import joined_at
from rushlight.tensor import Tensor, from_array

# Kernels ----------------------------------------------------------------------------------


def _prepare(x, index, src, *, dim, reduce):
    if x.dtype != src.dtype:
        raise DtypeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype, but self is {OF[x.dtype]} "
            f"and src is {OF[src.dtype]}"
        )
    dim = check_along("scatter", x, index, dim)
    if src.shape != index.shape:
        raise ShapeError(
            f"scatter: Expected index {list(index.shape)} to be no larger size than src "
            f"{list(src.shape)}"
        )
    return {"dim": dim, "reduce": reduce}


#: name of a reduction → its form, as the compiler has it.
_FORMS = {"prod": "mul", "amax": "max", "amin": "min"}
_AT = {"mul": np.multiply, "max": np.maximum, "min": np.minimum}


@kernel(public=False, method=False, prepare=_prepare, check=check_along_range,
        primitive="scatter", grad_name="ScatterReduceBackward0")  # fmt: skip
def scatter_reduced(xp, x, index, src, *, dim, reduce):
    """Return a copy of ``x`` with each element reduced with the elements of ``src`` for its index.

    ``reduce`` is the form of the reduction: "max", "min" or "mul".
    """
    out = x.copy()
    if index.size:
        whole, index, src = [a.reshape(a.shape or (1,)) for a in (out, index, src)]
        _AT[reduce].at(whole, along(index, dim), src)
    return out


scatter_reduced.lower_check(lambda x, index, dim: check_indices("scatter", x, index, dim))


@scatter_reduced.lower_on_devices
def _reduced_on_devices(x, index, src, dim, reduce):
    if x.shape and index.dtype is int64:
        return joined_at(x, index, src, dim, reduce)
    flat = [t if t.shape else t.reshape(1) for t in (x, index.to(int64), src)]
    return scatter_reduced(*flat, dim=dim, reduce=reduce).reshape(x.shape)


def _as_tensors(rule):
    """Wrap a gradient rule on tensors so that it also takes arrays, and then returns an array."""

    def run(g, x, index, src, out, dim, reduce):
        values = g, x, index, src, out
        tensors = [from_array(v) if type(v) is ndarray else v for v in values]
        found = rule(*tensors, dim, reduce)
        return found._array if type(g) is ndarray else found

    return run


def _shares(g, x, index, src, out, dim):
    """Divide ``g`` evenly among the elements that equal the extremum.

    Return the share of one such element, a 0/1 mask of the elements of ``x`` that get a share,
    and a 0/1 mask of the elements of ``src`` that get a share. If the extremum is nan, nothing
    equals it, and its share is nan, as in PyTorch.
    """
    own = (x == out).to(g.dtype)
    met = (src == out.gather(dim, index)).to(g.dtype)
    return g / own.scatter_add(dim, index, met), own, met


def _slope_of_x(g, x, index, src, out, dim, reduce):
    if reduce != "mul":
        share, own, _ = _shares(g, x, index, src, out, dim)
        return share * own
    safe = where(x == 0, 1, x)
    return g * scatter_reduced(safe, index, src, dim=dim, reduce=reduce) / safe


def _slope_of_src(g, x, index, src, out, dim, reduce):
    if reduce != "mul":
        share, _, met = _shares(g, x, index, src, out, dim)
        return share.gather(dim, index) * met
    # If exactly one factor of a product is 0, its derivative is the product of the other factors.
    zero = src == 0
    count = x.new_zeros(x.shape).scatter_add(dim, index, zero.to(x.dtype)).gather(dim, index)
    single = zero & (count == 1)
    others = scatter_reduced(x, index, where(single, 1, src), dim=dim, reduce=reduce)
    rest = (g * out).gather(dim, index) / where(zero, 1, src)
    return where(single, (g * others).gather(dim, index), rest)


_of_x, _of_src = _as_tensors(_slope_of_x), _as_tensors(_slope_of_src)
scatter_reduced.grad(
    x=lambda g, x, index, src, out, dim, reduce: _of_x(g, x, index, src, out, dim, reduce),
    src=lambda g, x, index, src, out, dim, reduce: _of_src(g, x, index, src, out, dim, reduce),
)


# Functions --------------------------------------------------------------------------------


def _neutral(x, reduce):
    """Return the neutral element of the reduction in the dtype of ``x``, such as 0 for a sum."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    dtype = x._array.dtype
    if dtype.kind == "b":
        return reduce == "amin"
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return limits.min if reduce == "amax" else limits.max
    return float("-inf") if reduce == "amax" else float("inf")


def _mean(x, dim, index, src, include_self):
    ones = x.new_ones(x.shape)
    count = ones if include_self else ones.scatter(dim, index, 0)
    count = count.scatter_add(dim, index, ones.new_ones(index.shape))
    count = count.masked_fill(count == 0, 1)
    rounding = None if x.is_floating_point() or x.is_complex() else "floor"
    return x.scatter_add(dim, index, src).div(count, rounding_mode=rounding)


@function
@takes("input, dim, index, src, reduce: str, *, include_self: bool=, out?=")
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True, out=None):
    """Return a copy of ``input`` with the elements of ``src`` reduced at ``index`` along ``dim``.

    All elements of ``src`` with the same target are reduced to one number. Elements of ``input``
    that are no target keep their value.

    Args:
        reduce: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: Let the target's element of ``input`` take part. Default: True.

    Raises:
        RuntimeError: ``reduce`` is another string, an index is negative or too large, or the shapes
            or dtypes do not fit.

    >>> import rushlight as torch
    >>> src, index = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 0, 2])
    >>> torch.zeros(3).scatter_reduce(0, index, src, "mean", include_self=False)
    tensor([1.5000, 0.0000, 5.0000])
    """
    given = input, index, src
    reduce = {"max": "amax", "min": "amin"}.get(reduce, reduce)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}."
        )
    if reduce in ("amax", "amin") and input.is_complex():
        raise UnsupportedDtypeError(
            f"scatter_reduce: {reduce} is not implemented for complex tensors ({input.dtype}): "
            "they have no order"
        )
    if not index.numel():  # an empty index may have any shape: use one that fits ``input``
        shape = (0,) * input.ndim or (0,)
        index, src = arange(0).reshape(shape), src.reshape(-1)[:0].reshape(shape)
    if src.shape != index.shape:
        src = src[tuple([slice(n) for n in index.shape])]
    x = input if include_self else input.scatter(dim, index, _neutral(input, reduce))
    if reduce == "sum":
        found = x.scatter_add(dim, index, src)
    elif reduce == "mean":
        found = _mean(x, dim, index, src, include_self)
    else:
        found = scatter_reduced(x, index, src, dim=dim, reduce=_FORMS[reduce])
    watch(renamed(found, "ScatterReduceBackward0"), *given, found)
    return found if out is None else store(out, found, "scatter_reduce")


Tensor.scatter_reduce_ = in_place(scatter_reduce, "scatter_reduce_")
