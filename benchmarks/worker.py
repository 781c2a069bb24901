"""A process that times one row of a table in one way.

The process answers each line on stdin with a line of JSON on stdout. The answer to ``first`` is the
seconds of the first call. The answer to ``block`` is the average seconds of a call in a block of
about 0.1 s. The answer to ``memory`` is the peak memory of the process in bytes. If the answer is a
text, the text says what went wrong.
"""

import importlib
import json
import os
import sys
import time

from benchmarks.process import PACKAGE

BLOCK = 0.1  # seconds that a block takes; a block has at least one call
WARM_UP, CALLS = 3.0, 100  # untimed calls before the first block: seconds, and at most how many


def peak_memory():
    """Peak resident memory of this process, in bytes; 0 on Windows."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def timed(run, number):
    """Return the average seconds of ``number`` calls.

    JAX's calls return before their result is ready, so the last result is waited for. Results are
    dropped at once, as in ``timeit``.
    """
    start = time.perf_counter()
    for _ in range(number - 1):
        run()
    found = run()
    if hasattr(found, "block_until_ready"):
        found.block_until_ready()
    return (time.perf_counter() - start) / number


def fitting(run):
    """How many calls fill a block.

    The first calls are not timed. Both PyTorch and rushlight compile in some of them, and in eager
    mode rushlight notes calls for later ones: without a cache a network's time falls until about
    the 60th call.
    """
    end = time.perf_counter() + WARM_UP
    for i in range(CALLS):
        if i >= 3 and time.perf_counter() > end:
            break
        run()
    number, taken = 1, timed(run, 1)
    while taken * number < BLOCK / 10:
        number *= 4
        taken = timed(run, number)
    return max(1, round(BLOCK / taken))


def reason(error):
    """Describe an error in a few words, for a cell of the table."""
    text = str(error)
    if "compiler" in text and "torch" in type(error).__module__:
        return "no C++ compiler"
    return f"{type(error).__name__}: {text.splitlines()[0][:60]}" if text else type(error).__name__


def main(table, way, row):
    """Serve blocks of ``row`` until stdin closes."""
    if PACKAGE in os.environ:
        sys.path.insert(0, os.environ[PACKAGE])
    run = number = None
    for line in sys.stdin:
        try:
            if line.strip() == "memory":
                answer = peak_memory()
            else:
                run = run or importlib.import_module(f"benchmarks.{table}").start(way, row)
                if line.strip() == "block":
                    number = number or fitting(run)
                answer = timed(run, number or 1)
        except Exception as error:
            answer = reason(error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
