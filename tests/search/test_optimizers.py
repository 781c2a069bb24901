"""The life of an optimizer and its schedulers: random options, events between steps; as in PyTorch."""

import copy
import io

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, close, search

torch = pytest.importorskip("torch")


#: Options and values that each may take; one optimizer in a line.
OPTIMIZERS = {
    "SGD": "momentum=0.9 dampening=0.3 weight_decay=0.1 nesterov=True maximize=True",
    "Adam": "betas=(0.5,0.9) eps=1e-3 weight_decay=0.1 amsgrad=True maximize=True decoupled_weight_decay=True",
    "AdamW": "betas=(0.5,0.9) eps=1e-3 weight_decay=0.1 amsgrad=True maximize=True",
    "Adagrad": "lr_decay=0.1 weight_decay=0.1 initial_accumulator_value=0.5 eps=1e-3 maximize=True",
    "Adadelta": "rho=0.5 eps=1e-3 weight_decay=0.1 maximize=True",
    "Adamax": "betas=(0.5,0.9) eps=1e-3 weight_decay=0.1 maximize=True",
    "ASGD": "lambd=0.01 alpha=0.5 t0=2 weight_decay=0.1 maximize=True",
    "NAdam": "betas=(0.5,0.9) eps=1e-3 weight_decay=0.1 momentum_decay=0.1 decoupled_weight_decay=True maximize=True",
    "RAdam": "betas=(0.5,0.9) eps=1e-3 weight_decay=0.1 decoupled_weight_decay=True maximize=True",
    "RMSprop": "alpha=0.5 eps=1e-3 weight_decay=0.1 momentum=0.9 centered=True maximize=True",
    "Rprop": "etas=(0.3,1.5) step_sizes=(1e-4,1.0) maximize=True",
    "Adafactor": "beta2_decay=-0.5 eps=(1e-6,1e-2) d=0.5 weight_decay=0.1 maximize=True",
}  # fmt: skip
SCHEDULERS = table("""
StepLR(o, 2, 0.5) | MultiStepLR(o, [1, 3, 3], 0.3) | ConstantLR(o, 0.5, 3) | LinearLR(o, 0.2, 1.0, 4)
ExponentialLR(o, 0.8) | CosineAnnealingLR(o, 4, 0.01) | LambdaLR(o, lambda n: 1 / (1 + n)) | PolynomialLR(o, 5, 2.0)
CosineAnnealingWarmRestarts(o, 2, 2) | MultiplicativeLR(o, lambda n: 0.9) | CyclicLR(o, 0.01, 0.1, 2, cycle_momentum=False)
OneCycleLR(o, 0.2, total_steps=60, cycle_momentum=False) | SequentialLR(o, [ConstantLR(o, 0.1, 2), ExponentialLR(o, 0.9)], [2])
ChainedScheduler([LinearLR(o, 0.5), ExponentialLR(o, 0.9)], o) | ReduceLROnPlateau(o, patience=0, factor=0.5)
""")
EVENTS = table("""
step() | step() | step() | step() | step() | advance() | advance()
grads(0) | grads(1) | grads(2) | p[0].grad = None | p[-1].grad = None | o.zero_grad() | o.zero_grad(set_to_none=False)
o.param_groups[0]["lr"] = 0.07 | o.param_groups[-1]["weight_decay"] = 0.05 | o.param_groups[0]["maximize"] = True
reload(o) | p[0].requires_grad_(False) | p[0].requires_grad_(True) | p[1].data = p[1].data * 2 | o.state.clear()
p[0].grad = p[0].grad * 0 | o.add_param_group(new()) | o.step(lambda: (p[1] ** 2).sum()) | o.state.pop(p[0], None)
with T.no_grad(): p[1].mul_(0.5) | s.load_state_dict(copy.deepcopy(s.state_dict())) | o = copy.deepcopy(o)
load_older(o)
""")


def _numbers(x):
    """The elements as a list; a complex number is two of them."""
    pairs = x.is_complex()
    return [float(n) for z in x.reshape(-1).tolist() for n in ((z.real, z.imag) if pairs else (z,))]


