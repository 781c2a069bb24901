"""The names of functions that nodes call, as they stand in printed code, and back."""

import builtins
import operator
import types
import typing
from functools import cache
from typing import Any

import rushlight
from rushlight.ours import is_our_module
from rushlight.overrides import _names

__all__ = ["OF_C", "is_of_torch", "locate", "own_name", "qualified_name", "type_name"]

#: Functions of nn.functional that PyTorch defines in C: a node keeps their operands as given.
OF_C = frozenset({
    "adaptive_avg_pool1d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "bilinear", "celu_",
    "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cosine_similarity", "elu_", "gelu", "hardshrink",
    "hardtanh_", "leaky_relu_", "linear", "logsigmoid", "one_hot", "pairwise_distance", "pdist",
    "pixel_shuffle", "pixel_unshuffle", "prelu", "relu_", "rrelu_", "scaled_dot_product_attention",
    "selu_", "softplus", "softshrink", "threshold_",
})  # fmt: skip


@cache
def _classes():
    """Classes of rushlight → the names that programs call them by."""
    found: dict = {}
    for path in ("", "nn", "optim", "distributions"):
        space = getattr(rushlight, path) if path else rushlight
        for name in getattr(space, "__all__", ()):
            value = getattr(space, name, None)
            if isinstance(value, type):
                found.setdefault(value, f"torch.{path}.{name}" if path else f"torch.{name}")
    return found


def qualified_name(function):
    """Return the name by which code calls a function: ``"torch.add"``, ``"operator.add"``."""
    name = own_name(function)
    if name is not None:
        return name
    module, name = getattr(function, "__module__", None), getattr(function, "__name__", "")
    if getattr(builtins, name, None) is function:
        return f"builtins.{name}"
    if getattr(operator, name, None) is function:
        return f"operator.{name}"
    if isinstance(function, types.MethodDescriptorType):
        return f"{function.__objclass__.__module__}.{function.__objclass__.__name__}.{name}"
    if not name or module is None:
        return type(function).__qualname__ if module is None else f"{module}.{name or 'object'}"
    name = function.__qualname__ if isinstance(function, type) else name
    return f"{module}.{name}".replace("_operator.", "operator.")


def own_name(function):
    """Return the name ``"torch.…"`` of something of rushlight's, or None."""
    name = getattr(function, "__name__", "")
    if name in OF_C and getattr(rushlight, name, None) is function:
        return f"torch.{name}"
    try:
        found = _names().get(function) or _classes().get(function)
    except TypeError:  # it has no hash
        return None
    if found is not None and not found.startswith("torch.Tensor."):
        return found
    module = getattr(function, "__module__", None) or ""
    if module.startswith("torch._ops"):  # where PyTorch's class of operators is
        return f"torch.ops{module.removeprefix('torch._ops')}.{function.__name__}"
    if module.startswith("rushlight.ops."):
        return None
    if is_our_module(module) and name and name.isidentifier():
        if getattr(rushlight, name, None) is function:
            return f"torch.{name}"
        candidate = "torch." + f"{module}.{name}".partition(".")[2]
        if locate(candidate) is function:
            return candidate
    return found if found is not None and locate(found) is function else None


def locate(name):
    """Return what a name that begins with "torch." means, or None."""
    found: Any = rushlight
    for part in name.split(".")[1:]:
        try:
            found = getattr(found, part)
        except AttributeError:
            return None
    return found


def is_of_torch(value):
    """Whether code can reach ``value`` by a name that begins with "torch."."""
    return own_name(value) is not None


def type_name(kind):
    """A type hint as text, such as ``"torch.Tensor"`` or ``"typing.List[int]"``."""
    if kind is None or kind is type(None):
        return "None"
    if isinstance(kind, str):
        return kind
    origin = typing.get_origin(kind)
    if origin is not None:
        parts = ", ".join(map(type_name, typing.get_args(kind)))
        if origin in (typing.Union, types.UnionType):
            return f"typing.Union[{parts}]"
        base = type_name(origin)
        return f"{base}[{parts}]" if parts else base
    if kind is ...:
        return "..."
    if isinstance(kind, type):
        own = own_name(kind)
        if own is not None:
            return own
        if kind.__module__ == "builtins":
            return kind.__qualname__
        return f"{kind.__module__}.{kind.__qualname__}"
    return repr(kind)
