"""Variance and standard deviation, each alone or with the mean."""

import warnings
from functools import lru_cache
from math import inf, prod

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.backend.summation import FLOATS, SMALL, squared
from rushlight.errors import DtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import several
from rushlight.ops.core.kinds import kernel, reduction
from rushlight.ops.core.rules import is_complex, kept, spread, total, where
from rushlight.ops.reduce.sum import count
from rushlight.tensor import Tensor

#: Below this, squares in float32 have lost digits.
_SMALLEST = 1e-35
#: Up to this many numbers, a loop of Python looks at them faster than NumPy does.
_FEW = 16


def _moments(x, dim, keepdim, correction):
    """(Σ|x - mean|² / (n - correction), mean) over the tuple ``dim``, of an array or a tensor."""
    if type(x) is ndarray and 0 < x.size <= SMALL and x.dtype in FLOATS and dim:
        return _moments_of_few(x, dim, keepdim, correction)
    n = count(x.shape, dim)
    mean = total(x, dim) / n
    squares = None if isinstance(x, Tensor) else squared(x, mean, dim)
    if squares is None:
        gap = x - mean
        squares = gap.real * gap.real + gap.imag * gap.imag if is_complex(x) else gap * gap
        squares = total(squares, dim)
    spread = squares / max(n - correction, 0)
    shape = shapes.reduced(x.shape, dim, keepdim)
    return spread.reshape(shape), mean.reshape(shape)


def _moments_of_few(x, dim, keepdim, correction):
    """``_moments`` of a small array of real numbers, with few calls of NumPy."""
    n, shape = _groups(x.shape, dim, keepdim)
    mean = np.add.reduce(x, axis=dim, keepdims=True)
    mean /= n
    gap = x - mean
    gap *= gap
    squares = np.add.reduce(gap, axis=dim, keepdims=True)
    squares /= max(n - correction, 0)
    return squares.reshape(shape), mean.reshape(shape)


@lru_cache(1024)
def _groups(shape, dim, keepdim):
    """(the number of elements behind each result, the results' shape)."""
    return count(shape, dim), shapes.reduced(shape, dim, keepdim)


def _variance_slope(g, x, x_shape, dim, keepdim, correction):
    n = count(x_shape, dim)
    mean = total(x, dim) / n
    freedom = n - correction
    scale = 2 / freedom if freedom else float("inf")
    return kept(g, x_shape, dim, keepdim) * ((x - mean) * scale)


def _deviation_slope(g, x, out, x_shape, dim, keepdim, correction):
    # The divisor is never 0: the derivatives of this rule would be nan.
    flat = out == 0
    halved = where(flat, 0, g / where(flat, 1, out * 2))
    return _variance_slope(halved, x, x_shape, dim, keepdim, correction)


@reduction(public=False, method=False, name="var", casts=True)
def var_(xp, x, *, dim=None, keepdim=False, correction=1):
    """The variance."""
    return _moments(x, dim, keepdim, correction)[0]


@reduction(public=False, method=False, name="std", casts=True)
def std_(xp, x, *, dim=None, keepdim=False, correction=1):
    """The standard deviation."""
    return _deviation(xp, x, _moments(x, dim, keepdim, correction)[0], dim, keepdim, correction)


def _deviation(xp, x, variance, dim, keepdim, correction):
    """The root of the variance, in double precision where float32 has no such squares."""
    if type(x) is Tensor or variance.dtype.itemsize == 8:
        return xp.sqrt(variance)
    if type(variance) is np.ndarray and variance.size <= _FEW:
        inexact = [v for v in variance.reshape(-1).tolist() if v < _SMALLEST or v == inf]
    else:
        inexact = xp.count_nonzero((variance < _SMALLEST) | (variance == inf))
    if not inexact:
        return xp.sqrt(variance)
    wide = x.astype(xp.result_type(x, xp.float64))
    exact = xp.sqrt(_moments(wide, dim, keepdim, correction)[0])
    return exact.astype(variance.dtype)


var_.lower()
std_.lower()
var_.grad(x=_variance_slope)
std_.grad(x=_deviation_slope)


def _all_dims(x, *, dim, keepdim, correction):
    return {
        "dim": shapes.dims(dim, x.ndim, "var_mean"),
        "keepdim": keepdim,
        "correction": correction,
    }


@kernel(public=False, method=False, name="var_mean", prepare=_all_dims)
def var_mean_(xp, x, *, dim=None, keepdim=False, correction=1):
    """The variance and the mean."""
    return _moments(x, dim, keepdim, correction)


@kernel(public=False, method=False, name="std_mean", prepare=_all_dims)
def std_mean_(xp, x, *, dim=None, keepdim=False, correction=1):
    """The standard deviation and the mean."""
    variance, mean = _moments(x, dim, keepdim, correction)
    return _deviation(xp, x, variance, dim, keepdim, correction), mean


var_mean_.lower()
std_mean_.lower()


