"""torch.classes: classes of C++ extensions, of which rushlight loads none."""

from typing import Any

__all__: list[str] = []

loaded_libraries: set[str] = set()


class _Namespace:
    """The classes of one extension."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, name):
        raise RuntimeError(
            f"Tried to instantiate class '{self.name}.{name}', but it does not exist! Ensure that "
            "it is registered via torch::class_; rushlight loads no C++ extensions"
        )


def load_library(path):
    """Refuse: rushlight loads no C++ extensions.

    Raises:
        OSError: Always.
    """
    raise OSError(f"{path}: rushlight loads no C++ extensions, which are built for PyTorch")


def __getattr__(name: str) -> Any:
    if name.startswith(("__", "pytest")):  # pytest asks all modules that it reads
        raise AttributeError(f"module 'torch.classes' has no attribute {name!r}")
    return _Namespace(name)
