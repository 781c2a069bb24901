"""A table of programs for devices, which keeps those that were used last."""

from collections import Counter, OrderedDict

from rushlight import locks

__all__ = ["KeptPrograms"]

#: A program gets kernels with constant sizes when it is used for the so many-th time.
_OFTEN = 16


class KeptPrograms:
    """Programs by key. The least recently used ones are dropped, and with them their kernels.

    The kernels of a program are *open* at first: they get sizes as arguments, so that programs for
    many shapes share them. A program that is used often, and whose kernels divide by sizes, is made
    anew with constants in their place.

    Args:
        most: The most programs.
        most_kernels: The most kernels that all programs together have. Programs share kernels.
    """

    def __init__(self, most, most_kernels):
        self.most, self.most_kernels = most, most_kernels
        self._programs: OrderedDict = OrderedDict()
        self._uses: Counter = Counter()  # key → uses of a program that would gain by constants
        self._kernels: Counter = Counter()  # the code of a kernel → how many programs start it
        self._crowded = False  # whether it counts which programs were used last
        self._lock = locks.new_lock()

    def find(self, key, make):
        """The program at ``key``, or None; ``make(opens)`` makes it."""
        found = self._programs.get(key, self)
        if found is self:
            found = make(True)
            if found is None:  # perhaps a size must be a constant
                found = make(False)
            self._keep(key, found)
            return found
        self._use(key)
        if found is not None and found.gains:
            self._uses[key] += 1
            if self._uses[key] == _OFTEN:
                found = make(False)
                self._keep(key, found)
        return found

    def known(self, key):
        """The program at ``key`` that ``find`` would give, or None if it would make one."""
        try:
            found = self._programs.get(key)
        except TypeError:  # a part of the key has no hash
            return None
        if found is None or found.gains:
            return None
        if self._crowded:
            self._use(key)
        return found

    def _use(self, key):
        try:  # ``suppress`` would take as long as all the rest
            self._programs.move_to_end(key)
        except KeyError:  # another thread may have dropped it
            return

    def _keep(self, key, program):
        with self._lock:
            self._drop(key)
            self._programs[key] = program
            self._kernels.update(_kernels(program))
            self._crowded = (
                2 * len(self._programs) > self.most or 2 * len(self._kernels) > self.most_kernels
            )
            while len(self._programs) > 1 and self._is_full():
                self._drop(next(iter(self._programs)))

    def _is_full(self):
        return len(self._programs) > self.most or len(self._kernels) > self.most_kernels

    def _drop(self, key):
        self._uses.pop(key, None)
        for code in _kernels(self._programs.pop(key, None)):
            self._kernels[code] -= 1
            if not self._kernels[code]:
                del self._kernels[code]

    def values(self):
        """All programs, those used last at the end."""
        return self._programs.values()

    def clear(self):
        """Drop all programs."""
        with self._lock:
            self._programs.clear()
            self._kernels.clear()
            self._uses.clear()


def _kernels(program):
    return () if program is None else program.codes()
