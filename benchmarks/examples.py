"""Time the programs in examples/: ``python -m benchmarks.examples [PROGRAM ...]``.

Each program runs as a whole, in its own process, in four ways: under PyTorch, under
``rushlight run``, and twice under ``rushlight run`` with ``--compile``, first with an empty cache
and then with the cache that the first run left. The ways take turns. A time is the median over the
rounds, and includes the start of Python and the imports. The table says whether all ways print the
same, up to rounding. If all programs were run, the table is written into examples/README.md.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from benchmarks.process import ENVIRONMENT, shown

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
RUSHLIGHT = [sys.executable, "-m", "rushlight", "run"]
WAYS = {
    "PyTorch": ([sys.executable], []),
    "rushlight": (RUSHLIGHT, []),
    "compiled, first": (RUSHLIGHT, ["--compile"]),
    "compiled, again": (RUSHLIGHT, ["--compile"]),
}
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RUSHLIGHT_NUM_THREADS")
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def main():
    """Print the table. If all programs were run, also write it into examples/README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.examples")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument(
        "--cpu", action="store_true", help="processor time, not the clock on the wall"
    )
    parser.add_argument("--threads", type=int, help="threads of each process (default: its own)")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="which (default: all)")
    options = parser.parse_args()
    table = [machine(options), "", *header()]
    print(*table, sep="\n", flush=True)
    for path in sorted(EXAMPLES.glob("*.py")):
        if not options.programs or path.stem in options.programs:
            table.append(row(path, options))
            print(table[-1], flush=True)
    if not options.programs:
        readme = EXAMPLES / "README.md"
        before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        text = before + BEGIN + "\n".join(table) + "\n" + END + after
        readme.write_text(text, encoding="utf-8", newline="\n")


def machine(options):
    """The line above the table, which says what was timed and on which machine."""
    kind = "Processor time (user and system, all threads)" if options.cpu else "Time"
    runs = "one of each" if options.rounds == 1 else f"median of {options.rounds}"
    threads = f", {options.threads} thread{'s' * (options.threads > 1)} each" * bool(
        options.threads
    )
    return (
        f"{kind} of whole runs, {runs}{threads}. "
        f"PyTorch {metadata.version('torch')}, Python {sys.version.split()[0]}, "
        f"{os.cpu_count()} cores. Ratios to PyTorch in brackets."
    )


def header():
    """The table's first lines."""
    names = ["program", *WAYS, "prints the same"]
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def row(path, options):
    """The table's line for one program."""
    times = {way: [] for way in WAYS}
    texts = {}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for way, (python, arguments) in WAYS.items():
                seconds, texts[way] = run([*python, str(path), *arguments], cache, options)
                times[way].append(seconds)
    middle = {way: statistics.median(found) for way, found in times.items()}
    cells = [
        shown(seconds) + ("" if way == "PyTorch" else f" ({seconds / middle['PyTorch']:.2f})")
        for way, seconds in middle.items()
    ]
    same = ["yes" if agrees(text, texts["PyTorch"]) else "no" for text in list(texts.values())[1:]]
    same = same[0] if len(set(same)) == 1 else ", ".join(same)
    return f"| [{path.stem}]({path.name}) | " + " | ".join(cells) + f" | {same} |"


def run(command, cache, options):
    """Run a command; returns (the seconds that it took, its standard output)."""
    environment = ENVIRONMENT | {"RUSHLIGHT_CACHE_DIR": cache}
    if options.threads:
        environment |= dict.fromkeys(THREADS, str(options.threads))
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, env=environment
    )
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise SystemExit(f"benchmarks.examples: {' '.join(command)} failed:\n{done.stderr}")
    used = sum(after[2:4]) - sum(before[2:4])  # of children: user and system
    return used if options.cpu else wall, done.stdout


def agrees(found, expected):
    """Whether two runs print the same words, and numbers that differ by at most 0.001 + 1 %."""
    if NUMBER.sub("#", found) != NUMBER.sub("#", expected):
        return False
    pairs = zip(*[map(float, NUMBER.findall(text)) for text in (found, expected)], strict=True)
    return all(abs(a - b) <= 1e-3 + 1e-2 * abs(b) for a, b in pairs)


if __name__ == "__main__":
    main()
