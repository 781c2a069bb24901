"""What a compiled call leaves outside: writes, gradients, optimizers, schedules, assignments."""

import copy
import dataclasses
import gc
import types
import weakref

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn
from rushlight.errors import GraphError
from rushlight.nn.utils import prune
from tests.daily import daily


def compiled(f):
    return torch.compile(f, fullgraph=True)


def arrays(tree):
    """Copies of the numbers in ``tree``."""
    if isinstance(tree, torch.Tensor):
        return [tree.detach().numpy().copy()]
    if isinstance(tree, (int, float)):
        return [tree]
    return [a for item in tree or () for a in arrays(item)]


def ran(make, calls, compile):
    torch.manual_seed(0)
    f, state = make()
    g = compiled(f) if compile else f
    found = [arrays(g(*args)) for args in calls()]
    return found + [arrays(state())], g


def programs(make, calls):
    """Compare compiled with eager over ``calls``; how many programs there were."""
    want, _ = ran(make, calls, False)
    got, f = ran(make, calls, True)
    for a, b in zip(got, want, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    return f._compiled.count


# Trainings --------------------------------------------------------------------------------


def perceptron():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def training(optimizer, change=lambda k, net, optimizer: None, batch=lambda k: 8, steps=9):
    """Losses of a training, eager and compiled, with ``change`` between the steps."""

    def run(compile):
        torch.manual_seed(0)
        net = perceptron()
        opt = optimizer(list(net.parameters()))

        def step(x):
            opt.zero_grad()
            loss = net(x).pow(2).mean()
            loss.backward()
            opt.step()
            return loss

        f, losses = compiled(step) if compile else step, []
        for k in range(steps):
            losses.append(f(torch.randn(batch(k), 3)).item())
            change(k, net, opt)
        return losses, f

    want, _ = run(False)
    got, f = run(True)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    return f._compiled.count


def adam(params):
    return torch.optim.Adam(params, lr=0.01)


def loads(k, net, optimizer):
    if k == 2:
        net.load_state_dict({name: v * 1.5 for name, v in net.state_dict().items()})
    if k == 4:
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def falls_out_of_step(k, net, optimizer):
    if k == 5:
        optimizer.state_dict()["state"][0]["step"] += 7


def eager_steps(k, net, optimizer):
    if k % 2:
        net(torch.ones(2, 3)).sum().backward()
        optimizer.step()


def options(k, net, optimizer):
    for group in optimizer.param_groups:
        if k == 2:
            group["weight_decay"] = 0.1  # no longer 0: another program
        if k == 4:
            group.update(weight_decay=0.2, betas=(0.8, 0.99), eps=1e-3, lr=1)


def new_group(k, net, optimizer):
    if k == 2:
        optimizer.add_param_group({"params": [torch.ones(1, requires_grad=True)]})


@pytest.mark.parametrize(
    "change, count",
    [(loads, 1), (falls_out_of_step, 2), (eager_steps, 1), (options, 2), (new_group, 2)],
)
def test_state_that_others_change(change, count):
    assert training(adam, change) == count


def test_batches_of_two_sizes():
    assert training(adam, batch=lambda k: 8 if k % 3 else 5) == 2


def test_groups_with_options_of_their_own():
    def groups(params):
        own = [{"params": params[:2], "lr": 0.1}, {"params": params[2:], "momentum": 0.9}]
        return torch.optim.SGD(own, lr=0.01)

    def change(k, net, optimizer):
        optimizer.param_groups[1]["lr"] *= 0.9

    assert training(groups, change) == 1


def test_only_scalars_are_wide():
    """float64 numbers, such as Adam's bias corrections, leave float32 arrays in float32."""
    from rushlight.compiler.calls import wrapper

    seen = []
    make = wrapper.make_program
    wrapper.make_program = lambda equations, *rest: seen.extend(equations) or make(equations, *rest)
    try:
        for optimizer in (adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad):
            training(optimizer, steps=2)
    finally:
        wrapper.make_program = make
    assert all(v.dtype != np.float64 or v.shape == () for e in seen for v in e.outs)
    # What depends on the number of the step is computed once for all parameters.
    assert sum(e.op.name == "pow" for e in seen) <= 8


def schedule(kind, **options):
    def make():
        net = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scheduler = getattr(torch.optim.lr_scheduler, kind)(optimizer, **options)

        def step(x):
            optimizer.zero_grad()
            loss = net(x).pow(2).mean() + 1
            loss.backward()
            optimizer.step()
            scheduler.step(*([loss.detach() * 0 + 1] if kind == "ReduceLROnPlateau" else []))
            return loss

        return step, lambda: [optimizer.param_groups[0]["lr"], *net.parameters()]

    return make


@pytest.mark.parametrize(
    "make",
    [
        schedule("StepLR", step_size=2, gamma=0.5),
        schedule("OneCycleLR", max_lr=0.5, total_steps=10),
        schedule("ReduceLROnPlateau", patience=0),
    ],
)
def test_a_scheduler_inside(make):
    assert programs(make, lambda: [(torch.ones(2, 3),)] * 6) == 1


def test_a_scheduler_before_the_step():
    def make():
        w = torch.ones(2, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=1.0)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        optimizer.step()

        def step(x):
            scheduler.step()
            optimizer.zero_grad()
            (w * x).sum().backward()
            optimizer.step()

        return step, lambda: w

    assert programs(make, lambda: [(torch.ones(2),)] * 4) == 1


def test_a_scheduler_between_two_optimizers():
    def make():
        first, second = nn.Linear(2, 2), nn.Linear(2, 1)
        sgds = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (first, second)]
        rates = [torch.optim.lr_scheduler.ExponentialLR(sgd, 0.5) for sgd in sgds]

        def step(x):
            second(first(x)).pow(2).sum().backward()
            for sgd, rate in zip(sgds, rates, strict=True):
                sgd.step()
                sgd.zero_grad()
                rate.step()

        return step, lambda: [*first.parameters(), *second.parameters()]

    assert programs(make, lambda: [(torch.ones(2, 2),)] * 4) == 1


