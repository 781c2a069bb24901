"""OpenMP, which rushlight does without: its threads are its own."""

__all__ = ["is_available"]


def is_available():
    """False."""
    return False
