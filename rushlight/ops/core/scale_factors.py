"""Numbers by which operations scale a tensor: ``alpha``, ``beta``, ``value``, ``weight``."""

from numpy import ndarray

import rushlight.dtype as dtypes
from rushlight.errors import DtypeError
from rushlight.ops.core.promotion import promote, scalar_dtype
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.tensor import Tensor

__all__ = ["check_category", "factor"]

_F4, _F8 = dtypes.float32, dtypes.float64
_LARGE = 3e38


def factor(value, dtype, rounded=False):
    """``value`` as a number of ``dtype``, the dtype in which the operation computes.

    ``rounded``: for a half precision ``dtype``, PyTorch's kernel rounds the number to ``dtype``.
    By default it rounds the number to float32 there.

    Raises:
        RuntimeError: ``dtype`` has no such number.
        TypeError: ``value`` is a tensor that requires grad.
    """
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise TypeError(
                "alpha, beta or value must be Number, not Tensor with requires_grad=True, which "
                "would get no gradient; multiply by it instead"
            )
        if type(value._array) is not ndarray:
            return value  # its number is not known in a trace, nor on this side of a device
        value = value.item()
    kind = type(value)
    if kind is float or kind is int:  # most numbers need no conversion
        if dtype is _F4 and -_LARGE < value < _LARGE:
            return value
        if dtype is _F8 or (kind is int and 0 <= value < 128 and dtype is not dtypes.bool):
            return value
    if dtype.category > 1 and kind not in (float, int, bool, complex):
        return value  # a symbolic number of a trace: its value is not known yet
    half = dtype.itemsize == 2 and dtype.category == 2
    checked = as_scalar(value, (dtypes.float32 if half and not rounded else dtype).numpy)
    exact = dtype.category == 2 and not half and kind is not complex
    return value if exact else checked.item()


def check_category(name, argument, value, result):
    """Raise if the kind of number of ``value`` does not fit the dtype ``result``.

    For example, a float does not fit an integer result.
    """
    given = promote([value]) if isinstance(value, Tensor) else scalar_dtype(value)
    if given is None:
        raise TypeError(
            f"{name}(): argument '{argument}' must be Number, not {type(value).__name__}"
        )
    if given is dtypes.bool and result is not dtypes.bool:
        raise DtypeError(f"{name}: Boolean {argument} only supported for Boolean results.")
    if given.category > max(result.category, 1):
        kind = "floating point" if given.category == 2 else "complex"
        need = "integral" if result.category < 2 else "non-complex"
        raise DtypeError(
            f"{name}: For {need} input tensors, argument {argument} must not be a {kind} number."
        )
