"""``rushlight run``: run a program as ``python`` does, but with rushlight as its torch."""

import builtins
import io
import os
import pkgutil
import runpy
import select
import sys
from importlib.machinery import BuiltinImporter, PathFinder, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["run"]

BAD_USE = 2
SHIM = Path(__file__).parent / "shim"  # has the torch that the program's child processes import


def run(program, arguments=(), *, module=False):
    """Run a script, or with ``module`` a module as ``python -m`` does; return the exit code.

    The script may also be a folder or a zip archive with a ``__main__.py``, or "-", the standard
    input.
    """
    import rushlight.as_torch  # noqa: F401  # takes torch's name in this process

    paths = [str(SHIM), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    sys.path.insert(1, str(SHIM))  # multiprocessing gives sys.path to the processes it spawns
    sys.argv[:] = [program, *arguments]
    try:
        if module:
            sys.path[0] = os.getcwd()
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            return _run_main(program)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and not _is_read():
            raise  # the command ends without a message
        frames: Any = error.__traceback__
        while frames.tb_next is not None and _is_ours(frames):
            frames = frames.tb_next
        if _is_ours(frames):  # a script that cannot be compiled has no frames
            frames = None
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        return 1
    return 0


def _is_read():
    """False if the process that reads the standard output has gone."""
    if sys.stdout is None or not hasattr(select, "poll"):
        return sys.stdout is None
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # the program has replaced sys.stdout
        return True
    return not any(events & select.POLLERR for _, events in poll.poll(0))


def _is_ours(frames):
    return frames.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>")


def _run_main(program):
    """Run a script, a folder or archive with a ``__main__.py``, or the standard input for "-"."""
    path = program if program == "-" else os.path.join(os.getcwd(), program)
    if program != "-" and pkgutil.get_importer(path) is not None:
        spec: Any = PathFinder.find_spec("__main__", [path])
        if spec is None:
            print(f"rushlight run: can't find '__main__' module in {path!r}", file=sys.stderr)
            return BAD_USE
        main, code = module_from_spec(spec), spec.loader.get_code("__main__")
        sys.path[0] = path
    else:
        source = _read(program, path)
        if source is None:
            return BAD_USE
        name = "<stdin>" if program == "-" else path
        main, code = _script_module(name), compile(source, name, "exec")
        sys.path[0] = "" if program == "-" else os.path.dirname(os.path.abspath(path))
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main  # kept afterwards, for pickles and functions that run at exit
    exec(code, vars(main))
    return 0


def _read(program, path):
    """Return the bytes of the script, or None after a complaint."""
    if program == "-":
        return sys.stdin.buffer.read()
    try:
        with io.open_code(path) as file:
            return file.read()
    except OSError as error:
        print(f"rushlight run: can't open {program!r}: {error.strerror}", file=sys.stderr)
        return None


def _script_module(name):
    """Return the empty module ``__main__`` of a script, as Python makes it."""
    main: Any = ModuleType("__main__")
    main.__file__ = name
    main.__cached__ = None
    loader = BuiltinImporter if name == "<stdin>" else SourceFileLoader("__main__", name)
    main.__loader__ = loader
    return main
