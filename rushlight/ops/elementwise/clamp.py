"""The larger and the smaller of two elements, and limits for values."""

from functools import cache

import numpy as np

import rushlight.dtype as dtypes
from rushlight.backend.native import MANY
from rushlight.backend.numpy import clip_loops, clipped, from_parts
from rushlight.backend.rows import repeats_row, with_row
from rushlight.dtype import OF
from rushlight.ops.core.arguments import number
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import as_in_half, real_only
from rushlight.ops.core.rules import typed, where
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.tensor import Tensor

# Of two -----------------------------------------------------------------------------------


@elementwise(dtype=real_only, inplace=False, tensors=("x", "y"), least=None)
def maximum(xp, x, y):
    """Select the larger of ``input`` and ``other``; nan if one of them is nan.

    Args:
        input, other: Tensors of real numbers. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.maximum(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    return xp.maximum(x, y)


@elementwise(dtype=real_only, inplace=False, tensors=("x", "y"), least=None)
def minimum(xp, x, y):
    """Select the smaller of ``input`` and ``other``; nan if one of them is nan.

    Args:
        input, other: Tensors of real numbers. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.minimum(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return xp.minimum(x, y)


@elementwise(dtype=real_only, inplace=False, tensors=("x", "y"), least=None)
def fmax(xp, x, y):
    """Select the larger of ``input`` and ``other``; nan only if both are nan.

    Args:
        input, other: Tensors of real numbers. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.fmax(torch.tensor([1.0, torch.nan]), torch.tensor([3.0, 2.0]))
    tensor([3., 2.])
    """
    return xp.fmax(x, y)


@elementwise(dtype=real_only, inplace=False, tensors=("x", "y"), least=None)
def fmin(xp, x, y):
    """Select the smaller of ``input`` and ``other``; nan only if both are nan.

    Args:
        input, other: Tensors of real numbers. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.fmin(torch.tensor([1.0, torch.nan]), torch.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return xp.fmin(x, y)


# In maximum and minimum, two equal elements get half of the gradient each.
maximum.grad(
    x=lambda g, x, y: where(x < y, 0, where(x == y, g / 2, g)),
    y=lambda g, x, y: where(x > y, 0, where(x == y, g / 2, g)),
)
minimum.grad(
    x=lambda g, x, y: where(x > y, 0, where(x == y, g / 2, g)),
    y=lambda g, x, y: where(x < y, 0, where(x == y, g / 2, g)),
)
fmax.grad(
    x=lambda g, x, y: where((x >= y) | (y != y), g, 0),
    y=lambda g, x, y: where((x >= y) | (y != y), 0, g),
)
fmin.grad(
    x=lambda g, x, y: where((x <= y) | (y != y), g, 0),
    y=lambda g, x, y: where((x <= y) | (y != y), 0, g),
)

# Between bounds ---------------------------------------------------------------------------


def _clamped(xp, x, min, max):
    found = clipped(x, min, max)
    if found is not None:
        return found
    if min is not None:
        x = _limited(xp, "maximum", x, min)
    return x if max is None else _limited(xp, "minimum", x, max)


def _limited(xp, name, x, bound):
    """``maximum`` or ``minimum``, also of an array of many short rows and one row of bounds."""
    if type(x) is type(bound) is np.ndarray and x.size >= MANY and repeats_row(x, bound):
        return with_row(getattr(np, name), x, bound)
    return getattr(xp, name)(x, bound)


def _inside(x, min, max):
    """True where x was not replaced by a bound."""
    if min is None:
        return x <= max
    return x >= min if max is None else (x >= min) & (x <= max)


@elementwise(public=False, method=False, inplace=False, name="clamp", dtype=real_only,
             grad_name="ClampBackward0", tensors=("x",))  # fmt: skip
def clamp_(xp, x, min=None, max=None):
    """x between the tensors min and max."""
    return _clamped(xp, x, min, max)


def _min_slope(g, x, min, max):
    replaced = x < min
    return where(replaced if max is None else replaced & (min < max), g, 0)


def _max_slope(g, x, min, max):
    replaced = x > max
    return where(replaced if min is None else replaced | (max < min), g, 0)


clamp_.grad(
    x=lambda g, x, min, max: where(_inside(x, min, max), g, 0),
    min=_min_slope,
    max=_max_slope,
)


def _clip(out, x, min, max):
    clip_loops(x, -np.inf if min is None else min, np.inf if max is None else max, out)


def _held(name, grad_name, bound):
    """``clamp`` under one of PyTorch's names for its gradient.

    With ``bound`` the bounds may be tensors, which get gradients.
    """

    def forward(xp, x, min=None, max=None):
        return _clamped(xp, x, min, max)

    forward.__doc__ = "x between two numbers."
    op = elementwise(
        forward, name=name, public=False, method=False, inplace=False, dtype=real_only,
        grad_name=grad_name, tensors=("x",), casts=bound, least=None, into=_clip,
    )  # fmt: skip
    op.grad(x=lambda g, x, min, max: where(_inside(x, min, max), g, 0))
    if bound:
        op.grad(min=_min_slope, max=_max_slope)
    return op


_clamp_number = _held("clamp_number", "ClampBackward1", False)
_clamp_min_number = _held("clamp_min_number", "ClampMinBackward0", False)
_clamp_min_tensor = _held("clamp_min", "ClampMinBackward1", True)
_clamp_max_number = _held("clamp_max_number", "ClampMaxBackward0", False)
_clamp_max_tensor = _held("clamp_max", "ClampMaxBackward1", True)


_SURE = 65504  # each floating dtype has the numbers up to this one


def _bound(number, x):
    if number is None or not isinstance(x, Tensor):
        return number
    dtype = x._array.dtype
    if type(number) is int and dtype.kind in "iu":
        as_scalar(number, dtype)  # raises if the dtype has no such number
    elif type(number) in (int, float) and dtype.kind == "f" and not -_SURE <= number <= _SURE:
        as_scalar(number, dtype)
    return as_in_half(number, dtype)


@function(inplace=True, direct=True, alias="clip", kinds={"min": "operand", "max": "operand"})
def clamp(input, min=None, max=None, *, out=None):
    """Limit ``input`` to the range [min, max].

    Where ``min`` is above ``max``, the result is ``max``.

    Args:
        input: Tensor of any shape ``(*)``, real.
        min: The lower bound, a number or a tensor. Default: None, no lower bound.
        max: The upper bound, a number or a tensor. Default: None, no upper bound.

    Returns:
        Tensor of the shape to which ``input`` and the bounds are broadcast.

    Raises:
        RuntimeError: neither bound is given.
        TypeError: one bound is a tensor and the other a number.

    >>> import rushlight as torch
    >>> torch.clamp(torch.tensor([-1.0, 0.5, 2.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    tensors = [isinstance(b, Tensor) for b in (min, max) if b is not None]
    if tensors[0] is not tensors[-1]:
        min, max = number(min), number(max)
        tensors = [isinstance(min, Tensor), isinstance(max, Tensor)]
    if tensors[0] is not tensors[-1]:
        bound = min if tensors[0] else max
        if not (bound._array.ndim or bound.requires_grad):
            bound.item()  # a trace, which knows no values, refuses to give it
        raise TypeError(
            "clamp(): min and max must both be tensors or both be numbers, not "
            f"{type(min).__name__} and {type(max).__name__}"
        )
    if tensors[0]:
        return clamp_(input, min, max, out=out)
    return _clamp_number(input, _bound(min, input), _bound(max, input), out=out)


@function(inplace=True, direct=True, kinds={"min": "operand"})
def clamp_min(input, min, *, out=None):
    """Raise elements that are below ``min`` to ``min``.

    Args:
        input: Tensor of any shape ``(*)``, real.
        min: The lower bound, a number or a tensor.

    Returns:
        Tensor of the shape to which ``input`` and ``min`` are broadcast.

    >>> import rushlight as torch
    >>> torch.clamp_min(torch.tensor([-1.0, 2.0]), 0)
    tensor([0., 2.])
    """
    if isinstance(min, Tensor):
        return _clamp_min_tensor(input, min, out=out)
    return _clamp_min_number(input, _bound(min, input), out=out)


@function(inplace=True, direct=True, kinds={"max": "operand"})
def clamp_max(input, max, *, out=None):
    """Lower elements that are above ``max`` to ``max``.

    Args:
        input: Tensor of any shape ``(*)``, real.
        max: The upper bound, a number or a tensor.

    Returns:
        Tensor of the shape to which ``input`` and ``max`` are broadcast.

    >>> import rushlight as torch
    >>> torch.clamp_max(torch.tensor([-1.0, 2.0]), 0)
    tensor([-1.,  0.])
    """
    if isinstance(max, Tensor):
        return _clamp_max_tensor(input, None, max, out=out)
    return _clamp_max_number(input, None, _bound(max, input), out=out)


@cache
def _limits(dtype):
    found = dtypes.finfo(dtype)
    return found.max, found.min


def _replacements(x, *, nan, posinf, neginf):
    """The replacements; those that are not given follow from the limits of the dtype of x."""
    d = OF[x.dtype].to_real()
    largest, smallest = _limits(d) if d.is_floating_point else (0, 0)
    return {
        "nan": 0.0 if nan is None else nan,
        "posinf": largest if posinf is None else posinf,
        "neginf": smallest if neginf is None else neginf,
    }


@elementwise(prepare=_replacements, keeps_order="like")
def nan_to_num(xp, x, *, nan=None, posinf=None, neginf=None):
    """Replace nan and infinities in ``input`` by numbers.

    Args:
        nan: The number in place of nan. Default: 0.
        posinf: The number in place of +∞. Default: the largest finite number of the dtype.
        neginf: The number in place of -∞. Default: the lowest finite number of the dtype.

    >>> import rushlight as torch
    >>> torch.nan_to_num(torch.tensor([torch.nan, torch.inf, 1.0]), posinf=9.0)
    tensor([0., 9., 1.])
    """
    if x.dtype.kind == "c":
        parts = [
            nan_to_num.op.forward(xp, p, nan=nan, posinf=posinf, neginf=neginf)
            for p in (x.real, x.imag)
        ]
        return from_parts(*parts)
    if x.dtype.kind != "f":
        return +x if x.dtype.kind != "b" else x
    values = [x.dtype.type(v) for v in (nan, posinf, neginf)]
    special = ~np.isfinite(x) if type(x) is np.ndarray else None
    if special is None or np.count_nonzero(special) * 4 > x.size:
        return _replaced(xp, x, *values)
    out = x.copy(order="K")
    out[special] = _replaced(np, x[special], *values)
    return out


def _replaced(xp, x, nan, posinf, neginf):
    x = xp.where(x == np.inf, posinf, xp.where(x == -np.inf, neginf, x))
    return xp.where(x != x, nan, x)


nan_to_num.grad(x=lambda g, x: g * typed(x - x == 0, g))  # where x is finite
