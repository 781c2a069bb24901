"""Replay eager calls that repeat: ``replayed`` gives a public function a builtin function.

The public function calls the builtin first, which knows the calls that were captured, and returns
None for others. Results have the same bits either way, because both ways run NumPy's loops.
"""

import traceback
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import locks
from rushlight.autograd import mode
from rushlight.compiler.replay import records
from rushlight.compiler.replay.capture import capture
from rushlight.compiler.replay.entry_words import entry
from rushlight.compiler.replay.fusing import fused
from rushlight.compiler.replay.looks import is_parameter, look_at
from rushlight.compiler.replay.machine_code import MachineCode, is_wanted
from rushlight.compiler.replay.memory import held, words
from rushlight.compiler.replay.objects import agree
from rushlight.compiler.replay.streams import Streams
from rushlight.compiler.replay.tape import MOST_ELEMENTS, Refused, copy_of
from rushlight.compiler.run.handlers import handlers_apart, is_of_handler
from rushlight.ops.core.replays import EAGER, copied, facts
from rushlight.tensor import Tensor, from_array

__all__ = ["replayed"]

_MOST_ENTRIES = 64  # of one function; so many captures may be refused
_MOST_REFUSED = 8  # captures of a function that has no entry yet
_MOST_SEEN = 256  # calls of a function that are counted at the same time
_MANY = 2000  # calls without an entry, after which a function without enough others is left
_LONGEST_STEP = 1 << 16
#: Sums of few numbers in two orders often round to the same number. So sums of at most so many are
#: compared in more trials. Of operands with more elements, each trial compares many results, so
#: fewer trials are enough.
_FEW_OPERANDS = 1 << 12
#: So many numbers are drawn for the operand of a trial; in a larger operand they repeat. It is
#: prime, so that they do not repeat from row to row.
_DRAWN = 1021
_token = [None]  # empty while machine code or an entry is made
_code: Any = None  # the MachineCode, or False if it cannot be used


def replayed(replays, waits):
    """A builtin function that replays calls of ``replays.function``; see ``ops/core/replays.py``.

    Returns None if this Python cannot do so, and False if another thread is in the way. Returns
    True if the caller ``waits`` and no earlier process wanted the machine code, which is compiled
    once for all later processes.
    """
    global _code
    with _alone() as alone:
        if not alone:
            return False
        if _code is None and waits and not is_wanted():
            return True
        if _code is None:
            _code = MachineCode() if agree() else False
        return _Watched(replays).builtin if _code else None


@contextmanager
def _alone():
    """A context that tells whether nothing else makes machine code or an entry meanwhile.

    Something else is another thread, or a call in this thread during which the garbage collector
    runs. Whoever finds the list empty goes on without.
    """
    try:
        token = _token.pop()
    except IndexError:
        yield False
        return
    try:
        yield True
    finally:
        _token.append(token)


locks.around_fork(in_child=lambda: _token.__setitem__(slice(None), [None]))


