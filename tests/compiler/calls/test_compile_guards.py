"""What a compiled call is checked against: arguments, surroundings, modules, modes, hooks."""

import dataclasses
import functools
import sys
import threading
import types

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn


def compiled(f):
    return torch.compile(f, fullgraph=True)


def one(k=1.0):
    return torch.full((1,), float(k))


@dataclasses.dataclass
class Pair:
    x: object
    y: object


# Arguments --------------------------------------------------------------------------------


def test_plain_arguments_are_known_by_value_and_type():
    f = compiled(lambda x, a: x * a)
    for a in (1, 1.0, True, 2):
        f(one(), a)
    assert f._compiled.count == 4


FLOATS = [0.1 * k for k in range(20)] + [float("nan"), float("inf")]


@pytest.mark.parametrize(
    "f, count",
    [
        (lambda x, w: (x * w).sum() * (1 - w), 2),
        (lambda x, w: torch.where(x > w, x - w, w / (x + 2)), 2),
        (lambda x, w: x * w if w < 1 else x - w, 3),
        (lambda x, w: (x * w, w * 2), 2),
        (lambda x, w: x * w if isinstance(w, float) else x, 2),
    ],
)
def test_floats_that_change_are_arguments(f, count):
    """From the second one on: the first program may know its float."""
    x, g = torch.arange(4.0), compiled(f)
    for w in FLOATS:
        torch.testing.assert_close(g(x, w), f(x, w), equal_nan=True)
    assert g._compiled.count == count


def test_a_float_whose_value_is_asked_for_is_known_by_it():
    f = compiled(lambda x, *, w: x * hash(w))
    for w in (0.5, 1.5, 2.5, 1.5):
        assert f(one(), w=w).item() == pytest.approx(hash(w))
    assert f._compiled.count == 3
    g = compiled(lambda x, w: x * w if type(w) is float else x)
    assert [g(one(), w).item() for w in (0.5, 1.5, 2.5)] == [0.5, 1.5, 2.5]


def test_a_number_beside_a_tensor_without_dims_decides_no_dtype():
    f = compiled(lambda x, w: x.sum() * w)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        x = torch.ones(3, dtype=dtype)
        assert [f(x, w).dtype for w in (0.5, 1.5, 2.5)] == [dtype] * 3


def test_arguments_in_containers():
    f = compiled(lambda pair, *, k: pair.x * pair.y + k["a"][0])
    for i in range(3):
        assert f(Pair(one(i), 2), k={"a": (one(),)}).item() == 2 * i + 1
    assert f(Pair(one(), 3), k={"a": (one(),)}).item() == 4
    assert f._compiled.count == 2
    g = compiled(lambda x, y=None, *, z=1: x if y is None else x + y * z)
    assert [g(one()).item(), g(one(), one()).item(), g(one(), y=one(), z=3).item()] == [1, 2, 4]


def test_a_numpy_argument_is_known_by_its_elements():
    f = compiled(lambda x, a: x + torch.tensor(a))
    for value in (1, 2, 1):
        assert f(one(), np.array([value], "f4")).item() == 1 + value
    assert f._compiled.count == 2


def test_layouts_of_an_argument():
    f = compiled(lambda x: x * 2)
    base = torch.arange(12.0).view(3, 4)
    for view in (base, base.T, base[:, ::2], base[1:], base.expand(2, 3, 4)):
        assert torch.equal(f(view), view * 2)


def test_arguments_that_share_memory():
    f = compiled(lambda x, y: (x.add_(1), y * 2)[1])
    b = torch.zeros(3)
    assert f(torch.zeros(3), torch.zeros(3)).tolist() == [0, 0, 0]
    assert f(b, b).tolist() == [2, 2, 2]
    assert f(b, b.detach()).tolist() == [4, 4, 4]


