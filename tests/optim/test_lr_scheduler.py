"""Schedules: every rate equal to PyTorch's to the last bit, and what they check and keep."""

import copy
import json
import pathlib
import pickle
import warnings

import numpy as np
import pytest

import rushlight

RECORDED = pathlib.Path(__file__).parents[1] / "golden" / "optim.json"
SCHEDULES = {
    "LambdaLR": {"lr_lambda": lambda epoch: 0.95**epoch},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.95 if epoch % 3 else 1.01},
    "StepLR": {"step_size": 7, "gamma": 0.3},
    "MultiStepLR": {"milestones": [3, 20, 20, 90], "gamma": 0.3},
    "ConstantLR": {"factor": 0.3, "total_iters": 11},
    "LinearLR": {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 70},
    "ExponentialLR": {"gamma": 0.97},
    "PolynomialLR": {"total_iters": 80, "power": 1.7},
    "CosineAnnealingLR": {"T_max": 17, "eta_min": 0.003},
    "CosineAnnealingWarmRestarts": {"T_0": 5, "T_mult": 2, "eta_min": 0.001},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 7, "step_size_down": 13},
    "CyclicLR2": {"base_lr": [0.01, 0.02], "max_lr": 0.2, "step_size_up": 7, "mode": "triangular2"},
    "CyclicLR3": {
        "base_lr": 0.01,
        "max_lr": 0.2,
        "step_size_up": 5,
        "mode": "exp_range",
        "gamma": 0.99,
    },
    "CyclicLR4": {
        "base_lr": 0.01,
        "max_lr": 0.2,
        "step_size_up": 5,
        "scale_fn": lambda x: 1 / (5 * x + 1),
    },
    "OneCycleLR": {"max_lr": 0.2, "total_steps": 200},
    "OneCycleLR2": {
        "max_lr": [0.2, 0.3],
        "epochs": 20,
        "steps_per_epoch": 10,
        "three_phase": True,
        "anneal_strategy": "linear",
        "pct_start": 0.25,
        "div_factor": 7.0,
        "final_div_factor": 33.0,
    },
    "OneCycleLR3": {"max_lr": 0.2, "total_steps": 200, "cycle_momentum": False},
}


def optimizer_of(torch, kind="SGD", **options):
    if kind == "SGD":
        options.setdefault("momentum", 0.9)
    groups = [{"params": [torch.zeros(2)]}, {"params": [torch.zeros(3)], "lr": 0.03}]
    return getattr(torch.optim, kind)(groups, lr=options.pop("lr", 0.1), **options)


def schedule_of(torch, name, optimizer, **more):
    cls = getattr(torch.optim.lr_scheduler, name.rstrip("0123456789"))
    return cls(optimizer, **{**SCHEDULES[name], **more})


def options_of(optimizer):
    kept = "lr", "momentum", "betas", "initial_lr", "max_lr", "min_lr", "max_momentum"
    return [{k: group[k] for k in kept if k in group} for group in optimizer.param_groups]


def run(scheduler, steps):
    """The options after each step, and the rates as the scheduler tells them."""
    seen = [options_of(scheduler.optimizer)]
    for _ in range(steps):
        scheduler.optimizer.step()
        scheduler.step()
        seen.append([options_of(scheduler.optimizer), scheduler.get_last_lr()])
    return seen


def arrive(torch, name):
    """The first group's rate after some numbers of steps."""
    scheduler = schedule_of(torch, name, optimizer_of(torch))
    seen = run(scheduler, 120)
    return [seen[i][1][0] for i in (1, 2, 7, 30, 120)]


def state_of(scheduler):
    state = scheduler.state_dict()
    assert "optimizer" not in state
    return state


