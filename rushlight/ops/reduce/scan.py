"""Running sums and extremes along a dim."""

import operator
from functools import lru_cache
from math import prod

import numpy as np

import rushlight.dtype as dtypes
from rushlight import late, shapes
from rushlight.autograd import mode
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.dtype import COMPLEX_KINDS
from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import several
from rushlight.ops.core.kinds import in_dtype, kernel, like_first
from rushlight.ops.core.rules import conj, is_complex, log, where
from rushlight.ops.elementwise.clamp import maximum, minimum
from rushlight.ops.elementwise.exponential import logaddexp
from rushlight.ops.reduce.merge_sort import alone
from rushlight.ops.reduce.parallel_scan import doubled, in_blocks, places_along
from rushlight.return_types import result_type
from rushlight.tensor import Tensor

SMALL = large_from(512)  # up to so many elements NumPy's own loop is fastest
_WIDE = {np.dtype("f4"): np.dtype("f8"), np.dtype("c8"): np.dtype("c16")}


def accumulated(ufunc, x, dim):
    """``ufunc`` accumulated along ``dim``; single precision in double, as PyTorch does."""
    if not x.ndim:
        return x.copy()
    if x.size > SMALL and ufunc in _LOOPS and x.dtype.char in "fdbBhilq":
        first = float(ufunc.identity) if x.dtype.kind == "f" else ufunc.identity
        sizes = scans_of(x, dim)
        totals = (sizes[2],), np.dtype(type(first))
        found = native.looped(_LOOPS[ufunc], (x, first, *sizes), [(x.shape, x.dtype), totals])
        if found is not None:
            return found[0]
    wide = _WIDE.get(x.dtype, x.dtype)
    found = ufunc.accumulate(x, axis=dim, dtype=wide).astype(x.dtype, copy=False)
    if ufunc is np.add and x.dtype.kind in "fcV":
        found += x.dtype.type(0)  # PyTorch's sums start with 0, so no sum is -0
    return found


def scans_of(x, dim):
    """(the number of scans before, steps, scans behind) along ``dim``."""
    return prod(x.shape[:dim]), x.shape[dim], prod(x.shape[dim + 1 :])


def _running_sums(x, first, before, n, behind, out, totals):
    _running_totals(x, first, before, n, behind, operator.add, out, totals)


def _running_products(x, first, before, n, behind, out, totals):
    _running_totals(x, first, before, n, behind, operator.mul, out, totals)


def _running_totals(x, first, before, n, behind, joined, out, totals):
    """Running totals of x (before, n, behind). ``totals`` (behind) has those of the last step."""
    for a in range(before):
        if behind == 1:
            total = first
            for i in range(a * n, a * n + n):
                total = joined(total, x[i])
                out[i] = total
        else:
            for j in range(behind):
                totals[j] = first
            for i in range(a * n, a * n + n):
                for j in range(behind):
                    totals[j] = joined(totals[j], x[i * behind + j])
                    out[i * behind + j] = totals[j]


_LOOPS: dict = {np.add: _running_sums, np.multiply: _running_products}


def widened(input, dtype, out=None):
    """``input`` in the dtype of the computation of a product or running sum.

    This is ``dtype``, else the dtype of ``out``, else int64 for integers and bools.
    """
    if not isinstance(input, Tensor):
        return input
    if dtype is None and isinstance(out, Tensor):
        dtype = out.dtype
    if dtype is None and input.dtype.category < 2:
        dtype = dtypes.int64
    return input if dtype is None or dtype is input.dtype else in_dtype(input, dtype)


def one_dim(name):
    """The ``prepare`` function of an operation along one dim."""
    return lambda x, *, dim, **rest: {"dim": shapes.dim(dim, x.ndim, name), **rest}


@kernel(public=False, method=False, name="cumsum", prepare=one_dim("cumsum"), shape=like_first,
        primitive="scan add")  # fmt: skip
def cumsum_(xp, x, *, dim):
    """The running sum."""
    return accumulated(xp.add, x, dim)


cumsum_.lower_on_devices(lambda x, dim: in_blocks(x, dim, cumsum_, operator.add, 0))


def reversed_sum(g, dim):
    """The running sum from the end."""
    if isinstance(g, Tensor):
        return cumsum_(g.flip(dim), dim=dim).flip(dim) if g.ndim else g
    return np.flip(accumulated(np.add, np.flip(g, dim), dim), dim).copy() if g.ndim else g


cumsum_.grad(x=lambda g, dim: reversed_sum(g, dim))


@function(inplace=True)
def cumsum(input, dim, *, dtype=None, out=None):
    """Compute the running sum along ``dim``.

    Args:
        dtype: Convert ``input`` to this dtype first. Default: int64 for integers and bools; others
            keep their dtype.

    Returns:
        Tensor of ``input``'s shape.

    >>> import rushlight as torch
    >>> torch.cumsum(torch.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  3,  6, 10])
    """
    return cumsum_(widened(input, dtype, out), dim=dim, out=out)


