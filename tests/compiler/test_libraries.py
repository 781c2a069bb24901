"""What Python code of the standard library writes to the user's objects, compiled as in eager mode."""

import collections
import functools
import logging
import queue
import random
import threading
import warnings

import pytest

import rushlight as torch


class Lazy:
    n = 3

    @functools.cached_property
    def number(self):
        return self.n * 2

    @functools.cached_property
    def tensor(self):
        return torch.ones(2) * self.n


def add_to(d):
    d["k"] = d.get("k", 0) + 1


def keep_in(d, x):
    d["k"] = x * 2


def levels():
    logger = logging.getLogger("rushlight.tests.libraries")
    logger.setLevel(logging.ERROR)

    def look():
        found = logger.level
        logger.level = logging.ERROR
        return found

    return logger, lambda o, x: o.setLevel(logging.DEBUG), look


def event():
    e = threading.Event()

    def look():
        found = e.is_set()
        e.clear()
        return found

    return e, lambda o, x: o.set(), look


def chain():
    d = collections.ChainMap({}, {"a": 1})

    def look():
        found = dict(d)
        d.maps[0].clear()
        return found

    return d, lambda o, x: o.update(k=len(o)), look


def of(make, act, look):
    def case():
        owner = make()
        return owner, act, lambda: look(owner)

    return case


#: Each gives an object, what a call does to it, and a look at it.
CASES = {
    "UserDict": of(collections.UserDict, lambda o, x: add_to(o), dict),
    "UserDict of tensors": of(collections.UserDict, keep_in, lambda o: o["k"].tolist()),
    "UserList": of(lambda: collections.UserList([0]), lambda o, x: o.__setitem__(0, 5), list),
    "Counter": of(collections.Counter, lambda o, x: o.update("ab"), dict),
    "cached_property": of(Lazy, lambda o, x: o.number, lambda o: o.__dict__.get("number")),
    "cached tensor": of(Lazy, lambda o, x: o.tensor, lambda o: o.__dict__["tensor"].tolist()),
    "Queue": of(queue.Queue, lambda o, x: o.put(1), lambda o: o.qsize()),
    "Random.seed": of(lambda: random.Random(0), lambda o, x: o.seed(3), lambda o: o.random()),
    "logger": levels,
    "Event": event,
    "ChainMap": chain,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("audit", [False, True])
def test_what_a_library_writes(name, audit):
    found = []
    for compiled in (False, True):
        owner, act, look = CASES[name]()

        def f(x, owner=owner, act=act):
            kept = act(owner, x)
            return x * kept if isinstance(kept, torch.Tensor) else x * 2

        g = torch.compile(f, options={"audit": audit}) if compiled else f
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.compile: running eagerly")
            found.append([(g(torch.full((2,), float(i))).tolist(), look()) for i in range(4)])
    assert found[1] == found[0]
