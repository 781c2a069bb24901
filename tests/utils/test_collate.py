"""Collation: batches of every structure."""

import collections
import types

import numpy as np
import pytest

import rushlight as torch
from rushlight.utils import data
from rushlight.utils.data.collate import collate, default_collate_fn_map

Point = collections.namedtuple("Point", "x y")


class Row(tuple):
    __slots__ = ()


class Table(collections.UserDict):
    pass


class Memory(np.ndarray):
    pass


BATCHES = {
    "tensors": lambda t: [t.ones(2, 3), t.zeros(2, 3)],
    "0-dim": lambda t: [t.tensor(1), t.tensor(2)],
    "tensors of two shapes": lambda t: [t.ones(2), t.ones(3)],
    "ints": lambda t: [1, 2],
    "bools": lambda t: [True, False],
    "floats": lambda t: [0.5, 2.0],
    "int, then float": lambda t: [1, 2.5],
    "complex": lambda t: [1j],
    "arrays": lambda t: [np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)],
    "0-dim arrays": lambda t: [np.array(2.0), np.array(3.0)],
    "arrays of text": lambda t: [np.array(["a"])],
    "arrays of objects": lambda t: [np.array([None])],
    "scalars": lambda t: [np.float32(1), np.float32(2)],
    "integer scalars": lambda t: [np.int16(1), np.int16(2)],
    "text scalars": lambda t: [np.str_("a"), "b"],
    "text": lambda t: ["a", "b"],
    "bytes": lambda t: [b"a", b"b"],
    "bytearrays": lambda t: [bytearray(b"ab"), bytearray(b"cd")],
    "dicts": lambda t: [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "dicts of other keys": lambda t: [{"a": 1}, {"b": 2}],
    "ordered": lambda t: [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "default dicts": lambda t: [collections.defaultdict(int, a=1)] * 2,
    "user dicts": lambda t: [Table(a=1), Table(a=2)],
    "proxies": lambda t: [types.MappingProxyType({"a": 1})] * 2,
    "tuples": lambda t: [(1, "a"), (2, "b")],
    "tuples of a class": lambda t: [Row((1, 2)), Row((3, 4))],
    "named tuples": lambda t: [Point(1, t.ones(2)), Point(2, t.zeros(2))],
    "lists": lambda t: [[1, 2], [3, 4]],
    "lists of two lengths": lambda t: [[1, 2], [3]],
    "ranges": lambda t: [range(2), range(2, 4)],
    "user lists": lambda t: [collections.UserList([1, 2]), collections.UserList([3, 4])],
    "empty lists": lambda t: [[], []],
    "nested": lambda t: [{"p": [(1, [0.5])]}, {"p": [(2, [1.5])]}],
    "none": lambda t: [None, None],
    "sets": lambda t: [{1}, {2}],
    "nothing": lambda t: [],
}


@pytest.mark.parity
@pytest.mark.parametrize("name", BATCHES)
def test_collates_and_converts_as_pytorch(agree, name):
    agree(lambda package: package.utils.data.default_collate(BATCHES[name](package)))
    agree(lambda package: package.utils.data.default_convert(BATCHES[name](package)))


def test_a_batch_keeps_its_structure():
    batch = data.default_collate([{"x": torch.ones(2), "p": Point(1, "a")}] * 3)
    assert batch["x"].shape == (3, 2)
    assert batch["p"].x.tolist() == [1, 1, 1] and batch["p"].y == ("a", "a", "a")
    assert data.default_collate([0.1, 0.2]).dtype is torch.float64


def test_the_sample_is_not_changed():
    sample = {"x": np.ones(1)}
    data.default_convert(sample), data.default_collate([sample, sample])
    assert type(sample["x"]) is np.ndarray


def test_a_users_array_class_is_left_alone():
    array = np.ones(2).view(Memory)
    assert data.default_convert(array) is array
    assert data.default_collate([array, array]).shape == (2, 2)


def test_a_table_extends_collation(monkeypatch):
    monkeypatch.setitem(default_collate_fn_map, set, lambda batch, *, collate_fn_map: batch)
    assert data.default_collate([({1}, 2)] * 2)[0] == ({1}, {1})
    by_base = {(int, float): lambda batch, *, collate_fn_map: sum(batch)}
    assert collate([(1, 0.5), (2, 0.5)], collate_fn_map=by_base) == [3, 1.0]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([None], TypeError, r"found <class 'NoneType'>\. Pass a collate_fn"),
        ([np.array(["a"])], TypeError, r"found an array of <U1"),
        ([[1], [1, 2]], RuntimeError, r"equal size, but their lengths are \[1, 2\]"),
    ],
)
def test_errors_say_what_was_found(batch, error, message):
    with pytest.raises(error, match=message):
        data.default_collate(batch)
