"""Run one row of a table in its own process, and show the times that it took."""

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

__all__ = ["PACKAGE", "UNSET", "Worker", "busy_cores", "median_ratio", "rounds_of", "shown"]

# Environment variables that are removed for the processes. The first two force OpenBLAS to certain
# kernels; without them, OpenBLAS asks the processor. The third would keep Python from writing
# bytecode, but an installed package comes with its bytecode.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
PACKAGE = "BENCHMARKS_PACKAGE"  # names the folder from which a worker takes rushlight
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in UNSET}


class Worker:
    """A process that runs the row ``row`` of ``table`` in one way, block after block.

    Args:
        cache: The folder for compilers' caches. Default: None, where each has its own.
        package: The folder with the package ``rushlight``. Default: None, this checkout.

    Attributes:
        error: Why the process cannot run the row, in a few words; None if it can.
    """

    def __init__(self, table, way, row, cache=None, package=None):
        self.error = None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", table, way, row],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=ENVIRONMENT | _caches(cache) | ({PACKAGE: str(package)} if package else {}),
        )  # fmt: skip

    def ask(self, what):
        """Ask for ``first`` or ``block`` (seconds) or ``memory`` (bytes); None after an error."""
        if self.error is not None:
            return None
        try:
            self.process.stdin.write(what + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else f"ended with status {self.process.wait()}"
        if isinstance(answer, str):
            self.error = answer
            return None
        return answer

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def _caches(folder):
    """Environment variables that let each compiler keep its cache in ``folder``."""
    if folder is None:
        return {}
    return {
        "RUSHLIGHT_CACHE_DIR": os.path.join(folder, "rushlight"),
        "TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "torch"),
        "JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def rounds_of(workers, rounds):
    """Return the seconds of each worker in each round, or None for a worker with an error.

    The workers take turns.
    """
    for w in workers:
        w.ask("block")  # warm up
    found = [[w.ask("block") for w in workers] for _ in range(rounds)]
    columns = zip(*found, strict=True)
    return [None if w.error else list(c) for w, c in zip(workers, columns, strict=True)]


@contextmanager
def busy_cores():
    """A context in which other processes, one for each core, keep all cores busy."""
    code = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(code) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(0.1)  # until they run
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def median_ratio(ours, theirs):
    """The median of the ratios of neighbouring blocks, so that a drift of speed cancels."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def shown(seconds):
    """A time in seconds, as text in s, ms or µs."""
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.2f} µs"
