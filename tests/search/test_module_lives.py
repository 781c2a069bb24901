"""The life of a module: what is registered, hooked, moved, copied and loaded; as in PyTorch."""

import copy
import io

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, close, search

torch = pytest.importorskip("torch")


EVENTS = table("""
m.a = nn.Linear(3, 3) | m.a = m.b | m.c = nn.ModuleList([m.a, nn.ReLU()]) | del m.a | m.a = None | m.w = nn.Parameter(T.ones(3))
m.w = None | m.w = T.ones(3) | m.register_parameter("w", None) | m.register_buffer("n", T.zeros(2)) | m.n = T.ones(2)
m.register_buffer("n", T.zeros(2), persistent=False) | m.register_buffer("k", None) | m.k = 3 | m.n = None | del m.n
m.add_module("d", nn.BatchNorm1d(3)) | m.c.append(nn.Tanh()) | m.c.insert(0, nn.Linear(3, 3)) | m.c.pop(0) | m.c[0] = nn.GELU()
m.c.extend([nn.Linear(3, 3)]) | m.e["x"] = nn.Linear(3, 3) | m.e.pop("x") | m.e.update({"y": nn.ReLU()}) | m.e.clear()
m.p.append(nn.Parameter(T.zeros(1))) | m.p[0] = nn.Parameter(T.ones(2)) | m.q["z"] = nn.Parameter(T.ones(1)) | m.q.pop("z")
m.b.weight = nn.Parameter(m.b.weight * 2) | m.b.bias = None | m.b.weight = m.w | m.b.bias.requires_grad_(False)
m.eval() | m.train() | m.b.train(False) | m.double() | m.float() | m.half(); m.float() | m.to(T.float64) | m.requires_grad_(False)
m.requires_grad_(True) | m.zero_grad() | m.zero_grad(set_to_none=False) | m.apply(lambda x: seen.append(type(x).__name__))
h.append(m.register_forward_hook(lambda mod, i, o: o * 2)) | h.append(m.b.register_forward_pre_hook(lambda mod, i: (i[0] + 1,)))
h.append(m.register_forward_hook(lambda mod, i, o: seen.append("late"), prepend=True)) | h.pop().remove() | h.pop(0).remove()
h.append(m.b.register_forward_hook(lambda mod, i, o: seen.append(o.dtype == T.float32), always_call=True))
h.append(m.register_full_backward_hook(lambda mod, gi, go: seen.append((len(gi), len(go)))))
h.append(m.b.register_full_backward_hook(lambda mod, gi, go: tuple(None if g is None else g * 3 for g in gi)))
h.append(m.b.register_full_backward_pre_hook(lambda mod, go: (go[0] * 2,)))
h.append(m.register_forward_pre_hook(lambda mod, i, k: (i, k), with_kwargs=True))
h.append(m.register_state_dict_pre_hook(lambda mod, p, k: seen.append(p)))
h.append(m._register_state_dict_hook(lambda mod, d, p, l: d.__setitem__(p + "more", T.ones(1))))
h.append(m.register_load_state_dict_post_hook(lambda mod, keys: keys.missing_keys.clear()))
h.append(m.register_load_state_dict_pre_hook(lambda mod, d, *a: d.pop("w", None)))
kept = m.state_dict() | kept = copy.deepcopy(m.state_dict()) | seen.append(str(m.load_state_dict(kept, strict=False))[:60])
m.load_state_dict(kept) | m.load_state_dict(copy.deepcopy(kept), assign=True) | m = copy.deepcopy(m) | reload() | m.b.reset_parameters; None
seen.append([n for n, _ in m.named_parameters(remove_duplicate=False)]) | seen.append([n for n, _ in m.named_children()])
seen.append([n for n, _ in m.named_modules(remove_duplicate=False)]) | seen.append(len(list(m.children())))
seen.append(hasattr(m, "a")) | seen.append(type(m.w).__name__) | seen.append(m.get_submodule("b") is m.b) | seen.append(m.get_parameter("w").shape)
seen.append(sorted(m.__dict__)) | seen.append(len(m.c)) | seen.append(list(m.e.keys())) | seen.append(repr(m.p))
seen.append(m.get_buffer("n").tolist()) | seen.append("b" in m._modules) | m.set_submodule("b", nn.Linear(3, 3)) | seen.append(m.extra_repr())
run() | run() | run() | step() | nn.utils.parametrize.register_parametrization(m.b, "weight", Twice()) | nn.utils.parametrize.remove_parametrizations(m.b, "weight")
nn.utils.parametrizations.weight_norm(m.b) | m.b = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)) | m.share_memory() | m.b.__class__ = nn.Linear
nn.utils.clip_grad_norm_(m.parameters(), 0.5) | seen.append(sum(x.numel() for x in m.parameters())) | m.type(T.float64)
nn.utils.vector_to_parameters(T.arange(float(sum(x.numel() for x in m.parameters()))) / 9, m.parameters()) | m.b.bias.data.fill_(0.5)
T.func.functional_call(m, {"w": T.zeros(3)}, (T.ones(2, 3),)) | nn.init.constant_(m.b.weight, 0.3)
""")


