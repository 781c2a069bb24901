"""Which objects were there before a call was recorded, and which were made by it.

A read of an object that the call made says nothing of other calls, and a write to it is nothing
to take back. The garbage collector keeps new objects in a generation of their own. It is emptied
before a call is recorded, and collection waits meanwhile (``gc_pause.py``). What the collector
does not follow (NumPy's arrays, dicts of numbers) counts as made by the call, unless it was read
from an object of before.
"""

import gc

__all__ = ["Origins"]


class Origins:
    """The objects met while one call is recorded; a context for the time of the recording.

    Attributes:
        outer: id → the object, of those that were there before.
    """

    def __init__(self):
        self.outer: dict = {}
        self._made: set = set()
        self._recording = False

    def __enter__(self):
        gc.collect(0)
        self._recording = True
        return self

    def __exit__(self, *exception):
        self._recording = False
        self.outer.clear()  # nobody is to live longer for having been looked at

    def collect(self):
        """Free what the call made and nobody can reach."""
        self._find_new()
        gc.collect(0)

    def _find_new(self):
        if self._recording:
            self._made.update(map(id, gc.get_objects(generation=0)))

    def note_outer(self, value):
        """Note that ``value`` was there before the call."""
        self.outer[id(value)] = value

    def note_made(self, value):
        """Note that the call made ``value``; nobody holds it for that."""
        if id(value) not in self.outer:
            self._made.add(id(value))

    def is_outer(self, value):
        """Whether ``value`` was there before the call."""
        if id(value) in self.outer:
            return True
        if id(value) in self._made or not gc.is_tracked(value):
            return False
        self._find_new()
        if id(value) in self._made:
            return False
        self.outer[id(value)] = value
        return True