def rates_between_steps(optimizer, scheduler, first=False, **options):
    """Three steps in a call, each with the rate (and momentum) that a schedule has reached."""

    def make():
        net = nn.Linear(2, 2)
        opt = getattr(torch.optim, optimizer)(net.parameters(), lr=0.1)
        rates = getattr(torch.optim.lr_scheduler, scheduler)(opt, **options)
        if first:
            opt.step()  # a schedule begins after a step

        def step(x):
            for _ in range(3):
                if first:
                    rates.step()
                opt.zero_grad()
                net(x).pow(2).sum().backward()
                opt.step()
                if not first:
                    rates.step()

        return step, lambda: [opt.param_groups[0]["lr"], *net.parameters()]

    return make


@pytest.mark.parametrize(
    "make",
    [
        rates_between_steps("SGD", "ExponentialLR", gamma=0.9),
        rates_between_steps("SGD", "ExponentialLR", first=True, gamma=0.9),
        rates_between_steps("AdamW", "StepLR", step_size=2, gamma=0.5),
        rates_between_steps("Adam", "OneCycleLR", max_lr=0.1, total_steps=20),  # moves beta1 too
        rates_between_steps("Adam", "OneCycleLR", first=True, max_lr=0.1, total_steps=20),
    ],
)
def test_a_scheduler_between_steps(make):
    assert programs(make, lambda: [(torch.ones(3, 2) / k,) for k in range(1, 5)]) == 1


@pytest.mark.parametrize(
    "name", daily(["Adam", "NAdam", "RAdam", "Adagrad", "ASGD", "Adafactor"], 2, "several steps")
)
def test_several_steps_in_one_call(name):
    """The count goes on from step to step."""

    def make():
        net = nn.Linear(3, 3)
        optimizer = getattr(torch.optim, name)(net.parameters(), lr=0.05)

        def four(x):
            for _ in range(4):
                optimizer.zero_grad()
                loss = (net(x) - 0.3).pow(2).mean()
                loss.backward()
                optimizer.step()
            return loss

        return four, lambda: net.parameters()

    assert programs(make, lambda: [(torch.randn(4, 3),) for _ in range(3)]) == 1