class Life:
    """The names that events use, in one framework."""

    def __init__(self, framework):
        T, nn = framework, framework.nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.b = nn.Linear(3, 3)
                self.c = nn.ModuleList([nn.Linear(3, 3)])
                self.e = nn.ModuleDict({"x": nn.ReLU()})
                self.p, self.q = nn.ParameterList([nn.Parameter(T.ones(1))]), nn.ParameterDict()
                self.w = nn.Parameter(T.ones(3))
                self.register_buffer("n", T.zeros(2))

            def forward(self, x):
                x = self.b(x)
                for layer in self.c:
                    x = layer(x)
                return x if self.w is None else x * self.w

        class Twice(nn.Module):
            def forward(self, x):
                return x * 2

        Net.__qualname__ = "Net"
        self.T = T
        self.names = {
            "T": T, "nn": nn, "m": Net(), "h": [], "seen": [], "kept": {}, "copy": copy, "run": self.run,
            "step": self.step, "reload": self.reload, "Twice": Twice, "fill": self.fill,
        }  # fmt: skip
        self.fill()

    def fill(self):
        with self.T.no_grad():
            for x in [*self.names["m"].parameters(), *self.names["m"].buffers()]:
                n = self.T.arange(x.numel(), dtype=self.T.float64).reshape(x.shape)
                x.copy_((n * 7 % 11 - 5) / 8)

    def run(self):
        first = next(self.names["m"].parameters(), self.T.ones(1))
        x = (self.T.arange(6, dtype=first.dtype).reshape(2, 3) - 2).requires_grad_()
        y = self.names["m"](x)
        y.sum().backward()
        self.names["seen"].append((y.detach().double().tolist(), x.grad.double().tolist()))

    def step(self):
        with self.T.no_grad():
            for x in self.names["m"].parameters():
                if x.grad is not None:
                    x.sub_(x.grad / 8)

    def spoils_weight(self):
        """Whether PyTorch cannot compute it, or leaves it out of the parameters, where frozen."""
        try:
            return not self.names["m"].b.weight.requires_grad
        except (AttributeError, TypeError):
            return True

    def reload(self):
        file = io.BytesIO()
        self.T.save(self.names["m"].state_dict(), file)
        file.seek(0)
        self.names["m"].load_state_dict(self.T.load(file))

    def happen(self, event):
        self.T.manual_seed(0)
        return attempt(event, self.names)

    def look(self):
        m = self.names["m"]
        found = {
            "seen": self.names["seen"],
            "text": repr(m),
            "training": [x.training for x in m.modules()],
        }
        values = lambda t: (t.requires_grad, str(t.dtype), t.detach().double().tolist())
        for kind in ("named_parameters", "named_buffers"):
            found[kind] = [
                (n, values(t), None if t.grad is None else values(t.grad))
                for n, t in getattr(m, kind)()
            ]
        hooks = self.names["seen"][:]
        found["state"] = [(n, values(t)) for n, t in m.state_dict().items() if hasattr(t, "dtype")]
        self.names["seen"][:] = hooks
        return found


def difference(_, events):
    """The first event after which the frameworks differ, and how; or None."""
    ours, theirs = Life(rushlight), Life(torch)
    for event in events:
        if "remove_param" in event:
            # Both look: a look may be a step of a parametrization.
            spoilt = [life.spoils_weight() for life in (ours, theirs)]
            if spoilt[1]:
                return None
        a, b = ours.happen(event), theirs.happen(event)
        if (a is None) != (b is None):
            return event, a, b
        a, b = ours.look(), theirs.look()
        for name, x in a.items():
            if not close(x, b[name], 1e-4):
                return event, name, x, b[name]
    return None


def draw(choose):
    return None, choose.choices(EVENTS, k=choose.randint(2, 14))


def test_some_lives():
    search(draw, difference, 60, 7)


@pytest.mark.search
def test_many_lives():
    search(draw, difference, 3000, SEED)
