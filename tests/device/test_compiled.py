"""Compiled functions of tensors on a device: the same results as on the CPU, without the host."""

import gc
import warnings

import pytest

import rushlight as T
from rushlight import nn
from rushlight.compiler.capture import tracked_memory
from rushlight.device_array import driver_of
from rushlight.ops.core import remote_calls
from rushlight.random import generator_of
from tests.device.cases import Cases, normal

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


def counted(device, call):
    """(launches, bytes that were moved) of a call."""
    driver = driver_of(device)
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


ADAMW = lambda p: T.optim.AdamW(p, lr=1e-2)
#: model, optimizer, shape of the inputs (a number: of words), number of classes
STEPS = {
    "mlp, adamw": (mlp, ADAMW, (8, 20), 10),
    "linear, adamw": (lambda: nn.Linear(20, 10), ADAMW, (8, 20), 10),
    "mlp, sgd": (mlp, lambda p: T.optim.SGD(p, lr=0.05, momentum=0.9), (8, 20), 10),
    "mlp, nadam": (mlp, lambda p: T.optim.NAdam(p, lr=1e-2), (8, 20), 10),
    "mlp, rmsprop": (mlp, lambda p: T.optim.RMSprop(p, lr=1e-3, centered=True), (8, 20), 10),
    "cnn, sgd": (cnn, lambda p: T.optim.SGD(p, lr=0.05, momentum=0.9), (4, 1, 8, 8), 10),
    # The gradient of the keys' bias is 0 but for rounding: a small eps would make steps of it.
    "text, adamw": (Text, lambda p: T.optim.AdamW(p, lr=1e-2, eps=1e-3), 11, 11),
    "gru, adam": (Sequence, lambda p: T.optim.Adam(p, lr=1e-2), (3, 4, 5), 4),
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


@pytest.mark.slow
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
    ("name", "count"),
    [("mlp, adamw", 13), ("cnn, sgd", 14)],
)
def test_a_step_stays_on_the_device(device, name, count):
    before = remote_calls.fallbacks.copy()
    _, _, step, args = training(name, device)
    for _ in range(3):
        loss = step(*args)
    launches, moved = counted(device, lambda: step(*args))
    assert launches == count
    assert moved < 1024  # the optimizer's numbers, and whether the checks of the labels failed
    assert loss.device == device
    assert remote_calls.fallbacks == before


def test_steps_need_no_more_memory(device):
    model, _, step, args = training("linear, adamw", device)
    for _ in range(3):
        step(*args)
    gc.collect()
    driver = driver_of(device)
    before = driver.allocated, driver.reserved
    for _ in range(30):
        step(*args)
    gc.collect()
    assert (driver.allocated, driver.reserved) == before
    assert all(p.grad.device == device for p in model.parameters())


def test_one_function_keeps_a_program_for_each_device(device):
    f = T.compile(lambda x: (x * 2).sum())
    x = T.arange(4.0)
    for d in ("cpu", device, "cpu", device):
        assert f(x.to(d)).device.type == T.device(d).type
        assert f(x.to(d)).item() == 12
    assert f._compiled.count == 2
    assert len(f._compiled.entries) == 2


# One function on the CPU and on the device ---------------------------------------------------

CASES = Cases()
case = CASES.add


def small(d):
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5, affine=False), nn.ReLU(),
                         nn.Linear(5, 2)).to(d)  # fmt: skip


@case
def inference(d):
    model = T.compile(small(d).eval())
    with T.no_grad():
        found = [model(normal(d, n, 3)) for n in (4, 4, 6)]
    with T.inference_mode():
        last = model(normal(d, 4, 3))
    assert last.is_inference()
    return found, last


