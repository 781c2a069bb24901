"""PyTorch's switches for repeatable and precise results, which rushlight gives in any case."""

__all__ = [
    "are_deterministic_algorithms_enabled", "get_float32_matmul_precision",
    "is_deterministic_algorithms_warn_only_enabled", "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]  # fmt: skip

_PRECISIONS = ("highest", "high", "medium")
_deterministic = _warn_only = False
_precision = "highest"


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Store the switch without effect: all operations give repeatable results in any case.

    >>> import rushlight as torch
    >>> torch.use_deterministic_algorithms(True)
    >>> torch.are_deterministic_algorithms_enabled()
    True
    >>> torch.use_deterministic_algorithms(False)
    """
    global _deterministic, _warn_only
    _deterministic, _warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled():
    """Return True if ``use_deterministic_algorithms`` was switched on."""
    return _deterministic


def is_deterministic_algorithms_warn_only_enabled():
    """Return True if ``use_deterministic_algorithms`` was last called with ``warn_only=True``."""
    return _warn_only


def set_float32_matmul_precision(precision):
    """Store the precision of float32 matrix products: ``"highest"``, ``"high"`` or ``"medium"``.

    The option has no effect: the products are always computed in float32.

    Raises:
        RuntimeError: ``precision`` is none of the three.

    >>> import rushlight as torch
    >>> torch.set_float32_matmul_precision("high")
    >>> torch.get_float32_matmul_precision()
    'high'
    >>> torch.set_float32_matmul_precision("highest")
    """
    global _precision
    if precision not in _PRECISIONS:
        raise RuntimeError(
            f"set_float32_matmul_precision: {precision!r} is not a precision; expected one of "
            f"{', '.join(map(repr, _PRECISIONS))}"
        )
    _precision = precision


def get_float32_matmul_precision():
    """Return the precision that ``set_float32_matmul_precision`` stored last."""
    return _precision
