"""DataLoader.state_dict: a loader that goes on gives what the loader before would have given."""

import io
import multiprocessing
import pickle
import random

import numpy as np
import pytest

import rushlight as torch
from rushlight.utils import data, random_state
from tests.daily import daily

pytestmark = [
    pytest.mark.usefixtures("no_process_is_left"),
    # Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*This DataLoader will create:UserWarning"),
]
N = 15


class Augmented(data.Dataset):
    """Samples with draws of every generator of the process that reads them."""

    def __len__(self):
        return N

    def __getitem__(self, index):
        drawn = [random.random(), float(np.random.rand()), torch.rand(()).item()]
        return torch.tensor([index, *drawn], dtype=torch.float64)


class Stream(data.IterableDataset):
    """Each worker's share, of two lengths, in a random order with noise."""

    def __iter__(self):
        info = data.get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        order = list(range(first, N - 4 * first, step))
        random.shuffle(order)
        for i in order:
            yield torch.tensor([i, np.random.rand()], dtype=torch.float64)


class Counting(data.IterableDataset):
    """A stream that saves its own place."""

    def __init__(self):
        self.next = 0

    def __iter__(self):
        while self.next < N:
            self.next += 1
            yield torch.tensor([self.next, random.random()], dtype=torch.float64)
        self.next = 0

    def state_dict(self):
        return {"next": self.next}

    def load_state_dict(self, state):
        self.next = state["next"]


class Lazy(data.Sampler):
    """Draws each index from the default generator when it is asked for it."""

    def __iter__(self):
        for _ in range(N):
            yield np.int64(torch.randint(N, ()).item())

    def __len__(self):
        return N


class OwnState(data.Sampler):
    """Goes through a permutation that it keeps, and saves where it is."""

    def __init__(self):
        self.order, self.at = [], 0

    def __iter__(self):
        if self.at == len(self.order):
            self.order, self.at = random.sample(range(N), N), 0
        while self.at < len(self.order):
            self.at += 1
            yield self.order[self.at - 1]

    def __len__(self):
        return N

    def state_dict(self):
        return {"order": list(self.order), "at": self.at}

    def load_state_dict(self, state):
        self.order, self.at = list(state["order"]), state["at"]


def shuffled(**options):
    return data.DataLoader(Augmented(), 4, shuffle=True, **options)


def with_generator(**options):
    return shuffled(generator=torch.Generator().manual_seed(3), **options)


def with_replacement(**options):
    sampler = data.RandomSampler(
        range(N), True, 50, generator=torch.Generator().manual_seed(4)
    )  # which draws 32 at a time
    return data.DataLoader(Augmented(), 4, sampler=sampler, **options)


def weighted(**options):
    sampler = data.WeightedRandomSampler([1.0] * N, N)
    return data.DataLoader(
        Augmented(), batch_sampler=data.BatchSampler(sampler, 3, True), **options
    )


LOADERS = {
    "in order": lambda **options: data.DataLoader(Augmented(), 4, **options),
    "shuffled": shuffled,
    "generator": with_generator,
    "replacement": with_replacement,
    "weighted": weighted,
    "one by one": lambda **options: data.DataLoader(Augmented(), None, shuffle=True, **options),
    "lazy": lambda **options: data.DataLoader(Augmented(), 4, sampler=Lazy(), **options),
    "own state": lambda **options: data.DataLoader(Augmented(), 4, sampler=OwnState(), **options),
    "stream": lambda **options: data.DataLoader(Stream(), 4, **options),
    "stream one by one": lambda **options: data.DataLoader(Stream(), None, **options),
    "stream with state": lambda **options: data.DataLoader(Counting(), 4, **options),
}
WORKERS = {
    "here": {},
    "2 workers": {"num_workers": 2, "multiprocessing_context": "fork"},
    "3 that stay": {"num_workers": 3, "persistent_workers": True, "prefetch_factor": 1,
                    "multiprocessing_context": "fork"},
}  # fmt: skip


