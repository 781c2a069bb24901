"""``torch._utils``: the helpers that programs for several processes take from it."""

import importlib
import sys
import traceback
from typing import Any

import rushlight
from rushlight.ops.shape.join import cat
from rushlight.serialization.names import rebuild_parameter as _rebuild_parameter  # noqa: F401
from rushlight.serialization.names import rebuild_tensor_v2 as _rebuild_tensor_v2  # noqa: F401

__all__: list[str] = []


def _flatten_dense_tensors(tensors):
    """Join tensors of one dtype to a single one-dim tensor.

    >>> import rushlight as torch
    >>> torch._utils._flatten_dense_tensors([torch.ones(1, 2), torch.zeros(1)])
    tensor([1., 1., 0.])
    """
    return cat([t.reshape(-1) for t in tensors])


def _unflatten_dense_tensors(flat, tensors):
    """Return the parts of ``flat``, a result of ``_flatten_dense_tensors``, as views.

    The parts have the shapes of ``tensors``.

    >>> import rushlight as torch
    >>> torch._utils._unflatten_dense_tensors(torch.arange(3), [torch.ones(1, 2), torch.zeros(1)])
    (tensor([[0, 1]]), tensor([2]))
    """
    parts, start = [], 0
    for t in tensors:
        parts.append(flat.narrow(0, start, t.numel()).view(t.shape))
        start += t.numel()
    return tuple(parts)


def _take_tensors(tensors, size_limit):
    """Yield lists of consecutive tensors of one dtype, each of at most ``size_limit`` bytes."""
    taken: dict = {}
    for t in tensors:
        held, size = taken.get(t.dtype, ([], 0))
        own = t.numel() * t.element_size()
        if held and size + own > size_limit:
            yield held
            held, size = [], 0
        taken[t.dtype] = ([*held, t], size + own)
    for held, _ in taken.values():
        yield held


def is_compiling():
    """Return ``torch.compiler.is_compiling()``."""
    return rushlight.compiler.is_compiling()


def _element_size(dtype):
    """Return the size of an element in bytes."""
    return dtype.itemsize


def _get_available_device_type():
    """Return the name of the accelerator that is there, or None."""
    return next((n for n in ("cuda", "xpu") if getattr(rushlight, n).is_available()), None)


def _get_device_module(device_type):
    """Return the module of a device type, such as ``torch.cuda``."""
    module = getattr(rushlight, device_type, None)
    if module is None:
        raise RuntimeError(f"Device '{device_type}' does not have a corresponding module")
    return module


def _get_device_index(device, optional=False, allow_cpu=False):
    """Return the number of a device; if ``optional``, 0 for a device without a number."""
    if isinstance(device, int):
        return device
    found = rushlight.device(device) if device is not None else rushlight.device("cuda")
    if found.type == "cpu" and not allow_cpu:
        raise ValueError(f"Expected a non cpu device, but got: {found}")
    if found.type == "cpu":
        return -1
    if found.index is None and not optional:
        raise ValueError(f"Expected a device with a specified index, but got: {device}")
    return found.index or 0


class ExceptionWrapper:
    """An exception of another thread or process, kept as text so that it can be sent and raised.

    Args:
        exc_info: Type, exception and traceback. Default: those of the exception being handled.
        where: Where the exception was raised, for the message.

    >>> try:
    ...     raise ValueError("wrong")
    ... except ValueError:
    ...     caught = ExceptionWrapper(where="in thread 1")
    >>> caught.exc_type, caught.exc_msg.splitlines()[-1]
    (<class 'ValueError'>, 'ValueError: wrong')
    """

    def __init__(self, exc_info=None, where="in background"):
        info = sys.exc_info() if exc_info is None else exc_info
        self.exc_type: Any = info[0]
        self.exc_msg = "".join(traceback.format_exception(*info))
        self.where = where

    def reraise(self):
        """Raise an exception of the same type, whose message holds the first one's traceback.

        Raises:
            RuntimeError: in place of a type that cannot be made of a message alone.
        """
        text = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        message = _Readable(text) if self.exc_type is KeyError else text
        if getattr(self.exc_type, "message", None):
            raise self.exc_type(message=text)
        try:
            found = self.exc_type(message)
        except Exception:
            raise RuntimeError(text) from None
        raise found


class _Readable(str):
    """A text that is its own repr, because a KeyError shows the repr of its message."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


def __getattr__(name: str) -> Any:
    if name == "_rebuild_qtensor":  # few programs need quantized tensors
        return importlib.import_module("rushlight.quantized")._rebuild_qtensor
    raise AttributeError(f"module 'rushlight._utils' has no attribute {name!r}")
