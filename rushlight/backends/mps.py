"""Apple's GPUs."""

__all__ = ["is_available", "is_built", "is_macos13_or_newer", "is_macos_or_newer"]


def is_available():
    """Return whether there is an MPS device: rushlight runs on the CPU.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.mps.is_available()
    False
    """
    return False


def is_built():
    """Return whether rushlight was built with MPS.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.mps.is_built()
    False
    """
    return False


def is_macos13_or_newer(minor=0):
    """Return whether a system with an MPS device has macOS 13 or newer.

    Args:
        minor: Accepted without effect.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.mps.is_macos13_or_newer()
    False
    """
    return False


def is_macos_or_newer(major, minor):
    """Return whether a system with an MPS device has a macOS of this version or newer.

    Args:
        major, minor: Accepted without effect.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.mps.is_macos_or_newer(13, 0)
    False
    """
    return False
