"""The ``rushlight`` command."""

import argparse
import io
import math
import os
import signal
import sys
from dataclasses import fields
from pathlib import Path

from rushlight.demo.models import MODELS
from rushlight.demo.options import DemoError, Options

__all__ = ["main"]

MOST = 1_000_000
LARGEST_SEED = 2**63 - 1
FAILED = 1
BAD_USE = 2
INTERRUPTED = 130
OUT = Path("rushlight-demo")


def main(arguments=None):
    """Run the command and return the exit code.

    ``arguments`` are those of the command; None takes the arguments of the process.

    Raises:
        SystemExit: from the argument parser, with code 2 and one line for bad options, or code 0
            after ``--help``; or from the program that ``rushlight run`` runs.
    """
    # The names of folders may have characters that the encoding of the output lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    code = BAD_USE
    try:
        chosen = _parser().parse_args(arguments)
        code = chosen.command(chosen)
        _flush()
    except SystemExit:  # raised by the parser, or by the program that is run
        code = _written()
        if code:
            return code
        raise
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        _silence()
        code = FAILED
    except OSError as error:
        if not _written():
            print(f"rushlight: {error}", file=sys.stderr)
        code = FAILED
    # The process is ending because of a signal, so another Ctrl-C is ignored.
    if code >= INTERRUPTED and arguments is None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _flush():
    if sys.stdout is not None:  # a process may be started without standard output
        sys.stdout.flush()


def _silence():
    """Redirect the broken standard output, so that Python's flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _written():
    """Flush the standard output; return 0 on success, else the exit code.

    A failure is reported in one line, unless the reader of a pipe has gone.
    """
    try:
        _flush()
    except ValueError:  # the program closed the standard output
        pass
    except OSError as error:
        _silence()
        if not isinstance(error, BrokenPipeError):
            print(f"rushlight: standard output: {error.strerror}", file=sys.stderr)
        return FAILED
    return 0


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage."""

    def error(self, message):
        self.exit(BAD_USE, f"{self.prog}: {message}\n")


def _parser():
    parser = Parser(prog="rushlight", description="PyTorch's API on NumPy: the command.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_run(commands)
    _add_check(commands)
    _add_adopt(commands)
    devices = commands.add_parser(
        "devices",
        help="list the devices that tensors can be on",
        description="List the devices that tensors can be on, with what they can do.",
    )
    devices.set_defaults(command=_devices)
    return parser


def _add_demo(commands):
    demo = commands.add_parser(
        "demo",
        help="train a network on handwritten digits",
        description="Train a network on real handwritten digits; leave the model, pictures and "
        "numbers in a folder, and prove that the saved model works. Ctrl-C saves the state.",
    )
    demo.set_defaults(command=_demo)

    add, usual = demo.add_argument, Options()
    add("--model", choices=list(MODELS), help=f"kind of network (default: {usual.model})")
    add("--epochs", type=_count, metavar="N",
        help=f"passes over the training images (default: {usual.epochs})")  # fmt: skip
    add("--batch-size", type=_count, metavar="N",
        help=f"images in each step (default: {usual.batch_size})")  # fmt: skip
    add("--lr", type=_rate, metavar="RATE",
        help=f"learning rate at the start (default: {usual.lr})")  # fmt: skip
    add("--seed", type=_seed, metavar="N",
        help=f"the same seed gives the same result (default: {usual.seed})")  # fmt: skip
    add("--data", type=_data, metavar="FOLDER",
        help="a folder of IDX files, as MNIST's, in place of the digits")  # fmt: skip
    add("--device", metavar="NAME",
        help=f"where to compute, such as opencl (default: {usual.device})")  # fmt: skip
    add("--out", type=_folder, metavar="FOLDER", default=OUT,
        help=f"where everything is written (default: {OUT})")  # fmt: skip
    add("--resume", action="store_true", help="go on with the run saved there")


def _add_run(commands):
    run = commands.add_parser(
        "run",
        help="run a PyTorch program on rushlight",
        usage="rushlight run [-h] (SCRIPT | -m MODULE) [ARGUMENT ...]",
        description="Run a Python program as `python` does, unchanged: what it imports as torch "
        "is rushlight. Everything after its name is the program's own.",
    )
    run.set_defaults(command=_run)
    run.add_argument("-m", dest="module", action="store_true", help="run a module, by its name")
    run.add_argument(
        "program",
        metavar="SCRIPT",
        help="the script, a folder with a __main__.py, or - for the standard input",
    )
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT",
        help="what the program is given")  # fmt: skip


