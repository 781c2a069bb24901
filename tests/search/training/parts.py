"""What random training loops are made of. Each layer takes and gives (N, 6), so any can be left out."""

from dataclasses import dataclass
from functools import cached_property
from textwrap import indent


def table(text):
    return [part.strip() for part in text.split("|") if part.strip()]


LAYERS = table("""
nn.Linear(6, 6) | nn.Linear(6, 6) | nn.Linear(6, 6, bias=False) | nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 6)) | nn.LayerNorm(6) | nn.BatchNorm1d(6) | nn.BatchNorm1d(6, momentum=None)
| nn.BatchNorm1d(6, affine=False) | nn.BatchNorm1d(6, track_running_stats=False) | nn.GroupNorm(2, 6) | nn.RMSNorm(6) | nn.Tanh() | nn.GELU() | nn.SiLU() | nn.ReLU() | nn.PReLU() | nn.Softmax(1) | nn.Dropout(0.3)
| nn.AlphaDropout(0.2) | nn.Softplus() | Residual(nn.Linear(6, 6)) | Recurrent(nn.GRU(3, 6, batch_first=True)) | Recurrent(nn.LSTM(3, 6, batch_first=True)) | Recurrent(nn.RNN(3, 6, batch_first=True)) | Shaped(2, 3, Attending(3))
| Shaped(2, 3, nn.TransformerEncoderLayer(3, 1, 8, dropout=0.1, batch_first=True)) | Shaped(2, 3, nn.Conv1d(2, 2, 3, padding=1)) | Shaped(2, 3, nn.ConvTranspose1d(2, 2, 3, padding=1)) | Shaped(2, 3, nn.InstanceNorm1d(2, affine=True))
| nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 3, 2, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6, 6)) | nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)) | nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6))
| Counting(6) | Moving(6) | Embedded(5, 6) | Gated(6) | nn.utils.parametrizations.orthogonal(nn.Linear(6, 6)) | Shared() | nn.Hardtanh() | nn.LeakyReLU(0.1) | Scaled() | nn.Bilinear(6, 6, 6) and Twice()
""")
OPTIMIZERS = table("""
SGD(PARAMS, lr=0.05) | SGD(PARAMS, lr=0.05, momentum=0.9) | SGD(PARAMS, lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01) | SGD(PARAMS, lr=0.05, momentum=0.9, dampening=0.2, maximize=True) | Adam(PARAMS, lr=0.01) | Adam(PARAMS, lr=0.01, amsgrad=True)
| Adam(PARAMS, lr=0.01, weight_decay=0.1, betas=(0.8, 0.9)) | AdamW(PARAMS, lr=0.01) | AdamW(PARAMS, lr=0.01, amsgrad=True, maximize=True) | Adagrad(PARAMS, lr=0.05) | Adagrad(PARAMS, lr=0.05, lr_decay=0.1, initial_accumulator_value=0.1)
| Adadelta(PARAMS, lr=0.5) | Adamax(PARAMS, lr=0.01) | ASGD(PARAMS, lr=0.05, t0=3) | NAdam(PARAMS, lr=0.01) | NAdam(PARAMS, lr=0.01, decoupled_weight_decay=True, weight_decay=0.01) | RAdam(PARAMS, lr=0.01) | RMSprop(PARAMS, lr=0.01)
| RMSprop(PARAMS, lr=0.01, centered=True, momentum=0.5) | Rprop(PARAMS, lr=0.01) | Adafactor(PARAMS, lr=0.05) | Muon([p for p in PARAMS if p.ndim == 2], lr=0.05) | Adam([{'params': FIRST}, {'params': REST, 'lr': 0.002}], lr=0.01)
| SGD([{'params': FIRST, 'momentum': 0.9}, {'params': REST}], lr=0.05, weight_decay=0.01) | Adam(PARAMS, lr=T.tensor(0.01)) | SGD(PARAMS, lr=0.05, foreach=True) | AdamW(PARAMS, lr=0.01, fused=True) | Adam(PARAMS, lr=0.01, capturable=False, foreach=False)
""")
SCHEDULERS = table("""
StepLR(s.opt, 2, 0.5) | MultiStepLR(s.opt, [2, 5], 0.3) | ExponentialLR(s.opt, 0.9) | LambdaLR(s.opt, lambda k: 1 / (1 + k)) | CosineAnnealingLR(s.opt, 6) | CosineAnnealingWarmRestarts(s.opt, 3) | LinearLR(s.opt, 0.3, 1.0, 4)
| ConstantLR(s.opt, 0.5, 3) | PolynomialLR(s.opt, 6) | OneCycleLR(s.opt, 0.1, total_steps=30) | CyclicLR(s.opt, 0.001, 0.05, 3, cycle_momentum=False) | MultiplicativeLR(s.opt, lambda k: 0.9)
| SequentialLR(s.opt, [LinearLR(s.opt, 0.5, 1.0, 3), ExponentialLR(s.opt, 0.8)], [3]) | ChainedScheduler([LinearLR(s.opt, 0.5, 1.0, 3), ExponentialLR(s.opt, 0.9)])
""")
# Lines of ``build``, once the network and the optimizer are there.
SETUPS = table("""
s.net[0].register_forward_hook(lambda m, a, out: out * 1.5) | s.net[0].register_forward_pre_hook(lambda m, a: (a[0] + 0.1,)) | FIRST[0].register_hook(lambda g: g * 0.5) | s.net.register_full_backward_hook(lambda m, gi, go: None)
| REST[-1].register_post_accumulate_grad_hook(lambda p: halve(T, p.grad)) | s.net[0].register_full_backward_hook(lambda m, gi, go: tuple([None if g is None else g * 2 for g in gi])) | s.opt.register_step_pre_hook(lambda o, a, k: s.seen.append(1))
| s.opt.register_step_post_hook(lambda o, a, k: halve(T, FIRST[0])) | FIRST[0].requires_grad_(False) | s.net[0].eval() | s.net.register_forward_hook(lambda m, a, out: s.__setattr__('kept', out.detach()))
| s.net[0].register_full_backward_pre_hook(lambda m, go: tuple([g * 0.5 for g in go])) | s.net[0].register_forward_hook(lambda m, a, out: s.__setattr__('calls', s.calls + 1))
""")
FORWARDS = table("""
out = s.net(x) | out = s.net(x) | out = s.net(x) + s.net(x.flip(0)) | out = s.net(s.net(x)) | out = F.dropout(s.net(x), 0.2, s.net.training) | out = s.net(x + 0.1 * T.randn(x.shape, dtype=x.dtype)) | out = s.net(x * s.mix)
| out = checkpoint(s.net, x, use_reentrant=False) | out = T.func.functional_call(s.net, dict(s.net.named_parameters()), (x,))
""")
LOSSES = table("""
loss = F.mse_loss(out, y) | loss = F.cross_entropy(out, y.argmax(1)) | loss = F.smooth_l1_loss(out, y) | loss = ((out - y) ** 2).sum() | loss = F.binary_cross_entropy_with_logits(out, (y > 0).to(y.dtype)) | loss = F.nll_loss(out.log_softmax(1), y.argmax(1))
| loss = F.mse_loss(out, y) + 1e-3 * sum(p.square().sum() for p in PARAMS) | loss = F.l1_loss(out, y) + T.stack([p.norm() for p in PARAMS]).sum() * 0.01 | loss = (out * y).logsumexp(1).mean()
""")
BEFORE = table(
    "s.opt.zero_grad() | s.opt.zero_grad() | s.opt.zero_grad(set_to_none=False) | s.net.zero_grad()"
)
BACKWARDS = table("""
loss.backward() | loss.backward() | (loss / 2).backward(); F.mse_loss(s.net(x), y).backward() | loss.backward(retain_graph=True); (loss * 0.5).backward() | assign(PARAMS, T.autograd.grad(loss, PARAMS, allow_unused=True)) | s.scaler.scale(loss).backward(); s.scaler.unscale_(s.opt)
""")
CLIPS = table("""
nn.utils.clip_grad_norm_(PARAMS, 0.5) | nn.utils.clip_grad_value_(PARAMS, 0.1) | s.norm = nn.utils.clip_grad_norm_(PARAMS, 1.0, norm_type=1) | for p in PARAMS: p.grad is None or p.grad.add_(p.detach(), alpha=0.01) | for p in PARAMS: p.grad is None or p.grad.clamp_(-0.2, 0.2)
""")
STEPS = table(
    "s.opt.step() | s.opt.step() | s.opt.step() | s.scaler.step(s.opt); s.scaler.update()"
)
# Lines that may follow, or stand anywhere else.
MORE = table("""
s.count += 1 | s.mean = 0.9 * s.mean + 0.1 * loss.detach() | s.sched.step() | s.sched.step() | update(T, s.ema, PARAMS) | s.last = out.detach() | s.total.add_(loss.detach()) | s.opt.param_groups[0]['lr'] *= 0.95 | s.count = s.count * 2 + 1
| s.history['loss'] = loss.detach() | s.mix = 1 - s.mix | s.best = T.minimum(s.best, loss.detach()) | s.ring[0].copy_(s.ring[1]); s.ring[1].copy_(out.detach()[0]) | s.count += 1 if s.net.training else 10 | s.previous, s.current = s.current, loss.detach()
| halve(T, PARAMS[-1]) | s.noise.normal_() | s.seen.append(1) | s.queue.append(loss.detach()); s.queue.pop(0) | s.total = s.total + out.detach().abs().max() | for b in s.net.buffers(): s.sum = s.sum + b.double().sum() | s.pair = (loss.detach(), s.count)
""")
BOMBS = table("""
if s.i == FUSE: raise ValueError("a bomb") | if s.i == FUSE: x @ x @ x.new_zeros(2, 3) | s.bombs[s.i] | if s.i == FUSE: s.nothing
""")
EVENTS = table("""
freeze(FIRST) | s.opt.param_groups[0]['lr'] = T.tensor(0.02, dtype=T.float64) | FIRST[0].requires_grad_(True) | s.net.eval() | s.net.train() | s.net[0].train(False) | s.opt.param_groups[0]['lr'] *= 0.5 | FIRST[0].data = FIRST[0].data.clone() | s.net.load_state_dict(s.saved) | s.saved = copy.deepcopy(s.net.state_dict()) | s.opt.load_state_dict(copy.deepcopy(s.opt.state_dict()))
| reload(T, s) | s.sched.load_state_dict(s.sched.state_dict()) | halve(T, PARAMS[0]) | s.net.requires_grad_(False) | s.net.requires_grad_(True) | s.opt.zero_grad() | s.sched.step() | s.net[0] = Residual(s.net[0]) | s.net[-1].register_forward_hook(lambda m, a, out: out * 0.5) | s.count = 7
| s.opt.state.clear() | s.net = copy.deepcopy(s.net); s.opt.param_groups[0]['params'] = list(s.net.parameters())[:len(s.opt.param_groups[0]['params'])] | s.opt.param_groups[0]['weight_decay'] = 0.05 | s.mix = 0.5 | FIRST[0].grad = None | T.manual_seed(3) | s.net.append(nn.Tanh())
| s.net[-1] = nn.Identity() | swap(FIRST, T) | s.total = T.zeros(()) | s.ema = [e.clone() for e in s.ema]
""")

