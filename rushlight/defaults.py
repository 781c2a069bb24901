"""What a process has one of: a device, a pool of threads for PyTorch's own tasks."""

from rushlight.device import CPU, require

__all__ = [
    "get_default_device", "get_num_interop_threads", "set_default_device", "set_flush_denormal",
    "set_num_interop_threads", "typename",
]  # fmt: skip

_interop_threads = 1


def get_default_device():
    """The device on which tensors are made: the CPU.

    >>> import rushlight as torch
    >>> torch.get_default_device()
    device(type='cpu')
    """
    return CPU


def set_default_device(device):
    """Have tensors be made on a device, which must be the CPU, or None for it.

    Raises:
        AssertionError, RuntimeError: another device, as where a tensor is made on it.

    >>> import rushlight as torch
    >>> torch.set_default_device("cpu")
    """
    require(device)


def get_num_interop_threads():
    """What was last set; 1 at first. Operations run one after the other."""
    return _interop_threads


def set_num_interop_threads(threads):
    """Accepted, and remembered.

    Raises:
        RuntimeError: not a positive number.
    """
    global _interop_threads
    if threads <= 0:
        raise RuntimeError(f"set_num_interop_threads expects a positive number, not {threads}")
    _interop_threads = int(threads)


def set_flush_denormal(mode):
    """False: denormal numbers are computed with, as the processor does from the start."""
    return not mode


def typename(obj, /):
    """The name of a tensor's class and element type, or of another object's class.

    >>> import rushlight as torch
    >>> torch.typename(torch.ones(1))
    'torch.FloatTensor'
    """
    from rushlight.tensor import Tensor

    if isinstance(obj, Tensor):
        return obj.type()
    cls = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(cls, "__module__", "")
    return cls.__qualname__ if module in ("", "builtins", "__builtin__") else (
        f"{module}.{cls.__qualname__}")  # fmt: skip


def _assert(condition, message):
    """``assert`` as a function, for code that is traced."""
    assert condition, message