def test_models_and_optimizers_as_arguments():
    def step(model, optimizer, x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    f = compiled(step)
    for _ in range(2):
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        before = model.weight.detach().clone()
        for _ in range(2):
            f(model, optimizer, torch.ones(1, 2))
        np.testing.assert_allclose((before - model.weight.detach()).numpy(), 0.2, rtol=1e-4)
    assert f._compiled.count == 2


# Surroundings -----------------------------------------------------------------------------

SCALE = 2.0


def scaled(x):
    return x * SCALE


def test_globals_of_functions_that_are_called(monkeypatch):
    f = compiled(lambda x: scaled(x))
    assert f(one()).item() == 2
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert f(one()).item() == 3


def test_entries_and_attributes():
    entries, attributes = {"a": 2.0, "unread": 0}, types.SimpleNamespace(b=1.0)
    f = compiled(lambda x: x * entries["a"] + attributes.b)
    assert f(one()).item() == 3
    entries["a"] = 5.0
    assert f(one()).item() == 6
    attributes.b, entries["unread"] = 0.0, 1
    assert f(one()).item() == 5
    assert f._compiled.count == 3


def test_partial_and_bound_methods():
    class Scaler:
        def __init__(self, k):
            self.k = k

        def run(self, x):
            return x * self.k

        decorated = torch.compile(run)

    assert compiled(functools.partial(lambda x, k: x * k, k=3))(one()).item() == 3
    first, second = Scaler(2.0), Scaler(3.0)
    f = compiled(first.run)
    assert (f(one()).item(), first.decorated(one()).item()) == (2, 2)
    assert second.decorated(one()).item() == 3
    first.k = 5.0
    assert (f(one()).item(), first.decorated(one()).item()) == (5, 5)


def test_a_compiled_function_inside_another():
    inner, layer = torch.compile(lambda x: x * 2), torch.compile(nn.Linear(1, 1))
    f = compiled(lambda x: layer(inner(x)))
    assert f(one()).item() == pytest.approx(layer(one(2)).item(), rel=1e-6)


def test_the_default_dtype():
    f = compiled(lambda x: x + torch.ones(1))
    assert f(one()).dtype is torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert f(torch.ones(1)).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


# Modules ----------------------------------------------------------------------------------


def test_attributes_and_children_of_modules():
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))
    f, x = compiled(lambda x: net(x)), torch.ones(50, 4)
    f(x)
    net[0].p = 0.0
    assert torch.allclose(f(x), net(x))
    net[1] = nn.Linear(4, 2)
    assert torch.allclose(f(x), net(x))
    assert f._compiled.count == 3


def test_methods_of_every_kind_are_replaced():
    class Net(nn.Module):
        factor = 2.0

        @property
        def scale(self):
            return self.factor

        @staticmethod
        def shifted(x):
            return x + 1

        @classmethod
        def scaled(cls, x):
            return x * cls.factor

        def forward(self, x):
            return self.scaled(self.shifted(x)) * self.scale

    net, x = Net(), torch.ones(1)
    f = compiled(net)
    assert f(x) == 8
    Net.shifted = staticmethod(lambda x: x + 2)
    assert f(x) == 12
    Net.scaled = classmethod(lambda cls, x: x)
    assert f(x) == 6
    Net.scale = property(lambda self: 5.0)
    assert f(x) == 15
    net.shifted = lambda x: x
    assert f(x) == f(x) == 5
    assert f._compiled.count == 5


def test_a_method_is_replaced_that_another_overrides():
    class Base(nn.Module):
        def shifted(self, x):
            return x + 1

    class Net(Base):
        def shifted(self, x):
            return super().shifted(x) * 2

        def forward(self, x):
            return self.shifted(x)

    f, x = compiled(Net()), torch.ones(1)
    assert f(x) == 4
    Base.shifted = lambda self, x: x + 10
    assert f(x) == 22
    Net.shifted = lambda self, x: x
    assert f(x) == f(x) == 1
    assert f._compiled.count == 3


def test_methods_of_a_module_that_is_not_called():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)
            self.k = 1.0

        @torch.compile(fullgraph=True)
        def forward(self, x):
            return self.linear(x) * self.k if self.training else x

        @torch.compile(fullgraph=True)
        def score(self, x):
            return F.linear(x, self.linear.weight) * self.k

    net, x = Net(), torch.ones(1, 2)
    out, score = net(x), net.score(x)
    net.k = 2.0
    assert torch.allclose(net(x), 2 * out) and torch.allclose(net.score(x), 2 * score)
    net.linear.weight = nn.Parameter(net.linear.weight.detach() * 3)
    assert torch.allclose(net.score(x), 6 * score)
    net.eval()
    assert torch.equal(net(x), x)
    net = Net().eval()
    net.compile(fullgraph=True)
    assert torch.equal(net(x), x)


