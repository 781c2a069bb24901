"""A loop whose condition is a tensor."""

from rushlight.tensor import Tensor

__all__ = ["while_loop"]


def while_loop(cond_fn, body_fn, carried_inputs):
    """Call a function on its own results as long as a condition holds.

    The condition is read as a value, so ``torch.compile`` runs a function with such a loop eagerly.

    Args:
        cond_fn: A function of the carried values that returns a bool, or a tensor of one element.
        body_fn: A function of the carried values that returns the next ones, as many in a tuple.
        carried_inputs: The first carried values, a tuple or list of tensors and numbers.

    Returns:
        Tuple of the carried values after the last call.

    Raises:
        RuntimeError: ``body_fn`` returns another number of values.

    >>> import rushlight as torch
    >>> torch.while_loop(lambda n, x: n < 3, lambda n, x: (n + 1, x * 2), (torch.tensor(0), 1))
    (tensor(3), 8)
    """
    carried = tuple(carried_inputs)
    while cond_fn(*carried):
        found = body_fn(*carried)
        found = (found,) if isinstance(found, Tensor) else tuple(found)
        if len(found) != len(carried):
            raise RuntimeError(
                f"while_loop: body_fn returned {len(found)} values for {len(carried)} carried ones"
            )
        carried = found
    return carried