def _with_mean(slope):
    """The gradient rule for (spread, mean), from ``slope``, the rule for the spread alone.

    The spread is the variance or the standard deviation.
    """

    def rule(g, x, out, x_shape, dim, keepdim, correction):
        found = None
        if g[0] is not None:
            found = slope(g[0], x, out[0], x_shape, dim, keepdim, correction)
        if g[1] is not None:
            share = spread(g[1] / count(x_shape, dim), x_shape, dim, keepdim)
            found = share if found is None else found + share
        return found

    return rule


var_mean_.grad(
    x=lambda g, x, x_shape, dim, keepdim, correction: _with_mean(
        lambda g, x, out, *rest: _variance_slope(g, x, *rest)
    )(g, x, (None, None), x_shape, dim, keepdim, correction)
)


def _std_mean_slope(g, x, x_shape, dim, keepdim, correction):
    deviation = None if g[0] is None else std_(x, dim, keepdim, correction=correction)
    return _with_mean(_deviation_slope)(g, x, (deviation, None), x_shape, dim, keepdim, correction)


std_mean_.grad(x=_std_mean_slope)
std_mean_.watch(x="out0")


_overloads = takes(
    "input, unbiased: bool=",
    "input, dim: ints?, unbiased: bool=, keepdim=, *, out?=",
    "input, dim: ints?=, *, correction: Number?=, keepdim=, out?=",
)


_NAMES = ("dim", "unbiased", "keepdim", "correction")


def _options(name, input, args, named):
    """dim, keepdim and correction from the arguments of any overload.

    A warning is given if a result has no more elements than ``correction``.
    """
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if args and isinstance(args[0], bool):
        named = {**named, "unbiased": args[0]}
        args = args[1:]
    given = dict(zip(("dim", "unbiased", "keepdim"), args, strict=False)) if args else {}
    for key, value in named.items():
        key = {"axis": "dim", "keepdims": "keepdim"}.get(key, key)
        if key not in _NAMES or key in given:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        given[key] = value
    if input.dtype.category < 2:
        raise DtypeError(
            f"{name} only supports floating point and complex dtypes, not {input.dtype}"
        )
    correction = given.get("correction", int(given["unbiased"]) if "unbiased" in given else None)
    correction = 1 if correction is None else correction
    dim, shape = given.get("dim"), input._array.shape
    n = prod(shape) if dim is None else count(shape, shapes.dims(dim, len(shape), name))
    if n <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            f"reduction factor (input numel divided by output numel): {n} elements, correction "
            f"{correction}.",
            stacklevel=3,
        )
    return {"dim": dim, "keepdim": given.get("keepdim", False), "correction": correction}


@function
@_overloads
def var(input, *args, out=None, **named):
    """Compute the variance over ``dim``.

    Of n elements, the variance is the sum of squared distances from the mean, divided by
    ``n - correction``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.
        correction: Number subtracted from the number of elements. Default: 1.
        unbiased: True means ``correction=1``, and False ``correction=0``. Give only one of the two.
        keepdim: Keep the dims that are reduced, with size 1. Default: False.

    Returns:
        Real tensor without the reduced dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``input`` has integers or bools.

    >>> import rushlight as torch
    >>> torch.var(torch.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    return var_(input, out=out, **_options("var", input, args, named))


@function
@_overloads
def std(input, *args, out=None, **named):
    """Compute the standard deviation over ``dim``, the square root of ``var``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.
        correction, unbiased, keepdim: As for ``var``.

    Returns:
        Real tensor without the reduced dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``input`` has integers or bools.

    >>> import rushlight as torch
    >>> torch.std(torch.tensor([1.0, 2.0, 3.0]), dim=0, correction=1)
    tensor(1.)
    """
    return std_(input, out=out, **_options("std", input, args, named))


@function(method=False)
@_overloads
def var_mean(input, *args, out=None, **named):
    """Compute the variance and the mean over ``dim``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.
        out: Pair of tensors that receive the results.
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.
        correction, unbiased, keepdim: As for ``var``.

    Returns:
        Pair (variance, mean) of tensors without the reduced dims, as from ``var``.

    Raises:
        RuntimeError: ``input`` has integers or bools.

    >>> import rushlight as torch
    >>> torch.var_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return tuple(several(var_mean_, input, _options("var_mean", input, args, named), out))


@function(method=False)
@_overloads
def std_mean(input, *args, out=None, **named):
    """Compute the standard deviation and the mean over ``dim``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.
        out: Pair of tensors that receive the results.
        dim: The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.
        correction, unbiased, keepdim: As for ``var``.

    Returns:
        Pair (deviation, mean) of tensors without the reduced dims, as from ``std``.

    Raises:
        RuntimeError: ``input`` has integers or bools.

    >>> import rushlight as torch
    >>> torch.std_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return tuple(several(std_mean_, input, _options("std_mean", input, args, named), out))
