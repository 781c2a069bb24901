"""Reading rows of memory: equally spaced elements as a vector, zeros outside the row."""

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.loop import address, lift
from rushlight.compiler.codegen.memory import FEW, iota, load, picked
from rushlight.compiler.codegen.value import INT, Value, constant, lane_numbers, splat

__all__ = ["spaced", "stretch", "stretched"]

_I32 = np.dtype(np.int32)


def spaced(b, row, dtype, lanes, first, step, size, stride, valid=None):
    """(elements ``first``, ``first + step``, … of a row of ``size``, the mask of those that exist).

    The row lies at ``row``, and its elements lie ``stride`` apart. If the bool ``valid`` is False,
    the row does not exist.
    """
    if stride == 1 and 1 < step <= FEW:
        begins = [i * lanes for i in range(step)]
        parts = [spaced(b, row, dtype, lanes, first + i, 1, size, 1, valid)[0] for i in begins]
        found = picked(b, [part.v for part in parts], begins, [i * step for i in range(lanes)])
        return Value(b, found, parts[0].dtype), _inside(b, lanes, first, step, size, valid)
    mask = _inside(b, lanes, first, step, size, valid)
    start = address(b, row, first * stride, dtype.itemsize)
    step = step * stride or constant(b, 0, INT).v  # ``load`` ignores the mask for a Python 0
    return load(b, start, dtype, lanes, mask, step), mask


def _inside(b, lanes, first, step, size, valid):
    first = lift(b, first).astype(_I32)
    if isinstance(size, Value):
        size = splat(size.astype(_I32), lanes).bits(np.uint32)
    found = (splat(first, lanes) + iota(b, lanes, _I32) * step).bits(np.uint32) < size
    return found if valid is None else found & splat(valid, lanes)


def stretched(b, row, dtype, lanes, first, regular, size, stride, valid=None):
    """As ``spaced``, for a ``Regular`` that reads each element several times.

    ``first`` is the first lane's element; ``regular.times`` divides ``lanes``.
    """
    picks = stretch(regular, lanes)
    # LLVM 22 has a bug: of 512 bits it picks (0, 0) instead of (0, 1, 1, …) if a store takes two
    # lanes of 64 bits. Reading from one element earlier avoids these picks.
    ahead = int(picks[:2] == [0, 1])
    value, mask = spaced(b, row, dtype, lanes, first - ahead, 1, size, stride, valid)
    picks = lane_numbers([i + ahead for i in picks])
    value, mask = [Value(b, b.shuffle_vector(x.v, x.v, picks), x.dtype) for x in (value, mask)]
    read = [(i + regular.phase) % regular.times < regular.limit for i in range(lanes)]
    if not all(read):
        mask = mask & Value(b, ir.Constant(mask.v.type, read), mask.dtype)
    return value, mask


def stretch(regular, lanes):
    """The element that each lane reads, counted from the first lane's element."""
    return [(i + regular.phase) // regular.times for i in range(lanes)]
