"""State that changes between calls, one line a case: a compiled function sees what eager sees."""

import array
import contextvars
import datetime
import os
import pathlib
import random
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
import types
import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.compiler.calls import audit
from tests.search.observing import same, seen


class Plain:
    def __init__(self, k=2.0):
        self.k = k


class Absent:
    """Has no attribute ``k`` so far."""

    def tried(self, x):
        try:
            return x * self.k
        except AttributeError:
            return -x


class Meta(type):
    hidden = 2.0

    @property
    def k(cls):
        return cls.hidden


class OfMeta(metaclass=Meta):
    pass


class Bumped(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)


def count_children(m):
    return lambda x: x * len([*m.children()])


def sum_of(m, kind):
    return lambda x: x * sum(t.sum() for t in getattr(m, kind)())


def through(parts):
    def f(x):
        for part in parts:
            x = part(x)
        return x

    return f


def through_dict(parts):
    def f(x):
        for name, part in parts.items():
            x = part(x) + len(name)
        return x

    return f


def ones(*shape, **options):
    return torch.ones(*shape, **options)


def set_item(owner, key, value):
    owner[key] = value


def marked(owner):
    owner.k = 2.0
    return owner


#: Each gives a function and a change of what it reads.
READ = {
    "_modules": lambda: (lambda m: (m, lambda: set_item(m._modules, "9", nn.Tanh())))(nn.Sequential(nn.ReLU())),
    "_parameters": lambda: (lambda m: (sum_of(m, "parameters"), lambda: set_item(m._parameters, "c", nn.Parameter(ones(3)))))(Bumped()),
    "_buffers": lambda: (lambda m: (sum_of(m, "buffers"), lambda: set_item(m._buffers, "c", ones(3))))(Bumped()),
    "ModuleDict.update": lambda: (lambda m: (through_dict(m), lambda: m.update({"bc": nn.Tanh()})))(nn.ModuleDict({"a": nn.ReLU()})),
    "ModuleDict entry": lambda: (lambda m: (through_dict(m), lambda: set_item(m, "bc", nn.Tanh())))(nn.ModuleDict({"a": nn.ReLU()})),
    "ModuleList.insert": lambda: (lambda m: (through(m), lambda: m.insert(0, nn.Tanh())))(nn.ModuleList([nn.ReLU()])),
    "Sequential.insert": lambda: (lambda m: (m, lambda: m.insert(0, nn.Tanh())))(nn.Sequential(nn.ReLU())),
    "children()": lambda: (lambda m: (count_children(m), lambda: m.add_module("c", nn.ReLU())))(Bumped()),
    "parameters()": lambda: (lambda m: (sum_of(m, "parameters"), lambda: m.register_parameter("c", nn.Parameter(ones(3)))))(Bumped()),
    "buffers()": lambda: (lambda m: (sum_of(m, "buffers"), lambda: m.register_buffer("c", ones(3))))(Bumped()),
    "state_dict()": lambda: (lambda m: (lambda x: x * sum(v.sum() for v in m.state_dict().values()), lambda: m.register_buffer("c", ones(3))))(Bumped()),
    "try: self.k": lambda: (lambda o: (o.tried, lambda: setattr(o, "k", 3.0)))(Absent()),
    "try: self.k of the class": lambda: (lambda c: (c().tried, lambda: setattr(c, "k", 3.0)))(type("Later", (Absent,), {})),
    "hasattr of a later method": lambda: (lambda c: (lambda x: x * hasattr(c, "m"), lambda: setattr(c, "m", lambda self: 1)))(type("Later", (), {})),
    "__code__": lambda: (lambda g: (lambda x: g(x), lambda: setattr(g, "__code__", (lambda x: x * 5).__code__)))(lambda x: x * 2),
    "a tensor given back": lambda: (lambda o: (lambda x: (x * 2, o.k), lambda: setattr(o, "k", ones(3) * 7)))(Plain(ones(3))),
    "sys.modules": lambda: (lambda: (lambda x: x * sys.modules["observed_k"].k, lambda: setattr(sys.modules["observed_k"], "k", 3.0)))(),
    "computed name": lambda: (lambda o: (lambda x: x * getattr(o, "".join(map(chr, [107]))), lambda: setattr(o, "k", 3.0)))(Plain()),
    "set_default_dtype": lambda: (lambda x: ones(1) * 2, lambda: torch.set_default_dtype(torch.float64)),
    "globals()": lambda: (lambda x: x * globals()["COUNT"], lambda: set_item(globals(), "COUNT", 3)),
    "os.environ": lambda: (lambda x: x * float(os.environ["OBSERVED_K"]), lambda: set_item(os.environ, "OBSERVED_K", "3.0")),
    "os.getenv": lambda: (lambda x: x * float(os.getenv("OBSERVED_K")), lambda: set_item(os.environ, "OBSERVED_K", "3.0")),
    "a variable that came later": lambda: (lambda x: x * ("OBSERVED_K" in os.environ), lambda: os.environ.pop("OBSERVED_K")),
    "metaclass property": lambda: (lambda m: (lambda x: x * OfMeta.k, lambda: setattr(m, "hidden", 3.0)))(Meta),
    "attribute of a Parameter": lambda: (lambda p: (lambda x: x * p.k, lambda: setattr(p, "k", 3.0)))(marked(nn.Parameter(ones(3)))),
}  # fmt: skip