def unlike_steps():
    first, second = nn.Linear(2, 2), nn.Linear(2, 1)
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=0.1)

    def step(x):
        for net in (first, nn.Sequential(first, second)):
            optimizer.zero_grad()
            net(x).pow(2).sum().backward()
            optimizer.step()

    return step, lambda: [*first.parameters(), *second.parameters()]


def told_rates(where):
    def make():
        net = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

        def step(x):
            net(x).pow(2).sum().backward()
            optimizer.step()
            scheduler.step()
            return torch.tensor(where(optimizer, scheduler))

        return step, lambda: net.parameters()

    return make


@pytest.mark.parametrize(
    "make",
    [
        unlike_steps,
        told_rates(lambda optimizer, _: optimizer.param_groups[0]["lr"]),
        told_rates(lambda _, scheduler: scheduler.get_last_lr()[0]),
        told_rates(lambda _, scheduler: scheduler.last_epoch),
    ],
)
def test_steps_and_rates_that_no_program_can_follow(make):
    calls = lambda: [(torch.ones(3, 2),)] * 3
    want, _ = ran(make, calls, False)
    torch.manual_seed(0)
    f, state = make()
    f = torch.compile(f)
    with pytest.warns(UserWarning, match="running eagerly"):
        got = [arrays(f(*args)) for args in calls()] + [arrays(state())]
    for a, b in zip(got, want, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_a_rate_that_the_function_tells():
    w = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.5)
    f = compiled(lambda: w.detach() * optimizer.param_groups[0]["lr"])
    assert f().item() == 0.5
    optimizer.param_groups[0]["lr"] = 0.25
    assert f().item() == 0.25


def test_the_count_of_a_scheduler_that_is_stepped_outside():
    optimizer = torch.optim.SGD([torch.ones(1)])
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    f = compiled(lambda x: x * scheduler.last_epoch)
    for k in range(3):
        assert f(torch.ones(1)).item() == k
        scheduler.step()


def test_modes_that_the_function_changes():
    def make():
        net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))

        def f(x):
            net.eval()
            with torch.no_grad():
                plain = net(x)
            net.train()
            return plain, net(x)

        return f, lambda: net.parameters()

    assert programs(make, lambda: [(torch.ones(2, 3),)] * 3) == 1


def test_two_optimizers():
    def make():
        net, critic = nn.Linear(2, 3), nn.Linear(3, 1)
        mine, theirs = torch.optim.Adam(net.parameters()), torch.optim.Adam(critic.parameters())

        def step(z, x):
            fake = net(z)
            loss = F.softplus(-critic(x)).mean() + F.softplus(critic(fake.detach())).mean()
            theirs.zero_grad()
            loss.backward()
            theirs.step()
            gain = F.softplus(-critic(fake)).mean()
            mine.zero_grad()
            gain.backward()
            mine.step()
            return loss, gain

        return step, lambda: [*net.parameters(), *critic.parameters()]

    assert programs(make, lambda: [(torch.randn(4, 2), torch.randn(4, 3)) for _ in range(4)]) == 1


def test_a_gradient_penalty():
    def make():
        net = perceptron()
        optimizer = torch.optim.Adam(net.parameters())

        def step(x):
            x = x.clone().requires_grad_()
            out = net(x).sum()
            (g,) = torch.autograd.grad(out, x, create_graph=True)
            loss = ((g.norm(2, dim=1) - 1) ** 2).mean() + out
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step, lambda: net.parameters()

    assert programs(make, lambda: [(torch.randn(4, 3),) for _ in range(4)]) == 1


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.twice = x * 2
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x + ctx.twice) / 1.5


def test_graphs_inside():
    """retain_graph, a custom operation, hooks on tensors, and zero_grad that keeps gradients."""

    def make():
        w = torch.ones(3, requires_grad=True)
        w.register_hook(lambda g: g * 3)
        optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)

        def f(x):
            optimizer.zero_grad(set_to_none=False)
            loss = Square.apply(w * x).sum()
            loss.backward(retain_graph=True)
            loss.backward()
            optimizer.step()
            return loss

        return f, lambda: [w, w.grad]

    calls = lambda: [(torch.arange(3.0) + k,) for k in range(4)]
    assert programs(make, calls) == 2  # without a gradient before, and with one