@pytest.mark.parity
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_rates_and_state_equal_pytorchs(parity, name, kind):
    def script(torch):
        scheduler = schedule_of(torch, name, optimizer_of(torch, kind))
        first = copy.deepcopy(state_of(scheduler))
        return first, run(scheduler, 199), state_of(scheduler)

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize("name", SCHEDULES)
def test_resumed_from_a_state_dict_or_an_epoch(parity, name):
    """A resumed schedule goes on as PyTorch's does, with a saved state or with last_epoch."""

    def script(torch):
        first = schedule_of(torch, name, optimizer_of(torch))
        run(first, 30)
        groups = [{**g, "params": [torch.zeros(2)]} for g in first.optimizer.param_groups]
        second = schedule_of(torch, name, optimizer_of(torch))
        second.load_state_dict(first.state_dict())
        second.optimizer.load_state_dict(first.optimizer.state_dict())
        third = schedule_of(torch, name, torch.optim.SGD(groups, momentum=0.9), last_epoch=30)
        return run(first, 40), run(second, 40), run(third, 40), state_of(third)

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize("name", [n for n in SCHEDULES if n[:-1] != "CyclicLR"])
def test_tensor_rates_and_given_epochs(parity, name):
    """Tensors as rates are written in place; an epoch given to ``step`` uses the closed form."""

    def script(torch):
        scheduler = schedule_of(torch, name, optimizer_of(torch))
        given = [
            [scheduler.step(epoch), options_of(scheduler.optimizer)] for epoch in (1, 0, 5, 33, 12)
        ]
        optimizer = torch.optim.SGD([torch.zeros(2)], lr=torch.tensor(0.1), momentum=0.9)
        if "2" in name:
            return given
        rate = optimizer.param_groups[0]["lr"]
        scheduler = schedule_of(torch, name, optimizer)
        seen = run(scheduler, 10)
        return given, seen, rate, rate is optimizer.param_groups[0]["lr"]

    parity(script, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "max", "threshold": 0.1, "patience": 1, "factor": 0.5},
        {
            "threshold_mode": "abs",
            "threshold": 0.05,
            "cooldown": 3,
            "patience": 0,
            "min_lr": [0.01, 0.02],
        },
        {"mode": "max", "threshold_mode": "abs", "patience": 2, "min_lr": 0.005, "eps": 0.01},
    ],
)
def test_plateau(parity, options):
    losses = np.random.default_rng(0).standard_normal(120).cumsum() * 0.1 + 3

    def script(torch):
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer_of(torch), **options)
        seen = [[scheduler.state_dict(), scheduler.get_last_lr()]]
        for i, loss in enumerate(losses.tolist()):
            scheduler.step(torch.tensor(loss) if i % 2 else loss)
            seen.append([scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.in_cooldown])
        again = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer_of(torch))
        again.load_state_dict(scheduler.state_dict())
        return seen, again.state_dict(), scheduler.state_dict(), options_of(scheduler.optimizer)

    def longer(torch):
        """A group that is added later has the same least rate, where there is one for all."""
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer_of(torch), **options)
        scheduler.optimizer.add_param_group({"params": [torch.zeros(1)]})
        for _ in range(15):
            scheduler.step(float("nan"))
        return scheduler.state_dict(), options_of(scheduler.optimizer)

    parity(script)
    parity(longer, raises=isinstance(options.get("min_lr"), list))


@pytest.mark.parity
def test_composed(parity):
    def script(torch):
        schedules = torch.optim.lr_scheduler
        optimizer = optimizer_of(torch)
        warm = schedules.LinearLR(optimizer, 0.1, total_iters=5)
        cosine = schedules.CosineAnnealingLR(optimizer, 9)
        both = schedules.ChainedScheduler(
            [schedules.ExponentialLR(optimizer, 0.9), schedules.StepLR(optimizer, 4)]
        )
        seen = [both.get_last_lr(), run(both, 20), both.state_dict()]
        chain = schedules.SequentialLR(
            optimizer, [warm, cosine, schedules.ExponentialLR(optimizer, 0.9)], [5, 20]
        )
        first = copy.deepcopy(chain.state_dict())
        seen += [first, run(chain, 12), chain.state_dict()]
        later = chain.state_dict()
        chain.load_state_dict(first)
        return [*seen, run(chain, 3), later, chain.state_dict(), chain.last_epoch]

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize(
    "steps",
    [
        "opt sched",
        "sched",
        "sched sched opt",
        "opt",
        "over sched",
        "opt late sched",
        "get",
        "epoch",
    ],
)
def test_warnings_about_order(parity, steps):
    def script(torch):
        optimizer = optimizer_of(torch)
        if "late" in steps:
            optimizer.step()
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        for step in steps.split():
            if step == "opt" and "late" not in steps:
                optimizer.step()
            elif step == "sched":
                scheduler.step()
            elif step == "over":
                optimizer.step = lambda: None
            elif step == "get":
                scheduler.get_lr()
            elif step == "epoch":
                scheduler.step(3)
        return scheduler.get_last_lr()

    parity(script)


