"""The functions for the memory of devices of one type, with PyTorch's counts."""

from typing import Any

from rushlight.device_array import drivers

__all__ = ["MemoryFunctions"]


class MemoryFunctions:
    """See ``devices.Devices``, whose base it is."""

    kind: Any
    driver: Any
    place: Any
    is_available: Any

    def _count(self, device, name, metric="current"):
        """A count of a device's memory; 0 if there is no device."""
        if not self.is_available():
            return 0
        return self.driver(device).tallies.count(name, metric)

    def memory_allocated(self, device=None):
        """Return the bytes of a device's memory that tensors use; 0 without a device.

        Returns:
            An int. Each tensor counts in steps of 512 bytes, as in PyTorch.

        >>> import rushlight as torch
        >>> torch.cuda.memory_allocated() >= 0
        True
        """
        return self._count(device, "allocated_bytes")

    def memory_reserved(self, device=None):
        """Return the bytes that tensors use or that are kept for new ones; 0 without a device.

        Returns:
            An int.

        >>> import rushlight as torch
        >>> torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()
        True
        """
        return self._count(device, "reserved_bytes")

    def max_memory_allocated(self, device=None):
        """Return the most bytes that tensors used at one time; 0 without a device.

        Returns:
            An int.

        >>> import rushlight as torch
        >>> torch.cuda.max_memory_allocated() >= torch.cuda.memory_allocated()
        True
        """
        return self._count(device, "allocated_bytes", "peak")

    def max_memory_reserved(self, device=None):
        """Return the most bytes that were in use or kept at one time; 0 without a device.

        Returns:
            An int.

        >>> import rushlight as torch
        >>> torch.cuda.max_memory_reserved() >= torch.cuda.memory_reserved()
        True
        """
        return self._count(device, "reserved_bytes", "peak")

    def reset_peak_memory_stats(self, device=None):
        """Let ``max_memory_allocated`` and ``max_memory_reserved`` begin anew.

        >>> import rushlight as torch
        >>> torch.cuda.reset_peak_memory_stats()
        """
        if self.is_available():
            self.driver(device).tallies.reset_peaks()

    def reset_accumulated_memory_stats(self, device=None):
        """Let the totals in ``memory_stats`` begin anew: ``"allocated"`` and ``"freed"``.

        >>> import rushlight as torch
        >>> torch.cuda.reset_accumulated_memory_stats()
        """
        if self.is_available():
            self.driver(device).tallies.reset_accumulated()

    def memory_stats(self, device=None):
        """Return a dict of a device's memory; it is empty without a device.

        Returns:
            A dict with PyTorch's names, such as ``"allocated_bytes.all.peak"``. No buffer is
            divided, so the counts of divided ones are 0.

        >>> import rushlight as torch
        >>> torch.cuda.memory_stats().get("allocated_bytes.all.current", 0) >= 0
        True
        """
        return self.driver(device).tallies.stats() if self.is_available() else {}

    def memory_snapshot(self, mempool_id=None, include_traces=True):
        """Return a list of all memory of all devices, each with the block of a tensor in it.

        Args:
            mempool_id, include_traces: Accepted without effect.

        Returns:
            A list of dicts: ``"device"``, ``"address"``, ``"total_size"``, ``"allocated_size"``,
            ``"segment_type"``, ``"blocks"`` and PyTorch's other names.

        >>> import rushlight as torch
        >>> sum(s["total_size"] for s in torch.cuda.memory_snapshot()) >= 0
        True
        """
        found = []
        for number, d in enumerate(drivers(self.kind)):
            for address, size, used, pool in d.segments():
                size_in_use = size if used else 0
                block = {
                    "address": address, "size": size, "requested_size": size,
                    "state": "active_allocated" if used else "inactive", "frames": [],
                }  # fmt: skip
                found.append({
                    "device": number, "address": address, "total_size": size,
                    "allocated_size": size_in_use, "active_size": size_in_use,
                    "requested_size": size_in_use, "stream": 0, "is_expandable": False,
                    "segment_type": "large" if size > 1 << 20 else "small",
                    "segment_pool_id": (0, id(pool)) if pool.graphs else (0, 0),
                    "frames": [], "blocks": [block],
                })  # fmt: skip
        return sorted(found, key=lambda segment: segment["address"])

    def set_per_process_memory_fraction(self, fraction, device=None):
        """Limit the memory of a device that this process may use.

        Args:
            fraction: A float from 0 to 1: the share of the device's memory.

        Raises:
            TypeError, ValueError: ``fraction`` is no such float.
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     torch.cuda.set_per_process_memory_fraction(1.0)
        """
        driver = self.driver(device)
        if not isinstance(fraction, float):
            raise TypeError("Invalid type for fraction argument, must be `float`")
        if not 0 <= fraction <= 1:
            raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
        driver.fraction = fraction

    def get_per_process_memory_fraction(self, device=None):
        """Return the share of a device's memory that this process may use.

        Returns:
            A float from 0 to 1.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     assert 0 <= torch.cuda.get_per_process_memory_fraction() <= 1
        """
        return self.driver(device).fraction

    def memory_summary(self, device=None, abbreviated=False):
        """Return a text about a device's memory.

        Args:
            abbreviated: Accepted without effect.

        Returns:
            A str.

        >>> import rushlight as torch
        >>> print(torch.cuda.memory_summary())  # doctest: +SKIP
        cuda:0  NVIDIA H100
        allocated_bytes.all.current        1,024
        """
        lines = [f"{k:30}{v:>20,}" for k, v in self.memory_stats(device).items()]
        name = self.place(device) if self.is_available() else f"no {self.kind} device"
        return "\n".join([str(name), *lines])

    def empty_cache(self):
        """Give memory that no tensor uses back to the system, on all devices.

        >>> import rushlight as torch
        >>> torch.cuda.empty_cache()
        """
        for d in drivers(self.kind):
            d.empty_cache()
