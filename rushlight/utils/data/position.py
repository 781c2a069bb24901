"""A loader's place in its data, so that another process can go on with the next batch.

A pass (one iteration over the loader) is replayed up to its place. The generators are set to their
states at the beginning of the pass, the sampler is iterated again, and the indices that it gave
before are skipped. The tasks that the workers had not yet answered are saved and sent again. A
sampler or a data set with ``state_dict`` and ``load_state_dict`` is not replayed; it saves and
restores its own state.

The replay is exact if the sampler draws its order when the pass begins, or draws from a generator
that nothing else uses, or draws each index by itself. All samplers of rushlight do so.
"""

import contextlib
from collections import deque
from typing import Any

import numpy as np

from rushlight.random import Generator, default_generator
from rushlight.tensor import from_array
from rushlight.utils.data.fetch import _DatasetKind
from rushlight.utils.data.sampler import Sampler
from rushlight.utils.random_state import at_state, look, plain

__all__ = [
    "Pass", "between", "check", "generators", "is_stateful", "outside", "replayed",
    "restore_sampler", "stateful_sampler",
]  # fmt: skip


def is_stateful(thing):
    """True if ``thing`` has ``state_dict`` and ``load_state_dict``."""
    if isinstance(thing, type):  # a class has the methods, but no state
        return False
    return callable(getattr(thing, "state_dict", None)) and hasattr(thing, "load_state_dict")


def stateful_sampler(loader):
    """Return the sampler of ``loader`` that saves its own state; None if no sampler does."""
    return next((s for s in _samplers(loader) if is_stateful(s)), None)


def _samplers(loader):
    batches = getattr(loader, "batch_sampler", None)  # a library's own loader may have no samplers
    found = batches, getattr(batches, "sampler", None), getattr(loader, "sampler", None)
    return [s for s in found if s is not None]


def generators(loader):
    """Return the generators of the loader and its samplers, without the default generator."""
    found = {}
    for owner in (loader, *_samplers(loader)):
        generator = getattr(owner, "generator", None)
        if isinstance(generator, Generator) and generator is not default_generator:
            found[id(generator)] = generator
    return list(found.values())


def _is_exhausted(sampler, drawn):
    """True if the sampler's length is known and at most ``drawn``: no index is left."""
    try:
        return drawn >= len(sampler)
    except (NotImplementedError, TypeError):
        return False


class Pass:
    """The place of a pass. A loader keeps it after the pass's iterator is gone.

    Attributes:
        first: True if this pass drew the workers' seed, as the first pass of an iterator does.
        drawn: The number of indices that the sampler has given.
        batches: The number of batches that the caller has got.
        ended: True if the caller has got the last batch.
        fetched: True if the stream (without workers) has given its last sample.
        tasks: (worker id, index) of each task without an answer, the oldest first.
        active: For each worker, False if its stream has ended.
        turn: The id of the worker that gets the next task.
        workers: The ``Progress`` of the workers; None without workers.
    """

    def __init__(self, loader):
        self.num_workers, self.dataset = loader.num_workers, loader.dataset
        self.index_sampler, self.sampler = loader._index_sampler, stateful_sampler(loader)
        self.generators = generators(loader)
        self.any_draws = loader._dataset_kind == _DatasetKind.Iterable or not all(
            type(sampler).__module__ == Sampler.__module__ for sampler in _samplers(loader)
        )
        self.base_seed = self.drawn = self.batches = 0
        self.fetched = False
        self.workers: Any = None

    def begin(self):
        """Note the states of all generators at the beginning of the pass."""
        self.first = self.ended = False
        # Rushlight's samplers draw from torch's generators only. A user's code may also draw from
        # those of Python and NumPy.
        self.seen = look() if self.any_draws else default_generator.state_bytes()
        self.states = [g.state_bytes() for g in self.generators]

    @property
    def start(self):
        """The states of the generators at the beginning of the pass."""
        random = plain(self.seen) if self.any_draws else {"torch": from_array(self.seen)}
        return {"random": random, "generators": [from_array(state) for state in self.states]}

    def under_way(self, tasks, active, turn):
        """Set the tasks without answers, the active workers and the worker whose turn is next."""
        self.tasks, self.active, self.turn = deque(tasks), list(active), turn

    def answered(self, worker_id, ended):
        """Note an answer of a worker: drop its oldest task.

        With ``ended`` the worker's stream has ended, so all of its tasks are dropped.
        """
        if ended:
            self.active[worker_id] = False
            self.tasks = deque(task for task in self.tasks if task[0] != worker_id)
        else:
            del self.tasks[next(i for i, (w, _) in enumerate(self.tasks) if w == worker_id)]

    def state(self):
        """Return the place as a dict, for ``DataLoader.state_dict``."""
        place = {
            "num_workers": self.num_workers,
            "start": None if self.ended else self.start,
            "first": self.first and not self.ended,
            "base_seed": self.base_seed,
            "batches": self.batches,
            "drawn": self.drawn,
            "exhausted": _is_exhausted(self.index_sampler, self.drawn),
            "fetched": self.fetched,
            **_own_states(self),
        }
        if self.workers is not None:
            place["tasks"] = [(worker_id, _plain(index)) for worker_id, index in self.tasks]
            place.update(turn=self.turn, active=list(self.active), workers=self.workers.state())
        return place