class Fade:
    def __init__(self, share):
        self.share = share

    def __call__(self, epoch):
        return self.share**epoch


WRONG = {
    "no optimizer": lambda o, s: s.StepLR(3, 1),
    "no optimizer: plateau": lambda o, s: s.ReduceLROnPlateau(3),
    "no optimizer: cycle": lambda o, s: s.CyclicLR(3, 0.1, 0.2),
    "no optimizer: one cycle": lambda o, s: s.OneCycleLR(3, 0.1, 5),
    "resumed, no initial_lr": lambda o, s: s.StepLR(o, 1, last_epoch=3),
    "lambdas": lambda o, s: s.LambdaLR(o, [lambda e: 1.0]),
    "factors": lambda o, s: s.MultiplicativeLR(o, [lambda e: 1.0]),
    "factor that is none": lambda o, s: s.MultiplicativeLR(o, 3),
    "constant": lambda o, s: s.ConstantLR(o, factor=1.5),
    "linear start": lambda o, s: s.LinearLR(o, start_factor=0.0),
    "linear end": lambda o, s: s.LinearLR(o, end_factor=-0.1),
    "T_0": lambda o, s: s.CosineAnnealingWarmRestarts(o, 0),
    "T_0 float": lambda o, s: s.CosineAnnealingWarmRestarts(o, 1.5),
    "T_mult": lambda o, s: s.CosineAnnealingWarmRestarts(o, 2, 0),
    "eta_min": lambda o, s: s.CosineAnnealingWarmRestarts(o, 2, eta_min="0"),
    "negative epoch": lambda o, s: s.CosineAnnealingWarmRestarts(o, 2).step(-1),
    "no steps": lambda o, s: s.OneCycleLR(o, 0.1),
    "steps": lambda o, s: s.OneCycleLR(o, 0.1, total_steps=0),
    "epochs": lambda o, s: s.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=-1),
    "epochs float": lambda o, s: s.OneCycleLR(o, 0.1, epochs=2.0, steps_per_epoch=1),
    "pct_start": lambda o, s: s.OneCycleLR(o, 0.1, 10, pct_start=2.0),
    "pct_start int": lambda o, s: s.OneCycleLR(o, 0.1, 10, pct_start=1),
    "strategy": lambda o, s: s.OneCycleLR(o, 0.1, 10, anneal_strategy="poly"),
    "rates": lambda o, s: s.OneCycleLR(o, [0.1], 10),
    "too many steps": lambda o, s: [x.step() for x in [s.OneCycleLR(o, 0.1, 3)] * 9],
    "cycle mode": lambda o, s: s.CyclicLR(o, 0.1, 0.2, mode="square"),
    "cycle rates": lambda o, s: s.CyclicLR(o, [0.1] * 3, 0.2),
    "plateau factor": lambda o, s: s.ReduceLROnPlateau(o, factor=1.0),
    "plateau mode": lambda o, s: s.ReduceLROnPlateau(o, mode="up"),
    "plateau threshold": lambda o, s: s.ReduceLROnPlateau(o, threshold_mode="up"),
    "plateau rates": lambda o, s: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "chain of none": lambda o, s: s.ChainedScheduler([]),
    "sequence of none": lambda o, s: s.SequentialLR(o, [], []),
    "milestones": lambda o, s: s.SequentialLR(o, [s.ConstantLR(o)], [2]),
    "plateau in sequence": lambda o, s: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
    "plateau in chain": lambda o, s: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    "no scheduler": lambda o, s: s.ChainedScheduler([s.ConstantLR(o), 3]),
    "other optimizer": lambda o, s: s.ChainedScheduler([*map(s.ConstantLR, [o, copy.copy(o)])]),
    "abstract": lambda o, s: s.LRScheduler(o),
}


