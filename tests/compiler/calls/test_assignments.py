"""What a compiled function assigns outside: attributes, entries, variables; tensors and numbers."""

import collections
import math
import sys
import threading
import types
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn


def numbers(tree):
    """``tree`` with lists of numbers in place of tensors."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().tolist()
    if isinstance(tree, dict):
        return {k: numbers(v) for k, v in tree.items()}
    if isinstance(tree, types.SimpleNamespace):
        return numbers(vars(tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(numbers, tree))
    return tree


def ran(make, arguments, compile):
    torch.manual_seed(0)
    f, state = make()
    g = torch.compile(f, fullgraph=True) if compile else f
    found = []
    for x in arguments:
        result = g(x)
        found.append((numbers(result), numbers(state())))
    return found, g


def programs(make, arguments=None):
    """Compare compiled with eager; how many programs there were."""
    arguments = arguments or [torch.full((2,), k / 2) for k in range(1, 8)]
    want, _ = ran(make, arguments, False)
    got, g = ran(make, arguments, True)
    for a, b in zip(got, want, strict=True):
        check_same(a, b)
    return g._compiled.count


def check_same(got, want):
    assert type(got) is type(want)
    if isinstance(want, dict):
        assert [*got] == [*want]
        got, want = [*got.values()], [*want.values()]
    if isinstance(want, (list, tuple)):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            check_same(a, b)
    elif isinstance(want, float):
        assert got == pytest.approx(want, rel=1e-5)
    else:
        assert got == want


class Holder:
    def __init__(self, **own):
        self.__dict__.update(own)


def of(holder, f):
    """A case: a function, and what it leaves in ``holder``."""
    return f, lambda: {k: v for k, v in vars(holder).items() if not callable(v)}


# Tensors ----------------------------------------------------------------------------------


def last_loss():
    h = Holder(loss=None)

    def f(x):
        h.loss = (x * x).sum()
        return x + 1

    return of(h, f)


def an_average():
    h = Holder(ema=torch.zeros(2))

    def f(x):
        h.ema = 0.9 * h.ema + 0.1 * x
        return h.ema * 2

    return of(h, f)


def the_argument_of_the_last_call():
    h = Holder(before=torch.zeros(2))

    def f(x):
        change, h.before = x - h.before, x
        return change

    return of(h, f)


def an_exchange():
    h = Holder(a=torch.zeros(2), b=torch.ones(2))

    def f(x):
        h.a, h.b = h.b, h.a
        return x * h.a

    return of(h, f)


def the_state_of_a_cell():
    h, cell = Holder(state=(torch.zeros(1, 2), torch.zeros(1, 2))), nn.LSTMCell(2, 2)

    def f(x):
        h.state = cell(x[None], tuple(s.detach() for s in h.state))
        return h.state[0]

    return of(h, f)


def a_dict_of_losses():
    h = Holder(losses={})

    def f(x):
        h.losses = {"a": x.sum(), "b": [x.mean(), 2.0]}
        return h.losses["a"] + h.losses["b"][0]

    return of(h, f)


def an_entry_of_a_cache():
    h = Holder(cache={"n": 1})

    def f(x):
        h.cache["x"] = x * 2
        h.cache[3] = x.shape
        return h.cache["x"]

    return of(h, f)


def two_views_of_one():
    h = Holder(whole=torch.zeros(2), part=torch.zeros(1))

    def f(x):
        found = h.whole + h.part
        h.whole = x * 2
        h.part = h.whole[:1]
        return found

    return of(h, f)


def the_last_three():
    last = collections.deque([torch.zeros(2)] * 3, maxlen=3)

    def f(x):
        last.append(x * 2)
        return sum(last)

    return f, lambda: list(last)


class Net(nn.Module):
    """Keeps its loss, with history, and activations of its layers."""

    def __init__(self):
        super().__init__()
        self.layer, self.loss = nn.Linear(2, 2), None
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x):
        out = self.layer(x)
        self.activations = {"layer": out.detach()}
        self.mean = self.mean * 0.5 + out.detach()
        self.loss = (out * out).mean()
        return out


def a_network():
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def f(x):
        optimizer.zero_grad()
        net(x)
        net.loss.backward()
        optimizer.step()

    return f, lambda: [net.mean, net.activations, net.loss, *net.parameters()]


def a_loss_of_the_call_before():
    net = Net()

    def f(x):
        before = net.loss
        net(x)
        return net.loss if before is None else net.loss + before.detach()

    return f, lambda: [net.loss, net.activations]


@pytest.mark.parametrize(
    "make, count",
    [
        (last_loss, 1),
        (an_average, 1),
        (the_argument_of_the_last_call, 1),
        (an_exchange, 1),
        (the_state_of_a_cell, 2),  # the first state has no history
        (a_dict_of_losses, 1),
        (an_entry_of_a_cache, 1),
        (two_views_of_one, 1),
        (the_last_three, 3),  # at first all are one tensor, then two are
        (a_network, 1),
        (a_loss_of_the_call_before, 2),
    ],
)
def test_tensors(make, count):
    assert programs(make) == count


def test_tensors_that_others_replace():
    h = Holder(now=torch.zeros(1), before=torch.zeros(1))

    def f(x):
        h.before = h.now
        return h.now, h.now * 2 + x

    f = torch.compile(f, fullgraph=True)
    for k in range(3):
        h.now = torch.full((1,), float(k))
        now, found = f(torch.ones(1))
        assert now is h.now is h.before and found.item() == 2 * k + 1


def test_a_loss_that_is_kept_has_its_history():
    net = Net()
    f = torch.compile(net)
    for _ in range(3):
        net.zero_grad()
        f(torch.ones(2))
        net.loss.backward()
        g = net.layer.weight.grad.clone()
        net.zero_grad()
        out = net.layer(torch.ones(2))
        (out * out).mean().backward()
        np.testing.assert_allclose(g.numpy(), net.layer.weight.grad.numpy(), rtol=1e-5)
    assert f._compiled.count == 1


# Constants --------------------------------------------------------------------------------


def a_length():
    h = Holder()

    def f(x):
        h.length, h.shape, h.name = len(x), x.shape, "f"
        return x * h.length

    return of(h, f)


def a_flag():
    h = Holder(ready=False, scale=torch.ones(2))

    def f(x):
        if not h.ready:
            h.scale, h.ready = x * 10, True
        return x * h.scale

    return of(h, f)


def a_table_of_functions():
    h = Holder(now=None, table={"a": torch.sin, "b": torch.cos})

    def f(x):
        h.now = h.table["b"] if h.now is h.table["a"] else h.table["a"]
        return h.now(x)

    return of(h, f)


def on_a_layer():
    layer = nn.Linear(2, 2)

    def f(x):
        layer.flag = not getattr(layer, "flag", False)
        return x * 2 if layer.flag else x

    return f, lambda: layer.flag


@pytest.mark.parametrize(
    "make, count", [(a_length, 1), (a_flag, 2), (a_table_of_functions, 3), (on_a_layer, 3)]
)
def test_constants(make, count):
    assert programs(make) == count


# Numbers ----------------------------------------------------------------------------------


def counter():
    h = Holder(n=0)

    def f(x):
        h.n += 1
        return x * 2

    return of(h, f)


def corrected():
    """A bias correction, as of an exponential average."""
    h = Holder(n=0, mean=torch.zeros(2))

    def f(x):
        h.n += 1
        h.mean = h.mean * 0.9 + x * 0.1
        return h.mean / (1 - 0.9**h.n), h.n * x, h.n - x, x > h.n, torch.where(x > 1, x, h.n)

    return of(h, f)


def now_and_then():
    h = Holder(n=0, total=torch.zeros(2))

    def f(x):
        h.n += 1
        if h.n % 3 == 0:
            h.total = torch.zeros(2)
        h.total = h.total + x
        return h.total

    return of(h, f)


def a_warmup():
    h = Holder(n=0, rate=0.5)

    def f(x):
        h.n += 1
        h.rate = h.rate * 0.9 if h.n > 2 else h.n / 10
        return x * h.rate, h.n, -h.n, abs(h.n - 4)

    return of(h, f)


def a_variable():
    n = 0

    def f(x):
        nonlocal n
        n += 2
        return x * n

    return f, lambda: n


def an_entry():
    counts = collections.defaultdict(int)

    def f(x):
        counts["calls"] += 1
        return x * counts["calls"] * len(counts)

    return f, lambda: dict(counts)


def an_item():
    counts = [0, 1.5]

    def f(x):
        counts[0] += 1
        counts[1] *= 2
        return x * counts[0]

    return f, lambda: counts


def of_the_class():
    class Counter:
        n = 0

        def up(self, x):
            Counter.n += 1
            return x * Counter.n

    return Counter().up, lambda: Counter.n


def beside_the_class():
    class Counter:
        n = 0

        def __call__(self, x):
            self.n += 1
            return x * self.n

    c = Counter()
    return lambda x: c(x), lambda: c.n


def of_a_setter():
    class Mean:
        def __init__(self):
            self.own, self.sets = torch.zeros(2), 0

        @property
        def value(self):
            return self.own

        @value.setter
        def value(self, x):
            self.own = x
            self.sets += 1

    mean = Mean()

    def f(x):
        mean.value = mean.value * 0.5 + x
        return mean.value * mean.sets

    return f, lambda: [mean.own, mean.sets]


def of_integers():
    h = Holder(n=0, half=0.5)

    def f(x):
        h.n += 1
        h.half += 1
        x = x.to(torch.int32)
        return x * h.n, h.n + x

    return of(h, f)


def counters_that_change_places(put):
    """The containers themselves are exchanged: each holds its own number."""

    def make():
        a, b = put(1), put(10)
        h = Holder(a=a, b=b)

        def f(x):
            h.a[0] += 1
            h.a, h.b = h.b, h.a
            return x * h.a[0], h.a

        return f, lambda: [a[0], b[0], h.a is a, h.b is b]

    return make


def a_division_that_fails():
    h = Holder(n=3)

    def f(x):
        h.n -= 1
        try:
            scale = 6 / h.n
        except ZeroDivisionError:
            scale = 100.0
        return x * scale

    return of(h, f)


def a_division_that_fails_first():
    h = Holder(n=0)

    def f(x):
        try:
            scale = 6 / h.n
        except ZeroDivisionError:
            scale = 100.0
        h.n += 1
        return x * scale

    return f, lambda: h.n + 0


def an_overflow():
    h = Holder(n=100.0)

    def f(x):
        try:
            h.n = h.n**10
        except OverflowError:
            h.n = 2.0
        return x * h.n

    return of(h, f)


def inside_of_results():
    h = Holder(n=1, key=3)

    def f(x):
        h.n, h.key = 3 - h.n, h.key
        return x, [slice(h.n, None), slice(h.n)], {h.key: 1, (h.key, "a"): 2}, {h.key}

    return of(h, f)


@pytest.mark.parametrize(
    "make, count",
    [
        (counters_that_change_places(lambda n: [n]), 4),
        (counters_that_change_places(lambda n: {0: n}), 4),
        (of_the_class, 1),
        (inside_of_results, 1),
        (counter, 1),
        (corrected, 1),
        (now_and_then, 2),
        (a_warmup, 2),
        (a_variable, 1),
        (an_entry, 2),  # the first call makes the entry
        (an_item, 1),
        (beside_the_class, 2),
        (of_a_setter, 1),
        (of_integers, 1),
    ],
)
def test_numbers(make, count):
    assert programs(make) == count


def test_integers_of_more_than_64_bits():
    h = Holder(n=10**17)

    def f(x):
        h.n *= 7
        return x * h.n

    g, x = torch.compile(f), torch.ones(2)
    g(x), g(x)
    assert g._compiled.count == 1
    with pytest.warns(UserWarning, match="running eagerly"):
        assert g(x).tolist() == pytest.approx([343e17] * 2)
    assert h.n == 343 * 10**17


def test_numbers_of_several_threads():
    f, x, wrong = torch.compile(lambda x, w: x * w), torch.ones(8), []
    f(x, 0.0), f(x, 1.0)

    def work(w):
        wrong.extend([w for _ in range(2000) if f(x, w)[0].item() != w])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(k / 4,)) for k in range(1, 4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong and f._compiled.count == 2


def test_attributes_that_no_code_names():
    h, names = Holder(a=1.0, total=torch.zeros(2)), ["a", "to" + "tal"]
    h.b = 2.0

    def f(x):
        setattr(h, names[1], x * 2)
        setattr(h, chr(98), "text")
        return x + 1

    g = torch.compile(f, fullgraph=True)
    for k in range(3):
        g(torch.full((2,), float(k)))
        assert h.total.tolist() == [2 * k] * 2 and h.b == "text"
        h.b = 3.0


def test_a_counter_that_others_set():
    h = Holder(n=0)

    def f(x):
        h.n += 1
        return x * h.n

    g = torch.compile(f, fullgraph=True)
    assert g(torch.ones(1)).item() == 1
    h.n = 9
    assert g(torch.ones(1)).item() == 10 and h.n == 10
    h.n = 0.5  # of another type: another program
    assert g(torch.ones(1)).item() == 1.5 and g._compiled.count == 2
    h.n = 2**40
    assert g(torch.ones(1, dtype=torch.int64)).item() == 2**40 + 1


def test_a_failed_call_counts_as_in_eager_mode():
    h, table = Holder(n=0), torch.ones(3)

    def f(i):
        h.n += 1
        return table[i] * h.n

    g = torch.compile(f, fullgraph=True)
    g(torch.tensor([1]))
    with pytest.raises(IndexError):
        g(torch.tensor([7]))
    assert h.n == 2


def rates(change):
    """Two steps in a call, between which the function itself changes the rate."""

    def make():
        net = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

        def f(x):
            for _ in range(2):
                optimizer.zero_grad()
                net(x).pow(2).sum().backward()
                optimizer.step()
                for group in optimizer.param_groups:
                    change(group)

        return f, lambda: [optimizer.param_groups[0]["lr"], *net.parameters()]

    return make


def decays(group):
    group["lr"] *= 0.9


def decays_to_a_floor(group):
    group["lr"] = max(group["lr"] * 0.5, 0.001)


def alternates(group):
    group["lr"] = 0.05 if group["lr"] == 0.1 else 0.1


def by_an_option_of_its_own(group):
    group["n"] = group.get("n", 0) + 1
    group["lr"] = 0.1 / group["n"]


@pytest.mark.parametrize(
    "change, count",
    [(decays, 1), (decays_to_a_floor, 2), (alternates, 1), (by_an_option_of_its_own, 2)],
)
def test_rates_that_the_function_changes(change, count):
    assert programs(rates(change)) == count


def test_a_rate_that_is_set_before_each_step():
    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0)

    def step(x):
        for rate in (0.5, 0.25):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            (w * x).sum().backward()
            optimizer.step()

    f = torch.compile(step, fullgraph=True)
    for k in range(3):
        f(torch.ones(2))
        assert w.tolist() == [1 - 0.75 * (k + 1)] * 2
        optimizer.param_groups[0]["lr"] = 3.0  # which the function does not ask for
    optimizer.load_state_dict(optimizer.state_dict())
    f(torch.ones(2))
    assert w.tolist() == [-2.0] * 2 and optimizer.param_groups[0]["lr"] == 0.25


# What is not done again -------------------------------------------------------------------


def wants(use):
    """A counter that something else than arithmetic asks for."""

    def make():
        h = Holder(n=0)

        def f(x):
            h.n += 1
            return x * float(use(h.n))

        return of(h, f)

    return make


def power():
    h = Holder(n=0)

    def f(x):
        h.n += 1
        return x**h.n

    return of(h, f)


def asks_for_its_type():
    h = Holder(n=0)

    def f(x):
        h.n += 1
        return x * (h.n if type(h.n) is int else -h.n)

    return of(h, f)


def leaves(put):
    def make():
        h = Holder(kept=None, log=[])
        return of(h, lambda x: put(h, x))

    return make


def grows(h, x):
    h.log.append(len(h.log))
    return x * len(h.log)


def makes_an_object(h, x):
    h.kept = types.SimpleNamespace(x=x * 2)
    return x


def deletes(h, x):
    if "kept" in h.__dict__:
        del h.kept
    return x * len(vars(h))


def deletes_alone(h, x):
    if hasattr(h, "kept"):
        del h.kept
    return x * 2


def deletes_an_entry(h, x):
    if "kept" in h.__dict__:
        del h.__dict__["kept"]
    return x * 2


@pytest.mark.parametrize(
    "make",
    [
        power, a_division_that_fails, a_division_that_fails_first, an_overflow, asks_for_its_type, wants(math.isfinite), wants(str), wants(hash), wants(lambda n: [1, 2, 3, 4, 5, 6, 7, 8][n]),
        wants(lambda n: len(range(n))), wants(lambda n: f"{n:.1f}"),
        wants(lambda n: len([0] * n)), wants(lambda n: n.bit_length()), wants(lambda n: n & 1),
        wants(lambda n: divmod(n, 2)[1]), wants(lambda n: (n if type(n) is int else -n)),
        leaves(grows), leaves(makes_an_object), leaves(deletes),
        leaves(deletes_alone), leaves(deletes_an_entry),
    ],
)  # fmt: skip
def test_what_runs_eagerly(make):
    arguments = [torch.full((2,), k / 2) for k in range(1, 5)]
    want, _ = ran(make, arguments, False)
    f, state = make()
    g = torch.compile(f)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        got = [(numbers(g(x)), numbers(state())) for x in arguments]
    for a, b in zip(got, want, strict=True):
        check_same(a, b)
    assert any("running eagerly" in str(w.message) for w in seen)
    assert g._compiled.count <= 1
