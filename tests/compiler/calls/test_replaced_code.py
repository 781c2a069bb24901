"""Classes, methods and containers that others replace between the calls of a compiled function."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn


@pytest.mark.parametrize("name", ["forward", "setup_context", "backward"])
@pytest.mark.parametrize("inherited", [False, True])
def test_methods_of_a_custom_function(name, inherited):
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = 3.0

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k

    class Derived(Scaled):
        pass

    def f(x):
        y = Derived.apply(x)
        return (y, *torch.autograd.grad(y.sum(), x))

    others = {
        "forward": lambda x: x * 5,
        "setup_context": lambda ctx, inputs, output: setattr(ctx, "k", 7.0),
        "backward": lambda ctx, g: g * 11,
    }
    g = torch.compile(f, options={"audit": False})
    x = torch.ones(2, requires_grad=True)
    g(x)
    setattr(Scaled if inherited else Derived, name, staticmethod(others[name]))
    for _ in range(2):
        np.testing.assert_array_equal(
            [t.detach().numpy() for t in g(x)], [t.detach().numpy() for t in f(x)]
        )


def test_a_module_gets_another_class():
    class Doubled(nn.Module):
        def forward(self, x):
            return x * 2

    class Squared(nn.Module):
        def forward(self, x):
            return x * x

    net = nn.Sequential(Doubled(), nn.Tanh())
    f = torch.compile(net, options={"audit": False})
    x = torch.tensor([3.0])
    kinds = [(Doubled, nn.Tanh), (Squared, nn.Tanh), (Squared, nn.Sigmoid), (Doubled, nn.Tanh)]
    for first, second in kinds:
        net[0].__class__, net[1].__class__ = first, second
        assert f(x).item() == pytest.approx(net(x).item())


@pytest.mark.parametrize("transform", ["vmap", "grad", "jvp", "vjp", "jacrev"])
def test_containers_that_a_transform_takes(transform):
    """A transform's function has the name and the module of the user's function."""
    p = {"w": torch.ones(2, 2), "more": [torch.ones(2, 2)]}

    def work(p):
        return (p["w"] * p["more"][0] ** 2).sum()

    def f():
        if transform == "jvp":
            return torch.func.jvp(work, (p,), (p,))[1]
        if transform == "vjp":
            return torch.func.vjp(work, p)[1](torch.ones(()))[0]["w"]
        found = getattr(torch.func, transform)(work)(p)
        return found if transform == "vmap" else found["w"]

    g = torch.compile(f, options={"audit": False})
    for i in range(1, 4):
        np.testing.assert_allclose(g().numpy(), f().numpy())
        p["w"] = torch.ones(2, 2) * 3 * i
        np.testing.assert_allclose(g().numpy(), f().numpy())
        p["more"][0] = torch.ones(2, 2) * 5 * i


class _Plain:
    pass


def _order(seed, compile):
    """What calls of a random function see and leave that deletes and assigns entries."""
    draw = random.Random(seed)
    module, plain, entries = nn.Module(), _Plain(), {}
    for name in "abc":
        entries[name] = float(ord(name))
        setattr(plain, name, ord(name))
        module.register_buffer(name, torch.full((2,), float(ord(name))))
    forms = [
        ("v = entries[{0!r}]; del entries[{0!r}]; entries[{0!r}] = v", 4),
        ("entries[{0!r}] = entries.get({0!r}, 0.0) + 1.0", 2),
        ("v = plain.{0}; del plain.{0}; plain.{0} = v", 2),
        ("v = module.{0}; del module.{0}; module.register_buffer({0!r}, v * 1)", 2),
        ("v = module._buffers; t = v[{0!r}]; del v[{0!r}]; v[{0!r}] = t", 2),
        ("for k in entries: x = x * 1.5 + entries[k]", 3),
        ("for k in vars(plain): x = x * 1.5 + getattr(plain, k)", 1),
        ("for t in module.buffers(): x = x * 1.5 + t", 1),
    ]
    lines = [f.format(draw.choice("abc")) for f in draw.choices(*zip(*forms, strict=True), k=3)]
    space = {"entries": entries, "plain": plain, "module": module}
    body = "".join([f"\n    {line}" for line in lines])
    exec(f"def f(x):{body}\n    return x", space)
    f = compile(space["f"])
    found = []
    for _ in range(4):
        x = f(torch.ones(2))
        left = [t.tolist() for t in module.buffers()]
        found.append((x.tolist(), [*entries.items()], [*vars(plain)], [*module._buffers], left))
        first = next(iter(entries))
        entries[first] = entries.pop(first)
    return body, found


@pytest.mark.filterwarnings("ignore:torch.compile")
@pytest.mark.parametrize("seed", range(60))
def test_the_order_of_entries_that_are_deleted_and_assigned_again(seed):
    body, eager = _order(seed, lambda f: f)
    _, now = _order(seed, compiled_without_audits)
    for before, after in zip(eager, now, strict=True):
        np.testing.assert_allclose(before[0], after[0], rtol=1e-5, err_msg=body)
        assert before[1:] == after[1:], body


def compiled_without_audits(function):
    return torch.compile(function, options={"audit": False})


@pytest.mark.filterwarnings("ignore:torch.compile")
def test_a_view_made_before_its_base_comes_to_require_grad():
    def f(x):
        view = x[:1]
        x.requires_grad_()
        return view, x[1:]

    g = compiled_without_audits(f)
    for _ in range(3):
        assert [t.requires_grad for t in g(torch.ones(2))] == [False, True]


def test_arrays_that_become_one():
    """Two tensors over one array share memory, though the array owns it."""

    def f(x, y):
        x.add_(1)
        return x * y

    g = compiled_without_audits(f)
    g(torch.ones(2), torch.ones(2))
    x, same = torch.ones(2), torch.ones(2)
    for _ in range(2):
        assert g(x, x.detach()).tolist() == f(same, same.detach()).tolist()
        assert x.tolist() == same.tolist()


def test_a_tensor_that_no_longer_shares_memory():
    s = SimpleNamespace(t=torch.ones(2))
    s.u = s.t.detach()

    def f(x):
        s.t.add_(x)
        s.u.mul_(3)
        return s.t + s.u

    g = compiled_without_audits(f)
    assert g(torch.ones(2)).tolist() == [12, 12]
    s.t = torch.ones(2)
    assert g(torch.ones(2)).tolist() == [20, 20]
