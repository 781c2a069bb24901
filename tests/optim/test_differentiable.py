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
        more = KINDS[kind] if kind == "Rprop" else {"weight_decay": 0.1, **KINDS[kind]}
        optimizer = getattr(torch.optim, kind)(
            [p], lr=rate, differentiable=True, maximize=maximize, **more
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
    if kind == "Adadelta":
        return {"step": step, "square_avg": square, "acc_delta": square + mean}
    if kind == "Adamax":
        return {"step": step, "exp_avg": mean, "exp_inf": square + mean}
    if kind == "Rprop":
        return {"step": step, "prev": mean * 1.0, "step_size": square + mean}
    if kind == "ASGD":
        numbers = {"eta": torch.tensor(0.2), "mu": torch.tensor(0.5)}
        return {"step": step, **numbers, "ax": mean}
    if kind == "NAdam":
        step = {"step": step, "mu_product": torch.tensor(0.25, dtype=torch.float64)}
        return {**step, "exp_avg": mean, "exp_avg_sq": square}
    state = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
    return {**state, "max_exp_avg_sq": square * 1.0} if kind == "Adam" else state


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
@pytest.mark.parametrize("option", ["lr", "weight_decay"])
@pytest.mark.parametrize("maximize", [False, True])
def test_two_differentiable_steps(kind, option, maximize):
    """The gradient of what two steps reach, by finite differences; PyTorch refuses it."""

    def reached(value):
        p = rushlight.tensor([1.0, -2.0], dtype=rushlight.float64)
        options = {"lr": 0.1, "weight_decay": 0.05, "maximize": maximize, **KINDS[kind]}
        optimizer = getattr(rushlight.optim, kind)([p], differentiable=True, **options)
        optimizer.param_groups[0][option] = value
        for slope in (0.25, 1.25):
            p.grad = rushlight.tensor([0.5, slope], dtype=rushlight.float64)
            optimizer.step()
        return (p * p).sum()

    value = rushlight.tensor(0.07, dtype=rushlight.float64, requires_grad=True)
    reached(value).backward()
    small = 1e-5
    numeric = (reached(0.07 + small) - reached(0.07 - small)).item() / (2 * small)
    assert value.grad.item() == pytest.approx(numeric, rel=1e-6)