@kernel(prepare=one_dim("logcumsumexp"))
def logcumsumexp(xp, x, *, dim):
    """Compute the logarithm of the running sum of exponentials along ``dim``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` has integers or bools.

    >>> import rushlight as torch
    >>> torch.logcumsumexp(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.0000, 0.6931])
    """
    if x.dtype.kind in "iub":
        raise UnsupportedDtypeError(
            f"logcumsumexp: not implemented for {x.dtype}; convert with .float()"
        )
    if x.dtype.kind == "f":
        return accumulated(xp.logaddexp, x, dim)
    rows = xp.moveaxis(x, dim, 0).copy() if x.ndim else x[None]
    for i in range(1, len(rows)):
        rows[i] = logaddexp.op.forward(xp, rows[i - 1], rows[i])
    return xp.moveaxis(rows, 0, dim) if x.ndim else x.copy()


logcumsumexp.lower_on_devices(lambda x, dim: doubled(x, dim, logaddexp) if x.shape else x.clone())


#: Up to as many elements of a matrix of weights the gradient of ``logcumsumexp`` is linear in g.
_MATRIX = 1 << 24


def _logcumsumexp_slope(g, x, out, dim):
    if not x.shape:
        return g
    if isinstance(g, Tensor) and mode.records() and g.numel() * x.shape[dim] <= _MATRIX:
        return _weighted(g, x, out, dim)  # logarithms have no derivative where g is 0
    exp = (lambda v: v.exp()) if isinstance(x, Tensor) else np.exp
    lowest = -float(np.finfo(np.float32).max)

    # The gradient is Σ g[j] exp(x[i] - out[j]) over j ≥ i. It is computed with logarithms, because
    # exp(x) and exp(-out) may overflow. Positive and negative g are summed separately.
    def share(counts, size):
        terms = where(counts, size, lowest) - out
        return exp(_flipped(logcumsumexp(_flipped(terms, dim), dim), dim) + x)

    if is_complex(x):
        return conj(share(g != 0, log(conj(g))))
    size = log(abs(g))
    return share(g > 0, size) - share(g < 0, size)


def _weighted(g, x, out, dim):
    """Σ g[j] exp(x[i] - out[j]) over j ≥ i: a product by a matrix of weights that are at most 1."""
    n = x.shape[dim]
    g, x, out = [t.movedim(dim, -1) for t in (g, x, out)]
    earlier = late.framework.ones(n, n, dtype=dtypes.bool, device=x.device).tril(-1)
    sizes = (x.unsqueeze(-1) - out.unsqueeze(-2)).masked_fill(earlier, -np.inf)
    return (conj(sizes.exp()) * g.unsqueeze(-2)).sum(-1).movedim(-1, dim)


def _flipped(x, dim):
    if not x.ndim:
        return x
    return x.flip(dim) if isinstance(x, Tensor) else np.flip(x, dim)


logcumsumexp.grad(x=_logcumsumexp_slope)


# Running extremes -------------------------------------------------------------------------


def _running(name):
    """The ``prepare`` function of running extremes. Empty tensors take any dim, as in PyTorch."""
    return lambda x, *, dim: {"dim": shapes.dim(dim, x.ndim, name) if x.size else 0}


def _places(n, after):
    """The places along a dim of size ``n`` that ``after`` dims follow."""
    return np.arange(n).reshape((n, *[1] * after))


_few_places = lru_cache(64)(_places)


def _record(xp, ufunc, name, x, dim):
    if x.dtype.kind in COMPLEX_KINDS:
        raise UnsupportedDtypeError(
            f"{name}: not implemented for complex tensors: they have no order"
        )
    if not x.ndim:
        return x.copy(), xp.zeros((), xp.int64)
    if x.size > SMALL and x.dtype.char in "fdbBhilq":
        loop = _running_max if ufunc is np.maximum else _running_min
        results = [(x.shape, x.dtype), (x.shape, np.dtype("i8"))]
        found = native.looped(loop, (x, *scans_of(x, dim)), results)
        if found is not None:
            return tuple(found)
    values = ufunc.accumulate(x, axis=dim)
    taken = x == values
    if x.dtype.kind == "f":
        taken |= x != x
    taken = taken * _few_places(x.shape[dim], x.ndim - 1 - dim)
    return values, xp.maximum.accumulate(taken, axis=dim)


def _running_max(x, before, n, behind, out, at):
    _records(x, before, n, behind, operator.ge, out, at)


def _running_min(x, before, n, behind, out, at):
    _records(x, before, n, behind, operator.le, out, at)


