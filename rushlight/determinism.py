"""Switches of PyTorch's that ask for what rushlight does anyway: repeatable and precise results."""

__all__ = [
    "are_deterministic_algorithms_enabled", "get_float32_matmul_precision",
    "is_deterministic_algorithms_warn_only_enabled", "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]  # fmt: skip

_PRECISIONS = ("highest", "high", "medium")
_deterministic = _warn_only = False
_precision = "highest"


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Ask for results that repeat, which all operations give with or without it.

    >>> import rushlight as torch
    >>> torch.use_deterministic_algorithms(True)
    >>> torch.are_deterministic_algorithms_enabled()
    True
    >>> torch.use_deterministic_algorithms(False)
    """
    global _deterministic, _warn_only
    _deterministic, _warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled():
    """Whether ``use_deterministic_algorithms`` was switched on."""
    return _deterministic


def is_deterministic_algorithms_warn_only_enabled():
    """Whether it was switched on with ``warn_only``."""
    return _warn_only


def set_float32_matmul_precision(precision):
    """Allow less precise products of float32: ``"highest"``, ``"high"`` or ``"medium"``.

    They are computed in float32 whatever is allowed.

    Raises:
        RuntimeError: another precision.

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
    """What ``set_float32_matmul_precision`` allowed last."""
    return _precision
