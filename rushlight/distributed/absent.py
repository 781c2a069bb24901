"""Names that libraries import, and that raise an error which names them when they are used."""

from typing import Any

__all__ = ["absent", "absent_names"]


class _Refusing(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"torch.distributed.{cls.__doc__} needs several processes, which rushlight does not "
            "have yet: see docs/coverage.md"
        )


def absent(path):
    """Return a class for the name ``path`` below ``torch.distributed``; to call it is an error.

    It is a class, so that ``isinstance`` and subclasses of a library work at its import.
    """
    name = path.rpartition(".")[2]
    return _Refusing(name, (), {"__doc__": path, "__module__": "rushlight.distributed.absent"})


def absent_names(module, names):
    """Return the dict of the classes ``absent`` for the names in a text."""
    return {name: absent(f"{module}.{name}") for name in names.split()}
