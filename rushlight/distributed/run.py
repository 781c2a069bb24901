"""``python -m rushlight.distributed.run script.py``: start a program as torchrun does.

The program is the one process of a world of one. It runs under ``rushlight run``, so that ``import
torch`` gives rushlight.
"""

import argparse
import os
import subprocess
import sys

from rushlight.distributed.elastic.multiprocessing.errors import (
    ChildFailedError,
    ProcessFailure,
    record,
)
from rushlight.distributed.launching import refuse_several, variables

__all__ = ["get_args_parser", "main", "parse_args", "run"]

#: Options that say how several processes or machines work together, and mean nothing for one.
_UNUSED = (
    "rdzv-backend rdzv-endpoint rdzv-conf local-addr log-dir redirects tee local-ranks-filter "
    "logs-specs monitor-interval start-method role node-rank event-log-handler numa-binding "
    "signals-to-handle"
)


def get_args_parser():
    """Return the parser of torchrun's arguments."""
    parser = argparse.ArgumentParser(description="Start a program of one process")

    def add(name, **options):
        parser.add_argument(f"--{name}", f"--{name.replace('-', '_')}", **options)

    add("nnodes", default="1:1")
    add("nproc-per-node", default="1")
    add("rdzv-id", default="none")
    add("master-addr", default=None)
    add("master-port", type=int, default=None)
    add("max-restarts", type=int, default=0)
    for name in _UNUSED.split():
        add(name, default=None)
    parser.add_argument("--standalone", action="store_true")
    parser.add_argument("-m", "--module", action="store_true")
    parser.add_argument("--no-python", "--no_python", action="store_true")
    parser.add_argument("--run-path", "--run_path", action="store_true")
    parser.add_argument("training_script")
    parser.add_argument("training_script_args", nargs=argparse.REMAINDER)
    return parser


def parse_args(args):
    """Return the arguments of torchrun."""
    return get_args_parser().parse_args(args)


def _processes(text):
    """The number of processes: a number, or a word; a device stands for one process."""
    text = str(text)
    if text.isdigit():
        return int(text)
    if text in ("auto", "gpu", "cpu", "xpu"):
        return 1
    raise ValueError(f"Unsupported nproc_per_node value: {text}")


def run(args):
    """Start a program, again up to ``max_restarts`` times if it fails.

    Args:
        args: What ``parse_args`` gives.

    Raises:
        RuntimeError: More than one process is asked for.
        ChildFailedError: The program failed.
    """
    refuse_several(int(str(args.nnodes).partition(":")[0]), _processes(args.nproc_per_node))
    restarts = int(args.max_restarts or 0)
    command = _command(args)
    for i in range(restarts + 1):
        names = variables(args.master_addr, args.master_port, args.rdzv_id, i, restarts)
        child = subprocess.Popen(command, env={**os.environ, **names})
        try:
            code = child.wait()
        except BaseException:  # the program ends with its launcher
            child.terminate()
            child.wait()
            raise
        if code == 0:
            return
    raise ChildFailedError(args.training_script, {0: ProcessFailure(0, child.pid, code)})


def _command(args):
    rest = [args.training_script, *args.training_script_args]
    if args.no_python:
        return rest
    return [sys.executable, "-m", "rushlight", "run", *(["-m"] if args.module else []), *rest]


@record
def main(args=None):
    """Start the program that the command line names."""
    run(parse_args(args))


if __name__ == "__main__":
    main()
