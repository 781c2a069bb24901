"""Apple's GPUs."""

__all__ = ["is_available", "is_built", "is_macos13_or_newer", "is_macos_or_newer"]


def is_available():
    """False: rushlight runs on the CPU."""
    return False


def is_built():
    """False."""
    return False


def is_macos13_or_newer(minor=0):
    """False: it is asked of systems that have an MPS device."""
    return False


def is_macos_or_newer(major, minor):
    """False: it is asked of systems that have an MPS device."""
    return False
