"""Functions and methods that PyTorch has removed: they raise its error, and name the new ones."""

from typing import Any

from rushlight.tensor import Tensor

__all__: list[str] = []


def _removed(name, instead) -> Any:
    def call(*args, **kwargs):
        raise RuntimeError(
            f"This function was deprecated since version 1.9 and is now removed. torch.{name}: use "
            f"{instead}"
        )

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""Raise: PyTorch has removed this function; use {instead}.

    Args:
        *args, **kwargs: Accepted without effect.

    Raises:
        RuntimeError: always.

    >>> import rushlight as torch
    >>> torch.{name}(torch.eye(2))
    Traceback (most recent call last):
    RuntimeError: This function was deprecated since version 1.9 and is now removed. \
torch.{name}: use {instead}
    """
    return call


eig = _removed("eig", "torch.linalg.eig, which gives complex numbers")
lstsq = _removed("lstsq", "torch.linalg.lstsq, whose arguments are reversed")
matrix_rank = _removed("matrix_rank", "torch.linalg.matrix_rank")
solve = _removed("solve", "torch.linalg.solve, whose arguments are reversed")
symeig = _removed("symeig", "torch.linalg.eigh, which reads the lower triangle by default")

for _call in (eig, lstsq, solve, symeig):  # PyTorch's tensors have no ``matrix_rank``
    setattr(Tensor, _call.__name__, _call)
