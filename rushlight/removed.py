"""Functions of ``torch`` that PyTorch has removed: they raise its error, and name the new ones."""

from typing import Any

__all__: list[str] = []


def _removed(name, instead) -> Any:
    def call(*args, **kwargs):
        raise RuntimeError(
            f"This function was deprecated since version 1.9 and is now removed. torch.{name}: use "
            f"{instead}"
        )

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Raise: PyTorch has removed this function; use {instead}."
    return call


eig = _removed("eig", "torch.linalg.eig, which gives complex numbers")
lstsq = _removed("lstsq", "torch.linalg.lstsq, whose arguments are reversed")
matrix_rank = _removed("matrix_rank", "torch.linalg.matrix_rank")
solve = _removed("solve", "torch.linalg.solve, whose arguments are reversed")
symeig = _removed("symeig", "torch.linalg.eigh, which reads the lower triangle by default")
