"""The arithmetic of normalisation to mean 0 and variance 1, with its gradient.

The normalised values over some dims are x̂ = (x - mean) / √(var + eps). If h is the gradient of x̂,
the gradient of x is

    dx = (h - mean(h) - x̂ · mean(h · x̂)) / √(var + eps).

RMS normalisation (not ``centred``) subtracts no mean, and its gradient has no term mean(h). The
functions for arrays take a matrix and work in place on blocks of rows that stay in the cache. The
functions for tensors (in traces and gradients of gradients) write out the formulas, over any dims.
"""

from math import prod

import numpy as np

from rushlight.backend import native
from rushlight.backend.products import matrix_product
from rushlight.backend.summation import SMALL, inner_products, summed
from rushlight.ops.core.rules import is_array, total

__all__ = [
    "blocks",
    "channel_slope",
    "group_slope",
    "hat_of",
    "inner",
    "normalized",
    "row_slope",
    "slope",
    "standardized",
    "weight_slope",
]

BLOCK = 1 << 16  # elements that are worked on at a time
_WHOLE = [slice(None)]
_PARTS = 32  # rows that one call of the weight_slope kernel adds up


def blocks(x):
    """Slices of the first dim of ``x``, each with as many rows as stay in the cache."""
    if 0 < x.size <= BLOCK:
        return _WHOLE
    step = max(1, BLOCK // max(prod(x.shape[1:]), 1))
    return [slice(i, i + step) for i in range(0, len(x), step)]


# Arrays -----------------------------------------------------------------------------------


def normalized(x, eps, centred, weight=None, bias=None):
    """(x̂ · weight + bias, mean, 1 / √(var + eps)) of a matrix's rows; mean is None for RMS.

    A small array may have more dims than a matrix, and the result has them, too.
    """
    if 0 < x.size <= SMALL:
        return _normalized_at_once(x, eps, centred, weight, bias)
    if x.size >= native.LEAST_MATRIX:
        found = native.matrices(
            ("normalized", eps, centred),
            lambda x, weight, bias: _normalized(x, weight, bias, eps, centred),
            x, weight, bias,
        )  # fmt: skip
        if found is not None:
            return found[0], found[2] if centred else None, found[1]
    n = max(x.shape[1], 1)
    mean = summed(x, (1,), True) / n if centred else None
    out = np.empty_like(x)
    scale = np.empty_like(x, shape=(len(x), 1))
    for block in blocks(x):
        part, into = x[block], out[block]
        if mean is not None:
            part = np.subtract(part, mean[block], out=into)
        scale[block, 0] = (inner_products(part, part) / n + eps) ** -0.5
        np.multiply(part, scale[block], out=into)
        if weight is not None:
            into *= weight
        if bias is not None:
            into += bias
    return out, mean, scale


def _normalized_at_once(x, eps, centred, weight, bias):
    """``normalized`` of an array that needs no blocks."""
    n = x.shape[-1]
    mean = None
    if centred:
        mean = np.add.reduce(x, axis=-1, keepdims=True)
        mean /= n
        out = x - mean
    scale = np.vecdot(out, out) if centred else np.vecdot(x, x)
    scale /= n
    scale += eps
    scale **= -0.5
    scale = scale.reshape(*x.shape[:-1], 1)
    out = np.multiply(out, scale, out) if centred else x * scale
    if weight is not None:
        out *= weight
    if bias is not None:
        out += bias
    return out, mean if mean is None else mean.reshape(-1, 1), scale.reshape(-1, 1)


def hat_of(x, mean, scale):
    """Compute x̂ again from the mean and scale that the forward kept."""
    if mean is None:
        return x * scale
    x = x - mean
    x *= scale
    return x


def row_slope(g, x, mean, scale, weight=None):
    """dx from the gradient ``g`` of the normalised result."""
    found = native.matrices("row_slope", _row_slope, g, x, mean, scale, weight)
    if found is not None:
        return found[0]
    n = max(x.shape[1], 1)
    dx = np.empty_like(x)
    for block in blocks(x):
        h, into = g[block], dx[block]
        hat = hat_of(x[block], None if mean is None else mean[block], scale[block])
        if weight is None:
            slant = inner_products(h, hat)
            level = np.add.reduce(h, axis=1)
        else:
            met = np.multiply(h, hat, out=into)
            times = matrix_product if n < BLOCK else inner_products
            slant, level = times(met, weight), times(h, weight)
            h = h * weight
        hat *= slant[:, None] / n
        np.subtract(h, hat, out=into)
        if mean is not None:
            into -= level[:, None] / n
        into *= scale[block]
    return dx


def group_slope(g, x, mean, scale, weight=None):
    """dx for arrays (rows, channels, places), normalised over each row.

    ``mean`` and ``scale`` (rows, 1) are those of the forward, ``weight`` (rows, channels, 1).
    """
    columns = [a[..., None] for a in (mean, scale)]
    found = native.matrices("group_slope", _group_slope, g, x, *columns, weight)
    if found is not None:
        return found[0]
    h = g if weight is None else g * weight
    return row_slope(h.reshape(len(x), -1), x.reshape(len(x), -1), mean, scale)


def channel_slope(g, x, mean, scale):
    """The sums of g · x̂ over each row of matrices."""
    found = native.matrices("channel_slope", _channel_slope, g, x, mean, scale)
    return inner_products(g, hat_of(x, mean, scale)) if found is None else found[0]


def weight_slope(g, x, mean, scale):
    """The sum of g · x̂ over the rows."""
    whole = len(x) // _PARTS * _PARTS
    blocked = [None if a is None else a[:whole].reshape(whole // _PARTS, _PARTS, a.shape[1])
               for a in (g, x, mean, scale)]  # fmt: skip
    parts = native.matrices("weight_slope", _part_slope, *blocked)
    if parts is not None:
        rest = [None if a is None else a[whole:] for a in (g, x, mean, scale)]
        return np.add.reduce(parts[0], axis=0) + _weight_slope(*rest)
    return _weight_slope(g, x, mean, scale)


def _weight_slope(g, x, mean, scale):
    found = None
    for block in blocks(x):
        hat = hat_of(x[block], None if mean is None else mean[block], scale[block])
        hat *= g[block]
        sums = np.add.reduce(hat, axis=0)
        found = sums if found is None else found + sums
    return np.zeros(x.shape[1], x.dtype) if found is None else found


def inner(x, y, dims):
    """The sum of x · y over ``dims``. The result keeps these dims with size 1."""
    if not is_array(x) or dims[-1] != x.ndim - 1 or len(dims) == x.ndim:
        return total(x * y, dims)
    found = inner_products(x, y)[..., None]
    rest = dims[:-1]
    return total(found, rest) if rest else found


# Tensors ----------------------------------------------------------------------------------


def standardized(x, dims, eps, centred=True):
    """(x̂, 1 / √(var + eps)) over ``dims``. If not ``centred``, the mean is taken as 0."""
    n = prod([x.shape[i] for i in dims])
    d = x - total(x, dims) / n if centred else x
    scale = (total(d * d, dims) / n + eps) ** -0.5
    return d * scale, scale


def slope(h, hat, scale, dims, centred=True):
    """dx from the gradient ``h`` of x̂ = ``hat``."""
    n = prod([hat.shape[d] for d in dims])
    found = h - hat * (total(h * hat, dims) / n)
    if centred:
        found = found - total(h, dims) / n
    return found * scale


def _normalized(x, weight, bias, eps, centred):
    """``normalized`` of tensors: (result, scale, mean if centred)."""
    hat, scale = standardized(x, (1,), eps, centred)
    out = hat if weight is None else hat * weight
    out = out if bias is None else out + bias
    return (out, scale, total(x, (1,)) / x.shape[1]) if centred else (out, scale)


def _row_slope(g, x, mean, scale, weight):
    h = g if weight is None else g * weight
    return slope(h, _traced_hat(x, mean, scale), scale, (1,), mean is not None)


def _group_slope(g, x, mean, scale, weight):
    h = g if weight is None else g * weight
    return slope(h, _traced_hat(x, mean, scale), scale, (1, 2))


def _channel_slope(g, x, mean, scale):
    return (g * _traced_hat(x, mean, scale)).sum(1)


def _part_slope(g, x, mean, scale):
    """The sums of g · x̂ over dim 1 of (blocks, rows, columns)."""
    return (g * _traced_hat(x, mean, scale)).sum(1)


def _traced_hat(x, mean, scale):
    return (x if mean is None else x - mean) * scale
