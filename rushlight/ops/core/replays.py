"""Calls that repeat are replayed by native code (``compiler/replay``), without Python's part."""

import os
from contextlib import contextmanager
from functools import wraps
from time import perf_counter
from typing import Any

import numpy as np

from rushlight.autograd.tape import look, tick
from rushlight.backend import native
from rushlight.backend.sizes import CHECKS
from rushlight.random import Generator, default_generator
from rushlight.tensor import from_array

__all__ = ["ALL", "EAGER", "Replays", "facts", "replayed"]

#: After this many calls of a function, those that repeat are replayed: an entry costs as much time
#: as it saves in so many calls. 0: never.
_FIRST_CALLS = int(os.environ.get("RUSHLIGHT_REPLAY", "300"))
EAGER = _FIRST_CALLS == 1  # for tests: each third call that is like others is a replay
#: The calls of all functions before that. They take about as long as the machine code takes to
#: load: 60 ms, or 15 ms if eager kernels are loaded. Then so many calls fewer are needed.
_calls_to_come, _fewer = (0, 0) if EAGER else (20 * _FIRST_CALLS, 15 * _FIRST_CALLS)
#: The calls after that if no earlier process wanted the machine code. It takes 0.5 s to compile.
_longer = 0 if EAGER else 150 * _FIRST_CALLS
#: A call counts once for so many seconds that it takes, but not more often than so many times: the
#: part of a call that replays save is not longer.
_UNIT, _MOST_UNITS = 1e-5, 5
#: The calls that are timed: those of which so many others are left.
_TIMED = _FIRST_CALLS - 10, _FIRST_CALLS - 11
_FEW = 1 << 17  # values are compared of tensors with at most so many elements
_CHECKED = "replay" in CHECKS


ALL: list = []  # every Replays


class Replays:
    """How a public function finds out whether native code knows a call.

    Attributes:
        run: The function calls it first, with its own arguments. It returns the call's result, or
            None. At first ``run`` counts the calls; later it is a builtin function, or None if
            calls cannot be replayed.
        function: The public function, or a gradient rule on arrays.
        writes: Whether the function writes to its first argument, and returns it.
    """

    __slots__ = ("_left", "_units", "function", "run", "writes")

    def __init__(self, writes=False, function=None):
        ALL.append(self)
        self.run: Any
        self.writes, self.function = writes, function
        self._left, self.run = _FIRST_CALLS, self._count if _FIRST_CALLS else None
        self._units = 1  # how often a call counts

    @contextmanager
    def off(self):
        """A context in which the function computes each call itself."""
        was, self.run = self.run, None
        try:
            yield
        finally:
            self.run = was

    def _count(self, /, *args, **named):
        global _calls_to_come, _fewer, _longer
        if self._left in _TIMED:
            return self._timed(args, named)
        _calls_to_come -= self._units
        self._left -= self._units
        if self._left <= 0 and _calls_to_come <= (_fewer if native.is_loaded() else 0):
            self.run = None  # meanwhile other threads compute
            found = native.replayed(self, _longer)
            if found is True:  # no process wanted the machine code so far
                _calls_to_come, _fewer, _longer = _longer, 0, 0
            if type(found) is bool:
                self.run = self._count
            else:
                self.run = self._checked(found) if _CHECKED and found is not None else found

    def _timed(self, args, named):
        """The result of a call, whose time tells how often later calls count."""
        self._left -= 1
        begin = perf_counter()
        with self.off():
            found = self.function(*args, **named)
        units = min(_MOST_UNITS, 1 + int((perf_counter() - begin) / _UNIT))
        self._units = min(units, self._units) if self._left < _TIMED[1] else units
        return found

    def _checked(self, builtin):
        """``builtin``, whose results are compared with the function's own (RUSHLIGHT_CHECK)."""

        def run(*args, **named):
            again: Any = [list(x) if type(x) is list else x for x in args]  # a rule fills its memo
            if self.writes and type(getattr(args[0], "_array", None)) is np.ndarray:
                again = copied(args[0]), *args[1:]
            streams = [x for x in (*args, *named.values()) if type(x) is Generator]
            streams = [g for g in (default_generator, *streams) if not g._pending]
            began, before = [g.mark() for g in streams], tick()
            found = builtin(*args, **named)
            if found is None or self.run is None:
                return found
            ended = [g.mark() for g in streams]
            for g, mark in zip(streams, began, strict=True):
                g.rewind(mark)
            name = self.function.__name__
            try:
                with self.off():
                    expected = self.function(*again, **named)
            except Exception as error:
                raise AssertionError(
                    f"{name}: a replay gave a result instead of an error"
                ) from error
            about = slice(-1, None) if self.writes else slice(None)  # a copy is no Parameter
            seen, wanted = facts(found, before)[about], facts(expected, before)[about]
            if seen != wanted:
                raise AssertionError(f"{name}: a replay gave {seen} instead of {wanted}")
            if not all(g.stands_at(mark) for g, mark in zip(streams, ended, strict=True)):
                raise AssertionError(f"{name}: a replay took other numbers from a generator")
            return found

        return run


