"""What two runs are compared by: values as plain data, and what shares memory with what."""

import re
import types

import numpy as np

import rushlight as torch

__all__ = ["links", "same", "seen", "tensors_in"]


def seen(value, depth=0):
    """``value`` as plain data."""
    if isinstance(value, torch.Tensor):
        return _tensor(value, depth)
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), seen(value.tolist(), depth + 1))
    if isinstance(value, str):
        return (type(value).__name__, re.sub(r"0x[0-9a-f]+", "0x", value))  # without addresses
    if isinstance(value, (bool, int, float, bytes, complex, np.generic, types.NoneType)):
        return (type(value).__name__, value)
    if depth > 6:
        return "deep"
    if isinstance(value, dict):
        return (type(value).__name__, [(seen(k), seen(v, depth + 1)) for k, v in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [seen(v, depth + 1) for v in value])
    if isinstance(value, types.FunctionType):
        return ("function", value.__name__)
    own = getattr(value, "__dict__", None)
    return (type(value).__name__, seen(dict(own), depth + 1) if type(own) is dict else None)


def _tensor(value, depth):
    try:
        data = value.detach().to(torch.float64) if value.dtype is torch.bfloat16 else value.detach()
        elements = data.numpy().tolist()
    except RuntimeError:  # it has none: it was left over from the recording
        elements = "abstract"
    known = (
        type(value).__name__,
        str(value.dtype),
        value.requires_grad,
        value.is_leaf,
        value.is_inference(),
    )
    grad = value.grad if value.is_leaf and depth < 6 else None
    return (*known, elements, seen(grad, depth + 1))


def tensors_in(value):
    """The tensors in what a function returned."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_in(v)]
    return []


def links(results, others):
    """Which results are which other tensors, or share memory with them."""
    pairs = [(a, b) for i, a in enumerate(results) for b in [*results[:i], *others]]
    return ["is" if a is b else _share_memory(a, b) for a, b in pairs]


def _share_memory(a, b):
    try:
        a, b = (
            t.detach().view(torch.int16) if t.dtype is torch.bfloat16 else t.detach()
            for t in (a, b)
        )
        return bool(np.shares_memory(a.numpy(), b.numpy()))
    except RuntimeError:
        return "abstract"


def same(a, b):
    """Whether two runs saw the same, numbers up to rounding."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a == b or (a != a and b != b) or abs(a - b) <= 1e-5 * max(abs(a), abs(b), 1.0)
    return bool(a == b)
