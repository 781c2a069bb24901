"""Each rule against PyTorch's, over fifty steps, on small, large and odd parameters."""

import json
import pathlib

import numpy as np
import pytest

import rushlight

RULES = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "SGD dampening": ("SGD", {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    "SGD nesterov": (
        "SGD",
        {"momentum": 0.9, "nesterov": True, "maximize": True, "weight_decay": 0.01},
    ),
    "SGD foreach": ("SGD", {"lr": 0.1, "momentum": 0.9, "foreach": True}),
    "SGD fused": ("SGD", {"lr": 0.1, "momentum": 0.9, "fused": True}),
    "Adam": ("Adam", {}),
    "Adam decay": (
        "Adam",
        {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1, "maximize": True},
    ),
    "Adam amsgrad": ("Adam", {"amsgrad": True, "eps": 0.1}),
    "Adam decoupled": ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    "Adam fused": ("Adam", {"fused": True}),
    "AdamW": ("AdamW", {"lr": 0.01}),
    "AdamW amsgrad": ("AdamW", {"amsgrad": True, "weight_decay": 0.3, "maximize": True}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop momentum": ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1, "alpha": 0.8}),
    "RMSprop centered": ("RMSprop", {"centered": True, "maximize": True, "eps": 1e-4}),
    "RMSprop both": ("RMSprop", {"centered": True, "momentum": 0.5, "lr": 0.001}),
    "Adagrad": ("Adagrad", {}),
    "Adagrad decay": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "maximize": True},
    ),
    "Adagrad start": ("Adagrad", {"initial_accumulator_value": 0.5}),
    "Adadelta": ("Adadelta", {}),
    "Adadelta decay": (
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
    ),
    "Adamax": ("Adamax", {}),
    "Adamax decay": (
        "Adamax",
        {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
    ),
    "NAdam": ("NAdam", {}),
    "NAdam decay": (
        "NAdam",
        {"lr": 0.01, "betas": (0.8, 0.9), "momentum_decay": 0.1, "weight_decay": 0.1},
    ),
    "NAdam decoupled": (
        "NAdam",
        {"decoupled_weight_decay": True, "weight_decay": 0.1, "maximize": True},
    ),
    "RAdam": ("RAdam", {}),
    "RAdam never": ("RAdam", {"betas": (0.9, 0.6), "maximize": True}),
    "RAdam decay": ("RAdam", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    "RAdam decoupled": (
        "RAdam",
        {"decoupled_weight_decay": True, "weight_decay": 0.1, "maximize": True},
    ),
    "Rprop": ("Rprop", {}),
    "Rprop etas": (
        "Rprop",
        {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2), "maximize": True},
    ),
    "ASGD": ("ASGD", {}),
    "ASGD mean": (
        "ASGD",
        {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 20, "weight_decay": 0.1, "maximize": True},
    ),
}
SHAPES = (3, 4), (5,), (), (0, 2), (2, 3, 4), (90, 100), (3, 12000)


def trajectory(torch, rule, dtype="float32", steps=50, shapes=SHAPES, change=None, **more):
    """Parameters after the first step, and parameters and state after the last."""
    kind, options = RULES[rule]
    draw = np.random.default_rng(0)
    wide = "complex128" if "complex" in dtype else "float64"

    def random(shape):
        values = draw.standard_normal((*shape, 2)).view("complex128")[..., 0]
        values = values if wide == "complex128" else values.real
        return torch.from_numpy(np.ascontiguousarray(values)).to(getattr(torch, dtype))

    params = [random(shape).requires_grad_() for shape in shapes]
    optimizer = getattr(torch.optim, kind)(params, **{**options, **more})
    for i in range(steps):
        for p in params:
            p.grad = random(p.shape)
        if change is not None:
            change(torch, optimizer, i)
        optimizer.step()
        if i == 0:
            first = [p.detach().clone() for p in params]
    return first, [p.detach() for p in params], optimizer.state_dict()


@pytest.mark.parity
@pytest.mark.parametrize("rule", RULES)
def test_fifty_steps(parity, rule):
    parity(lambda torch: trajectory(torch, rule), rtol=1e-5)
    parity(lambda torch: trajectory(torch, rule, steps=1), rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("rule", [rule for rule in RULES if "fused" not in rule])
@pytest.mark.parametrize("dtype", ["float64", "complex64", "complex128"])
def test_other_dtypes(parity, rule, dtype):
    small = SHAPES[:4]
    rtol = 1e-5 if dtype == "complex64" else 1e-12
    parity(lambda torch: trajectory(torch, rule, dtype, shapes=small), rtol=rtol)


@pytest.mark.parity
@pytest.mark.parametrize(
    "rule", ["SGD momentum", "AdamW", "RMSprop", "Adagrad", "Adamax", "NAdam", "Rprop", "ASGD"]
)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(parity, rule, dtype):
    """PyTorch rounds at other places, so a step agrees to a few units in the last place."""
    resolution = {"float16": 2**-10, "bfloat16": 2**-7}[dtype]

    def script(torch):
        more = {} if rule in ("SGD momentum", "Rprop", "ASGD") else {"eps": 1e-3}
        _, last, state = trajectory(torch, rule, dtype, 5, SHAPES[:3], **more)
        return [p.float() for p in last], list(state["state"][0])

    parity(script, rtol=4 * resolution)


def halve_rate(torch, optimizer, i):
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * 0.9


def move_betas(torch, optimizer, i):
    for group in optimizer.param_groups:
        group["betas"] = (0.5 + 0.4 * (i % 7) / 7, 0.99)


def write_rate(torch, optimizer, i):
    optimizer.param_groups[0]["lr"].mul_(0.9)


@pytest.mark.parity
@pytest.mark.parametrize(
    "rule",
    ["SGD", "SGD momentum", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam",
     "RAdam", "Rprop", "ASGD mean"],
)  # fmt: skip
def test_options_that_change_between_steps(parity, rule):
    parity(lambda torch: trajectory(torch, rule, shapes=SHAPES[:3], change=halve_rate), rtol=1e-5)
    rate = lambda torch: torch.tensor(0.05)
    parity(
        lambda torch: trajectory(torch, rule, shapes=SHAPES[:3], change=write_rate, lr=rate(torch)),
        rtol=1e-5,
    )
    if "Adam" in rule:
        parity(lambda torch: trajectory(torch, rule, change=move_betas), rtol=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("rule", [
    "SGD dampening", "Adam amsgrad", "AdamW", "RMSprop both", "NAdam", "Rprop", "ASGD mean",
])  # fmt: skip
def test_state_dicts_exchange(rule):
    """A run that goes on under the other library ends with the same parameters."""
    torch = pytest.importorskip("torch")

    def carried(state, into):
        if isinstance(state, dict):
            return {k: carried(v, into) for k, v in state.items()}
        if hasattr(state, "detach"):
            return into.from_numpy(state.detach().numpy().copy())
        return state

    def run(first, second):
        kind, options = RULES[rule]
        draw = np.random.default_rng(0)
        values = [draw.standard_normal(shape).astype("f4") for shape in SHAPES]
        state = None
        for library in (first, second):
            params = [library.from_numpy(v.copy()).requires_grad_() for v in values]
            optimizer = getattr(library.optim, kind)(params, **options)
            if state is not None:
                optimizer.load_state_dict(carried(state, library))
            for _ in range(5):
                for p in params:
                    p.grad = library.from_numpy(draw.standard_normal(p.shape).astype("f4"))
                optimizer.step()
            state = optimizer.state_dict()
            values = [p.detach().numpy() for p in params]
        return values

    expected = run(torch, torch)
    for pair in (rushlight, torch), (torch, rushlight), (rushlight, rushlight):
        for ours, theirs in zip(run(*pair), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_fifty_steps_arrive_where_recorded(rule):
    recorded = pathlib.Path(__file__).parents[1] / "golden" / "optim.json"
    expected = json.loads(recorded.read_text())["rules"][rule]
    arrived = trajectory(rushlight, rule, "float64", shapes=[(3,)])[1][0]
    assert arrived.tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_a_step_by_hand(rule):
    """The first step of each rule, from its definition, in float64."""
    kind, options = RULES[rule]
    w, g = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -4.0])
    p = rushlight.from_numpy(w.copy()).requires_grad_()
    p.grad = rushlight.from_numpy(g.copy())
    optimizer = getattr(rushlight.optim, kind)([p], **options)
    optimizer.step()
    o = optimizer.param_groups[0]
    g = -g if o["maximize"] else g
    decoupled = o.get("decoupled_weight_decay")
    if decoupled:
        w = w * (1 - o["lr"] * o["weight_decay"])
    else:
        g = g + o.get("weight_decay", 0) * w
    if kind == "SGD":
        step = g * (1 + o["momentum"]) if o["nesterov"] else g
    elif kind == "RMSprop":
        alpha = o["alpha"]
        square = (1 - alpha) * g**2 - (((1 - alpha) * g) ** 2 if o["centered"] else 0)
        step = g / (np.sqrt(square) + o["eps"])
    elif kind == "Adagrad":
        step = g / (np.sqrt(o["initial_accumulator_value"] + g**2) + o["eps"])
    elif kind == "Adadelta":
        step = np.sqrt(o["eps"]) / np.sqrt((1 - o["rho"]) * g**2 + o["eps"]) * g
    elif kind == "NAdam":
        beta, decay = o["betas"][0], o["momentum_decay"]
        now, then = (beta * (1 - 0.5 * 0.96 ** (i * decay)) for i in (1, 2))
        kept = float(np.float32(now))  # in single precision
        mean = then * (1 - beta) * g / (1 - kept * then)
        step = (g * (1 - now) / (1 - kept) + mean) / (np.abs(g) + o["eps"])
    elif kind == "RAdam":
        step = g
    elif kind == "Rprop":
        step = np.sign(g)
    elif kind == "ASGD":
        rate = float(np.float32(o["lr"]))  # likewise
        step = (g * rate + o["lambd"] * rate * w) / o["lr"]
    else:
        step = g / (np.abs(g) + o["eps"])
    np.testing.assert_allclose(p.detach().numpy(), w - o["lr"] * step, rtol=1e-12)
