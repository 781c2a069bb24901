"""A program as machine code: kernels, the functions that call them in order, and their memory."""

import ctypes
import sys
import time
from functools import partial
from typing import Any

import numpy as np

from rushlight.compiler import cache, threads
from rushlight.compiler.abstract import Abstract
from rushlight.compiler.assembly import Assembly
from rushlight.compiler.checks import native_checks
from rushlight.compiler.code import load
from rushlight.compiler.emit.target import host
from rushlight.compiler.lowering import expand
from rushlight.compiler.program import Program
from rushlight.compiler.schedule import ALIGNMENT, Schedule
from rushlight.compiler.simplify import alive, simplify
from rushlight.ops.dispatch import compute

__all__ = ["NativeProgram"]

#: Bytes up to which an output is copied out of the arena; above, it is computed where it stays.
SMALL = 4096
#: Nanoseconds of work up to which a function does not let other Python threads run.
BRIEF = 20_000
_PAGE = 4096


class NativeProgram:
    """Machine code for one recorded call; ``run`` is as that of ``Program``.

    Attributes:
        seconds: What each phase of compilation took.
    """

    def __init__(self, equations, inputs, outputs, writes):
        begin = time.perf_counter()
        self.recorded = equations, inputs, outputs, writes
        self.inputs = list(inputs)
        self.target = host()
        values = [v for v in outputs if isinstance(v, Abstract)]
        wanted = [*values, *[v for _, v in writes]]
        # Unread equations first: their inputs need not be there.
        equations, checks = native_checks(expand(alive(equations, wanted, checking=True)))
        equations, found = simplify(equations, [*wanted, *checks])
        self.checked = list(checks.values())
        n = len(values)
        written = [(p, v) for (p, _), v in zip(writes, found[n : len(wanted)], strict=True)]
        flags = found[len(wanted) :]
        self.schedule = Schedule(equations, self.inputs, found[:n], written, flags)
        self.outputs = list(outputs)
        self.results = self.schedule.results[:n]
        self.assembly = Assembly(self.schedule, self.target, SMALL)
        self.seconds = {"scheduling": time.perf_counter() - begin}
        self._link()
        self.states: list = []
        self.fallback: Any = None

    def _link(self):
        assembly, begin = self.assembly, time.perf_counter()
        code = cache.get(assembly.key)
        phase = "reading the cache"
        if code is None:
            code, phase = self.target.object_code(assembly.module()), "writing machine code"
            cache.put(assembly.key, code)
        self.seconds[phase] = time.perf_counter() - begin
        self.library = load(code)
        threads.reserve(assembly.scratch)
        #: Functions with whether they are native ones.
        self.segments = [
            (self._function(s), True) if isinstance(s, str) else (s.run, False)
            for s in assembly.segments
        ]

    def _function(self, name):
        """A stretch of kernels; the shortest keep Python's lock: to give it back takes longer."""
        brief = sum(s.nanoseconds for s in self.assembly.stretches[name]) < BRIEF
        prototype = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        return prototype(ctypes.c_int64, ctypes.c_void_p)(self.library.address(name))

    # Running --------------------------------------------------------------------------------

    def run(self, arrays, held=()):
        """The arrays of the outputs, from those of the inputs; then the writes have landed."""
        try:
            state = self.states.pop()
        except IndexError:
            state = State(self, len(arrays))
        try:
            if (held is not state.held and not state.hold(held)) or not state.bind(arrays):
                return self._replay(arrays, held)
            address = state.address
            for segment, native in self.segments:
                if not native:
                    segment(state)
                elif segment(address):
                    return self._failed(arrays, held)
            return [make() for make in state.makers]
        finally:
            self.states.append(state)

    def _replay(self, arrays, held):
        """Run on NumPy: inputs lie otherwise than in the trace, or one is part of another."""
        if self.fallback is None:
            self.fallback = Program(*self.recorded)
        return self.fallback.run(arrays, held)

    def _failed(self, arrays, held):
        """Raise the error of a check that failed: the replay meets it before it writes."""
        self._replay(arrays, held)
        raise AssertionError(f"one of {self.checked!r} failed in native code only")


class Call:
    """A NumPy forward between two stretches of machine code."""

    def __init__(self, equation, schedule):
        self.equation = equation
        flat = equation.ins[0] if equation.op.variadic else equation.ins
        place = lambda v: schedule.layout(v) if isinstance(v, Abstract) else None
        self.ins = [(v, place(v)) for v in flat]
        self.params = {k: (v, place(v)) for k, v in equation.params.items()}
        used = set(schedule.spans)
        self.outs = [(v, schedule.layout(v)) for v in equation.outs if schedule.owner(v) in used]
        self.kept = [schedule.owner(v) in used for v in equation.outs]

    def run(self, state):
        """Compute, and copy the results to their places."""
        values = [v if p is None else state.array(v, p) for v, p in self.ins]
        params = {k: v if p is None else state.array(v, p) for k, (v, p) in self.params.items()}
        op = self.equation.op
        with np.errstate(all="ignore"):
            found = compute(op, (values,) if op.variadic else tuple(values), params)
        found = found if isinstance(found, tuple) else (found,)
        found = [f for f, keep in zip(found, self.kept, strict=True) if keep]
        for (v, place), array in zip(self.outs, found, strict=True):
            np.copyto(state.array(v, place), array)