def run(loader, passes, stop=None, state=None):
    """What the training sees, with draws of its own; or (that, the state) after ``stop`` batches."""
    seen = []
    if state is not None:
        loader.load_state_dict(state["loader"])
        random_state.restore(state["random"])
        passes = state["left"]
    for done in range(passes):
        for batch in loader:
            seen.append((batch.tolist(), torch.rand(1).item(), random.random()))
            if stop is not None and len(seen) == stop:
                return seen, save(loader, passes - done)
        seen.append("end")
        if stop is not None and len(seen) == stop:
            return seen, save(loader, passes - done - 1)
    return seen


def save(loader, left):
    """The state as another process would read it, under the rules of ``weights_only``."""
    file = io.BytesIO()
    torch.save(
        {"loader": loader.state_dict(), "random": random_state.capture(), "left": left}, file
    )
    file.seek(0)
    return torch.load(file)


def cases():
    """A half of the kinds here, each day; with workers, which take their time to start, one."""
    for workers in WORKERS:
        most = len(LOADERS) // 2 if workers == "here" else 1
        yield from daily([(kind, workers) for kind in LOADERS], most, f"loaders {workers}")


@pytest.mark.parametrize("kind, workers", [*cases()])
def test_a_resumed_loader_goes_on(kind, workers):
    if workers != "here" and "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork")

    def loader():
        random.seed(1), np.random.seed(2), torch.manual_seed(3)
        return LOADERS[kind](**WORKERS[workers])

    whole = run(loader(), 3)
    end = whole.index("end")
    stops = (1, 2, end, end + 1, end + 3, len(whole) - 1) if workers == "here" else (2, end + 1)
    for stop in stops:
        before, state = run(loader(), 3, stop)
        random.seed(9), np.random.seed(9), torch.manual_seed(9)
        assert before == whole[:stop]
        assert run(LOADERS[kind](**WORKERS[workers]), 3, state=state) == whole[stop:]


def test_resumed_twice():
    for options in (WORKERS["here"], WORKERS["2 workers"]):
        torch.manual_seed(0)
        whole = run(shuffled(**options), 2)
        torch.manual_seed(0)
        seen, state = run(shuffled(**options), 2, 2)
        for _ in range(3):
            more, state = run(shuffled(**options), 2, 2, state)
            seen += more
        indices = [[row[0] for row in entry[0]] for entry in seen if entry != "end"]
        assert indices == [[row[0] for row in e[0]] for e in whole if e != "end"][: len(indices)]


def test_a_loader_that_was_not_read_and_one_that_was_left():
    torch.manual_seed(0)
    loader = shuffled()
    assert loader.state_dict()["start"] is None
    for batch in loader:
        assert batch.shape == (4, 4)
        break
    other = shuffled()
    other.load_state_dict(loader.state_dict())
    assert other.state_dict()["batches"] == 1  # until it is read
    assert len(list(other)) == 3 and len(list(other)) == 4
    assert pickle.loads(pickle.dumps(loader))._last is None


def test_a_live_loader_goes_back():
    torch.manual_seed(0)
    for options in WORKERS.values():
        loader = data.DataLoader(range(N), 4, shuffle=True, **options)
        batches = iter(loader)
        next(batches)
        state = loader.state_dict()
        rest = [x.tolist() for x in batches]
        loader.load_state_dict(state)
        assert [x.tolist() for x in loader] == rest
        del batches, loader


def test_positions_of_other_loaders_are_refused():
    state = shuffled().state_dict()
    with pytest.raises(ValueError, match="num_workers=0, and this loader has 2"):
        shuffled(num_workers=2).load_state_dict(state)
    with pytest.raises(ValueError, match="0 generators, and this loader and its samplers have 1"):
        with_generator().load_state_dict(state)
    loader = data.DataLoader(range(N), sampler=OwnState())
    next(iter(loader))
    other = data.DataLoader(range(N))
    other.load_state_dict(loader.state_dict())
    with pytest.raises(ValueError, match="load_state_dict"):
        iter(other)


def test_a_class_has_no_state_of_its_own():
    """accelerate makes a loader of a class while it unpickles a loader."""
    loader = data.DataLoader.__new__(data.DataLoader)
    data.DataLoader.__init__(loader, data.DataLoader, sampler=[0])
    assert loader.state_dict()["dataset"] is None
