"""Modules, optimizers, averages and checkpoints as one machine of random events; as in PyTorch."""

import copy
import pickle

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, close, search

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")
pytest.importorskip("torch.optim.swa_utils")

EVENTS = table("""
step() | step() | step() | train() | m.b.weight = m.a.weight | m.a.weight = m.b.weight | m.b.bias = m.a.bias | m.c = m.a | m.a.bias = None | m.a.register_parameter("bias", None)
m.a = nn.Linear(2, 2); fill() | del m.b.bias; m.b.bias = nn.Parameter(T.ones(2)) | m.requires_grad_(False) | m.a.requires_grad_(True) | m.requires_grad_(True) | m.eval() | m.train()
P.register_parametrization(m.a, "weight", Scale()) | P.remove_parametrizations(m.a, "weight") | P.remove_parametrizations(m.a, "weight", leave_parametrized=False) | P.register_parametrization(m.a, "weight", Sym()) | P.register_parametrization(m.b, "weight", Scale(), unsafe=True)
m.a.weight = nn.Parameter(T.eye(2) * 3) | m.a.weight = T.eye(2) * 3 | with P.cached(): seen.append((m.a.weight is m.a.weight)) | seen.append(P.is_parametrized(m)) | nn.utils.weight_norm(m.a) | nn.utils.remove_weight_norm(m.a) | U.weight_norm(m.b) | U.orthogonal(m.a)
nn.utils.spectral_norm(m.b) | U.spectral_norm(m.b) | nn.utils.remove_spectral_norm(m.b) | prune.l1_unstructured(m.a, "weight", 1) | prune.l1_unstructured(m.a, "weight", 0.5) | prune.remove(m.a, "weight") | prune.random_unstructured(m.b, "weight", 0.5) | prune.ln_structured(m.a, "weight", 0.5, n=2, dim=0)
prune.custom_from_mask(m.b, "bias", T.tensor([1, 0])) | prune.identity(m.a, "weight") | prune.global_unstructured([(m.a, "weight"), (m.b, "weight")], prune.L1Unstructured, amount=2) | seen.append(prune.is_pruned(m))
o = T.optim.SGD(m.parameters(), lr=.1, momentum=.9) | o = T.optim.Adam(m.parameters(), lr=.1) | o = T.optim.AdamW([{"params": [*m.a.parameters()], "lr": .2}, {"params": [*m.b.parameters()]}], lr=.1) | o = T.optim.RMSprop(m.parameters(), lr=.01) | o = T.optim.Adagrad(m.parameters(), lr=.1)
o.add_param_group({"params": [m.w]}) | o.add_param_group({"params": list(m.d.parameters()), "lr": .5}) | o.add_param_group({"params": m.extra}) | o.param_groups[0]["lr"] *= .5 | o.param_groups[-1]["weight_decay"] = .1 | o.zero_grad() | o.zero_grad(set_to_none=False)
kept = o.state_dict() | kept = copy.deepcopy(o.state_dict()) | o.load_state_dict(kept) | o.state.clear() | seen.append(sorted(o.state_dict()["state"])) | o = copy.deepcopy(o) | m, o = copy.deepcopy((m, o)) | m, o = pickled((m, o)) | o = pickled(o)
s = T.optim.lr_scheduler.StepLR(o, 2, .5) | s = T.optim.lr_scheduler.ExponentialLR(o, .9) | s = T.optim.lr_scheduler.OneCycleLR(o, .3, total_steps=6) | s = T.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 2) | s = T.optim.lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + e)) | s = T.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0)
s = T.optim.lr_scheduler.ChainedScheduler([T.optim.lr_scheduler.ConstantLR(o, .5, 2), T.optim.lr_scheduler.ExponentialLR(o, .9)]) | s = T.optim.lr_scheduler.SequentialLR(o, [T.optim.lr_scheduler.ConstantLR(o, .5, 2), T.optim.lr_scheduler.ExponentialLR(o, .9)], [2]) | s.step() | s.step() | s.step(1.0) | ks = copy.deepcopy(s.state_dict()) | s.load_state_dict(ks) | seen.append(s.get_last_lr())
e = T.optim.swa_utils.AveragedModel(m) | e = T.optim.swa_utils.AveragedModel(m, multi_avg_fn=T.optim.swa_utils.get_ema_multi_avg_fn(.9)) | e = T.optim.swa_utils.AveragedModel(m, use_buffers=True) | e.update_parameters(m) | e.update_parameters(m) | s = T.optim.swa_utils.SWALR(o, .05, anneal_epochs=2) | T.optim.swa_utils.update_bn([T.ones(3, 2), T.zeros(2, 2)], m) | seen.append(e(T.ones(2, 2)).tolist())
k2 = m.state_dict() | k2 = copy.deepcopy(m.state_dict()) | m.load_state_dict(k2) | m.load_state_dict(k2, assign=True) | seen.append(str(m.load_state_dict(k2, strict=False))) | m.load_state_dict({k: v for k, v in k2.items() if "a." in k}, strict=False) | k2 = {k: v * 2 for k, v in k2.items()} | k2 = m.state_dict(keep_vars=True) | k2 = m.state_dict(prefix="p.")
m.double() | m.float() | m.to(T.bfloat16).float() | m.half().float() | m.share_memory() | m.a.to(T.float64) | m.type(T.float32)
m.register_buffer("n", T.ones(2)) | m.register_buffer("n", T.ones(2), persistent=False) | m.n = T.zeros(2) | m.n.add_(1) | del m.n | m.bn = nn.BatchNorm1d(2, momentum=None) | m.bn = nn.BatchNorm1d(2, track_running_stats=False) | m.bn.reset_running_stats() | m.bn.momentum = .5 | m.bn.running_mean = None
h.append(m.a.register_forward_hook(lambda mod, i, out: seen.append(mod.training), always_call=True)) | h.append(m.register_forward_hook(lambda mod, a, k, out: out * 2, with_kwargs=True)) | h.append(m.b.register_forward_pre_hook(lambda mod, a, k: ((a[0] * 2,), k), with_kwargs=True, prepend=True)) | h.append(m.a.register_full_backward_hook(lambda mod, gi, go: seen.append(go[0].tolist()))) | h.pop().remove()
h.append(m.register_state_dict_post_hook(lambda mod, d, p, l: seen.append(len(d)))) | h.append(m.register_load_state_dict_post_hook(lambda mod, k: seen.append(len(k.missing_keys)))) | h.append(m.a.register_load_state_dict_pre_hook(lambda mod, d, p, *r: seen.append(p))) | h.append(o.register_step_post_hook(lambda *a: seen.append("post"))) | h.append(o.register_state_dict_post_hook(lambda o, d: seen.append(sorted(d))))
seen.append(F.functional_call(m, {"a.weight": T.zeros(2, 2)}, (T.ones(2, 2),)).tolist()) | seen.append(F.functional_call(m, {"w": T.zeros(2)}, (T.ones(2, 2),), tie_weights=False).tolist()) | seen.append(F.functional_call(m, dict(m.named_parameters()), (T.ones(2, 2),), strict=True).tolist()) | seen.append(F.functional_call(m, ({"b.weight": T.ones(2, 2)}, {"w": T.ones(2)}), T.ones(2, 2)).tolist())
seen.append(F.functional_call(m, {"a.bias": T.ones(2), "b.bias": T.zeros(2)}, (T.ones(2, 2),)).tolist())
nn.utils.clip_grad_norm_(m.parameters(), .1) | m.zero_grad() | m.a.weight.grad = None | m.a.weight.data.mul_(2) | with T.no_grad(): m.a.weight.copy_(m.b.weight) | m.w = nn.Parameter(m.w.detach()) | m.w = None | m.extra = nn.Parameter(T.ones(2)) | m.w.register_hook(lambda g: g * 2) | m.w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
m.compile() | seen.append([k for k, _ in m.named_parameters(remove_duplicate=False)]) | m.d = nn.Sequential(m.a, nn.ReLU(), m.b) | m.d = nn.ModuleDict({"x": m.a}) | m.d.pop("x") | m.d = nn.Dropout(0.) | m.apply(lambda q: seen.append(type(q).__name__[:3])) | m.a.reset_parameters; fill() | nn.init.eye_(m.a.weight) | m.a.extra_state = 1
""")