@case
def backward_outside(d):
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).to(d)
    compiled, optimizer = T.compile(model), T.optim.Adam(model.parameters(), lr=0.1)
    found = []
    for _ in range(3):
        x = normal(d, 4, 3).requires_grad_()
        optimizer.zero_grad()
        loss = compiled(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        found += [loss, x.grad]
    assert loss.grad_fn.next_functions[0][0].name() != ""
    return found, [*model.parameters()]


@case
def several_results(d):
    f, x = T.compile(lambda x: (x.sin(), (x * 2).sum(), x)), normal(d, 3).requires_grad_()
    a, b, c = f(x)
    (a.sum() + b).backward()
    first, x.grad = x.grad, None
    a, b, c = f(x)
    a.sum().backward()  # only one of them has a gradient
    return a, b, c is x, first, x.grad


@case
def views_of_arguments(d):
    f = T.compile(lambda x: (x.t(), x[0], x.view(-1)[2:]))
    x = normal(d, 3, 2)
    for _ in range(2):
        a, b, c = f(x)
    x.zero_()
    b.add_(1)
    return a, b, c, x


@case
def writes_to_arguments(d):
    def function(x, y):
        x.add_(1)
        y[0].mul_(2)
        y[:, 1] = x[0]
        x[x > 1] = 0.5
        return x * y

    f, x, y = T.compile(function), normal(d, 2, 2), normal(d, 2, 2)
    return [f(x, y) for _ in range(3)], x, y


@case
def writes_to_what_is_outside(d):
    w = normal(d, 4, 4)
    part = w[1:3]
    kept = normal(d, 4, 4)

    def function():
        part.add_(1)
        w.mul_(0.5)
        before = kept.clone()
        kept.copy_(w)
        return w.sum(), before

    f = T.compile(function)
    return [f() for _ in range(3)], w, part, kept


@case
def old_values_are_saved(d):
    """The gradient needs what a tensor was before the call wrote to it."""
    w = normal(d, 3)

    def function(x):
        y = x * w.clone()
        w.add_(1)
        return y

    f, x = T.compile(function), normal(d, 3).requires_grad_()
    f(x)
    f(x).sum().backward()
    return x.grad, w


@case
def exchanged_tensors(d):
    a, b = normal(d, 3), normal(d, 3)

    def function():
        before = a.clone()
        a.copy_(b)
        b.copy_(before)

    f = T.compile(function)
    for _ in range(3):
        f()
    return a, b


@case
def numbers_on_the_cpu(d):
    f = T.compile(lambda x, s: x * s + s.sin())
    x = normal(d, 3)
    return [f(x, T.tensor(v, dtype=t)) for v, t in ((2.0, T.float32), (3, T.float64), (4, T.int64))]


@case
def new_tensors(d):
    def function(x):
        a = T.zeros(2, 2, device=x.device) + T.arange(2, device=x.device) + x.new_ones(2)
        return a + T.full_like(x, 3.0)[:2] + T.tensor([1.0, 2.0], device=x.device)

    f = T.compile(function)
    return [f(normal(d, 3)) for _ in range(2)]


@case
def default_device(d):
    f = T.compile(lambda: T.zeros(3) + T.ones(3))
    with T.device(d):
        f(), (a := f())
    b = f()
    assert a.device == T.device(d)
    assert b.device.type == "cpu"
    return a, b


@case
def copies_between_devices(d):
    other, near = normal(d, 3), T.randn(3)

    def function(x):
        other.copy_(x)
        near.copy_(other * 2)
        return (x.to(d) * 2).cpu() + near, x.t().to(d), other.double().cpu()

    f = T.compile(function)
    return [f(T.randn(2, 3)[0]) for _ in range(3)], other, near


@case
def old_values_go_to_the_host(d):
    other, near = normal(d, 3), T.randn(3)
    last = normal(d, 3)

    def function():
        near.copy_(other)
        before = other.to("cpu", copy=True)
        last.copy_(other)
        other.add_(1)
        return before, (last * 2).cpu().sum() + near.sum()

    f = T.compile(function)
    return [f() for _ in range(3)], other, near, last


@case
def gradients_between_devices(d):
    model = nn.Linear(3, 2).to(d)
    f = T.compile(lambda x: model(x.to(d)).sum().cpu() * 2)
    x = T.randn(2, 3, requires_grad=True)
    f(x).backward()
    f(x).backward()
    return x.grad, model.weight.grad


@case
def schedulers_and_clipping(d):
    model = nn.Linear(3, 2).to(d)
    optimizer = T.optim.AdamW(model.parameters(), lr=0.1)
    scheduler = T.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)

    def step(x):
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        return loss, norm

    f = T.compile(step)
    return [f(normal(d, 4, 3)) for _ in range(5)], [*model.parameters()]


@case
def scaled_gradients(d):
    model, scaler = nn.Linear(3, 2).to(d), T.amp.GradScaler("cpu", init_scale=4.0)
    optimizer = T.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        scaler.scale(model(x).pow(2).sum()).backward()

    f = T.compile(step)
    for k in range(4):
        f(normal(d, 4, 3) * (float("inf") if k == 2 else 1))
        scaler.step(optimizer)  # looks at values, as on the CPU
        scaler.update()
    return [*model.parameters()], scaler.get_scale()


