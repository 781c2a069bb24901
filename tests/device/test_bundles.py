"""Kernels that one launch computes: fewer launches, the same numbers."""

import gc
import random

import pytest

import rushlight as T
from benchmarks import steps
from benchmarks.device import made_step
from rushlight import nn
from rushlight.backend.native import llvm_works
from rushlight.device_array import driver_of
from rushlight.ops.core import remote_calls

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")

if llvm_works():
    from rushlight.compiler.device import program
    from rushlight.compiler.device.bundles import Task, bundled
    from rushlight.compiler.device.machine import LoopWork

F = nn.functional


# The order --------------------------------------------------------------------------------------


def some_task(draw, owners):
    """A task that uses a few of the ``owners``; the host computes every tenth."""
    touched = {draw.choice(owners) for _ in range(draw.randint(1, 4))}
    written = {o for o in touched if draw.random() < 0.4} or {min(touched)}
    if draw.random() < 0.1:
        return Task(None, None, (), touched, written)
    work = LoopWork.__new__(LoopWork)
    work.size, work.key = draw.choice([64, 128, 256]), f"code{draw.randint(0, 5)}"
    work.open_numbers = ()
    return Task(None, work, [(o, 0) for o in sorted(touched)], touched, written)


def must_wait(later, earlier, inputs):
    """Whether ``later`` gives other results if it runs before or beside ``earlier``."""
    shares = later.touched & earlier.written or later.written & earlier.touched
    visible = later.work is None or later.written & inputs
    return bool(shares or (earlier.work is None and visible))


@pytest.mark.parametrize("seed", range(200))
def test_what_depends_on_another_task_runs_after_it(seed):
    draw = random.Random(seed)
    owners = range(draw.randint(2, 40))
    tasks = [some_task(draw, owners) for _ in range(draw.randint(1, 40))]
    inputs, room = set(owners[:5]), draw.choice([40, 200, 1000])
    found = bundled(tasks, room, inputs)
    step = {id(t): k for k, together in enumerate(found) for t in together}
    assert len(step) == len(tasks) == sum(map(len, found))
    for k, later in enumerate(tasks):
        for earlier in tasks[:k]:
            if must_wait(later, earlier, inputs):
                assert step[id(earlier)] < step[id(later)]
    for together in (t for t in found if len(t) > 1):
        assert len({t.work.size for t in together}) == 1
        args = {arg for t in together for arg in t.args}
        assert 16 * len(args) + 16 * len(together) <= room


# The numbers ------------------------------------------------------------------------------------


def apart(tasks, room, inputs):
    return [[t] for t in tasks]


def counted(d, call):
    before = driver_of(d).launches
    found = call()
    return driver_of(d).launches - before, found


def some_program(draw):
    """A function of five tensors (8, 6): independent chains, views, and writes to what they share.

    The last two of the tensors share memory with the first one.
    """
    lines = []
    for _ in range(draw.randint(4, 14)):
        kind = draw.choice(["new", "new", "new", "write", "row", "product", "sum", "cat", "host"])
        lines.append((kind, *[draw.randrange(1000) for _ in range(3)], draw.randint(0, 7)))

    def run(*tensors):
        values = list(tensors)
        for kind, i, j, k, row in lines:
            x, y = values[i % len(values)], values[j % len(values)]
            if kind == "new":
                values.append([x.sin() * y, x - y * 0.5, (x * y).tanh(), x.abs() + 1][k % 4])
            elif kind == "write":
                x.mul_(0.5).add_(y.cos())
            elif kind == "row":
                x[row].copy_(y[(row + k) % 8])
            elif kind == "product":
                values.append((x @ y.mT).tanh() @ y * 0.1)
            elif kind == "sum":
                values.append(x - y.softmax(-1) + x.sum(0))
            elif kind == "host":  # it computes complex numbers, here of a view
                values.append(T.complex(x.mT, y.mT).abs().mT + 0)
            else:
                values.append(T.cat([x[:row], y[row:]]))
        return values

    return run


def same_with_and_without(d, seed, monkeypatch):
    """Assert that joined kernels compute what single ones do; returns the launches of both."""
    found = []
    for way in (bundled, apart):
        monkeypatch.setattr(program, "bundled", way)
        draw = random.Random(seed)
        function = T.compile(some_program(draw))
        g = T.Generator().manual_seed(seed)
        base, *others = [T.randn(8, 6, generator=g).to(d) for _ in range(3)]
        tensors = base, *others, base.view(8, 6), base[:, :6]
        function(*tensors)
        launches, values = counted(d, lambda f=function, t=tensors: f(*t))
        found.append((launches, [v.cpu() for v in (*tensors, *values)]))
    (few, joined), (many, single) = found
    for got, want in zip(joined, single, strict=True):
        T.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)
    assert few <= many
    return few, many


