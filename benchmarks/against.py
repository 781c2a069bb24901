"""The rows of the tables with another version of rushlight: how much longer they take now.

The versions take turns, each in a process of its own, so what the machine does meanwhile slows
both.
"""

import statistics
import tempfile

from benchmarks import kernels, rows, steps
from benchmarks.process import Worker, median_ratio, rounds_of, shown
from benchmarks.tables import head, line

__all__ = ["show"]

SLOWER = 1.05  # a row that takes so many times as long is pointed out

#: Table → (names of its rows, ways of rushlight).
TABLES = {
    "rows": (rows.ROWS, ["rushlight"]),
    "steps": (steps.STEPS, ["rushlight", "compiled"]),
    "kernels": (kernels.KERNELS, ["compiled"]),
}


def show(folder, only, rounds):
    """Print a table of the rows whose names contain ``only``.

    Args:
        folder: A checkout of the other version: ``git worktree add FOLDER COMMIT``.
        only: A text.
        rounds: How many blocks each version runs.
    """
    head("work", "way", "now", "then", "now / then", f"above {SLOWER}")
    for table, (names, ways) in TABLES.items():
        for name in [name for name in names if only in name]:
            for way in ways:
                line(name, way, *_compared(table, way, name, folder, rounds))


def _compared(table, way, name, folder, rounds):
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as other:
        workers = [Worker(table, way, name, cache), Worker(table, way, name, other, folder)]
        now, then = rounds_of(workers, rounds)
        for w in workers:
            w.close()
    if now is None or then is None:
        return [shown(statistics.median(t)) if t else w.error for t, w in
                zip((now, then), workers, strict=True)] + ["", ""]  # fmt: skip
    ratio = median_ratio(now, then)
    times = [shown(statistics.median(t)) for t in (now, then)]
    return [*times, f"{ratio:.2f}", "slower" if ratio > SLOWER else ""]
