"""Compiled functions of tensors on a device: the same results as on the CPU, without the host."""

import gc
import warnings

import pytest

import rushlight as T
from rushlight import nn
from rushlight.backend import opencl

F = nn.functional


@pytest.fixture(autouse=True)
def strict():
    """A warning, such as that a call runs eagerly, is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def assert_alike(got, want, **tolerances):
    T.testing.assert_close(T.as_tensor(got).detach().cpu(), T.as_tensor(want).detach().cpu(),
                           **tolerances)  # fmt: skip


def counted(call):
    """(launches, bytes that were moved) of a call."""
    driver = opencl.devices()[0]
    launches, moved = driver.launches, driver.moved
    call()
    return driver.launches - launches, driver.moved - moved


# Whole steps of training ------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.wide = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        n, t, d = x.shape
        parts = self.qkv(self.before(x)).split(d, 2)
        q, k, v = [p.view(n, t, self.heads, d // self.heads).transpose(1, 2) for p in parts]
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, t, d))
        return x + self.wide(self.between(x))


class Text(nn.Module):
    def __init__(self, words=11, d=8, length=6):
        super().__init__()
        self.words, self.places = nn.Embedding(words, d), nn.Embedding(length, d)
        self.block, self.norm, self.head = Block(d, 2), nn.LayerNorm(d), nn.Linear(d, words)

    def forward(self, i):
        places = self.places(T.arange(i.shape[1], device=i.device))
        return self.head(self.norm(self.block(self.words(i) + places))).flatten(0, 1)


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(5, 6, batch_first=True), nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def mlp():
    return nn.Sequential(nn.Linear(20, 32), nn.GELU(), nn.Linear(32, 32), nn.LayerNorm(32),
                         nn.Tanh(), nn.Linear(32, 10))  # fmt: skip


def cnn():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 16, 10))  # fmt: skip


def dropping():
    return nn.Sequential(nn.Linear(20, 16), nn.Dropout(0.4), nn.ReLU(), nn.Linear(16, 10))


ADAMW = lambda p: T.optim.AdamW(p, lr=1e-2)
#: model, optimizer, shape of the inputs (a number: of words), number of classes
STEPS = {
    "mlp, adamw": (mlp, ADAMW, (8, 20), 10),
    "mlp, sgd": (mlp, lambda p: T.optim.SGD(p, lr=0.05, momentum=0.9), (8, 20), 10),
    "mlp, nadam": (mlp, lambda p: T.optim.NAdam(p, lr=1e-2), (8, 20), 10),
    "mlp, rmsprop": (mlp, lambda p: T.optim.RMSprop(p, lr=1e-3, centered=True), (8, 20), 10),
    "cnn, sgd": (cnn, lambda p: T.optim.SGD(p, lr=0.05, momentum=0.9), (4, 1, 8, 8), 10),
    # The gradient of the keys' bias is 0 but for rounding: a small eps would make steps of it.
    "text, adamw": (Text, lambda p: T.optim.AdamW(p, lr=1e-2, eps=1e-3), 11, 11),
    "gru, adam": (Sequence, lambda p: T.optim.Adam(p, lr=1e-2), (3, 4, 5), 4),
    "dropout, adam": (dropping, lambda p: T.optim.Adam(p, lr=1e-2), (8, 20), 10),
}


def training(name, d, **options):
    """(model, optimizer, compiled step, arguments) on the device ``d``, from one seed."""
    T.manual_seed(0)
    make, optimizer, shape, classes = STEPS[name]
    model = make().to(d)
    x = T.randn(shape) if type(shape) is tuple else T.randint(0, shape, (2, 6))
    y = T.randint(0, classes, (x.shape[0] if type(shape) is tuple else 12,))
    optimizer = optimizer(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, T.compile(step, **options), (x.to(d), y.to(d))


@pytest.mark.parametrize("name", STEPS)
def test_losses_of_steps_are_the_cpus(device, name):
    found = []
    for d in ("cpu", device):
        model, optimizer, step, args = training(name, d, fullgraph=True)
        losses = T.stack([step(*args).cpu() for _ in range(5)])
        state = optimizer.state_dict()["state"]
        values = [v for own in state.values() for v in own.values() if isinstance(v, T.Tensor)]
        found.append([losses, *[v.cpu() for v in (*model.state_dict().values(), *values)]])
    for got, want in zip(*found, strict=True):
        assert_alike(got, want, rtol=1e-3, atol=1e-4)
    assert found[0][0][0] > found[0][0][-1]


@pytest.mark.parametrize(
    ("name", "most"),
    [("mlp, adamw", 18), ("cnn, sgd", 16)],
)
def test_a_step_stays_on_the_device(device, name, most):
    _, _, step, args = training(name, device)
    for _ in range(3):
        loss = step(*args)
    launches, moved = counted(lambda: step(*args))
    assert launches <= most
    assert moved < 1024  # the optimizer's numbers, and whether the checks of the labels failed
    assert loss.device == device
    assert not T.opencl.fallbacks()


def test_steps_need_no_more_memory(device):
    model, _, step, args = training("mlp, adamw", device)
    for _ in range(3):
        step(*args)
    gc.collect()
    before = T.opencl.memory_allocated(device), T.opencl.memory_reserved(device)
    for _ in range(30):
        step(*args)
    gc.collect()
    assert (T.opencl.memory_allocated(device), T.opencl.memory_reserved(device)) == before
    assert all(p.grad.device == device for p in model.parameters())


def test_one_function_keeps_a_program_for_each_device(device):
    f = T.compile(lambda x: (x * 2).sum())
    x = T.arange(4.0)
    for d in ("cpu", device, "cpu", device):
        assert f(x.to(d)).device.type == T.device(d).type
        assert f(x.to(d)).item() == 12
    assert f._compiled.count == 2
    assert len(f._compiled.entries) == 2
