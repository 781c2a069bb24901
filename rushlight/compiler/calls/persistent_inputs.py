"""The inputs that stay in place between runs: parameters, buffers, state, numbers, gradients.

Their arrays form one tuple. It is the same object as long as none of the arrays is replaced, so a
program that has seen the tuple knows all addresses.

An interrupt may come between any two lines. So the variable ``settled`` of the call's function is
false while names and arrays are changed, and a call that sees it false looks everything up again.
Tensors are marked as written before the program runs, and leaves get their gradients after it.
"""

from sys import getrefcount
from typing import Any

import numpy as np

from rushlight.autograd.tape import tick
from rushlight.compiler.calls.guard import MISS
from rushlight.compiler.calls.shared_inputs import all_apart, owners
from rushlight.compiler.python.comparisons import equal, is_plain, same_objects
from rushlight.device import CPU
from rushlight.device_array import reserved
from rushlight.remote import device_of
from rushlight.tensor import from_array

__all__ = ["Held"]


class Slot:
    """The gradient of one leaf. The next run reuses its memory if nothing else refers to it."""

    __slots__ = ("leaf", "tensor", "value")

    def __init__(self, leaf, value):
        self.leaf, self.value = leaf, value
        self.tensor: Any = None
        self.renew()

    def renew(self):
        """Take new memory, because other objects refer to the old memory."""
        value, d = self.value, self.value.device
        if d is CPU:
            array = np.empty(value.shape, value.dtype)
        else:
            array = reserved(value.shape, value.dtype, None, d)
        self.tensor = from_array(array)

    @property
    def _array(self):
        """The array of the gradient; None if its memory was released."""
        return None if self.tensor is None else self.tensor._array

    def references(self):
        """(references to the tensor, without the leaf's; references to its array)."""
        tensor = self.tensor
        return getrefcount(tensor) - (self.leaf._grad is tensor), getrefcount(tensor._array)


class Place:
    """Conditions about objects that may be replaced between calls, and their names in the function.

    Args:
        find: A function of ``Recorder.places``, which gives the conditions.
        source: The call's function.
    """

    def __init__(self, find, source):
        self.find = find
        self.names = source.names
        self.checks = []  # (template, fixed) of each condition: both must stay the same
        self.bound = []  # the names of each condition's objects and value
        self.conditions = []  # the conditions as lines of Python
        for template, objects, value, fixed in find():
            self.checks.append((template, fixed))
            names = [source.bind("d", x) for x in objects]
            now, expression = source.bind("v", value), f"({template.format(*names)})"
            otherwise = f" or equal({expression}, {now})" if is_plain(value) else ""
            self.conditions.append(f"({expression} is {now}{otherwise})")
            self.bound.append((*names, now))

    def follow(self):
        """Bind the names to the present objects; False if the program does not serve these."""
        checks = self.find()
        if len(checks) != len(self.checks):
            return False
        for (template, fixed), new in zip(self.checks, checks, strict=True):
            same = fixed is new[3] or (is_plain(fixed) and equal(fixed, new[3]))
            if template != new[0] or not same:
                return False
        for names, (_, objects, value, _) in zip(self.bound, checks, strict=True):
            self.names.update(zip(names, (*objects, value), strict=True))
        return True


