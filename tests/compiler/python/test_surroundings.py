"""What a compiled function reads outside: when it changes, so does what the function gives."""

import collections
import functools
import os
import random
import time
import types
import unittest.mock
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from tests.compiler import surroundings as outside
from tests.compiler.calls.test_assignments import beside_the_class, of_the_class


def one(k=1.0):
    return torch.full((1,), float(k))


class Config:
    shared = 2.0

    def __init__(self, k=1.0):
        self.k = k


class Trainer:
    """Reads through its own methods, a property, a table of methods and an object of its own."""

    def __init__(self):
        self.config, self.alpha, self.table = Config(), 2.0, {"loss": self.loss}

    @property
    def doubled(self):
        return 2 * self.alpha

    def loss(self, x):
        return x * self.doubled

    def step(self, x):
        return self.table["loss"](x) + self.config.k


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.config, self.part = 2.0, Config(), nn.ReLU()
        self.part.share = 3.0

    def forward(self, x):
        return x * self.scale

    def loss(self, x):
        return x * self.inner()

    def inner(self):
        return self.extra if hasattr(self, "extra") else self.config.k


class Child(Base):
    def forward(self, x):
        return super().forward(x) + self.part.share


def of_trainer(name, value):
    t = Trainer()
    return t.step, lambda: setattr(t, name, value)


def of_config():
    t = Trainer()
    return t.step, lambda: setattr(t.config, "k", 7.0)


def of_argument_object():
    c = Config()
    return lambda x: read_config(x, c), lambda: setattr(c, "k", 9.0)


def read_config(x, c):
    return x * c.k * c.shared


def shadowed_class_attribute():
    c = Config()
    return lambda x: x * c.shared, lambda: setattr(c, "shared", 5.0)


def of_parent_forward():
    m = Child()
    return m, lambda: setattr(m, "scale", 5.0)


def of_a_part_not_called():
    m = Child()
    return m, lambda: setattr(m.part, "share", 7.0)


def of_a_method_not_called():
    m = Child()
    return m.loss, lambda: setattr(m.config, "k", 7.0)


def of_a_missing_attribute():
    m = Child()
    return m.loss, lambda: setattr(m, "extra", 7.0)


def of_a_module_outside_of_its_call():
    m = Base()
    return lambda x: m(x) if m.training else m.loss(x), m.eval


def of_another_file():
    return lambda x: outside.scaled(x) * outside.Table.rate, lambda: outside.change(3.0)


def of_the_class_of_another_file():
    return lambda x: x * outside.Table.rate, lambda: setattr(outside.Table, "rate", 9.0)


def of_all_entries():
    d = {"a": 1.0}
    return lambda x: sum(x * v for v in d.values()), lambda: d.update(b=2.0)


def of_an_entry_with_a_number():
    d = {1: 2.0}
    return lambda x: x * d[1], lambda: d.update({1: 3.0})


def of_an_entry_with_a_variable():
    d, key = types.MappingProxyType(made := {"k": 2.0}), "k"
    return lambda x: x * d[key], lambda: made.update(k=3.0)


def of_the_environment():
    os.environ["RATE"] = "2"
    return lambda x: x * float(os.environ["RATE"]), lambda: os.environ.update(RATE="3")


def of_a_set():
    s = {1.0, 2.0}
    return lambda x: x * sum(s), lambda: s.add(3.0)


def of_an_array():
    a = np.ones(1, "f4")
    return lambda x: x * torch.tensor(a), lambda: a.fill(3)


def of_a_long_list():
    numbers = [1.0] * 3000
    return lambda x: x * numbers[2000], lambda: numbers.__setitem__(2000, 2.0)


def of_a_type_in_a_long_list():
    numbers = [1.0] * 3000
    return lambda x: x * torch.full((1,), numbers[9]).itemsize, lambda: numbers.__setitem__(9, 1)


def of_a_list_in_a_long_tuple():
    items = (*range(3000), inner := [1.0])
    return lambda x: x * items[-1][0], lambda: inner.__setitem__(0, 2.0)


def of_an_object_in_a_set():
    c = Config()
    objects = {c}
    return lambda x: sum(x * o.k for o in objects), lambda: setattr(c, "k", 2.0)


def of_a_large_dict():
    d, key = {f"k{i}": 1.0 for i in range(100)}, ["k"]
    return lambda x: x * d[key[0] + "7"], lambda: d.update(k7=2.0)


def of_an_object_in_a_large_dict():
    d, key = {i: Config() for i in range(100)}, [70]
    return lambda x: x * d[key[0]].k, lambda: setattr(d[70], "k", 2.0)


