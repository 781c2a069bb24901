"""cuDNN's switches, which programs set before they train: here results are always repeatable."""

from rushlight.backends.switches import Switches

__all__ = [
    "allow_tf32", "benchmark", "benchmark_limit", "deterministic", "enabled", "flags",
    "is_acceptable", "is_available", "set_flags", "version",
]  # fmt: skip

allow_tf32 = True
benchmark = False
benchmark_limit = 10
deterministic = False
enabled = True


def is_available():
    """False: there is no cuDNN."""
    return False


def is_acceptable(tensor):
    """False: there is no cuDNN."""
    return False


def version():
    """None: there is no cuDNN."""
    return None


_switches = Switches(
    __name__, ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
)
flags, set_flags = _switches.flags, _switches.set_flags
