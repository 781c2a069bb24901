"""Numbers of the stream one at a time, for distributions that are drawn by rejection.

``each`` runs a function that draws such numbers for each row of some columns. Machine code computes
many rows (``compiler/run/scalar_kernels.py``), Python computes few. Both have the function's source
in common, so it keeps to the Python that ``compiler/codegen/scalar_function.py`` translates.
"""

import math
from collections.abc import Callable
from itertools import repeat
from operator import length_hint
from typing import Any

import numpy as np

from rushlight import late
from rushlight.backend.sizes import large_from
from rushlight.draw.words import doubles

__all__ = ["each"]

FEW, MOST = 32, 4096
#: From this many rows on, a few calls save as much time as the compilation takes.
MANY = large_from(1 << 13)


def each(generator, function, *columns):
    """``function(stream, *row)`` for each row of ``columns``, in a flat float64 array.

    ``columns`` are arrays of one size, or floats that all rows have in common. The stream is a
    ``Stream`` of the generator's numbers.
    """
    count = columns[0].size
    if generator.noted:  # a call that will be replayed
        return generator.each(function, *columns)
    with generator.lock:
        if count >= MANY and (engine := generator.engine()) is not None:
            found = _native(generator, engine, function, count, columns)
            if found is not None:
                return found
        lists = [repeat(c) if type(c) is float else c.reshape(-1).tolist() for c in columns]
        with Singles(generator, 4 * count) as stream:
            numbers = [function(stream, *row) for row in zip(*lists)]  # noqa: B905 (repeat)
    return np.array(numbers, np.float64)


def _native(generator, engine, function, count, columns):
    columns = [
        np.full(count, c) if type(c) is float else np.ascontiguousarray(c, np.float64).reshape(-1)
        for c in columns
    ]
    waiting = generator.normal
    state = np.array([waiting or 0.0, waiting is not None, 0.0])
    try:
        return late.sampled(function, Stream, engine, state, columns)
    finally:
        generator.normal = float(state[0]) if state[1] else None


class Stream:
    """Numbers of a stream: ``uniform()``, a float over [0, 1) of 53 bits, and ``normal()``.

    Attributes:
        waits: Whether the second normal of a pair waits for the next call of ``normal``.
        waiting: This normal.
    """

    __slots__ = ("waiting", "waits")

    uniform: Callable[[], float]
    waits: float
    waiting: Any

    def normal(self):
        if self.waits:
            self.waits = False
            return self.waiting
        angle = 2.0 * math.pi * self.uniform()
        radius = math.sqrt(-2.0 * math.log1p(-self.uniform()))
        self.waits = True
        self.waiting = radius * math.sin(angle)
        return radius * math.cos(angle)


class Singles(Stream):
    """The stream of a generator, as a context. The caller must hold the generator's lock.

    NumPy takes as long for one number as Python for thirty. Therefore uniform numbers are drawn in
    blocks, and at the end the generator goes back to the first number that was not used. Going back
    takes as long as a few single draws.

    ``expected`` is the approximate count of uniform numbers that the caller will use. Up to 32
    expected numbers are drawn one by one.
    """

    __slots__ = ("_generator", "_left", "_mark", "_size")

    def __init__(self, generator, expected):
        self._generator = generator
        self._size = 1 if expected <= FEW else min(expected, MOST)

    def __enter__(self):
        waiting = self._generator.normal
        self.waits, self.waiting = waiting is not None, waiting
        self._left = iter(list[float]())
        return self

    def _take(self):
        self._mark = self._generator.mark() if self._size > 1 else None
        self._left = iter(doubles(self._generator, self._size).tolist())

    def __exit__(self, *exc):
        left = length_hint(self._left)
        if left:
            self._generator.rewind(self._mark)
            self._generator.double_words(self._size - left)
        self._generator.normal = self.waiting if self.waits else None

    def uniform(self):
        for u in self._left:
            return u
        self._take()
        return next(self._left)