@case
def accumulated_gradients(d):
    model = nn.Linear(3, 2).to(d)
    f = T.compile(lambda x: model(x).sum().backward())
    for _ in range(3):
        f(normal(d, 4, 3))
    return model.weight.grad


@case
def gradients_inside(d):
    def function(x):
        (a,) = T.autograd.grad((x**3).sum(), x, create_graph=True)
        return a, *T.autograd.grad(a.sum(), x)

    f, x = T.compile(function), normal(d, 3).requires_grad_()
    return f(x), f(x)


@case
def averages(d):
    model = nn.Linear(3, 2).to(d)
    kept = [p.detach().clone() for p in model.parameters()]

    @T.no_grad()
    def step():
        for k, p in zip(kept, model.parameters(), strict=True):
            k.lerp_(p, 0.1)
            p.mul_(0.9)

    f = T.compile(step)
    for _ in range(3):
        f()
    return kept, [*model.parameters()]


@case
def layouts_and_dtypes(d):
    f = T.compile(lambda x: x @ x.t())
    found = [f(normal(d, 3, 4).t()), f(normal(d, 4, 3)), f(normal(d, 4, 6)[:, ::2])]
    g = T.compile(lambda x: (x // 2, x % 3, x.bool().any(), x.cumsum(0), x.argmax()))
    return found, f(normal(d, 4, 3).half()), f(normal(d, 4, 3).double()), g(T.arange(6).to(d))


@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name, device):
    found = []
    for d in ("cpu", device):
        T.manual_seed(0)
        found.append(CASES[name](d))
    _assert_all_alike(*found[::-1])


def _assert_all_alike(got, want):
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            _assert_all_alike(g, w)
    elif isinstance(want, T.Tensor):
        assert (got.shape, got.dtype, got.stride()) == (want.shape, want.dtype, want.stride())
        assert got.requires_grad == want.requires_grad
        assert_alike(got, want, rtol=1e-3, atol=1e-5)
    else:
        assert got == want


def test_random_numbers_are_those_of_eager_mode(device, monkeypatch):
    for module in (remote_calls, tracked_memory):  # of CUDA's own stream, too
        monkeypatch.setattr(module, "generator_of", generator_of)
    w = normal(device, 3).requires_grad_()

    def function(x):
        more = T.rand(3, device=x.device), T.randn_like(x), T.randint(9, (2,), device=x.device)
        kept = F.dropout(x * w, 0.5)
        return x + more[0], more, kept, T.rand(2), *T.autograd.grad(kept.sum(), w)

    found = []
    for f in (T.compile(function), function):
        T.manual_seed(0)
        found.append([[f(normal(device, 3)) for _ in range(3)], T.rand(2), T.rand(2).to(device)])
    _assert_all_alike(*found)


def test_profilers_see_a_compiled_call(device):
    f = T.compile(lambda x: (x * 2).sum())
    x = normal(device, 3)
    f(x)
    with T.profiler.profile() as profile:
        f(x)
    names = [e.key for e in profile.key_averages()]
    assert names == ["Torch-Compiled Region"]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: T.empty_strided((2, 3), (1, 2), device=x.device).copy_(x),
        lambda x: x.new_empty_strided((2, 3), (1, 2)).copy_(x),
        lambda x: T.empty_permuted((2, 3), (1, 0), device=x.device).copy_(x),
        lambda x: T.empty_like(x.t()).copy_(x.t()),
        lambda x: T.zeros_like(x.t()).add_(x.t()),
        lambda x: T.full_like(x.t(), 3.0).mul_(x.t()),
        lambda x: T.tensor([1.0, 2.0], device=x.device).add_(x[0, 0]),
        lambda x: T.as_tensor([1.0, 2.0], device=x.device).add_(x[0, 0]),
    ],
)
def test_each_call_makes_tensors_of_its_own(make, device):
    for d in (T.device("cpu"), device):
        x, compiled = T.arange(6.0).reshape(2, 3).to(d), T.compile(make, fullgraph=True)
        found = [compiled(x + k) for k in range(3)]
        _assert_all_alike(found, [make(x + k) for k in range(3)])


# What a program cannot do -----------------------------------------------------------------