def of_an_entry_for_a_dtype():
    d = {torch.float32: 1.0, torch.float64: 2.0}
    return lambda x: x * d[x.dtype], lambda: d.update({torch.float32: 3.0})


def of_an_entry_for_an_object():
    c = Config()
    d = {c: 1.0}
    return lambda x: x * d[c], lambda: d.update({c: 3.0})


def of_an_array_of_objects():
    a = np.array([1.0, None], dtype=object)
    return lambda x: x * a[0], lambda: a.__setitem__(0, 2.0)


def of_an_array_in_a_tuple():
    pair = (np.ones(20_000), 0)  # more than 64 KiB, and less than one MiB
    return lambda x: x * float(pair[0][5]), lambda: pair[0].fill(2.0)


def of_other_defaults():
    def f(x, k=2.0):
        return x * k

    return f, lambda: setattr(f, "__defaults__", (3.0,))


def of_other_keyword_defaults():
    def f(x, *, k=2.0):
        return x * k

    return f, lambda: f.__kwdefaults__.update(k=3.0)


def of_defaults_where_there_were_none():
    def inner(x, k):
        return x * k

    inner.__defaults__ = (2.0,)
    return lambda x: inner(x), lambda: setattr(inner, "__defaults__", (3.0,))


def of_a_slot():
    class Slots:
        __slots__ = ("k",)

    s = Slots()
    s.k = 2.0
    return lambda x: x * s.k, lambda: setattr(s, "k", 3.0)


def of_a_default():
    def f(x, values=[1.0], *, more={"k": 2.0}):  # noqa: B006
        return x * values[0] * more["k"]

    return f, lambda: (f.__defaults__[0].append(1), f.__kwdefaults__["more"].update(k=5.0))


def of_a_named_attribute():
    c, name = Config(), "k"
    return lambda x: x * getattr(c, name), lambda: setattr(c, "k", 3.0)


def of_a_decorator():
    rates = [2.0]

    def scaled(f):
        @functools.wraps(f)
        def run(x):
            return f(x) * rates[0]

        return run

    return scaled(lambda x: x + 1), lambda: rates.append(rates.pop() + 1)


def of_a_function():
    def f(x):
        return x * f.rate

    f.rate = 2.0
    return f, lambda: setattr(f, "rate", 3.0)


def of_a_zero():
    c = Config(0.0)
    return lambda x: x / torch.full((1,), c.k), lambda: setattr(c, "k", -0.0)


def of_a_method_of_an_object():
    m = Child()
    return m.loss, lambda: setattr(m, "inner", lambda: 5.0)


def of_a_method_of_a_class():
    class Local(Child):
        def inner(self):
            return 2.0

    m = Local()
    return m.loss, lambda: setattr(Local, "inner", lambda self: 5.0)


def of_the_forward_of_a_module():
    m = Child()
    return nn.Sequential(m), lambda: setattr(m, "forward", lambda x: -x)


def of_an_operator():
    rates = [2.0]

    class Scaled:
        def __init__(self, x):
            self.x = x

        def __add__(self, other):
            return self.x * rates[0] + other

    return lambda x: Scaled(x) + 1, lambda: rates.append(rates.pop() + 1)


def of_a_longer_module_list():
    m = nn.Sequential(nn.ReLU())
    return m, lambda: m.append(nn.Softplus())


def of_a_deque():
    d = collections.deque([1.0, 2.0], maxlen=2)
    return lambda x: x * d[0], lambda: d.append(3.0)


def a_number_in_place_of_a_tensor():
    d = {"k": one(3)}
    return lambda x: x * d["k"], lambda: d.update(k=5)


CASES = [
    functools.partial(of_trainer, "alpha", 3.0), of_config, of_argument_object, of_parent_forward,
    shadowed_class_attribute, of_a_part_not_called, of_a_method_not_called, of_a_missing_attribute,
    of_a_module_outside_of_its_call, of_another_file, of_the_class_of_another_file, of_all_entries,
    of_an_entry_with_a_number, of_an_entry_with_a_variable, of_a_set, of_an_array, of_a_slot,
    of_a_default, of_a_named_attribute, of_a_longer_module_list, of_a_deque,
    a_number_in_place_of_a_tensor, of_a_decorator, of_a_function, of_a_zero,
    of_the_environment, of_an_operator, of_a_method_of_an_object,
    of_a_method_of_a_class, of_the_forward_of_a_module, of_a_long_list, of_a_type_in_a_long_list,
    of_a_list_in_a_long_tuple, of_an_object_in_a_set, of_a_large_dict, of_an_object_in_a_large_dict,
    of_an_entry_for_a_dtype, of_an_entry_for_an_object, of_an_array_of_objects,
    of_an_array_in_a_tuple, of_other_defaults, of_other_keyword_defaults,
    of_defaults_where_there_were_none,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: getattr(c, "__name__", "of_trainer"))
