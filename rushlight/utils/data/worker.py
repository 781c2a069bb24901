"""The worker process: it reads tasks, sends batches, and never outlives its loader."""

import _thread
import contextlib
import os
import pickle
import queue
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import rushlight as torch
from rushlight.utils import random_state
from rushlight.utils.data import piping
from rushlight.utils.data.fetch import _DatasetKind, fetcher
from rushlight.utils.data.position import is_stateful

__all__ = ["Failure", "Job", "WorkerInfo", "get_worker_info", "run"]

PARENT_CHECK = 5.0  # seconds between checks that the parent process still lives
GRACE = 5.0  # seconds that reading a sample may still take after the loader is gone

# The kinds of tasks that the loader sends, then the kinds of messages that a worker answers with.
STOP = b"stop"  # sent as it is: no pickle begins with these bytes
FETCH, SKIP, RESUME = "fetch", "skip", "resume"
BATCH, FAILED, ENDED, RESUMED = "batch", "failed", "ended", "resumed"


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Describes a worker process: its id (from 0), the number of workers, seed and data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info():
    """Return what a DataLoader's worker process may ask about itself.

    Returns:
        ``WorkerInfo`` with ``id``, ``num_workers``, ``seed`` and ``dataset``; None outside of a
        worker.

    >>> import rushlight as torch
    >>> class Shard(torch.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         info = torch.utils.data.get_worker_info()
    ...         first, step = (info.id, info.num_workers) if info else (0, 1)
    ...         return iter(range(first, 6, step))
    >>> list(Shard())
    [0, 1, 2, 3, 4, 5]
    """
    return _worker_info


@dataclass(frozen=True, slots=True)
class Job:
    """The data that every worker of one iterator gets at its start."""

    kind: int
    dataset: Any
    batched: bool
    collate_fn: Callable
    drop_last: bool
    base_seed: int
    num_workers: int
    worker_init_fn: Callable | None
    restored: list | None  # ``Progress.restored``


class Failure:
    """An exception of a worker, as its type and text, that the loader raises again."""

    def __init__(self, error, worker_id):
        self.kind = type(error)
        self.text = (
            f"Caught {self.kind.__name__} in DataLoader worker process {worker_id}.\n"
            f"Original {''.join(traceback.format_exception(error))}"
        )
        try:
            pickle.dumps(self.kind)
        except Exception:  # a class without an importable name cannot be pickled
            self.kind = RuntimeError

    def reraise(self):
        text = _Verbatim(self.text) if self.kind is KeyError else self.text
        try:
            if getattr(self.kind, "message", None):
                error = self.kind(message=text)
            else:
                error = self.kind(text)
        except Exception:  # the constructor of the class takes other arguments
            error = RuntimeError(text)
        raise error from None


class _Verbatim(str):
    """A text whose repr is the text itself, because ``KeyError`` prints its argument's repr."""

    __slots__ = ()
    __repr__ = str.__str__


class Inbox(threading.Thread):
    """A thread that reads tasks ahead, so that the loader never waits to send a task.

    The thread also notices when the loader is gone, and ends the process if the work goes on for
    more than ``GRACE`` seconds after that.
    """

    def __init__(self, connection):
        super().__init__(daemon=True)
        self.connection = connection
        self.tasks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.closed = False
        self.interrupted = False

    def run(self):
        try:
            self._read()
        except (EOFError, OSError):
            pass
        finally:
            self.closed = True
            self.tasks.put(None)
        if self.interrupted:
            _raise_in_main_thread(signal.SIGINT)
        time.sleep(GRACE)
        os._exit(1)

    def _read(self):
        parent = os.getppid()
        # The pipe closes when the loader is gone. But a process that the user forked may hold the
        # other end of the pipe, too. Then only the new parent id shows that the loader is gone.
        while os.getppid() == parent:
            if self.connection.poll(PARENT_CHECK):
                task = self.connection.recv_bytes()
                if task == STOP:
                    return
                self.tasks.put(task)

    def __iter__(self):
        return iter(self.tasks.get, None)

    def interrupt(self, signum, frame):
        """Handle SIGINT: stop at once if the loader is gone, else let the loader decide.

        Ctrl-C sends the signal to all processes of the group. The loader's process decides what to
        do; it may finish the epoch, for example.
        """
        self.interrupted = True
        if self.closed:
            raise KeyboardInterrupt


