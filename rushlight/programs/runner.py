"""``rushlight run``: run a program as ``python`` does, but with rushlight as its torch."""

import io
import os
import runpy
import select
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["run"]

BAD_USE = 2
SHIM = Path(__file__).parent / "shim"  # has the torch that the program's child processes import


def run(program, arguments=(), *, module=False):
    """Run a script, or with ``module`` a module as ``python -m`` does; return the exit code."""
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
            source = _read(program)
            if source is None:
                return BAD_USE
            _run_script(program, source)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and not _is_read():
            raise  # the command ends without a message
        frames: Any = error.__traceback__
        while frames.tb_next is not None and _is_ours(frames):
            frames = frames.tb_next
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


def _read(program):
    try:
        with io.open_code(os.path.abspath(program)) as file:
            return file.read()
    except OSError as error:
        print(f"rushlight run: can't open {program!r}: {error.strerror}", file=sys.stderr)
        return None


def _run_script(program, source):
    main: Any = ModuleType("__main__")
    main.__file__ = program
    main.__builtins__ = __builtins__
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    sys.modules["__main__"] = main  # kept afterwards, for pickles and functions that run at exit
    exec(compile(source, program, "exec"), vars(main))
