"""A program as machine code: kernels, the functions that call them in order, and their memory."""

import ctypes
import operator
import sys
import time
from functools import partial
from typing import Any

import numpy as np

from rushlight.backend.address import address
from rushlight.backend.sizes import large_from
from rushlight.compiler.cpu.target import CHECKED
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.machine import machine
from rushlight.compiler.run import bounds_report, cache, denormals, manifest, threads
from rushlight.compiler.run.handlers import is_of_handler
from rushlight.compiler.run.numpy_call import Call
from rushlight.compiler.run.program import Program, generators, marked, rewind
from rushlight.gc_pause import paused
from rushlight.locks import cached_property
from rushlight.ops.core.view_writes import lying

__all__ = ["NativeProgram", "aligned"]

#: An input that is new at each run is copied if it has at most this many bytes: a copy is faster
#: than a request for the address of a NumPy array.
SMALL = large_from(4096)
_PAGE, _LINE = 4096, 64


class NativeProgram:
    """Machine code for one recorded call. ``run`` has the same meaning as ``Program.run``.

    Attributes:
        image: The data besides the code that a run needs.
        seconds: phase of compilation → the seconds that it took.
    """

    @paused()
    @denormals.kept()
    def __init__(self, equations, inputs, outputs, writes):
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.recorded = equations, self.inputs, self.outputs, writes
        self.machine = machine()
        self.seconds: dict = {}
        key = manifest.key_of(*self.recorded)
        found = manifest.read(key)
        if found is None:
            begin = time.perf_counter()
            found = self.assembly.image
            self.seconds["scheduling"] = time.perf_counter() - begin
            found.keep(key)
        self.image = found
        self.written = set(found.written)
        self._link()
        self.generators = generators(self.recorded[0])
        self.states: list = []
        self.fallback: Any = None

    @cached_property
    def assembly(self):
        """The ``Assembly`` of the program; made when first used if the image was in the cache."""
        from rushlight.compiler.run.assembly import assemble

        return assemble(*self.recorded, self.machine)

    @property
    def schedule(self):
        return self.assembly.schedule

    def _link(self):
        begin, found = time.perf_counter(), self.image
        code = cache.get(found.code)
        phase = "reading the cache"
        if code is None:
            begin, phase = time.perf_counter(), "writing machine code"
            module = self.assembly.module()
            code = self.machine.code(module)
            cache.put(found.code, code)
        self.seconds[phase] = time.perf_counter() - begin
        self.library = self.machine.load(code)
        threads.reserve(found.scratch)
        calls = self._calls()
        #: (function, whether it is native), in the order in which they run.
        self.segments = [
            (calls[s].run, False) if isinstance(s, int) else (self._function(*s), True)
            for s in found.segments
        ]

    def _function(self, name, brief):
        """The function of a stretch of kernels. A ``brief`` one keeps the GIL.

        Releasing the GIL would take longer than the stretch itself.
        """
        prototype = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        found = prototype(ctypes.c_int64, ctypes.c_void_p)(self.library.address(name))
        return bounds_report.checked(self, found) if CHECKED else found

    def _calls(self):
        if not self.image.calls:
            return []
        if "assembly" in self.__dict__:
            return self.assembly.calls
        from rushlight.compiler.run.assembly import primitive

        equations, *_ = primitive(self.recorded[0], *self.recorded[2:])
        return [Call(equations[number], *places) for number, *places in self.image.calls]

    # Running --------------------------------------------------------------------------------

    def run(self, arrays, held=()):
        """Run on the inputs' arrays: carry out the writes, and return the arrays of the outputs.

        An exception before the first write gets the attribute ``came_first``, and the random
        generators go back to where they were.

        A state goes back to the list only if it is complete. After an exception, which may be an
        interrupt between any two lines, the state is not used again.
        """
        try:
            state = self.states.pop()
        except IndexError:
            state = State(self, len(arrays))
        if (held is not state.held and not state.hold(held)) or not state.bind(arrays):
            self.states.append(state)
            return self._replay(arrays, held)
        table, marks = state.address, marked(self.generators) if self.generators else ()
        try:
            for segment, native in self.segments:
                if not native:
                    segment(state)
                elif end := segment(table):
                    self._failed(end, arrays, held, marks)
        except Exception as error:
            # What may fail comes before the first write, see ``Schedule._settle_writes``.
            if not (is_of_handler(error) or isinstance(error, AssertionError)):
                rewind(marks)
                error.came_first = True  # type: ignore[attr-defined]
            raise
        found = [*map(operator.call, state.makers)]
        self.states.append(state)
        return found

    def _replay(self, arrays, held):
        """Run on NumPy, because inputs have other strides than in the trace, or share memory."""
        if self.fallback is None:
            self.fallback = Program(*self.recorded)
        return self.fallback.run(arrays, held)

    def _failed(self, end, arrays, held, marks):
        """Raise the error of a signal's handler or of a failed check.

        The error of a check comes from a replay on NumPy, which fails before it writes anything.
        """
        if end < 0:
            threads.raise_error()
        rewind(marks)
        self._replay(arrays, held)
        raise AssertionError(f"one of {self.assembly.checked!r} failed in native code only")


