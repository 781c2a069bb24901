"""Audits: now and then a call that has a program is recorded again, and the recordings compared.

The guards of a program check what the observer saw. An audit finds reads that the observer missed.
The second call of a program is audited, and after it so few calls that audits take less than 1 % of
the time that is spent in the program. If the new recording differs, something that the function
reads escaped the observer. Then the program is dropped with a warning, and the call runs eagerly.
"""

import math
import os
import re
import time
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from rushlight.compiler.python.comparisons import is_plain
from rushlight.compiler.run.manifest import key_of
from rushlight.ops.core.definition import Op
from rushlight.ours import PACKAGES
from rushlight.tensor import Tensor

__all__ = ["Audit", "Stale"]

#: The share of the time spent in a program that its audits may take.
_SHARE = 0.01
#: The calls after an audit that are not timed, because the processor's caches are cold, and the
#: number of calls that are timed after them.
_WARM, _TIMED = 32, 3
_SMALL = 1 << 16  # arrays of at most this many bytes are compared by their elements
_NAME = re.compile(r"\b[a-z]\d+\b")
#: Packages whose objects a recording makes anew; objects of other packages come from outside.
_RECORDINGS = (*PACKAGES, "builtins", "functools", "_thread", "numpy")


class Stale(Exception):
    """Raised if a program differs from a new recording of its function."""


class Audit:
    """The audits of one program.

    Args:
        record: ``record(args, kwargs)`` records the call again. It returns the new ``Wrapper``, or
            an error if the call can no longer be recorded.
        enabled: Whether the program is audited at all.

    Attributes:
        left: The number of calls until the next audit or the next timed call; negative: never.
        began: The time in seconds at which a timed call began; 0.0 for other calls.
    """

    def __init__(self, record, enabled):
        self._record: Any = record
        self._kept: Any = None
        often = os.environ.get("RUSHLIGHT_AUDIT")
        self._always, enabled = often == "always", enabled and often != "never"
        self.left = (1 if self._always else 2) if enabled else -1
        self.began = 0.0
        self._seconds = 0.0  # duration of the last audit
        self._spent = math.inf  # the shortest duration of the timed calls, in seconds
        self._times = 0  # how many calls are still to be timed
        self._every = 1  # calls between two audits

    def keep(self, wrapper):
        """Keep the parts of a program's ``Wrapper`` that audits compare, but no arguments."""
        self._kept = Kept(wrapper)

    def pass_or_raise(self, args, kwargs):
        """Record the call again; raise ``Stale`` if the recording differs.

        A call that is due for timing is not recorded: only its start is noted.
        """
        if self._times:
            self.began = time.perf_counter()
            return
        begin = time.perf_counter()
        again = self._record(args, kwargs)
        difference = _difference(self._kept, again)
        if difference is not None:
            raise Stale(difference)
        if self._always:
            self.left = 1
            return
        self._seconds = time.perf_counter() - begin
        self._times, self._spent, self.left = _TIMED, math.inf, _WARM

    def end(self):
        """Note the end of a timed call. The shortest time decides when the next audit comes."""
        self._spent = min(self._spent, time.perf_counter() - self.began)
        self.began = 0.0
        self._times = max(self._times - 1, 0)
        self.left = 1
        if not self._times:
            self._every = max(2 * self._every, math.ceil(self._seconds / (_SHARE * self._spent)))
            self.left = self._every


class Kept:
    """The parts of a recording that are compared: the equations and the lines after the program."""

    def __init__(self, wrapper):
        self.recordings, self.shares = wrapper.recordings, wrapper.shares
        self._source, self._begun = wrapper.source, wrapper.begun

    def lines(self):
        """The lines of a call's function after its program; texts of objects replace names."""
        shown = partial(_shown, self._source.names)
        return [_NAME.sub(shown, line) for line in self._source.lines[self._begun :]]


def _difference(kept, again):
    """The difference between two recordings of a call in words; None if there is none."""
    if isinstance(again, Exception):
        return f"it has to run eagerly now: {again}"
    again = Kept(again)
    if kept.shares or again.shares:  # one input of a recording may be two in the other: no verdict
        return None
    for before, now in zip(kept.recordings, again.recordings, strict=False):
        keys = key_of(*before), key_of(*now)
        if None not in keys and keys[0] != keys[1]:
            return "it computes something else"
    if len(kept.recordings) != len(again.recordings):
        return "its gradient is another one"
    for before, now in zip(kept.lines(), again.lines(), strict=False):
        if before != now:
            return f"it gives or assigns something else ({now.strip()})"
    return None


def _shown(names, match):
    name = match[0]
    return _form(names[name]) if name in names else name


def _form(value):
    """A text for an object that is the same in all recordings of a call."""
    if isinstance(value, tuple | list) and not is_plain(value):
        return f"({', '.join(map(_form, value))})"
    if is_plain(value):
        return repr(value)
    if isinstance(value, Op):
        return value.name
    kind = type(value)
    if isinstance(value, Tensor) and isinstance(value._array, np.ndarray):
        # Each recording makes its constants anew, so they are compared by their elements.
        array = value._array
        small = array.nbytes <= _SMALL
        return f"Tensor {array.tobytes() if small else array.__array_interface__['data'][0]!r}"
    home = value.__module__ if isinstance(value, FunctionType) else kind.__module__
    if (home or "").split(".")[0] not in _RECORDINGS:
        return f"{kind.__qualname__} {id(value)}"
    return getattr(value, "__qualname__", kind.__qualname__)
