"""Indices whose values a program does not know: reads, writes, and views of one memory."""

import random
import warnings

import pytest

import rushlight as torch
from tests.daily import daily
from tests.search.lines import peer


def index_of(chance, shape):
    """A random index of a tensor of ``shape``; 0-dim tensors stand for ints."""
    items, dims = [], list(shape[: chance.randint(1, len(shape))])
    inner = chance.choice([(), (2,), (3, 2), (1,)])
    for n in dims:
        place = chance.randrange(-n, n)
        items.append(
            chance.choice([
                lambda p=place: p,
                lambda: slice(None),
                lambda: slice(1, None),
                lambda p=place: torch.tensor(p),
                lambda p=place: torch.tensor(p, dtype=torch.int32),
                lambda n=n: torch.randint(-n, n, inner),
            ])()
        )  # fmt: skip
        if chance.random() < 0.1:
            items.append(None)
    return tuple(items)


def steps(chance):
    """A function of a tensor and an index that reads and writes in a random order."""
    ways = {
        "read": lambda x, i, seen: seen.append(x[i]),
        "twice": lambda x, i, seen: seen.append(x[i] * 2),
        "write": lambda x, i, seen: x.mul_(1.5),
        "assign": lambda x, i, seen: x.__setitem__(i, 7.0),
        "through": lambda x, i, seen: seen.append(x[i].add_(3)),
        "view": lambda x, i, seen: seen.append(x[i][..., None].mul_(2)),
        "put": lambda x, i, seen: x.__setitem__(i, torch.arange(float(x[i].numel())).reshape(x[i].shape)),
        "first": lambda x, i, seen: x[0].zero_(),
    }  # fmt: skip
    chosen = chance.choices(list(ways), k=chance.randint(1, 4))

    def call(x, *tensors, items=()):
        given, seen = iter(tensors), []
        index = tuple([next(given) if k is torch.Tensor else k for k in items])
        for name in chosen:
            ways[name](x, index, seen)
        return x + 0, [t + 0 for t in seen]

    return call, chosen


@pytest.mark.parametrize("seed", daily(range(200), 12, "indices that are not known"))
def test_programs_select_as_eager_calls_do(seed):
    chance = random.Random(seed)
    torch.manual_seed(seed)
    shape = tuple(chance.randint(2, 4) for _ in range(chance.randint(1, 4)))
    index = index_of(chance, shape)
    items = [torch.Tensor if isinstance(k, torch.Tensor) else k for k in index]
    tensors = [k for k in index if isinstance(k, torch.Tensor)]
    function, chosen = steps(chance)
    call = lambda x, *tensors: function(x, *tensors, items=items)

    def outcome(call):
        x = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some run eagerly
                total, seen = call(x, *tensors)
        except (IndexError, RuntimeError) as error:
            return type(error)
        return [t.tolist() for t in (x, total, *seen)]

    assert outcome(torch.compile(call)) == outcome(call), (chosen, index)


@pytest.mark.parametrize("batched", [True, False])
def test_samples_are_index_tensors_and_other_numbers_select(batched):
    def both(framework):
        x = framework.arange(32.0).reshape(4, 2, 4)
        number, places = framework.tensor(1), framework.tensor([0, 3, 1])
        dims = (None, 0, None) if batched else (None, None, 0)
        given = [number.expand(2), places] if batched else [number, places.expand(2, 3)]
        return framework.vmap(lambda x, i, j: x[i, :, j], in_dims=dims)(x, *given)

    found = both(torch)
    assert found.shape == ((2, 3, 2) if batched else (2, 2, 3))
    if peer() is not None:
        assert found.tolist() == both(peer()).tolist()


def test_a_write_through_a_view_runs_eagerly():
    def call(x, i):
        x[i].zero_()
        return x + 0

    with pytest.warns(UserWarning, match="running eagerly: .*is a view of x"):
        found = torch.compile(call)(torch.ones(3, 2), torch.tensor(1))
    assert found.tolist() == [[1, 1], [0, 0], [1, 1]]


RESULTS = {
    "the argument": (lambda x, i: x[i], True),
    "a view of the part": (lambda x, i: [x[0, i].view(1, 1)], True),
    "without its history": (lambda x, i: x[i].detach(), True),
    "whole and part": (lambda x, i: ((y := x * 2), y[i]), True),
    "a part of what the call made": (lambda x, i: (x * 2)[i], False),
    "a number of it": (lambda x, i: x[i] * 1, False),
    "a copy": (lambda x, i: x[i].clone(), False),
    "by two tensors": (lambda x, i: x[i, [1, 0]], False),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_is_a_view_shares_memory(name):
    """A program would return a copy, so that later writes to the result or to ``x`` are lost."""
    function, eager = RESULTS[name]

    def outcomes(call):
        found = []
        for k in (0, 1, 0):
            x = torch.arange(6.0).view(2, 3)
            seen = call(x, torch.tensor(k))
            parts = [seen] if isinstance(seen, torch.Tensor) else [*seen]
            parts[-1].add_(10)
            x.mul_(2)
            found.append([t.tolist() for t in (x, *parts)])
        return found

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = outcomes(torch.compile(function))
    assert found == outcomes(function)
    assert ["a result is x[i] with a tensor i" in str(w.message) for w in told] == [True] * eager
