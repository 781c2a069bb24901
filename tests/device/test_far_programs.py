"""Functions of many tensors on a device: after a few calls, one program computes them."""

import copy
import gc
import weakref

import pytest

import rushlight as T
from rushlight import far_programs
from rushlight.backend.native import llvm_works
from rushlight.device_array import driver_of
from rushlight.nn.utils.clip_grad import _clip

pytestmark = [
    pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite"),
    pytest.mark.usefixtures("nobody_overrides"),
]

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9}, "AdamW": {"amsgrad": True}, "RMSprop": {"centered": True},
    "NAdam": {}, "Rprop": {},
}  # fmt: skip


def trained(kind, device, first, monkeypatch):
    """(parameters, state, launches of the last step) after 9 steps, of which the ``first`` are eager.

    A gradient is missing in one step. A parameter has gradients from the seventh on. A scheduler
    changes the learning rate, and the state is loaded in between.
    """
    monkeypatch.setattr(far_programs, "_FIRST_CALLS", first)
    draw = T.Generator().manual_seed(0)
    tensor = lambda *shape: T.randn(shape, generator=draw).to(device)
    params = [T.nn.Parameter(tensor(*s)) for s in ((4, 5), (5,), (3, 2, 2), (1,), (3,))]
    optimizer = getattr(T.optim, kind)(params, **OPTIMIZERS[kind])
    scheduler = T.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for step in range(9):
        for k, p in enumerate(params):
            missing = (k == 1 and step == 5) or (k == 4 and step < 6)
            p.grad = None if missing else tensor(*p.shape)
        before = driver_of(params[0].device).launches
        optimizer.step()
        launches = driver_of(params[0].device).launches - before
        scheduler.step()
        if step == 4:
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    values = [v for own in copy.deepcopy(optimizer).state.values() for v in own.values()]
    return [p.detach().cpu() for p in params], [T.as_tensor(v).cpu() for v in values], launches


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_program_takes_the_later_steps(kind, device, monkeypatch):
    *expected, many = trained(kind, device, 100, monkeypatch)
    *found, few = trained(kind, device, 2, monkeypatch)
    T.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    assert few <= 3 < 15 < many


@pytest.mark.parametrize("where", ["cpu", None])
def test_an_optimizer_ends_with_its_last_name(where, device):
    """Without the garbage collector: an optimizer that referred to itself would keep its model."""
    model = T.nn.Linear(3, 3).to(where or device)
    optimizer = T.optim.AdamW(model.parameters())
    for _ in range(2):
        model(T.ones(2, 3, device=model.weight.device)).sum().backward()
        optimizer.step()
    ends = [weakref.ref(optimizer), weakref.ref(model.weight)]
    gc.disable()
    try:
        del model, optimizer
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()


def test_a_program_clips_gradients(device, monkeypatch):
    shapes, norms, launches = ((4, 5), (5,), (3, 2, 2), (1,)), [], []
    monkeypatch.setattr(far_programs, "_FIRST_CALLS", 2)
    monkeypatch.setattr(T.nn.utils.clip_grad, "_clipped", far_programs.FarProgram(_clip))
    for step in range(6):
        near = [T.nn.Parameter(T.ones(s)) for s in shapes]
        far = [T.nn.Parameter(T.ones(s).to(device)) for s in shapes]
        for p, q in zip(near, far, strict=True):
            p.grad = T.randn(p.shape)
            q.grad = p.grad.to(device)
        before = driver_of(far[0].device).launches
        norms.append(T.nn.utils.clip_grad_norm_(far, step / 3))
        launches.append(driver_of(far[0].device).launches - before)
        expected = T.nn.utils.clip_grad_norm_(near, step / 3)
        T.testing.assert_close(norms[-1].cpu(), expected)
        for p, q in zip(near, far, strict=True):
            T.testing.assert_close(q.grad.cpu(), p.grad)
    assert launches[-1] < launches[0] / 2 and len({*norms}) == 6
    far[0].grad[0, 0] = T.inf
    with pytest.raises(RuntimeError, match="nonfinite"):
        T.nn.utils.clip_grad_norm_(far, 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("name", ["mul_", "lerp", "norm", "addcmul_"])
def test_a_program_serves_lists(name, device, monkeypatch):
    monkeypatch.setattr(far_programs, "_FIRST_CALLS", 2)
    call = getattr(T, f"_foreach_{name}")
    others = {"mul_": 0, "lerp": 1, "norm": 0, "addcmul_": 2}[name]
    for step in range(5):
        lists = [[T.randn(n, 2) for n in range(1, 12)] for _ in range(1 + others)]
        far = [[t.to(device) for t in tensors] for tensors in lists]
        more = {"mul_": (step / 7,), "lerp": (step / 7,), "norm": (), "addcmul_": ()}[name]
        before = driver_of(far[0][0].device).launches
        with T.no_grad():
            found, expected = call(*far, *more), call(*lists, *more)
        launches = driver_of(far[0][0].device).launches - before
        assert type(found) is type(expected) and (found is far[0]) == (name[-1] == "_")
        T.testing.assert_close([t.cpu() for t in found], [*expected])
    assert launches <= 3


@pytest.mark.parametrize("stance", ["fail_on_recompile", "eager_on_recompile", "force_eager"])
def test_a_stance_is_for_other_functions(stance, device, monkeypatch):
    monkeypatch.setattr(far_programs, "_FIRST_CALLS", 0)
    p = T.nn.Parameter(T.ones(3).to(device))
    optimizer = T.optim.SGD([p], lr=0.5)
    with T.compiler.set_stance(stance):
        for _ in range(2):
            p.grad = T.ones(3).to(device)
            optimizer.step()
    assert p.tolist() == [0.0] * 3


def test_operations_of_a_step_are_seen(device, monkeypatch):
    """Where somebody looks at each operation, no program takes the step."""
    monkeypatch.setattr(far_programs, "_FIRST_CALLS", 0)
    p = T.nn.Parameter(T.ones(3).to(device))
    p.grad = T.ones(3).to(device)
    optimizer = T.optim.SGD([p], lr=0.5)
    with T.profiler.profile() as seen:
        optimizer.step()
    assert any("add" in event.key or "sub" in event.key for event in seen.key_averages())
    optimizer.step()
    assert p.tolist() == [0.0] * 3
