"""Equations without a kernel for the device: the host computes them in the middle of a program."""

from math import prod

import numpy as np

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.run.program import Program
from rushlight.ops.core.remote_calls import count

__all__ = ["HostStep"]


class HostStep:
    """A group of equations that the host computes on copies of the device's values.

    Args:
        device: The driver's ``backend.device.Device``.
        members: The equations.
        wanted: The ids of the values that others read.
        locate: ``locate(value)`` gives the (slot, byte offset, strides) of a value.
    """

    def __init__(self, device, members, wanted, locate):
        self.device, self.members = device, members
        made = {v.id for e in members for v in e.outs}
        reads = {v.id: v for e in members for v in operands(e) if v.id not in made}
        stores = [v for e in members for v in e.outs if v.id in wanted]
        self.reads = [(v, locate(v)) for v in reads.values()]
        self.stores = [(v, locate(v)) for v in stores]
        self.program = Program(members, list(reads.values()), stores, ())

    def count(self):
        """Note that the host will compute; an error if that is forbidden."""
        for e in self.members:
            count(e.op)

    def run(self, places):
        """Compute, or record that. ``places``: (buffer, offset) of each slot."""
        recording = self.device.recorded()
        if recording is not None:
            recording.do(lambda: self._compute(places))
        else:
            self._compute(places)

    def _compute(self, places):
        found = self.program.run([self._read(places, *at) for at in self.reads])
        for (value, place), array in zip(self.stores, found, strict=True):
            self._store(places, value, place, array)

    def _read(self, places, value, place):
        """A NumPy array with the elements and strides of ``value``."""
        slot, offset, strides = place
        buffer, begin = places[slot]
        below, size = _extent(value, strides)
        memory = np.empty(size, np.uint8)
        self.device.read(buffer, begin + offset - below, memory.ctypes.data, size)
        return np.ndarray(value.shape, value.dtype, memory, below, strides)

    def _store(self, places, value, place, array):
        slot, offset, strides = place
        below, size = _extent(value, strides)
        if value.nbytes == size:
            memory = np.empty(size, np.uint8)
            found = np.ndarray(value.shape, value.dtype, memory, below, strides)
        else:  # other values lie in the gaps
            found = self._read(places, value, place)
            memory = found.base
        np.copyto(found, array)
        buffer, begin = places[slot]
        self.device.write(buffer, begin + offset - below, memory.ctypes.data, size)


def _extent(value, strides):
    """(bytes of ``value`` that lie before its first element, bytes of all that it reaches)."""
    if not prod(value.shape):
        return 0, 0
    spans = [(n - 1) * s for n, s in zip(value.shape, strides, strict=True)]
    below = -sum([s for s in spans if s < 0])
    return below, below + sum([s for s in spans if s > 0]) + value.itemsize