def _raise_in_main_thread(signum):
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signum)
    else:
        _thread.interrupt_main(signum)


def run(connection, job, worker_id):
    """Work as worker ``worker_id`` of ``job`` until the loader stops it or closes its pipe."""
    inbox = Inbox(connection)
    signal.signal(signal.SIGINT, inbox.interrupt)
    # A forked worker inherits the SIGTERM handler of the loader's process; it must not run here.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Each of these errors means that the loader is gone.
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        inbox.start()
        try:
            Worker(connection, job, worker_id).work(inbox)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt


@contextlib.contextmanager
def interrupts_held():
    """Block SIGINT while a worker starts, because at first it has the loader's handler."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where workers are spawned
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """Answers each task with one message: a batch, a failure, or the end of the data."""

    def __init__(self, connection, job, worker_id):
        global _worker_info
        self.connection = connection
        self.job = job
        self.id = worker_id
        self.init_failure = None
        torch.set_num_threads(1)  # the workers run in parallel already
        seed = _seed(job.base_seed, worker_id)
        _worker_info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)
        try:
            piping.share(job.dataset, job.num_workers, worker_id)
            if job.worker_init_fn is not None:
                job.worker_init_fn(worker_id)
            if job.restored is not None:
                self._restore(*job.restored[worker_id])
        except Exception as error:
            self.init_failure = Failure(error, worker_id)
        self.known = random_state.look()
        self._start_pass()
        if job.restored is not None and self.failure is None:
            self.fetcher.ended = job.restored[worker_id][2]

    def _restore(self, generators, dataset, _):
        if generators is not None:
            random_state.restore(generators)
        if dataset is not None:
            self.job.dataset.load_state_dict(dataset)

    def work(self, inbox):
        for task in inbox:
            # No variable holds the answer, so that a batch is freed before the next one is made.
            self._send(self._answer(task))

    def _state(self, always=False):
        """Return the states of the generators and the data set, for ``DataLoader.state_dict``.

        Returns None if nothing changed since the last answer, unless ``always``.
        """
        if not always and self.failure is None and not self.fetcher.draws:
            return None
        own_state = is_stateful(self.job.dataset)
        seen = random_state.look()
        if not (always or own_state) and seen == self.known:
            return None
        self.known = seen
        dataset = self.job.dataset.state_dict() if own_state else None
        ended = self.failure is None and self.fetcher.ended
        return {"random": seen, "dataset": dataset, "ended": ended}

    def _start_pass(self):
        job = self.job
        self.ended = False
        self.failure = self.init_failure
        if self.failure is None:
            try:
                self.fetcher = fetcher(
                    job.kind, job.dataset, job.batched, job.collate_fn, job.drop_last
                )
            except Exception as error:
                self.failure = Failure(error, self.id)

    def _answer(self, task):
        try:
            kind, index = pickle.loads(task)
            if kind == RESUME:
                piping.seed_again(self.job.dataset, index)
                self._start_pass()
                return RESUMED, None, self._state(always=True)
            if self.ended:
                return None
            if self.failure is not None:
                return FAILED, self.failure, None
            batch = self.fetcher.fetch(index)
            return BATCH, batch if kind == FETCH else None, self._state()
        except Exception as error:
            if isinstance(error, StopIteration) and self.job.kind == _DatasetKind.Iterable:
                self.ended = True
                return ENDED, None, self._state()
            return FAILED, Failure(error, self.id), self._state()

    def _send(self, message):
        from rushlight.utils.data import transport

        if message is None:
            return
        try:
            packed = transport.pack(message)
        except Exception as error:
            packed = transport.pack((FAILED, Failure(error, self.id), None))
        transport.send(self.connection, *packed)


def _seed(base_seed, worker_id):
    """Seed every generator of this process as PyTorch seeds its workers; return the seed."""
    seed = base_seed + worker_id
    random.seed(seed)
    torch.manual_seed(seed)
    np.random.seed(_generate_state(base_seed, worker_id))
    return seed


def _generate_state(base_seed, worker_id):
    """Return the four numbers that seed NumPy's generator in a worker.

    The generator is an MT19937, as torch's is. The seed is mixed, so that it draws other numbers.
    """
    mixed = np.random.SeedSequence([worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0])
    return mixed.generate_state(4).tolist()
