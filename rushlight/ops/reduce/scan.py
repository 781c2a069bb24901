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
from rushlight.ops.core.kinds import kernel, like_first
from rushlight.ops.core.rules import conj, is_complex, log, where
from rushlight.ops.elementwise.clamp import maximum, minimum
from rushlight.ops.elementwise.exponential import logaddexp
from rushlight.ops.reduce.merge_sort import alone
from rushlight.ops.reduce.parallel_scan import doubled, in_blocks, places_along
from rushlight.return_types import result_type
from rushlight.tensor import Tensor

SMALL = large_from(4096)  # up to so many elements NumPy's own loop is fastest
FEW = large_from(1 << 14)  # and so it is up to so many elements in less than ``MANY`` scans
BLOCK = 1 << 15  # larger arrays are computed in blocks of so many elements, which stay in the cache
MANY = large_from(256)  # so many scans take each step together
LONG = 64  # shorter scans are faster if they take each step together
_WIDE = {np.dtype("f4"): np.dtype("f8"), np.dtype("c8"): np.dtype("c16")}


def accumulated(ufunc, x, dim):
    """``ufunc`` accumulated along ``dim``; single precision in double, as PyTorch does."""
    if not x.ndim:
        return x.copy()
    wide = _WIDE.get(x.dtype, x.dtype)
    if x.size <= SMALL or x.size <= min(FEW, x.shape[dim] * MANY):
        return ufunc.accumulate(x, axis=dim, dtype=wide).astype(x.dtype, copy=False)
    found = _by_kernel(ufunc, x, dim)
    if found is None and ufunc is np.add:
        found = _in_parts(x, dim)
    if found is not None:
        return found
    shape = x.shape
    x, blocks = _blocks(x, dim)
    out = np.empty_like(x)
    for block in blocks:
        source, target = x[block], out[block]
        if source.shape[0] * source.shape[2] >= MANY:
            part = source.astype(wide, copy=True)
            for k in range(1, source.shape[1]):
                ufunc(part[:, k - 1], part[:, k], out=part[:, k])
            target[...] = part
            continue
        before = None
        for k in range(0, source.shape[1], BLOCK):
            part = source[:, k : k + BLOCK].astype(wide)
            if before is not None:
                ufunc(before, part[:, 0], out=part[:, 0])
            ufunc.accumulate(part, axis=1, out=part)
            target[:, k : k + BLOCK] = part
            before = part[:, -1]
    return out.reshape(shape)


_KERNELS: dict = {
    np.add: ("running sums", lambda x: x.double().cumsum(1).to(x.dtype)),
    np.multiply: ("running products", lambda x: x.double().cumprod(1).to(x.dtype)),
}
_PARTS, _STEPS = 64, large_from(4096)  # scans of at least so many steps are cut into so many parts
_FEW = large_from(16)  # a kernel takes several rows together, so fewer rows are left to NumPy


def _by_kernel(ufunc, x, dim):
    """``accumulated`` by a compiled kernel, along many long rows of floats; else None."""
    n = x.shape[dim]
    if ufunc not in _KERNELS or x.dtype.char not in "fd" or n < LONG or not x.flags.c_contiguous:
        return None
    if x.size > n * prod(x.shape[:dim]) or x.size < n * _FEW:
        return None
    found = native.matrices(*_KERNELS[ufunc], x.reshape(-1, n))
    return None if found is None else found[0].reshape(x.shape)


def _in_parts(x, dim):
    """The running sums of float32 along few long rows or columns, or None.

    They are cut into parts that a kernel sums side by side, in double precision, before the sums of
    the earlier parts are added. NumPy's loop waits for each addition.
    """
    n, behind = x.shape[dim], prod(x.shape[dim + 1 :])
    if x.dtype.char != "f" or not x.flags.c_contiguous or x.size >= n * MANY:
        return None
    if n < _STEPS or n * behind < native.LEAST_MATRIX:
        return None
    out = np.empty_like(x)
    for source, target in zip(*[a.reshape(-1, n, behind) for a in (x, out)], strict=True):
        if not _sum_parts(source, target):
            return None
    return out


