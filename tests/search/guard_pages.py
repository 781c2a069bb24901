"""Runs kernels against pages that nobody may touch, and bytes that nobody may change.

``python -m tests.search.guard_pages`` runs every family of kernels in every dtype and width, with
vectors of each size that this processor has; ``--seconds`` takes cases at random for so long. Each
runs with its arrays right before and right behind a protected page, on one thread and on two, with
its work cut small. A fault ends a child process; the parent names the case and goes on.
"""

import argparse
import ctypes
import json
import mmap
import os
import random
import subprocess
import sys
import time
import warnings

__all__ = ["cases", "processors", "run", "works"]

WIDTHS = range(1, 131)
#: Seconds that a child may take for one case.
PATIENCE = 120
FILLED = 0xA5


def works():
    """Whether this system can protect pages."""
    return os.name == "posix" and hasattr(ctypes.CDLL(None), "mprotect")


# Guarded memory ---------------------------------------------------------------------------


class Memory:
    """Arrays that end or begin at a protected page, with known bytes in all that is left."""

    def __init__(self):
        self.at_end, self.kept = True, []

    def array(self, shape, dtype, strides=None, alignment=1):
        """An array of ``strides`` in bytes, by default in C order."""
        import numpy as np

        dtype = np.dtype(dtype)
        shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        if strides is None:
            strides = np.empty(shape, dtype).strides if 0 not in shape else (0,) * len(shape)
        span = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + dtype.itemsize
        span = 0 if 0 in shape else span
        page = mmap.PAGESIZE
        size = -(-max(span, 1) // page) * page
        memory = mmap.mmap(-1, size + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for guard in (start, start + page + size):
            if ctypes.CDLL(None).mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0):
                raise OSError("mprotect failed")
        whole = np.frombuffer(memory, np.uint8, size, page)
        whole[...] = FILLED
        at = (size - span) // alignment * alignment if self.at_end else 0
        found = np.ndarray(shape, dtype, memory, page + at, strides)
        free = np.ones(size, bool)
        np.ndarray((*shape, dtype.itemsize), bool, free, at, (*strides, 1))[...] = False
        self.kept.append((whole, free))
        return found

    def copy(self, array):
        """A guarded copy with the same strides."""
        found = self.array(array.shape, array.dtype, array.strides)
        found[...] = array
        return found

    def check(self):
        """Raise where somebody wrote beside an array; then forget all of them."""
        for whole, free in self.kept:
            changed = (whole[free] != FILLED).sum()
            if changed:
                raise AssertionError(f"{changed} bytes beside an array were changed")
        self.kept.clear()


class Arrays:
    """NumPy for the modules that allocate: ``empty`` is guarded."""

    def __init__(self, numpy, memory):
        self.numpy, self.memory = numpy, memory

    def __getattr__(self, name):
        return getattr(self.numpy, name)

    def empty(self, shape, dtype=float):
        return self.memory.array(shape, dtype)


def guard(memory):
    """Have programs allocate there, use arguments where they are, and cut their work small."""
    import numpy as np

    from rushlight.compiler.cpu import costs
    from rushlight.compiler.run import assembly, native_program, row_functions
    from rushlight.tensor import from_array
    from tests.compiler import families

    native_program.np = row_functions.np = Arrays(np, memory)
    native_program._aligned = lambda v: memory.array(
        v.shape, v.dtype, None if 0 in v.shape else v.strides, 64
    )
    native_program.SMALL = assembly.SMALL = 0
    costs.LOOPS = costs.LOOPS._replace(piece=50.0)
    costs.POOLING_CHUNK = 1 << 8
    costs.GRADIENT_CHUNK = costs.PRODUCT_CHUNK = 1 << 9
    families.placed = lambda x: from_array(memory.copy(x._array))


# Cases ------------------------------------------------------------------------------------


def streams():
    """Functions that eager mode compiles for any number of rows: name → (dtypes, function)."""
    from tests.compiler.families import EVERY, FLOATS, NUMBERS

    return {
        "stream_sum": (EVERY, lambda x, row: x + row),
        "stream_reduction": (NUMBERS, lambda x, row: x.amax(1)),
        "stream_softmax": (FLOATS, lambda x, row: x.softmax(1)),
        "stream_power": (FLOATS, lambda x, row: (x * x).exp()),
        "stream_scan": (NUMBERS, lambda x, row: x.cumsum(1)),
    }


#: These are two loops, so that NumPy computes them.
REFUSED = {("stream_softmax", "float16", 1), ("stream_softmax", "bfloat16", 1)}


def cases(cpu=""):
    """All that a processor has code for: (family, dtype, width)."""
    from tests.compiler import families

    known = {**families.FAMILIES, **streams()}
    # Without F16C LLVM calls functions for float16 that a process may lack; then NumPy computes.
    taken = [d for d in families.DTYPES if (cpu, d) != ("x86-64-v2", "float16")]
    return [
        (name, dtype, width)
        for name, (dtypes, _) in known.items()
        for dtype in taken if dtype in dtypes
        for width in WIDTHS
        if (name, dtype, width) not in REFUSED
    ]  # fmt: skip


def _program(name, dtype, width):
    """A function that runs the case once: (the results, the arguments afterwards)."""
    import rushlight as torch
    from rushlight.tensor import from_array
    from tests.compiler import families

    function, arguments = families.FAMILIES[name][1](width, dtype)
    compiled = torch.compile(function)

    def once(memory):
        for entry in compiled._compiled.entries:
            entry.program.__dict__.get("states", []).clear()
        given = [from_array(memory.copy(x._array)) for x in arguments]
        return _arrays(compiled(*given)), [x._array for x in given]

    return once


def _stream(name, dtype, width):
    from rushlight.compiler.ir.abstract import Abstract
    from rushlight.compiler.run.row_functions import ROWS, Stream
    from tests.compiler.families import numbers

    arguments = [numbers(7, width, dtype=dtype)._array, numbers(width, dtype=dtype)._array]
    values = [Abstract((ROWS, width), arguments[0].dtype), Abstract((width,), arguments[0].dtype)]
    kernel = Stream(streams()[name][1], values)

    def once(memory):
        given = [memory.copy(x) for x in arguments]
        return kernel(kernel.work(7), given), given

    return once


def _arrays(found):
    if isinstance(found, list | tuple):
        return [a for part in found for a in _arrays(part)]
    return [] if found is None else [found._array]


def examine(memory, name, dtype, width):
    """Run one case on each side of a page, and on each number of threads."""
    import rushlight as torch

    torch.set_num_threads(1)
    memory.at_end = True
    once = (_stream if name.startswith("stream") else _program)(name, dtype, width)
    seen = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for memory.at_end in (True, False):
            results, arguments = once(memory)
            found = [a.tobytes() for a in (*results, *arguments)]
            memory.check()
            if name != "optimizers" and seen and found != seen[0]:
                raise AssertionError(f"other results on {threads} threads, {memory.at_end=}")
            seen.append(found)


# Processes --------------------------------------------------------------------------------


def child(todo, plant):
    """Run the cases, naming each before it and whether it held after."""
    memory = Memory()
    guard(memory)
    warnings.simplefilter("ignore")
    if plant:
        _plant()
    for case in todo:
        print("begin", json.dumps(case), flush=True)
        try:
            examine(memory, *case)
        except Exception as error:
            memory.kept.clear()
            print("wrong", repr(error), flush=True)
        else:
            print("right", flush=True)


def _plant():
    """Have stores of a known tail write a lane too many."""
    from rushlight.compiler.codegen import memory

    known = memory._store_known
    memory._store_known = lambda b, v, pointer, itemsize, count: known(
        b, v, pointer, itemsize, min(count + 1, v.type.count)
    )


def processors():
    """The processors whose code this machine runs, of each vector size: names, "" for its own."""
    from rushlight.compiler.cpu.target import PROCESSORS, host

    own = host()
    if not own.triple.startswith("x86_64"):
        return [""]
    levels = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
    return [name for name in levels if PROCESSORS[name][1] <= own.vector_bytes]


def run(todo, cpu="", plant=False, seconds=None):
    """(how many cases ran, [(case, what was wrong)]), in child processes with code for ``cpu``."""
    todo, wrong, done = list(todo), [], 0
    end = None if seconds is None else time.monotonic() + seconds
    while todo and (end is None or time.monotonic() < end):
        count = len(todo) if end is None else 20
        ran, fault = _attempt(todo[:count], cpu, plant, wrong)
        done += ran
        todo = todo[ran if fault is None else ran + 1 :]
        if fault is not None:
            wrong.append(fault)
            done += 1
    return done, wrong


def _attempt(todo, cpu, plant, wrong):
    """Run the cases until one ends the process: (how many ended well or wrong, that one)."""
    env = {**os.environ, "RUSHLIGHT_CPU": cpu, "RUSHLIGHT_CACHE_DIR": ""}
    env.pop("RUSHLIGHT_COMPILER", None)
    command = [sys.executable, "-m", "tests.search.guard_pages", "--child", *["--plant"] * plant]
    text = json.dumps(todo)
    try:
        found = subprocess.run(
            command, input=text, text=True, capture_output=True, env=env,
            timeout=PATIENCE + len(todo) * 5,
        )  # fmt: skip
        lines, code = found.stdout.splitlines(), found.returncode
    except subprocess.TimeoutExpired as error:
        lines, code = (error.stdout or b"").decode().splitlines(), "out of time"
        found = error
    begun = [line for line in lines if line.startswith("begin")]
    ended = [line for line in lines if line.startswith(("right", "wrong"))]
    for line, case in zip(ended, todo, strict=False):
        if line.startswith("wrong"):
            wrong.append((case, line[6:]))
    if code == 0:
        return len(ended), None
    if len(begun) == len(ended):
        raise RuntimeError(f"the child did not start: {code} {found.stderr}")
    return len(ended), (todo[len(ended)], f"the process ended: {code}")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="cases at random for so long")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--cpu", nargs="*", help="only code for these processors")
    parser.add_argument("--only", default="", help="only families whose name contains this")
    parser.add_argument("--dtype", help="only this dtype")
    parser.add_argument("--step", type=int, default=1, help="every so many-th width")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plant", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(json.load(sys.stdin), options.plant)
    print(f"seed {options.seed}", flush=True)
    failed = 0
    for cpu in options.cpu or processors():
        todo = [c for c in cases(cpu) if options.only in c[0] and options.dtype in (None, c[1])]
        todo = [c for c in todo if c[2] % options.step == options.seed % options.step]
        if options.seconds:
            random.Random(options.seed).shuffle(todo)
        done, wrong = run(todo, cpu, seconds=options.seconds)
        print(f"{cpu or 'this processor'}: {done} cases, {len(wrong)} wrong", flush=True)
        for case, what in wrong:
            print("  ", *case, what)
        failed += len(wrong)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