class _Watched:
    """A function whose calls are replayed.

    Attributes:
        replays: Where the function finds ``builtin``.
        record: The words of its record; see ``records.py``.
        builtin: The builtin function.
        seen: The calls that had no entry → how often.
        step: After so many more calls without an entry, Python looks at one again.
        ends: By list, the array whose first word gets the address of the next entry.
    """

    def __init__(self, replays):
        self.replays = replays
        self.record = words(0, 1, 0, held(self.missed), *[0] * records.LIST_COUNT)[0]
        self.builtin = _code.builtin(self.record)
        self.seen: dict = {}
        self.step, self.count, self.refused = 1, 0, 0
        lists = self.record[records.LISTS_OF_ENTRIES // 8 :]
        self.ends = [lists[i:] for i in range(len(lists))]

    def missed(self, *args, **named):
        """Look at a call that has no entry.

        Machine code calls this before the function itself computes: at the first calls without an
        entry, and then after ever more of them, as long as no entry is made.
        """
        self.step = 1 if EAGER else min(2 * self.step, _LONGEST_STEP)
        with _alone() as alone:
            if alone and (EAGER or max(self.count, self.refused) < _MOST_ENTRIES):
                before = mode.snapshot()
                try:
                    with handlers_apart():
                        self.look(args, named)
                except Exception as error:  # the function itself comes next, and raises if it must
                    if is_of_handler(error):
                        raise
                    self.refused += 1
                    traceback.clear_frames(error.__traceback__)  # they hold the operands
                finally:
                    mode.give_back(before)
        if mode.metas and any(type(x) is not ndarray for x in _arrays((*args, *named.values()))):
            self.record[records.MISSES // 8] = 0  # a call elsewhere tells nothing about others
        missed, hits = self.record[records.MISSES // 8], self.record[records.HITS // 8]
        hopeless = self.refused >= _MOST_REFUSED and not self.count
        if (hopeless or missed > _MANY + 4 * hits) and not EAGER:
            self.replays.run = None
        self.record[records.TOLD_AT // 8] = missed + self.step

    def look(self, args, named):
        """Count the call, and make an entry if it came before."""
        try:
            key = (*[look_at(x)[0] for x in (*args, *named.values())], len(args), *named)
        except Refused:
            return
        times = self.seen[key] = self.seen.get(key, 0) + 1
        if times == 1 and len(self.seen) <= _MOST_ENTRIES:
            self.step = 1  # another call: it may come again
        if len(self.seen) > _MOST_SEEN:
            self.seen.clear()
        if times == 2:
            self.add(args, named)
            self.step = 1

    def add(self, args, named):
        """Make an entry for calls whose arguments are like these."""
        writes = self.replays.writes
        if writes and args[0].view_of is not None:
            raise Refused
        # The function may do things to its tensors, so it gets others.
        args = self.apart([_varied(x, None, _same) for x in args])
        named = {k: _varied(x, None, _same) for k, x in named.items()}
        looks = [look for x in (*args, *named.values()) for look in look_at(x)[1]]
        with Streams() as streams:
            self.captured(args, named, looks, streams)

    def captured(self, args, named, looks, streams):
        """Make an entry for calls with these ``looks``. Raises Refused if there can be none."""
        given = _tensors((*args, *named.values()))
        marks = [(x, x.turned) for x in given if isinstance(x, Tensor)]
        found = capture(self.replays.function, args, named, streams, self.replays.writes)
        for x, turned in marks:  # the function may have noted how they lie
            x.turned = turned
        joined, at = fused(found.loops, found.spans), _list_for(args)
        for loops in [joined, found.loops] if joined != found.loops else [joined]:
            found.loops = loops
            array, address = entry(found, args, named, looks, _code.address)
            self.ends[at][0], agreed = address, False
            try:
                with np.errstate(all="ignore"):
                    agreed = self.agrees(args, named, streams)
            finally:
                if not agreed:
                    self.ends[at][0] = 0
            if agreed:
                self.ends[at] = array
                self.count += 1
                return
        raise Refused

    def apart(self, args):
        """``args``, with a copy of the tensor that the function writes to, however large."""
        if not self.replays.writes:
            return args
        return [_twin(args[0], copied(args[0])), *args[1:]]

    def agrees(self, args, named, streams):
        """Whether replays give the function's results, for these operands and for others."""
        rng = _Numbers(np.random.default_rng(0))
        agreed, size = 0, _count((args, list(named.values())))
        changes = list(_CHANGES if size <= _FEW_OPERANDS else _FEW_CHANGES)
        for trial, change in enumerate(changes):
            given = [_varied(x, rng, change) for x in args]
            options = {k: _varied(x, rng, change) for k, x in named.items()}
            again = self.apart(given)
            before = streams.marks()
            found, expected = self.builtin(*given, **options), None
            after = streams.marks()
            streams.rewind(before)
            try:
                with self.replays.off():
                    expected = self.replays.function(*again, **options)
            except Exception:
                if found is not None:
                    return False
            if found is None and not trial:
                return False
            if found is None:
                continue  # a guard: these numbers go another way
            if facts(found) != facts(expected) or not streams.agree(after):
                return False
            agreed += 1
            if not trial and 4 * _count(found) <= size <= _FEW_OPERANDS:
                changes += _MORE
        return agreed > 1


def _list_for(args):
    """In which of the lists the entry of a call is: ``enter.list_for`` for machine code."""
    mixed = 0
    first = args[0] if args else None
    a = first._array if type(first) is Tensor else first
    for n in a.shape if type(a) is ndarray else ():
        mixed = 5 * mixed + n
    return mixed % records.LIST_COUNT


def _tensors(values):
    for x in values:
        if isinstance(x, Tensor | ndarray):
            yield x
        elif type(x) in (tuple, list):
            yield from _tensors(x)


def _arrays(values):
    return [getattr(x, "_array", x) for x in _tensors(values)]


def _count(values):
    """The number of elements of the tensors and arrays among ``values``."""
    return sum(a.size for a in _arrays((values,)))


def _varied(x, rng, change):
    """A tensor that lies as the tensor ``x`` does, with other numbers; other values as they are."""
    if type(x) in (tuple, list):
        return type(x)([_varied(item, rng, change) for item in x])
    if not isinstance(x, Tensor | ndarray):
        return x
    a = x._array if isinstance(x, Tensor) else x
    if a is x and a.dtype.kind not in "fc" and change is not _same:
        change = _near  # the forward call has checked the indices that a gradient rule gets
    if a.size <= MOST_ELEMENTS:  # else only views are made
        a = copy_of(a)
        with np.errstate(all="ignore"):
            a[...] = change(a, rng)
    return _twin(x, from_array(a)) if isinstance(x, Tensor) else a


def _twin(x, found):
    """``found``, a tensor without history, as a leaf of the class of ``x``."""
    wants = x.node is not None
    if is_parameter(type(x)):
        found = type(x)(found, wants)
    elif wants:
        found.requires_grad = True
    found.turned = x.turned
    return found


class _Numbers:
    """Random numbers, of which large arrays have the same again and again."""

    def __init__(self, rng):
        self.rng = rng

    def __getattr__(self, name):
        """The method ``name`` of NumPy's generators, whose last argument is a shape."""
        draw = getattr(self.rng, name)

        def drawn(*args):
            *rest, shape = args
            return draw(*args) if prod(shape) <= _DRAWN else np.resize(draw(*rest, _DRAWN), shape)

        return drawn


def _same(a, rng):
    return a


def _near(a, rng):
    """Numbers near those of ``a``; others than floating ones in another order."""
    if a.dtype.kind in "fc":
        return a * rng.uniform(0.5, 1.5, a.shape)
    return rng.rng.permutation(a.reshape(-1)).reshape(a.shape)


def _normal(a, rng):
    """Normal numbers in the shape of ``a``, complex ones if those of ``a`` are."""
    found = rng.standard_normal(a.shape)
    return found + 1j * rng.standard_normal(a.shape) if a.dtype.kind == "c" else found


def _numbers(a, rng):
    """Other floating numbers; integers as they are, because few others may be allowed."""
    return _normal(a, rng) if a.dtype.kind in "fc" else a


def _share(a, rng):
    """Numbers between 0 and 1, of which many functions expect theirs; indices up to the largest."""
    return rng.random(a.shape) if a.dtype.kind in "fc" else rng.integers(0, _end(a), a.shape)


def _both(a, rng):
    """Numbers of both signs, other than 0 where integers were all 0."""
    if a.dtype.kind in "fc":
        return _normal(a, rng)
    return rng.integers(-3 if a.dtype.kind == "i" else 0, 2 if a.dtype == bool else 4, a.shape)


def _wide(a, rng):
    """Numbers of both signs and of many sizes."""
    if a.dtype.kind not in "fc":
        return _share(a, rng)
    return np.ldexp(rng.standard_normal(a.shape), rng.integers(-12, 12, a.shape))


def _special(a, rng):
    """Numbers among which are infinity, nan and zeros of both signs."""
    if a.dtype.kind not in "fc":
        return rng.integers(-1, 1, a.shape) if a.dtype.kind == "i" else _share(a, rng)
    numbers = np.where(rng.random(a.shape) < 0.7, _wide(a, rng), 0.0)
    chosen = _SPECIAL[rng.integers(0, len(_SPECIAL), a.shape)]
    return np.where(rng.random(a.shape) < 0.3, chosen, numbers)


def _extreme(a, rng):
    """Integers among which are the least and the greatest of their dtype; else as ``_special``."""
    if a.dtype.kind not in "iu":
        return _special(a, rng)
    ends = np.iinfo(a.dtype)
    return rng.choice(np.array([ends.min, ends.max, 0, 1], a.dtype), a.shape)


def _end(a):
    return int(a.max(initial=0)) + 1 if a.dtype != bool else 2


#: How the trials of a new entry change the numbers of its operands, those of more trials, and those
#: of operands with many elements.
_CHANGES = (
    _same, _numbers, _near, _near, _share, _share, _share, _both, _both, _both, _both, _wide, _wide,
    _special, _special, _extreme,
)  # fmt: skip
_MORE = (_both, _near, _share) * 16
_SPECIAL = np.array([np.inf, -np.inf, np.nan, -0.0, 1e-40])
_FEW_CHANGES = _same, _numbers, _near, _share, _both, _special, _extreme