def _own_states(owner):
    """Return the states of the generators, and of a sampler and a data set that save their own."""
    sampler, dataset = owner.sampler, owner.dataset
    own = owner.num_workers == 0 and is_stateful(dataset)
    return {
        "generators": [g.get_state() for g in owner.generators],
        "sampler": None if sampler is None else sampler.state_dict(),
        "dataset": dataset.state_dict() if own else None,
    }


def outside(loader):
    """Return the place of a loader that has not begun a pass yet."""
    return {"num_workers": loader.num_workers, "start": None, **_own_states(Pass(loader))}


@contextlib.contextmanager
def replayed(position, own):
    """Set all generators to the beginning of the pass during the ``with`` block.

    After the block, the generators ``own`` get their states at ``position``. Python's, NumPy's and
    the default generator get back the states that they had before the block.
    """
    with at_state(position["start"]["random"]):
        _set(own, position["start"]["generators"])
        yield
    _set(own, position["generators"])


def restore_sampler(loader, position):
    """Restore the sampler if it saved its own state in ``position``."""
    if position["sampler"] is not None:
        sampler = stateful_sampler(loader)
        if sampler is None:
            raise ValueError("DataLoader: the state is of a sampler with load_state_dict")
        sampler.load_state_dict(position["sampler"])


def between(loader, position):
    """Bring the loader to a place that lies between two passes."""
    _set(generators(loader), position["generators"])
    if position.get("dataset") is not None and loader.num_workers == 0:
        loader.dataset.load_state_dict(position["dataset"])


def _set(own, states):
    for generator, state in zip(own, states, strict=True):
        generator.set_state(state)


def check(position, loader):
    """Refuse a position that was saved by a different kind of loader.

    Raises:
        ValueError: ``position`` has another number of workers or of generators than ``loader``.
    """
    if position["num_workers"] != loader.num_workers:
        raise ValueError(
            f"DataLoader: the state was saved with num_workers={position['num_workers']}, and this "
            f"loader has {loader.num_workers}: make it with as many"
        )
    if len(position["generators"]) != len(generators(loader)):
        raise ValueError(
            f"DataLoader: the state was saved with {len(position['generators'])} generators, and "
            f"this loader and its samplers have {len(generators(loader))}"
        )


def _plain(index):
    """Convert the NumPy scalars in a sampler's index to Python's numbers.

    ``load(weights_only=True)`` refuses files with NumPy scalars.
    """
    if isinstance(index, np.generic):
        return index.item()
    if isinstance(index, (list, tuple)) and not hasattr(index, "_fields"):
        return type(index)([_plain(i) for i in index])
    return index
