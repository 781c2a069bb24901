"""What programs do with tensors, on a device as on the CPU."""

import copy
import gc
import io
import math
import pickle
import warnings

import pytest

import rushlight as T
from rushlight import nn
from rushlight.device_array import driver_of
from rushlight.ops.core.definition import OPS
from tests.daily import daily
from tests.device.cases import Cases, normal
from tests.device.shapes_of_windows import convolutions, poolings

F = nn.functional
CASES = Cases()
case = CASES.add


def on_cpu(x):
    """The values in a result, as lists of tensors on the CPU."""
    if isinstance(x, T.Tensor):
        x = x.detach().cpu()
        return T.view_as_real(x) if x.is_complex() else x
    return [on_cpu(y) for y in x] if isinstance(x, (list, tuple)) else x


def assert_alike(got, want):
    if isinstance(want, T.Tensor):
        T.testing.assert_close(got, want, rtol=1e-3, atol=1e-3, equal_nan=True)
    elif isinstance(want, list):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            assert_alike(g, w)
    else:
        assert got == want


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Views and writes -------------------------------------------------------------------------


@case
def views_share_memory(d):
    x = T.zeros(4, device=d)
    y = x[1:3]
    y.add_(1)
    x.mul_(2)
    a, b = x.split(2)
    a += 1
    b.sub_(2)
    return x, y, a.reshape(-1)


@case
def writes_to_views(d):
    x = T.arange(6.0, device=d)
    x[1:].copy_(x[:-1].clone())
    y = T.arange(6.0, device=d).view(2, 3)
    y.t()[0] = 7.0
    y[T.tensor([0]), T.tensor([1])] = 5.0
    y[y > 6] = 0.0
    return x, y


@case
def gradients_through_writes(d):
    x = normal(d, 3, 3).requires_grad_()
    y = x * 2
    y[0] = 0.0
    y[:, 1].mul_(3)
    y.sum().backward()
    return x.grad


@case
def out_and_resize(d):
    out = T.empty(0, device=d)
    T.mm(T.ones(3, 2, device=d), T.ones(2, 2, device=d), out=out)
    x = T.ones(3, device=d)
    x.resize_(2, 2)
    return out, x.shape, x[0]


@case
def copies_between_devices(d):
    x, y = T.zeros(3, device=d), T.zeros(3)
    x.copy_(T.ones(3))
    y.copy_(x * 2)
    leaf = T.ones(3, requires_grad=True)
    (leaf.to(d) * 2).to("cpu").sum().backward()
    return x, y, leaf.grad


# Files and copies ---------------------------------------------------------------------------


def _saved(module, **options):
    file = io.BytesIO()
    T.save(module.state_dict(), file)
    file.seek(0)
    return T.load(file, **options)


@case
def files(d):
    m = nn.Linear(3, 2).to(d)
    same, near = _saved(m), _saved(m, map_location="cpu")
    far = _saved(nn.Linear(3, 2), map_location=d)
    places = [{v.device == p.device for v, p in zip(s.values(), m.parameters(), strict=True)}
              for s in (same, far)]  # fmt: skip
    return places, [[*s.values()] for s in (same, near, far)]


@case
def safetensors(d):
    from rushlight.serialization.safetensors import load, save

    return load(save({"x": normal(d, 3), "y": normal(d, 2).to("cpu")}))["x"]


@case
def copies(d):
    m = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to(d)
    other = copy.deepcopy(m)
    other[0].weight.data.zero_()
    x = normal(d, 3, 2).t()
    again = pickle.loads(pickle.dumps(x))
    return [*m.parameters()], [*other.parameters()], again, again.device == x.device


@case
def storages(d):
    x = normal(d, 3, 2)
    return x.untyped_storage().nbytes(), x[1:].storage_offset(), x[1].data_ptr() != x.data_ptr()


@case
def elements(d):
    x = normal(d, 1)
    return (x.item(), float(x), x.tolist(), bool(x > 0), x.cpu().numpy().tolist(),
            x.numpy(force=True).tolist(), [v.item() for v in normal(d, 3)], f"{x[0]:.2f}")  # fmt: skip


