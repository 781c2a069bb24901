"""The package opt_einsum, which rushlight does not call: einsum multiplies from left to right."""

import contextlib

__all__ = ["enabled", "flags", "get_opt_einsum", "is_available", "set_flags", "strategy"]

enabled = False
strategy = None


def is_available():
    """Return whether rushlight uses opt_einsum.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.opt_einsum.is_available()
    False
    """
    return False


def get_opt_einsum():
    """Return the module opt_einsum, which rushlight does not use.

    Returns:
        None.

    >>> import rushlight as torch
    >>> torch.backends.opt_einsum.get_opt_einsum() is None
    True
    """
    return None


def set_flags(enabled=None, strategy=None):
    """Set the flags, as long as they ask for nothing: None and False.

    Args:
        enabled: Whether ``einsum`` looks for the best order of its products.
        strategy: How it looks for this order.

    Returns:
        The flags before the call.

    Raises:
        ValueError: A flag asks for opt_einsum.

    >>> import rushlight as torch
    >>> torch.backends.opt_einsum.set_flags(False)
    (False, None)
    """
    if enabled or strategy is not None:
        raise ValueError(
            "opt_einsum is not available: einsum multiplies from left to right, so enabled must be "
            f"False and strategy None, not {enabled} and {strategy}"
        )
    return False, None


@contextlib.contextmanager
def flags(enabled=None, strategy=None):
    """``set_flags`` inside a ``with`` block.

    >>> import rushlight as torch
    >>> with torch.backends.opt_einsum.flags(enabled=False):
    ...     torch.backends.opt_einsum.enabled
    False
    """
    set_flags(enabled, strategy)
    yield
