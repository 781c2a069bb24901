"""Gradients of compiled functions that are differentiated in turn, from outside."""

import random
from collections import Counter

import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn
from rushlight.compiler.calls.compiled import Compiled
from rushlight.errors import GraphError
from tests import conformance as c
from tests.daily import DAY
from tests.test_conformance import by_operation, every


def second(call, *given):
    """The result, the gradients, and the gradients of these."""
    leaves = [t.clone().requires_grad_() for t in given]
    y = call(*leaves)
    first = torch.autograd.grad((y * y.detach().cos()).sum(), leaves, create_graph=True)
    total = sum([(g * g).sum() for g in first])
    again = torch.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else ()
    recorded = torch.tensor([g.requires_grad for g in first])
    return [y, *first, recorded, *[g for g in again if g is not None]]


def inner(x):
    y = x * 2
    y[0] = (y[1] * 1) * x[0]
    y.mul_(3)
    return torch.cat([y.t().exp(), y.relu().t()]).sigmoid()


CALLS = {
    "elementwise": (lambda x, y: x.sin() * y.exp() + x * y, [(3, 4), (4,)]),
    "products": (lambda x, w, b: F.gelu(F.linear(x, w, b)) @ w, [(5, 4), (3, 4), (3,)]),
    "convolution": (lambda x, w: F.max_pool2d(F.conv2d(x, w).tanh(), 2), [(2, 3, 7, 7), (4, 3, 2, 2)]),
    "norms": (lambda x, w: F.layer_norm(x.softmax(-1), (6,), w), [(4, 6), (6,)]),
    "writes": (inner, [(4, 4)]),
    "parts": (lambda x: x[1:] * x[:-1].cumsum(0), [(5, 3)]),
    "attention": (lambda q, k: F.scaled_dot_product_attention(q, k, k * q), [(2, 5, 4), (2, 5, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_as_eager(name):
    call, shapes = CALLS[name]
    torch.manual_seed(0)
    given = [torch.randn(s, dtype=torch.float64) for s in shapes]
    compiled = torch.compile(call, fullgraph=True)
    for _ in range(3):
        torch.testing.assert_close(second(compiled, *given), second(call, *given))


def test_arguments_that_were_computed():
    """The graph goes on through what the arguments were computed from."""
    f = lambda x: x.exp().sum()
    x = torch.tensor([0.3, 0.7], requires_grad=True)
    slopes = []
    for call in (f, torch.compile(f)):
        (g,) = torch.autograd.grad(call(x.sin()), x, create_graph=True)
        slopes += torch.autograd.grad(g.sum(), x)
    torch.testing.assert_close(*slopes)


def test_a_penalty_of_gradients_trains_a_module():
    losses = []
    for way in (lambda f: f, torch.compile):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        critic, x = way(net), torch.randn(16, 4)
        for _ in range(4):
            mixed = (x * 1.5).requires_grad_()
            (g,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
            loss = (g.norm(dim=1) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_gradients_with_a_graph_in_grad():
    f = lambda x: (x**3).sum()
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    torch.compile(f)(x).backward(create_graph=True)
    assert x.grad.tolist() == [3.0, 12.0]
    assert torch.autograd.grad(x.grad.sum(), x)[0].tolist() == [6.0, 12.0]


def test_a_third_gradient():
    f = torch.compile(lambda x: x**4)
    x = torch.tensor(2.0, requires_grad=True)
    y = f(x)
    for want in (32.0, 48.0, 48.0):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        assert y.item() == want


def test_random_numbers_are_those_of_the_call():
    f = torch.compile(lambda x: (x + torch.randn(5)) ** 3)
    x = torch.zeros(5, requires_grad=True)
    for _ in range(3):
        y = f(x)
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x)
        noise = y.detach().sign() * y.detach().abs() ** (1 / 3)
        torch.testing.assert_close(g, 3 * noise**2, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(h, 6 * noise, rtol=1e-4, atol=1e-4)


def test_dropout_keeps_its_mask():
    f = torch.compile(lambda x: F.dropout(x, 0.5) ** 3)
    torch.manual_seed(1)
    x = torch.ones(64, requires_grad=True)
    for _ in range(2):
        y = f(x)
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x)
        assert set(y.tolist()) == {0.0, 8.0}
        assert torch.equal(g, y * 3) and torch.equal(h, y * 6)


def test_an_argument_that_was_written_since():
    f = torch.compile(lambda x, y: x + y.sin())
    x, y = torch.ones(3, requires_grad=True), torch.ones(3)
    found = f(x * 1, y)
    y.add_(1)
    torch.autograd.grad(found.sum(), x, retain_graph=True)
    with pytest.raises(GraphError, match="modified by an inplace operation"):
        torch.autograd.grad(found.sum(), x, create_graph=True)


def test_a_function_that_writes_an_argument():
    def f(x, y):
        y.add_(1)
        return x * y * x

    x, y = torch.ones(3, requires_grad=True), torch.ones(3)
    (g,) = torch.autograd.grad(torch.compile(f)(x, y).sum(), x)
    assert g.tolist() == [4.0] * 3
    with pytest.raises(GraphError, match="writes to an argument"):
        torch.autograd.grad(torch.compile(f)(x, y).sum(), x, create_graph=True)


class Tenfold(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 10


def without_grad(x):
    with torch.no_grad():
        s = x.sum()
    return x * s


def hooked(x):
    y = x * 2
    y.register_hook(lambda g: g * 100)
    return y * x


def gradient_inside(x):
    (g,) = torch.autograd.grad((x**3).sum(), x)
    return g * x


def leaf_inside(x):
    y = x * 2
    z = y.detach().requires_grad_()
    return z * 3 + y


def write_without_grad(x):
    y = x * x
    with torch.no_grad():
        y *= 2
    return y * x.sin()


def write_through_data(x):
    y = x.sin()
    y.data *= 3
    return y * x


def graph_inside(x):
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    return g * x


def stop(x):
    a = x.exp()
    return a * a.detach() + (a.detach() * x).sin()


#: Where the function says that no gradient passes, or asks for gradients itself.
DETACHING = {
    "detach": lambda x: x * x.detach(), "data": lambda x: x * x.data, "no_grad": without_grad,
    "gradient inside": gradient_inside, "graph inside": graph_inside, "stop": stop,
    "parts": lambda x: torch.stack([x, x.detach().exp()]).prod(0) * x[0].detach(),
    "straight through": lambda x: (x + (x.round() - x).detach()) * x.square(),
    "cosine_similarity": lambda x: F.cosine_similarity(x[None], x[None] * 2 + 1),
    "write without grad": write_without_grad, "write through data": write_through_data,
    "max": lambda x: (x - x.amax().detach()).exp().sum().log() * x,
}  # fmt: skip


@pytest.mark.parametrize("name", DETACHING)
def test_values_without_history_have_none_again(name):
    given = torch.tensor([1.25, 2.5], dtype=torch.float64)
    call = DETACHING[name]
    compiled = torch.compile(call, fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(second(compiled, given), second(call, given))


#: Computed again from their operations, these would have another gradient.
OTHERS = {
    "Function": lambda x: Tenfold.apply(x) * x, "hook": hooked, "leaf inside": leaf_inside,
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_operations_do_not_tell_raises(name):
    call = OTHERS[name]
    given = torch.tensor([1.0, 2.0])
    first = []
    for way in (call, torch.compile(call)):
        x = given.clone().requires_grad_()
        first += torch.autograd.grad(way(x).sum(), x)
    torch.testing.assert_close(*first)
    x = given.clone().requires_grad_()
    with pytest.raises(GraphError, match="cannot be differentiated in turn"):
        torch.autograd.grad(torch.compile(call)(x).sum(), x, create_graph=True)


#: What a random function may do with two of its tensors, a and b; each gives a new tensor.
STEPS = (
    lambda a, b: a * b, lambda a, b: a + b.sin(), lambda a, b: (a * 0.5).exp(), lambda a, b: a - b,
    lambda a, b: a.detach(), lambda a, b: a.data * b, lambda a, b: a.detach().requires_grad_(),
    lambda a, b: torch.where(a > b, a, b), lambda a, b: torch.stack([a, b]).prod(0),
    lambda a, b: a.clone().mul_(b), lambda a, b: a.flip(0), lambda a, b: torch.cat([a[1:], b[:1]]),
    lambda a, b: _quietly(lambda: a * b), lambda a, b: _quietly(lambda: a.mul_(0.5)),
    lambda a, b: a.data.mul_(0.5), lambda a, b: _filled(a, b), lambda a, b: Tenfold.apply(a),
    lambda a, b: a.detach() + a - a.detach() * b, lambda a, b: _slope(a, b),
)  # fmt: skip


def _quietly(call):
    with torch.no_grad():
        return call()


def _filled(a, b):
    c = a * 1
    c[0] = b[1]
    return c


def _slope(a, b):
    y = (a * a * b).sum()
    if not y.requires_grad or not a.requires_grad:
        return y * a
    return torch.autograd.grad(y, a, create_graph=True)[0]


def random_function(seed):
    """A function of one tensor, made of random steps."""
    draw = random.Random(seed)
    plan = [(draw.choice(STEPS), draw.random(), draw.random()) for _ in range(draw.randint(2, 9))]

    def call(x):
        known = [x * 1]
        for step, i, k in plan:
            known.append(step(known[int(i * len(known))], known[int(k * len(known))]))
        return sum([t * w for t, w in zip(known, (0.3, 0.7, 1.1) * 4, strict=False)])

    return call


@pytest.mark.parametrize("first", [0, pytest.param(40, marks=pytest.mark.slow)])
def test_random_functions_that_detach(first):
    """The compiled gradients are the eager ones, or raise GraphError."""
    start = random.Random(f"{DAY} second gradients").randrange(1 << 30) + first
    found: Counter = Counter()
    for seed in range(start, start + (300 if first else 40)):
        answers = []
        for way in (lambda f: f, torch.compile):
            x = torch.tensor([0.5, 1.25, -0.75], dtype=torch.float64, requires_grad=True)
            try:
                y = way(random_function(seed))(x)
                (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
                again = torch.autograd.grad(g.square().sum(), x) if g.requires_grad else ()
                answers.append([y, g, *again])
            except RuntimeError as error:
                answers.append(type(error))
        found[isinstance(answers[1], list)] += 1
        if isinstance(answers[1], list):
            torch.testing.assert_close(*answers[::-1], msg=lambda m, seed=seed: f"seed {seed}: {m}")
    assert found[True] * 4 > found.total()


#: Samples that refuse: lobpcg draws random numbers; the others have other nodes when repeated.
ONCE = ("lobpcg", "selu-3", "as_strided_copy-2")


@by_operation(lambda s: s.trace and s.grad and s.second and not s.name.startswith(ONCE))
def test_operations(samples):
    every(samples, _second_gradients)


def _second_gradients(sample):
    found = [_of_sample(sample, way) for way in (lambda f: f, Compiled)]
    for got, want in zip(*reversed(found), strict=True):
        assert (got is None) == (want is None)
        if want is not None:
            c.close(c.array(got), c.array(want), 1e-5, "second gradient")


def _of_sample(sample, way):
    """The second gradients of the results, as of a sum of the first ones' squares."""
    given = c.tensors(torch, sample, "float64", requires_grad=True)
    wanted = [t for t in given if t.requires_grad]
    torch.manual_seed(0)
    outs = c.flat(way(lambda *xs: sample.call(torch, *xs))(*given))
    roots = [o for o in outs if isinstance(o, torch.Tensor) and o.requires_grad]
    if not roots:
        return []
    total = sum([(o * o.detach().cos()).sum().abs() for o in roots])
    first = torch.autograd.grad(total, wanted, create_graph=True, allow_unused=True)
    squares = [(g * g.conj()).real.sum() for g in first if g is not None and g.requires_grad]
    return torch.autograd.grad(sum(squares), wanted, allow_unused=True) if squares else []


def test_an_argument_that_is_a_view_of_another():
    f = lambda x, w: x * w * w
    found = []
    for way in (f, torch.compile(f)):
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        (g,) = torch.autograd.grad(way(x, x.view(2)).sum(), x, create_graph=True)
        found.append([g, *torch.autograd.grad(g.sum(), x)])
    torch.testing.assert_close(*found)
