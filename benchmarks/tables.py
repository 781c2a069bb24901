"""The tables, printed as Markdown while they are measured."""

import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import calls, kernels, rows, steps, transforms
from benchmarks.process import ENVIRONMENT, Worker, busy_cores, median_ratio, rounds_of, shown

__all__ = ["TABLES"]


def head(*titles):
    """Print an empty line and the head of a table."""
    print()
    line(*titles)
    line(*["---"] * len(titles))


def line(*cells):
    """Print one line of a table."""
    print("|", " | ".join(cells), "|", flush=True)


def mebibytes(*peaks):
    """The text of a cell that shows peaks of memory, given in bytes."""
    return " / ".join([f"{p / 2**20:.0f}" if p else "–" for p in peaks]) + " MiB"


def verdict(ratio, target):
    """The three cells of a ratio: the ratio, its target, and whether the target is met."""
    return f"{ratio:.2f}", str(target), "yes" if ratio <= target else "no"


# Eager calls --------------------------------------------------------------------------------


def eager(only, rounds):
    """Print the table of eager calls of rushlight and of PyTorch."""
    titles = ("work", "rushlight", "PyTorch", "ratio", "aimed at", "met", "peak memory")
    found = [name for name in rows.ROWS if only in name]
    if found or only in "import":
        head(*titles)
    if only in "import":
        ours, theirs = import_times(rounds)
        times = shown(statistics.median(ours)), shown(statistics.median(theirs))
        line("import", *times, *verdict(median_ratio(ours, theirs), 0.15), "")
    for name in found:
        against_pytorch("rows", name, rounds, rows.ROWS[name][1])


def small(only, rounds):
    """Print the table of small calls and networks on one thread."""
    one_thread("calls", calls.ROWS, only, rounds)


def transformed(only, rounds):
    """Print the table of transforms of functions on one thread."""
    one_thread("transforms", transforms.ROWS, only, rounds)


def one_thread(table, named, only, rounds):
    """Print a table of calls on one thread, whose rows are ``named``."""
    found = [name for name in named if only in name]
    if found:
        head("on one thread", "rushlight", "PyTorch", "ratio", "aimed at", "met", "peak memory")
    for name in found:
        against_pytorch(table, name, rounds, named[name][1])


def against_pytorch(table, name, rounds, target):
    """Print the row ``name`` of ``table``: the times and the memory of both frameworks."""
    workers = [Worker(table, framework, name) for framework in ("rushlight", "torch")]
    ours, theirs = rounds_of(workers, rounds)
    memory = mebibytes(*[w.ask("memory") for w in workers])
    for w in workers:
        w.close()
    if not ours or not theirs:
        line(name, *[w.error or "" for w in workers])
        return
    times = shown(statistics.median(ours)), shown(statistics.median(theirs))
    line(name, *times, *verdict(median_ratio(ours, theirs), target), memory)


def import_times(rounds):
    """Measure the seconds of ``import rushlight`` and of ``import torch``, in every round.

    The time of an import is the time of a whole process less the time of an empty program.
    """

    def run(code):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT)
        return time.perf_counter() - start

    pairs = []
    for _ in range(rounds + 1):
        empty = run("pass")
        pairs.append([run(f"import {framework}") - empty for framework in ("rushlight", "torch")])
    return zip(*pairs[1:], strict=True)  # the first round reads the files from disk


# Training steps -----------------------------------------------------------------------------


def training(only, rounds):
    """Print a table of training steps in every way, and one of first calls and memory."""
    found = [name for name in steps.STEPS if only in name]
    if not found:
        return
    head("step", *steps.WAYS, "compiled / best peer", "aimed at", "met")
    later = [(name, *training_row(name, rounds)) for name in found]
    firsts = [f"{way}, {state}" for way in steps.COMPILERS for state in ("cold", "warm cache")]
    head("first call", *firsts, f"peak memory: {', '.join(steps.WAYS)}")
    for cells in later:
        line(*cells)