#: Each gives a function, nothing that changes, and what to look at after each call.
LEFT = {
    "register_hook": lambda: left_by(hooked, []),
    "register_hook of an argument's product": lambda: left_by(hooked_product, []),
    "register_post_accumulate_grad_hook": lambda: left_by(after_accumulation, []),
    "register_multi_grad_hook": lambda: left_by(of_several, []),
    "raise after an assignment": lambda: left_by(assigned_then_raised, Plain(0)),
    "raise after a counter": lambda: left_by(counted_then_raised, Plain(0)),
    "raise after a write": lambda: left_by(written_then_raised, ones(3)),
    "raise after an optimizer's step": lambda: left_by(stepped_then_raised, nn.Parameter(ones(3))),
    "raise after batch norm": lambda: left_by(normed_then_raised, nn.BatchNorm1d(3)),
    "set_grad_enabled": lambda: (lambda x: (torch.set_grad_enabled(False), x * 2)[1], nothing, torch.is_grad_enabled),
    "set_default_dtype": lambda: (lambda x: (torch.set_default_dtype(torch.float64), x + ones(1))[1], nothing, torch.get_default_dtype),
    "requires_grad that turns": lambda: left_by(turned, nn.Parameter(ones(3))),
    "kept in globals()": lambda: (kept_in_globals, nothing, lambda: COUNT),
    "array.array": lambda: left_by(add_one, array.array("d", [0.0])),
    "bytearray": lambda: left_by(add_one, bytearray(1)),
    "ContextVar": lambda: left_by(move_on, contextvars.ContextVar("v", default=0), lambda v: v.get()),
}  # fmt: skip
COUNT = 0


def nothing():
    """Change nothing."""


def left_by(f, owner, look=lambda owner: owner):
    """``f(x, owner)`` as a function of ``x``, and a look at ``owner``."""
    return lambda x: f(x, owner), nothing, lambda: look(owner)


def hooked(x, seen_by_hooks):
    w = ones(3, requires_grad=True)
    y = w * x
    y.register_hook(lambda g: seen_by_hooks.append(g.sum()))
    y.sum().backward()
    return w.grad


def hooked_product(x, seen_by_hooks):
    y = ones(3, requires_grad=True) * x
    y.register_hook(lambda g: seen_by_hooks.append(1))
    y.sum().backward()
    return x * 2


def after_accumulation(x, seen_by_hooks):
    w = ones(3, requires_grad=True)
    w.register_post_accumulate_grad_hook(lambda p: seen_by_hooks.append(p.grad.sum()))
    (w * x).sum().backward()
    return x * 2


def of_several(x, seen_by_hooks):
    w = ones(3, requires_grad=True)
    a, b = w * 2, w * x
    torch.autograd.graph.register_multi_grad_hook(
        [a, b], lambda gs: seen_by_hooks.append(gs[0].sum())
    )
    (a.sum() + b.sum()).backward()
    return x * 2


def assigned_then_raised(x, owner):
    owner.k = 5.0
    raise ValueError


def counted_then_raised(x, owner):
    owner.k += 1
    if owner.k % 2 == 0:
        raise ValueError
    return x * 2


def written_then_raised(x, tensor):
    tensor.add_(1)
    raise ValueError


def stepped_then_raised(x, p):
    p.grad = None
    (p * x).sum().backward()
    torch.optim.SGD([p], lr=0.1).step()
    raise ValueError


def normed_then_raised(x, norm):
    norm(x)
    raise ValueError


def turned(x, p):
    p.requires_grad_(not p.requires_grad)
    return x * 2


def kept_in_globals(x):
    globals()["COUNT"] += 1
    return x * 2


def add_one(x, owner):
    owner[0] += 1
    return x * 2


def move_on(x, variable):
    variable.set(variable.get() + 1)
    return x * 2


#: How often a function is called before the change, and after it.
TIMES = 3


def calls(f, change, left=nothing):
    """What calls before a change and after it gave, and what they left."""
    found = []
    for i in range(2 * TIMES):
        if i == TIMES:
            change()
        x = torch.arange(6.0).reshape(2, 3)
        try:
            result = seen(f(x))
        except ValueError as error:
            result = str(error)
        found.append((result, seen(x), seen(left())))
    return found


