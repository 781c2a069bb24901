"""Numbers of the stream one at a time, for distributions that are drawn by rejection.

NumPy takes as long for one number as Python for thirty. ``Singles`` therefore draws uniform numbers
in blocks. At the end the generator goes back to the first number that was not used, because the
stream must continue as PyTorch's does. Going back takes as long as a few single draws.
"""

import math
from operator import length_hint

from rushlight.draw.words import doubles

__all__ = ["Singles"]

FEW, MOST = 32, 4096


class Singles:
    """The context in which ``uniform()`` and ``normal()`` give the next number, as a float.

    The context holds the generator's lock. ``expected`` is the approximate count of uniform numbers
    that the caller will use. Up to 32 expected numbers are drawn one by one.
    """

    def __init__(self, generator, expected):
        self._generator = generator
        self._size = 1 if expected <= FEW else min(expected, MOST)

    def __enter__(self):
        self._generator.lock.acquire()
        self._left = iter(list[float]())
        return self

    def _take(self):
        self._mark = self._generator.mark() if self._size > 1 else None
        self._left = iter(doubles(self._generator, self._size).tolist())

    def __exit__(self, *exc):
        left = length_hint(self._left)
        if left:
            waiting = self._generator.normal
            self._generator.rewind(self._mark)
            self._generator.normal = waiting
            self._generator.double_words(self._size - left)
        self._generator.lock.release()

    def uniform(self):
        """u64: uniform over [0, 1)."""
        for u in self._left:
            return u
        self._take()
        return next(self._left)

    def normal(self):
        """A standard normal. Normals are made in pairs; the generator keeps the second one."""
        generator = self._generator
        if generator.normal is not None:
            value, generator.normal = generator.normal, None
            return value
        angle = 2.0 * math.pi * self.uniform()
        radius = math.sqrt(-2.0 * math.log1p(-self.uniform()))
        generator.normal = radius * math.sin(angle)
        return radius * math.cos(angle)