@pytest.mark.parity
@pytest.mark.parametrize("what", WRONG)
def test_refusals_are_pytorchs(parity, what):
    def script(torch):
        WRONG[what](optimizer_of(torch), torch.optim.lr_scheduler)

    parity(script, raises=True)


@pytest.mark.parity
def test_optimizers_without_momentum(parity):
    def script(torch, cycle="OneCycleLR", **options):
        optimizer = torch.optim.Adagrad([torch.zeros(2)])
        return run(torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 10, **options), 5)

    parity(script, raises=True)
    parity(lambda torch: script(torch, cycle_momentum=False))


def test_messages_name_the_numbers():
    optimizer = optimizer_of(rushlight)
    schedules = rushlight.optim.lr_scheduler
    with pytest.raises(ValueError, match=r"LambdaLR: Expected 2 lr_lambdas.*but got 1"):
        schedules.LambdaLR(optimizer, [lambda e: 1.0])
    with pytest.raises(KeyError, match=r"param_groups\[0\].*StepLR with last_epoch=3"):
        schedules.StepLR(optimizer, 1, last_epoch=3)
    with pytest.raises(ValueError, match=r"max_lr must have the same length.*3 values.*has 2"):
        schedules.OneCycleLR(optimizer, [0.1] * 3, 5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_equal_recorded_ones(name):
    recorded = json.loads(RECORDED.read_text())["schedules"][name]
    assert arrive(rushlight, name) == pytest.approx(recorded, rel=1e-12)


def test_a_schedule_drives_the_steps():
    """The rate that a schedule sets is the one that the next step takes."""
    w = rushlight.zeros(1)
    optimizer = rushlight.optim.SGD([w], lr=1.0)
    scheduler = rushlight.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    w.grad = rushlight.ones(1)
    seen = []
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        seen.append(w.item())
    assert seen == [-1.0, -1.5, -1.75, -1.875]


def test_callable_objects_are_saved_and_copies_are_apart():
    optimizer = optimizer_of(rushlight)
    scheduler = rushlight.optim.lr_scheduler.LambdaLR(optimizer, [Fade(0.5), lambda e: 1.0])
    state = pickle.loads(pickle.dumps(scheduler.state_dict()))
    assert state["lr_lambdas"] == [{"share": 0.5}, None]
    other = rushlight.optim.lr_scheduler.LambdaLR(
        optimizer_of(rushlight), [Fade(0.1), lambda e: 1.0]
    )
    other.load_state_dict(state)
    assert other.lr_lambdas[0].share == 0.5
    assert "lr_lambdas" in state  # loading leaves the dict as it was
    twin = copy.deepcopy(other)
    run(twin, 2)
    assert twin.optimizer is not other.optimizer
    assert (twin.last_epoch, other.last_epoch) == (2, 0)
    assert other.optimizer.param_groups[0]["lr"] == 0.1


def test_the_old_base_class_name():
    assert issubclass(
        rushlight.optim.lr_scheduler.StepLR, rushlight.optim.lr_scheduler._LRScheduler
    )


def test_an_optimizer_that_wraps_another_has_a_scheduler():
    """accelerate's optimizer never calls ``Optimizer.__init__``."""

    class Wrapper(rushlight.optim.Optimizer):
        def __init__(self, inner):
            self.inner = inner

        @property
        def param_groups(self):
            return self.inner.param_groups

        def step(self):
            self.inner.step()

    steps = []
    w = rushlight.ones(1, requires_grad=True)
    wrapper = Wrapper(rushlight.optim.SGD([w], lr=1.0))
    scheduler = rushlight.optim.lr_scheduler.StepLR(wrapper, 1, gamma=0.5)
    w.grad = rushlight.ones(1)
    with rushlight.optim.optimizer.register_optimizer_step_post_hook(lambda *a: steps.append(1)):
        wrapper.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()
    assert w.tolist() == [0.0] and wrapper.param_groups[0]["lr"] == 0.5 and steps == [1]
