"""The dtype in which an operation computes, by PyTorch's rules for tensors and Python numbers."""

import numpy as np
from numpy import ndarray

import rushlight.dtype as dtypes
from rushlight.dtype import OF, promote_types
from rushlight.errors import UnsupportedDtypeError
from rushlight.tensor import Tensor

__all__ = [
    "as_in_half", "as_real", "integers", "promote", "real_only", "result_type", "scalar_dtype",
    "to_float",
]  # fmt: skip


def scalar_dtype(x):
    """The dtype that a Python number stands for; None for anything else."""
    kind = type(x)
    if kind is bool or kind is np.bool_:
        return dtypes.bool
    if kind is int or isinstance(x, (int, np.integer)):
        return dtypes.int64
    if kind is float or isinstance(x, (float, np.floating)):
        return dtypes._default
    if kind is complex or isinstance(x, (complex, np.complexfloating)):
        return dtypes._default.to_complex()
    return None


def _combine(higher, lower):
    # Tensors with dims decide the dtype. 0-dim tensors change it only if they have a higher
    # category (bool, integer, floating, complex), and Python numbers likewise.
    if higher is None or lower is None:
        return higher or lower
    if higher.is_complex:
        return higher
    if higher.is_floating_point:
        return higher.to_complex() if lower.is_complex else higher
    if higher is dtypes.bool or lower.category > 1:
        return lower
    return higher


def promote(operands):
    """The common dtype of tensors, arrays and Python numbers."""
    common = None
    for x in operands:
        a = x._array if type(x) is Tensor else x
        if type(a) is not ndarray or not a.shape or (common is not None and a.dtype is not common):
            break
        common = a.dtype
    else:
        if common is not None:
            return OF[common]
    dimensioned = zero_dim = number = None
    for x in operands:
        if x is None:
            continue
        array = getattr(x, "_array", x)
        if hasattr(array, "dtype") and not isinstance(x, np.generic):
            # A sparse tensor has no array: its dtype is PyTorch's already.
            d = array.dtype if array is x and isinstance(x, Tensor) else OF[array.dtype]
            if array.shape:
                dimensioned = d if dimensioned is None else promote_types(dimensioned, d)
            else:
                zero_dim = d if zero_dim is None else promote_types(zero_dim, d)
        else:
            d = scalar_dtype(x)
            number = d if number is None else promote_types(number, d)
    return _combine(dimensioned, _combine(zero_dim, number))


def to_float(operands):
    """``promote``, but integers and bool become the default dtype, as in exp, div and mean."""
    d = promote(operands)
    return d if d.category > 1 else dtypes._default


def as_in_half(number, dtype):
    """``number`` rounded to ``dtype`` if that is a half precision, else unchanged.

    Tensors of half precision are compared with rounded numbers.
    """
    if number is None or dtype not in (dtypes.float16.numpy, dtypes.bfloat16.numpy):
        return number
    with np.errstate(over="ignore"):
        return float(dtype.type(np.float32(number)))  # rounded twice, as in PyTorch


def as_number(x):
    """The number in a 0-dim tensor, so that arithmetic with it is Python's; others as they are.

    Raises TypeError for a tensor that requires grad, whose gradient would be lost.
    """
    if not isinstance(x, Tensor):
        return x
    if x.requires_grad:
        raise TypeError(
            "an argument must be Number, not a Tensor that requires grad; give x.item() if it "
            "needs no gradient"
        )
    return x.item()


def as_real(number):
    """A complex ``number`` as a real one; RuntimeError if it has an imaginary part."""
    if type(number) is not complex:
        return number
    if number.imag:
        raise RuntimeError("value cannot be converted to type double without overflow")
    return number.real


def real_only(operands):
    """``promote``; complex numbers are refused, because they have no order: maximum, floor."""
    d = promote(operands)
    if d.is_complex:
        raise UnsupportedDtypeError(
            f"not implemented for complex tensors ({d}): they have no order"
        )
    return d


def integers(operands):
    """``promote``; only bool and integers are allowed, as in bitwise_and, shifts and gcd."""
    d = promote(operands)
    if d.category > 1:
        raise UnsupportedDtypeError(
            f"not implemented for {d}: takes bool and integer tensors; convert with .long()"
        )
    return d


#: The names that ``result_type`` takes for its operands, in their order.
_PAIRS = ("tensor", "other"), ("scalar", "tensor"), ("scalar1", "scalar2")


def result_type(*operands, **named):
    """Return the dtype of the result of an operation on two operands.

    Args:
        operands: Two tensors or numbers. By name they are ``tensor`` and ``other``, ``scalar`` and
            ``tensor``, or ``scalar1`` and ``scalar2``.

    Returns:
        A ``torch.dtype``.

    Raises:
        TypeError: An argument is neither a tensor nor a number.

    >>> import rushlight as torch
    >>> torch.result_type(torch.tensor([1, 2]), 1.0)
    torch.float32
    """
    if not any({*pair[len(operands) :]} == named.keys() for pair in _PAIRS) or len(operands) > 2:
        raise TypeError(
            f"result_type() takes two arguments, but {len(operands)} and {[*named]} were given"
        )
    operands = (*operands, *named.values())
    for x in operands:
        if not isinstance(x, Tensor) and scalar_dtype(x) is None:
            raise TypeError(
                f"result_type(): arguments must be Tensor or Number, not {type(x).__name__}"
            )
    return promote(operands)