def test_a_missing_kernel_leaves_the_rest_to_the_device(device, monkeypatch):
    def function(x):
        return T.linalg.ldl_factor_ex(x * 2)[0].sum() + x.sum()

    f, x = T.compile(function), normal(device, 3, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first call of the host warns
        f(x)
    before = remote_calls.fallbacks["linalg_ldl_factor_ex"]
    launches, _ = counted(device, lambda: assert_alike(f(x), function(x.cpu())))
    assert launches >= 2
    assert remote_calls.fallbacks["linalg_ldl_factor_ex"] == before + 1
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    with pytest.raises(RuntimeError, match="linalg_ldl_factor_ex: no kernel for a device"):
        f(x)


def test_a_failed_check_raises_the_error_and_changes_nothing(device):
    model, optimizer, step, (x, y) = training("mlp, adamw", device)
    for _ in range(2):
        step(x, y)
    before = [v.clone() for v in model.state_dict().values()]
    wrong = y.clone()
    wrong[3] = 10
    with pytest.raises(IndexError, match="Target 10 is out of bounds"):
        step(x, wrong)
    for got, want in zip(model.state_dict().values(), before, strict=True):
        assert_alike(got, want, rtol=0, atol=0)
    assert all(own["step"] == 2 for own in optimizer.state.values())
    step(x, y)
    assert all(own["step"] == 3 for own in optimizer.state.values())


def test_checks_look_at_the_numbers_that_the_program_draws(device):
    """Also where numbers that no check needs are drawn first: they move the generator."""

    def f(x):
        first = T.rand(3, 5, device=x.device)
        return x[T.randint(0, 5, (2,), device=x.device)] + first.sum()

    compiled, x = T.compile(f, fullgraph=True), T.ones(3, 5, device=device)
    outcomes = []
    for call in (f, compiled):
        outcomes.append("")
        for seed in range(6):
            T.manual_seed(seed)
            try:
                outcomes[-1] += f"{call(x)[0, 0].item():.4f} "
            except IndexError:
                outcomes[-1] += "IndexError "
    assert outcomes[0] == outcomes[1]
    assert "IndexError" in outcomes[0] and "." in outcomes[0]


def test_tensors_of_two_devices_are_the_eager_error(device):
    x, y = normal(device, 3), T.randn(3)
    for given in ((x, y), (y, x)):
        with pytest.raises(RuntimeError) as eager:
            T.add(*given)
        with pytest.raises(RuntimeError) as compiled:
            T.compile(lambda a, b: T.add(a, b))(*given)
        assert str(compiled.value) == str(eager.value)
        assert "Expected all tensors to be on the same device" in str(eager.value)


def test_shapes_that_depend_on_values_run_eagerly(device):
    f, x = T.compile(lambda x: x[x > 0].sum()), T.tensor([1.0, -1.0, 2.0]).to(device)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert f(x).item() == 3
    assert "running eagerly" in str(caught[0].message)
    assert "shape depends on values" in str(caught[0].message)


def test_explain_names_the_device_and_its_launches(device):
    _, _, step, args = training("mlp, adamw", device)
    step(*args)
    found = T.compiler.explain(step)(*args)
    assert found.launches == counted(device, lambda: step(*args))[0]
    assert found.devices == [f"{device} ({driver_of(device).name})"]
    assert f"On {found.devices[0]}: {found.launches} launches, " in str(found)
    assert f"args[0] is on {device}" in found.guards
    assert "4 work-groups, of 2 kernels in one launch" in str(found)
    # Some kernels compute on the host, from the number of steps.
    assert len([k for k in found.kernels if k.seconds > 1e-6]) >= found.launches
    with pytest.raises(RuntimeError, match=f"the code of programs on {device}"):
        found.llvm  # noqa: B018


def test_explain_gives_each_code_a_name(device):
    """Those of the checks of values, too, which run first."""
    table, places = normal(device, 4, 3), T.tensor([1, 2], device=device)
    found = T.compiler.explain(lambda i: F.embedding(i, table).sin())(places)
    names = [k.name for k in found.kernels]
    assert len(names) == 2 and len({*names}) == 2


def test_vmap_indexes_a_tensor_from_outside(device):
    x, places = T.arange(20.0), T.tensor([3, 0, 19, 3])
    far, there = x.to(device), places.to(device)
    assert_alike(T.vmap(lambda i: far[i])(there), x[places])
    assert_alike(T.compile(T.vmap(lambda i: far[i] * 2))(there), x[places] * 2)


def test_comparisons_of_tensors_on_a_device_say_what_differs(device):
    x = T.ones(3, device=device)
    with pytest.raises(AssertionError, match="Mismatched elements: 3 / 3"):
        T.testing.assert_close(x, x * 2)
