"""The package opt_einsum, which rushlight does not call: einsum multiplies from left to right."""

__all__ = ["enabled", "get_opt_einsum", "is_available", "strategy"]

enabled = False
strategy = None


def is_available():
    """False."""
    return False


def get_opt_einsum():
    """None."""
    return None