def _run(arguments):
    from rushlight.programs.runner import run

    return run(arguments.program, arguments.arguments, module=arguments.module)


def _add_check(commands):
    check = commands.add_parser(
        "check",
        help="list the torch names that a program uses and rushlight lacks",
        description="Read scripts, or all Python files of folders, without running them, and list "
        "the names of torch they use that rushlight lacks. Exit code 1 if there are any.",
    )
    check.set_defaults(command=_check)
    check.add_argument("targets", nargs="+", metavar="FILE", help="a script or a folder")


def _check(arguments):
    from rushlight.programs.check import check

    return check(arguments.targets)


def _add_adopt(commands):
    adopt = commands.add_parser(
        "adopt",
        help="make rushlight the torch of this environment",
        description="Make rushlight the torch and torchvision of the environment it is installed "
        "in: `import torch` gives rushlight, and pip does not bring PyTorch for other libraries.",
    )
    adopt.set_defaults(command=_adopt)
    adopt.add_argument("--undo", action="store_true", help="take it back")
    doctor = commands.add_parser(
        "doctor",
        help="say what this environment has",
        description="Print versions, whose torch this environment has, and which names of torch "
        "the installed libraries use that rushlight lacks.",
    )
    doctor.set_defaults(command=_doctor)
    doctor.add_argument("--all", action="store_true", help="list every name that is missing")


def _adopt(arguments):
    from rushlight.programs.adopt import AdoptError, adopt, undo

    try:
        undo() if arguments.undo else adopt()
    except AdoptError as error:
        print(f"rushlight adopt: {error}", file=sys.stderr)
        return FAILED
    return 0


def _doctor(arguments):
    from rushlight.programs.doctor import doctor

    return doctor(arguments.all)


def _devices(arguments):
    import rushlight as torch

    print(f"cpu       {torch.get_num_threads()} threads")
    for devices in (torch.cuda, torch.xpu, torch.opencl):
        for i in range(devices.device_count()):
            p = devices.get_device_properties(i)
            numbers = "float64" if p.float64 else "no float64"
            name = devices.__name__.rpartition(".")[2]
            driver = f", driver: {p.driver}" if p.driver else ""
            print(
                f"{name}:{i}".ljust(9), f"{p.name} ({p.kind}, {p.multi_processor_count} units, "
                f"{p.total_memory / 2**30:.1f} GiB, {p.version}, {numbers}{driver})",
            )  # fmt: skip
    if not torch.cuda.is_available():
        print(
            "No CUDA device was found. They need llvmlite and NVIDIA's driver (libcuda), and no "
            "CUDA toolkit."
        )
    if not torch.opencl.is_available():
        print(
            "No OpenCL device was found. They need llvmlite and a driver that takes SPIR-V: a "
            "GPU's, or one that runs on the CPU, such as PoCL or `pip install intel-opencl-rt "
            "intel-cmplr-lib-rt`."
        )
    return 0


def _demo(arguments):
    from rushlight.demo.program import run

    given = {field.name: getattr(arguments, field.name) for field in fields(Options)}
    try:
        return run(given, arguments.out, arguments.resume)
    except DemoError as error:
        print(f"rushlight demo: {error}", file=sys.stderr)
        return BAD_USE


def _count(text):
    return _whole(text, 1, MOST)


def _seed(text):
    return _whole(text, 0, LARGEST_SEED)


def _whole(text, least, most):
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
    return number


def _rate(text):
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return number


def _folder(text):
    if not text:
        raise argparse.ArgumentTypeError("the name of a folder is empty")
    return Path(text)


def _data(text):
    return str(_folder(text).absolute())
