"""A compiled step does what the eager one does, and follows what changes between the calls."""

import numpy as np
import pytest

import rushlight
from tests.optim.test_rules import RULES


def training(rule, compiled, **more):
    """(parameters, optimizer, a step that takes a batch), compiled whole or not."""
    kind, options = RULES[rule]
    draw = np.random.default_rng(0)
    w, b = (
        rushlight.from_numpy(draw.standard_normal(shape).astype("f4")).requires_grad_()
        for shape in ((3, 4), (4,))
    )
    optimizer = getattr(rushlight.optim, kind)([w, b], **{**options, **more})

    def step(x):
        optimizer.zero_grad()
        loss = ((x @ w + b) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return (w, b), optimizer, rushlight.compile(step) if compiled else step


def batches(n):
    draw = np.random.default_rng(1)
    for _ in range(n):
        yield rushlight.from_numpy(draw.standard_normal((5, 3)).astype("f4"))


def alike(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("rule", RULES)
def test_traced_is_eager(rule):
    ours, optimizer, compiled = training(rule, True)
    theirs, reference, step = training(rule, False)
    for i, x in enumerate(batches(12)):
        np.testing.assert_allclose(compiled(x).item(), step(x).item(), rtol=1e-4)
        alike(ours, theirs)
        for group in (*optimizer.param_groups, *reference.param_groups):
            group["lr"] *= 0.9
        if i == 5:  # eager steps in between, and a state that was loaded
            optimizer.step()
            reference.step()
        if i == 8:
            optimizer.load_state_dict(optimizer.state_dict())
    for p, q in zip(ours, theirs, strict=True):
        a, b = optimizer.state.get(p, {}), reference.state.get(q, {})
        assert list(a) == list(b)
        alike(a.values(), b.values())


def test_a_schedule_costs_no_new_program():
    _, optimizer, step = training("AdamW", True)
    scheduler = rushlight.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 30)
    for x in batches(20):
        step(x)
        scheduler.step()
    assert step._compiled.count == 1


def test_an_option_that_is_switched_is_followed():
    ours, optimizer, compiled = training("SGD", True)
    theirs, reference, step = training("SGD", False)
    for i, x in enumerate(batches(9)):
        for group in (*optimizer.param_groups, *reference.param_groups):
            group["maximize"] = i % 3 == 2
            group["momentum"] = 0.9 if i > 4 else 0.0
            group["lr"] = 1 if i == 3 else 0.05  # an int is a number too
        compiled(x)
        step(x)
    alike(ours, theirs)


@pytest.mark.parametrize("rule", RULES)
def test_a_learning_rate_becomes_a_tensor_that_is_written(rule):
    ours, optimizer, compiled = training(rule, True)
    theirs, reference, step = training(rule, False)
    for i, x in enumerate(batches(8)):
        for group in (*optimizer.param_groups, *reference.param_groups):
            if i in (2, 6):
                group["lr"] = 0.01 if i == 6 else rushlight.tensor(0.01)
            elif i > 2:
                group["lr"] *= 1.5
        compiled(x)
        step(x)
        alike(ours, theirs)


def test_betas_become_tensors_that_are_written():
    ours, optimizer, compiled = training("Adam", True)
    theirs, reference, step = training("Adam", False)
    for i, x in enumerate(batches(8)):
        for group in (*optimizer.param_groups, *reference.param_groups):
            if i == 2:
                group["betas"] = rushlight.tensor(0.5), 0.9
            elif i > 2:
                group["betas"][0].mul_(0.8)
        compiled(x)
        step(x)
        alike(ours, theirs)


def test_only_the_step_compiled():
    """Gradients come from outside; a parameter may have none."""
    (w, b), optimizer, _ = training("Adam", False)
    (v, c), reference, _ = training("Adam", False)
    compiled = rushlight.compile(optimizer.step)
    for i, x in enumerate(batches(6)):
        for p, q in ((w, v), (b, c)):
            p.grad = (x.sum() * rushlight.ones(p.shape)).detach() if i != 3 or p is w else None
            q.grad = None if p.grad is None else p.grad.clone()
        compiled()
        reference.step()
        alike((w, b), (v, c))


@pytest.mark.parametrize("kind", ["SGD", "RMSprop", "Adam"])
@pytest.mark.parametrize("way", [rushlight.compile, lambda step: step])
def test_a_model_that_changes_its_dtype(kind, way):
    """The state keeps its dtype; Adam refuses, as PyTorch's lerp does."""
    model = rushlight.nn.Linear(2, 2)
    optimizer = getattr(rushlight.optim, kind)(model.parameters(), lr=0.1)
    for group in optimizer.param_groups:
        group["momentum"] = 0.9

    @way
    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    step(rushlight.ones(1, 2))
    model.double()
    if kind == "Adam":
        with pytest.raises(RuntimeError, match=r"expected dtype torch\.float32 for `end`"):
            step(rushlight.ones(1, 2).double())
        return
    step(rushlight.ones(1, 2).double())
    assert optimizer.state[model.bias]["momentum_buffer"].dtype is rushlight.float32
    assert model.bias.dtype is rushlight.float64
