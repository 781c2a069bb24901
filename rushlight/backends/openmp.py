"""OpenMP, which rushlight does without: its threads are its own."""

__all__ = ["is_available"]


def is_available():
    """Return whether rushlight uses OpenMP.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.openmp.is_available()
    False
    """
    return False
