"""Which objects were there before a call was recorded, and which objects the call made.

A read of an object that the call made is no condition for other calls, and a write to it need not
be undone. Python's garbage collector tells such objects apart, because it keeps new objects in a
generation of their own. This generation is emptied before a call is recorded, and collection is
paused during the recording (``gc_pause.py``). Objects that the collector does not track (NumPy's
arrays, dicts of numbers) count as made by the call, unless they were read from an older object.
"""

import gc

__all__ = ["Origins"]


class Origins:
    """The objects that are met while one call is recorded; a context for the recording.

    Attributes:
        outer: id → object, for objects that were there before the call.
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
        self.outer.clear()  # these references must not keep objects alive

    def collect(self):
        """Free the objects that the call made and nobody can reach any more."""
        self._find_new()
        gc.collect(0)

    def _find_new(self):
        if self._recording:
            self._made.update(map(id, gc.get_objects(generation=0)))

    def note_outer(self, value):
        """Note that ``value`` was there before the call."""
        self.outer[id(value)] = value

    def note_made(self, value):
        """Note that the call made ``value``, without keeping a reference to it."""
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
