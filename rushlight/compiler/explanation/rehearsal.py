"""Timing the parts of a program on copies of its inputs.

The user's objects stay unchanged: inputs are copies, the program runs with memory of its own, and
random generators get their states back.
"""

import copy
import ctypes
import threading
import time
from contextlib import contextmanager
from statistics import median

import numpy as np

from rushlight.device_array import DeviceArray
from rushlight.random import default_generator

__all__ = ["LEAST", "Watch", "kept_generators", "rehearse", "rehearse_replay", "timed"]

_SECONDS, _FEWEST, _MOST = 0.3, 3, 101
#: Kernels estimated at less than ``_BRIEF`` nanoseconds are run ``_TIMES`` times at a time.
_BRIEF, _TIMES = 1_000, 16
#: An empty kernel is called this many times in each round, to measure the time of a call itself.
_IDLE = 6
LEAST = 2e-9  # the least seconds that are reported for a kernel


class Watch:
    """Copies of the inputs on which a compiled function's program last ran.

    Attributes:
        program: The program that ran, or None.
        arrays, held: Copies of its inputs, laid out as they were in the trace.
        seconds: The duration of the run.
    """

    def __init__(self):
        self.program = None
        self.arrays: list = []
        self.held: list = []
        self.seconds = 0.0
        self._thread = threading.get_ident()  # others may call the function meanwhile

    @contextmanager
    def on(self, compiled):
        """Context in which this Watch notes the runs of a ``Compiled`` in the present thread."""
        record = compiled._record
        watched: list = []

        def recorded(args, kwargs):
            entry = record(args, kwargs)
            self._watch(entry.program, watched)
            return entry

        for entry in compiled.entries:
            self._watch(entry.program, watched)
        compiled._record = recorded
        try:
            yield self
        finally:
            del compiled._record
            for program in watched:
                del program.run

    def _watch(self, program, watched):
        if program is None:
            return
        run = program.run

        def noting(arrays, held=()):
            if threading.get_ident() != self._thread:
                return run(arrays, held)
            self.take(program, arrays, held)
            begin = time.perf_counter()
            found = run(arrays, held)
            self.seconds = time.perf_counter() - begin
            return found

        program.run = noting
        watched.append(program)

    def take(self, program, arrays, held=()):
        """Copy the inputs of ``program``."""
        copies = [_copied(v, a) for v, a in zip(program.inputs, [*arrays, *held], strict=True)]
        self.program = program
        self.arrays, self.held = copies[: len(arrays)], copies[len(arrays) :]


def _copied(value, array):
    if isinstance(array, DeviceArray):
        return array.copy()
    found = value.like()
    np.copyto(found, array)
    return found


# Native programs --------------------------------------------------------------------------


def rehearse(watch):
    """(The seconds of each step, those of a whole run) of a native program, as medians."""
    from rushlight.compiler.explanation.machine_peak import idle_kernel
    from rushlight.compiler.run.native_program import State

    program = watch.program
    state = State(program, len(watch.arrays))
    inputs = [*watch.arrays, *watch.held]
    written = program.schedule.written
    copies = [
        _copied(v, a) if v.id in written else a for v, a in zip(program.inputs, inputs, strict=True)
    ]
    fresh = copies[: len(watch.arrays)]
    if not state.hold(tuple(copies[len(fresh) :])) or not state.bind(fresh):
        raise AssertionError("copies laid out as in the trace are what a program takes")
    steps = program.assembly.steps
    runs = [_call(step, program.assembly, state) for step in steps]
    runs += [_whole(program, state), *[idle_kernel(0)] * _IDLE, *[idle_kernel(1)] * _IDLE]

    def restore():
        for new, old in zip(copies, inputs, strict=True):
            if new is not old:
                np.copyto(new, old)

    with kept_generators(program.schedule.graph.equations):
        times = timed(runs, restore)
    *seconds, whole = times[: -2 * _IDLE]
    alone, together = min(times[-2 * _IDLE : -_IDLE]), min(times[-_IDLE:])
    return [
        max((s - (together if _called_together(step) else alone)) / _times(step), LEAST)
        if hasattr(step, "chunks")
        else s
        for s, step in zip(seconds, steps, strict=True)
    ], whole


def _times(step):
    return _TIMES if step.nanoseconds < _BRIEF and not _called_together(step) else 1


def _whole(program, state):
    """A function that runs all steps in the way of ``NativeProgram.run``."""

    def run():
        for segment, native in program.segments:
            segment(state.address if native else state)

    return run


def _called_together(step):
    return step.chunks > 1 or step.scratch > 0


def _call(step, assembly, state):
    """A function that runs one step."""
    from rushlight.compiler.explanation.machine_peak import call_kernel

    if not hasattr(step, "chunks"):
        return lambda: step.run(state)
    places = [assembly.place(*a) for a in step.args]
    addresses = [int(state.table[slot]) + offset for slot, offset in places]
    args = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
    kernel = state.program.library.address(step.name)
    return call_kernel(kernel, args, step.chunks if _called_together(step) else 0, _times(step))


def timed(runs, restore):
    """The median seconds of each of ``runs``. All are called in turn, for several rounds."""
    times: list = [[] for _ in runs]
    clock = time.perf_counter_ns
    begin = time.perf_counter()
    for n in range(_MOST):
        if n >= _FEWEST and time.perf_counter() - begin > _SECONDS:
            break
        restore()
        for run, found in zip(runs, times, strict=True):
            start = clock()
            run()
            found.append(clock() - start)
    return [median(found) * 1e-9 for found in times]


@contextmanager
def kept_generators(equations):
    """Context that restores the state of every generator that ``equations`` draw from."""
    drawing = [e.params.get("generator") for e in equations if e.op.draws]
    generators = {id(g): g for g in [g or default_generator for g in drawing]}.values()
    states = [(g, g.get_state()) for g in generators]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


# Programs on NumPy ------------------------------------------------------------------------


def rehearse_replay(watch):
    """For each equation of a NumPy program, the median of its seconds over several runs."""
    program = copy.copy(watch.program)
    times: list = [[] for _ in program.steps]
    program.steps = [
        [_timing(step[0], found), *step[1:]]
        for step, found in zip(program.steps, times, strict=True)
    ]
    begin = time.perf_counter()
    with kept_generators(program.equations):
        for n in range(_MOST):
            if n >= _FEWEST and time.perf_counter() - begin > _SECONDS:
                break
            program._compute([*watch.arrays, *watch.held])
    return [median(found) for found in times]


def _timing(call, found):
    def timed(values, params):
        start = time.perf_counter()
        result = call(values, params)
        found.append(time.perf_counter() - start)
        return result

    return timed