PRELUDE = '''
import copy
import io


def classes(T):
    """Modules with state of their own, and functions of the loop's lines."""
    nn, F = T.nn, T.nn.functional

    class Residual(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return x + self.inner(x)

    class Recurrent(Residual):
        def forward(self, x):
            return self.inner(x.reshape(-1, 2, 3))[0][:, -1]

    class Shaped(Residual):
        def __init__(self, n, m, inner):
            super().__init__(inner)
            self.sizes = n, m

        def forward(self, x):
            return self.inner(x.reshape(-1, *self.sizes)).reshape(x.shape)

    class Attending(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.inner = nn.MultiheadAttention(n, 1, batch_first=True)

        def forward(self, x):
            return self.inner(x, x, x, need_weights=False)[0]

    class Counting(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.register_buffer("calls", T.zeros((), dtype=T.int64))
            self.n = 0
            self.weight = nn.Parameter(T.ones(n))

        def forward(self, x):
            self.calls += 1
            self.n += 1
            return x * self.weight / (1 + self.calls)

    class Moving(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.register_buffer("mean", T.zeros(n))
            self.bias = nn.Parameter(T.zeros(n))

        def forward(self, x):
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0).to(self.mean.dtype)
            return x - self.mean + self.bias

    class Embedded(nn.Module):
        def __init__(self, n, m):
            super().__init__()
            self.table = nn.Embedding(n, m, padding_idx=0)

        def forward(self, x):
            return x + self.table((x.detach() > 0).long().sum(1) % 5)

    class Gated(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.both = nn.Linear(n, 2 * n)

        def forward(self, x):
            a, b = self.both(x).chunk(2, -1)
            return a * b.sigmoid()

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(6, 6)
            self.other = nn.Linear(6, 6)
            self.other.weight = self.one.weight

        def forward(self, x):
            return self.other(self.one(x).tanh())

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(T.tensor(0.5))

        def forward(self, x):
            return x * self.scale.exp()

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Bilinear(6, 6, 6)

        def forward(self, x):
            return self.inner(x, x.tanh())

    def halve(T, p):
        with T.no_grad():
            p.mul_(0.5)

    def update(T, kept, params):
        with T.no_grad():
            for e, p in zip(kept, params):
                e.lerp_(p.to(e.dtype), 0.1)

    def assign(params, grads):
        for p, g in zip(params, grads):
            p.grad = g

    def freeze(params):
        for p in params:
            p.requires_grad_(False)

    def swap(params, T):
        with T.no_grad():
            params[0].copy_(params[0].flip(0))

    def reload(T, s):
        file = io.BytesIO()
        T.save({"net": s.net.state_dict(), "opt": s.opt.state_dict()}, file)
        file.seek(0)
        found = T.load(file)
        s.net.load_state_dict(found["net"])
        s.opt.load_state_dict(found["opt"])

    return locals()


class State:
    """What the loop keeps."""
'''
BUILD = """
def build(T):
    globals().update(classes(T), T=T)
    nn, F = T.nn, T.nn.functional
    globals().update(vars(T.optim.lr_scheduler), nn=nn, F=F, checkpoint=T.utils.checkpoint.checkpoint)
    T.manual_seed(SEED)
    s = State()
    s.net = nn.Sequential(LAYERS).to(T.DTYPE)
    PARAMS = list(s.net.parameters())
    FIRST, REST = PARAMS[:1], PARAMS[1:] or PARAMS[:1]
    s.opt = T.optim.OPTIMIZER
    s.sched = SCHEDULER
    s.scaler = T.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    s.i, s.count, s.calls, s.mix, s.seen, s.history, s.bombs = 0, 0, 0, 1, [], {}, [0, 1, 2, 3, 4, 5, 6]
    s.mean, s.total, s.best, s.sum = T.zeros(()), T.zeros(()), T.tensor(9.0), T.zeros((), dtype=T.float64)
    s.previous, s.current, s.norm, s.last = T.zeros(()), T.ones(()), T.zeros(()), T.zeros(2)
    s.ema, s.ring, s.noise = [p.detach().clone() for p in PARAMS], [T.zeros(6), T.zeros(6)], T.zeros(3)
    s.saved, s.kept, s.queue, s.pair = copy.deepcopy(s.net.state_dict()), T.zeros(1), [T.zeros(()), T.ones(())], None
SETUPS
    def step(x, y):
BODY
    def event(i):
EVENTS
        pass

    return s, step, event
"""
SCRIPT = """import numpy as np

import rushlight as T
"""
MAIN = """

runs = build(T), build(T)
for way, (s, step, event) in zip(("eager", "compiled"), runs):
    T.manual_seed(0)
    step = T.compile(step) if way == "compiled" else step
    for i in range(%s):
        data = np.random.default_rng(i).normal(size=(2, 4, 6))
        try:
            print(way, i, step(*[T.from_numpy(part).to(T.%s) for part in data]))
        except Exception as error:
            print(way, i, repr(error))
        event(i)
    for name, p in s.net.named_parameters():
        print(way, name, p, p.grad)
    print(way, vars(s))
"""


