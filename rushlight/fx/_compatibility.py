"""torch.fx._compatibility: the decorator of Tracers that libraries write for several PyTorchs."""

__all__: list[str] = []


def compatibility(is_backward_compatible):
    """Return a decorator that leaves a function as it is. PyTorch's adds to its docstring.

    >>> compatibility(is_backward_compatible=True)(abs) is abs
    True
    """
    return lambda function: function
