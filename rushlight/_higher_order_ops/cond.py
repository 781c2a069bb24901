"""A choice between two functions by a tensor."""

from rushlight.symbolic import SymBool
from rushlight.tensor import Tensor
from rushlight.utils import _pytree as pytree

__all__ = ["cond"]


def cond(pred, true_fn, false_fn, operands=()):
    """Call one of two functions, as a condition says.

    Only the chosen function runs. The condition is read as a value, so ``torch.compile`` runs a
    function with such a choice eagerly.

    Args:
        pred: A bool, a number, or a tensor of one element.
        true_fn: The function for a true condition; it takes the operands.
        false_fn: The function for a false condition; it takes the operands.
        operands: Tuple or list of tensors, or of dicts, lists and tuples of tensors. Default: ().

    Returns:
        What the function returned.

    Raises:
        RuntimeError: ``pred`` is a tensor of several elements or of another type, a function is
            not callable, or an operand is no tensor.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, -3.0])
    >>> torch.cond(x.sum() > 0, lambda x: x, lambda x: -x, (x,))
    tensor([-1.,  3.])
    """
    if not isinstance(pred, (bool, int, float)):
        _check(pred, true_fn, false_fn, operands)
    return true_fn(*operands) if pred else false_fn(*operands)


def _check(pred, true_fn, false_fn, operands):
    if not isinstance(pred, (Tensor, SymBool)):
        raise RuntimeError(f"cond: Expected pred to be bool or tensor, but got {pred}.")
    if isinstance(pred, Tensor) and pred.numel() != 1:
        raise RuntimeError(
            f"cond: Expected pred to be bool or single-element tensor, but got the shape "
            f"{list(pred.shape)}"
        )
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("cond: Expect both branches to be callable.")
    if not isinstance(operands, (tuple, list)) or pytree.tree_any(
        lambda leaf: not isinstance(leaf, Tensor), operands
    ):
        raise RuntimeError(
            "cond: Expect operands to be a tuple of possibly nested dict/list/tuple that only "
            f"consists of tensor leaves, but got {operands}"
        )
