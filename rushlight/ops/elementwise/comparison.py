"""Comparisons, and tests for nan, infinite and real elements."""

from rushlight.errors import DtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import promote, real_only
from rushlight.tensor import Tensor

# Comparisons ------------------------------------------------------------------------------


@elementwise(operator="__eq__", own_operator=True, tensors=("x",), arrays=True, least=None)
def eq(xp, x, y):
    """True where ``input`` equals ``other``.

    >>> import rushlight as torch
    >>> torch.eq(torch.tensor([1, 2]), torch.tensor([1, 3]))
    tensor([ True, False])
    """
    return x == y


@elementwise(operator="__ne__", alias="not_equal", tensors=("x",), least=None)
def ne(xp, x, y):
    """True where ``input`` differs from ``other``.

    >>> import rushlight as torch
    >>> torch.ne(torch.tensor([1, 2]), 1)
    tensor([False,  True])
    """
    return x != y


@elementwise(operator="__lt__", alias="less", dtype=real_only, tensors=("x",), least=None)
def lt(xp, x, y):
    """True where ``input < other``.

    >>> import rushlight as torch
    >>> torch.lt(torch.tensor([1, 2]), 2)
    tensor([ True, False])
    """
    return x < y


@elementwise(operator="__le__", alias="less_equal", dtype=real_only, tensors=("x",), least=None)
def le(xp, x, y):
    """True where ``input ≤ other``.

    >>> import rushlight as torch
    >>> torch.le(torch.tensor([1, 2, 3]), 2)
    tensor([ True,  True, False])
    """
    return x <= y


@elementwise(operator="__gt__", alias="greater", dtype=real_only, tensors=("x",), least=None)
def gt(xp, x, y):
    """True where ``input > other``.

    >>> import rushlight as torch
    >>> torch.gt(torch.tensor([1, 2, 3]), 2)
    tensor([False, False,  True])
    """
    return x > y


@elementwise(operator="__ge__", alias="greater_equal", dtype=real_only, tensors=("x",), least=None)
def ge(xp, x, y):
    """True where ``input ≥ other``.

    >>> import rushlight as torch
    >>> torch.ge(torch.tensor([1, 2, 3]), 2)
    tensor([False,  True,  True])
    """
    return x >= y


# Kinds of number --------------------------------------------------------------------------


@elementwise(inplace=False, least=None)
def isnan(xp, x):
    """True where ``input`` is not a number.

    >>> import rushlight as torch
    >>> torch.isnan(torch.tensor([1.0, torch.nan]))
    tensor([False,  True])
    """
    return x != x


@elementwise(inplace=False, least=None)
def isinf(xp, x):
    """True where ``input`` is infinite.

    >>> import rushlight as torch
    >>> torch.isinf(torch.tensor([1.0, float("-inf")]))
    tensor([False,  True])
    """
    return xp.isinf(x)


@elementwise(inplace=False, least=None)
def isfinite(xp, x):
    """True where ``input`` is neither infinite nor nan.

    >>> import rushlight as torch
    >>> torch.isfinite(torch.tensor([1.0, torch.inf, torch.nan]))
    tensor([ True, False, False])
    """
    return xp.isfinite(x)


@elementwise(inplace=False, dtype=real_only, least=None)
def isposinf(xp, x):
    """True where ``input`` is +∞.

    >>> import rushlight as torch
    >>> torch.isposinf(torch.tensor([torch.inf, float("-inf")]))
    tensor([ True, False])
    """
    return x == xp.inf


@elementwise(inplace=False, dtype=real_only, least=None)
def isneginf(xp, x):
    """True where ``input`` is -∞.

    >>> import rushlight as torch
    >>> torch.isneginf(torch.tensor([torch.inf, float("-inf")]))
    tensor([False,  True])
    """
    return x == -xp.inf


@elementwise(inplace=False)
def isreal(xp, x):
    """True where the imaginary part is 0.

    >>> import rushlight as torch
    >>> torch.isreal(torch.tensor([1 + 0j, 1j]))
    tensor([ True, False])
    """
    return xp.isreal(x)


# Whole tensors ----------------------------------------------------------------------------


def _same_dtype(operands):
    x, y = operands
    if x.dtype != y.dtype:
        raise DtypeError(
            f"both inputs must have one dtype, not {x.dtype} and {y.dtype}; convert one"
        )
    return promote(operands)


@elementwise(public=False, method=False, inplace=False, name="isclose", dtype=_same_dtype,
             tensors=("x", "y"))  # fmt: skip
def _isclose(xp, x, y, *, rtol, atol, equal_nan):
    """|x - y| ≤ atol + rtol · |y|, or x equals y."""
    equal = x == y
    if equal_nan:
        equal = equal | ((x != x) & (y != y))
    if x.dtype.kind in "iub":
        if not rtol and not atol:
            return equal
        x, y = x.astype(xp.float64), y.astype(xp.float64)
    gap = xp.abs(x - y)
    return equal | (xp.isfinite(gap) & (gap <= atol + xp.abs(rtol * y)))


@function
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True where ``|input - other| ≤ atol + rtol · |other|``.

    Infinities of the same sign are close, too.

    Args:
        other: Tensor of ``input``'s dtype. Both are broadcast to one shape.
        rtol: Tolerance relative to ``other``, not negative. Default: 1e-5.
        atol: Absolute tolerance, not negative. Default: 1e-8.
        equal_nan: Let nan be close to nan. Default: False.

    Returns:
        Bool tensor of the shape to which ``input`` and ``other`` are broadcast.

    Raises:
        RuntimeError: the dtypes differ, or a tolerance is negative.

    >>> import rushlight as torch
    >>> torch.isclose(torch.tensor([1.0, 2.0]), torch.tensor([1.0 + 1e-7, 2.1]))
    tensor([ True, False])
    """
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(
                f"isclose: {name} must be greater than or equal to zero, but got {tolerance}"
            )
    return _isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


@function
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True if ``isclose`` holds for all elements.

    Args:
        other: Tensor of ``input``'s dtype. Both are broadcast to one shape.
        rtol: Tolerance relative to ``other``, not negative. Default: 1e-5.
        atol: Absolute tolerance, not negative. Default: 1e-8.
        equal_nan: Let nan be close to nan. Default: False.

    Returns:
        bool, not a tensor.

    Raises:
        RuntimeError: the dtypes differ, or a tolerance is negative.

    >>> import rushlight as torch
    >>> torch.allclose(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@function
def equal(input, other):
    """True if both tensors have the same shape and equal elements.

    The dtypes may differ. A nan is not equal to anything.

    Args:
        other: Tensor of any shape ``(*)``.

    Returns:
        bool, not a tensor.

    Raises:
        TypeError: an argument is not a tensor.

    >>> import rushlight as torch
    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))
    True
    """
    for i, x in enumerate((input, other)):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"equal(): argument '{('input', 'other')[i]}' (position {i + 1}) must be Tensor, "
                f"not {type(x).__name__}"
            )
    if input._array.shape != other._array.shape:
        return False
    return bool((input == other).all())
