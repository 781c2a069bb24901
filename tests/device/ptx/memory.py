"""Memory whose accesses are checked: bounds, alignment, and races between threads."""

import numpy as np

__all__ = ["Accesses", "Arena", "Fault"]


class Fault(Exception):
    """An access that a GPU would refuse, or whose result would depend on the threads' order."""


class Arena:
    """A device's memory: one array of bytes, with a gap after each allocation.

    Args:
        size: Bytes of the memory.
    """

    #: The address of the first byte: no address of the host, so that none is taken for the other.
    BASE = 0x7F00_0000_0000
    _GAP = 256

    def __init__(self, size):
        self.bytes = np.zeros(size, np.uint8)
        self.spans: dict = {}  # first byte → end of each allocation
        self._sorted = None
        self.races = Accesses(size)

    @property
    def used(self):
        return sum([end - start for start, end in self.spans.items()])

    def allocate(self, size):
        """The address of ``size`` bytes, in the first gap that holds them; None if none does."""
        start = self._GAP
        for first, end in sorted(self.spans.items()):
            if start + size + self._GAP <= first:
                break
            start = -(-end // self._GAP) * self._GAP + self._GAP
        if start + size > self.bytes.size:
            return None
        self.spans[start], self._sorted = start + size, None
        return self.BASE + start

    def free(self, address):
        del self.spans[address - self.BASE]
        self._sorted = None

    def check(self, at, size):
        """Raise Fault unless all accesses of ``size`` bytes at ``at`` lie in allocations."""
        if self._sorted is None:
            starts = np.array(sorted(self.spans), np.int64)
            self._sorted = starts, np.array([self.spans[int(s)] for s in starts], np.int64)
        starts, ends = self._sorted
        k = np.searchsorted(starts, at, "right") - 1
        good = (k >= 0) & (at + size <= ends[np.maximum(k, 0)]) if starts.size else at < 0
        if not good.all():
            bad = int(at[~good][0])
            raise Fault(f"{(~good).sum()} accesses out of bounds, the first at byte {bad}")

    def view(self, address, size):
        """The bytes of a copy's part, which must lie in one allocation."""
        start = address - self.BASE
        self.check(np.array([start]), size)
        return self.bytes[start : start + size]


_NONE, _BLOCKS = -1, -2  # in place of a reader: nobody, threads of several blocks


class Accesses:
    """Which thread wrote and read each byte last, and when: in which epoch.

    An epoch is the time between two barriers of a block. Two threads race where both access a byte,
    one of them writes, and no barrier of theirs lies between: they are of the same epoch, or of
    different blocks. Epochs of later launches are larger, so nothing is ever cleared. A reader below
    ``_BLOCKS`` stands for several threads of the block ``_BLOCKS - 1 - reader``.

    Args:
        size: Bytes of the memory.
    """

    def __init__(self, size):
        self.writer, self.reader = np.full(size, _NONE, np.int32), np.full(size, _NONE, np.int32)
        self.written, self.seen = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._whole = np.zeros(0, np.int64)

    def read(self, at, size, threads, blocks, epochs, first):
        """Note reads by ``threads``, of ``blocks``, in ``epochs``; the launch began at ``first``."""
        for k in range(size):
            p = at + k
            writer, old, seen = self.writer[p], self.reader[p], self.seen[p]
            self._compare(writer, self.written[p], threads, blocks, epochs, first)
            own = self._block(old) == blocks
            fresh = (seen < first) | (old == _NONE) | (old == threads) | (own & (seen < epochs))
            many = np.where(own, _BLOCKS - 1 - blocks, _BLOCKS)
            self._note(p, np.where(fresh, threads, many), blocks)
            self.seen[p] = epochs

    def _note(self, p, new, blocks):
        """Set readers, of which several may be of one byte."""
        self.reader[p] = new
        other = self.reader[p]
        twice = other != new
        if twice.any():
            p, blocks, other = p[twice], blocks[twice], other[twice]
            self.reader[p] = _BLOCKS - 1 - blocks
            self.reader[p[self._block(other) != blocks]] = _BLOCKS
            self.reader[p[self._block(self.reader[p]) != blocks]] = _BLOCKS

    def write(self, at, size, threads, blocks, epochs, first):
        """Note writes; see ``read``."""
        for k in range(size):
            p = at + k
            self._compare(self.writer[p], self.written[p], threads, blocks, epochs, first)
            self._compare(self.reader[p], self.seen[p], threads, blocks, epochs, first)
            self.writer[p], self.written[p] = threads, epochs
            if (self.writer[p] != threads).any():
                raise Fault("threads write to one place at once")

    def start(self, blocks):
        """Begin a launch, whose threads are of ``blocks``."""
        self._whole = blocks

    def _block(self, thread):
        """The block of each thread, or of threads that share one; -1 where they do not."""
        one = self._whole[np.clip(thread, 0, self._whole.size - 1)]
        return np.where(thread >= 0, one, np.where(thread < _BLOCKS, _BLOCKS - 1 - thread, -1))

    def _compare(self, other, when, threads, blocks, epochs, first):
        """Raise Fault where the accesses of others and these are not in an order."""
        apart = (self._block(other) != blocks) | (when == epochs)
        races = (when >= first) & (other != _NONE) & (other != threads) & apart
        if races.any():
            k = int(np.argmax(races))
            raise Fault(f"a race of the threads {int(threads[k])} and {int(other[k])}")
