"""The package opt_einsum, which rushlight does not call: einsum multiplies from left to right."""

__all__ = ["enabled", "get_opt_einsum", "is_available", "strategy"]

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
