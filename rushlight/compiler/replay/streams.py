"""Calls that draw random numbers: a replay takes its words from the generator as it then stands.

The machine code calls the function of the generator's engine that Python's draws call, too. So the
stream goes on, whether a call is replayed or not. While another thread draws, or before a seed has
reached the engine, a replay gives the call back.
"""

import ctypes
import threading
from contextlib import ExitStack, nullcontext

import numpy as np

from rushlight.backend import native
from rushlight.compiler.replay.memory import words
from rushlight.compiler.replay.tape import ABSOLUTE, Loop, Refused
from rushlight.draw.continuous import FEW as FEW_NORMALS
from rushlight.draw.singles import Stream, each
from rushlight.gc_pause import paused
from rushlight.random import FEW, Generator, default_generator, trying

__all__ = ["NotedStream", "Streams", "draws", "owner", "undone"]

#: The thread that makes an entry. It has the generators' locks, and its replays may draw.
_owner, _owner_address = words(0)
_WORDS = 3 + 313  # of a mark: the stream, and the engine's memory


def owner():
    """The address of the word that tells which thread makes an entry, or 0."""
    return _owner_address


def draws(loop):
    """Whether a loop takes numbers from the generator that is its first operand."""
    return loop.function[0] in ("drawing", "opening")


def undone(loops):
    """The loops that note where the generators of ``loops`` stand, and those that go back there."""
    places = dict.fromkeys([loop.places[0] for loop in loops if draws(loop)])
    every = [[place, (ABSOLUTE, words(*[0] * _WORDS)[1])] for place in places]
    return [
        [Loop((name, 0), [1], [0, 0], both, [[0, 0]], (1, [0, 0])) for both in every]
        for name in ("marking", "undoing")
    ]


class Streams:
    """The generators from which a call draws while its entry is made, as a context.

    From the first draw on, no other thread draws from a generator. At the end its stream stands
    where it stood before, because the call itself comes only then.
    """

    def __enter__(self):
        self._stack = ExitStack()
        self._marks: list = []  # (generator, its position)
        _owner[0] = threading.get_ident()
        trying.add(_owner[0])
        return self

    def __exit__(self, *error):
        trying.discard(_owner[0])
        _owner[0] = 0
        with self._stack:  # an interrupt must leave no lock taken
            self.rewind(self._marks)

    def take(self, generator):
        """Keep the generator for this thread."""
        if type(generator) is not Generator:
            raise Refused
        if all(g is not generator for g, _ in self._marks):
            self._stack.enter_context(paused())  # a finalizer's numbers would come twice
            self._stack.enter_context(generator.lock)
            self._marks.append((generator, generator.mark()))

    def marks(self):
        """The positions of the generators, for ``rewind``."""
        return [(g, g.mark()) for g, _ in self._marks]

    def rewind(self, marks):
        """Let the generators go back to these positions."""
        for g, mark in marks:
            g.rewind(mark)

    def agree(self, marks):
        """Whether the generators stand at these positions."""
        return all(g.stands_at(mark) for g, mark in marks)


class NotedStream:
    """A generator, as draws see it, whose numbers are noted on a tape.

    Args:
        generator: The generator, whose numbers the Noted arrays have.
        base: The number of the argument that it is, or None if it is the default generator.
    """

    lock = nullcontext()
    noted = True
    _pending = False

    def __init__(self, generator, base, tape):
        if base is None and generator is not default_generator:
            raise Refused
        self.generator, self.tape = generator, tape
        self.place = (ABSOLUTE, id(generator)) if base is None else (base, 0)

    def words(self, count):
        """The next 32-bit words, as uint64."""
        if count >= FEW:
            raise Refused
        found = self.tape.scratch(self.generator.words(count))
        interface = self.generator.engine().ctypes
        function = ctypes.cast(interface.next_uint32, ctypes.c_void_p).value
        self._note("drawing", found, count, function)
        return found

    _few = words

    def by_kernel(self, count, dtype, *bounds):
        """None: a call of NumPy's functions is noted."""
        return None

    def double_words(self, count):
        """The next 64-bit draws."""
        found: Generator = self  # type: ignore[assignment]
        return Generator.double_words(found, count)

    def empty(self, count, dtype):
        """An array for numbers, which are noted."""
        return self.tape.scratch(np.empty(count, dtype))

    def normals(self, count):
        """The next single normals, as float64."""
        if count > FEW_NORMALS:  # NumPy's functions may round otherwise
            raise Refused
        return self.each(_normal, self.tape.constant(np.zeros(count)))

    def each(self, function, *columns):
        """The numbers of ``draw.singles.each``."""
        given = [
            self.tape.constant(np.full(columns[0].size, c)) if type(c) is float else _column(c)
            for c in columns
        ]
        engine = self.generator.engine()
        sampler = native.sampler(function, Stream, engine, len(given))
        if sampler is None:
            raise Refused
        values = each(self.generator, function, *[c.array for c in given])
        state = self.tape.scratch(np.zeros(len(Stream.__slots__) + 1))
        self._note("opening", state)
        loop = sampler.loop(values.size)
        (found,) = self.tape.call(*loop, [state, *given], [values], (sampler, loop))
        self._note("closing", state)
        return found

    def _note(self, name, x, count=1, data=0):
        places = [self.place, self.tape.place(x.array)]
        self.tape.loops.append(Loop((name, data), [count], [0, 0], places, [[0, 0]], (1, [0, 0])))


def _normal(stream, x):
    return stream.normal()


def _column(x):
    """A Noted array as a contiguous one of float64 numbers, of one dim."""
    return np.reshape(x.astype(np.dtype("f8"), copy=not x.flags.c_contiguous), -1)