def replayed(function=None, *, writes=False):
    """Decorate a function of tensors that has no guard: its calls that repeat are replayed.

    ``writes``: see ``Replays``.
    """
    if function is None:
        return lambda function: replayed(function, writes=writes)
    replays = Replays(writes)

    @wraps(function)
    def call(*args, **named):
        if (replay := replays.run) is not None:
            found = replay(*args, **named)
            if found is not None:
                return found
        return function(*args, **named)

    replays.function = call
    return call


def copied(x):
    """A tensor without history that lies as the tensor ``x`` does, with the same version."""
    low, high = np.lib.array_utils.byte_bounds(x._array)
    memory = np.zeros(high - low, np.uint8)
    a = x._array
    found = from_array(np.ndarray(a.shape, a.dtype, memory.data, a.ctypes.data - low, a.strides))
    found._array[...], found.turned = a, x.turned
    found._cell = None if x._cell is None else [0, *x._cell[1:]]
    return found


def facts(x, since=0):
    """All that can be seen of a result, with its history as far as it began after ``since``."""
    if isinstance(x, (tuple, list)):
        return type(x), [facts(item, since) for item in x]
    if type(x) is np.ndarray:  # the result of a gradient rule
        return x.dtype, x.shape, x.strides, _bits(x), x.flags.writeable
    a, view = x._array, x.view_of
    inference = x._cell is not None and len(x._cell) > 2
    values = _bits(a) if a.size <= _FEW else None
    writes = 0 if x._cell is None else x._cell[1]
    found: tuple = (
        a.dtype,
        a.shape,
        a.strides,
        values,
        a.flags.writeable,
        look(x),  # what ``turned`` says, or will say
        inference,
        writes,
    )
    if view is not None:
        offset = a.ctypes.data - view.root._array.ctypes.data
        path = [op.name for op, *_ in view.path], view.seen, view.untracked
        found = *found, offset, path, facts(view.root, since)
    return type(x), _facts_of_node(x.node, x, since), found


def _facts_of_node(n, x, since):
    """All that can be seen of the node ``n`` of the tensor ``x``, and of those before it."""
    if n is None or n.clock <= since:
        return n
    saved = [_facts_of_saved(v) for v in n.saved]
    # Of a clock only this counts: whether it is the result's own, or stale, and its writes. The
    # short paths of operations leave out the last cells if these are None.
    cells = [c is not None and (c is x._cell, c[0] > n.clock, *c[1:]) for c in n.cells]
    while cells and not cells[-1]:
        cells.pop()
    parents = [_facts_of_node(p, x, since) for p in n.parents]
    about = [getattr(n, name, None) for name in ("outputs", "index", "count")]
    source = getattr(n, "source", None)
    about.append(source and [p is source for p in n.parents])
    return type(n), parents, saved, cells, n.hooks, n.shape, n.dtype, about


def _facts_of_saved(v):
    if type(v) in (tuple, list):
        return type(v), [_facts_of_saved(item) for item in v]
    return (v.dtype, v.shape, _bits(v)) if hasattr(v, "dtype") else v


def _bits(a):
    """The bits of an array. All nans count as one: which of two a sum gives is not determined."""
    if a.dtype.kind in "fc":
        parts = np.ascontiguousarray(a).view(a.real.dtype)
        a = np.where(parts == parts, parts, np.nan)
    return a.tobytes()