def _sum_parts(x, out):
    """Write the running sums of the matrix ``x`` along dim 0; False without a kernel."""
    whole = len(x) // _PARTS * _PARTS
    parts = x[:whole].reshape(_PARTS, -1, x.shape[1])
    sums = native.matrices("parts of running sums", lambda x: x.double().cumsum(1), parts)
    if sums is None:
        return False
    ends = np.add.accumulate(sums[0][:, -1:], axis=0)
    before = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]])
    joined = native.matrices("joined running sums", lambda x, y: (x + y).float(), sums[0], before)
    if joined is None:
        return False
    out[:whole] = joined[0].reshape(whole, -1)
    out[whole:] = ends[-1] + np.add.accumulate(x[whole:], axis=0, dtype=np.float64)
    return True


def _blocks(x, dim):
    """(``x`` as (scans before, steps, scans behind), slices of its scans of ``BLOCK`` elements)."""
    shape = x.shape
    x = x.reshape(prod(shape[:dim]), shape[dim], prod(shape[dim + 1 :]))
    rows = max(1, BLOCK // (x.shape[1] * x.shape[2]))
    return x, [slice(i, i + rows) for i in range(0, len(x), rows)]


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
    return input if dtype is None or dtype is input.dtype else input.to(dtype)


def one_dim(name):
    """The ``prepare`` function of an operation along one dim."""
    return lambda x, *, dim, **rest: {"dim": shapes.dim(dim, x.ndim, name), **rest}


@kernel(public=False, method=False, name="cumsum", prepare=one_dim("cumsum"), shape=like_first,
        primitive="scan add")  # fmt: skip
def cumsum_(xp, x, *, dim):
    """The running sum."""
    found = accumulated(xp.add, x, dim)
    if x.ndim and x.dtype.kind in "fcV":
        found += x.dtype.type(0)  # PyTorch's sums start with 0, so no sum is -0
    return found


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
    # Steps along the last dim of long rows would each touch another line of the cache.
    near = prod(x.shape[dim + 1 :]) >= 16 or x.shape[dim] <= 24
    if near and x.size > SMALL and x.size >= MANY * x.shape[dim]:
        return _record_together(ufunc, x, dim)
    values = ufunc.accumulate(x, axis=dim)
    taken = x == values
    if x.dtype.kind == "f":
        taken |= x != x
    if x.size > SMALL and dim == x.ndim - 1:
        return values, _last_taken(taken)
    if x.size <= SMALL:
        taken = taken * _few_places(x.shape[dim], x.ndim - 1 - dim)
    else:
        taken = xp.where(taken, _places(x.shape[dim], x.ndim - 1 - dim), 0)
    return values, xp.maximum.accumulate(taken, axis=dim)


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


def _last_taken(taken):
    """For each element of the rows, the place of the last True up to it; each row begins with True.

    Each place is repeated up to the next one, which takes a tenth of the time of an accumulation.
    """
    found = np.flatnonzero(taken)
    return np.repeat(found % taken.shape[-1], np.diff(found, append=taken.size)).reshape(
        taken.shape
    )


def _record_together(ufunc, x, dim):
    """``_record`` of many scans, which take each step together."""
    shape = x.shape
    x, blocks = _blocks(x, dim)
    values, places = np.empty_like(x), np.zeros(x.shape, np.int64)
    for block in blocks:
        source, found, at = x[block], values[block], places[block]
        found[:, 0] = source[:, 0]
        for k in range(1, source.shape[1]):
            new = source[:, k]
            best = ufunc(found[:, k - 1], new, out=found[:, k])
            at[:, k] = np.where((new == best) | (new != new), k, at[:, k - 1])
    return values.reshape(shape), places.reshape(shape)


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
