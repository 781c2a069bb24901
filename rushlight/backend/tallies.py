"""Counts of a device's memory, with the names that PyTorch's allocator has for them."""

__all__ = ["Tallies", "counted"]

_LARGE = 1 << 20  # bytes from which PyTorch takes memory from its large pool
_HUGE, _STEP = 10 << 20, 2 << 20  # bytes from which PyTorch asks the driver for multiples of _STEP
#: PyTorch's names → what is counted. A block that a tensor uses is always an active one.
_NAMES = {
    "allocated": "blocks", "allocated_bytes": "bytes", "requested_bytes": "asked",
    "segment": "segments", "reserved_bytes": "reserved", "active": "blocks",
    "active_bytes": "bytes",
}  # fmt: skip
_COUNTS = "blocks", "bytes", "asked", "segments", "reserved"
#: Of what rushlight has none: it never divides a buffer.
_NONE = "inactive_split", "inactive_split_bytes"


def counted(nbytes):
    """The bytes that PyTorch's allocator counts for a tensor of ``nbytes`` bytes."""
    size = -(-nbytes // 512) * 512
    if size < _HUGE:
        return size
    whole = -(-size // _STEP) * _STEP
    return whole if whole - size <= _LARGE else size


class _Pool:
    """The counts of a pool: those of now, the highest ones so far, and what was given back.

    Each result on a device is counted twice, when it is made and when it is dropped. So a count
    that rises changes one number only: its peak is noted when it falls, and when somebody asks.

    Attributes:
        blocks, bytes, asked: Blocks that tensors use, the bytes of these, and the bytes that the
            tensors need.
        segments, reserved: Blocks that came from the driver, and their bytes.
    """

    __slots__ = (*_COUNTS, *[f"{kind}_{name}" for kind in ("peak", "freed") for name in _COUNTS])
    blocks: int
    bytes: int
    asked: int
    segments: int
    reserved: int
    peak_blocks: int
    peak_bytes: int
    peak_asked: int
    freed_blocks: int
    freed_bytes: int
    freed_asked: int
    freed_segments: int
    freed_reserved: int

    def __init__(self):
        for name in self.__slots__:
            setattr(self, name, 0)

    def note_peaks(self):
        """Note the counts that are higher than ever."""
        for name in _COUNTS:
            peak = f"peak_{name}"
            setattr(self, peak, max(getattr(self, peak), getattr(self, name)))


class Tallies:
    """Numbers and bytes of blocks, in all and by the pool that PyTorch would take them from.

    Attributes:
        events: event → how often it happened.
    """

    def __init__(self):
        self._pools = {name: _Pool() for name in ("all", "large_pool", "small_pool")}
        both = self._pools["all"]
        self._counting = (both, self._pools["small_pool"]), (both, self._pools["large_pool"])
        self.events = dict.fromkeys(
            ("num_alloc_retries", "num_device_alloc", "num_device_free", "num_oom_rejections",
             "num_ooms", "num_sync_all_streams"), 0,
        )  # fmt: skip

    def take(self, size, nbytes):
        """Count a block for a tensor of ``nbytes`` bytes, ``size`` of them by ``counted``."""
        for pool in self._counting[size > _LARGE]:
            pool.blocks += 1
            pool.bytes += size
            pool.asked += nbytes

    def give(self, size, nbytes):
        """Count that the block of a ``take`` is used no more."""
        for pool in self._counting[size > _LARGE]:
            if (
                pool.bytes > pool.peak_bytes
                or pool.asked > pool.peak_asked
                or pool.blocks > pool.peak_blocks
            ):
                pool.note_peaks()
            pool.blocks -= 1
            pool.bytes -= size
            pool.asked -= nbytes
            pool.freed_blocks += 1
            pool.freed_bytes += size
            pool.freed_asked += nbytes

    def reserve(self, size, n=1):
        """Count ``n`` blocks of ``size`` bytes that came from the driver; -1 that one went back."""
        for pool in self._counting[size > _LARGE]:
            pool.note_peaks()
            pool.segments += n
            pool.reserved += n * size
            if n < 0:
                pool.freed_segments -= n
                pool.freed_reserved -= n * size

    def count(self, name, metric="current", pool="all"):
        """What PyTorch calls ``name.pool.metric``."""
        counts, name = self._pools[pool], _NAMES[name]
        counts.note_peaks()
        now, freed = getattr(counts, name), getattr(counts, f"freed_{name}")
        if metric == "peak":
            return getattr(counts, f"peak_{name}")
        return {"current": now, "freed": freed, "allocated": now + freed}[metric]

    def reset_peaks(self):
        """Let the peaks begin anew."""
        for pool in self._pools.values():
            for name in _COUNTS:
                setattr(pool, f"peak_{name}", getattr(pool, name))

    def reset_accumulated(self):
        """Let the totals begin anew: what tensors use now is all that was allocated."""
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
