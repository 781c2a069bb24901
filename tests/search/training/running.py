"""A training loop on rushlight, compiled and eager, and on PyTorch: the same after each step."""

import warnings

import numpy as np

import rushlight
from tests.search.programs.comparing import Difference, errors_agree, mismatch, spread_of, wide
from tests.search.programs.scopes import ORACLE, array_of, eps, is_exact, shake, torch

ROWS = 4
#: PyTorch clips no list without gradients, and saves biases whose numbers no gradient needs.
THEIRS = "nested_tensorlist", "modified by an inplace operation"


class Run:
    """One loop under way in one framework."""

    def __init__(self, loop, framework, compiled=False, noise=0.0, seed=0):
        self.T, self.noise = framework, noise
        self.random = np.random.default_rng(seed)
        self.dtype = getattr(framework, loop.dtype)
        # Functions are less exact in float64, and some optimizers keep numbers in float32 there.
        self.coarse = 1e-13 if loop.dtype == "float64" else 1e-7
        if "orthogonal" in loop.source:
            self.coarse *= 100
        if any(word in loop.optimizer for word in ("NAdam", "ASGD", "T.tensor(")):
            self.coarse = 1e-7
        elif loop.dtype == "float64" and "SGD(" not in loop.optimizer:
            self.coarse *= (
                1000  # such optimizers make much of gradients that are 0 but for rounding
            )
        if "autocast" in loop.source or "Muon" in loop.optimizer:  # bfloat16 inside
            self.coarse = 0.004
        names = {}
        exec(loop.code, names)
        self.s, self.step, self.event = names["build"](framework)
        if compiled:
            self.step = framework.compile(self.step)
        self.drawn = framework.get_rng_state()  # runs take turns, each with numbers of its own

    def turn(self, i):
        """One step and what follows it; the exceptions of both."""
        if self.noise:
            self.shake()
        data = np.random.default_rng(i).normal(size=(2, ROWS, 6))
        x, y = (self.T.from_numpy(part).to(self.dtype, copy=True) for part in data)
        self.T.set_rng_state(self.drawn)
        errors = attempt(self.step, x, y), attempt(self.event, i)
        self.drawn = self.T.get_rng_state()
        return errors

    def next_random(self):
        self.T.set_rng_state(self.drawn)
        return float(self.T.rand(1))

    def shake(self):
        """Change the parameters in their last digits."""
        for p in self.s.net.parameters():
            x = array_of(p)
            shake(x, self.noise * self.coarse / eps(x.dtype), self.random)

    def adopt(self, other):
        """Take over the parameters and buffers of another run, and forget what was made of them."""
        for x, y in zip(self.kept(), other.kept(), strict=True):
            array_of(x)[...] = array_of(y)

    def kept(self):
        """Parameters and buffers, and copies of them."""
        return [*self.s.net.state_dict().values(), *self.s.saved.values(), *self.s.ema]

    def state(self):
        """All that the loop keeps, as arrays by name."""
        s, found = self.s, {}
        for name, p in s.net.named_parameters():
            found[f"parameter {name}"] = array_of(p)
            found[f"{name}.requires_grad"] = p.requires_grad
            if p.grad is not None:
                found[f"gradient of {name}"] = array_of(p.grad)
        for name, b in s.net.named_buffers():
            found[f"buffer {name}"] = array_of(b)
        kept = s.opt.state_dict()
        for k, entries in kept["state"].items():
            found |= {f"optimizer {k} {n}": scalar(x) for n, x in entries.items()}
        for k, group in enumerate(kept["param_groups"]):
            found |= {f"group {k} {n}": scalar(x) for n, x in group.items() if n != "params"}
        found["scheduler"] = np.array(list(map(float, s.sched.get_last_lr())))
        found["scale"] = float(s.scaler.get_scale())
        for name, value in vars(s).items():
            if name not in ("net", "opt", "sched", "scaler", "saved"):
                found |= flat(name, value, self.T)
        arrays = {
            n: np.array(x)
            for n, x in found.items()
            if isinstance(x, np.ndarray | np.float32 | float | int)
        }
        wide = self.dtype is self.T.float64
        return {n: x.astype("f4") if x.dtype == "f8" and not wide else x for n, x in arrays.items()}


def scalar(x):
    """Numbers of the optimizer's: a tensor of one element in one framework may be a float in the other."""
    if hasattr(x, "detach"):
        return array_of(x) if x.numel() > 1 else np.float32(x)
    return np.float32(x) if isinstance(x, int | float) else None


