"""Functions in C that write to memory of the user's, and code that runs in dicts of the user's."""

import array
import collections
import io
import operator
import struct
import sys
import threading
import types
import warnings

import numpy as np
import pytest

import rushlight as torch


def add_one(a):
    b = a
    b += 1


def add_to_a_part(a):
    a[1:] += 1


def add_to_an_attribute(a):
    owner = types.SimpleNamespace(a=a)
    owner.a += 1


#: Each changes an array of two numbers.
ARRAYS = {
    "+=": add_one,
    "a part": add_to_a_part,
    "an attribute": add_to_an_attribute,
    "operator.iadd": lambda a: operator.iadd(a, 1),
    "out=": lambda a: np.add(a, 1, out=a),
    "out= in a tuple": lambda a: np.add(a, 1, out=(a,)),
    "out by position": lambda a: np.add(a, 1, a),
    "out= of a function": lambda a: np.cumsum(a + 1, out=a),
    "out= of a method": lambda a: (a + 1).cumsum(out=a),
    "copyto": lambda a: np.copyto(a, a + 1),
    "copyto a view": lambda a: np.copyto(a[1:], a[1:] + 1),
    "put": lambda a: np.put(a, [0], a[1] + 3),
    "at": lambda a: np.add.at(a, 0, 1),
    "flat": lambda a: operator.setitem(a.flat, 0, a[0] + 1),
    "reshape": lambda a: np.copyto(a.reshape(2, 1), 3.0),
    "fill_diagonal": lambda a: np.fill_diagonal(a.reshape(1, 2), a[0] + 1),
    "fill": lambda a: a.fill(7.0),
    "sort": lambda a: operator.setitem(a, 0, 5.0) or a.sort(),
    "pack_into": lambda a: struct.pack_into("d", a, 8, a[0] + 2),
}
#: Each changes a container.
CONTAINERS = {
    "deque +=": (lambda: collections.deque([1]), lambda d: operator.iadd(d, [2])),
    "array.array +=": (lambda: array.array("d", [1]), lambda a: operator.iadd(a, a)),
    "bytearray": (lambda: bytearray(8), lambda b: struct.pack_into("d", b, 0, 2.0)),
    "exec": (lambda: {"n": 0}, lambda d: exec("n = n + 1", {}, d)),
    "exec that deletes": (lambda: {"n": 0}, lambda d: exec("if 'n' in vars(): del n", {}, d)),
}


def results(act, owner, look, compiled):
    def f(x):
        act(owner)
        return x * 2

    g = torch.compile(f, options={"audit": False}) if compiled else f
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.compile: running eagerly")
        return [(g(torch.full((2,), float(i))).tolist(), look(owner)) for i in range(4)]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    eager, compiled = (
        results(ARRAYS[name], np.array([9.0, 0.0]), np.ndarray.tolist, way) for way in (False, True)
    )
    assert eager[0][1] != [9.0, 0.0]
    assert compiled == eager


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name):
    make, act = CONTAINERS[name]
    eager, compiled = (results(act, make(), repr, way) for way in (False, True))
    assert eager[0][1] != repr(make())
    assert compiled == eager


# Reads -------------------------------------------------------------------------------------------


def imported(x):
    import observed_module

    return x * observed_module.k


def module(k):
    found = types.ModuleType("observed_module")
    found.k = k
    return found


def test_an_import_finds_another_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "observed_module", module(2.0))
    f = torch.compile(imported, fullgraph=True)
    assert f(torch.ones(1)).item() == 2.0
    monkeypatch.setitem(sys.modules, "observed_module", module(3.0))
    assert f(torch.ones(1)).item() == 3.0


def test_dir():
    owner = types.SimpleNamespace(k=1)
    f = torch.compile(lambda x: x * len(dir(owner)), fullgraph=True)
    before = f(torch.ones(1)).item()
    owner.other = 1
    assert f(torch.ones(1)).item() == before + 1


def test_names_in_a_dict_given_to_eval():
    space = {"k": 2.0}
    f = torch.compile(lambda x: x * eval("k", space), fullgraph=True)
    assert f(torch.ones(1)).item() == 2.0
    space["k"] = 3.0
    assert f(torch.ones(1)).item() == 3.0


def test_a_file_that_a_with_statement_closes():
    file = io.StringIO()

    def f(x):
        with file:
            return x * 2

    compiled = torch.compile(f)
    with pytest.warns(UserWarning, match="running eagerly"):
        compiled(torch.ones(1))
    with pytest.raises(ValueError, match="closed"):  # as in eager mode
        compiled(torch.ones(1))
    lock = threading.Lock()

    def locked(x):
        with lock:
            return x * 2

    assert torch.compile(locked, fullgraph=True)(torch.ones(1)).item() == 2.0
