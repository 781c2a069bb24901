"""Averages of models against PyTorch's, and in a trace."""

import copy

import numpy as np
import pytest

import rushlight

FUNCTIONS = {
    "default": lambda s: {},
    "ema": lambda s: {"avg_fn": s.get_ema_avg_fn(0.8)},
    "swa": lambda s: {"avg_fn": s.get_swa_avg_fn(), "use_buffers": True},
    "ema of all": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.8)},
    "swa of all": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "buffers": lambda s: {"avg_fn": s.get_ema_avg_fn(0.8), "use_buffers": True},
    "own": lambda s: {"avg_fn": lambda mean, p, n: mean * 0.5 + p * n},
}


def training(torch):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    draw = np.random.default_rng(0)
    batch = lambda: torch.from_numpy(draw.standard_normal((6, 3)).astype("f4"))

    def step(x):
        optimizer.zero_grad()
        (model(x) ** 3).mean().backward()
        optimizer.step()

    return model, optimizer, batch, step


@pytest.mark.parity
@pytest.mark.parametrize("name", FUNCTIONS)
def test_averages(parity, name):
    def script(torch):
        model, _, batch, step = training(torch)
        swa = torch.optim.swa_utils
        averaged = swa.AveragedModel(model, **FUNCTIONS[name](swa))
        seen = []
        for _ in range(5):
            step(batch())
            averaged.update_parameters(model)
            seen.append(copy.deepcopy(averaged.state_dict()))
        swa.update_bn([(batch(), 1), [batch()], batch()], averaged.eval())
        seen += [averaged.state_dict(), averaged(batch()), repr(averaged), averaged.training]
        return [*seen, averaged.module[1].momentum]

    parity(script, rtol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("options", [
    {"swa_lr": 0.05}, {"swa_lr": [0.05, 0.2], "anneal_strategy": "linear", "anneal_epochs": 4},
    {"swa_lr": 0.3, "anneal_epochs": 0},
])  # fmt: skip
def test_schedule(parity, options):
    def script(torch):
        groups = [{"params": [torch.zeros(2)]}, {"params": [torch.zeros(3)], "lr": 0.03}]
        optimizer = torch.optim.SGD(groups, lr=0.1)
        plain = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        scheduler = torch.optim.swa_utils.SWALR(optimizer, **options)
        seen = []
        for i in range(14):
            optimizer.step()
            (plain if i < 3 else scheduler).step()
            seen.append([*optimizer.state_dict()["param_groups"], scheduler.state_dict()])
            if i == 6:
                saved = copy.deepcopy(scheduler.state_dict())
                scheduler = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.5)
                scheduler.load_state_dict(saved)
        return seen

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize("wrong", [
    lambda s, o: s.SWALR(o, 0.1, anneal_strategy="cubic"),
    lambda s, o: s.SWALR(o, 0.1, anneal_epochs=-1), lambda s, o: s.SWALR(o, [0.1, 0.2]),
    lambda s, o: s.get_ema_avg_fn(1.5), lambda s, o: s.get_ema_multi_avg_fn(-0.1),
    lambda s, o: s.AveragedModel(None, avg_fn=max, multi_avg_fn=max),
])  # fmt: skip
def test_refusals(parity, wrong):
    script = lambda torch: wrong(torch.optim.swa_utils, torch.optim.SGD([torch.zeros(2)]))
    parity(script, raises=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_is_eager(name):
    found = []
    for compiled in (True, False):
        model, _, batch, step = training(rushlight)
        swa = rushlight.optim.swa_utils
        averaged = swa.AveragedModel(model, **FUNCTIONS[name](swa))

        def whole(x, step=step, averaged=averaged, model=model):
            step(x)
            averaged.update_parameters(model)

        run = rushlight.compile(whole) if compiled else whole
        for _ in range(4):
            run(batch())
        found.append(averaged.state_dict())
    for (key, ours), theirs in zip(found[0].items(), found[1].values(), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6, err_msg=key)