class Life:
    def __init__(self, framework):
        T, nn = framework, framework.nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.d = nn.Linear(2, 2), nn.Linear(2, 2), nn.Tanh()
                self.bn = nn.BatchNorm1d(2)
                self.w = nn.Parameter(T.ones(2))

            def forward(self, x):
                x = self.b(self.bn(self.a(x).tanh()))
                return x if self.w is None else x * self.w

        class Scale(nn.Module):
            def forward(self, x):
                return x * 2

            def right_inverse(self, x):
                return x / 2

        class Sym(nn.Module):
            def forward(self, x):
                return x.triu() + x.triu(1).mT

        Net.__qualname__ = "Net"
        globals()["Net_" + T.__name__] = Net
        Net.__qualname__ = Net.__name__ = "Net_" + T.__name__
        Net.__module__ = __name__
        self.T = T
        m = Net()
        self.names = {
            "T": T, "nn": nn, "m": m, "h": [], "seen": [], "kept": {}, "k2": {}, "copy": copy, "step": self.step, "train": self.train,
            "fill": self.fill, "Scale": Scale, "Sym": Sym, "P": nn.utils.parametrize, "U": nn.utils.parametrizations, "prune": nn.utils.prune,
            "F": T.func, "pickled": lambda x: pickle.loads(pickle.dumps(x)), "e": None, "s": None, "ks": {},
        }  # fmt: skip
        self.fill()
        self.names["k2"] = copy.deepcopy(m.state_dict())
        self.names["o"] = T.optim.SGD(m.parameters(), lr=0.1, momentum=0.5)

    def fill(self):
        with self.T.no_grad():
            for x in self.names["m"].parameters():
                n = self.T.arange(x.numel(), dtype=self.T.float64).reshape(x.shape)
                x.copy_((n * 7 % 11 - 4.5) / 8)

    def data(self):
        first = next(self.names["m"].parameters(), self.T.ones(1))
        return (self.T.arange(6, dtype=first.dtype).reshape(3, 2) * 1.7).sin()

    def step(self):
        m, o = self.names["m"], self.names["o"]
        o.zero_grad()
        loss = (m(self.data()) ** 2).sum() + m.a.weight.sum()
        if loss.requires_grad:
            loss.backward()
        o.step()

    def train(self):
        m = self.names["m"]
        y = m(self.data())
        self.names["seen"].append(y.detach().double().tolist())
        if y.requires_grad:
            (y**3).sum().backward()

    def happen(self, event):
        self.T.manual_seed(0)
        return attempt(event, self.names)

    def look(self):
        m, o, e = self.names["m"], self.names["o"], self.names["e"]
        value = lambda t: (
            "meta"
            if t.device.type == "meta"
            else (t.requires_grad, str(t.dtype)[-8:], t.detach().double().tolist())
        )
        found = {
            "seen": self.names["seen"][:],
            "training": [x.training for x in m.modules()],
            "text": repr(m).replace("_rushlight", "").replace("_torch", ""),
        }
        for kind in ("named_parameters", "named_buffers"):
            found[kind] = [
                (n, value(t), t.is_leaf, None if t.grad is None else value(t.grad))
                for n, t in getattr(m, kind)()
            ]
        hooks = self.names["seen"][:]
        found["state"] = list(m.state_dict())
        found["groups"] = [
            {
                k: v
                for k, v in g.items()
                if k != "params" and k in ("lr", "initial_lr", "weight_decay", "momentum")
            }
            | {"n": len(g["params"])}
            for g in o.param_groups
        ]
        found["optimizer"] = [
            [
                sorted(
                    (k, value(v) if hasattr(v, "dtype") else v)
                    for k, v in o.state.get(p, {}).items()
                )
                if o.state.get(p)
                else None
                for p in g["params"]
            ]
            for g in o.param_groups
        ]
        found["average"] = None if e is None else [(n, value(t)) for n, t in e.state_dict().items()]
        self.names["seen"][:] = hooks
        return found


def difference(_, events):
    """The first event after which the frameworks differ, and how; or None."""
    ours, theirs = Life(rushlight), Life(torch)
    for event in events:
        a, b = ours.happen(event), theirs.happen(event)
        if "is computed by a parametrization" in str(a):  # PyTorch hides the parametrization
            return None
        if (a is None) != (b is None):
            return event, repr(a)[:300], repr(b)[:300]
        try:
            b = theirs.look()
        except Exception:
            return None
        try:
            a = ours.look()
        except Exception as error:
            return event, "look", repr(error)
        if not close(a, b, 1e-3):
            return event, {k: (x, b[k]) for k, x in a.items() if not close(x, b[k], 1e-3)}
    return None


def draw(choose):
    return None, choose.choices(EVENTS, k=choose.randint(3, 14))


def test_some_lives():
    search(draw, difference, 12, 7)


@pytest.mark.search
def test_many_lives():
    search(draw, difference, 1000, SEED)
