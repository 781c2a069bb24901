"""torch._C: of PyTorch's C++ the one name that libraries call when they are imported.

All else that reaches into PyTorch's inside fails as a name that rushlight lacks.
"""

__all__: list[str] = []


def _log_api_usage_once(event):
    """Nothing: nobody counts."""
