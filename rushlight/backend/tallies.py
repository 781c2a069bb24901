"""Counts of a device's memory, with the names that PyTorch's allocator has for them."""

__all__ = ["Tallies", "counted"]

_LARGE = 1 << 20  # bytes from which PyTorch takes memory from its large pool
_HUGE, _STEP = 10 << 20, 2 << 20  # bytes from which PyTorch asks the driver for multiples of _STEP
_POOLS = "all", "large_pool", "small_pool"
_NAMES = (
    "allocated", "allocated_bytes", "requested_bytes", "segment", "reserved_bytes", "active",
    "active_bytes",
)  # fmt: skip
#: Of what rushlight has none: it never divides a buffer.
_NONE = "inactive_split", "inactive_split_bytes"


def counted(nbytes):
    """The bytes that PyTorch's allocator counts for a tensor of ``nbytes`` bytes."""
    size = -(-nbytes // 512) * 512
    if size < _HUGE:
        return size
    whole = -(-size // _STEP) * _STEP
    return whole if whole - size <= _LARGE else size


class _Tally:
    __slots__ = ("allocated", "current", "peak")

    def __init__(self):
        self.current = self.peak = self.allocated = 0

    def add(self, n):
        self.current += n
        self.allocated += n
        if self.current > self.peak:
            self.peak = self.current


class Tallies:
    """Numbers and bytes of blocks, in all and by the pool that PyTorch would take them from.

    Attributes:
        found: pool → name → its ``_Tally``.
        events: event → how often it happened.
    """

    def __init__(self):
        self.found = {pool: {name: _Tally() for name in _NAMES} for pool in _POOLS}
        self.events = dict.fromkeys(
            ("num_alloc_retries", "num_device_alloc", "num_device_free", "num_oom_rejections",
             "num_ooms", "num_sync_all_streams"), 0,
        )  # fmt: skip

    def add(self, size, **counts):
        """Add ``counts`` for a block of ``size`` bytes; negative ones take away."""
        for pool in ("all", "large_pool" if size > _LARGE else "small_pool"):
            tallies = self.found[pool]
            for name, n in counts.items():
                if n < 0:
                    tallies[name].current += n
                else:
                    tallies[name].add(n)

    def reset_peaks(self):
        """Let the peaks begin anew."""
        for tally in self._all():
            tally.peak = tally.current

    def reset_accumulated(self):
        """Let the totals begin anew."""
        for tally in self._all():
            tally.allocated = tally.current  # so that ``freed`` is 0
        self.events = dict.fromkeys(self.events, 0)

    def _all(self):
        return [tally for tallies in self.found.values() for tally in tallies.values()]

    def stats(self):
        """PyTorch's names of the counts → the counts, in the order of the names."""
        found = dict(self.events, max_split_size=-1)
        for pool, tallies in self.found.items():
            for name, t in tallies.items():
                values = t.current, t.peak, t.allocated, t.allocated - t.current
                found |= _named(f"{name}.{pool}", values)
            for name in _NONE:
                found |= _named(f"{name}.{pool}", (0,) * 4)
        for name in ("oversize_allocations", "oversize_segments"):
            found |= _named(name, (0,) * 4)
        return dict(sorted(found.items()))


def _named(name, values):
    metrics = "current", "peak", "allocated", "freed"
    return {f"{name}.{m}": v for m, v in zip(metrics, values, strict=True)}