def test_views_that_custom_functions_return():
    class Wide(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a.expand(2, 3)

        @staticmethod
        def backward(ctx, g):
            return g.sum(0) * 5

    x = torch.ones(3, requires_grad=True)
    f = torch.compile(lambda x: Wide.apply(x))
    with pytest.warns(UserWarning, match="a view that a custom Function returned"):
        f(x).sum().backward()
    assert x.grad.tolist() == [10.0] * 3


def test_views_of_arguments_where_the_function_turns_gradients_on():
    def f(x):
        with torch.enable_grad():
            seen = x[:, 1:]
        with torch.no_grad():
            return seen, x[:, 1:]

    x = torch.ones(2, 3, requires_grad=True)
    for g in (f, compiled(f)):
        for on in (True, False, True):
            with torch.set_grad_enabled(on):
                assert [t.is_leaf for t in g(x)] == [False, True]


def test_results_beside_one_whose_graph_is_gone():
    """Freed or written, it has no gradient; the others have theirs."""
    w, v = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)

    def freed(x):
        a = (w * x).exp()
        a.sum().backward()
        return a, (v * x).exp(), v * 3

    def written(x):
        a = (w * x).exp()
        b = a * a
        a += 1
        return b, (v * x).exp(), v * 3

    for f in (freed, written):
        found = []
        for g in (f, compiled(f)):
            for wanted in ([1], [2, 1], [0], [0, 1]):
                w.grad = v.grad = None
                results = g(torch.arange(3.0))
                try:
                    sum(results[k].sum() for k in wanted).backward()
                except GraphError:
                    found.append("GraphError")
                slopes = [t.grad for t in (w, v) if t.grad is not None]
                found.append([t.round(decimals=3).tolist() for t in slopes])
        assert found[: len(found) // 2] == found[len(found) // 2 :]
        assert found.count("GraphError") == 4


def test_a_graph_that_is_retained_past_the_step_of_its_parameters():
    """Nothing goes back through it any more, but the call itself is fine."""

    def make():
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

        def f(x):
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward(retain_graph=True)
            optimizer.step()
            return loss

        return f, lambda: [*net.parameters()]

    programs(make, lambda: [(torch.ones(2, 3) * k,) for k in range(4)])
    f, _ = make()
    for g in (f, compiled(f)):
        with pytest.raises(RuntimeError):
            g(torch.ones(2, 3)).backward()


# Gradients --------------------------------------------------------------------------------


def test_gradients_accumulate_in_place():
    w = torch.ones(3, requires_grad=True)
    f = compiled(lambda x: (w * x).sum().backward())
    f(torch.ones(3))
    g = w.grad
    f(torch.ones(3))
    f(torch.ones(3))
    assert w.grad is g and g.tolist() == [3, 3, 3]
    assert f._compiled.count == 2


def test_a_gradient_that_somebody_holds_is_let_alone():
    w = torch.ones(3, requires_grad=True)

    @torch.compile(fullgraph=True, options={"audit": False})  # a recording holds it too
    def f(x):
        w.grad = None
        (w * x).sum().backward()

    f(torch.ones(3))
    f(torch.ones(3))
    g = w.grad
    f(torch.ones(3) * 2)
    array = w.grad.numpy()
    f(torch.ones(3) * 3)
    f(torch.ones(3) * 4)
    assert (g.tolist(), array.tolist(), w.grad.tolist()) == ([1] * 3, [2] * 3, [4] * 3)
    memory = w.grad._array.ctypes.data
    f(torch.ones(3))
    assert w.grad._array.ctypes.data == memory  # nobody held it


def test_leaves_with_one_gradient_are_clipped_once():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)

    @compiled
    def f(x):
        a.grad = b.grad = None
        ((a + b) * x).sum().backward()
        return torch.nn.utils.clip_grad_norm_([a, b], 1.0, error_if_nonfinite=True)

    f(torch.ones(2) * 3)
    a.grad.mul_(2)
    np.testing.assert_allclose([*a.grad.numpy(), *b.grad.numpy()], [1, 1, 0.5, 0.5], rtol=1e-4)
    with pytest.raises(RuntimeError, match="gradients is inf"):
        f(torch.tensor([float("inf"), 1.0]))
    assert b.grad.tolist() == [float("inf"), 1.0]


