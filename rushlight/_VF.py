"""torch._VF: PyTorch's functions in C++, among them those that torch hides by others in Python."""

from typing import Any

import rushlight

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    return getattr(rushlight, name)
