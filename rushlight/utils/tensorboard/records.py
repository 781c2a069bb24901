"""Event files: records of TensorFlow's format, each with checksums of its length and its data."""

import os
import socket
import time
from functools import cache
from itertools import count

import numpy as np

from rushlight import locks
from rushlight.utils.tensorboard.wire import double, integer, message, sized

__all__ = ["EventFile", "crc32c"]

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, the lowest power first
_LANES = 1024
_numbers = count()


@cache
def _table():
    """The checksum of each byte after an empty one."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32), table.tolist()


def crc32c(data):
    """Return the CRC-32C of ``data``.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    if len(data) >= 8 * _LANES:
        head = len(data) % _LANES
        crc = _by_bytes(crc, data[:head])
        return _by_lanes(crc, np.frombuffer(data, np.uint8, offset=head)) ^ 0xFFFFFFFF
    return _by_bytes(crc, data) ^ 0xFFFFFFFF


def _by_bytes(crc, data):
    table = _table()[1]
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc


def _by_lanes(crc, data):
    """Compute the checksum of each of 1024 parts at once, and join them.

    A checksum is linear: that of a part followed by others is that of the part followed by as many
    zeros, combined by XOR with the others'.
    """
    table = _table()[0]
    lanes = data.reshape(_LANES, -1)
    found = np.zeros(_LANES, np.uint32)
    for column in lanes.T:
        found = found >> np.uint32(8) ^ table[(found ^ column) & np.uint32(255)]
    moved = _after_zeros(lanes.shape[1])
    for part in found.tolist():
        crc = moved(crc) ^ part
    return crc


def _after_zeros(n):
    """Return the function from a checksum to the checksum after ``n`` further zero bytes."""
    table = _table()[0]
    images = np.uint32(1) << np.arange(32, dtype=np.uint32)  # of each bit, after one byte each time
    for _ in range(n):
        images = images >> np.uint32(8) ^ table[images & np.uint32(255)]
    bits = images.tolist()

    def moved(crc):
        found = 0
        for i in range(32):
            if crc >> i & 1:
                found ^= bits[i]
        return found

    return moved


def _masked(data):
    """Return the checksum as files have it: rotated, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")


class EventFile:
    """A file of events in a folder, which is made if it is missing.

    Args:
        folder: The folder.
        max_queue: The number of events that may wait before they are written.
        flush_secs: The number of seconds that events may wait.
        suffix: The ending of the file's name.
    """

    def __init__(self, folder, max_queue, flush_secs, suffix):
        os.makedirs(folder, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}"
        self._path = os.path.join(folder, f"{name}.{next(_numbers)}{suffix}")
        self._max_queue, self._flush_secs = max_queue, flush_secs
        self._waiting: list[bytes] = []
        self._flushed = time.monotonic()
        self._lock = locks.new_lock()
        self.closed = False
        self.write(message(double(1, now), sized(3, "brain.Event:2")))
        self.flush()

    def write(self, event):
        """Add an encoded event."""
        size = len(event).to_bytes(8, "little")
        record = b"".join([size, _masked(size), event, _masked(event)])
        with self._lock:
            self._waiting.append(record)
            late = time.monotonic() - self._flushed > self._flush_secs
        if late or len(self._waiting) > self._max_queue:
            self.flush()

    def flush(self):
        """Write the events that wait."""
        with self._lock:
            records, self._waiting = self._waiting, []
            self._flushed = time.monotonic()
            if records:
                with open(self._path, "ab") as file:
                    file.write(b"".join(records))

    def close(self):
        """Write the events that wait; further events open the file again."""
        self.flush()
        self.closed = True


def event(payload, step, walltime):
    """Return an event with the field ``payload`` at a step."""
    at = time.time() if walltime is None else walltime
    return message(double(1, at), None if step is None else integer(2, int(step)), payload)
