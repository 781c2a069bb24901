"""LBFGS against PyTorch's, with and without its line search."""

import numpy as np
import pytest

import rushlight

OPTIONS = {
    "fixed step": {"lr": 0.01},
    "fixed step, short memory": {"lr": 0.05, "history_size": 3, "max_iter": 7},
    "line search": {"line_search_fn": "strong_wolfe"},
    "line search, few evaluations": {
        "lr": 2.0, "line_search_fn": "strong_wolfe", "max_iter": 4, "max_eval": 6,
        "history_size": 2,
    },
    "loose": {"line_search_fn": "strong_wolfe", "tolerance_grad": 1.0, "tolerance_change": 1e-2},
    "one iteration": {"lr": 0.01, "max_iter": 1},
}  # fmt: skip


def run(torch, options, dtype="float64", steps=5, objective="valley"):
    """(losses, parameters, state) of a few steps down a curved valley."""
    draw = np.random.default_rng(0)
    kind = getattr(torch, dtype)
    complex_ = "complex" in dtype
    w, b, idle = (
        torch.from_numpy(draw.standard_normal(shape)).to(kind).requires_grad_()
        for shape in ((2, 3), (), (2,))
    )
    optimizer = torch.optim.LBFGS([w, b, idle], **options)

    def closure():
        optimizer.zero_grad()
        x = w.abs() if complex_ else w
        y = b.abs() if complex_ else b
        if objective == "valley":
            loss = (10 * (x[0] ** 2 - x[1]) ** 2).sum() + ((1 - x) ** 2).sum() + y**4
        else:
            loss = (x.sin() * 3 + x**2 * 0.1).sum() + y.cos()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(steps)]
    final = [p.detach() for p in (w, b, idle)]
    return torch.tensor(losses), final, inexact(torch, optimizer.state_dict())


def inexact(torch, value):
    """``value`` with its floats as tensors, which need not agree to the last bit."""
    if isinstance(value, dict):
        return {key: inexact(torch, v) for key, v in value.items()}
    if isinstance(value, list):
        return [inexact(torch, v) for v in value]
    return torch.tensor(value, dtype=torch.float64) if type(value) is float else value


@pytest.mark.parity
@pytest.mark.parametrize("objective", ["valley", "waves"])
@pytest.mark.parametrize("name", OPTIONS)
def test_follows(parity, name, objective):
    parity(lambda torch: run(torch, OPTIONS[name], steps=2, objective=objective), rtol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["fixed step", "line search"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_other_dtypes(parity, name, dtype):
    def script(torch):
        losses, final, state = run(torch, {**OPTIONS[name], "max_iter": 4}, dtype, 2)
        return losses, final, [str(t.dtype) for t in state["state"][0]["old_dirs"]]

    parity(script, rtol=1e-4)


@pytest.mark.parity
def test_refusals(parity):
    def groups(torch):
        return torch.optim.LBFGS([{"params": [torch.ones(2)]}, {"params": [torch.ones(2)]}])

    parity(groups, raises=True)
    parity(lambda torch: torch.optim.LBFGS([torch.ones(2)]).step(), raises=True)
    parity(lambda torch: run(torch, {"line_search_fn": "armijo"}), raises=True)


def test_a_quadratic_is_solved():
    draw = np.random.default_rng(1)
    a = rushlight.from_numpy(draw.standard_normal((6, 6)))
    a = a @ a.mT + rushlight.eye(6, dtype=a.dtype)
    y = rushlight.from_numpy(draw.standard_normal(6))
    x = rushlight.zeros(6, dtype=a.dtype, requires_grad=True)
    options = {"line_search_fn": "strong_wolfe", "max_iter": 60, "tolerance_change": 0}
    optimizer = rushlight.optim.LBFGS([x], **options)

    def closure():
        optimizer.zero_grad()
        loss = x @ a @ x / 2 - x @ y
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose((a @ x).detach().numpy(), y.numpy(), atol=1e-5)
