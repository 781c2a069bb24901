"""``RUSHLIGHT_CHECK=bounds``: an error if a kernel reads or writes outside of its memories.

The machine code contains the checks (``cpu/checked_access.py``). This module tells each run which
memories the kernels may touch, and raises an error if an address lies in none of them.
"""

import ctypes

import numpy as np

from rushlight.compiler.cpu.loader import record
from rushlight.locks import new_lock

__all__ = ["arrays", "checked", "watched"]

_lock = new_lock()  # only one run at a time, because all runs share the record


def checked(program, function):
    """``function(table)``, which runs a stretch of kernels of ``program``, with bounds checks."""

    def run(table):
        return watched(_memories(program, table), lambda: function(table))

    return run


def arrays(given):
    """The memories, in the form that ``watched`` takes, of arrays in C order."""
    return [
        (f"array {k} ({a.dtype}{list(a.shape)})", a.ctypes.data, a.ctypes.data + a.nbytes)
        for k, a in enumerate(given)
    ]


def watched(memories, call):
    """Return ``call()``; its kernels may touch only ``memories`` and the threads' scratch memory.

    A memory is (description, first address, one past the last address).

    Raises:
        AssertionError: a kernel touched another address, which is a fault of the compiler.
    """
    memories = [*memories, *_scratch()]
    spans = np.array([span for _, *span in memories], np.int64)
    with _lock:
        outer = record.copy()  # the record of a run that a signal's handler interrupted
        record[:] = 0
        record[5:7] = spans.ctypes.data, len(memories)
        try:
            found = call()
            if record[0]:
                raise AssertionError(_message(memories))
            return found
        finally:
            record[:] = outer


def _scratch():
    from rushlight.compiler.run import threads

    pool = threads._pool
    if pool is None or not pool.size:
        return []
    begin = pool.memory.ctypes.data
    return [("scratch memory", begin, begin + pool.memory.nbytes)]


def _memories(program, table):
    """The memories that the table of a run points to."""
    image = program.image
    addresses = np.ctypeslib.as_array((ctypes.c_int64 * image.slots).from_address(table)).tolist()
    found = [("the arena", addresses[1], addresses[1] + image.arena)]
    values = [(2 + i, f"input {i}", v, v.strides) for i, v in enumerate(program.inputs)]
    computed = [v for v in program.outputs if hasattr(v, "is_abstract")]
    for k, slot in image.large:
        values.append((slot, f"output {k}", computed[k], image.results[k][2]))
    for slot, name, value, strides in values:
        low, high = _extent(value.shape, strides, value.itemsize)
        name = f"{name} ({value.dtype}{list(value.shape)})"
        found.append((name, addresses[slot] + low, addresses[slot] + high))
    return found


def _extent(shape, strides, itemsize):
    """(first, one past the last) byte of an array, from the address of its first element."""
    if 0 in shape:
        return 0, 0
    ends = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    return sum(e for e in ends if e < 0), sum(e for e in ends if e > 0) + itemsize


def _message(memories):
    address, size, name, kind = record[1:5].tolist()
    what = "stores" if kind & 1 else "loads"
    text = f"{ctypes.string_at(name).decode()} {what} {size} bytes outside of its memory: "
    near = min(memories, key=lambda m: max(m[1] - address, address + size - m[2]))
    title, begin, end = near
    if address < begin:
        return text + f"{begin - address} bytes before {title}"
    return text + f"up to {address + size - end} bytes behind {title} of {end - begin} bytes"
