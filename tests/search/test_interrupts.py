"""After an interrupt, at whatever line or instant, results are right, or there is an error."""

import gc
import os
import random
import signal
import sys

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn
from rushlight.autograd import mode
from tests.search.interrupts import at_instants, at_lines

pytest.importorskip("llvmlite")

from rushlight.compiler.run import eager_kernels, threads

# What interrupts a __del__ is lost, in every Python program.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

#: Interrupts of each scene in the search.
COUNT = int(os.environ.get("RUSHLIGHT_INTERRUPTS", 1000))
SEED = int(os.environ.get("RUSHLIGHT_SEED", random.SystemRandom().randrange(1 << 32)))


class Scene:
    """A call with what surrounds it."""

    def prepare(self):
        """What comes before the call."""

    def act(self):
        """The call."""
        raise NotImplementedError

    def check(self, interrupted):
        """Demand that what comes after it is right."""
        raise NotImplementedError


def same(x, y):
    np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=1e-5, atol=1e-5)


class Call(Scene):
    """A compiled call of known kind, on a tensor like those of other calls."""

    def __init__(self, n):
        self.f = torch.compile(lambda x: x * 2 + 1)
        self.n = n
        self.again = torch.ones(n)
        self.f(self.again)

    def act(self):
        self.f(torch.full((self.n,), 5.0))
        self.f(self.again)

    def check(self, interrupted):
        for value in (7.0, 8.0, 9.0):
            assert self.f(torch.full((self.n,), value)).tolist() == [2 * value + 1] * self.n
        for _ in range(2):  # a tensor that comes again is read where it is
            assert self.f(self.again).tolist() == [3.0] * self.n


class First(Scene):
    """The call that is recorded: a layer, a number that it changes, a condition."""

    def prepare(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner, self.calls, self.scale = nn.Linear(3, 2), 0, 0.5

            def forward(self, x):
                self.calls += 1
                return self.inner(x) * self.scale

        self.net = Net()
        self.weight = self.net.inner.weight.detach().clone()
        self.f = torch.compile(self.net)
        self.x = torch.arange(6.0).reshape(2, 3)

    def act(self):
        self.f(self.x)

    def check(self, interrupted):
        net = self.net
        assert mode.state.recorder is None and gc.isenabled() and torch.is_grad_enabled()
        assert type(net.calls) is int and net.calls in ((0, 1) if interrupted else (1,))
        assert type(net.scale) is float and torch.equal(net.inner.weight, self.weight)
        assert (torch.ones(2) + 1).tolist() == [2.0, 2.0]  # nothing is recorded any more
        calls = net.calls
        for _ in range(2):
            y = self.f(self.x)
            same(y, self.x @ self.weight.mT * 0.5 + net.inner.bias * 0.5)
        assert net.calls == calls + 2
        y.sum().backward()
        same(net.inner.bias.grad, torch.full((2,), 1.0))


def training(compiled):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))
    opt = torch.optim.Adam(net.parameters(), lr=0.001)
    schedule = torch.optim.lr_scheduler.StepLR(opt, 3, gamma=0.9)

    def step(x, y):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    return net, opt, schedule, torch.compile(step) if compiled else step


