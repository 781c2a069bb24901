"""Calls of several modules, each with its own arguments."""

__all__ = ["parallel_apply"]


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """Call each module with its own arguments.

    Args:
        modules: The modules.
        inputs: For each the positional arguments: a tuple, or one argument.
        kwargs_tup: For each a dict of keyword arguments. Default: none.
        devices: Accepted without effect: tensors tell their devices.

    Returns:
        A list of the results.

    Raises:
        AssertionError: There are not as many arguments as modules.

    >>> import rushlight as torch
    >>> torch.nn.parallel.parallel_apply([torch.nn.ReLU()], [torch.tensor([-1.0])])
    [tensor([0.])]
    """
    kwargs_tup = kwargs_tup or ({},) * len(modules)
    if not len(modules) == len(inputs) == len(kwargs_tup):
        raise AssertionError(
            f"The number of modules {len(modules)} is not equal to the number of inputs "
            f"{len(inputs)}"
        )
    calls = zip(modules, inputs, kwargs_tup, strict=True)
    return [m(*(x if isinstance(x, (list, tuple)) else (x,)), **k) for m, x, k in calls]
