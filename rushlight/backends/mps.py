"""Apple's GPUs."""

__all__ = ["is_available", "is_built"]


def is_available():
    """False: rushlight runs on the CPU."""
    return False


def is_built():
    """False."""
    return False