def test_gradients_of_arguments():
    f = compiled(lambda x: (x * x).sum().backward())
    for _ in range(2):
        x = torch.ones(2, requires_grad=True)
        f(x)
        assert x.grad.tolist() == [2, 2]
        f(x)
        assert x.grad.tolist() == [4, 4]


def test_only_the_step_with_new_gradients():
    w = torch.ones(2, requires_grad=True)
    f = compiled(torch.optim.SGD([w], lr=0.1).step)
    for k in range(4):
        w.grad = None
        (w * (k + 1.0)).sum().backward()
        f()
    np.testing.assert_allclose(w.tolist(), 0.0, atol=1e-6)
    assert f._compiled.count == 1


def test_a_forward_that_is_called_twice_before_backward():
    net = nn.Linear(2, 1)
    f = compiled(net)
    (f(torch.ones(1, 2)) + f(torch.ones(1, 2) * 2)).sum().backward()
    assert net.weight.grad.tolist() == [[3, 3]]
    y = f(torch.ones(1, 2))
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_an_argument_written_with_history():
    w = torch.ones(2, requires_grad=True)
    f = compiled(lambda h: h.mul_(w))
    for _ in range(2):
        w.grad, h = None, torch.full((2,), 3.0)
        assert f(h) is h
        h.sum().backward()
        assert w.grad.tolist() == [3, 3]


# Memory -----------------------------------------------------------------------------------


def test_results_that_share_memory():
    base = torch.zeros(4)

    def f(x):
        base[0] += 1
        y = x * 2
        return base.view(2, 2), x.view(-1), x.detach(), x[0], y, y.view(-1), y.detach()

    g = compiled(f)
    for k in (1, 2):
        x = torch.ones(2, 2)
        outer, flat, detached, row, y, y_flat, y_detached = g(x)
        flat[0], y_flat[0], outer[0, 1] = 5.0, 7.0, 9.0
        assert x[0, 0].item() == detached[0, 0].item() == row[0].item() == 5
        assert y[0, 0].item() == y_detached[0, 0].item() == 7
        assert base.tolist() == [k, 9, 0, 0]
    x = torch.ones(2, 2, requires_grad=True)
    g(x)[1].sum().backward()
    assert x.grad.tolist() == [[1, 1], [1, 1]]


def test_no_argument_and_no_old_state_is_kept_alive():
    h = torch.zeros(1)

    @compiled
    def f(x):
        nonlocal h
        h = h + x.sum().detach()
        return x * 2

    x = torch.ones(9, requires_grad=True)
    seen = [weakref.ref(x), weakref.ref(h), weakref.ref(f(x))]
    del x
    f(torch.zeros(9, requires_grad=True))
    gc.collect()
    assert [reference() for reference in seen] == [None] * 3


def test_views_that_are_written():
    f, b = compiled(lambda x: x.add_(1)), torch.zeros(3, 2)
    f(b[:, 0])
    f(b[:, 1])
    f(b[0])
    assert b.tolist() == [[2, 2], [1, 1], [1, 1]]


def test_a_parameter_as_the_argument():
    w = torch.ones(2, requires_grad=True)

    @compiled
    def f(x):
        with torch.no_grad():
            w.add_(1)
        return x * 2

    assert [f(x).tolist()[0] for x in (torch.ones(2), w, torch.ones(2))] == [2, 6, 2]


def test_tensors_that_shared_memory_in_the_first_call():
    w = torch.ones(2)
    f = compiled(lambda x: x + w)
    assert [f(x).tolist()[0] for x in (w.detach(), torch.zeros(2), w.data, w)] == [2, 1, 2, 2]
    g = compiled(lambda x, y: x - y)
    x = torch.ones(2)
    assert [g(x, y).tolist()[0] for y in (x[:], torch.zeros(2), x[:])] == [0, 1, 0]


def test_tensors_made_inside_are_new_at_each_run():
    def f(x):
        t, v = torch.tensor(0.0), torch.as_tensor([1.0, 2.0])
        t += x.sum()
        return t, v.mul_(2), torch.Tensor([3.0]).add_(t)

    programs(lambda: (f, list), lambda: [(torch.ones(2),)] * 3)


