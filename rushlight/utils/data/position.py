"""A loader's place in its data, so that another process goes on with the next batch.

A pass is replayed up to its place: the generators are set to where they were when it began, the
sampler is asked again, and what it has given is left out. What was under way in the workers is kept
as it is. A sampler or a data set with ``state_dict`` and ``load_state_dict`` is asked instead. This
is exact where an order is drawn when the pass begins or from a generator that nothing else uses, as
by all samplers here, or where each index is a draw of its own.
"""

import contextlib
from collections import deque
from typing import Any

import numpy as np

from rushlight.random import Generator, default_generator
from rushlight.tensor import from_array
from rushlight.utils.data.dataset import IterableDataset
from rushlight.utils.data.sampler import Sampler
from rushlight.utils.random_state import at_state, look, plain

__all__ = [
    "Pass", "between", "check", "generators", "is_stateful", "outside", "replayed",
    "restore_sampler", "stateful_sampler",
]  # fmt: skip


def is_stateful(thing):
    """True for what saves and restores its own state."""
    return callable(getattr(thing, "state_dict", None)) and hasattr(thing, "load_state_dict")


def stateful_sampler(loader):
    """The sampler of ``loader`` that saves its own state; None where none does."""
    return next((s for s in _samplers(loader) if is_stateful(s)), None)


def _samplers(loader):
    inner = getattr(loader.batch_sampler, "sampler", None)
    return [s for s in (loader.batch_sampler, inner, loader.sampler) if s is not None]


def generators(loader):
    """The generators that the loader and its samplers draw from, without the default one."""
    found = {}
    for owner in (loader, *_samplers(loader)):
        generator = getattr(owner, "generator", None)
        if isinstance(generator, Generator) and generator is not default_generator:
            found[id(generator)] = generator
    return list(found.values())


def _is_exhausted(sampler, drawn):
    """True where a sampler of known length has given all."""
    try:
        return drawn >= len(sampler)
    except (NotImplementedError, TypeError):
        return False


class Pass:
    """Where a pass is: what a loader keeps of it when its iterator is gone.

    Attributes:
        first: It drew the workers' seed, as the first pass of an iterator does.
        drawn, batches: How many indices the sampler gave, and how many batches were given on.
        ended, fetched: It gave its last batch; the stream gave its last sample.
        tasks: (whose answer is awaited, of which index), oldest first.
        active: For each worker, False where its stream has ended.
        turn: The worker whose turn it is.
        workers: Their Progress.
    """

    def __init__(self, loader):
        self.num_workers, self.dataset = loader.num_workers, loader.dataset
        self.index_sampler, self.sampler = loader._index_sampler, stateful_sampler(loader)
        self.generators = generators(loader)
        self.any_draws = isinstance(loader.dataset, IterableDataset) or not all(
            type(sampler).__module__ == Sampler.__module__ for sampler in _samplers(loader)
        )
        self.base_seed = self.drawn = self.batches = 0
        self.fetched = False
        self.workers: Any = None

    def begin(self):
        """Note where all generators are."""
        self.first = self.ended = False
        # What is ours draws from torch's generators only; what is a user's, from any.
        self.seen = look() if self.any_draws else default_generator.state_bytes()
        self.states = [g.state_bytes() for g in self.generators]

    @property
    def start(self):
        """Where the generators were."""
        random = plain(self.seen) if self.any_draws else {"torch": from_array(self.seen)}
        return {"random": random, "generators": [from_array(state) for state in self.states]}

    def under_way(self, tasks, active, turn):
        """Begin with these tasks, of these workers."""
        self.tasks, self.active, self.turn = deque(tasks), list(active), turn

    def answered(self, worker_id, ended):
        """A worker answered its oldest task, or all of them by the end of its stream."""
        if ended:
            self.active[worker_id] = False
            self.tasks = deque(task for task in self.tasks if task[0] != worker_id)
        else:
            del self.tasks[next(i for i, (w, _) in enumerate(self.tasks) if w == worker_id)]

    def state(self):
        """What ``DataLoader.state_dict`` gives."""
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
    """Of the generators, and of the sampler and the data set where they save their own."""
    sampler, dataset = owner.sampler, owner.dataset
    own = owner.num_workers == 0 and is_stateful(dataset)
    return {
        "generators": [g.get_state() for g in owner.generators],
        "sampler": None if sampler is None else sampler.state_dict(),
        "dataset": dataset.state_dict() if own else None,
    }


def outside(loader):
    """The place of a loader of which there was no pass yet."""
    return {"num_workers": loader.num_workers, "start": None, **_own_states(Pass(loader))}


@contextlib.contextmanager
def replayed(position, own):
    """Inside, it is the moment at which the pass began; afterwards, that of ``position``."""
    with at_state(position["start"]["random"]):
        _set(own, position["start"]["generators"])
        yield
    _set(own, position["generators"])


def restore_sampler(loader, position):
    """Give a sampler that saves its own state the state that it had."""
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
    """Refuse the position of another loader.

    Raises:
        ValueError: it has another number of workers or of generators.
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
    """A sampler's index without NumPy's scalars, which a safe file does not hold."""
    if isinstance(index, np.generic):
        return index.item()
    if isinstance(index, (list, tuple)) and not hasattr(index, "_fields"):
        return type(index)([_plain(i) for i in index])
    return index