class Training(Scene):
    """A training step: it is taken whole or not at all, and the next is right."""

    def __init__(self):
        self.net, self.opt, self.schedule, self.step = training(True)
        self.net2, self.opt2, _, self.step2 = training(False)
        self.batch = torch.randn(8, 4), torch.randint(0, 3, (8,))
        for step in (self.step, self.step2):
            step(*self.batch)

    def _twin(self):
        """The eager twin in this one's state."""
        self.net2.load_state_dict(self.net.state_dict())
        self.opt2.load_state_dict(self.opt.state_dict())

    def _picture(self, net, opt):
        state = [v for p in opt.state.values() for v in p.values()]
        return [t.detach().numpy().copy() for t in (*net.state_dict().values(), *state)]

    def prepare(self):
        self.schedule.step()
        self._twin()
        self.before = self._picture(self.net, self.opt)
        self.versions = [p._version for p in self.net.parameters()]

    def act(self):
        self.step(*self.batch)

    def check(self, interrupted):
        self.step2(*self.batch)
        after, now = self._picture(self.net2, self.opt2), self._picture(self.net, self.opt)
        landed = all(map(np.array_equal, now, self.before))
        if not landed or not interrupted:
            for x, y in zip(now, after, strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
            versions = [p._version for p in self.net.parameters()]
            assert all(a > b for a, b in zip(versions, self.versions, strict=True))
        for p, q in zip(self.net.parameters(), self.net2.parameters(), strict=True):
            if p.grad is not None and not interrupted:
                same(p.grad, q.grad)
        self._twin()
        same(self.step(*self.batch), self.step2(*self.batch))
        for p, q in zip(self.net.parameters(), self.net2.parameters(), strict=True):
            same(p, q)
            same(p.grad, q.grad)


class Moved(Scene):
    """A call after parameters got other memory, and gradients that somebody keeps."""

    def __init__(self):
        self.net = nn.Linear(3, 2)

        def step(x):
            for p in self.net.parameters():
                p.grad = None
            y = self.net(x)
            y.sum().backward()
            return y

        self.f, self.x, self.k = torch.compile(step), torch.ones(1, 3), 0.0
        self.f(self.x)

    def prepare(self):
        self.first = self.net.weight.data

    def act(self):
        self.kept = self.net.weight.grad
        self.was = None if self.kept is None else self.kept.tolist()
        self.k += 1.0
        self.net.weight.data = torch.full((2, 3), self.k)
        self.f(self.x)
        self.net.bias.data = torch.full((2,), self.k)
        self.f(self.x)
        self.net.weight.data = self.first
        self.f(self.x)

    def check(self, interrupted):
        if self.kept is not None:
            assert self.kept.tolist() == self.was
        for k in (1.0, 2.0):
            x = torch.full((1, 3), k)
            found = self.f(x)
            same(found, x @ self.net.weight.mT + self.net.bias)
            same(self.net.weight.grad, torch.full((2, 3), k))
            same(self.net.bias.grad, torch.ones(2))


class Kinds(Scene):
    """Calls of two kinds by turns: one's memory is let go of while the other is used."""

    def __init__(self):
        self.w = torch.ones(3, requires_grad=True)

        def step(x):
            self.w.grad = None
            (self.w * x).sum().backward()

        self.f = torch.compile(step)

    def act(self):
        self.f(torch.ones(3))
        self.f(torch.ones(2, 3))

    def check(self, interrupted):
        self.f(torch.full((2, 3), 5.0))
        same(self.w.grad, torch.full((3,), 10.0))
        self.f(torch.full((3,), 5.0))
        same(self.w.grad, torch.full((3,), 5.0))


class Eager(Scene):
    """Kernels of one operation: compiled anew, or known."""

    def __init__(self, anew):
        self.anew = anew
        self.x = torch.linspace(-1, 1, 1 << 17).reshape(256, 512)
        self.image, self.w = torch.ones(16, 8, 32, 32), torch.ones(8, 8, 3, 3)
        self.want = self.x.numpy()

    def prepare(self):
        if self.anew:
            eager_kernels._kernels.clear()

    def _all(self):
        conv = F.conv2d(self.image, self.w)
        return self.x.exp(), (self.x * 2).softmax(1), conv

    def act(self):
        self._all()

    def check(self, interrupted):
        exp, softmax, conv = self._all()
        np.testing.assert_allclose(exp.numpy(), np.exp(self.want), rtol=1e-5)
        e = np.exp(2 * self.want)
        np.testing.assert_allclose(softmax.numpy(), e / e.sum(1, keepdims=True), rtol=1e-4)
        assert (conv == 72).all()
        assert mode.state.recorder is None and torch.is_grad_enabled()


class Resize(Scene):
    """Another number of threads, more memory for each, and calls that use it."""

    def __init__(self):
        self.f = torch.compile(lambda x: (x @ x.mT).exp().sum(1))
        self.x = torch.linspace(-0.01, 0.01, 300 * 300).reshape(300, 300)
        self.want = (self.x @ self.x.mT).exp().sum(1)

    def act(self):
        for n in (3, 1, 2):
            torch.set_num_threads(n)
            self.f(self.x)
        threads.reserve(threads._pool.size + 1)
        self.f(self.x)

    def check(self, interrupted):
        for n in (2, 3):
            for _ in range(2):
                same(self.f(self.x), self.want)
            torch.set_num_threads(n)
        pool = threads._pool
        assert all(w.is_alive() for w in pool.workers)
        room = pool.memory.nbytes - 4096
        assert room >= (threads.SEATS + pool.count - 1) * pool.size


class Modes(Scene):
    """Regions that are entered and left."""

    def act(self):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            torch.ones(2) + 1
        with torch.autograd.detect_anomaly(), torch.no_grad(), torch.enable_grad():
            torch.ones(2) + 1

    def check(self, interrupted):
        assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
        assert not torch.is_inference_mode_enabled() and not torch.is_anomaly_enabled()
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
        assert mode.intercept >= 0 and mode.grad_off >= 0
        with torch.no_grad():
            assert not (torch.ones(2, requires_grad=True) * 2).requires_grad


class Random(Scene):
    """Drawing, seeding and states of generators."""

    def act(self):
        torch.manual_seed(3)
        torch.randn(1)
        state = torch.get_rng_state()
        torch.randn(1)
        torch.set_rng_state(state)

    def check(self, interrupted):
        own = torch.Generator()
        own.set_state(torch.get_rng_state())
        assert torch.randn(3).tolist() == torch.randn(3, generator=own).tolist()
        torch.manual_seed(torch.initial_seed())
        own.manual_seed(torch.initial_seed())
        assert torch.randn(3).tolist() == torch.randn(3, generator=own).tolist()


SCENES = {
    "small call": lambda: Call(4),
    "large call": lambda: Call(5000),
    "first call": First,
    "training": Training,
    "moved": Moved,
    "two kinds": Kinds,
    "eager": lambda: Eager(False),
    "first eager": lambda: Eager(True),
    "resize": Resize,
    "random": Random,
    "modes": Modes,
}


@pytest.fixture(autouse=True)
def same_count_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    mode._count(-mode.state.reasons, -mode.state.places)  # an interrupt may leave them too high


def search(walk, name, count):
    print(f"RUSHLIGHT_SEED={SEED}")
    where, tracer = None, sys.gettrace()
    try:
        for place in walk(SCENES[name](), random.Random(SEED), count):
            where = place
            assert sys.gettrace() is tracer
            assert mode.intercept >= mode._shared + mode.state.reasons
            assert mode.grad_off >= mode.state.counted
    except Exception as error:
        error.add_note(f"interrupted: {where}; RUSHLIGHT_SEED={SEED}")
        raise


@pytest.mark.parametrize("name", SCENES)
def test_an_interrupt_at_a_line(name):
    search(at_lines, name, 10)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("name", [s for s in SCENES if s != "modes"])
def test_an_interrupt_at_an_instant(name):
    search(at_instants, name, 10)


@pytest.mark.search
@pytest.mark.parametrize("name", SCENES)
def test_an_interrupt_at_many_lines(name):
    search(at_lines, name, COUNT)


@pytest.mark.search
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("name", [s for s in SCENES if s != "modes"])
def test_interrupts_at_many_instants(name):
    search(at_instants, name, COUNT)