class State:
    """The memory of one run: the table of addresses, the arena, the arrays of large outputs.

    Args:
        fresh: The number of inputs that are passed anew at each run.

    Attributes:
        held: The tuple of arrays of the inputs that stay; their addresses are in the table.
        makers: For each output, a function that gives its array after a run.
    """

    def __init__(self, program, fresh):
        self.program = program
        image = program.image
        self.arena = np.empty(image.arena + _PAGE, np.uint8)
        base = -(-self.arena.ctypes.data // _PAGE) * _PAGE
        self.start = base - self.arena.ctypes.data
        self.table = np.zeros(image.slots, np.int64)
        self.address = self.table.ctypes.data
        self.table[0], self.table[1] = threads.parallel(), base
        self.bound: list = [None] * fresh  # the arrays whose addresses are in the table
        self.last: list = [None] * fresh  # the small arrays that were copied
        self.views: dict = {}
        self.held: Any = None
        self.spans: list = []
        self.copies = [self._copy(i) for i in range(fresh)]
        self.large: dict = {k: [] for k, _ in image.large}
        computed = [v for v in program.outputs if isinstance(v, Abstract)]
        self.results = [
            Abstract(v.shape, v.dtype, _of_trace(v, strides))
            for v, (_, _, strides) in zip(computed, image.results, strict=True)
        ]
        results = iter(range(len(self.results)))
        self.makers = [
            self._maker(next(results)) if isinstance(v, Abstract) else (lambda v=v: v)
            for v in program.outputs
        ]

    def _copy(self, i):
        """Memory for a small input that is new at each run; None for other inputs."""
        value = self.program.inputs[i]
        if value.nbytes > SMALL or i in self.program.written or not value.size:
            return None
        copy = np.empty(value.shape, value.dtype)
        return copy if copy.strides == value.strides else None

    def forget(self):
        """Drop the references to a call's arrays."""
        self.bound = [None] * len(self.bound)
        self.last = [None] * len(self.last)
        for spare in self.large.values():
            spare.clear()

    def _maker(self, k):
        if k not in self.large:
            memory = self.array(self.results[k], self.program.image.results[k])
            copy = memory.copy if memory.flags.c_contiguous else partial(memory.copy, "K")
            strides = self.results[k].strides
            return copy if copy().strides == strides else partial(lying, memory, strides)
        return lambda: self.large[k][0]

    def hold(self, held):
        """Enter the addresses of the inputs that stay; False if the code cannot use one."""
        first = len(self.copies)
        self.bound = [None] * first  # so that bind compares all arrays with the new written ones
        self.held = None  # a reference to old gradients would make ``Held`` take new memory
        for i, a in enumerate(held, first):
            if not self._enter(i, a):
                return False
        written = self.program.written
        spans = sorted([(*_span(a), i in written) for i, a in enumerate(held, first)])
        if _written_overlap(spans):
            return False
        self.spans = [s for s in spans if s[2]]
        self.held = held
        return True

    def bind(self, arrays):
        """Enter the inputs that are new at each run, and arrays for large outputs.

        Returns False if the code cannot use an input.
        """
        bound, copies, last = self.bound, self.copies, self.last
        for i, a in enumerate(arrays):
            if a is bound[i]:
                continue
            copy = copies[i]
            if copy is not None and a is not last[i]:
                copy[...] = a
                last[i] = a
                if bound[i] is not copy:
                    bound[i] = copy
                    self.table[2 + i] = address(copy)
                continue
            if not self._enter(i, a):
                return False
            bound[i] = a
            if self.spans:
                low, high = _span(a)
                if any(low < end and begin < high for begin, end, _ in self.spans):
                    bound[i] = None
                    return False
        for k, slot in self.program.image.large:
            self.table[slot] = address(self._fresh(k))
        return True

    def _enter(self, i, a):
        value = self.program.inputs[i]
        if a.strides != value.strides and a.size > 1:
            return False
        if i in self.program.written and not a.flags.writeable:
            return False
        self.table[2 + i] = address(a)
        return True

    def _fresh(self, k):
        """An array for the output ``k``: one of an earlier run that is free again, or a new one."""
        spare = self.large[k]
        for i in range(len(spare)):
            if sys.getrefcount(spare[i]) == 2:  # only the list and getrefcount's argument hold it
                spare[0], spare[i] = spare[i], spare[0]
                return spare[0]
        a = aligned(self.results[k])
        spare.insert(0, a)
        del spare[3:]
        return a

    def array(self, value, place):
        """The array of ``value``, which lies at ``place``: in the arena, an input or an output."""
        slot, offset, strides = place
        key = value.id, offset
        found = self.views.get(key)
        if found is not None:
            return found
        if slot == 1:
            begin = self.start + offset
            found = np.ndarray(value.shape, value.dtype, self.arena.data, begin, strides)
            self.views[key] = found
            return found
        i = slot - 2
        first = len(self.bound)
        if i < first:
            a = self.bound[i]
        elif i < len(self.program.inputs):
            a = self.held[i - first]
        else:
            a = next(self.large[k][0] for k, own in self.program.image.large if own == slot)
        if not offset and a.shape == value.shape and a.strides == strides:
            return a
        if not value.size:
            return np.empty(value.shape, value.dtype)
        return _at(a.ctypes.data + offset, value, strides)


def _span(a):
    """(first address, one past the last) of an array."""
    return np.lib.array_utils.byte_bounds(a)


def aligned(value):
    """An uninitialised array for ``value`` that begins at a cache line."""
    memory = np.empty(value.nbytes + _LINE, np.uint8)
    begin = -address(memory) % _LINE
    # The base is no array, so that views of this array hold the array itself (see _fresh), and
    # its storage begins with its first element.
    held: Any = (ctypes.c_char * memory.size).from_buffer(memory.data)
    return np.ndarray(value.shape, value.dtype, held, begin, value.strides)


def _of_trace(value, strides):
    """``strides``, with the trace's strides for dims of size 1, which kernels ignore."""
    steps = zip(value.shape, strides, value.strides, strict=True)
    return tuple([traced if n == 1 else s for n, s, traced in steps])


def _written_overlap(spans):
    """Whether a written array overlaps another array; ``spans`` are sorted (low, high, written)."""
    end = written_end = 0
    for low, high, written in spans:
        if low < written_end or (written and low < end):
            return True
        end = max(end, high)
        if written:
            written_end = max(written_end, high)
    return False


def _at(address, value, strides):
    """An array of the shape and dtype of ``value`` over the memory at ``address``."""
    span = [(n - 1) * step for n, step in zip(value.shape, strides, strict=True)]
    below = -sum([s for s in span if s < 0])
    size = below + sum([s for s in span if s > 0]) + value.itemsize
    memory = (ctypes.c_char * size).from_address(address - below)
    return np.ndarray(value.shape, value.dtype, memory, below, strides)
