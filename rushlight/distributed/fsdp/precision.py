"""Parameters and inputs in another dtype, for the time of a call."""

import contextlib

from rushlight.tensor import Tensor

__all__ = ["cast", "lowered"]


def cast(value, dtype):
    """Return ``value`` with its floating-point tensors in ``dtype``, also inside of containers."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(cast(v, dtype) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(cast(v, dtype) for v in value)
    if isinstance(value, dict):
        return type(value)((k, cast(v, dtype)) for k, v in value.items())
    return value


@contextlib.contextmanager
def lowered(places, dtype):
    """A context in which the parameters at ``places``, (module, name), are cast to ``dtype``.

    The parameters get their gradients in their own dtype, through the casts.
    """
    before: list = []
    made: dict = {}
    for module, name in places:
        param = module._parameters[name]
        before.append((module, name, param))
        made.setdefault(id(param), param.to(dtype))
    try:
        for module, name, param in before:
            module._parameters[name] = made[id(param)]
        yield
    finally:
        for module, name, param in before:
            module._parameters[name] = param
