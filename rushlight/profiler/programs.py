"""Compiled programs under a profiler: each kernel and each call of NumPy becomes an event.

While a profiler runs, the program classes get another ``run`` method. Outside of profiling a
program's call therefore costs nothing extra. The other ``run`` executes the program's steps one by
one, so that each step can be timed. This is slower than a stretch of native steps in one call. A
stretch that contains checks of values stays in one piece and becomes one event.
"""

import copy
import ctypes

from rushlight.autograd import mode
from rushlight.compiler.run.program import Program, native
from rushlight.locks import new_lock

__all__ = ["watch", "unwatch"]

_lock = new_lock(awaited=True)
_watchers = 0
_plain: dict = {}  # class → its ``run``


def watch():
    """Make compiled programs report events to the profiler of the thread that runs them."""
    global _watchers
    with _lock:
        _watchers += 1
        if _watchers > 1:
            return
        kinds: dict = {Program: _stepwise}
        if native():
            from rushlight.compiler.device.placed_program import PlacedProgram
            from rushlight.compiler.explanation.machine_peak import idle_kernel
            from rushlight.compiler.run.native_program import NativeProgram

            idle_kernel(0)()  # compiles the helper that calls single kernels, before any timing
            kinds[NativeProgram] = _kernelwise
            kinds[PlacedProgram] = copy.copy  # one event: the kernels of devices are not timed
        for cls, make in kinds.items():
            _plain[cls] = cls.run
            cls.run = _watched(cls.run, make)


def unwatch():
    """Restore the ordinary ``run`` methods when the last watcher leaves."""
    global _watchers
    with _lock:
        _watchers -= 1
        if not _watchers:
            for cls, run in _plain.items():
                cls.run = run
            _plain.clear()


def _watched(run, make):
    """Wrap ``run`` of a program class: the call is one event that contains the steps' events.

    ``make`` builds the program's twin, whose steps report their events.
    """

    def watched(self, arrays, held=()):
        recorder = mode.state.profiler
        if recorder is None:
            return run(self, arrays, held)
        if "_twin" not in vars(self):
            self._twin = make(self)
        event = recorder.begin("Torch-Compiled Region", "cpu_op", [*arrays, *held])
        try:
            return run(self._twin, arrays, held)
        finally:
            recorder.end(event)

    return watched


def _event(name, category, function, *args):
    recorder = mode.state.profiler
    event = recorder.begin(name, category)
    try:
        return function(*args)
    finally:
        recorder.end(event)


# Programs on NumPy ------------------------------------------------------------------------


def _stepwise(program):
    """Copy the program, with an event around each of its calls of NumPy."""
    twin = copy.copy(program)
    twin.steps = [
        [_call(f"aten::{e.op.name}", step[0]), *step[1:]]
        for e, step in zip(program.equations, program.steps, strict=True)
    ]
    return twin


def _call(name, function):
    return lambda *args: _event(name, "cpu_op", function, *args)


# Native programs --------------------------------------------------------------------------


def _kernelwise(program):
    """Copy the program, with an event around each of its kernels and calls of NumPy."""
    twin = copy.copy(program)
    twin.segments = []
    for found, (function, is_native) in zip(program.assembly.segments, program.segments,
                                            strict=True):  # fmt: skip
        if not is_native:
            segment = _call(f"aten::{found.equation.op.name}", function), False
        elif program.image.checking:
            steps = program.assembly.stretches[found]
            names = ", ".join([_name(s) for s in steps])
            segment = _stretch(f"kernels: {names}", function), True
        else:
            segment = _kernels(program, program.assembly.stretches[found]), False
        twin.segments.append(segment)
    return twin


def _stretch(name, function):
    return lambda address: _event(name, "kernel", function, address)


def _kernels(program, steps):
    def run(state):
        for step in steps:
            _event(_name(step), "kernel", _kernel(program, step, state))

    return run


def _name(step):
    operations = dict.fromkeys([e.op.name for e in step.group.members])
    return f"{step.name}: {'+'.join(operations)}"


def _kernel(program, step, state):
    """Return a function that runs the kernel of ``step`` once."""
    from rushlight.compiler.explanation.machine_peak import call_kernel

    places = [program.assembly.place(*a) for a in step.args]
    addresses = [int(state.table[slot]) + offset for slot, offset in places]
    args = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
    together = step.chunks > 1 or step.scratch > 0
    return call_kernel(program.library.address(step.name), args, step.chunks if together else 0)
