"""Calls that cannot be compiled run eagerly, with one warning that says where and why."""

import collections
import copy
import random
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn


def quietly(f, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f(*args)


def strictly(f, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return f(*args)


def test_one_kind_of_call_runs_eagerly_and_the_others_compiled():
    def f(x, look):
        if look and x.sum() > 0:
            return x * 2
        return x + 1

    g = torch.compile(f)
    with pytest.warns(UserWarning, match=r"running eagerly: .*test_compile_eager\.py:\d+") as seen:
        assert g(torch.ones(1), True).item() == 2
    assert len(seen) == 1 and seen[0].filename == __file__
    assert strictly(g, torch.ones(1), True).item() == 2  # told once
    assert strictly(g, torch.ones(1), False).item() == 2
    assert g._compiled.count == 1


def swallowed(x):
    try:
        n = x.sum().item()
    except Exception:
        n = 0
    return x + n


@torch.compiler.disable(reason="it looks at values")
def disabled(x):
    return x + x.sum().item()


def test_values_that_are_asked_for_in_vain():
    for f, why in ((swallowed, "item"), (lambda x: disabled(x), "it looks at values")):
        with pytest.warns(UserWarning, match=why):
            assert torch.compile(f)(torch.ones(2)).tolist() == [3, 3]
        with pytest.raises(RuntimeError, match=why):
            torch.compile(f, fullgraph=True)(torch.ones(2))


def test_what_cannot_be_repeated():
    losses, counts = [], set()

    def appends(x):
        losses.append(x.sum())
        return x * 2

    def adds(x):
        counts.add(len(counts))
        return x * len(counts)

    f, g = torch.compile(appends), torch.compile(adds)
    with pytest.warns(UserWarning, match="by a list; return it"):
        f(torch.ones(2))
    quietly(f, torch.ones(2))
    assert [loss.item() for loss in losses] == [2, 2]
    with pytest.warns(UserWarning, match="changes the contents of a set"):
        assert g(torch.ones(1)).item() == 1
    assert [quietly(g, torch.ones(1)).item() for _ in range(2)] == [2, 3]


def test_hooks_that_count():
    w, seen = torch.ones(2, requires_grad=True), []
    optimizer = torch.optim.SGD([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    f = torch.compile(step)
    f(torch.ones(2))
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    quietly(f, torch.ones(2))
    quietly(f, torch.ones(2))
    assert seen == [1, 1]


class Counting(torch.optim.Optimizer):
    """Keeps the number of its steps in Python."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["n"] = state.get("n", 0) + 1
                p -= group["lr"] / state["n"] * p.grad


def _adam_step(self):
    """Adam as users write it: the first step makes tensors and a number in the state."""
    for group in self.param_groups:
        for p in group["params"]:
            state = self.state[p]
            if len(state) == 0:
                state["step"] = 0
                state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            state["m"].mul_(0.9).add_(p.grad, alpha=0.1)
            state["v"].mul_(0.99).addcmul_(p.grad, p.grad, value=0.01)
            rate = group["lr"] * (1 - 0.99 ** state["step"]) ** 0.5 / (1 - 0.9 ** state["step"])
            p.addcdiv_(state["m"], state["v"].sqrt().add_(1e-8), value=-rate)


class OwnAdam(torch.optim.Optimizer):
    step = torch.no_grad()(_adam_step)


class ChangedSGD(torch.optim.SGD):
    """An optimizer of rushlight whose step is replaced."""

    step = torch.no_grad()(_adam_step)

    def __init__(self, params, defaults):
        super().__init__(params, **defaults)


@pytest.mark.parametrize("kind", [Counting, OwnAdam, ChangedSGD])
def test_optimizers_of_the_users_own(kind):
    """The first step, which makes state, runs eagerly. A program serves later steps.

    The program also serves after the rate changed, and after state was loaded, made or deleted.
    """

    def run(compile):
        w, b = (torch.ones(n, requires_grad=True) for n in (2, 3))
        optimizer = kind([w, b], {"lr": 0.1})

        def step(x):
            w.grad = b.grad = None
            ((w * x).sum() * b.prod()).backward()
            optimizer.step()

        f = torch.compile(step) if compile else step
        rng, saved, found = random.Random(0), None, []
        for k in range(40):
            quietly(f, torch.tensor([1.0, 0.5]))
            found += [*w.tolist(), *b.tolist()]
            optimizer.param_groups[0]["lr"] *= 0.9
            if k == 8 and compile:
                assert 0 < f._compiled.count <= 3
            happens = rng.randrange(8) if k > 8 else None
            if happens == 0:
                saved = copy.deepcopy(optimizer.state_dict())
            elif happens == 1 and saved is not None:
                optimizer.load_state_dict(saved)
            elif happens == 2:
                optimizer.state.clear()
            elif happens == 3:
                optimizer.state.pop(b, None)
            elif happens == 4:
                for own in optimizer.state.values():
                    own.update({key: own[key] * 2 for key in own})
        return found

    np.testing.assert_allclose(run(True), run(False), rtol=1e-5, atol=1e-6)


def test_an_entry_that_a_defaultdict_makes_when_it_is_read():
    made = collections.defaultdict(list)

    @torch.compile
    def f(x):
        made["a"]
        return x * 2

    lists = []
    for _ in range(3):
        f(torch.ones(2))
        lists.append(made.pop("a"))
        lists[-1].append(1)
        assert not made and lists[-1] == [1]

    counts = collections.defaultdict(int)

    @torch.compile
    def first(x):
        is_new = "n" not in counts
        counts["n"] += 1
        return x + 1 if is_new else x

    assert [first(torch.zeros(1)).item() for _ in range(3)] == [1, 0, 0] and counts["n"] == 3

    kept = collections.defaultdict(dict)

    @torch.compile
    def g(x, key):
        own = kept[key]
        if not own:
            own["sum"] = torch.zeros_like(x)
        own["sum"] += x

    for k in range(6):
        quietly(g, torch.ones(2), torch if k % 2 else "key")  # only the text is a constant in code
        if k == 3:
            kept.clear()
    assert [own["sum"].tolist() for own in kept.values()] == [[1, 1], [1, 1]]


def test_a_rate_that_the_function_sets():
    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0)

    def step(x, lr):
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    f = torch.compile(step)
    for lr in (0.5, 0.25, 0.5):
        quietly(f, torch.ones(2), lr)
    np.testing.assert_allclose(w.tolist(), -0.25)


def test_an_exception_of_the_users_own():
    state, net = torch.zeros(1), nn.Linear(1, 1)

    def f(x, bad):
        state.add_(1)
        net(x).sum().backward()
        if bad:
            raise KeyError("bad")

    g = torch.compile(f, fullgraph=True)
    with pytest.raises(KeyError):
        g(torch.ones(1), True)
    assert state.item() == 1 and net.weight.grad.item() == 1
    g(torch.ones(1), False)
    assert state.item() == 2 and net.weight.grad.item() == 2


@pytest.mark.parametrize("kind", ["item", "append", "count", "attribute"])
def test_hooks_that_note_something_when_the_gradient_is_computed(kind):
    """The gradient of a compiled forward is a program, which would not note it again."""
    seen = []
    for wrap in (lambda f: f, torch.compile):
        net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Tanh())
        nn.init.ones_(net[0].weight)
        noted: dict = {"all": [], "n": 0}
        acts = {
            "item": lambda g, noted=noted: noted.update(last=g.clone()),
            "append": lambda g, noted=noted: noted["all"].append(g),
            "count": lambda g, noted=noted: noted.update(n=noted["n"] + 1),
            "attribute": lambda g, net=net: setattr(net, "last", g),
        }
        net[1].register_full_backward_hook(lambda m, gi, go, act=acts[kind]: act(go[0]))
        f = wrap(net)
        if wrap is torch.compile:
            with pytest.warns(UserWarning, match="hook changes|is kept outside|contents of a list"):
                f(torch.ones(1, 2)).sum().backward()
        else:
            f(torch.ones(1, 2)).sum().backward()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the reason may have another wording now
            f(torch.ones(1, 2)).sum().backward()
        found = [*noted["all"], noted["n"], noted.get("last", 0), getattr(net, "last", 0)]
        seen.append([x.tolist() if isinstance(x, torch.Tensor) else x for x in found])
    assert seen[0] == seen[1]


def test_numbers_that_always_change():
    from rushlight.compiler.calls import compiled as home

    f = torch.compile(lambda x, k: x * k)
    with pytest.warns(UserWarning, match="recorded anew.*as tensors") as seen:
        for k in range(2 * home.PATIENCE):
            assert f(torch.ones(1), k).item() == k
    assert len(seen) == 1 and f._compiled.count == home.PATIENCE


def test_what_the_gradient_needs_is_written():
    def f(x):
        y = x.exp()
        y.add_(1)
        return y

    fast, messages = torch.compile(f, fullgraph=True), []
    for g in (f, fast, fast):
        with pytest.raises(RuntimeError, match="ExpBackward0 saved 'out'") as error:
            g(torch.ones(2, requires_grad=True)).sum().backward()
        messages.append(str(error.value))
    assert len({*messages}) == 1


def test_averages_with_a_weight_that_changes():
    f = torch.compile(lambda a, x, k: a.lerp_(x, 1 - k), fullgraph=True)
    a, want = torch.zeros(3), torch.zeros(3)
    for k in (0.1, 0.25, 0.5, 0.75):
        x = torch.full((3,), k)
        assert torch.allclose(f(a, x, k), want.lerp_(x, 1 - k)) and torch.allclose(a, want)
    assert f._compiled.count == 2  # after its first call a function takes other floats too


def test_forms_of_the_decorator():
    @torch.compile(fullgraph=True, dynamic=False, mode="reduce-overhead")
    def f(x):
        """Doubles."""
        return x * 2

    assert (f.__name__, f.__doc__) == ("f", "Doubles.")
    assert torch.compile(f, disable=True) is f
    assert torch.compile(lambda x: x, backend="eager", options={"a": 1})(torch.ones(1)).item() == 1
    with pytest.raises(RuntimeError, match="both can't be specified"):
        torch.compile(f, mode="default", options={})
    with pytest.raises(RuntimeError, match="a function or a Module"):
        torch.compile(3)
    f(torch.ones(1))
    torch.compiler.reset()
    assert not f._compiled.entries and not torch.compiler.is_compiling()


def test_a_failed_trace_leaves_no_state():
    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.5, dampening=0.5)

    def step(x):
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    with pytest.raises(RuntimeError, match="item"):
        torch.compile(step, fullgraph=True)(torch.ones(2))
    assert not optimizer.state and w.grad is None
    assert quietly(torch.compile(step), torch.ones(2)) == 2
    np.testing.assert_allclose(w.tolist(), 0.9)  # the first gradient entered whole


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.unsqueeze_(0),
        lambda x: x.t_(),
        lambda x: x.resize_(2),
        lambda x: x.set_(torch.ones(3)),
        lambda x: x.apply_(lambda v: v + 1),
    ],
)
def test_a_tensor_from_outside_that_is_turned(change):
    kept, x = torch.arange(4.0).view(2, 2), torch.arange(4.0).view(2, 2)

    def f(x):
        change(kept)
        change(x)
        return kept * 2, x * 2

    want, want_kept, want_x = f(x), kept, x
    kept, x = torch.arange(4.0).view(2, 2), torch.arange(4.0).view(2, 2)
    with pytest.warns(UserWarning, match="turned or moved in place"):
        found = torch.compile(f)(x)
    for a, b in zip((*found, kept, x), (*want, want_kept, want_x), strict=True):
        assert torch.equal(a, b)


def test_history_that_is_dropped():
    y = torch.ones(2, requires_grad=True) * 2
    f = torch.compile(lambda x: y.detach_() * x)
    with pytest.warns(UserWarning, match="takes the history"):
        assert not f(torch.ones(2)).requires_grad
    assert not y.requires_grad


def test_views_of_tensors_with_history_that_are_written():
    f = torch.compile(lambda v: v.mul_(2))
    with pytest.warns(UserWarning, match="a view of a tensor that requires grad"):
        for _ in range(3):
            w = torch.ones(3, requires_grad=True)
            base = w * 1
            part, other = base[1:], base[2:]
            f(part)
            (base.sum() + other.sum()).backward()
            assert w.grad.tolist() == [1, 2, 4] and other.tolist() == [2]


def test_a_failed_trace_leaves_views_their_memory():
    p, base = torch.ones(2, requires_grad=True), torch.ones(3)
    part, other = base[1:], base[2:]

    def f(x):
        part.mul_(p * 3)
        return other * x.sum().item()

    with pytest.warns(UserWarning, match="values of a tensor"):
        assert torch.compile(f)(torch.ones(2)).item() == 6
    assert base.tolist() == [1, 3, 3]


def test_what_overlaps_itself_is_not_written_by_a_program():
    def f(x):
        x[..., :1].add_(1)
        return x * 7

    g = torch.compile(f)
    for memory in (
        lambda: torch.arange(3.0)[:, None].expand(3, 2),
        lambda: torch.arange(4.0).as_strided((3, 2), (1, 1)),
    ):
        x, y = memory(), memory()
        assert quietly(g, x).equal(f(y)) and x.equal(y)
