"""Eager steps of optimizers on a device: after a few, one program takes them."""

import copy

import pytest

import rushlight as T
from rushlight.backend.native import llvm_works
from rushlight.device_array import driver_of
from rushlight.optim import elementwise

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9}, "AdamW": {"amsgrad": True}, "RMSprop": {"centered": True},
    "NAdam": {}, "Rprop": {},
}  # fmt: skip


def trained(kind, device, first, monkeypatch):
    """(parameters, state, launches of the last step) after 9 steps, of which the ``first`` are eager.

    A gradient is missing in one step. A parameter has gradients from the seventh on. A scheduler
    changes the learning rate, and the state is loaded in between.
    """
    monkeypatch.setattr(elementwise, "_FIRST_STEPS", first)
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


def test_operations_of_a_step_are_seen(device, monkeypatch):
    """Where somebody looks at each operation, no program takes the step."""
    monkeypatch.setattr(elementwise, "_FIRST_STEPS", 0)
    p = T.nn.Parameter(T.ones(3).to(device))
    p.grad = T.ones(3).to(device)
    optimizer = T.optim.SGD([p], lr=0.5)
    with T.profiler.profile() as seen:
        optimizer.step()
    assert any("add" in event.key or "sub" in event.key for event in seen.key_averages())
    optimizer.step()
    assert p.tolist() == [0.0] * 3