def flat(name, value, T):
    if isinstance(value, T.Tensor):
        return {name: array_of(value)}
    if isinstance(value, list | tuple):
        found = {f"len {name}": len(value)}
        for k, x in enumerate(value):
            found |= flat(f"{name}[{k}]", x, T)
        return found
    if isinstance(value, dict):
        return {n: x for k, v in value.items() for n, x in flat(f"{name}[{k!r}]", v, T).items()}
    return {name: value} if isinstance(value, int | float) else {}


def attempt(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error
    return None


def check(loop, noisy=2, amount=2.0, kind=""):
    """The first difference of a loop, or None; ``kind``: the only one that is looked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not kind.startswith("compiled"):
            found = eager(loop, noisy, amount) if torch else None
            if found is not None or kind:
                return found
        return compiled(loop, noisy, amount)


def eager(loop, noisy, amount):
    try:
        theirs = Run(loop, torch)
        shaken = [Run(loop, torch, noise=amount, seed=k) for k in range(noisy)]
    except Exception:  # the parts do not go together
        return None
    try:
        ours = Run(loop, rushlight)
    except Exception as error:
        return Difference("build", f"{error!r}")
    digit = eps(np.dtype(loop.dtype))
    wrong = compare(ours.state(), theirs.state(), [], 1e-5 / digit)
    if wrong:
        return Difference(f"eager {wrong[0]}", f"at first: {wrong[1]}")
    ours.adopt(theirs)
    return together(loop, ours, theirs, shaken, "eager")


def compiled(loop, noisy, amount):
    try:
        eager = Run(loop, rushlight)
        shaken = [Run(loop, ORACLE, noise=amount, seed=k) for k in range(noisy)]
    except Exception:
        return None
    return together(loop, Run(loop, rushlight, compiled=True), eager, shaken, "compiled")


def together(loop, ours, theirs, shaken, stage):
    """Run two loops step by step: the first difference, or None."""
    after = ""
    for i in range(loop.steps):
        found, want = ours.turn(i), theirs.turn(i)
        for other in shaken:
            other.turn(i)
        if any(words in str(want) for words in THEIRS) and "inplace" not in str(found):
            return None
        for what, a, b in zip(("step", "event"), found, want, strict=True):
            if (a is None) != (b is None) or (a is not None and not errors_agree(a, b)):
                return Difference(f"{stage} error", f"{what} {i}: {a!r} instead of {b!r}")
        after = after or " after an error" * any(want)
        try:
            want, states = theirs.state(), [other.state() for other in shaken]
        except KeyError:  # an optimizer's state was taken apart by an event
            return None
        if after and stage == "eager" and ours.state().keys() != want.keys():
            return None  # a backward that raised has left PyTorch some gradients
        if diverges(want):
            return None
        steps = ours.coarse / eps(np.dtype(loop.dtype))
        wrong = compare(ours.state(), want, states, max(32, 0.02 * steps), max(8, 2 * steps))
        if wrong:
            return Difference(f"{stage} {wrong[0]}{after}", f"after step {i}: {wrong[1]}")
        if any(too_far(want, state) for state in states):
            return None  # noise has taken over
    a, b = ours.next_random(), theirs.next_random()
    if a != b:
        return Difference(f"{stage} random", f"{a} instead of {b} is the next random number")
    return None


def compare(found, want, noisy, floor=32, digits=8):
    if found.keys() != want.keys():
        return "names", f"{[*set(found) - set(want)]} instead of {[*set(want) - set(found)]}"
    for name, x in want.items():
        others = [state[name] for state in noisy if name in state]
        wrong = mismatch(found[name], x, others, floor, digits)
        if wrong:
            return "value", f"{name} is {wrong}"
    return None


def diverges(state):
    """Whether parameters are so large that infinities may come in another order."""
    large = [x for n, x in state.items() if n.startswith("parameter") and not is_exact(x.dtype)]
    return any(not np.max(np.abs(wide(x)), initial=0.0) < 1e6 for x in large)


def too_far(want, other):
    for name, x in want.items():
        if name.startswith("parameter") and not is_exact(x.dtype) and name in other:
            most = np.max(np.abs(wide(x)), initial=1e-6)
            spread = spread_of(x, [other[name]])
            if not np.max(spread, initial=0.0) < 0.01 * most:
                return True
    return False
