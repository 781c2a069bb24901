"""PyTorch's deprecated order of arguments: each number stands before the tensor that it scales."""

import inspect
import warnings
from numbers import Number

from rushlight.ops.core.argument_kinds import fits
from rushlight.tensor import Tensor

__all__ = ["affine_order", "scaled_order", "takes_older_order"]


def takes_older_order(call):
    """Give ``call`` the signature that ``help`` should show, without ``*older``."""
    signature = inspect.signature(call)
    kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_POSITIONAL]
    call.__signature__ = signature.replace(parameters=kept)
    return call


def _say(name, form):
    warnings.warn(
        f"This overload of {name} is deprecated: {form}; give the numbers by their names",
        stacklevel=4,
    )


def _count(name, args, most):
    if len(args) > most:
        raise TypeError(f"{name}() takes at most {most} positional arguments but {len(args)} given")


def scaled_order(name, number, *args):
    """Arguments after ``input`` in today's order: (value, a, b) becomes (a, b, value).

    If the number is ``alpha``, the tensor may be a number, too.
    """
    most = 3 if number == "value" else 2
    _count(name, args, most)
    scale, *tensors = args
    if not fits("Number", scale):
        raise TypeError(f"{name}(): argument '{number}' must be Number, not {type(scale).__name__}")
    for x in tensors:
        if not isinstance(x, Tensor) and not (number == "alpha" and fits("Number", x)):
            raise TypeError(f"{name}(): argument 'other' must be Tensor, not {type(x).__name__}")
    _say(name, f"{name}({number}, ...)")
    return *tensors, scale


def affine_order(name, *args):
    """Arguments in today's order: (input, a, b, beta, alpha).

    ``args`` are (beta, input, alpha, a, b) or (input, beta, alpha, a, b). ``alpha`` may be missing.
    """
    _count(name, args, 5)
    first, second, *between, a, b = args
    beta, input = (second, first) if isinstance(first, Tensor) else (first, second)
    alpha = between[0] if between else 1
    for argument, x in (("beta", beta), ("alpha", alpha)):
        if not isinstance(x, Number):
            kind = type(x).__name__
            raise TypeError(f"{name}(): argument '{argument}' must be Number, not {kind}")
    _say(name, f"{name}(beta, input, alpha, ...)")
    return input, a, b, beta, alpha
