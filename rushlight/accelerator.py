"""torch.accelerator: the devices to prefer to the CPU: GPUs of NVIDIA's, Intel's or another's.

``devices.py`` has most functions. They are those of the type of the accelerator.
"""

from rushlight import device_graphs
from rushlight.device import DRIVEN, device
from rushlight.device_array import drivers
from rushlight.devices import Devices

__all__ = [
    "Graph", "current_accelerator", "current_device_idx", "current_device_index", "current_stream",
    "device_count", "device_index", "empty_cache", "empty_host_cache", "get_device_capability",
    "get_memory_info", "is_available",
    "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved",
    "memory_stats", "reset_accumulated_memory_stats", "reset_peak_memory_stats",
    "set_device_idx", "set_device_index", "set_stream", "synchronize",
]  # fmt: skip


def _kind():
    """The type of the devices to prefer; None if none gains anything over the CPU."""
    for kind in DRIVEN:
        if any(d.kind == "GPU" for d in drivers(kind)):
            return kind
    return None


class _Accelerators(Devices):
    """The functions for the devices of whatever type ``_kind`` tells."""

    def __init__(self):
        super().__init__("")

    @property
    def kind(self):
        return _kind() or "cuda"

    def place(self, device=None):
        if _kind() is None:
            raise RuntimeError("Cannot access accelerator device when none is available.")
        return super().place(device)

    def is_available(self):
        """Return whether there is a GPU that tensors can be on.

        Returns:
            A bool.

        >>> import rushlight as torch
        >>> torch.accelerator.is_available() == (torch.accelerator.device_count() > 0)
        True
        """
        return _kind() is not None

    def device_count(self):
        """Return the number of GPUs that tensors can be on.

        Returns:
            An int.

        >>> import rushlight as torch
        >>> torch.accelerator.device_count() >= 0
        True
        """
        return len(drivers(self.kind)) if _kind() else 0

    def _count(self, device, name, metric="current"):
        self.place(device)
        return super()._count(device, name, metric)

    def empty_cache(self):
        """Give memory that no tensor uses back to the system, on all devices.

        Raises:
            RuntimeError: there is no accelerator.

        >>> import rushlight as torch
        >>> if torch.accelerator.is_available():
        ...     torch.accelerator.empty_cache()
        """
        self.place()
        super().empty_cache()

    def empty_host_cache(self):
        """Do nothing: no memory of the host is kept for copies to devices.

        >>> import rushlight as torch
        >>> torch.accelerator.empty_host_cache()
        """

    def get_memory_info(self, device=None):
        """Return (bytes that are free, bytes of memory) of a device.

        Args:
            device: A number, string or ``torch.device``. Default: the current one.

        Returns:
            A pair of ints. OpenCL does not tell what other processes use.

        Raises:
            RuntimeError: there is no accelerator.

        >>> import rushlight as torch
        >>> if torch.accelerator.is_available():
        ...     free, total = torch.accelerator.get_memory_info()
        """
        return self.driver(device).memory_info()


_devices = _Accelerators()
is_available, device_count = _devices.is_available, _devices.device_count
current_device_index = current_device_idx = _devices.current_device
set_device_index = set_device_idx = _devices.set_device
device_index = _devices.device
current_stream, set_stream = _devices.current_stream, _devices.set_stream
get_memory_info = _devices.get_memory_info
synchronize, empty_cache = _devices.synchronize, _devices.empty_cache
empty_host_cache = _devices.empty_host_cache
memory_allocated, memory_reserved = _devices.memory_allocated, _devices.memory_reserved
max_memory_allocated = _devices.max_memory_allocated
max_memory_reserved = _devices.max_memory_reserved
memory_stats, reset_peak_memory_stats = _devices.memory_stats, _devices.reset_peak_memory_stats
reset_accumulated_memory_stats = _devices.reset_accumulated_memory_stats


class Graph(device_graphs.Graph):
    """Work of an accelerator that was recorded, and can be replayed on the same memory.

    As a context it captures the work that is given to the current stream, which
    must not be the default one.

    Args:
        keep_graph: Prepare the graph not at the end of the capture, but at ``instantiate()`` or at
            the first ``replay()``.
        pool: Another graph's ``pool()``: share its memory.
        capture_error_mode: ``"default"``, ``"global"``, ``"thread_local"`` or ``"relaxed"``; no
            effect, because other threads go on as ever.

    Raises:
        RuntimeError: there is no accelerator.

    >>> import rushlight as torch
    >>> if torch.accelerator.is_available():
    ...     x, g = torch.ones(2, device=torch.accelerator.current_accelerator()), None
    ...     g = torch.accelerator.Graph()
    ...     with torch.Stream(), g:
    ...         x += 1
    ...     g.replay()
    """

    _devices = _devices

    def __init__(self, keep_graph=False, *, pool=None, capture_error_mode="default"):
        _devices.place()
        super().__init__(keep_graph)
        self.graph_pool, self.capture_error_mode = pool, capture_error_mode

    def capture_begin(self):  # type: ignore[override]
        """Record the work of this thread on the current device from now on.

        Raises:
            RuntimeError: the graph was captured, or the current stream is the default one.
            AcceleratorError: another graph captures on the device.
        """
        mode = "global" if self.capture_error_mode == "default" else self.capture_error_mode
        super().capture_begin(self.graph_pool, mode)

    def __enter__(self):
        _devices.synchronize()
        _devices.empty_cache()
        self.capture_begin()

    def __exit__(self, *exc_info):
        self.capture_end()


def current_accelerator(check_available=False):
    """Return the device to prefer to the CPU.

    Args:
        check_available: Accepted without effect: a device is only returned if it is there.

    Returns:
        A ``torch.device`` without an index; None if there is none.

    >>> import rushlight as torch
    >>> device = torch.accelerator.current_accelerator() or torch.device("cpu")
    >>> torch.zeros(2, device=device).device.type == device.type
    True
    """
    kind = _kind()
    return device(kind) if kind else None


def get_device_capability(device=None):
    """Return what a device computes with.

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        A dict: ``"supported_dtypes"`` has a set of dtypes.

    Raises:
        RuntimeError: there is no accelerator.

    >>> import rushlight as torch
    >>> if torch.accelerator.is_available():
    ...     assert torch.float32 in torch.accelerator.get_device_capability()["supported_dtypes"]
    """
    from rushlight.dtype import DTYPES

    driver = _devices.driver(device)
    without = {"float64", "complex128"} if not driver.doubles else set()
    found = {d for d in DTYPES if d.name not in without and not d.is_complex}
    return {"supported_dtypes": found}
