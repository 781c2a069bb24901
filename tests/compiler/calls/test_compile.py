"""torch.compile: what is recorded, guarded, replayed, and left as it was."""

import copy
import gc
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler.calls.entry import Entry
from tests import processes

nn = pytest.importorskip("rushlight.nn")
ROOT = Path(__file__).parents[3]


def compiled_count(f):
    return f._compiled.count


def test_a_new_shape_records_once():
    f = torch.compile(lambda x: (x * 2).sum())
    for n in (3, 3, 4, 3, 4):
        assert f(torch.ones(n)).item() == 2 * n
    assert compiled_count(f) == 2


def test_closures_and_arguments_are_guarded():
    k = 2.0

    def f(x, n):
        return x * k + n

    g = torch.compile(f)
    assert g(torch.ones(1), 1).item() == 3
    assert g(torch.ones(1), 2).item() == 4
    k = 5.0
    assert g(torch.ones(1), 1).item() == 6
    assert compiled_count(g) == 3


def test_modes_are_guarded():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    f = torch.compile(lambda x: model(x))
    x = torch.ones(2, 4)
    torch.manual_seed(0)
    want = model(x)
    torch.manual_seed(0)
    assert torch.allclose(f(x), want)
    assert not torch.allclose(f(x), want)  # each run draws anew
    model.eval()
    assert torch.allclose(f(x), model(x))
    model.train()
    torch.manual_seed(0)
    assert torch.allclose(f(x), want)
    assert compiled_count(f) == 2


def test_a_module_compiles_and_keeps_its_state():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    fast = torch.compile(model)
    x = torch.randn(5, 4)
    model(x).sum().backward()
    want = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    for _ in range(2):
        fast(x).sum().backward()
        for p, g in zip(model.parameters(), want, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), g.numpy(), rtol=1e-6)
        model.zero_grad()
    other = copy.deepcopy(fast)
    other._orig_mod[2].weight.data.zero_()
    assert torch.equal(other(x), other._orig_mod(x)) and not torch.equal(other(x), fast(x))
    assert pickle.loads(pickle.dumps(fast))(x).shape == (5, 1)
    assert isinstance(fast, nn.Module)
    assert list(fast.state_dict()) == ["_orig_mod." + k for k in model.state_dict()]


def test_attributes_of_a_compiled_module_are_those_of_the_module():
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    fast = torch.compile(model)
    fast.scale = 3
    fast.extra = nn.ReLU()
    assert model.scale == 3 and [*model._modules] == ["0", "extra"]
    del fast.scale
    assert not hasattr(model, "scale")
    fast.register_full_backward_hook(lambda module, before, after: None)
    fast.requires_grad_(False).eval()
    assert not model.training and not model[0].weight.requires_grad


def test_gradients_reach_an_outer_graph():
    f = torch.compile(lambda a: (a * a).exp())
    x = torch.tensor([0.5, 1.0], requires_grad=True)
    for _ in range(2):
        x.grad = None
        (f(x * 2) * 3).sum().backward()
        want = 3 * np.exp(4 * np.array([0.25, 1.0])) * 8 * np.array([0.5, 1.0])
        np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-5)
    assert compiled_count(f) == 1


def test_a_whole_step_with_adam_and_a_schedule():
    def train(compile):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
        opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.StepLR(opt, 3, 0.5)
        x, y = torch.randn(16, 4), torch.randn(16, 2)

        def step(x, y):
            opt.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            return loss

        run = torch.compile(step, fullgraph=True) if compile else step
        losses = []
        for _ in range(10):
            losses.append(run(x, y).item())
            schedule.step()
        if compile:
            assert compiled_count(run) == 1
        return (
            losses,
            [p.detach().numpy() for p in model.state_dict().values()],
            opt.state_dict()["state"][0]["step"].item(),
        )

    (a, p, s), (b, q, t) = train(False), train(True)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    for u, v in zip(p, q, strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-4, atol=1e-6)
    assert s == t == 10


def test_writes_land_and_alias():
    state = torch.zeros(3)

    def f(x):
        state[0] += x.sum()
        x.mul_(2)
        return x, state[:2]

    g = torch.compile(f)
    for k in range(1, 4):
        x = torch.ones(2)
        y, s = g(x)
        assert y is x and x.tolist() == [2.0, 2.0]
        assert state.tolist() == [2.0 * k, 0.0, 0.0] and s.tolist() == [2.0 * k, 0.0]


def test_a_failure_leaves_what_eager_leaves():
    state = torch.zeros(2)
    index = torch.tensor([0])

    def f(x, i):
        state.add_(1)
        found = x.index_select(0, i)
        state.add_(1)
        return found

    g = torch.compile(f)
    g(torch.ones(2), index)
    for k in (3, 4):
        with pytest.raises(IndexError) as raised:
            g(torch.ones(2), torch.tensor([7]))
        assert "f" in [entry.name for entry in raised.traceback]
        assert state.tolist() == [k, k]


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.sum().item(),
        lambda x: 1 if x.sum() > 0 else 0,
        lambda x: x.numpy(),
        lambda x: float(x[0]),
        lambda x: x.tolist(),
        lambda x: repr(x),
        lambda x: 1.0 in x,
        lambda x: copy.deepcopy(x.detach()),
        lambda x: pickle.dumps(x),
    ],
)
def test_values_are_refused_with_the_line(ask):
    def f(x):
        return x * 2, ask(x)

    with pytest.raises(RuntimeError, match=r"test_compile\.py:\d+"):
        torch.compile(f, fullgraph=True)(torch.ones(2))
    loose = torch.compile(f)
    with pytest.warns(UserWarning, match=r"running eagerly.*test_compile\.py"):
        first = loose(torch.ones(2))
    assert first[0].tolist() == loose(torch.ones(2))[0].tolist() == [2.0, 2.0]


