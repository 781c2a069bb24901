"""Objects nested to any depth are saved and loaded, in the bytes of Python's recursive pickler."""

import collections
import io
import pickle
import random

import pytest

import rushlight as torch
from rushlight.serialization.nesting import DeepPickler

DEEP = 5000  # far above the limit of Python's recursion
Pair = collections.namedtuple("Pair", "left right")


class Node:
    """An object with a state."""

    def __init__(self, **state):
        self.__dict__.update(state)


class Keyed:
    """Made anew by a keyword: ``__newobj_ex__``."""

    def __new__(cls, *, key):
        self = super().__new__(cls)
        self.key = key
        return self

    def __getnewargs_ex__(self):
        return (), {"key": self.key}


def set_state(node, state):
    node.__dict__.update(state)


class Called:
    """Made anew by a call, with items of a list and a dict and a function that sets its state."""

    def __init__(self, *args):
        self.args = args
        self.rest = []

    def append(self, item):
        self.rest.append(item)

    def extend(self, items):
        self.rest.extend(items)

    def __setitem__(self, key, item):
        self.rest.append((key, item))

    def __reduce__(self):
        return (Called, self.args, {"state": self.rest}, iter(self.rest), iter([(1, self.rest)]),
                set_state)  # fmt: skip


class Outer:
    class Inner:
        """Its name has a dot."""


def value_of(rng, depth, seen):
    """A random object; now and then one that is there already, so that some hold themselves."""
    if seen and rng.random() < 0.1:
        return rng.choice(seen)
    if depth == 0:
        return rng.choice([None, True, 7, 2**40, 0.5, "text", b"bytes", bytearray(b"b"), 1j, int,
                           len, Outer.Inner, NotImplemented, type(None)])  # fmt: skip
    n = rng.choice([0, 1, 2, 3, 4, 7])
    kind = rng.randrange(10)
    if kind in (0, 1, 2):
        made = [[], {}, Node()][kind]
        seen.append(made)
    inner = [value_of(rng, depth - 1, seen) for _ in range(n)]
    match kind:
        case 0:
            made.extend(inner)
        case 1:
            made.update({f"{n}{i}": x for i, x in enumerate(inner)})
        case 2:
            made.inner = inner
        case 3:
            made = tuple(inner)
        case 4:
            made = {frozenset([i, str(i)]) for i in range(n)}
        case 5:
            made = frozenset((i, Pair(i, None)) for i in range(n))
        case 6:
            made = Pair(inner, tuple(inner))
        case 7:
            made = Keyed(key=inner)
        case 8:
            made = Called(*inner)
        case 9:
            made = collections.OrderedDict(enumerate(inner))
    seen.append(made)
    return made


def written(pickler, value, protocol):
    stream = io.BytesIO()
    pickler(stream, protocol).dump(value)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", range(1, pickle.HIGHEST_PROTOCOL + 1))
def test_the_bytes_are_those_of_the_recursive_pickler(protocol):
    values = [value_of(random.Random(seed), 4, []) for seed in range(150)]
    values += [list(range(2001)), {i: [i] for i in range(1000)}, set(range(1001)), "x" * 100_000]
    for value in values:
        expected = written(pickle._Pickler, value, protocol)
        assert written(DeepPickler, value, protocol) == expected


def nested(make, value):
    for _ in range(DEEP):
        value = make(value)
    return value


KINDS = {
    "list": lambda x: [x],
    "tuple": lambda x: (x,),
    "long tuple": lambda x: (0, 1, 2, x),
    "dict": lambda x: {"inner": x},
    "OrderedDict": lambda x: collections.OrderedDict(inner=x),
    "frozenset": lambda x: frozenset([x]),
    "namedtuple": lambda x: Pair(x, None),
    "object": lambda x: Node(inner=x),
    "__newobj_ex__": lambda x: Keyed(key=x),
    "call": lambda x: Called(x),
}


@pytest.mark.parametrize("protocol", [1, 2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_object_nests_to_any_depth(kind, protocol):
    value = nested(KINDS[kind], 1)
    file = io.BytesIO()
    torch.save(value, file, pickle_protocol=protocol)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert type(loaded) is type(value)


def test_tensors_in_nested_containers():
    value = nested(lambda x: [x, {"w": x}] if isinstance(x, torch.Tensor) else [x], torch.ones(2))
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    loaded = torch.load(file)
    for _ in range(DEEP - 1):
        (loaded,) = loaded
    assert loaded[0] is loaded[1]["w"]
    assert loaded[0].tolist() == [1, 1]


def test_a_model_of_many_levels():
    model = torch.nn.Linear(2, 3)
    for _ in range(1000):
        model = torch.nn.Sequential(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    for _ in range(1000):
        model, loaded = model[0], loaded[0]
    assert torch.equal(loaded.weight, model.weight)


def test_a_failure_in_the_depth_leaves_the_pickler_able_to_go_on():
    pickler = DeepPickler(io.BytesIO(), 2)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickler.dump([[[lambda: 0]]])
    assert pickler._open == []
