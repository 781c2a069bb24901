"""Time rushlight against its peers: ``python -m benchmarks [--rounds N] [--only TEXT]``.

There are five tables:

- eager calls against PyTorch;
- small calls and small networks against PyTorch, on one thread;
- transforms of functions (``torch.func``) against PyTorch, on one thread;
- training steps, eager and compiled, against PyTorch, ``torch.compile`` and ``jax.jit``;
- training steps while other processes keep all cores busy, against the same steps on
  quiet cores;
- work that memory bandwidth limits, against a copy.

A row is one piece of work, and a way is one framework or compiler that does the work. Each way of a
row runs in its own process, and the processes take turns in blocks. A ratio is the median of the
ratios of neighbouring blocks, so that a drift of the machine's speed does not change the ratio.
A first call is measured twice: with empty caches, and in a new process with the caches that the
first process left. Memory is the peak of each process. PyTorch must be installed. Without JAX, the
cells of JAX say that JAX is missing.
"""

import argparse
import os
import sys
from importlib import metadata

from benchmarks import tables
from benchmarks.process import UNSET


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=9, help="blocks of each way (default 9)")
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    parser.add_argument("--table", choices=tables.TABLES, help="only this table")
    parser.add_argument("--roofline", action="store_true", help="each kernel of each step instead")
    parser.add_argument("--against", metavar="FOLDER", help="against the version checked out there")
    parser.add_argument("--operations", action="store_true", help="every operation instead")
    parser.add_argument("--taped", action="store_true", help="operations of inputs with gradients")
    parser.add_argument("--flex", action="store_true", help="flexible attention instead")
    options = parser.parse_args()
    if options.roofline:
        from benchmarks import roofline

        return roofline.show(options.only)
    if options.against:
        from benchmarks import against

        return against.show(options.against, options.only, options.rounds)
    if options.operations or options.flex:
        return one_thread_each(options)
    # Only the child processes import NumPy and the peers, because a child's peak memory includes
    # the memory of its parent.
    try:
        versions = [f"PyTorch {metadata.version('torch')}"]
    except metadata.PackageNotFoundError:
        raise SystemExit("benchmarks: PyTorch is not installed here; pip install torch") from None
    try:
        versions.append(f"JAX {metadata.version('jax')}")
    except metadata.PackageNotFoundError:
        versions.append("no JAX")
    print(", ".join([*versions, f"Python {sys.version.split()[0]}, {os.cpu_count()} cores"]))
    for name, table in tables.TABLES.items():
        if options.table in (None, name):
            table(options.only, options.rounds)


def one_thread_each(options):
    """Print tables for which both frameworks run in this process."""
    for name in UNSET:
        os.environ.pop(name, None)
    import torch

    import rushlight
    from benchmarks import flexible_attention, operations

    for framework in (torch, rushlight):
        framework.set_num_threads(1)
    if options.flex:
        flexible_attention.show(options.only)
    else:
        operations.show(options.only, options.taped)


if __name__ == "__main__":
    main()
