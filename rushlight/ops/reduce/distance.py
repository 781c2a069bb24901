"""Distances of vectors: of all pairs from two sets, of all pairs in a set, and of two tensors."""

from functools import lru_cache, partial
from math import prod

import numpy as np

from rushlight import shapes
from rushlight.autograd.tape import renamed, watch
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.backend.sizes import large_from
from rushlight.backend.summation import LARGE
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import number, typed, where, zeros
from rushlight.ops.create.from_data import from_numpy
from rushlight.ops.elementwise.rounding import sgn
from rushlight.ops.reduce.vector_norm import INF, slope, vector_norm
from rushlight.tensor import Tensor

__all__ = ["cdist", "dist", "pdist"]

_BLOCK = 1 << 18  # differences that are computed at a time, so that they stay in the cache
_LARGE = large_from(1 << 14)  # from so many differences on, a kernel may compute the distances
_ANY = float("inf")  # elements
_MANY = 25  # more vectors than these in a set are compared by a matrix product, as in PyTorch


# All pairs of two sets --------------------------------------------------------------------


def _pairs(x, y, **params):
    batch = shapes.broadcast("cdist", x.shape[:-2], y.shape[:-2])
    return (*batch, x.shape[-2], y.shape[-2])


def _blocks(x, y):
    """Slices of the rows of ``x``, each of which has about ``_BLOCK`` differences to those of y."""
    rows = x.shape[-2]
    step = max(1, _BLOCK * rows // max(1, prod(_pairs(x, y)) * x.shape[-1]))
    return [slice(i, i + step) for i in range(0, rows, step)]


def _differences(x, y):
    """x - y for all pairs of rows: ``(*, P, M)`` and ``(*, R, M)`` give ``(*, P, R, M)``."""
    return x[..., :, None, :] - y[..., None, :, :]


def _by_kernel(x, y, p):
    """``_cdist`` by a kernel for any number of rows, or of batches; None: NumPy computes it."""
    shape, m = _pairs(x, y), x.shape[-1]
    if prod(shape) * m < _LARGE or p not in (0, 1, 2, INF):  # NumPy's powers are faster
        return None
    if np.prod(y.shape[:-2]) == 1:
        key, given = "distances", [x.reshape(-1, m), y.reshape(1, -1, m)]
        function = lambda x, y: _lengths(x.unsqueeze(1) - y, p=p)
    else:
        wide = [np.broadcast_to(v, (*shape[:-2], *v.shape[-2:])) for v in (x, y)]
        key, given = "batch distances", [v.reshape(-1, *v.shape[-2:]) for v in wide]
        function = lambda x, y: _lengths(_differences(x, y), p=p)
    found = native.matrices((key, p), function, *map(np.ascontiguousarray, given), least=1)
    return None if found is None else found[0].reshape(shape)


@kernel(public=False, method=False, name="cdist", shape=_pairs)
def _cdist(xp, x, y, *, p):
    """The p-norms of the differences of all pairs of rows of x and y."""
    found = _by_kernel(x, y, p)
    if found is not None:
        return found
    out = xp.empty(_pairs(x, y), x.dtype)
    for rows in _blocks(x, y):
        out[..., rows, :] = _lengths.op.forward(xp, _differences(x[..., rows, :], y), p=p)
    return out


_cdist.op.batching = "sets of rows"  # the parts have no gradient at equal points


@_cdist.lower
def _norms(x, y, p):
    return _lengths(_differences(x, y), p=p)


def _steepness(g, d, out, p):
    """The gradient of the differences ``d``, whose norms ``out`` have a last dim of size 1.

    It is 0 where the norm is 0. Nothing is divided by these norms, so second gradients are 0 there,
    too.
    """
    if p == 0:
        return zeros(d)
    sign = where(d == d, sgn(d), d)  # that of nan is nan
    if p == 1:
        return sign * g
    if p == INF:  # as in PyTorch, each of several largest elements gets the whole gradient
        gap = abs(abs(d) - out)
        return sign * (where(gap == gap, typed(gap == 0, g), gap) * g)
    zero = out == 0
    found = slope(where(zero, 0, g), d, where(zero, 1, out), d.shape, (d.ndim - 1,), True, p)
    return where(d == 0, 0, found) if p < 1 else found


def _slope_of_rows(g, x, y, out, p):
    """The gradient of ``x``, an array or a tensor with the batch dims of the result."""
    g, out = g[..., None], out[..., None]
    return _steepness(g, _differences(x, y), out, p).sum(-2)


def _slope(g, x, y, out, p):
    if not x.shape[-1]:
        return zeros(x)
    if isinstance(g, Tensor):
        return _slope_of_rows(g, x, y, out, p)
    found = [
        _slope_of_rows(g[..., rows, :], x[..., rows, :], y, out[..., rows, :], p)
        for rows in _blocks(x, y)
    ]
    return np.concatenate(found, -2) if found else zeros(x)


_cdist.grad(
    x=_slope,
    y=lambda g, x, y, out, p: _slope(g.mT, y, x, out.mT, p),
)


@kernel(public=False, method=False, name="cdist_by_product", shape=_pairs)
def _cdist_by_product(xp, x, y):
    """The Euclidean distances, by ‖x - y‖² = ‖x‖² - 2 x · y + ‖y‖²."""
    out = x @ (-2 * y).mT
    out += (x * x).sum(-1)[..., None]
    out += (y * y).sum(-1)[..., None, :]
    return np.sqrt(np.maximum(out, 0, out=out), out=out)  # rounding may give squares below 0


@_cdist_by_product.lower_on_devices
def _cdist_on_devices(x, y):
    lengths = [(v * v).sum(-1) for v in (x, y)]
    found = x @ (-2 * y).mT + lengths[0][..., None] + lengths[1][..., None, :]
    return found.clamp(0).sqrt()


def _product_slope(g, x, y, out):
    if not x.shape[-2] or not y.shape[-2]:
        return zeros(x)  # x may be infinite
    ratio = where(out == 0, 0, g / where(out == 0, 1, out))
    return ratio.sum(-1)[..., None] * x - ratio @ y


_cdist_by_product.op.batching = "sets of rows"
_cdist_by_product.grad(
    x=_product_slope,
    y=lambda g, x, y, out: _product_slope(g.mT, y, x, out.mT),
)


def _check_sets(x1, x2, p):
    for name, x in (("X1", x1), ("X2", x2)):
        if not x.is_floating_point():
            raise DtypeError(f"cdist only supports floating-point dtypes, {name} got: {x.dtype}")
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise ShapeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            "X1 and X2 must have the same number of columns. "
            f"X1: {x1.shape[-1]} X2: {x2.shape[-1]}; x1 {tuple(x1.shape)}, x2 {tuple(x2.shape)}"
        )
    if not p >= 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    if x1.dtype is not x2.dtype:
        raise DtypeError(f"cdist: expected scalar type {x1.dtype} but found {x2.dtype}")