def test_new_parameters_are_picked_up():
    net, x = nn.Linear(2, 1), torch.ones(1, 2)
    f = compiled(net)
    changes = [
        lambda: None,
        lambda: setattr(net.weight, "data", torch.full((1, 2), 7.0)),
        lambda: net.load_state_dict({"weight": torch.ones(1, 2), "bias": torch.zeros(1)}),
        lambda: setattr(net, "weight", nn.Parameter(torch.full((1, 2), 11.0))),
    ]
    for change in changes:
        change()
        np.testing.assert_allclose(f(x).detach().numpy(), net(x).detach().numpy())
    assert f._compiled.count == 2  # only another Parameter is another program
    net.double()
    assert f(x.double()).dtype is torch.float64


def test_requires_grad_of_parameters():
    net, x = nn.Linear(2, 1), torch.ones(1, 2)
    f = compiled(net)
    f(x).sum().backward()
    net.zero_grad()
    net.weight.requires_grad_(False)
    f(x).sum().backward()
    assert net.weight.grad is None and net.bias.grad is not None
    net.bias.requires_grad_(False)
    assert not f(x).requires_grad


def test_hooks_come_and_go():
    net, x = nn.Linear(2, 2), torch.ones(1, 2)
    f = compiled(lambda x: net(x))
    plain = f(x)
    with net.register_forward_hook(lambda module, args, out: out * 2):
        assert torch.equal(f(x), 2 * plain)
    assert torch.equal(f(x), plain)
    assert f._compiled.count == 2


@pytest.mark.parametrize("own", [nn.Linear, type("Own", (nn.Linear,), {})])
def test_a_module_is_given_a_forward_of_its_own(own):
    net, x = nn.Sequential(own(2, 2)), torch.ones(1, 2)
    f, plain = compiled(net), net(x)
    before = net[0].forward
    assert torch.equal(f(x), plain)
    net[0].forward = lambda x: before(x) * 2
    assert torch.equal(f(x), plain * 2)
    net[0].forward = lambda x: before(x) * 3
    assert torch.equal(f(x), plain * 3)
    del net[0].forward
    assert torch.equal(f(x), plain)
    assert f._compiled.count == 3


def test_backward_hooks_of_modules():
    """What a hook watches is not kept by the graph of a loss that is returned."""

    def gradient(compile):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        net[1].register_full_backward_hook(lambda module, before, after: (before[0] * 0.5,))

        def step(x):
            loss = net(x).pow(2).mean()
            loss.backward()
            return loss

        f = compile(step)
        for _ in range(2):
            f(torch.ones(4, 2))
        return net[0].weight.grad

    want, got = gradient(lambda f: f), gradient(compiled)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)


def test_modes():
    net, x = nn.Linear(2, 2), torch.ones(1, 2)
    f = compiled(net)
    assert f(x).requires_grad
    with torch.no_grad():
        assert not f(x).requires_grad
    with torch.inference_mode():
        assert f(x).is_inference()
    assert f._compiled.count == 3


def test_several_threads():
    net = nn.Linear(4, 4)
    f, right = compiled(net), []

    def work(k):
        with torch.no_grad():
            for _ in range(50):
                x = torch.full((2, 4), float(k))
                right.append(torch.allclose(f(x), net(x), atol=1e-5))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(right) == 150 and all(right)
    assert f._compiled.count == 1


def test_the_function_of_a_call_can_be_read():
    f = compiled(lambda x, k: x * k)
    f(one(), 2)
    text = f._compiled.entries[0].text
    assert "t0.view_of" in text and "program.run([a0], held.arrays)" in text


def test_the_checks_of_a_small_step_are_few():
    """Each check is one comparison in one function: no helper is called while nothing changed."""
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        net(x).sum().backward()
        optimizer.step()

    f = torch.compile(step, fullgraph=True, options={"audit": False})
    x, calls = torch.ones(1, 4), []
    f(x)
    entry = f._compiled.entries[0]

    class Nothing:
        def run(self, arrays, held):
            return []

    entry.call.__globals__["program"] = Nothing()
    note = lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None
    sys.setprofile(note)
    f(x)
    sys.setprofile(None)
    assert calls == ["run", "call", "call", "begin", "run"]
