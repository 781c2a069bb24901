"""torch.nn._reduction: what losses that libraries define make of their ``reduction``."""

import warnings

from rushlight.ops.loss.regression import reduction_of_flags

__all__: list[str] = []

_NUMBERS = {"none": 0, "mean": 1, "elementwise_mean": 1, "sum": 2}


def get_enum(reduction):
    """Return the number of a reduction: 0 for ``"none"``, 1 for ``"mean"``, 2 for ``"sum"``.

    >>> get_enum("sum")
    2
    """
    if reduction not in _NUMBERS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if reduction == "elementwise_mean":
        warnings.warn(
            "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.",
            stacklevel=2,
        )
    return _NUMBERS[reduction]


def legacy_get_string(size_average, reduce, emit_warning=True):
    """Return the reduction that the older flags stand for.

    >>> legacy_get_string(None, False, emit_warning=False)
    'none'
    """
    found = reduction_of_flags(size_average, reduce)
    if emit_warning:
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{found}' instead.",
            stacklevel=2,
        )
    return found


def legacy_get_enum(size_average, reduce, emit_warning=True):
    """Return the number of the reduction that the older flags stand for.

    >>> legacy_get_enum(False, None, emit_warning=False)
    2
    """
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
