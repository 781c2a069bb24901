"""What a process has one of: a device, a pool of threads for PyTorch's own tasks."""

from rushlight.autograd.mode import refuse_in_trace
from rushlight.backend.native import llvm_works
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


def set_flush_denormal(mode, /):
    """Have the processor take numbers too small for full precision for zeros, or compute with them.

    Many processors compute with such numbers slowly. The mode is the calling thread's; compiled
    programs follow on all their threads, the BLAS library only on this one.

    Returns:
        Whether it could be set: on x86-64 and aarch64, where llvmlite is installed.

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