class State:
    """The memory of one run: the table of addresses, the arena, the arrays of large outputs.

    Attributes:
        held: The tuple of inputs whose addresses are in the table.
        makers: For each output, what gives its array after a run.
    """

    def __init__(self, program, fresh):
        self.program = program
        assembly = program.assembly
        self.arena = np.empty(assembly.arena + _PAGE, np.uint8)
        base = -(-self.arena.ctypes.data // _PAGE) * _PAGE
        self.start = base - self.arena.ctypes.data
        self.table = np.zeros(assembly.slots, np.int64)
        self.address = self.table.ctypes.data
        self.table[0], self.table[1] = threads.parallel(), base
        self.bound: list = [None] * fresh
        self.views: dict = {}
        self.held: Any = None
        self.spans: list = []
        self.copies = [self._copy(i) for i in range(fresh)]
        self.large: dict = {k: [] for k, _ in assembly.large}
        results = iter(range(len(program.results)))
        self.makers = [
            self._maker(next(results)) if isinstance(v, Abstract) else (lambda v=v: v)
            for v in program.outputs
        ]

    def _copy(self, i):
        """A small input that is new at each run is copied: that is faster than its address."""
        value = self.program.inputs[i]
        if value.nbytes > SMALL or value.id in self.program.schedule.written or not value.size:
            return None
        own = np.empty(value.shape, value.dtype)
        copy = np.lib.stride_tricks.as_strided(own, value.shape, value.strides)
        if own.strides != value.strides:
            return None
        self.table[2 + i] = own.ctypes.data
        self.bound[i] = own
        return copy

    def _maker(self, k):
        result = self.program.results[k]
        if k not in self.large:
            memory = self.array(result, self.program.schedule.layout(result))
            return memory.copy if memory.flags.c_contiguous else partial(memory.copy, "K")
        return lambda: self.large[k][0]

    def hold(self, held):
        """Enter the addresses of the inputs that stay; False where one lies otherwise."""
        first = len(self.copies)
        self.held = None  # whose arrays nobody else may hold, or new memory is taken
        for i, a in enumerate(held, first):
            if not self._enter(i, a):
                return False
        written = self.program.schedule.written
        inputs = self.program.inputs[first:]
        spans = sorted([(*_span(a), v.id in written) for a, v in zip(held, inputs, strict=True)])
        if _written_overlap(spans):
            return False
        self.spans = [s for s in spans if s[2]]
        self.held = held
        return True

    def bind(self, arrays):
        """Enter the inputs that are new, and fresh arrays for large outputs."""
        for i, (copy, a) in enumerate(zip(self.copies, arrays, strict=True)):
            if copy is not None:
                copy[...] = a
            elif a is not self.bound[i]:
                if not self._enter(i, a):
                    return False
                self.bound[i] = a
                if self.spans:
                    low, high = _span(a)
                    if any(low < end and begin < high for begin, end, _ in self.spans):
                        self.bound[i] = None
                        return False
        for k, slot in self.program.assembly.large:
            self.table[slot] = self._fresh(k).ctypes.data
        return True

    def _enter(self, i, a):
        value = self.program.inputs[i]
        if a.strides != value.strides and a.size > 1:
            return False
        if value.id in self.program.schedule.written and not a.flags.writeable:
            return False
        self.table[2 + i] = a.ctypes.data
        return True

    def _fresh(self, k):
        """An array for the output ``k``: one of earlier runs that nobody holds any more, or new."""
        spare = self.large[k]
        for i in range(len(spare)):
            if sys.getrefcount(spare[i]) == 2:  # the list and the argument
                spare[0], spare[i] = spare[i], spare[0]
                return spare[0]
        value = self.program.results[k]
        a = _aligned(value)
        spare.insert(0, a)
        del spare[3:]
        return a

    def array(self, value, place):
        """The array of a value that lies in the arena, in an input or in an output."""
        owner, offset, strides = place
        key = value.id
        found = self.views.get(key)
        if found is not None:
            return found
        schedule = self.program.schedule
        size = value.itemsize
        at = schedule.offsets.get(owner)
        strides = tuple([s * size for s in strides])
        if at is not None:
            begin = self.start + at + offset * size
            found = np.ndarray(value.shape, value.dtype, self.arena.data, begin, strides)
            self.views[key] = found
            return found
        i = next(i for i, v in enumerate(self.program.inputs) if v.id == owner)
        first = len(self.bound)
        a = self.bound[i] if i < first else self.held[i - first]
        if not offset and a.shape == value.shape and a.strides == strides:
            return a
        if not value.size:
            return np.empty(value.shape, value.dtype)
        return _at(a.ctypes.data + offset * size, value, strides)


def _span(a):
    """The addresses between which an array lies."""
    return np.lib.array_utils.byte_bounds(a)


def _aligned(value):
    """An uninitialised array for ``value`` that begins at a cache line."""
    memory = np.empty(value.nbytes + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return np.ndarray(value.shape, value.dtype, memory, begin, value.strides)


def _written_overlap(spans):
    """Whether something written lies between the ends of something else; spans are sorted."""
    end = written_end = 0
    for low, high, written in spans:
        if low < written_end or (written and low < end):
            return True
        end = max(end, high)
        if written:
            written_end = max(written_end, high)
    return False


def _at(address, value, strides):
    """An array at ``address``."""
    span = [(n - 1) * step for n, step in zip(value.shape, strides, strict=True)]
    below = -sum([s for s in span if s < 0])
    size = below + sum([s for s in span if s > 0]) + value.itemsize
    memory = (ctypes.c_char * size).from_address(address - below)
    return np.ndarray(value.shape, value.dtype, memory, below, strides)