def start_again():
    """Leave the process as it was."""
    global COUNT
    COUNT, Meta.hidden, sys.modules["observed_k"].k = 0, 2.0, 2.0
    os.environ["OBSERVED_K"] = "2.0"
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("OBSERVED_K", "2.0")
    monkeypatch.setitem(sys.modules, "observed_k", types.SimpleNamespace(k=2.0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.compile: running eagerly")
        yield
    start_again()


def pair(make):
    """What the same calls gave, eager and compiled."""
    found = []
    for compiled in (lambda f: f, lambda f: torch.compile(f, options={"audit": False})):
        torch.manual_seed(1)
        f, *rest = make()
        found.append(calls(compiled(f), *rest))
        start_again()
    return found


@pytest.mark.parametrize("name", READ)
def test_what_changed_is_read_again(name):
    eager, compiled = pair(READ[name])
    assert not same(eager[TIMES - 1], eager[TIMES])  # else the change is none
    assert same(eager, compiled)


@pytest.mark.parametrize("name", LEFT)
def test_what_a_call_leaves_is_left(name):
    eager, compiled = pair(LEFT[name])
    assert same(eager, compiled)


def test_the_order_of_keywords_is_a_guard():
    f = torch.compile(lambda x, **rest: x * next(iter(rest.values())))
    x = ones(3)
    assert f(x, a=2.0, b=3.0).tolist() == [2.0] * 3
    assert f(x, b=3.0, a=2.0).tolist() == [3.0] * 3


def test_which_tensor_an_argument_is_is_a_guard():
    a = ones(3)
    f = torch.compile(lambda x: x * (2 if x is a else 3))
    assert [f(x).tolist() for x in (a, ones(3), a)] == [[2.0] * 3, [3.0] * 3, [2.0] * 3]
    g = torch.compile(lambda x, y: x * (2 if x is y else 3))
    assert [g(a, y).tolist() for y in (a, ones(3), a)] == [[2.0] * 3, [3.0] * 3, [2.0] * 3]


# What cannot be observed ----------------------------------------------------------------------


def read(path):
    with open(path) as file:
        return file.read()


UNSEEN = {
    "open": lambda x: x * len(read(__file__)),
    "pathlib": lambda x: x * len(pathlib.Path(__file__).read_text()),
    "stat": lambda x: x * os.path.getsize(__file__),
    "perf_counter": lambda x: x * time.perf_counter(),
    "time_ns": lambda x: x * (time.time_ns() % 7),
    "datetime.now": lambda x: x * datetime.datetime.now().second,
    "random": lambda x: x * random.random(),
    "SystemRandom": lambda x: x * random.SystemRandom().random(),
    "secrets": lambda x: x * secrets.randbits(8),
    "urandom": lambda x: x * os.urandom(1)[0],
    "uuid4": lambda x: x * (uuid.uuid4().int % 7),
    "default_rng": lambda x: x * np.random.default_rng().random(),
    "np.random.rand": lambda x: x * np.random.rand(),
    "socket": lambda x: x * len(socket.gethostname()),
    "subprocess": lambda x: x * len(subprocess.run(["true"], check=True, timeout=60).args),
}


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_cannot_be_observed_runs_eagerly(name):
    f = UNSEEN[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        compiled = torch.compile(f)
        for _ in range(3):
            compiled(ones(3))
    told = [str(w.message) for w in caught if "torch.compile: running eagerly" in str(w.message)]
    assert len(told) == 1
    assert re.search(r"test_observed\.py:\d+", told[0])
    with pytest.raises(RuntimeError):
        torch.compile(f, fullgraph=True)(ones(3))


def test_a_thread_local_is_that_of_the_calling_thread():
    local = threading.local()
    local.k = 2.0

    def f(x):
        local.calls = getattr(local, "calls", 0) + 1
        return x * local.k * local.calls

    def elsewhere():
        with pytest.raises(AttributeError):
            compiled(x)
        local.k = 5.0
        return [compiled(x).item() for _ in range(2)]

    compiled, x = torch.compile(f, options={"audit": False}), torch.tensor(1.0)
    assert [compiled(x).item() for _ in range(2)] == [2.0, 4.0]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(elsewhere).result() == [10.0, 15.0]
    assert compiled(x).item() == 6.0 and local.calls == 3


def test_audits_take_a_hundredth_of_the_time(monkeypatch):
    monkeypatch.delenv("RUSHLIGHT_AUDIT", raising=False)
    now, audits = [0.0], [0]

    def record(args, kwargs):
        now[0] += 0.01
        audits[0] += 1

    monkeypatch.setattr(audit, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(audit, "_difference", lambda *two: None)
    audited = audit.Audit(record, True)
    for _ in range(300_000):
        before = audits[0]
        audited.left -= 1
        if not audited.left:
            audited.pass_or_raise((), {})
        now[0] += 1e-3 if audits[0] > before else 1e-5  # the caches are cold after an audit
        if audited.began:
            audited.end()
    assert 2 <= audits[0] <= 3 and audits[0] * 0.01 < 0.012 * now[0]