def test_data_of_a_parameter():
    w = torch.ones(2, requires_grad=True)

    @compiled
    def f(x):
        w.data.add_(x)
        w.data = w.data * 2

    for _ in range(3):
        f(torch.ones(2))
    assert w.tolist() == [22, 22] and w.requires_grad


# Assignments ------------------------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("h", torch.zeros(3))
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        self.h = torch.tanh(self.linear(x) + self.h).detach()
        return self.h


def buffer():
    net = Recurrent()
    return lambda x: net(x), lambda: [net.h]


def variables():
    h, kept = torch.zeros(3), types.SimpleNamespace(h=torch.zeros(3))
    sums, metric = {"x": torch.zeros(())}, [torch.zeros(())]

    def f(x):
        nonlocal h
        h = torch.tanh(h + x)
        kept.h = torch.tanh(kept.h + h)
        sums["x"] = sums["x"] + x.sum()
        metric[0] += x.mean()
        return h

    return f, lambda: [h, kept.h, sums["x"], metric[0]]


def statistics():
    norm = nn.BatchNorm1d(3, momentum=None)  # a plain average reads the number of batches
    return lambda x: norm(x.expand(4, 3) * torch.arange(4.0)[:, None]), lambda: norm.buffers()


def test_a_plain_average_is_as_exact_as_its_dtype():
    norms = [nn.BatchNorm1d(3, momentum=None).double() for _ in range(2)]
    step = compiled(norms[1])
    for seed in range(3):
        x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        norms[0](x), step(x)
    for a, b in zip(arrays(norms[0].buffers()), arrays(norms[1].buffers()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("make", [buffer, variables, statistics])
def test_what_is_kept_from_call_to_call(make):
    assert programs(make, lambda: [(torch.randn(3),) for _ in range(4)]) == 1


def test_a_failure_in_a_step():
    def states(make):
        torch.manual_seed(0)
        table = nn.Embedding(4, 2)
        optimizer = torch.optim.Adam(table.parameters(), lr=0.1)

        @make
        def step(i):
            optimizer.zero_grad()
            table(i).sum().backward()
            optimizer.step()

        step(torch.tensor([1]))
        with pytest.raises(IndexError):
            step(torch.tensor([9]))
        assert table.weight.grad is None
        return arrays([table.weight, *optimizer.state[table.weight].values()])

    for a, b in zip(states(compiled), states(lambda f: f), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, torch.tensor(0.1)])
def test_a_failure_after_a_scheduler(rate):
    """A program that fails leaves the rate that eager mode leaves."""
    w = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([w], lr=rate)
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(optimizer, f) for f in (0.5, 0.25)]
    both = torch.optim.lr_scheduler.ChainedScheduler(schedulers)

    @torch.compile(fullgraph=True)
    def step(i):
        both.step()
        optimizer.zero_grad()
        w[i].sum().backward()
        optimizer.step()

    def state():
        return [*[s.last_epoch for s in schedulers], float(optimizer.param_groups[0]["lr"])]

    step(torch.tensor([0]))
    for k in (2, 3):
        with pytest.raises(IndexError):
            step(torch.tensor([2]))
        assert state() == [k, k, pytest.approx(0.1 / 8**k)]
    step(torch.tensor([1]))
    assert state() == [4, 4, pytest.approx(0.1 / 8**4)]
    assert w.tolist() == pytest.approx([1 - 0.1 / 8, 1 - 0.1 / 8**4])
    assert step._compiled.count == 1


# Tensors that look at memory from outside ---------------------------------------------------


def test_gradients_of_a_detached_argument():
    """As in attacks and physics-informed networks: one program, and no state is left."""
    w = torch.tensor([1.0, 2.0])

    def slope(x):
        x = x.detach().requires_grad_()
        (x * x * w).sum().backward()
        return x.grad

    def slope_of_data(x):
        x = x.data
        x.requires_grad = True
        return torch.autograd.grad((x * x * w).sum(), x)[0]

    for f in map(torch.compile, (slope, slope_of_data)):
        for k in range(3):
            assert f(torch.full((2,), float(k))).tolist() == [2.0 * k, 4.0 * k]
        assert f._compiled.count == 1


