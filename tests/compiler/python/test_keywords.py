"""Calls with keyword arguments: the observer knows their names in every version of Python."""

import functools

import pytest

import rushlight as torch
from rushlight.compiler.calls.entry import Entry


class Recipe:
    def __init__(self, factor):
        self.factor = factor


@functools.lru_cache(64)
def recipe(name, factor=1, *, shift=0):
    """A new object for every way in which the arguments are given, as a cache of Python does it."""
    return Recipe(factor + shift)


def in_a_try(x):
    try:
        return x * recipe("try", factor=len(x.shape)).factor
    except ValueError:
        return x


def spread(x):
    options = {"factor": 3, "shift": 2}
    return x * recipe("spread", **options).factor


def nested(x):
    return x * recipe("nested", shift=recipe(name="inner", factor=4).factor).factor


def by_a_partial(x):
    return x * functools.partial(recipe, "partial", factor=2)(shift=1).factor


CALLS = [
    lambda x: x * recipe("a", factor=2).factor,
    lambda x: x * recipe(name="b", factor=2, shift=5).factor,
    lambda x: x * recipe("c", 2, shift=5).factor,
    lambda x: x + sorted([recipe("d", 1), recipe("e", 5)], key=lambda r: -r.factor)[0].factor,
    lambda x: x + max(recipe("f", 3), recipe("g", 5), key=lambda r: r.factor).factor,
    lambda x: x + int("11", base=recipe("h", factor=2).factor),
    lambda x: x + sum([1, 2], start=recipe("i", shift=2).factor),
    in_a_try, spread, nested, by_a_partial,
]  # fmt: skip


@pytest.mark.parametrize("function", CALLS)
def test_recorded_once(function, monkeypatch, recwarn):
    recorded = []
    monkeypatch.setattr(
        Entry, "__init__",
        lambda *args, first=Entry.__init__, **kwargs: [recorded.append(1), first(*args, **kwargs)][0],
    )  # fmt: skip
    compiled, x = torch.compile(function), torch.arange(6.0).reshape(2, 3)
    for _ in range(3):
        torch.testing.assert_close(compiled(x), function(x))
    assert len(recorded) == 1
    assert not [w for w in recwarn if "torch.compile" in str(w.message)]


def test_other_results_of_a_cache_are_noticed():
    factor = 2

    @functools.lru_cache(4)
    def outer(name):
        return Recipe(factor)

    compiled = torch.compile(lambda x: x * outer(name="a").factor)
    x = torch.ones(2)
    assert compiled(x).tolist() == [2, 2]
    factor = 3
    assert compiled(x).tolist() == [2, 2]
    outer.cache_clear()
    assert compiled(x).tolist() == [3, 3]