@pytest.mark.filterwarnings("ignore:.*has no kernel for the device")
def test_joined_kernels_give_the_numbers_of_single_ones(device, monkeypatch):
    seeds = range(6) if device.type == "opencl" else range(3)
    counts = [same_with_and_without(device, seed, monkeypatch) for seed in seeds]
    assert sum(few for few, _ in counts) < sum(many for _, many in counts)


@pytest.mark.filterwarnings("ignore:.*has no kernel for the device")
@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_more_joined_kernels(device, monkeypatch, part):
    for seed in range(100 + 40 * part, 140 + 40 * part) if device.type == "opencl" else ():
        same_with_and_without(device, seed, monkeypatch)


def test_independent_chains_are_one_launch(device):
    f = T.compile(lambda x, y: (x.sin() + x.cumsum(0), y.cos() * 2, y.exp().sum(0), x.flip(0)))
    x, y = T.arange(6.0, device=device), T.ones(4, 3, device=device)
    f(x, y)
    launches, found = counted(device, lambda: f(x, y))
    for got, want in zip(found, f(x.cpu(), y.cpu()), strict=True):
        T.testing.assert_close(got.cpu(), want)
    assert launches < 4


# The counts -------------------------------------------------------------------------------------


def launches_of(d, model, optimizer, x, y, norm=None):
    """Launches of a step that trains ``model``. The host computes nothing of it."""
    model, x, y = model.to(d), x.to(d), y.to(d)
    optimizer = optimizer(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten())
        loss.backward()
        if norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()
        return loss

    compiled, before = T.compile(step, fullgraph=True), remote_calls.fallbacks.copy()
    for _ in range(2):
        compiled(x, y)
    launches, _ = counted(d, lambda: compiled(x, y))
    assert remote_calls.fallbacks == before
    return launches


@pytest.fixture
def opencl():
    """The first OpenCL device. Networks of these sizes take the interpreter of PTX too long."""
    if not T.opencl.is_available():
        pytest.skip("no OpenCL device")
    T.manual_seed(0)
    return T.device("opencl", 0)


#: Steps of ``benchmarks/steps.py`` → launches, bytes that go to or come from the host, and bytes of
#: the device that are in use between two steps.
COUNTS = {
    "4-8-2, batch 1, SGD": (9, 65, 5120),
    "4-64-64-2, batch 32, Adam": (11, 321, 78848),
    "784-128-10, batch 64, Adam": (9, 321, 1831424),
    "784-1024-1024-10, batch 128, Adam": (11, 321, 30223360),
    "MNIST CNN, batch 64, Adam": (16, 321, 19405312),
    "GPT, 4 layers of width 128, 4 heads, context 64, batch 12, AdamW": (105, 387, 13103104),
    "LSTM 32→64, 32 steps, batch 16, Adam": (236, 321, 479744),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", steps.STEPS)
def test_steps_of_the_benchmarks(opencl, name):
    """The host sends the numbers that depend on the count of steps, and reads the checks' flags."""
    driver, before = driver_of(opencl), remote_calls.fallbacks.copy()
    gc.collect()
    used = driver.allocated
    compiled = T.compile(made_step(T, name, opencl), fullgraph=True)
    for _ in range(3):
        compiled()
    gc.collect()
    found = driver.launches, driver.moved
    compiled()
    launches, moved = driver.launches - found[0], driver.moved - found[1]
    assert (launches, moved, driver.allocated - used) == COUNTS[name]
    assert remote_calls.fallbacks == before


@pytest.mark.slow
def test_launches_of_the_mlp(opencl):
    x, y = T.randn(128, 784), T.randint(0, 10, (128,))
    model = steps.mlp(784, 1024, 1024, 10)(T)
    assert launches_of(opencl, model, T.optim.AdamW, x, y) == 11


@pytest.mark.slow
def test_launches_of_the_cnn(opencl):
    x, y = T.randn(8, 1, 28, 28), T.randint(0, 10, (8,))
    assert launches_of(opencl, steps.mnist_cnn(T), T.optim.Adam, x, y) == 16


@pytest.mark.slow
def test_launches_of_the_gpt(opencl, monkeypatch):
    for name, size in (("LAYERS", 6), ("WIDTH", 384), ("HEADS", 6), ("CONTEXT", 32)):
        monkeypatch.setattr(steps, f"GPT_{name}", size)
    x, y = T.randint(0, 65, (2, 32)), T.randint(0, 65, (2, 32))
    model = steps.gpt(T)
    with opencl:  # the model makes the numbers of its places itself
        assert launches_of(opencl, model, T.optim.AdamW, x, y, norm=1.0) == 149
