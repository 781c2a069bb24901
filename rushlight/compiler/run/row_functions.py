"""Functions of arrays as machine code, compiled once for any number of rows.

The function is traced, lowered and fused like a program. The number of rows, which is dim 0 of the
arrays with rows, is replaced by the constant ``ROWS``. The whole function must become one loop
kernel whose outermost variable runs over the rows. Each call then chooses the extent of this
variable.
"""

from hashlib import sha256
from struct import Struct
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.capture.lowering import expand, recording
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.capture.simplify import simplify
from rushlight.compiler.cpu.checked_access import instrument
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.open_rows import open_rows
from rushlight.compiler.cpu.row_stream import emit_loop, emit_stream
from rushlight.compiler.cpu.target import CHECKED
from rushlight.compiler.ir.machine import machine
from rushlight.compiler.plan.kernel import Kernel
from rushlight.compiler.plan.kernel_signature import signature
from rushlight.compiler.plan.loops import Loops
from rushlight.compiler.plan.pieces import share
from rushlight.compiler.plan.schedule import Schedule
from rushlight.compiler.run import bounds_report, cache, denormals, threads
from rushlight.tensor import from_array

__all__ = ["ROWS", "Stream"]

#: Stands for the number of rows. It is prime, so that it is not split to fit another dim.
ROWS = 8191

#: The code for rows of many lengths: key → its library.
_libraries: WeakValueDictionary = WeakValueDictionary()


class Stream:
    """A compiled function of arrays, made from a ``function`` of tensors.

    Args:
        function: Takes tensors, and returns one tensor or a tuple of several.
        values: The abstract values of its arguments. Dim 0 of arguments with rows is ``ROWS``.

    Raises:
        NotImplementedError: the function does not become one kernel over rows.
    """

    @denormals.kept()
    def __init__(self, function, values):
        self.values = values
        loops, order, schedule = _scheduled(function, values)
        self.length = _outermost(loops)
        self.results = schedule.results
        places = [v.id for v in (*values, *self.results)]
        self.order = [(places.index(owner), offset) for owner, offset in order]
        rows = open_rows(loops)
        self.sizes = () if rows is None else rows.numbers
        count = len(order) + 3 + len(self.sizes)
        self.pack = Struct(f"{count}q").pack  # a call of ctypes takes bytes as an address
        self.factor = self.length.extent // ROWS
        self.lanes = loops.lanes if self.length is loops.vector else None
        self.steps = loops.steps // ROWS
        self.nanoseconds = loops.nanoseconds / loops.steps
        self.scratch, self.costs = loops.scratch, loops.costs
        self.library: Any = None
        self._link(loops, rows)

    def _link(self, loops, rows):
        def module():
            made = ir.Module("stream")
            emit_stream(made, "kernel", loops, len(self.order), self.length, rows)
            emit_loop(made, "kernel", self.order, rows is not None)
            return instrument(made) if CHECKED else made

        text = f"stream {self.order}" + (signature(loops) if rows is None else f"open {rows.key}")
        key = "stream 2 " + sha256(text.encode()).hexdigest()
        self.library = None if rows is None else _libraries.get(key)
        if self.library is None:
            self.library = load(cache.object_code(key, module))
        if rows is not None:
            _libraries[key] = self.library
        self.address = self.library.address("kernel")
        threads.reserve(self.scratch)
        self.parallel = threads.PARALLEL(threads.parallel())

    def work(self, rows, shape=None):
        """A call's work if arrays with rows have ``rows`` of them, for ``__call__``.

        ``shape`` is the shape of the results; None leaves them as the kernel makes them. The work
        is (shape and dtype of each result, the numbers of the kernel's ``args``, chunks).
        """
        results = [
            ((rows, *r.shape[1:]) if r.shape[:1] == (ROWS,) else r.shape, r.dtype)
            for r in self.results
        ]
        if shape is not None:
            results = [(shape, dtype) for _, dtype in results]
        if self.lanes is None:
            steps = rows * self.steps
        else:
            steps = -(-rows * self.factor // self.lanes)
        size = share(steps, steps * self.nanoseconds, self.costs.piece, self.costs.pieces)
        return results, (rows * self.factor, steps, size, *self.sizes), -(-steps // size)

    def loop(self, work):
        """(address, data) of the work as a loop with the parameters of NumPy's loops.

        The operands are those of a call, and its results. The data are arrays that must live.
        """
        _, numbers, chunks = work
        scratch = np.empty(max(1, self.scratch), np.uint8)
        data = np.array([chunks, address(scratch), *numbers], np.int64)
        return self.library.address("loop"), [data, scratch]

    def __call__(self, work, arrays, outs=None):
        """The list of results for ``arrays`` in C order; ``work`` comes from the method ``work``.

        ``outs``: arrays to write the results to; None makes new ones. If the function is
        elementwise, they may be arguments.
        """
        results, numbers, chunks = work
        if outs is None:
            outs = [np.empty(shape, dtype) for shape, dtype in results]
        given = [*arrays, *outs]
        args = self.pack(*[address(given[k]) + offset for k, offset in self.order], *numbers)
        if CHECKED:
            broken = bounds_report.watched(
                bounds_report.arrays(given),
                lambda: self.parallel(self.address, args, chunks, None),
            )
        else:
            broken = self.parallel(self.address, args, chunks, None)
        if broken:
            threads.raise_error()
        return outs


def _scheduled(function, values):
    """(loops, (owner, byte offset) of each argument of the kernel, schedule)."""
    recorder = Recorder()
    with recording(recorder):
        found = function(*[from_array(v) for v in values])
        found = found if isinstance(found, tuple) else (found,)
        outputs = [recorder.value(x) for x in found]
    # Eager mode checks the operands' values before it calls a kernel.
    equations, outputs = simplify(expand(recorder.equations, checks=False), outputs)
    schedule = Schedule(equations, values, [(v, v) for v in outputs], [], [])
    if len(schedule.groups) != 1 or schedule.groups[0].kind != "loops":
        raise NotImplementedError(f"not one kernel, but {[g.kind for g in schedule.groups]}")
    (group,) = schedule.groups
    kernel = Kernel(group, schedule.wanted[group.number], schedule.place)
    return Loops(kernel, machine()), kernel.args, schedule


def _outermost(loops):
    """The loop variable that runs over the rows."""
    found = loops.rows[0] if loops.rows else loops.vector if loops.across else None
    inner = [v for v in (*loops.rows, *loops.columns) if v is not found]
    if found is None or loops.tile is not None or found.extent % ROWS:
        raise NotImplementedError("the rows are not the outermost variable")
    if any(v.extent % ROWS == 0 for v in inner):
        raise NotImplementedError("the rows are two variables")
    return found