@pytest.mark.parametrize("look", [lambda x: x.data, lambda x: x.detach()])
def test_a_result_that_looks_at_an_argument(look):
    f = torch.compile(look, fullgraph=True)
    for k in range(3):
        x = torch.full((1,), float(k))
        f(x).add_(1)
        assert x.item() == k + 1


def test_a_detached_parameter_is_looked_up_again():
    layer = nn.Linear(1, 1)
    f = torch.compile(lambda: layer.weight.detach() + layer.bias.data, fullgraph=True)
    for k in range(3):
        layer.weight.data = torch.full((1, 1), float(k))
        layer.bias = nn.Parameter(torch.ones(1))
        assert f().item() == k + 1


def test_flags_that_a_call_changes():
    layer, x = nn.Linear(1, 1, bias=False), torch.ones(1, 1)
    layer.weight.data.fill_(3)

    def frozen(x):  # as of a discriminator while the generator learns
        layer.requires_grad_(False)
        y = layer(x * layer.weight.detach()).sum()
        layer.requires_grad_(True)
        return y

    x.requires_grad_()
    f = torch.compile(frozen, fullgraph=True)
    for k in range(1, 3):
        f(x).backward()
        assert x.grad.item() == 9 * k and layer.weight.grad is None and layer.weight.requires_grad

    def asks(x):
        x.requires_grad_()
        return (x * 2).sum()

    f = compiled(asks)
    for _ in range(3):
        x = torch.ones(1)
        f(x).backward()
        assert x.grad.item() == 2
    assert f._compiled.count == 1

    def leaf(x):
        x = x.detach().requires_grad_()
        return x, (x * 2).sum()

    with pytest.warns(UserWarning, match="return a clone"):
        f = torch.compile(leaf)
        f(torch.ones(1))
    y, loss = f(torch.ones(1))
    loss.backward()
    assert y.grad.item() == 2


def test_flags_that_a_step_leaves_changed():
    """A penalty on the slope of the data, and networks that learn by turns."""

    def penalty():
        net = perceptron()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

        def f(x):
            x.requires_grad = True
            (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
            loss = slope.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss, x.grad

        return f, lambda: [*net.parameters()]

    def by_turns():
        nets = [nn.Linear(3, 3), nn.Linear(3, 1)]
        optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in nets]

        def f(x):
            for k in (1, 0):
                nets[k].requires_grad_(True)
                nets[1 - k].requires_grad_(False)
                optimizers[k].zero_grad()
                nets[1](nets[0](x)).square().mean().backward()
                optimizers[k].step()

        flags = lambda: [p.requires_grad for net in nets for p in net.parameters()]
        return f, lambda: [flags(), *[p for net in nets for p in net.parameters()]]

    calls = lambda: [(torch.ones(2, 3) * k,) for k in range(1, 5)]
    assert programs(penalty, calls) == 1
    assert programs(by_turns, calls) == 2  # the first call finds all that learns


def residual():
    """As a physics-informed network: the slope in the argument, and a step of the optimizer."""
    net = perceptron()
    optimizer = torch.optim.Adam(net.parameters())

    def step(x):
        x.requires_grad_(True)
        u = net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        loss = (slope.sum(1, keepdim=True) - u).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, x.grad

    return step, net


def whose_slope_is_asked_for_outside():
    net = perceptron()

    def loss(x):
        x.requires_grad_()
        return net(x).pow(2).sum() + x.sum()

    return loss


