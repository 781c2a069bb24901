"""``skip_init``: modules whose parameters are not initialized."""

import inspect

from rushlight.nn.modules.call import Call

__all__ = ["skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """Make ``module_cls(*args, **kwargs)`` without initializing its parameters.

    The random number generator keeps its state.

    Args:
        module_cls: The class of the module, whose constructor takes ``device``.
        *args, **kwargs: The arguments of the constructor. With ``device``, the parameters are made
            on that device.

    Returns:
        Module whose parameters have arbitrary values.

    Raises:
        RuntimeError: ``module_cls`` is not a Module class, or takes no ``device``.

    >>> import rushlight as torch
    >>> torch.nn.utils.skip_init(torch.nn.Linear, 5, 1).weight.shape
    torch.Size([1, 5])
    """
    if not issubclass(module_cls, Call):
        raise RuntimeError(f"skip_init: expected a Module class, got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, **kwargs, device="meta").to_empty(device=device)
