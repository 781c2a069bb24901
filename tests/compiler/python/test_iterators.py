"""Iterators that a call makes: observing the call takes nothing out of them, and runs none of their code."""

import collections
import functools
import itertools
import operator

import pytest

import rushlight as torch

NUMBERS = [1, 2, 3]
RAN = []


def given():
    """A generator whose every run is counted."""
    for i in NUMBERS:
        RAN.append(i)
        yield i


def tensors(x):
    return (x * i for i in given())


class Listed:
    """An iterable with methods in Python."""

    def __iter__(self):
        return given()

    def keys(self):
        return ["a", "b"]

    def __getitem__(self, key):
        RAN.append(key)
        return NUMBERS["ab".index(key)]


def total(*values, **named):
    return sum(values, 0) + sum(named.values())


def unpacked(x):
    a, b, c = given()
    first, *rest = tensors(x)
    return x * a + b * first + c * rest[-1]


def unpacked_into_entries(x):
    d = {}
    d["a"], (d["b"], *d["c"]) = 1, given()
    return x * d["b"] + len(d["c"])


def looped(x):
    for i in given():
        x = x + i
        if i > 2:
            break
    else:
        x = x * 2
    return x


def looked_up(x):
    return x + (2 in given()) + (7 in Listed())


def delegated(x):
    def inner():
        got = yield from given()
        yield got is None

    return x + total(*inner())


def peeked(x):
    g = given()
    return x * next(g) + next(g) + sum(g) + next(g, 5)


USES = {
    "spread": lambda x: x + total(*given()),
    "spread iterable": lambda x: x + total(*Listed()),
    "spread between": lambda x: x + total(1, *given(), 2, *given()),
    "spread tensors": lambda x: x + total(*tensors(x)),
    "spread mapping": lambda x: x + total(**Listed()),
    "spread both": lambda x: x + total(*given(), **Listed()),
    "spread partial": lambda x: x + functools.partial(total, 1)(*given()),
    "spread method": lambda x: x.new_ones(2).add(*itertools.islice(given(), 1)),
    "spread class": lambda x: x * collections.namedtuple("P", "a b c")(*given()).c,
    "spread builtin": lambda x: x * max(*given()),
    "spread size": lambda x: x.view(*x.shape) + x.new_ones(*x.unsqueeze(1).shape, 1).sum(),
    "spread list subclass": lambda x: x + total(*type("L", (list,), {})(given())),
    "spread ours": lambda x: torch.maximum(*itertools.islice(tensors(x), 2)),
    "list": lambda x: x + len([*given()]) + list(given())[1],
    "tuple": lambda x: x + (*given(), 4)[2],
    "set": lambda x: x + len({*given()}) + max(set(given())),
    "dict": lambda x: x + dict(zip("abc", given(), strict=True))["c"] + {**Listed()}["b"],
    "sum": lambda x: x + sum(given()) + sum(tensors(x)),
    "any, all": lambda x: x + any(i > 2 for i in given()) + all(i > 2 for i in given()),
    "min, max": lambda x: x + min(given()) + max(given(), key=lambda i: -i),
    "sorted": lambda x: x + sorted(given(), reverse=True)[0],
    "map": lambda x: x + sum(map(operator.add, given(), itertools.count())),
    "filter": lambda x: x + sum(filter(lambda i: i > 1, given())),
    "reduce": lambda x: functools.reduce(operator.mul, tensors(x)),
    "enumerate": lambda x: x + sum(i * j for i, j in enumerate(given())),
    "zip": lambda x: sum(i * y for i, y in zip(given(), tensors(x), strict=True)),
    "chain": lambda x: x + sum(itertools.chain(given(), *[given() for _ in range(2)])),
    "accumulate": lambda x: x + list(itertools.accumulate(given()))[-1],
    "islice, tee": lambda x: x + sum(sum(g) for g in itertools.tee(itertools.islice(given(), 2))),
    "groupby": lambda x: x + sum(k * len(list(g)) for k, g in itertools.groupby(given())),
    "product": lambda x: x + sum(i * j for i, j in itertools.product(given(), given())),
    "extend": lambda x: x + operator.iadd([1], given())[-1],
    "deque": lambda x: x + collections.deque(given(), maxlen=2)[0],
    "counter": lambda x: x + collections.Counter(given())[1],
    "update": lambda x: x + len({0}.union(given(), Listed())),
    "join": lambda x: x + len(",".join(str(i) for i in given())),
    "format": lambda x: x + len("{} {} {}".format(*given())),
    "percent": lambda x: x + len("{}{}{}".format(*given())),
    "stack": lambda x: torch.stack([*tensors(x)]).sum(0) + torch.cat(tuple(tensors(x)))[:2],
    "tensor": lambda x: x[:1] * torch.tensor(list(given())),
    "unpacked": unpacked,
    "unpacked into entries": unpacked_into_entries,
    "looped": looped,
    "looked up": looked_up,
    "delegated": delegated,
    "peeked": peeked,
}


@pytest.mark.filterwarnings("ignore:torch.compile. running eagerly")
@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_an_iterator_is_read_once(use, monkeypatch):
    compiled = torch.compile(lambda x: use(x))
    x = torch.tensor([1.5, 2.5])
    for numbers in ([1, 2, 3], [1, 2, 3], [4, 5, 6], [1, 1, 7]):
        monkeypatch.setitem(globals(), "NUMBERS", numbers)
        RAN.clear()
        want, ran = use(x), [*RAN]
        RAN.clear()
        found = compiled(x)
        torch.testing.assert_close(found, want)
        assert ran == RAN
