"""torch._ops: a class of operators by which libraries tell functions of functions from others."""

__all__ = ["HigherOrderOperator"]


class HigherOrderOperator:
    """In PyTorch, an operator that takes functions; rushlight has such functions, all Python's.

    >>> import rushlight as torch
    >>> isinstance(torch.vmap, HigherOrderOperator)
    False
    """