# Training -----------------------------------------------------------------------------------


def _network(kind, d):
    if kind == "dense":
        return nn.Sequential(nn.Linear(20, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 10)), (
            T.randn(32, 20)
        )  # fmt: skip
    if kind == "images":
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, 10),
        ), T.randn(32, 1, 8, 8)  # fmt: skip
    layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
    return nn.Sequential(nn.Embedding(10, 32), layer, nn.Flatten(), nn.Linear(160, 10)), (
        T.randint(0, 10, (32, 5))
    )  # fmt: skip


def _trained(d, kind, optimizer, **options):
    model, x = _network(kind, d)
    model, x, y = model.to(d), x.to(d), T.randint(0, 10, (32,)).to(d)
    o = getattr(T.optim, optimizer)(model.parameters(), **options)
    losses = []
    for _ in range(4):
        o.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        o.step()
        losses.append(loss.detach())
    return losses, [*model.parameters()]


for _kind in ("dense", "images", "sequences"):
    # The gradient of the keys' bias is 0 but for rounding: a small eps would make steps of it.
    CASES[f"training, {_kind}"] = lambda d, kind=_kind: _trained(
        d, kind, "AdamW", lr=1e-2, eps=1e-3
    )
for _name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD"):
    CASES[f"training, {_name}"] = lambda d, name=_name: _trained(d, "dense", name, lr=1e-2)


@case
def lbfgs(d):
    m, x = nn.Linear(3, 2).to(d), normal(d, 4, 3)
    o = T.optim.LBFGS(m.parameters(), lr=0.1)

    def closure():
        o.zero_grad()
        loss = m(x).pow(2).sum()
        loss.backward()
        return loss

    return [o.step(closure).detach() for _ in range(3)], [*m.parameters()]


@case
def scaled_gradients(d):
    s, m = T.amp.GradScaler("cpu"), nn.Linear(3, 2).to(d)
    o = T.optim.SGD(m.parameters(), lr=0.1)
    s.scale(m(normal(d, 4, 3)).sum()).backward()
    s.step(o)
    s.update()
    return [*m.parameters()]


@case
def autocast(d):
    m = nn.Linear(3, 2).to(d)
    with T.autocast(T.device(d).type, dtype=T.bfloat16):
        return m(normal(d, 4, 3))


@case
def recurrent(d):
    m = nn.GRU(3, 4, 2, bidirectional=True).to(d)
    y, h = m(normal(d, 5, 2, 3))
    y.sum().backward()
    return y, h, [p.grad for p in m.parameters()]


@case
def dropout_between_layers(d):
    m = nn.LSTM(3, 4, 2, dropout=0.5).to(d)
    return m(normal(d, 5, 2, 3))[0]


@case
def tied_weights(d):
    m = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    m[1].weight = m[0].weight
    o = T.optim.SGD(m.parameters(), lr=0.1)  # made before the move
    m.to(d)
    m(T.arange(5, device=d)).pow(2).sum().backward()
    o.step()
    return len([*m.parameters()]), m[1].weight is m[0].weight, m[0].weight


@case
def transforms(d):
    f, x = lambda x: (x**2).sum(), normal(d, 3)
    return (T.func.grad(f)(x), T.func.vmap(lambda v: v * 2)(x), T.func.jacrev(f)(x),
            T.func.jvp(f, (x,), (T.ones(3, device=d),)), T.func.hessian(lambda x: (x**3).sum())(x),
            T.func.vmap(lambda v: T.zeros(2, device=d) + v)(x))  # fmt: skip


@case
def compiled_functions_run_eagerly(d):
    f, x = T.compile(lambda x: (x * 2).sin().sum()), normal(d, 3)
    return f(x), f(x)


@case
def distributions(d):
    n = T.distributions.Normal(T.zeros(3, device=d), T.ones(3, device=d))
    return n.log_prob(T.ones(3, device=d)), n.sample().device == n.mean.device


