"""Counts of a device's memory, with the names that PyTorch's allocator has for them."""

import numpy as np

from rushlight import locks

__all__ = ["Tallies", "counted"]

_MOST_NOTES = 1 << 12

_LARGE = 1 << 20  # bytes from which PyTorch takes memory from its large pool
_HUGE, _STEP = 10 << 20, 2 << 20  # bytes from which PyTorch asks the driver for multiples of _STEP
#: PyTorch's names → what is counted. A block that a tensor uses is always an active one.
_NAMES = {
    "allocated": "blocks", "allocated_bytes": "bytes", "requested_bytes": "asked",
    "segment": "segments", "reserved_bytes": "reserved", "active": "blocks",
    "active_bytes": "bytes",
}  # fmt: skip
_COUNTS = "blocks", "bytes", "asked", "segments", "reserved"
#: Counts that are always 0, because rushlight never divides a buffer.
_NONE = "inactive_split", "inactive_split_bytes"


def counted(nbytes):
    """The bytes that PyTorch's allocator counts for a tensor of ``nbytes`` bytes, or of several."""
    size = -(-nbytes // 512) * 512
    whole = -(-size // _STEP) * _STEP
    return np.where((size < _HUGE) | (whole - size > _LARGE), size, whole)


class _Pool:
    """The counts of a pool: those of now, the highest ones so far, and what was given back.

    Attributes:
        blocks, bytes, asked: Blocks that tensors use, the bytes of these, and the bytes that the
            tensors need.
        segments, reserved: Blocks that came from the driver, and their bytes.
    """

    __slots__ = (*_COUNTS, *[f"{kind}_{name}" for kind in ("peak", "freed") for name in _COUNTS])

    def __init__(self):
        for name in self.__slots__:
            setattr(self, name, 0)

    def add(self, name, changes):
        """Change a count by each of ``changes``, an array, in order."""
        if changes.size:
            now, peak, freed = getattr(self, name), f"peak_{name}", f"freed_{name}"
            setattr(self, peak, max(getattr(self, peak), now + int(changes.cumsum().max())))
            setattr(self, name, now + int(changes.sum()))
            setattr(self, freed, getattr(self, freed) - int(changes[changes < 0].sum()))


class Tallies:
    """Numbers and bytes of blocks, in all and by the pool that PyTorch would take them from.

    Each result on a device is counted twice, when it is made and when it is dropped. So this only
    notes the bytes. The counts are made when somebody asks, or when there are many notes.

    Attributes:
        events: event → how often it happened.
    """

    def __init__(self):
        self._pools = {name: _Pool() for name in ("all", "large_pool", "small_pool")}
        self._notes: list[int] = []  # the bytes of blocks that were taken, or, negative, given back
        self._lock, self._is_counting = locks.new_lock(awaited=True), False
        #: Count a block for a tensor of so many bytes, more than 0.
        self.take = self._notes.append
        self.events = dict.fromkeys(
            ("num_alloc_retries", "num_device_alloc", "num_device_free", "num_oom_rejections",
             "num_ooms", "num_sync_all_streams"), 0,
        )  # fmt: skip

    def give(self, nbytes):
        """Count that the block of a ``take`` is used no more."""
        self._notes.append(-nbytes)
        if len(self._notes) > _MOST_NOTES:
            self._count_notes()

    def _count_notes(self):
        with self._lock:
            if self._is_counting:  # the garbage collector drops tensors meanwhile
                return
            self._is_counting = True
            try:
                taken = self._notes[:]  # other threads may add notes behind these meanwhile
                del self._notes[: len(taken)]
                asked = np.array(taken, np.int64)
                sign, sizes = np.sign(asked), counted(abs(asked))
                self._add(sizes, {"blocks": sign, "bytes": sign * sizes, "asked": asked})
            finally:
                self._is_counting = False

    def _add(self, sizes, changes):
        """Change the counts of all pools. ``changes``: count → its changes, for the ``sizes``."""
        is_large = sizes > _LARGE
        parts = ("all", slice(None)), ("large_pool", is_large), ("small_pool", ~is_large)
        for pool, part in parts:
            for name, by in changes.items():
                self._pools[pool].add(name, by[part])

    def reserve(self, size, n=1):
        """Count a block of ``size`` bytes that came from the driver; ``n`` = -1: it went back."""
        with self._lock:
            number = np.array([n])
            self._add(np.array([size]), {"segments": number, "reserved": number * size})

    def count(self, name, metric="current", pool="all"):
        """What PyTorch calls ``name.pool.metric``."""
        self._count_notes()
        counts, name = self._pools[pool], _NAMES[name]
        now, freed = getattr(counts, name), getattr(counts, f"freed_{name}")
        if metric == "peak":
            return getattr(counts, f"peak_{name}")
        return {"current": now, "freed": freed, "allocated": now + freed}[metric]

    def reset_peaks(self):
        """Let the peaks begin anew."""
        self._count_notes()
        for pool in self._pools.values():
            for name in _COUNTS:
                setattr(pool, f"peak_{name}", getattr(pool, name))

    def reset_accumulated(self):
        """Let the totals begin anew: what tensors use now is all that was allocated."""
        self._count_notes()
        for pool in self._pools.values():
            for name in _COUNTS:
                setattr(pool, f"freed_{name}", 0)
        self.events = dict.fromkeys(self.events, 0)

    def stats(self):
        """PyTorch's names of the counts → the counts, in the order of the names."""
        found = dict(self.events, max_split_size=-1)
        metrics = "current", "peak", "allocated", "freed"
        for pool in self._pools:
            for name in _NAMES:
                for m in metrics:
                    found[f"{name}.{pool}.{m}"] = self.count(name, m, pool)
            for name in _NONE:
                found |= {f"{name}.{pool}.{m}": 0 for m in metrics}
        for name in ("oversize_allocations", "oversize_segments"):
            found |= {f"{name}.{m}": 0 for m in metrics}
        return dict(sorted(found.items()))
