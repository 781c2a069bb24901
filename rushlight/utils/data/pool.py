"""The loader's side of its workers: start the processes, send tasks, receive answers, end them."""

import contextlib
import os
import pickle
import signal
import time
from multiprocessing import connection, reduction, util

import numpy.random  # noqa: F401  (imported before the fork, so that no worker must import it)

from rushlight.utils.data import transport, worker

__all__ = ["WorkerPool"]

LIVENESS_CHECK = 5.0  # seconds between checks that silent workers still live
SHUTDOWN = worker.GRACE + 0.5  # seconds after which a worker that does not end is terminated


class WorkerPool:
    """The worker processes. Each answers its tasks in the order in which it gets them."""

    def __init__(self, context, job):
        self.owner = os.getpid()
        self.closed = False
        self.connections = []
        self.processes = []
        try:
            for worker_id in range(job.num_workers):
                self._start(context, job, worker_id)
        except BaseException:
            self.close()
            raise

    def _start(self, context, job, worker_id):
        ours, theirs = context.Pipe()
        # A process that is forked later must not hold our end of the pipe. Otherwise the workers
        # would not notice when this process is gone.
        util.register_after_fork(ours, _close)
        process = context.Process(target=worker.run, args=(theirs, job, worker_id), daemon=True)
        with contextlib.closing(theirs):
            try:
                with worker.interrupts_held():
                    process.start()
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                error.add_note(
                    f"DataLoader: to start a worker by {context.get_start_method()!r}, the data "
                    "set, collate_fn and worker_init_fn are pickled. Define them at the top level "
                    "of a module, or pass multiprocessing_context='fork'."
                )
                raise
        self.connections.append(ours)
        self.processes.append(process)

    def send(self, worker_id, kind, index=None):
        """Send a task to a worker. This never blocks for long, because workers read tasks ahead."""
        task = reduction.ForkingPickler.dumps((kind, index))
        # If the worker is gone, ``receive`` reports it.
        with self._closing_when_interrupted(), contextlib.suppress(OSError):
            self.connections[worker_id].send_bytes(task)

    def receive(self, worker_ids, timeout=0):
        """Wait for a message of one of these workers; return (id, kind, content, state).

        If several workers have a message, the first of them in ``worker_ids`` is taken.

        Raises: RuntimeError if no message comes for ``timeout`` seconds (0: wait without limit), or
        if a worker is gone.
        """
        with self._closing_when_interrupted():
            worker_id = self._await(worker_ids, timeout)
            try:
                packed = transport.receive(self.connections[worker_id])
            except (EOFError, OSError):
                raise self._loss(worker_id) from None
        return worker_id, *transport.unpack(*packed)

    def _await(self, worker_ids, timeout):
        pipes = [self.connections[i] for i in worker_ids]
        while not (ready := connection.wait(pipes, timeout or LIVENESS_CHECK)):
            if timeout:
                raise RuntimeError(
                    f"DataLoader timed out after {timeout} seconds; "
                    f"it waits for worker {' or '.join(map(str, worker_ids))}"
                )
            # The pipe of a worker that is gone stays open if a process that it forked holds the
            # pipe, too. So the processes are checked as well.
            lost = [i for i in worker_ids if not self.processes[i].is_alive()]
            if lost and not connection.wait(pipes, 0):
                raise self._loss(lost[0])
        return next(i for i in worker_ids if self.connections[i] in ready)

    def _loss(self, worker_id):
        """Shut down all workers and return the error that says how this worker ended."""
        process = self.processes[worker_id]
        process.join(SHUTDOWN)
        code = process.exitcode
        self.close()
        which = f"it was worker {worker_id} of {len(self.processes)}"
        if code is not None and code < 0:
            name = signal.strsignal(-code) or f"signal {-code}"
            hint = ""
            if name == "Killed":
                hint = "; often memory ran out: use fewer workers or smaller batches"
            return RuntimeError(
                f"DataLoader worker (pid {process.pid}) is killed by signal: {name}. {which}{hint}"
            )
        return RuntimeError(
            f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly, "
            f"with exit code {code}; {which}"
        )

    @contextlib.contextmanager
    def _closing_when_interrupted(self):
        try:
            yield
        except Exception:
            raise
        except BaseException:  # KeyboardInterrupt may leave half a message in a pipe
            self.close()
            raise

    def close(self):
        """End the workers: ask them, wait for samples that are being read, then terminate."""
        if self.closed or os.getpid() != self.owner:  # a forked copy owns no worker
            return
        self.closed = True
        for ours in self.connections:
            with contextlib.suppress(OSError):
                ours.send_bytes(worker.STOP)
            ours.close()
        deadline = time.monotonic() + SHUTDOWN
        try:
            for process in self.processes:
                process.join(max(0, deadline - time.monotonic()))
        finally:
            for process in self.processes:
                if process.is_alive():
                    process.terminate()
                    process.join(1)
                if process.is_alive():
                    process.kill()
                    process.join(1)


def _close(pipe):
    pipe.close()
