"""PyTorch's switches for repeatable and precise results, which rushlight gives in any case."""

from rushlight.precision import LEVELS, level, set_level

__all__ = [
    "are_deterministic_algorithms_enabled", "get_deterministic_debug_mode",
    "get_float32_matmul_precision", "is_deterministic_algorithms_warn_only_enabled",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "use_deterministic_algorithms",
]  # fmt: skip

_deterministic = _warn_only = False


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Store the switch without effect: all operations give repeatable results in any case.

    Args:
        mode: A bool.
        warn_only: A bool, which is stored, too. Default: False.

    Raises:
        TypeError: An argument is no bool.

    >>> import rushlight as torch
    >>> torch.use_deterministic_algorithms(True)
    >>> torch.are_deterministic_algorithms_enabled()
    True
    >>> torch.use_deterministic_algorithms(False)
    """
    global _deterministic, _warn_only
    for value in (mode, warn_only):
        if not isinstance(value, bool):
            raise TypeError(
                f"use_deterministic_algorithms: expected a bool, not {type(value).__name__}"
            )
    _deterministic, _warn_only = mode, warn_only


def are_deterministic_algorithms_enabled():
    """Return the switch that ``use_deterministic_algorithms`` stored last.

    Returns:
        A bool, False at first.

    >>> import rushlight as torch
    >>> torch.are_deterministic_algorithms_enabled()
    False
    """
    return _deterministic


def is_deterministic_algorithms_warn_only_enabled():
    """Return whether ``use_deterministic_algorithms`` was last told to warn only.

    Returns:
        A bool, False at first.

    >>> import rushlight as torch
    >>> torch.is_deterministic_algorithms_warn_only_enabled()
    False
    """
    return _warn_only


_DEBUG_MODES = ("default", "warn", "error")


def set_deterministic_debug_mode(debug_mode):
    """Store the switch of ``use_deterministic_algorithms`` as one of three modes.

    Args:
        debug_mode: ``"default"`` or 0 for off, ``"warn"`` or 1 for on with warnings only,
            ``"error"`` or 2 for on.

    Raises:
        RuntimeError: ``debug_mode`` is another string or int.
        TypeError: ``debug_mode`` is neither a string nor an int.

    >>> import rushlight as torch
    >>> torch.set_deterministic_debug_mode("warn")
    >>> torch.get_deterministic_debug_mode()
    1
    >>> torch.set_deterministic_debug_mode("default")
    """
    if not isinstance(debug_mode, (str, int)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _DEBUG_MODES:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}"
            )
        debug_mode = _DEBUG_MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode():
    """Return the mode that ``set_deterministic_debug_mode`` describes.

    Returns:
        An int: 0 for off, 1 for on with warnings only, 2 for on.

    >>> import rushlight as torch
    >>> torch.get_deterministic_debug_mode()
    0
    """
    return (1 if _warn_only else 2) if _deterministic else 0


def set_float32_matmul_precision(precision):
    """Set the precision of float32 matrix products on devices that have tensor cores.

    With ``"high"`` and ``"medium"``, NVIDIA's devices of compute capability 8.0 or more round the
    factors to TF32, which has 10 bits after the point, and add in float32. Other devices, and the
    CPU, always compute in float32.

    Args:
        precision: ``"highest"``, ``"high"`` or ``"medium"``.

    Raises:
        RuntimeError: ``precision`` is none of the three.

    >>> import rushlight as torch
    >>> torch.set_float32_matmul_precision("high")
    >>> torch.backends.cuda.matmul.allow_tf32
    True
    >>> torch.set_float32_matmul_precision("highest")
    """
    if precision not in LEVELS:
        raise RuntimeError(
            f"set_float32_matmul_precision: {precision!r} is not a precision; expected one of "
            f"{', '.join(map(repr, LEVELS))}"
        )
    set_level(precision)


def get_float32_matmul_precision():
    """Return the precision that ``set_float32_matmul_precision`` set last.

    Returns:
        A string, ``"highest"`` at first.

    >>> import rushlight as torch
    >>> torch.get_float32_matmul_precision()
    'highest'
    """
    return level()
