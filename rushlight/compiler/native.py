"""A program as machine code: kernels, the functions that call them in order, and their memory."""

import ctypes
import sys
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
from rushlight.compiler.schedule import Schedule
from rushlight.compiler.simplify import simplify
from rushlight.ops.dispatch import compute

__all__ = ["NativeProgram"]

#: Bytes up to which an output is copied out of the arena; above, it is computed where it stays.
SMALL = 4096
_PAGE = 4096


class NativeProgram:
    """Machine code for one recorded call; ``run`` is as that of ``Program``."""

    def __init__(self, equations, inputs, outputs, writes):
        self.recorded = equations, inputs, outputs, writes
        self.inputs = list(inputs)
        self.target = host()
        values = [v for v in outputs if isinstance(v, Abstract)]
        wanted = [*values, *[v for _, v in writes]]
        equations, checks = native_checks(expand(equations))
        equations, found = simplify(equations, [*wanted, *checks])
        self.checked = list(checks.values())
        n = len(values)
        written = [(p, v) for (p, _), v in zip(writes, found[n : len(wanted)], strict=True)]
        flags = found[len(wanted) :]
        self.schedule = Schedule(equations, self.inputs, found[:n], written, flags)
        self.outputs = list(outputs)
        self.results = self.schedule.results[:n]
        self.assembly = Assembly(self.schedule, self.target, SMALL)
        self._link()
        self.states: list = []
        self.fallback: Any = None

    def _link(self):
        assembly = self.assembly
        code = cache.get(assembly.key)
        if code is None:
            code = self.target.object_code(assembly.module())
            cache.put(assembly.key, code)
        self.library = load(code)
        threads.reserve(assembly.scratch)
        self.segments = [self._function(s) if isinstance(s, str) else s for s in assembly.segments]

    def _function(self, name):
        return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(self.library.address(name))

    # Running --------------------------------------------------------------------------------

    def run(self, arrays):
        """The arrays of the outputs, from those of the inputs; then the writes have landed."""
        state = self.states.pop() if self.states else State(self)
        try:
            if not state.bind(arrays):
                return self._replay(arrays)
            for segment in self.segments:
                if type(segment) is Call:
                    segment.run(state)
                    continue
                wrong = segment(state.address)
                if wrong:
                    self._raise(wrong - 1, arrays)
            return state.outputs()
        finally:
            self.states.append(state)

    def _replay(self, arrays):
        if self.fallback is None:
            self.fallback = Program(*self.recorded)
        return self.fallback.run(arrays)

    def _raise(self, k, arrays):
        """Raise the error of a check that failed: the replay meets it before anything is written."""
        self._replay(arrays)
        raise AssertionError(f"{self.checked[k]!r} failed in native code only")


class Call:
    """A NumPy forward between two stretches of machine code."""

    def __init__(self, equation, schedule):
        self.equation = equation
        flat = equation.ins[0] if equation.op.variadic else equation.ins
        place = lambda v: schedule.layout(v) if isinstance(v, Abstract) else None
        self.ins = [(v, place(v)) for v in flat]
        self.params = {k: (v, place(v)) for k, v in equation.params.items()}
        used = {o for o in schedule.spans}
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
    """The memory of one run: the table of addresses, the arena, the arrays of large outputs."""

    def __init__(self, program):
        self.program = program
        schedule, assembly = program.schedule, program.assembly
        self.arena = np.empty(assembly.arena + _PAGE, np.uint8)
        base = -(-self.arena.ctypes.data // _PAGE) * _PAGE
        self.start = base - self.arena.ctypes.data
        self.table = np.zeros(assembly.slots, np.int64)
        self.address = self.table.ctypes.data
        self.table[0], self.table[1] = threads.parallel(), base
        self.bound: list = [None] * len(program.inputs)
        self.views: dict = {}
        self.small = [
            self.array(r, schedule.layout(r)) if assembly.is_small(r) else None
            for r in program.results
        ]
        self.spare: list = [[] for _ in program.results]
        self.large: list = [None] * len(program.results)

    def bind(self, arrays):
        """Enter the addresses of inputs and outputs; False where an input lies otherwise."""
        table, bound = self.table, self.bound
        for i, a in enumerate(arrays):
            if a is not bound[i]:
                expected = self.program.inputs[i]
                if a.strides != expected.strides and a.size > 1:
                    return False
                table[2 + i] = a.ctypes.data
                bound[i] = a
        for k, slot in self.program.assembly.large:
            self.large[k] = a = self._fresh(k)
            table[slot] = a.ctypes.data
        return True

    def _fresh(self, k):
        """An array for the output ``k``: one of earlier runs that nobody holds any more, or new."""
        spare = self.spare[k]
        for a in spare:
            if sys.getrefcount(a) == 3:  # the list, ``a``, and the argument
                return a
        value = self.program.results[k]
        a = np.empty(value.shape, value.dtype)
        spare.append(a)
        del spare[:-3]
        return a

    def outputs(self):
        """The arrays of the outputs, which share memory with nothing."""
        results = iter([
            large if small is None else small.copy()
            for small, large in zip(self.small, self.large, strict=True)
        ])  # fmt: skip
        self.large = [None] * len(self.large)
        return [next(results) if isinstance(v, Abstract) else v for v in self.program.outputs]

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
        a = self.bound[i]
        if not offset and a.shape == value.shape and a.strides == strides:
            return a
        return _at(a, a.ctypes.data + offset * size, value, strides)


def _at(owner, address, value, strides):
    """An array at ``address``, which lies in the memory of ``owner``."""

    class Memory:
        __array_interface__ = {
            "data": (address, False), "shape": value.shape, "strides": strides,
            "typestr": value.dtype.str, "version": 3,
        }  # fmt: skip

    memory = Memory()
    memory.owner = owner  # type: ignore[attr-defined]
    return np.asarray(memory)
