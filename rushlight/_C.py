"""torch._C: the names of PyTorch's C++ module that libraries use.

Any other name of torch._C raises the error for a name that rushlight lacks.
"""

from rushlight.linalg import LinAlgError as _LinAlgError  # noqa: F401 - programs catch it

__all__: list[str] = []


def _log_api_usage_once(event):
    """Do nothing: rushlight does not log which functions are used."""
