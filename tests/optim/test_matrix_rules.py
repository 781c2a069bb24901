"""Rules that see a parameter as a matrix: Muon and Adafactor against PyTorch's, and compiled."""

import numpy as np
import pytest

import rushlight
from tests.optim.test_rules import RULES, trajectory, write_rate
from tests.optim.test_traced import alike, batches

MATRIX = {
    "Adafactor": ("Adafactor", {}),
    "Adafactor decay": (
        "Adafactor",
        {
            "lr": 0.5, "beta2_decay": -0.5, "eps": (1e-5, 0.1), "d": 1.5, "weight_decay": 0.1,
            "maximize": True,
        },
    ),
    "Muon": ("Muon", {}),
    "Muon plain": (
        "Muon", {"nesterov": False, "momentum": 0.5, "weight_decay": 0.0, "ns_steps": 3}
    ),
    "Muon adjusted": ("Muon", {"adjust_lr_fn": "match_rms_adamw", "ns_coefficients": (2, -1.5, 0.5)}),
}  # fmt: skip
SHAPES = {"Adafactor": [(3, 4), (5,), (), (2, 3, 4), (90, 40)], "Muon": [(3, 4), (40, 20), (1, 5)]}


@pytest.fixture(autouse=True)
def rules(monkeypatch):
    for name, rule in MATRIX.items():
        monkeypatch.setitem(RULES, name, rule)


def shapes(rule):
    return SHAPES[MATRIX[rule][0]]


@pytest.mark.parity
@pytest.mark.parametrize("rule", MATRIX)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_fifty_steps(parity, rule, dtype):
    def script(torch):
        steps = 3 if dtype == "bfloat16" else 50
        first, last, state = trajectory(torch, rule, dtype, steps, shapes(rule))
        if dtype == "bfloat16":
            return [p.float() for p in last]
        return first, last, state

    # Muon's direction is computed in bfloat16, whose roundings no two libraries share.
    exact = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 2**-5}[dtype]
    parity(script, rtol=max(exact, 2e-3) if rule.startswith("Muon") else exact)


@pytest.mark.parity
def test_a_rate_that_is_a_tensor(parity):
    for rule in "Adafactor", "Muon":
        script = lambda torch, rule=rule: trajectory(
            torch, rule, steps=8, shapes=shapes(rule), change=write_rate, lr=torch.tensor(0.05)
        )
        parity(script, rtol=1e-5 if rule == "Adafactor" else 2e-3)


REFUSED = [
    ("Muon", [(3,)], {}), ("Muon", [(3, 2)], {"adjust_lr_fn": "none"}),
    ("Muon", [(3, 2)], {"momentum": -1.0}), ("Adafactor", [(3,)], {"beta2_decay": 0.5}),
    ("Adafactor", [(3,)], {"eps": (-1.0, 0.0)}), ("Adafactor", [(3,)], {"d": 0.5}),
    ("SparseAdam", [(3,)], {"lr": 0.0}), ("SparseAdam", [(3,)], {"betas": (1.0, 0.5)}),
    ("Rprop", [(3,)], {"etas": (1.5, 1.2)}), ("Adadelta", [(3,)], {"rho": 1.5}),
    ("NAdam", [(3,)], {"momentum_decay": -1.0}), ("LBFGS", [(3,)], {"lr": -1}),
]  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("case", REFUSED)
def test_refused_options(parity, case):
    kind, sizes, options = case
    make = lambda torch: getattr(torch.optim, kind)([torch.ones(s) for s in sizes], **options)
    parity(make, raises=True)


@pytest.mark.parity
@pytest.mark.parametrize("case", [
    ("Muon", "complex64"), ("Adafactor", "complex64"), ("SparseAdam", "float32"),
])  # fmt: skip
def test_refused_gradients(parity, case):
    kind, dtype = case

    def script(torch):
        p = torch.ones(3, 3, dtype=getattr(torch, dtype), requires_grad=True)
        optimizer = getattr(torch.optim, kind)([p])
        optimizer.step()
        p.grad = torch.ones_like(p)
        optimizer.step()

    parity(script, raises=True)


@pytest.mark.parametrize("rule", MATRIX)
def test_traced_is_eager(rule):
    kind, options = MATRIX[rule]

    def training():
        draw = np.random.default_rng(0)
        w = rushlight.from_numpy(draw.standard_normal((3, 4)).astype("f4")).requires_grad_()
        optimizer = getattr(rushlight.optim, kind)([w], **options)

        def step(x):
            optimizer.zero_grad()
            loss = ((x @ w) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return w, optimizer, step

    w, optimizer, compiled = training()
    v, reference, step = training()
    compiled = rushlight.compile(compiled)
    for x in batches(8):
        compiled(x)
        step(x)
        for group in (*optimizer.param_groups, *reference.param_groups):
            group["lr"] *= 0.9
    assert compiled._compiled.count <= 2
    assert list(optimizer.state[w]) == list(reference.state[v])
    if kind == "Muon":
        assert (w - v).abs().max().item() < 4e-3
    else:
        alike([w], [v])
