"""torch._C: the only name of PyTorch's C++ module that libraries call when they are imported.

Any other name of torch._C raises the error for a name that rushlight lacks.
"""

__all__: list[str] = []


def _log_api_usage_once(event):
    """Do nothing: rushlight does not log which functions are used."""
