"""Which objects were there before a call was recorded, and which were made by it.

A read of an object that the call made says nothing of other calls, and a write to it is nothing
to take back. While a call is recorded, the garbage collector's objects of before are set apart
(``gc.freeze``), so that its list holds the new ones alone; where the program itself uses that,
their ids are kept. What it does not follow (NumPy's
arrays, dicts of numbers) counts as made by the call, unless it was read from an object of before.
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
        self._frozen = False
        self._before: frozenset = frozenset()
        self._held: list = []

    def __enter__(self):
        if gc.get_freeze_count():  # somebody else uses it, and is not to be disturbed
            self._held = gc.get_objects()  # so that no new object gets the id of an old one
            self._before = frozenset(map(id, self._held))
        else:
            gc.freeze()
            self._frozen = True
        return self

    def __exit__(self, *exception):
        if self._frozen:
            gc.unfreeze()
            self._frozen = False
        self._before = frozenset()
        self.let_go()

    def let_go(self):
        """Hold nothing more than what is noted: the function ran."""
        self._held = []

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
        if self._frozen or self._before:
            self._made.update({*map(id, gc.get_objects())} - self._before)
        if id(value) in self._made:
            return False
        self.outer[id(value)] = value
        return True