def test_shapes_that_depend_on_values_are_refused():
    with pytest.raises(RuntimeError, match="shape depends on values"):
        torch.compile(lambda x: x[x > 0], fullgraph=True)(torch.ones(3))


def test_random_numbers_come_from_the_same_stream():
    def f(x):
        return (
            x + torch.rand(3),
            torch.randn(20),
            torch.nn.functional.dropout(torch.ones(8), 0.5),
            torch.randint(0, 9, (3,)),
        )

    g = torch.compile(f)
    for seed in (1, 2):
        torch.manual_seed(seed)
        want = f(torch.zeros(3)), torch.rand(1)
        torch.manual_seed(seed)
        got = g(torch.zeros(3)), torch.rand(1)
        for a, b in zip((*want[0], want[1]), (*got[0], got[1]), strict=True):
            assert torch.equal(a, b)


def test_results_keep_their_structure():
    f = torch.compile(lambda x: {"a": [x, (x * 2, None)], "b": 3, "m": x.max(0)})
    found = f(torch.ones(2))
    assert (type(found["a"]), found["b"], found["a"][1][1]) == (list, 3, None)
    assert found["m"].values.item() == 1.0


def test_programs_are_bounded():
    from rushlight.compiler.calls import compiled as home

    f = torch.compile(lambda x: x * 2)
    for n in range(home.LIMIT + 5):
        f(torch.ones(n))
        f(torch.ones(n))  # one that is used again
    assert len(f._compiled.entries) == home.LIMIT


def test_is_compiling_and_disable():
    import importlib

    compiler = importlib.import_module("rushlight.compiler.calls.compiled")
    f = lambda x: x * 2 if compiler.is_compiling() else x
    assert (torch.compile(f)(torch.ones(1)).item(), f(torch.ones(1)).item()) == (2, 1)


def test_a_loop_is_unrolled():
    @torch.compile
    def f(x):
        for _ in range(10):
            x = x * 1.1 + 0.1
        return x

    want = 0.0
    for _ in range(10):
        want = want * 1.1 + 0.1
    assert f(torch.zeros(1)).item() == pytest.approx(want, rel=1e-5)


def test_gradients_have_memory_of_their_own():
    @torch.compile
    def f(x, y):
        (x + y).sum().backward()

    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    f(x, y)
    x.grad.mul_(5)
    assert (x.grad.tolist(), y.grad.tolist()) == ([5.0, 5.0], [1.0, 1.0])


@pytest.mark.parametrize(
    "forward, write",
    [
        (lambda x: x.exp(), lambda x, y: y.add_(1)),  # saves its result
        (lambda x: x * x, lambda x, y: x.detach().add_(1)),  # saves its argument
    ],
)
def test_what_the_gradient_of_a_compiled_forward_saved_must_not_change(forward, write):
    x = torch.ones(2, requires_grad=True)
    y = torch.compile(forward)(x)
    write(x, y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_an_llvmlite_that_cannot_be_loaded_is_none(tmp_path):
    """Such as one for another C library: its import raises OSError."""
    (tmp_path / "llvmlite").mkdir()
    (tmp_path / "llvmlite" / "__init__.py").touch()
    (tmp_path / "llvmlite" / "binding.py").write_text("raise OSError('no such library')")
    script = (
        "import rushlight as torch\n"
        "x = torch.ones(300, 300)\n"
        "print(torch.compile(lambda x: x.softmax(1).sum())(x), torch.nn.functional.gelu(x).sum())\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    run = processes.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout.startswith("tensor(300.") and not run.stderr


def test_collection_waits_while_a_call_is_recorded(monkeypatch):
    seen, usual = [], gc.get_threshold()

    def entry(*args, **options):
        seen.append((gc.isenabled(), gc.get_threshold()[0]))
        return Entry(*args, **options)

    monkeypatch.setattr("rushlight.compiler.calls.compiled.Entry", entry)
    f = torch.compile(lambda x: x.reshape(2) * 2)
    f(torch.ones(2))
    with pytest.raises(RuntimeError):
        f(torch.ones(3))
    assert seen == [(True, 0), (True, 0)]
    assert gc.get_threshold() == usual
    gc.set_threshold(0)  # who turned it off keeps it off
    gc.disable()
    try:
        f(torch.ones(2, 1))
        assert not gc.isenabled() and gc.get_threshold()[0] == 0
    finally:
        gc.enable()
        gc.set_threshold(*usual)


def test_a_compiled_module_has_the_mode_of_the_module():
    model = nn.Dropout()
    compiled = torch.compile(model)
    model.eval()
    assert not compiled.training
    compiled.train()
    assert model.training
    compiled.training = False
    assert not model.training