class Life:
    """The names that events use, in one framework."""

    def __init__(self, framework, optimizer, options, scheduler, double, groups, complex_one):
        T = self.T = framework
        dtype = T.float64 if double else T.float32
        numbers = [[0.5, -1.0, 2.0], [[1.0, -0.5], [0.25, 3.0]], [-0.75]]
        self.p = p = [T.tensor(n, dtype=dtype, requires_grad=True) for n in numbers]
        if complex_one:
            p[2] = T.tensor([1.0 - 0.5j], dtype=dtype.to_complex(), requires_grad=True)
        given = [{"params": p[:1], "lr": 0.03}, {"params": p[1:]}] if groups else p
        make = getattr(T.optim, optimizer)
        names = vars(T.optim.lr_scheduler) | {"lr": 0.05}
        o = make(given, lr=0.05, **eval(f"dict({', '.join(options)})"))
        s = eval(scheduler, names | {"o": o})
        self.names = {
            "T": T, "p": p, "o": o, "s": s, "copy": copy, "step": self.step, "new": self.new,
            "advance": self.advance, "grads": self.grads, "reload": self.reload,
            "load_older": self.load_older,
        }  # fmt: skip
        self.grads(0)

    def step(self):
        self.names["o"].step()

    def advance(self):
        s = self.names["s"]
        s.step(1.0) if "Plateau" in type(s).__name__ else s.step()

    def grads(self, k):
        for i, x in enumerate(self.p):
            places = self.T.arange(x.numel(), dtype=self.T.float64).reshape(x.shape)
            x.grad = ((places - k) / (i + 2)).to(x.dtype)

    def new(self):
        self.p.append(self.T.tensor([1.0, 2.0], dtype=self.p[0].dtype, requires_grad=True))
        return {"params": self.p[-1:], "lr": 0.02}

    def reload(self, o):
        file = io.BytesIO()
        self.T.save(o.state_dict(), file)
        file.seek(0)
        o.load_state_dict(self.T.load(file))

    def load_older(self, o):
        kept = copy.deepcopy(o.state_dict())
        o.step()
        o.load_state_dict(kept)

    def run(self, event):
        return attempt(event, self.names)

    def look(self):
        o, s, found = self.names["o"], self.names["s"], {}
        for i, x in enumerate(self.p):
            found[f"p{i}"] = _numbers(x.detach())
        kept = o.state_dict()
        for k, own in kept["state"].items():
            for n, x in own.items():
                found[f"state {k} {n}"] = _numbers(x) if hasattr(x, "reshape") else [x]
        for k, group in enumerate(kept["param_groups"]):
            for n, x in group.items():
                if isinstance(x, (int, float)) and n != "fused":
                    found[f"group {k} {n}"] = [float(x)]
        if hasattr(s, "_last_lr"):
            found["rates"] = [float(x) for x in s._last_lr]
        return found


def case(choose):
    optimizer = choose.choice([*OPTIMIZERS])
    options = [x for x in OPTIMIZERS[optimizer].split() if x[:4] == "eps=" or choose.random() < 0.4]
    make = (
        optimizer,
        options,
        choose.choice(SCHEDULERS),
        choose.random() < 0.5,
        choose.random() < 0.3,
        choose.random() < 0.3 and optimizer != "Adafactor",
    )
    return make, choose.choices(EVENTS, k=choose.randint(3, 16))


def difference(make, events):
    """The first event after which the frameworks differ, and how; or None."""
    try:
        theirs = Life(torch, *make)
    except ValueError:
        return None
    ours = Life(rushlight, *make)
    for event in events:
        a, b = ours.run(event), theirs.run(event)
        if (a is None) != (b is None):
            return event, a, b
        if a is not None:
            return None
        a, b = ours.look(), theirs.look()
        if not close(a, b, 1e-7 if make[3] else 2e-5):  # some numbers are kept in float32
            return event, a, b
    return None


def test_some_lives():
    search(case, difference, 60, 7)


@pytest.mark.search
def test_many_lives():
    search(case, difference, 5000, SEED)
