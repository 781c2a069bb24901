"""cuDNN's switches, which programs set before they train: here results are always repeatable."""

__all__ = ["allow_tf32", "benchmark", "deterministic", "enabled", "is_available", "version"]

allow_tf32 = True
benchmark = False
deterministic = False
enabled = True


def is_available():
    """False: there is no cuDNN."""
    return False


def version():
    """None: there is no cuDNN."""
    return None
