"""Modes entered and left in any order, gradient scalers, and what is computed meanwhile; as in PyTorch."""

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, close, search

torch = pytest.importorskip("torch")


#: Regions that the events may enter; what is entered last is left first.
REGIONS = table("""
T.no_grad() | T.enable_grad() | T.inference_mode() | T.inference_mode(False) | T.set_grad_enabled(False) | T.set_grad_enabled(True)
T.autocast("cpu", dtype=T.bfloat16) | T.autocast("cpu", enabled=False) | T.autocast("cpu", dtype=T.float16) | T.amp.autocast("cpu")
T.autograd.graph.saved_tensors_hooks(lambda t: t * 1, lambda t: t) | T.autograd.detect_anomaly()
T.autograd.set_detect_anomaly(True) | T.random.fork_rng(devices=[]) | T.autograd.graph.save_on_cpu() | T.autograd.set_multithreading_enabled(False)
""")
EVENTS = table("""
y = x * w | y = x @ m | y = (x @ m).relu() | y = y + x | y = nn(x) | y = y.float() * 2 | y = T.ones(3) | y = x[:2] | y = y.clone().detach()
y.sum().backward() | y.float().sum().backward(retain_graph=True) | y.sum().backward(create_graph=True) | x.grad = w.grad = None
T.set_grad_enabled(False) | T.set_grad_enabled(True) | T.set_default_dtype(T.float64) | T.set_default_dtype(T.float32)
seen.append(T.is_grad_enabled()) | seen.append(T.is_inference_mode_enabled()) | seen.append(T.is_autocast_enabled("cpu"))
seen.append(str(T.get_autocast_dtype("cpu"))) | seen.append(T.is_anomaly_enabled()) | seen.append(T.rand(1).item()) | T.manual_seed(3)
seen.append(y.is_inference()) | w.add_(1) | y.mul_(2) | y = T.linspace(0, 1, 3) | seen.append(str(T.get_default_dtype())) | y = y.clone()
o.step() | o.zero_grad() | g.scale(y.float().sum()).backward() | g.unscale_(o) | g.step(o) | g.update() | g.update(8.0) | seen.append(g.get_scale())
x.grad = T.full((3,), float("inf")) | x.grad = T.full((3,), 2.0) | g.load_state_dict(g.state_dict()) | seen.append(g.is_enabled())
y = decorated(x) | y = inferred(x) | y = T.nn.functional.softmax(y.float(), 0) | y = T.cat([x, y.reshape(-1)]) | y = T.stack([x, w])
y = T.utils.checkpoint.checkpoint(lambda a: (a @ m).tanh(), x, use_reentrant=False) | y = x if T.is_inference_mode_enabled() else F.apply(x) | w.requires_grad_(False)
w.requires_grad_() | generate() | seen.append(T.result_type(y, 1.0) == T.get_default_dtype()) | y = T.tensor([1.0, 2.0, 3.0]) | y = x.to(y.dtype)
""")


class Life:
    """The names that events use, in one framework."""

    def __init__(self, framework):
        T = self.T = framework
        import importlib

        importlib.import_module(f"{T.__name__}.utils.checkpoint")
        T.manual_seed(0)
        x, w = (T.tensor(n, requires_grad=True) for n in ([1.0, -2.0, 0.5], [0.5, 4.0, -1.0]))
        o = T.optim.SGD([x, w], lr=0.1, momentum=0.5)

        class F(T.autograd.Function):
            @staticmethod
            def forward(ctx, a):
                ctx.save_for_backward(a)
                self.names["seen"].append(T.is_grad_enabled())
                return a * 3

            @staticmethod
            def backward(ctx, g):
                self.names["seen"].append(T.is_grad_enabled())
                return g * ctx.saved_tensors[0]

        def generate():
            @T.no_grad()
            def numbers():
                yield T.is_grad_enabled()
                yield T.is_grad_enabled()

            for found in numbers():
                self.names["seen"].append((found, T.is_grad_enabled()))

        self.names = {
            "T": T, "x": x, "w": w, "y": x * 2, "m": (T.arange(9.0).reshape(3, 3) - 4) / 4, "o": o,
            "g": T.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2), "seen": [], "F": F,
            "nn": T.nn.Linear(3, 2), "decorated": T.no_grad()(lambda a: a * 2), "generate": generate,
            "inferred": T.inference_mode()(lambda a: a * 2),
        }  # fmt: skip
        self.inside = []

    def happen(self, event):
        try:
            if event == "leave":
                if self.inside:
                    self.inside.pop().__exit__(None, None, None)
            elif event in REGIONS:
                region = eval(event, self.names)
                region.__enter__()
                self.inside.append(region)
            else:
                return attempt(event, self.names)
        except Exception as error:
            return error
        return None

    def look(self):
        found = [self.names["seen"]]
        for name in "xwy":
            t = self.names[name]
            grad = t.grad if t.is_leaf else None
            grad = None if grad is None else (str(grad.dtype), values(grad))
            found.append((t.requires_grad, t.is_leaf, str(t.dtype), values(t), grad))
        return found

    def end(self):
        while self.inside:
            self.inside.pop().__exit__(None, None, None)
        self.T.set_grad_enabled(True)
        self.T.set_default_dtype(self.T.float32)
        self.T.autograd.set_detect_anomaly(False)


def values(t):
    return t.detach().double().reshape(-1).tolist()


#: Events that write to the parameters.
WRITES = "o.step()", "g.step(o)", "w.add_(1)"


def difference(_, events):
    """The first event after which the frameworks differ, and how; or None."""
    ours, theirs, anew = Life(rushlight), Life(torch), False
    rel = 0.02 if any("autocast" in event for event in events) else 1e-5
    try:
        for event in events:
            a, b = ours.happen(event), theirs.happen(event)
            regions = [r for r in theirs.inside if isinstance(r, torch.autocast) and r._enabled]
            if len({r.fast_dtype for r in regions}) > 1:
                return None  # in the inner one, PyTorch takes casts of the outer one, in its dtype
            anew = bool(regions) and (anew or "checkpoint" in event)
            if anew and event in WRITES:
                return None  # the function of our checkpoint casts parameters anew
            if (a is None) != (b is None):
                return event, a, b
            if a is not None:
                return None
            y = theirs.names["y"]
            if y.is_leaf and y._is_view() and y.requires_grad:
                return None  # a view from a region without gradients, which PyTorch has half
            a, b = ours.look(), theirs.look()
            if not close(a, b, rel):
                return event, a, b
    finally:
        ours.end()
        theirs.end()
    return None


def draw(choose):
    kinds = choose.choices(["enter", "leave", "event"], [2, 1, 5], k=choose.randint(2, 14))
    tables = {"enter": REGIONS, "leave": ["leave"], "event": EVENTS}
    return None, [choose.choice(tables[kind]) for kind in kinds]


def test_some_lives():
    search(draw, difference, 60, 7)


@pytest.mark.search
def test_many_lives():
    search(draw, difference, 5000, SEED)
