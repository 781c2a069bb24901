"""``skip_init``: modules whose parameters are not initialized."""

import inspect

from rushlight.nn.modules.call import Call
from rushlight.random import fork_rng

__all__ = ["skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """Make ``module_cls(*args, **kwargs)`` without initializing its parameters.

    The random number generator keeps its state.

    Args:
        module_cls: The class of the module, whose constructor takes ``device``.
        *args, **kwargs: The arguments of the constructor.

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
        raise RuntimeError(
            f"skip_init: {module_cls.__name__} must take a device argument to skip initialization"
        )
    module = module_cls.__new__(module_cls)
    module.__dict__["reset_parameters"] = lambda: None  # hides the class's method
    with fork_rng():  # the constructor may draw random numbers outside reset_parameters
        module.__init__(*args, **kwargs)
    del module.__dict__["reset_parameters"]
    return module
