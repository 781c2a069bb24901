"""Settings of the whole process: default device, interop threads, denormals; and ``typename``."""

from types import ModuleType

from rushlight import accelerator, late, notices, remote
from rushlight.autograd.mode import refuse_in_trace
from rushlight.backend.native import llvm_works
from rushlight.device import CPU
from rushlight.device import device as device_type
from rushlight.ops.core.handlers import hand_over, overrides
from rushlight.tensor import Tensor

__all__ = [
    "get_default_device", "get_device_module", "get_num_interop_threads",
    "is_warn_always_enabled", "set_default_device", "set_flush_denormal",
    "set_num_interop_threads", "set_warn_always", "typename",
]  # fmt: skip

_interop_threads = 1


def get_default_device():
    """Return the device on which tensors are made.

    Returns:
        The ``torch.device`` of the innermost ``with torch.device(...)``, else the one that
        ``set_default_device`` was given last in this thread. At first: the CPU.

    >>> import rushlight as torch
    >>> torch.get_default_device()
    device(type='cpu')
    """
    return remote.default_device()


def get_device_module(device=None):
    """Return the module of a type of devices.

    Args:
        device: A ``torch.device`` or its name. Default: the accelerator, or the CPU if there is
            none.

    Returns:
        The module, such as ``torch.cpu`` or ``torch.cuda``.

    Raises:
        RuntimeError: ``device`` names no device, or one whose type has no module.

    >>> import rushlight as torch
    >>> torch.get_device_module("cpu").is_available()
    True
    """
    if device is None:
        found = accelerator.current_accelerator(check_available=True) or CPU
    elif isinstance(device, str | device_type):
        found = device_type(device)
    else:
        raise RuntimeError(f"Invalid value of device '{device}', expect torch.device, str, or None")
    # rushlight.meta is a module of rushlight's own.
    module = None if found.type == "meta" else getattr(late.framework, found.type, None)
    if not isinstance(module, ModuleType):
        raise RuntimeError(f"Device '{found.type}' does not have a corresponding module registered")
    return module


def set_default_device(device):
    """Set the device on which tensors are made.

    Args:
        device: The CPU or the device ``meta``; None means the CPU.

    Raises:
        AssertionError, RuntimeError: The device is another one. The error is that of making a
            tensor on it.

    >>> import rushlight as torch
    >>> torch.set_default_device("cpu")
    """
    remote.set_default_device(device)


def get_num_interop_threads():
    """Return the number that ``set_num_interop_threads`` was given last.

    Returns:
        An int, 1 at first. It has no effect.

    >>> import rushlight as torch
    >>> torch.get_num_interop_threads()
    1
    """
    return _interop_threads


def set_num_interop_threads(threads):
    """Store a number of threads without effect: operations run one after the other.

    Args:
        threads: A positive int.

    Raises:
        RuntimeError: ``threads`` is not positive.

    >>> import rushlight as torch
    >>> torch.set_num_interop_threads(1)
    """
    global _interop_threads
    if threads <= 0:
        raise RuntimeError(f"set_num_interop_threads expects a positive number, not {threads}")
    _interop_threads = int(threads)


def set_flush_denormal(mode, /):
    """Let the processor treat denormal numbers as zeros, or compute with them.

    Args:
        mode: True for zeros, False for exact numbers.

    Returns:
        True if the mode was set. That needs an x86-64 or aarch64 processor and llvmlite.

    Raises:
        RuntimeError: ``mode`` is not a bool.

    >>> import rushlight as torch
    >>> torch.set_flush_denormal(True)
    True
    >>> torch.tensor([1e-323], dtype=torch.float64)
    tensor([0.], dtype=torch.float64)
    >>> torch.set_flush_denormal(False)
    True
    >>> torch.tensor([1e-323], dtype=torch.float64)
    tensor([9.8813e-324], dtype=torch.float64)
    """
    if not isinstance(mode, bool):
        raise RuntimeError(f"set_flush_denormal expects a bool, but got {type(mode).__name__}")
    refuse_in_trace("how the processor computes can only be set outside")
    if not llvm_works():
        return False
    from rushlight.compiler.run import denormals

    return denormals.flush(mode)


def set_warn_always(b, /):
    """Set whether warnings that a process shows once are shown every time.

    These are the warnings of layouts that may still change (nested and compressed sparse tensors),
    of ``float(x)`` where ``x`` requires a gradient, and of legacy storages and types. Python's
    ``warnings`` module decides how often other warnings are shown.

    Args:
        b: A bool.

    Raises:
        RuntimeError: ``b`` is not a bool.

    >>> import rushlight as torch
    >>> torch.set_warn_always(False)
    """
    if not isinstance(b, bool):
        raise RuntimeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    notices.set_always(b)


def is_warn_always_enabled():
    """Return what ``set_warn_always`` stored last.

    Returns:
        A bool, False at first.

    >>> import rushlight as torch
    >>> torch.is_warn_always_enabled()
    False
    """
    return notices.always


def typename(obj, /):
    """Return the name of the type of an object.

    Args:
        obj: A tensor, or any other object.

    Returns:
        For a tensor the string of ``tensor.type()``; else the name of the class, with its module.

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
    if type(condition) is not Tensor and overrides(type(condition)):
        return hand_over(_assert, [type(condition)], (condition, message), {})
    assert condition, message
    return None
