"""Gradients through a step: of parameters, gradients, state and options that are tensors."""

import pytest

import rushlight
from tests.optim.test_optimizer import KINDS


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("maximize", [False, True])
def test_differentiable(parity, kind, maximize):
    """Gradients flow through a step to parameters, gradients, state and tensor options."""

    def script(torch):
        tensor = lambda *v: torch.tensor(v, dtype=torch.float64, requires_grad=True)
        w, g, mean = tensor(1.0, -2.0), tensor(0.5, 0.25), tensor(0.1, 0.2)
        rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=kind in ("SGD", "Adam"))
        p = w.clone()
        optimizer = getattr(torch.optim, kind)(
            [p], lr=rate, differentiable=True, weight_decay=0.1, maximize=maximize, **KINDS[kind]
        )
        optimizer.state[p].update(start(torch, kind, mean.clone()))
        p.grad = g * 1.0
        optimizer.step()
        (p * p).sum().backward()
        return p, w.grad, g.grad, mean.grad, rate.grad

    parity(script, rtol=1e-10)


def start(torch, kind, mean):
    """A state from which ``kind`` can go on, with a part that depends on ``mean``."""
    step = torch.tensor(3.0, dtype=torch.float64)
    square = mean.detach() ** 2 + 0.3
    if kind == "SGD":
        return {"momentum_buffer": mean}
    if kind == "RMSprop":
        state = {"square_avg": square, "momentum_buffer": mean, "grad_avg": square * 0.1}
        return {"step": step, **state}
    if kind == "Adagrad":
        return {"step": step, "sum": square + mean}
    state = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
    return {**state, "max_exp_avg_sq": square * 1.0} if kind == "Adam" else state


def test_two_differentiable_steps():
    """The gradient of what two steps reach, by finite differences; PyTorch refuses it."""

    def reached(rate):
        p = rushlight.tensor([1.0, -2.0], dtype=rushlight.float64)
        optimizer = rushlight.optim.Adam([p], lr=rate, amsgrad=True, differentiable=True)
        for slope in (0.25, 1.25):
            p.grad = rushlight.tensor([0.5, slope], dtype=rushlight.float64)
            optimizer.step()
        return (p * p).sum()

    rate = rushlight.tensor(0.1, dtype=rushlight.float64, requires_grad=True)
    reached(rate).backward()
    small = 1e-6
    numeric = (reached(0.1 + small) - reached(0.1 - small)).item() / (2 * small)
    assert rate.grad.item() == pytest.approx(numeric, rel=1e-7)