@function(method=False, in_python=True)
@takes("x1: Tensor, x2: Tensor, p: float=, compute_mode: any=")
@autocasts(SINGLE)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """Compute the p-norm distance of each row of ``x1`` to each row of ``x2``.

    At a distance of 0 the gradient is 0.

    Args:
        x1: Tensor ``(*, P, M)``, floating point.
        x2: Tensor ``(*, R, M)`` of ``x1``'s dtype. The dims ``*`` are broadcast.
        p: The p of the p-norm, at least 0. 0 counts the elements that differ, and inf gives the
            largest difference. Default: 2.
        compute_mode: Whether distances with p = 2 are computed by a matrix product, which is
            faster, but less precise for small distances: ``"use_mm_for_euclid_dist"``,
            ``"donot_use_mm_for_euclid_dist"``, or ``"use_mm_for_euclid_dist_if_necessary"``
            (default), which means: if P or R is above 25.

    Returns:
        Tensor ``(*, P, R)``.

    Raises:
        RuntimeError: The shapes or dtypes do not fit, a tensor is not floating point, or ``p`` is
            negative.
        ValueError: ``compute_mode`` is unknown.

    >>> import rushlight as torch
    >>> torch.cdist(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0]]))
    tensor([[0.],
            [5.]])
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist")
    if compute_mode not in (*modes, "donot_use_mm_for_euclid_dist"):
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    p = float(number(p))
    _check_sets(x1, x2, p)
    many = max(x1.shape[-2], x2.shape[-2]) > _MANY
    if p == 2 and (compute_mode == modes[1] or (compute_mode == modes[0] and many)):
        batch = shapes.broadcast("cdist", x1.shape[:-2], x2.shape[:-2])
        # PyTorch saves a copy of what it broadcasts, so that it may be written.
        x1, x2 = [x if tuple(x.shape[:-2]) == batch else x.clone() for x in (x1, x2)]
        return _cdist_by_product(x1, x2)
    return _cdist(x1, x2, p=p)


# All pairs in a set, and two tensors ------------------------------------------------------


@kernel(public=False, method=False, name="pdist", shape=lambda d, **_: d.shape[:-1])
def _lengths(xp, d, *, p):
    """The p-norms of the rows of d, with the gradient of distances."""
    if not d.shape[-1]:
        return np.zeros(d.shape[:-1], d.dtype)
    if p == 0:  # a count of the elements that differ, and nan where it is open whether they do
        return np.minimum(np.ceil(np.abs(d)), 1).sum(-1, dtype=d.dtype)
    return vector_norm.op.forward(xp, d, dim=(d.ndim - 1,), p=p)


_lengths.op.batching = "last dims"


@_lengths.lower
def _norms_of_rows(d, p):
    if p == 0:
        return abs(d).ceil().clamp(max=1).sum(-1)
    return vector_norm(d, -1, p=p) if d.shape[-1] else NotImplemented


_lengths.grad(d=lambda g, d, out, p: _steepness(g[..., None], d, out[..., None], p))


@lru_cache(_MANY)
def _rows_of_pairs(n):
    return np.triu_indices(n, 1)


def _upper_distances(p, x):
    """The distances of all pairs of rows of ``x``, in the order of ``pdist``.

    A kernel that computes all distances twice is faster than copies of the rows of all pairs.
    """
    return _cdist.op.forward(xp, x, x, p=p)[np.triu_indices(len(x), 1)]


@in_c
@function(method=False)
@takes("input, p: float=")
def pdist(input, p=2):
    """Compute the p-norm distance of every pair of rows.

    The distances of row 0 to all later rows come first, then those of row 1, and so on. At a
    distance of 0 the gradient is 0.

    Args:
        input: Tensor ``(N, D)``, floating point.
        p: The p of the p-norm, at least 0. Default: 2.

    Returns:
        Tensor ``(N (N - 1) / 2)``.

    Raises:
        RuntimeError: ``input`` is not 2-D or not floating point, or ``p`` is negative.

    >>> import rushlight as torch
    >>> torch.pdist(torch.tensor([[0.0], [1.0], [3.0]]))
    tensor([1., 3., 2.])
    """
    if input.ndim != 2:
        raise ShapeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not input.is_floating_point():
        raise UnsupportedDtypeError(f"pdist only supports floating-point dtypes, got {input.dtype}")
    p = float(number(p))
    if not p >= 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    if len(input) <= _MANY:
        first, second = _rows_of_pairs(len(input))
        lengths = lambda x: _lengths.op.forward(xp, x.take(first, 0) - x.take(second, 0), p=p)
        found = on_arrays(lengths, input)
        if found is not None:
            return found
    elif p in (0, 1, 2, INF) and len(input) * input.numel() >= 2 * LARGE:
        found = on_arrays(partial(_upper_distances, p), input, most=_ANY)
        if found is not None:
            return found
    first, second = (from_numpy(i) for i in np.triu_indices(len(input), 1))
    return watch(_lengths(input[first] - input[second], p=p), input)


@function
@takes("input, other: Tensor, p: Number=")
def dist(input, other, p=2):
    """Compute the p-norm of ``input - other``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.
        other: Tensor that broadcasts with ``input``.
        p: The p of the p-norm, as in ``norm``. Default: 2.

    Returns:
        Tensor ``()``, real.

    Raises:
        RuntimeError: The shapes do not broadcast, or both tensors have integers.

    >>> import rushlight as torch
    >>> torch.dist(torch.tensor([3.0, 4.0]), torch.zeros(2))
    tensor(5.)
    """
    p = number(p)
    try:
        found = on_arrays(lambda x, y: _norm_of(x - y, p), input, other)
    except ValueError:  # the subtraction of tensors raises it again, with their shapes
        found = None
    if found is not None:
        return found
    difference = input - other
    if difference.dtype.category < 2:
        raise DtypeError(
            "dist: norm(): input dtype should be either floating point or complex, "
            f"got {difference.dtype}"
        )
    found = renamed(vector_norm(difference, p=p), "DistBackward0")
    return watch(found, input, other)


def _norm_of(x, p):
    """The p-norm of an array."""
    return vector_norm.op.forward(xp, x, dim=tuple(range(x.ndim)), p=p)