class Held:
    """The held inputs of one program.

    Args:
        captured: The ``Captured`` tensors that are neither arguments nor gradients.
        lives: The ``Live`` numbers, which each run reads again.
        grads: (leaf, abstract value) of the gradients that the program leaves.
        places: Functions that give conditions; see ``Recorder.places``.
        source: The call's function, in which arrays and numbers get names.
        watched: True if the program writes to an argument, which may share the tensors' memory.

    Attributes:
        arrays: The arrays: first of captured tensors, then of numbers, then of gradients.
        tensors: The captured tensors.
        written: Positions in ``tensors`` of those that the program writes.
        other_names: For each tensor the name by which it is returned or assigned, or None.
        owners: The ids of the objects that own the written memory.
        memory: The ids of the objects that own the memory of all tensors, if they are ``watched``.
    """

    def __init__(self, captured, lives, grads, places, source, watched):
        self.lives, self._watched = lives, watched
        #: For each tensor: how it is found again (``Captured.get``), and its abstract value.
        self.captured = [(c.get, c.value) for c in captured]
        self.source, self.names = source, source.names
        self.written: list = []
        self.other_names: list = []
        self.places = [Place(find, source) for find in places]
        self.tensors = [c.tensor for c in captured]
        self.tensor_names = [source.bind("p", t) for t in self.tensors]
        self.array_names = [source.bind("h", t._array) for t in self.tensors]
        self.numbers = [np.empty((), live.value.dtype) for live in lives]
        self.number_names = [tuple([source.bind("n", x) for x in (None, None)]) for live in lives]
        self.slots = [Slot(leaf, value) for leaf, value in grads]
        for i in range(len(lives)):
            self.set_number(i)
        self.arrays: tuple = ()
        self._gather()
        self.names["settled"] = True
        self.alone = self.slots[0].references() if self.slots else (0, 0)

    def note_written(self, positions):
        """Note the positions that the program writes, once all lines that name tensors exist."""
        self.written = positions
        self.other_names = [self.source.name_of(t) for t in self.tensors]
        self._gather()

    @property
    def conditions(self):
        """The conditions that nothing was replaced; an empty list if nothing can be replaced."""
        tensors = zip(self.tensor_names, self.array_names, strict=True)
        found = [
            *[condition for place in self.places for condition in place.conditions],
            *[f"{tensor}._array is {array}" for tensor, array in tensors],
        ]
        return ["settled", *found] if found or self.slots else []

    def number_lines(self, calls):
        """Add the lines that update changed numbers, and between them the deferred ``calls``."""
        source, done = self.source, 0
        set_number = source.name(self.set_number)
        for i, (live, (owner, seen)) in enumerate(zip(self.lives, self.number_names, strict=True)):
            for line in calls[done : live.after]:
                source.line(line)
            done = max(done, live.after)
            if live.steady:
                continue
            if live.number is not None:
                source.line(f"{source.name(self.numbers[i])}[()] = {live.number.name}")
            elif live.place is None:
                source.line(f"{set_number}({i})")
            else:
                key = live.place()[1]
                source.line(f"if {owner}[{key!r}] is not {seen}: {set_number}({i})")
        for line in calls[done:]:
            source.line(line)

    def set_number(self, i):
        """Read number ``i`` again, and note the object that was read.

        An object whose value may change, such as a tuple of tensors, is not noted, so that each
        run reads it again.
        """
        live, (owner_name, seen_name) = self.lives[i], self.number_names[i]
        self.names[seen_name] = MISS  # no number is MISS: after an interrupt it is read again
        seen: tuple = ()
        if live.place is not None:
            owner, key = live.place()
            noted = owner[key] if is_plain(owner[key]) else MISS
            seen = (owner_name, owner), (seen_name, noted)
        self.numbers[i][()] = live.get()
        self.names.update(seen)

    def follow(self):
        """Look everything up again; False if the program does not serve the present objects."""
        self.names["settled"] = False
        for place in self.places:
            if not place.follow():
                return False
        for i, (get, value) in enumerate(self.captured):
            t = self.tensors[i] if get is None else get()
            a = t._array
            if (a.shape, a.strides, a.dtype) != (value.shape, value.strides, value.dtype):
                return False
            if device_of(t) is not value.device:
                return False
            self.tensors[i] = t
            for name in (self.tensor_names[i], self.other_names[i]):
                if name is not None:
                    self.names[name] = t
        if self.written and not all_apart([t._array for t in self.tensors], self.written):
            return False
        for i in range(len(self.lives)):
            self.set_number(i)
        self._gather()
        self.names["settled"] = True
        return True

    def _gather(self):
        """Take the tensors' present arrays; their shapes, strides and dtypes are known to fit."""
        arrays = [t._array for t in self.tensors]
        self.names.update(zip(self.array_names, arrays, strict=True))
        self._join([*arrays, *self.numbers])

    def _join_gradients(self):
        """Take the gradients' arrays anew, and keep the other arrays."""
        self._join(self.arrays[: len(self.tensors) + len(self.numbers)])

    def _join(self, known):
        arrays = [*known, *[s._array for s in self.slots]]
        if not same_objects(arrays, self.arrays):
            self.arrays = (*arrays,)
        written = [self.arrays[i] for i in self.written]
        self.owners = owners(written)
        self.memory = owners(self.arrays[: len(self.tensors)]) if self._watched else frozenset()
        self.clocks: Any = None  # (cells, views) of the written tensors, which begin() fills in

    def begin(self):
        """Before a run: mark the tensors that it writes, and make sure of the gradients' memory.

        If other objects refer to a gradient of an earlier run, the gradient keeps its memory, and
        the slot takes new memory.
        """
        if self.clocks is None:
            written = [self.tensors[i] for i in self.written]
            self.clocks = [t.cell for t in written], [t.view_of for t in written if t.view_of]
        now = tick()
        cells, views = self.clocks
        for cell in cells:
            cell[0] = now
            cell[1] += 1
        for view in views:
            view.seen = now
        (tensors, arrays), names = self.alone, self.names
        for s in self.slots:
            tensor = s.tensor
            if (
                getrefcount(tensor) - (s.leaf._grad is tensor) != tensors  # also if it is None
                or tensor.node is not None
                or getrefcount(tensor._array) != arrays
            ):
                names["settled"] = False
                s.renew()
        if not names["settled"]:
            self._join_gradients()
            names["settled"] = True

    def fail(self, error):
        """After ``begin``: ``error`` ended the run.

        If it came before the first write, the marks are taken back. Otherwise gradients may be
        partly written, so their leaves lose them.
        """
        if getattr(error, "came_first", False):
            for cell in self.clocks[0] if self.clocks else ():
                cell[1] -= 1
            return
        for s in self.slots:
            if s.leaf._grad is s.tensor:
                s.leaf._grad = None

    def release(self):
        """Free the gradients' memory until the next run, because another program is used now."""
        settled, self.names["settled"] = self.names["settled"], False
        for s in self.slots:
            s.tensor = None
        self._join_gradients()
        self.names["settled"] = settled
