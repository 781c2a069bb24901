"""torch.cuda: NVIDIA's GPUs, for which only the driver is needed. Most functions: ``devices.py``.

Random numbers for tensors on a GPU are those of PyTorch's CUDA generator (``draw/philox.py``).
"""

from typing import Any

from rushlight.devices import Devices
from rushlight.errors import OutOfMemoryError
from rushlight.ops.create.legacy import CUDA_TYPES
from rushlight.typed_storage import CUDA_STORAGES

_devices = Devices("cuda")
_functions = _devices.functions()
globals().update(_functions)
CUDAGraph = _devices.Graph
reset_max_memory_allocated = _devices.reset_peak_memory_stats
__all__ = [
    "CUDAGraph", "OutOfMemoryError", "can_device_access_peer", "get_arch_list",
    "get_device_capability", "ipc_collect", "list_gpu_processes", "mem_get_info",
    "get_gencode_flags", "get_sync_debug_mode", "is_tf32_supported", "set_sync_debug_mode",
    "reset_max_memory_allocated", "utilization", *_functions,
]  # fmt: skip


def mem_get_info(device=None):
    """Return (bytes that are free, bytes of memory) of a device, as its driver tells.

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        A pair of ints.

    Raises:
        AssertionError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     free, total = torch.cuda.mem_get_info()
    """
    return _devices.driver(device).memory_info()


def get_device_capability(device=None):
    """Return the compute capability of a device, such as (9, 0).

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        A pair of ints.

    Raises:
        AssertionError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     assert torch.cuda.get_device_capability() >= (5, 0)
    """
    return _devices.driver(device).capability


def get_arch_list():
    """Return the architectures that kernels are compiled for: those of the devices.

    Returns:
        A list of strings, such as ``"sm_90"``.

    >>> import rushlight as torch
    >>> len(torch.cuda.get_arch_list()) <= torch.cuda.device_count()
    True
    """
    found = [_devices.driver(i).architecture for i in range(_devices.device_count())]
    return sorted(set(found))


def can_device_access_peer(device, peer_device):
    """Return whether copies from one device to another one take the direct way.

    Args:
        device, peer_device: Two devices.

    Returns:
        A bool; False for a device and itself.

    Raises:
        AssertionError: there is no device, or none with this number.

    >>> import rushlight as torch
    >>> if torch.cuda.device_count() > 1:
    ...     direct = torch.cuda.can_device_access_peer(0, 1)
    """
    count, numbers = _devices.device_count(), []
    for name, d in (("device", device), ("peer device", peer_device)):
        numbers.append(d if isinstance(d, int) else _devices.place(d).index)
        if count and not 0 <= numbers[-1] < count:
            raise AssertionError(f"Invalid {name} id")
    here, there = map(_devices.driver, numbers)
    return here is not there and here.reaches(there)


def utilization(device=None):
    """Return the percentage of the last sample period in which kernels ran on a device.

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        An int.

    Raises:
        ModuleNotFoundError: the package ``nvidia-ml-py`` is not installed.

    >>> import rushlight as torch
    >>> callable(torch.cuda.utilization)
    True
    """
    try:
        import pynvml  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "nvidia-ml-py does not seem to be installed or it can't be imported."
        ) from None
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(_devices.driver(device).number)
    return pynvml.nvmlDeviceGetUtilizationRates(handle).gpu


def list_gpu_processes(device=None):
    """Return a text with the processes that use a device, and their memory.

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        A str. Without the package ``nvidia-ml-py`` it says so.

    >>> import rushlight as torch
    >>> isinstance(torch.cuda.list_gpu_processes(), str)
    True
    """
    try:
        import pynvml
    except ModuleNotFoundError:
        return "pynvml module not found, please install nvidia-ml-py"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_DriverNotLoaded:
        return "cuda driver can't be loaded, is cuda enabled?"
    number = _devices.driver(device).number
    handle = pynvml.nvmlDeviceGetHandleByIndex(number)
    found = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    lines = [
        f"process {p.pid:>10d} uses {p.usedGpuMemory / (1024 * 1024):>12.3f} MB GPU memory"
        for p in found
    ]
    return "\n".join([f"GPU:{number}", *(lines or ["no processes are running"])])


has_half, has_magma = True, False
_sync_debug_mode = 0


def get_sync_debug_mode():
    """Return what ``set_sync_debug_mode`` was given last: 0, 1 or 2.

    Returns:
        An int.

    >>> import rushlight as torch
    >>> torch.cuda.get_sync_debug_mode()
    0
    """
    return _sync_debug_mode


def set_sync_debug_mode(debug_mode):
    """Remember the mode, which has no effect: no call that waits for a device is told.

    Args:
        debug_mode: ``"default"``, ``"warn"`` or ``"error"``, or 0, 1 or 2.

    Raises:
        RuntimeError: The name is unknown.

    >>> import rushlight as torch
    >>> torch.cuda.set_sync_debug_mode("default")
    """
    global _sync_debug_mode
    names = {"default": 0, "warn": 1, "error": 2}
    if isinstance(debug_mode, str):
        if debug_mode not in names:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`"
            )
        debug_mode = names[debug_mode]
    _sync_debug_mode = int(debug_mode)


def get_gencode_flags():
    """Return the options with which PyTorch's own kernels were compiled: there are none.

    Returns:
        An empty string.

    >>> import rushlight as torch
    >>> torch.cuda.get_gencode_flags()
    ''
    """
    return ""


def is_tf32_supported():
    """Return whether the current device computes TF32: from compute capability 8.0 on.

    Returns:
        A bool; False without a device.

    >>> import rushlight as torch
    >>> torch.cuda.is_available() or not torch.cuda.is_tf32_supported()
    True
    """
    return bool(_devices.device_count()) and get_device_capability() >= (8, 0)


def ipc_collect():
    """Do nothing: processes share no memory of devices.

    >>> import rushlight as torch
    >>> torch.cuda.ipc_collect()
    """


def __getattr__(name) -> Any:
    if name == "default_generators":
        return _devices.default_generators
    if name == "_initialized":  # a variable, which libraries read
        return _devices.is_initialized()
    if name in CUDA_TYPES:
        return CUDA_TYPES[name]
    if name in CUDA_STORAGES:
        return CUDA_STORAGES[name]
    if name == "profiler":
        from rushlight import cuda_profiler

        return cuda_profiler
    if name != "amp":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rushlight.amp import cuda

    return cuda