def test_arguments_that_come_to_require_grad():
    calls = [torch.randn(4, 3) for _ in range(3)]
    seen = []
    for prepare in (lambda f: f, compiled):
        torch.manual_seed(0)
        step, net = residual()
        step, loss = prepare(step), prepare(whose_slope_is_asked_for_outside())
        found = []
        for x in calls:
            x = x.clone()
            found.append(arrays(step(x)))
            assert x.is_leaf and x.requires_grad
            x = x.detach().clone()
            loss(x).backward()
            loss(x).backward()  # again: now it requires grad before
            found.append(arrays(x.grad))
            x.requires_grad_(False)
            loss(x)
            assert x.requires_grad
        seen.append([*found, arrays(net.parameters())])
    for a, b in zip(*seen, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
    assert step._compiled.count == 1 and loss._compiled.count == 2


def pruned():
    net = perceptron()
    prune.random_unstructured(net[0], "weight", 0.5)
    return net


def normed():
    with pytest.warns(FutureWarning, match="deprecated"):
        first = nn.utils.weight_norm(nn.Linear(3, 4))
    return nn.Sequential(first, nn.Tanh(), nn.utils.spectral_norm(nn.Linear(4, 1)))


@pytest.mark.parametrize("net, n", [(pruned, 1), (normed, 1)])
def test_weights_that_a_hook_sets_anew_ahead_of_each_call(net, n):
    """Which tensor lay there is nothing to the call."""

    def make():
        module = net()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

        def f(x):
            optimizer.zero_grad()
            loss = module(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return f, lambda: [*module.parameters(), module[0].weight]

    assert programs(make, lambda: [(torch.ones(2, 3) * k,) for k in range(5)]) == n


# Arguments that the function changes ---------------------------------------------------------


@dataclasses.dataclass
class Batch:
    x: object
    y: object = None


def puts(d):
    d["y"] = d["x"] * 2


def replaces(d):
    d["inner"]["x"] = d["inner"]["x"] + 1
    return d


def fills(batch):
    batch.y = batch.x * 2


@pytest.mark.parametrize(
    "f, make, read",
    [
        (puts, lambda x: {"x": x}, lambda d: d["y"]),
        (replaces, lambda x: {"inner": {"x": x}}, lambda d: d["inner"]["x"]),
        (fills, Batch, lambda batch: batch.y),
    ],
)
def test_tensors_put_into_arguments(f, make, read):
    g = compiled(f)
    for k in range(3):
        mine, want = make(torch.full((1,), float(k))), make(torch.full((1,), float(k)))
        assert (g(mine) is mine) == (f(want) is want)
        assert read(mine).item() == read(want).item()
    assert g._compiled.count == 1


@pytest.mark.parametrize(
    "f, make",
    [
        (lambda x: x.append(x[0] * 2), lambda x: [x]),
        (lambda x: x.pop("x"), lambda x: {"x": x}),
        (lambda a: a.fill(3), lambda x: x.numpy()),
    ],
)
def test_other_changes_of_arguments(f, make):
    g = torch.compile(f)
    with pytest.warns(UserWarning, match="running eagerly"):
        for k in range(3):
            mine, want = make(torch.full((1,), float(k))), make(torch.full((1,), float(k)))
            g(mine)
            f(want)
            assert str(mine) == str(want)


def test_a_parameter_that_a_call_replaces():
    layer = nn.Linear(1, 1, bias=False)

    def f(x):
        layer.weight = nn.Parameter(x.detach() * 2)
        return layer(x)

    g = torch.compile(f)
    with pytest.warns(UserWarning, match="a leaf that was made inside"):
        for k in range(1, 4):
            assert g(torch.full((1, 1), float(k))).item() == 2 * k * k
            assert layer.weight.item() == 2 * k and layer.weight.is_leaf


def test_a_model_without_memory_runs_with_given_parameters(recwarn):
    """The usual ensemble: its model lies on the device "meta", and never gives its parameters."""
    models = [torch.nn.Linear(4, 2) for _ in range(3)]
    params, buffers = torch.func.stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")
    x = torch.randn(5, 4)

    def alone(params, buffers, x):
        return torch.func.functional_call(base, (params, buffers), (x,))

    ensemble = torch.compile(lambda *args: torch.vmap(alone, (0, 0, None))(*args))
    for _ in range(2):
        found = ensemble(params, buffers, x)
        torch.testing.assert_close(found, torch.stack([m(x) for m in models]))
        torch.testing.assert_close(
            torch.compile(alone)(dict(models[0].named_parameters()), {}, x), models[0](x)
        )
    assert not [w for w in recwarn if "running eagerly" in str(w.message)]
    with pytest.warns(UserWarning, match='tensor on the device "meta" from outside'):
        assert torch.compile(lambda x: (base.weight * 2, x))(x)[0].is_meta
