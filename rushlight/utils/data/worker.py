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

import rushlight as torch
from rushlight.utils import random_state
from rushlight.utils.data.dataset import IterableDataset
from rushlight.utils.data.position import is_stateful

__all__ = ["Failure", "Job", "WorkerInfo", "get_worker_info", "run"]

PARENT_CHECK = 5.0  # seconds between looks at the parent, where its pipe does not tell
GRACE = 5.0  # seconds that a sample under way may still take once the loader is gone

# What a task asks for, and what a message brings.
STOP = b"stop"  # no pickle begins so
FETCH, SKIP, RESUME = "fetch", "skip", "resume"
BATCH, FAILED, ENDED, RESUMED = "batch", "failed", "ended", "resumed"


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Which worker this process is: its id of ``num_workers``, its seed and its data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info():
    """The ``WorkerInfo`` of this process inside a worker of a DataLoader, elsewhere None.

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
    """What every worker of one iterator is told at its start."""

    dataset: Any
    batched: bool
    collate_fn: Callable
    drop_last: bool
    base_seed: int
    num_workers: int
    worker_init_fn: Callable | None
    restored: list | None  # of each worker: its generators or None, its data set, whether it ended


class Failure:
    """An exception of a worker as its type and text, to be raised again by the loader."""

    def __init__(self, error, worker_id):
        self.kind = type(error)
        self.text = (
            f"Caught {self.kind.__name__} in DataLoader worker process {worker_id}.\n"
            f"Original {''.join(traceback.format_exception(error))}"
        )
        try:
            pickle.dumps(self.kind)
        except Exception:  # a class without an importable name cannot travel
            self.kind = RuntimeError

    def reraise(self):
        text = _Verbatim(self.text) if self.kind is KeyError else self.text
        try:
            if getattr(self.kind, "message", None):
                error = self.kind(message=text)
            else:
                error = self.kind(text)
        except Exception:  # its constructor wants something else
            error = RuntimeError(text)
        raise error from None


class _Verbatim(str):
    """A text that ``KeyError``, which prints its argument's repr, prints as it is."""

    __slots__ = ()
    __repr__ = str.__str__


class Inbox(threading.Thread):
    """Reads tasks ahead of the work, so that the loader never waits to hand one over.

    It also sees the loader go away while the work is busy, and then ends it.
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
        # The pipe's end tells that the loader is gone. A process that the user forked may hold
        # the other end too; then a new parent tells.
        while os.getppid() == parent:
            if self.connection.poll(PARENT_CHECK):
                task = self.connection.recv_bytes()
                if task == STOP:
                    return
                self.tasks.put(task)

    def __iter__(self):
        return iter(self.tasks.get, None)

    def interrupt(self, signum, frame):
        """Handle SIGINT: stop at once if the loader is gone, else leave it to the loader.

        Ctrl-C reaches the whole process group, and the loader's process decides what it means:
        it may well finish the epoch.
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
    """Be worker ``worker_id`` of ``job`` until the loader closes ``connection``."""
    inbox = Inbox(connection)
    signal.signal(signal.SIGINT, inbox.interrupt)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not a handler of the loader's process
    # Each of these tells that the loader is gone.
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
    """Keep SIGINT waiting while a worker starts: at first it has the loader's handler."""
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
        torch.set_num_threads(1)  # the workers are the parallelism
        seed = _seed(job.base_seed, worker_id)
        _worker_info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)
        try:
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
            # In one expression, so that a batch is freed before the next one is made.
            self._send(self._answer(task))

    def _state(self, always=False):
        """The generators and the data set, for ``DataLoader.state_dict``; None if unchanged."""
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
        from rushlight.utils.data.fetch import fetcher

        job = self.job
        self.ended = False
        self.failure = self.init_failure
        if self.failure is None:
            try:
                self.fetcher = fetcher(job.dataset, job.batched, job.collate_fn, job.drop_last)
            except Exception as error:
                self.failure = Failure(error, self.id)

    def _answer(self, task):
        try:
            kind, index = pickle.loads(task)
            if kind == RESUME:
                self._start_pass()
                return RESUMED, None, self._state(always=True)
            if self.ended:
                return None
            if self.failure is not None:
                return FAILED, self.failure, None
            batch = self.fetcher.fetch(index)
            return BATCH, batch if kind == FETCH else None, self._state()
        except Exception as error:
            if isinstance(error, StopIteration) and isinstance(self.job.dataset, IterableDataset):
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
    """Seed every generator of this process as PyTorch seeds its workers'; its seed."""
    import numpy as np

    seed = base_seed + worker_id
    random.seed(seed)
    torch.manual_seed(seed)
    # NumPy starts from the same kind of state (MT19937); mixed, it draws other numbers.
    mixed = np.random.SeedSequence([worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0])
    np.random.seed(mixed.generate_state(4))
    return seed