def _records(x, before, n, behind, reaches, out, at):
    """Running extremes of x (before, n, behind), and the last places that have them."""
    for a in range(before):
        start = a * n * behind
        if behind == 1:
            i = 0
            while i < n:
                best = x[start + i]
                place = i
                out[start + i] = best
                at[start + i] = place
                i += 1
                # Records are rare, so the processor is faster at a branch than at a choice.
                while i < n and not (reaches(x[start + i], best) or x[start + i] != x[start + i]):
                    out[start + i] = best
                    at[start + i] = place
                    i += 1
        else:
            for j in range(start, start + behind):
                out[j] = x[j]
                at[j] = 0
            for i in range(1, n):
                for j in range(start + i * behind, start + i * behind + behind):
                    last = out[j - behind]
                    place = at[j - behind]
                    is_new = reaches(x[j], last) | (x[j] != x[j])
                    out[j] = x[j] if is_new else last
                    at[j] = i if is_new else place


@kernel(public=False, method=False, name="running_max", prepare=one_dim("cummax"),
        primitive="scan max")  # fmt: skip
def running_max(xp, x, *, dim):
    """The running maximum; nan is larger than any number."""
    return xp.maximum.accumulate(x, axis=dim)


@kernel(public=False, method=False, name="running_min", prepare=one_dim("cummin"),
        primitive="scan min")  # fmt: skip
def running_min(xp, x, *, dim):
    """The running minimum; nan is smaller than any number."""
    return xp.minimum.accumulate(x, axis=dim)


running_max.lower_on_devices(
    lambda x, dim: in_blocks(x, dim, running_max, maximum, _extreme(x.dtype, "min"))
)
running_min.lower_on_devices(
    lambda x, dim: in_blocks(x, dim, running_min, minimum, _extreme(x.dtype, "max"))
)


def _extreme(dtype, end):
    """The smallest (``min``) or the largest (``max``) number of a dtype."""
    if dtype.is_floating_point:
        return -np.inf if end == "min" else np.inf
    return end == "max" if dtype is dtypes.bool else int(getattr(np.iinfo(dtype.numpy), end))


def _record_on_devices(running):
    """The lowering of a running extreme, which ``running`` gives, and its index."""

    def lowered(x, dim):
        if not x.shape:
            return alone(x)
        values = running(x, dim=dim)
        alike = x == values
        if x.dtype.is_floating_point:
            alike = alike | (x != x)
        return values, running_max(places_along(x, dim).where(alike, 0), dim=dim)

    return lowered


@kernel(public=False, method=False, name="cummax", prepare=_running("cummax"))
def cummax_(xp, x, *, dim):
    """The running maximum and its index."""
    return _record(xp, xp.maximum, "cummax", x, dim)


@kernel(public=False, method=False, name="cummin", prepare=_running("cummin"))
def cummin_(xp, x, *, dim):
    """The running minimum and its index."""
    return _record(xp, xp.minimum, "cummin", x, dim)


def _gathered_back(g, index, x_shape, dim):
    g = g[0]
    if g is None or not x_shape:
        return g
    if isinstance(g, Tensor):
        return g.new_zeros(x_shape).scatter_add(dim, index, g)
    out = np.zeros(x_shape, g.dtype)
    at = list(np.indices(x_shape, sparse=True))
    at[dim] = index
    np.add.at(out, tuple(at), g)
    return out


cummax_.lower_on_devices(_record_on_devices(running_max))
cummin_.lower_on_devices(_record_on_devices(running_min))
cummax_.grad(x=_gathered_back)
cummin_.grad(x=_gathered_back)
cummax_.watch(x="x")
cummin_.watch(x="x")
_Cummax = result_type("cummax", "values", "indices")
_Cummin = result_type("cummin", "values", "indices")


@function
def cummax(input, dim, *, out=None):
    """Compute the running maximum along ``dim`` and its indices.

    Args:
        input: Tensor of any shape ``(*)``, real.
        out: Pair of tensors that receive the results.

    Returns:
        Pair ``(values, indices)`` of tensors of ``input``'s shape. An index is that of the last
        element so far that equals the maximum.

    >>> import rushlight as torch
    >>> torch.cummax(torch.tensor([1.0, 3.0, 2.0]), dim=0).indices
    tensor([0, 1, 1])
    """
    return _Cummax(several(cummax_, input, {"dim": dim}, out))


@function
def cummin(input, dim, *, out=None):
    """Compute the running minimum along ``dim`` and its indices.

    Args:
        input: Tensor of any shape ``(*)``, real.
        out: Pair of tensors that receive the results.

    Returns:
        Pair ``(values, indices)`` of tensors of ``input``'s shape. An index is that of the last
        element so far that equals the minimum.

    >>> import rushlight as torch
    >>> torch.cummin(torch.tensor([2.0, 1.0, 3.0]), dim=0).indices
    tensor([0, 1, 1])
    """
    return _Cummin(several(cummin_, input, {"dim": dim}, out))