def test_a_change_outside_is_seen(case):
    f, change = case()
    g = torch.compile(f, fullgraph=True)
    try:
        before = f(one(3))
        assert torch.equal(g(one(3)), before) and torch.equal(g(one(3)), before)
        assert g._compiled.count == 1
        change()
        assert not torch.equal(f(one(3)), before) or case is of_a_set
        assert torch.equal(g(one(3)), f(one(3)))
        assert g._compiled.count == 2
    finally:
        outside.change(2.0)


class Table:
    def __init__(self, n=50_000):
        self.table, self.rows = np.arange(float(n)), n


@pytest.mark.parametrize(
    "read",
    [
        lambda t, x: x * torch.from_numpy(t.table)[2],
        lambda t, x: x + torch.as_tensor(t.table).sum() / len(t.table),
        lambda t, x: x + torch.tensor(t.table, dtype=torch.float32).mean() * t.table.shape[0],
        lambda t, x: x + torch.asarray(t.table, copy=True)[:2].sum(),
    ],
)
def test_a_large_array_is_an_input(read):
    t = Table()
    f = torch.compile(lambda x: read(t, x), fullgraph=True)
    for k in range(3):
        t.table += k
        assert torch.allclose(f(one(k)), read(t, one(k)))
    assert f._compiled.count == 1
    t.table = t.table * 2
    assert torch.allclose(f(one()), read(t, one())) and f._compiled.count == 2
    t.table.resize((t.rows // 2, 2), refcheck=False)
    assert torch.allclose(f(one()), read(t, one()))


def test_a_large_array_that_the_function_writes():
    t = Table()
    f = torch.compile(lambda x: torch.from_numpy(t.table).add_(x), fullgraph=True)
    for k in range(1, 4):
        assert f(one())[0].item() == t.table[0] == k


@pytest.mark.parametrize(
    "read",
    [
        lambda t, x: x * t.table[2],
        lambda t, x: x * float(t.table.sum()),
        lambda t, x: x * float(np.asarray(t.table)[2]),
        lambda t, x: x * float(np.dot(t.table, t.table)),
        lambda t, x: x * max(t.table),
        lambda t, x: x * float((t.table + 1)[0]),
        lambda t, x: x[np.zeros_like(t.table, int)].sum(),
        lambda t, x: x * (t.table[3] if type(t.table) is np.ndarray else 0),
    ],
)
def test_elements_of_a_large_array(read):
    """Such calls run eagerly, or are recorded again where the array's bytes can be compared."""
    t = Table()
    f = torch.compile(lambda x: read(t, x))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k in range(3):
            t.table += k
            assert torch.equal(f(one(k)), read(t, one(k)))
    assert len(seen) == 1 - f._compiled.count // 3
    assert all("400000 bytes" in str(w.message) for w in seen)


def test_what_is_too_much_to_look_at():
    pair = np.zeros(200_000), 1
    f = lambda x: x + pair[0][3]
    g = torch.compile(f)
    with pytest.warns(UserWarning, match="too much to look at in each call"):
        g(one())
    pair[0][3] = 1
    assert torch.equal(g(one()), f(one()))


def test_of_many_objects_only_one_is_looked_at():
    objects = [Config() for _ in range(2000)]
    f = torch.compile(lambda x: x * objects[1500].k, fullgraph=True)
    f(one())
    objects[1500].k = 2.0
    assert f(one()).item() == 2


# What only Python can do again ------------------------------------------------------------


def counts_in_a_function():
    def f(x):
        f.n = getattr(f, "n", 0) + 1
        return x * f.n

    return f


def counts_in_a_dict():
    d = collections.defaultdict(int)

    def f(x):
        d["n"] += 1
        return x * d["n"] * len(d)

    return f


def grows(made, add):
    def f(x):
        getattr(made, add)(len(made))
        return x * len(made)

    return f


def pops():
    left = [1.0, 2.0, 3.0, 4.0]
    return lambda x: x * left.pop(0)


def walks_an_iterator():
    numbers = iter(range(9))
    return lambda x: x * next(numbers)


def draws_from(source):
    return lambda x: x * source()


def keeps_an_argument(made):
    def f(x):
        before = made["last"]
        made["last"] = x
        return x - before

    return f


def seeds(x):
    torch.manual_seed(3)
    return x * torch.rand(1)


def makes_a_generator(x):
    return x * torch.rand(1, generator=torch.Generator().manual_seed(3))


def forks_the_stream(x):
    with torch.random.fork_rng():
        first = torch.rand(1)
    return x * first * torch.rand(1)


PYTHONS = {
    "a count beside its class": lambda: beside_the_class()[0],
    "a count in the class": lambda: of_the_class()[0],
    "a count in the function": counts_in_a_function,
    "an entry": counts_in_a_dict,
    "a list": lambda: grows([], "append"),
    "a set": lambda: grows(set(), "add"),
    "a deque": lambda: grows(collections.deque(), "append"),
    "pop": pops,
    "an iterator": walks_an_iterator,
    "random": lambda: draws_from(random.Random(0).random),
    "the global random": lambda: draws_from(random.random),
    "NumPy's random": lambda: draws_from(np.random.rand),
    "a generator of NumPy's": lambda: draws_from(np.random.default_rng(0).random),
    "an argument": lambda: keeps_an_argument({"last": one()}),
    "an argument in a big dict": lambda: keeps_an_argument({"last": one(), **dict.fromkeys("abc")}),
    "a seed": lambda: seeds,
    "a generator": lambda: makes_a_generator,
    "a forked stream": lambda: forks_the_stream,
}


#: Those of which a run of a program does what Python does.
ASSIGNED = (
    "a count beside its class", "a count in the class", "a count in the function", "an entry", "an argument",
    "an argument in a big dict",
)  # fmt: skip


@pytest.mark.parametrize("name", PYTHONS)
def test_what_python_does_at_each_call_is_done_at_each_call(name):
    seen = []
    for prepare in (lambda f: f, torch.compile):
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        f = prepare(PYTHONS[name]())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen.append([float(f(one(k))) for k in range(1, 5)] + [random.random()])
    assert seen[0] == seen[1]
    f = torch.compile(PYTHONS[name](), fullgraph=True)
    if name in ASSIGNED:
        f(one())
    else:
        with pytest.raises(RuntimeError):
            f(one())


def test_a_failed_trace_leaves_no_tensors_of_its_own_behind():
    class State:
        h = one()

    state, table = State(), {"h": one()}

    @functools.lru_cache
    def ramp(n):
        return torch.arange(n)

    def f(x):
        state.h = state.h + x
        state.new = state.h * 2
        table["h"] = table["h"] * ramp(3)[1]
        return state.new + table["h"] if x > 0 else x

    g = torch.compile(f)
    with pytest.warns(UserWarning, match="values of a tensor"):
        assert [g(one()).item(), g(one()).item()] == [5, 7]
    assert (state.h.item(), state.new.item(), table["h"].item()) == (3, 6, 1)
    assert ramp(3).tolist() == [0, 1, 2]


def test_the_clock():
    f = torch.compile(lambda x: x.double() + time.perf_counter())
    with pytest.warns(UserWarning, match="perf_counter"):
        assert f(one()).item() < f(one()).item()


def test_an_attribute_that_a_call_adds_is_there_from_then_on():
    class Net(nn.Module):
        def forward(self, x):
            self.length = len(x)
            return x * self.length

    net = Net()
    f = torch.compile(net)
    for n in (2, 2, 3, 2):
        assert f(torch.ones(n)).tolist() == [n] * n and net.length == n
    f = torch.compile(net, fullgraph=True)
    del net.length
    assert f(torch.ones(2)).tolist() == [2, 2] and net.length == 2


class Entries(dict):
    """As in many configurations: its entries are its attributes."""

    __getattr__ = dict.__getitem__


class Watched:
    looked = 0

    @property
    def data(self):
        Watched.looked += 1
        return 3.0


def test_objects_that_answer_to_names():
    config = Entries(rate=2.0, inner=Entries(k=1.0), add=print)
    f = torch.compile(lambda x: x * config.rate * config.inner.k)
    assert f(one()).item() == 2
    config["inner"]["k"] = 3.0
    assert f(one()).item() == 6
    mocked, watched = unittest.mock.MagicMock(), Watched()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.compile(lambda x: x if mocked.enabled else -x)(one()).item() == 1
        assert torch.compile(lambda x: x.data * watched.data)(one()).item() == 3
    assert Watched.looked == 1  # by the call, and not while its trace was prepared


def test_a_lazy_module_makes_its_parameters_once():
    net = nn.Sequential(nn.LazyLinear(2), nn.ReLU())
    f, x = torch.compile(net), torch.ones(1, 3)
    with pytest.warns(UserWarning, match="first call of a LazyLinear"):
        first = f(x)
    assert torch.allclose(f(x), first) and torch.equal(net(x), first)
    assert f._compiled.count == 1
