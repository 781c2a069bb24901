"""Time rushlight against PyTorch: ``python -m benchmarks [--rounds N] [--only TEXT]``.

Each row runs in two processes, one a framework, which take turns: a ratio is the median of the
ratios of neighbouring blocks, so that a machine whose speed drifts does not decide it. Memory is
the peak of each process. PyTorch must be installed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib import metadata

from benchmarks.rows import ROWS

# The BLAS chooses its kernels by the first two; unset, it asks the processor. An installed package
# comes with its bytecode, so that is kept here too.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in UNSET}
PEERS = ("rushlight", "torch")


class Worker:
    """A process that runs blocks of one row under one framework."""

    def __init__(self, framework, row):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", framework, row],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )  # fmt: skip

    def ask(self, what):
        """Send one line, return the decoded answer."""
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"benchmarks: a worker ended with status {self.process.wait()}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(row, rounds):
    """(median seconds of each peer, median ratio, peak bytes of each)."""
    workers = [Worker(peer, row) for peer in PEERS]
    try:
        for w in workers:
            w.ask("block")  # warm up
        pairs = [[w.ask("block") for w in workers] for _ in range(rounds)]
        memory = [w.ask("memory") for w in workers]
    finally:
        for w in workers:
            w.close()
    ours, theirs = zip(*pairs, strict=True)
    return (
        statistics.median(ours),
        statistics.median(theirs),
        statistics.median(a / b for a, b in pairs),
        memory,
    )


def import_time(rounds):
    """Whole-process time of an import, less that of an empty program."""

    def run(code):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT)
        return time.perf_counter() - start

    pairs = []
    for _ in range(rounds + 1):
        empty = run("pass")
        pairs.append([run(f"import {peer}") - empty for peer in PEERS])
    pairs = pairs[1:]  # the first reads the files from disk
    ours, theirs = zip(*pairs, strict=True)
    return (
        statistics.median(ours),
        statistics.median(theirs),
        statistics.median(a / b for a, b in pairs),
    )


def shown(seconds):
    """A time in the unit that reads best."""
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.2f} µs"


def line(name, ours, theirs, ratio, target, memory=None):
    """One row of the Markdown table."""
    peak = (
        ""
        if not memory or None in memory
        else f"{memory[0] / 2**20:.0f} / {memory[1] / 2**20:.0f} MiB"
    )
    met = "yes" if ratio <= target else "no"
    return f"| {name} | {shown(ours)} | {shown(theirs)} | {ratio:.2f} | {target} | {met} | {peak} |"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=9, help="pairs of blocks a row (default 9)")
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    options = parser.parse_args()
    # Not imported here: a child's peak memory counts from its parent's.
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        raise SystemExit("benchmarks: PyTorch is not installed here; pip install torch") from None
    print(f"PyTorch {version}, Python {sys.version.split()[0]}, {os.cpu_count()} cores\n")
    print("| work | rushlight | PyTorch | ratio | aimed at | met | peak memory |")
    print("|---|---|---|---|---|---|---|")
    if options.only in "import":
        print(line("import", *import_time(options.rounds), 0.15), flush=True)
    for name, (_, _, target) in ROWS.items():
        if options.only in name:
            ours, theirs, ratio, memory = compare(name, options.rounds)
            print(line(name, ours, theirs, ratio, target, memory), flush=True)


if __name__ == "__main__":
    main()