@dataclass(frozen=True)
class Loop:
    """Parts of a training loop; each tuple's items can be left out."""

    seed: int
    dtype: str
    layers: tuple
    optimizer: str
    scheduler: str
    setups: tuple
    body: tuple
    events: tuple  # (after which call, line)
    steps: int

    @property
    def source(self):
        """Text that defines ``build(T)``: the state, the step, and what happens between steps."""
        body = [*self.body, "s.i += 1", "return loss.detach()"]
        events = [f"if i == {i}:\n    {line}" for i, line in self.events]
        lines = lambda found, depth: indent("\n".join(found), "    " * depth)
        text = BUILD
        for name, part in {
            "SEED": str(self.seed),
            "LAYERS": ", ".join(self.layers),
            "OPTIMIZER": self.optimizer,
            "SCHEDULER": self.scheduler,
            "DTYPE": self.dtype,
            "SETUPS": lines(self.setups, 1),
            "BODY": lines(body, 2),
            "EVENTS": lines(events, 2),
        }.items():
            text = text.replace(name, part, 1)
        return PRELUDE + text

    @cached_property
    def code(self):
        return compile(self.source, f"<loop {self.seed}>", "exec")

    @property
    def script(self):
        """A script that runs the loop eagerly and compiled, and prints both."""
        return f"{SCRIPT}{self.source}{MAIN % (self.steps, self.dtype)}"

    def name(self, found):
        """What is particular to a loop, as far as that can be told."""
        lines = [*self.layers, *self.setups, *self.body, *(line for _, line in self.events)]
        return f"{found.kind} {self.optimizer.split('(')[0]} {' ; '.join(lines)}"