@case
def new_tensors(d):
    x = normal(d, 3)
    with T.device(d):
        made = [T.zeros(2), T.tensor([1.0]), nn.Linear(2, 2).weight]
    made += [T.zeros_like(x), x.new_tensor([1.0]), T.rand(2, device=d), T.arange(3, device=d)]
    return {t.device == x.device for t in made}, made[0]


@case
def angles(d):
    x = T.tensor([0.0, 1.0, -2.0, 1e5, 3e7, math.inf, math.nan]).to(d)
    return x.sin(), x.cos(), x.tan()


@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name, device):
    found = []
    for d in ("cpu", device.type):
        T.manual_seed(0)
        found.append(on_cpu(CASES[name](d)))
    assert_alike(found[1], found[0])


# Windows ------------------------------------------------------------------------------------


def _with_gradients(call, d, *given):
    xs = [t.to(d).detach().requires_grad_() for t in given]
    y = call(*xs)
    weights = T.arange(y.numel(), dtype=y.dtype).cos().view(y.shape).to(d)
    (y * weights).sum().backward()
    return [y, *[x.grad for x in xs]]


@pytest.mark.parametrize(
    ("name", "call", "given"), daily([*convolutions(), *poolings()], 25, "windows")
)
def test_windows(name, call, given, device, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    near, far = [on_cpu(_with_gradients(call, d, *given)) for d in ("cpu", device.type)]
    assert_alike(far, near)


# What is particular to devices ----------------------------------------------------------------


def test_errors(device):
    x = T.ones(3, device=device)
    with pytest.raises(RuntimeError, match=f"at least two devices, {device} and cpu"):
        x + T.ones(3)
    with pytest.raises(TypeError, match=f"can't convert {device} device type tensor to numpy"):
        x.numpy()
    with pytest.raises(RuntimeError, match="there is no such device"):
        T.ones(3, device=f"{device.type}:99")
    with pytest.raises(IndexError):
        x[T.tensor([7], device=device)]
    for bad in (-4, 10**6, 10**12):  # none of them is read, or written, before it is checked
        i = T.tensor([bad], device=device)
        for call in (
            lambda i: x[i], lambda i: x.gather(0, i), lambda i: x.scatter(0, i, 1.0),
            lambda i: F.embedding(i, x[:, None]), lambda i: x.index_add(0, i, x[:1]),
        ):  # fmt: skip
            with pytest.raises((IndexError, RuntimeError), match=r"ind|out of"):
                call(i)
    with pytest.raises(RuntimeError, match=r"out of memory|too large"):
        T.empty(1 << 45, device=device)
    assert (x + 1).tolist() == [2.0, 2.0, 2.0]


def test_a_bug_in_a_rule_is_no_fallback(device, monkeypatch):
    """Only what says that a kernel cannot do it leads to the host."""

    def rule(x, dim):
        return x + len(None)

    monkeypatch.setattr(OPS["sort"], "far_lowering", (rule, ("x", "dim")))
    with pytest.raises(TypeError, match="NoneType"):
        T.ones(3, 7, device=device).sort(1)


def test_a_call_without_a_kernel_is_counted(device, monkeypatch):
    x = T.eye(2, device=device)
    before = getattr(T, device.type).fallbacks().get("linalg_ldl_factor_ex", 0)
    assert T.linalg.ldl_factor_ex(x).LD.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert getattr(T, device.type).fallbacks()["linalg_ldl_factor_ex"] == before + 1
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    with pytest.raises(RuntimeError, match="linalg_ldl_factor_ex: no kernel"):
        T.linalg.ldl_factor_ex(x)


def test_a_step_takes_no_new_memory(device):
    m, x = nn.Linear(8, 8).to(device), T.randn(4, 8, device=device)
    o = T.optim.Adam(m.parameters())

    def step():
        o.zero_grad()
        m(x).pow(2).sum().backward()
        o.step()

    for _ in range(25):  # a program takes the later steps of the optimizer
        step()
    gc.collect()  # else the garbage of other tests may be freed meanwhile
    used, kept = (
        getattr(T, device.type).memory_allocated(),
        getattr(T, device.type).memory_reserved(),
    )
    for _ in range(20):
        step()
    assert (
        getattr(T, device.type).memory_allocated(),
        getattr(T, device.type).memory_reserved(),
    ) == (used, kept)


def test_numbers_that_change_need_no_new_kernel(device):
    x = T.ones(4, device=device)
    _ = x * 0.123
    driver = driver_of(device)
    built = driver.built
    assert [(x * n).tolist()[0] for n in (0.25, 0.377)] == pytest.approx([0.25, 0.377])
    assert driver.built <= built + 1  # simple numbers are parts of the code


def test_integers_of_odd_widths_are_refused():
    pytest.importorskip("llvmlite")
    from rushlight.compiler.device import language, spirv

    with pytest.raises(language.NoCode, match="128 bits"):
        spirv._check("%x = add i128 %y, 1")


def test_hundreds_of_tensors_share_what_was_freed(device):
    before = getattr(T, device.type).memory_reserved()
    for n in range(1, 300):
        T.zeros(n, device=device)
    assert getattr(T, device.type).memory_reserved() - before < 64 << 10


def test_rules_of_backward_make_tensors_where_the_gradient_is(device):
    """A loss is copied to the host before backward; the rules' own constants lie on the device."""
    x = T.randn(4, 5)

    def gradient(d):
        given = x.to(d).requires_grad_()
        labels = T.tensor([1, 2, 0, 1], device=d)
        loss = F.cross_entropy(given, labels) + F.multi_margin_loss(given.sin(), labels)
        (g,) = T.autograd.grad(loss.cpu(), given, create_graph=True)
        g.square().sum().cpu().backward()
        return given.grad.cpu()

    T.testing.assert_close(gradient(device), gradient("cpu"), rtol=1e-4, atol=1e-6)


def test_hooks_and_custom_functions_make_tensors_where_the_program_does(device):
    class Twice(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            seen.append(T.zeros(1).device.type)
            return g * 2

    for d in ("cpu", device.type):
        seen: list = []
        x = T.ones(3, device=device, requires_grad=True)
        y = x.sin()
        y.register_hook(lambda g, seen=seen: seen.append(T.zeros(1).device.type))
        with T.device(d):
            Twice.apply(y).sum().backward()
        assert seen == [d, d]


def test_writes_of_no_rows(device, monkeypatch):
    """A mask that marks nothing, and indices without elements, need no host."""
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    for d in ("cpu", device):
        x = T.arange(6.0).reshape(3, 2).to(d)
        x[x[:, 0] < 0] = x[x[:, 0] < 0] * 2
        x.index_put_((T.empty(0, dtype=T.int64, device=d),), T.empty(0, 2, device=d))
        assert x.flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_writes_in_half_precision_need_no_host(device):
    """The kind of bfloat16 is not that of a float to NumPy."""
    driver = driver_of(device)
    for dtype in (T.float16, T.bfloat16, T.complex64):
        x = T.ones(4, 4, dtype=dtype, device=device)
        before = driver.moved
        x[1] = x[0] * 2
        x[:, 1] = x[:, 2].clone()
        assert driver.moved == before
        assert (
            x.real.float().sum().item() == 20 if dtype.is_complex else x.float().sum().item() == 20
        )


def test_images_of_bytes_are_resized_on_the_device(device, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    x = T.randint(0, 256, (1, 3, 9, 12), dtype=T.uint8)
    for mode, antialias in (("bilinear", True), ("bicubic", True), ("bilinear", False)):
        for size in ((5, 7), (13, 12)):
            resize = lambda t, m=mode, a=antialias, s=size: F.interpolate(t, s, mode=m, antialias=a)
            assert resize(x.to(device)).cpu().equal(resize(x))