def training_row(name, rounds):
    """Print the times of one step. Return the cells of its first calls and of its memory."""
    with tempfile.TemporaryDirectory() as cache:
        cold = {way: first_call(way, name, cache) for way in steps.COMPILERS}
        workers = {way: Worker("steps", way, name, cache) for way in steps.WAYS}
        warm = {way: workers[way].ask("first") for way in steps.COMPILERS}
        times = dict(zip(workers, rounds_of(workers.values(), rounds), strict=True))
        memory = mebibytes(*[w.ask("memory") for w in workers.values()])
        for w in workers.values():
            w.close()
    cells = [cell(times[way], w.error) for way, w in workers.items()]
    peers = [times[way] for way in steps.PEERS if times[way]]
    if times["compiled"] and peers:
        ratio = median_ratio(times["compiled"], min(peers, key=statistics.median))
        cells += verdict(ratio, steps.STEPS[name].target)
    else:
        cells += [""] * 3
    line(name, *cells)
    firsts = [cold[way] for way in steps.COMPILERS], [warm[way] for way in steps.COMPILERS]
    pairs = [shown(t) if t else "–" for pair in zip(*firsts, strict=True) for t in pair]
    return *pairs, memory


def first_call(way, name, cache):
    """The seconds of the first call with the caches in the folder ``cache``, in a new process."""
    worker = Worker("steps", way, name, cache)
    seconds = worker.ask("first")
    worker.close()
    return seconds


def cell(times, error):
    """The text of the median time, or the error if there are no times."""
    return shown(statistics.median(times)) if times else error


# Busy cores ---------------------------------------------------------------------------------


def busy(only, rounds):
    """Print how much longer training steps take while other processes keep all cores busy."""
    found = [name for name in steps.STEPS if only in name]
    if found:
        head("step", "compiled", "on busy cores", "slower by", "aimed at", "met", *steps.PEERS)
    for name in found:
        workers = {way: Worker("steps", way, name) for way in ("compiled", *steps.PEERS)}
        rounds_of(workers.values(), 1)
        quiet, slow = [], []
        for _ in range(rounds):
            quiet.append([w.ask("block") for w in workers.values()])
            with busy_cores():
                slow.append([w.ask("block") for w in workers.values()])
        for w in workers.values():
            w.close()
        ratios = {
            way: w.error or median_ratio([s[i] for s in slow], [q[i] for q in quiet])
            for i, (way, w) in enumerate(workers.items())
        }
        times = [shown(statistics.median([t[0] for t in taken])) for taken in (quiet, slow)]
        peers = [r if isinstance(r, str) else f"{r:.1f}" for r in list(ratios.values())[1:]]
        line(name, *times, *verdict(ratios["compiled"], 3), *peers)


# Memory ---------------------------------------------------------------------------------------


def memory(only, rounds):
    """Print the bandwidths of work that memory limits, and their shares of a copy's bandwidth."""
    found = [name for name in kernels.KERNELS if only in name]
    if found:
        head("10 million numbers", *kernels.WAYS, "compiled / copy", "aimed at", "met")
    for name in found:
        workers = {way: Worker("kernels", way, name) for way in kernels.WAYS}
        times = dict(zip(workers, rounds_of(workers.values(), rounds), strict=True))
        for w in workers.values():
            w.close()
        cells = [
            f"{kernels.bandwidth(way, name, statistics.median(times[way])) / 1e9:.1f} GB/s"
            if times[way]
            else w.error
            for way, w in workers.items()
        ]
        line(name, *cells, *share(name, times))


def share(name, times):
    """The three cells of the compiled row's share of a copy's bandwidth.

    The share comes from the ratios of neighbouring blocks.
    """
    if not times["compiled"]:
        return "", str(kernels.AIM), "no"
    longer = median_ratio(times["compiled"], times["copy"])
    found = kernels.bandwidth("compiled", name, longer) / kernels.bandwidth("copy", name, 1)
    return f"{found:.2f}", str(kernels.AIM), "yes" if found >= kernels.AIM else "no"


#: The tables by name. Each function prints a table, given a text that the names of its rows must
#: contain and the number of rounds.
TABLES = {
    "eager": eager, "calls": small, "transforms": transformed, "steps": training, "busy": busy,
    "memory": memory,
}  # fmt: skip
