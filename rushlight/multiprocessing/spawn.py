"""Run a function in several processes; their errors reach the caller with tracebacks."""

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import traceback
from multiprocessing import connection

__all__ = [
    "ProcessContext", "ProcessException", "ProcessExitedException", "ProcessRaisedException",
    "SpawnContext", "spawn", "start_processes",
]  # fmt: skip

FAILED = 1  # exit code of a process whose function raised


class ProcessException(Exception):
    """One of several processes failed.

    Attributes:
        error_index: The index of the process, from 0.
        pid: The id of the process.
    """

    def __init__(self, msg, error_index, error_pid):
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.pid = error_pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """The function raised; the message holds its traceback."""


class ProcessExitedException(ProcessException):
    """The process ended by a signal, or with an exit code of its own.

    Attributes:
        exit_code: The exit code, negative if a signal ended the process.
        signal_name: The name of the signal, or None.
    """

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.pid, self.exit_code, self.signal_name)


def _run(fn, index, args, error_file):
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass  # the parent gets Ctrl-C, too, and reports it
    except Exception:
        with open(error_file, "wb") as file:
            pickle.dump(traceback.format_exc(), file)
        sys.exit(FAILED)


class ProcessContext:
    """The processes of ``start_processes(join=False)``.

    Args:
        processes: The processes, started.
        error_files: The names of the files to which the processes write their errors, in the same
            order.

    >>> import math, rushlight as torch
    >>> context = torch.multiprocessing.start_processes(math.sqrt, join=False)
    >>> context.join()
    True
    """

    def __init__(self, processes, error_files):
        self.processes = processes
        self.error_files = error_files
        self.sentinels = {process.sentinel: i for i, process in enumerate(processes)}

    def pids(self):
        """Return the processes' ids.

        Returns:
            List of ints.
        """
        return [process.pid for process in self.processes]

    def join(self, timeout=None, grace_period=None):
        """Wait until another process ends.

        Args:
            timeout: Seconds to wait at most. Default: no limit.
            grace_period: Seconds that the others have to end if one process fails; they are
                terminated, and then killed. Default: 30.

        Returns:
            True once all processes have ended.

        Raises:
            ProcessRaisedException: The function raised an error in a process.
            ProcessExitedException: A process was killed, or exited with a code other than 0.
        """
        if not self.sentinels:
            return True
        failed = None
        for sentinel in connection.wait(list(self.sentinels), timeout):
            index = self.sentinels.pop(sentinel)
            process = self.processes[index]
            process.join()
            if process.exitcode != 0 and failed is None:
                failed = index
        if failed is not None:
            self._end(grace_period)
            raise self._failure(failed)
        if not self.sentinels:
            self._forget()
        return not self.sentinels

    def _end(self, grace_period):
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join(grace_period if grace_period is not None else 30)
            if process.is_alive():
                process.kill()
                process.join()

    def _failure(self, index):
        process = self.processes[index]
        with open(self.error_files[index], "rb") as file:
            text = file.read()
        self._forget()
        if text:
            message = f"\n\n-- Process {index} terminated with the following error:\n"
            return ProcessRaisedException(message + pickle.loads(text), index, process.pid)
        code = process.exitcode
        if code < 0:
            name = signal.Signals(-code).name
            message = f"process {index} terminated with signal {name}"
            return ProcessExitedException(message, index, process.pid, code, name)
        message = f"process {index} terminated with exit code {code}"
        return ProcessExitedException(message, index, process.pid, code)

    def _forget(self):
        for path in self.error_files:
            if os.path.exists(path):
                os.unlink(path)


class SpawnContext(ProcessContext):
    """The processes of ``spawn(join=False)``.

    Args:
        processes: The processes, started.
        error_files: The names of the files to which the processes write their errors, in the same
            order.

    >>> import math, rushlight as torch
    >>> context = torch.multiprocessing.spawn(math.sqrt, join=False)
    >>> context.join()
    True
    """


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Run ``fn(i, *args)`` for i from 0 to ``nprocs - 1``, each in a new process.

    Args:
        fn: The function, which must be importable. It gets the index of its process and ``args``.
        args: Tuple of further arguments. Tensors are moved to shared memory. Views, tensors with
            views, and NumPy's memory are copied, unless ``share_memory_`` moved them before.
            Default: ``()``.
        nprocs: Number of processes. Default: 1.
        join: Wait until all processes have ended. Default: True.
        daemon: End the processes when this process ends. Default: False.
        start_method: How processes are started: ``"spawn"``, ``"fork"`` or ``"forkserver"``.
            Default: ``"spawn"``.

    Returns:
        None, or with ``join=False`` the ``ProcessContext``.

    Raises:
        ProcessRaisedException: ``fn`` raised an error in a process; the others are terminated.
        ProcessExitedException: A process was killed, or exited with a code other than 0.

    >>> import math, rushlight as torch
    >>> torch.multiprocessing.start_processes(math.sqrt)
    """
    context = multiprocessing.get_context(start_method)
    processes, error_files = [], []
    for index in range(nprocs):
        descriptor, path = tempfile.mkstemp(prefix="rushlight-errors-", suffix=".pickle")
        os.close(descriptor)
        process = context.Process(target=_run, args=(fn, index, args, path), daemon=daemon)
        process.start()
        processes.append(process)
        error_files.append(path)
    kind = SpawnContext if start_method == "spawn" else ProcessContext
    made = kind(processes, error_files)
    if not join:
        return made
    while not made.join():
        pass
    return None


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Run ``fn(i, *args)`` for i from 0 to ``nprocs - 1``, each in a new process.

    Args:
        fn: The function, which must be importable. It gets the index of its process and ``args``.
        args: Tuple of further arguments. Tensors are moved to shared memory. Views, tensors with
            views, and NumPy's memory are copied, unless ``share_memory_`` moved them before.
            Default: ``()``.
        nprocs: Number of processes. Default: 1.
        join: Wait until all processes have ended. Default: True.
        daemon: End the processes when this process ends. Default: False.
        start_method: How processes are started: ``"spawn"``, ``"fork"`` or ``"forkserver"``.
            Default: ``"spawn"``.

    Returns:
        None, or with ``join=False`` the ``ProcessContext``.

    Raises:
        ProcessRaisedException: ``fn`` raised an error in a process; the others are terminated.
        ProcessExitedException: A process was killed, or exited with a code other than 0.

    >>> import math, rushlight as torch
    >>> torch.multiprocessing.spawn(math.sqrt, nprocs=2)
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)
