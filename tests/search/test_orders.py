"""A scheduler's step and what else a step does to the learning rate, in every order.

A program calls the scheduler before or after all that it computes; what the function reads and sets
must be as if it had been called in its place, or the call runs eagerly.
"""

import itertools
import os
import random
import types
import warnings

import pytest

import rushlight as torch

SEED = int(os.environ.get("RUSHLIGHT_SEED", random.SystemRandom().randrange(1 << 32)))

#: What a step may do, besides its loss, in any order and number.
LINES = (
    "sched.step()", "sched.step()", "backward()", "opt.step()", "group['lr'] *= 0.9",
    "group['lr'] = 0.3", "seen.lr = group['lr']", "loss = loss * group['lr']", "seen.k += 1",
    "loss = loss * seen.k", "seen.scale *= 0.5", "sched.last_epoch += 1", "sched.base_lrs[0] = 0.7",
    "seen.last = sched.get_last_lr()[0]", "loss = loss + sched.last_epoch", "seen.scale = 2.0",
    "group['weight_decay'] = group.get('weight_decay', 0) + 0.01",
)  # fmt: skip
OPTIMIZERS = "SGD", "Adam", "ASGD", "Rprop"
SCHEDULERS = (
    "StepLR(opt, 2, 0.5)", "LambdaLR(opt, lambda epoch: seen.scale * 0.9**epoch)",
    "ExponentialLR(opt, 0.8)", "MultiplicativeLR(opt, lambda epoch: 0.5 + seen.scale / 4)",
    "OneCycleLR(opt, 0.2, total_steps=40, cycle_momentum=False)", "CosineAnnealingLR(opt, 5)",
)  # fmt: skip


def found(lines, optimizer, scheduler, compiled):
    """What each of five calls gave, and what it left; the number of warnings."""
    p, seen = torch.ones(2, requires_grad=True), types.SimpleNamespace(lr=0.0, k=0, scale=1.0)
    opt = getattr(torch.optim, optimizer)([p], lr=0.05)
    names = {"opt": opt, "seen": seen, "p": p, "group": opt.param_groups[0], "torch": torch}
    sched = names["sched"] = eval(f"torch.optim.lr_scheduler.{scheduler}", names)
    body = "\n    ".join(lines).replace(
        "backward()", "p.grad = None; loss.backward(retain_graph=True)"
    )
    source = (
        f"def step(x):\n    loss = (p * x).square().sum()\n    {body}\n    return loss.detach()"
    )
    exec(source, names)
    step = torch.compile(names["step"]) if compiled else names["step"]
    result = []
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        for i in range(5):
            try:
                loss = step(torch.full((2,), 1.0 + i / 8)).item()
            except RuntimeError:  # backward() after what the gradient needs was written
                loss = -1.0
            numbers = loss, *p.tolist(), *sched.get_last_lr(), opt.param_groups[0]["lr"]
            result.append((*numbers, sched.last_epoch, *map(float, vars(seen).values())))
    return result


def check(count, seed):
    choose = random.Random(seed)
    for _ in range(count):
        lines = choose.choices(LINES, k=choose.randint(2, 5))
        case = lines, choose.choice(OPTIMIZERS), choose.choice(SCHEDULERS)
        eager, compiled = found(*case, False), found(*case, True)
        pairs = zip(itertools.chain(*eager), itertools.chain(*compiled), strict=True)
        assert all(a == pytest.approx(b, rel=1e-5, abs=1e-6) for a, b in pairs), (seed, *case)


def test_some_orders():
    check(40, 7)


@pytest.mark.search
def test_many_orders():
    check(1500, SEED)
