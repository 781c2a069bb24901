"""The fast path of attention in inference: there is one path, whose results are the same."""

__all__ = ["get_fastpath_enabled", "set_fastpath_enabled"]

_enabled = True


def get_fastpath_enabled():
    """Return what ``set_fastpath_enabled`` was told last.

    Returns:
        A bool, True at first.

    >>> import rushlight as torch
    >>> torch.backends.mha.get_fastpath_enabled()
    True
    """
    return _enabled


def set_fastpath_enabled(value):
    """Accepted, and remembered."""
    global _enabled
    _enabled = bool(value)
