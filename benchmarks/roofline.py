"""Each kernel of each compiled step against what the machine can do.

A kernel can be no faster than its arithmetic at the machine's measured peak, nor than its traffic
at the measured bandwidth of a copy; its share is the larger of these two times over its own.
"""

import time

import numpy as np

from benchmarks import kernels, steps, tables

__all__ = ["peaks", "show"]


def peaks():
    """(floating-point operations per second, bytes per second) of this machine, measured."""
    n = 1024
    x, y = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    copy = kernels.copying()
    return 2 * n**3 / best(lambda: x @ y), kernels.bandwidth("copy", "", best(copy))


def best(run, tries=20):
    """The least seconds of a call."""
    found = []
    for _ in range(tries):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def measured(row):
    """The kernels of one step, each with ``name``, ``seconds``, ``flops`` and ``bytes``."""
    import rushlight as torch

    explain = getattr(torch.compiler, "explain", None)
    if explain is None:
        raise SystemExit("benchmarks: --roofline needs torch.compiler.explain")
    step, batch = steps.whole(row)
    return explain(step)(*batch).kernels


def show(only):
    """Print the table of every step whose name contains ``only``."""
    arithmetic, traffic = peaks()
    print(f"measured peaks: {arithmetic / 1e9:.0f} GFLOP/s, copy {traffic / 1e9:.1f} GB/s")
    for row in steps.STEPS:
        if only not in row:
            continue
        tables.head(row, "time", "GFLOP/s", "GB/s", "share of the limit")
        for k in measured(row):
            least = max(k.flops / arithmetic, k.bytes / traffic)
            rates = [f"{amount / k.seconds / 1e9:.1f}" for amount in (k.flops, k.bytes)]
            tables.line(k.name, tables.shown(k.seconds), *rates, f"{least / k.seconds:.0%}")
