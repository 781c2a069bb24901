"""The device ``meta``: tensors with a shape and without elements."""

import copy
import gc
import io
import pickle
import warnings

import pytest

import rushlight as torch
from rushlight.autograd import mode
from rushlight.meta import MetaArray
from rushlight.ops.core import inference
from tests import conformance as c
from tests.daily import daily
from tests.samples import SAMPLES

nn = torch.nn


def meta(*shape, framework=torch, **options):
    return framework.empty(*shape, device="meta", **options)


def told(result):
    """What a tensor on any device tells: shape, dtype, strides and device."""
    return [
        (tuple(t.shape), str(t.dtype), tuple(t.stride()), str(t.device))
        if hasattr(t, "dtype")
        else t
        for t in c.flat(result)
    ]


def answer(framework, call):
    """What ``call(framework)`` tells, or the builtin type and the text of its error."""
    try:
        return told(call(framework))
    except Exception as error:
        kind = next(k for k in type(error).__mro__ if k.__module__ == "builtins")
        return kind, str(error)


# As PyTorch ------------------------------------------------------------------------------


MADE = {
    "empty": lambda t: t.empty(2, 3, device="meta"),
    "no memory": lambda t: t.empty(10**12, device="meta"),
    "zeros": lambda t: t.zeros((2, 3), dtype=t.int64, device="meta"),
    "index of the device": lambda t: t.ones(2, device=t.device("meta", 0)),
    "full": lambda t: t.full((2,), 3, device="meta"),
    "arange": lambda t: t.arange(10**12, device="meta"),
    "linspace": lambda t: t.linspace(0, 1, 5, device="meta"),
    "eye": lambda t: t.eye(10**6, device="meta"),
    "tensor": lambda t: t.tensor([[1, 2], [3, 4]], device="meta"),
    "as_tensor": lambda t: t.as_tensor([1.0], device="meta"),
    "as_tensor of a tensor": lambda t: t.as_tensor(t.ones(3), device="meta"),
    "asarray": lambda t: t.asarray([1.0], device="meta"),
    "randn": lambda t: t.randn(10**12, device="meta"),
    "randint": lambda t: t.randint(5, (3,), device="meta"),
    "randperm": lambda t: t.randperm(10**12, device="meta"),
    "empty_strided": lambda t: t.empty_strided((2, 3), (1, 5), device="meta"),
    "hann_window": lambda t: t.hann_window(8, device="meta"),
    "tril_indices": lambda t: t.tril_indices(3, 4, device="meta"),
    "fftfreq": lambda t: t.fft.fftfreq(4, device="meta"),
    "scalar_tensor": lambda t: t.scalar_tensor(3.0, device="meta"),
    "empty_like": lambda t: t.empty_like(t.ones(3, 4).t(), device="meta"),
    "zeros_like": lambda t: t.zeros_like(t.empty(3, 4, device="meta").t()),
    "rand_like": lambda t: t.rand_like(t.ones(3), device="meta"),
    "like, on the CPU": lambda t: t.zeros_like(t.empty(2, device="meta"), device="cpu"),
    "new_zeros": lambda t: t.empty(2, device="meta").new_zeros(3, 4),
    "new_tensor": lambda t: t.empty(2, device="meta").new_tensor([1.0]),
    "new_ones elsewhere": lambda t: t.empty(2, device="meta").new_ones(3, device="cpu"),
    "to": lambda t: t.ones(2, 3).t().to("meta"),
    "to with a dtype": lambda t: t.ones(2, 3).to("meta", t.float64),
    "to another": lambda t: t.ones(2).to(t.empty(1, dtype=t.float64, device="meta")),
    "type": lambda t: t.empty(1, device="meta").type(),
}
ERRORS = {
    "item": lambda t: t.empty(1, device="meta").item(),
    "item of many": lambda t: t.empty(2, device="meta").item(),
    "tolist": lambda t: t.empty(1, device="meta").tolist(),
    "bool": lambda t: bool(t.empty(1, device="meta")),
    "bool of many": lambda t: bool(t.empty(2, device="meta")),
    "int": lambda t: int(t.empty(1, device="meta")),
    "float": lambda t: float(t.empty(1, device="meta")),
    "contains": lambda t: 1.0 in t.empty(2, device="meta"),
    "numpy": lambda t: t.empty(1, device="meta").numpy(),
    "cpu": lambda t: t.empty(1, device="meta").cpu(),
    "to the CPU": lambda t: t.empty(1, device="meta").to("cpu"),
    "copy_": lambda t: t.ones(2).copy_(t.empty(2, device="meta")),
    "setitem": lambda t: t.ones(2).__setitem__(0, t.empty((), device="meta")),
    "nonzero": lambda t: t.empty(2, device="meta").nonzero(),
    "unique": lambda t: t.unique(t.empty(2, device="meta")),
    "masked_select": lambda t: (lambda m: m[m > 0])(t.empty(2, device="meta")),
    "bincount": lambda t: t.bincount(t.empty(2, dtype=t.int64, device="meta")),
    "one_hot": lambda t: t.nn.functional.one_hot(t.empty(2, dtype=t.int64, device="meta")),
    "add of the CPU's": lambda t: t.empty(2, device="meta") + t.ones(2),
    "add to the CPU's": lambda t: t.ones(2) + t.empty(2, device="meta"),
    "cat": lambda t: t.cat([t.empty(2, device="meta"), t.ones(2)]),
    "set_": lambda t: t.empty(2, device="meta").set_(t.ones(2)),
    "set_data": lambda t: setattr(t.empty(2, device="meta"), "data", t.ones(2)),
    "dlpack": lambda t: t.empty(2, device="meta").__dlpack__(),
    "backward": lambda t: t.ones(2, requires_grad=True).to("meta").sum().backward(),
    "Module.to": lambda t: t.nn.Linear(2, 2, device="meta").to("cpu"),
    "skip_init": lambda t: t.nn.utils.skip_init(t.nn.ReLU),
    "set_printoptions": lambda t: t.empty(2, device="meta").tolist(),
}
WORKING = {
    "0-dim tensor of the CPU": lambda t: t.empty(2, device="meta") + t.ones(()),
    "product with the CPU's": lambda t: t.empty(2, 3, device="meta") @ t.ones(3, 2),
    "index of the CPU's": lambda t: t.empty(5, 3, device="meta")[t.tensor([0, 2])],
    "copy_ to it": lambda t: t.empty(2, device="meta").copy_(t.ones(2)),
    "storage": lambda t: (lambda s: (s.nbytes(), s.data_ptr(), repr(s)))(
        t.empty(2, 3, device="meta")[1:].untyped_storage()
    ),
    "offset": lambda t: t.empty(2, 3, device="meta")[1:, 1:].storage_offset(),
    "data_ptr": lambda t: t.empty(2, 3, device="meta")[1:].data_ptr(),
    "is_meta": lambda t: (t.empty(1, device="meta").is_meta, t.empty(1, device="meta").is_cpu),
    "resize_": lambda t: t.empty(2, device="meta").resize_(3, 4),
    "in place": lambda t: t.empty(2, 3, device="meta").add_(1).mul_(t.tensor(2.0)).exp_().t_(),
    "in place at random": lambda t: t.empty(2, 3, device="meta").normal_(),
    "out": lambda t: t.add(
        t.empty(2, device="meta"), t.empty(2, device="meta"), out=t.empty(2, device="meta")
    ),
    "iteration": lambda t: list(t.empty(2, 3, device="meta")),
    "deepcopy": lambda t: copy.deepcopy(t.empty(3, 2, device="meta").t()),
    "pickle": lambda t: pickle.loads(pickle.dumps(t.empty(3, 2, device="meta").t())),
    "repr": lambda t: repr(t.empty(2, 3, device="meta", requires_grad=True)),
    "repr of integers": lambda t: repr(t.empty(0, device="meta", dtype=t.int64)),
    "format": lambda t: f"{t.empty((), device='meta')}",
    "complex": lambda t: t.view_as_real(t.empty(2, 3, dtype=t.complex64, device="meta")),
    "bytes": lambda t: t.empty(2, 4, device="meta").view(t.int64),
    "as_strided": lambda t: t.empty(6, device="meta").as_strided((2, 2), (3, 1), 1),
    "max": lambda t: t.empty(10**5, 10**7, device="meta").max(1),
    "view": lambda t: (t.empty(10**12, device="meta") + 1).view(10**6, 10**6).t()[5:, ::2],
    "clip_grad_norm_": lambda t: t.nn.utils.clip_grad_norm_(
        t.nn.Linear(2, 2, device="meta").parameters(), 1.0
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*MADE, *ERRORS, *WORKING])
def test_as_pytorch(name):
    peer = pytest.importorskip("torch")
    call = {**MADE, **ERRORS, **WORKING}[name]
    got, want = answer(torch, call), answer(peer, call)
    if name not in ERRORS:
        assert got == want
        return
    assert got[0] is want[0] or (got[0], want[0]) == (NotImplementedError, RuntimeError), got
    words = want[1].split(" This ")[0].split("You may")[0].split("\n")[0]
    own = ("nonzero", "unique", "masked_select")  # PyTorch tells of its registrations
    own += ("setitem", "add to the CPU's")  # PyTorch's operation writes nothing, in silence
    assert name in own or words[:40] in got[1] or got[1][:40] in words


def test_ones_that_pytorch_lets_pass():
    """Writes of tensors without elements into the CPU's memory: PyTorch leaves it as it is."""
    x = torch.ones(2, 3)
    for write in (
        lambda: x.add_(meta(2, 3)),
        lambda: x.__setitem__(0, meta(3)),
        lambda: torch.add(meta(2, 3), 1, out=x),
    ):
        with pytest.raises(RuntimeError):
            write()
    assert torch.equal(x, torch.ones(2, 3))


def big(shape, t, dtype="float32"):
    return t.empty(shape, device="meta", dtype=getattr(t, dtype))


N = 10**6
LARGE = {
    "softmax": lambda t: big((N, N), t).softmax(-1),
    "sort": lambda t: big((N, N), t).sort(),
    "topk": lambda t: big((N, N), t).topk(50),
    "topk as large as another dim": lambda t: big((1000, 5000), t).topk(1000),
    "cumsum": lambda t: big((N, N), t, "int32").cumsum(0),
    "argmax": lambda t: big((N, N), t).argmax(1),
    "median": lambda t: big((N, N), t).median(),
    "gather": lambda t: big((N, N), t).gather(0, big((3, N), t, "int64")),
    "cat": lambda t: t.cat([big((N, N), t), big((7, N), t)]),
    "cat of other sizes": lambda t: t.cat([big((N, 100), t), big((N, 104), t)], 1),
    "index": lambda t: big((N, N), t)[big((5,), t, "int64")],
    "two indices": lambda t: big((100, 102, 104, 106), t)[:, big((108,), t, "int64"), 3],
    "slice": lambda t: big((N, N), t)[5:, ::2],
    "layer_norm": lambda t: t.nn.functional.layer_norm(big((N, N), t), (N,)),
    "embedding": lambda t: t.nn.functional.embedding(big((10**9,), t, "int64"), big((N, 4), t)),
    "twins": lambda t: t.nn.functional.embedding(big((10**9 + 2,), t, "int64"), big((10**9, 20), t)),
    "pad": lambda t: t.nn.functional.pad(big((N, N), t), (1, 17)),
    "repeat": lambda t: big((N, N), t).repeat(2, 300),
    "flatten": lambda t: big((100, 102, 104, 106), t).transpose(0, 1).reshape(102, -1),
    "contiguous": lambda t: big((N, N), t).t().contiguous(),
    "half": lambda t: big((N, N), t).t().half(),
    "einsum": lambda t: t.einsum("ij,jk->ik", big((N, N), t), big((N, N), t)),
    "stack": lambda t: t.stack([big((N, N), t)] * 3, 1),
    "scatter": lambda t: big((N, N), t).scatter(0, big((3, 3), t, "int64"), 1.0),
    "cross_entropy": lambda t: t.nn.functional.cross_entropy(big((N, N), t), big((N,), t, "int64")),
    "one_hot": lambda t: t.nn.functional.one_hot(big((10**9,), t, "int64"), 100),
    "conv2d": lambda t: t.nn.functional.conv2d(
        big((1000, 64, 1000, 1000), t), big((48, 64, 3, 3), t), stride=2, padding=1
    ),
    "conv_transpose2d": lambda t: t.nn.functional.conv_transpose2d(
        big((10, 64, 500, 500), t), big((64, 48, 3, 3), t), stride=2
    ),
    "max_pool2d": lambda t: t.nn.functional.max_pool2d(big((1000, 64, 1000, 1000), t), 3, 2),
    "adaptive_avg_pool2d": lambda t: t.nn.functional.adaptive_avg_pool2d(
        big((100, 512, 200, 200), t), (7, 7)
    ),
    "interpolate": lambda t: t.nn.functional.interpolate(
        big((1000, 64, 1000, 1000), t), scale_factor=2
    ),
    "attention": lambda t: t.nn.functional.scaled_dot_product_attention(
        *[big((100, 32, 100000, 128), t)] * 3
    ),
    "std": lambda t: big((N, N), t).std(0),
    "var_mean": lambda t: t.var_mean(big((N, N), t), 1),
    "tril": lambda t: big((N, N), t).tril(),
    "diagonal": lambda t: big((N, N), t).diagonal(5),
    "unfold": lambda t: big((N, N), t).unfold(1, 100, 7),
    "masked_fill": lambda t: big((N, N), t).masked_fill(big((N, N), t, "bool"), 1.0),
    "unbind": lambda t: big((3, N, N), t).unbind(0),
    "split": lambda t: big((N, N), t).split(300000),
    "roll": lambda t: big((N, N), t).roll(1, 0),
    "searchsorted": lambda t: t.searchsorted(big((N,), t), big((N, 30), t)),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_fits_into_no_memory(name):
    peer = pytest.importorskip("torch")
    assert answer(torch, LARGE[name]) == answer(peer, LARGE[name])


def test_what_would_take_too_long_is_refused():
    with pytest.raises(NotImplementedError, match="col2im: what it gives"):
        torch.nn.functional.fold(meta(10**5, 9, 10**6), (1002, 1002), 3)


# Every operation -------------------------------------------------------------------------


#: Samples whose result's shape depends on the elements, by the beginnings of their names.
READING = (
    "unique", "index", "repeat_interleave", "lstm", "gru", "rnn", "bincount", "von_mises",
    "linalg_lstsq", "getitem", "masked_s", "nonzero",
)  # fmt: skip
NAMES = sorted({name.split("-")[0] for name in SAMPLES})


def on_meta(framework, sample, **options):
    with framework.device("meta"):
        given = [t.to("meta") for t in c.tensors(framework, sample, **options)]
        return given, c.flat(sample.call(framework, *given))


@pytest.mark.parametrize("name", daily(NAMES, 200, "every_operation"))
def test_every_operation(name):
    """The shape, dtype, strides and offset of the results on the CPU, without a random number."""
    for s in [s for n, s in SAMPLES.items() if n.split("-")[0] == name]:
        want = [o for o in c.run(torch, s) if isinstance(o, torch.Tensor)]
        torch.manual_seed(0)
        state = torch.get_rng_state()
        try:
            found = [o for o in on_meta(torch, s)[1] if isinstance(o, torch.Tensor)]
        except NotImplementedError:
            assert s.name.startswith(READING), s.name
            continue
        assert torch.equal(torch.get_rng_state(), state), s.name
        assert len(found) == len(want), s.name
        for g, w in zip(found, want, strict=True):
            assert g.is_meta, s.name
            look = lambda t: (t.shape, t.dtype, t.stride(), t.numel() and t.storage_offset())
            assert look(g) == look(w), s.name


@pytest.mark.parametrize("name", daily(NAMES, 200, "every_gradient"))
def test_every_gradient(name):
    for s in [s for n, s in SAMPLES.items() if n.split("-")[0] == name]:
        if not s.grad or s.name.startswith(READING):
            continue
        want = c.gradients(torch, s)
        with torch.device("meta"):
            given = [
                t.to("meta").detach().requires_grad_(t.requires_grad)
                for t in c.tensors(torch, s, requires_grad=True)
            ]
            outs = [o for o in c.flat(s.call(torch, *given)) if getattr(o, "requires_grad", False)]
            wanted = [t for t in given if t.requires_grad]
            seeds = [torch.ones_like(o) for o in outs]
            found = torch.autograd.grad(outs, wanted, seeds, allow_unused=True)
        for g, w in zip(found, want, strict=True):
            assert (g is None) == (w is None), s.name
            assert g is None or (g.is_meta, g.shape, g.dtype) == (True, w.shape, w.dtype), s.name


@pytest.mark.parity
@pytest.mark.parametrize("name", NAMES)
def test_raises_only_where_pytorch_does(name):
    peer = pytest.importorskip("torch")
    for s in [s for n, s in SAMPLES.items() if n.split("-")[0] == name]:
        try:
            on_meta(torch, s)
        except NotImplementedError:
            if s.name == "repeat_interleave":  # with output_size=; docs/differences.md
                continue
            with pytest.raises((RuntimeError, NotImplementedError)):
                on_meta(peer, s)


def test_small_runs_tell_what_a_run_of_full_size_gives(monkeypatch):
    """Sizes above 16 are replaced by small ones; these results are compared with ordinary runs."""
    x, i = meta(20, 34, 50), meta(20, dtype=torch.int64)
    calls = [
        lambda: x.sort(1), lambda: x.cumsum(0), lambda: x[i], lambda: x.reshape(-1, 50),
        lambda: x.topk(3), lambda: torch.cat([x, x], 2), lambda: x.flip(0), lambda: x.mode(1),
        lambda: torch.nn.functional.pad(x, (1, 2, 3, 4)), lambda: x.permute(2, 0, 1).clone(),
        lambda: x.repeat(2, 3, 1), lambda: x.index_select(0, i), lambda: x.std(1),
        lambda: x.kthvalue(2), lambda: x.roll(1, 0), lambda: torch.linalg.qr(x),
        lambda: torch.linalg.svd(x), lambda: torch.fft.rfft(x, n=40, dim=1),
    ]  # fmt: skip
    ordinary = [told(call()) for call in calls]
    monkeypatch.setattr(inference, "LARGE", 0)
    assert [told(call()) for call in calls] == ordinary


# Where tensors are made ------------------------------------------------------------------


def devices(t):
    cpu = t.ones(1, device="cpu")
    made = (
        t.ones(2), t.tensor(1.0), t.arange(3), t.randn(2), t.zeros_like(cpu), cpu.new_zeros(2),
        t.as_tensor(cpu), t.Tensor([1]), t.hann_window(3), t.ones(1, device="cpu"),
        t.nn.Linear(2, 2).weight, cpu + 1,
    )  # fmt: skip
    return [x.device.type for x in made] + [t.get_default_device().type]


def test_with_device():
    peer = pytest.importorskip("torch")
    for framework in (torch, peer):
        with framework.device("meta"), framework.device("cpu"):
            assert set(devices(framework)) == {"cpu"}
        assert set(devices(framework)) == {"cpu"}
    with torch.device("meta"), peer.device("meta"):
        assert devices(torch) == devices(peer)
    with pytest.raises(ZeroDivisionError), torch.device("meta"):
        1 / 0  # noqa: B018
    assert torch.ones(1).is_cpu


def test_set_default_device():
    peer = pytest.importorskip("torch")
    for framework in (torch, peer):
        framework.set_default_device("meta")
    try:
        assert devices(torch) == devices(peer)
        with torch.device("cpu"):
            assert torch.ones(1).is_cpu
    finally:
        for framework in (torch, peer):
            framework.set_default_device(None)
    assert torch.ones(1).is_cpu


def test_random_functions_keep_the_generator():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    w = meta(4, 6)
    for init in (
        nn.init.xavier_uniform_, nn.init.kaiming_normal_, nn.init.orthogonal_,
        nn.init.trunc_normal_, nn.init.normal_, nn.init.uniform_,
    ):  # fmt: skip
        init(w)
    nn.functional.dropout(w)
    torch.bernoulli(w)
    torch.multinomial(w, 2)
    with torch.device("meta"):
        nn.TransformerEncoderLayer(8, 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_fast_path_comes_back():
    gc.collect()
    before = mode.intercept
    x = meta(3)
    y = x[1:]
    assert mode.intercept > before
    del x, y
    gc.collect()
    assert mode.intercept == before


# Modules ---------------------------------------------------------------------------------


def test_every_layer_takes_the_device():
    with torch.device("meta"):
        net = nn.Sequential(
            nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Embedding(3, 4), nn.LSTM(2, 3), nn.GRU(2, 3),
            nn.MultiheadAttention(4, 2), nn.Conv2d(1, 2, 3), nn.TransformerEncoderLayer(8, 2),
            nn.LayerNorm(3), nn.PReLU(), nn.Bilinear(2, 3, 4), nn.ConvTranspose1d(1, 2, 3),
        )  # fmt: skip
    assert all(t.is_meta for t in net.state_dict().values())
    for layer in net:
        arguments = {nn.Linear: (2, 3), nn.LSTM: (2, 3), nn.Conv2d: (1, 2, 3)}.get(type(layer))
        if arguments:
            given = type(layer)(*arguments, device="meta", dtype=torch.float64)
            assert {(p.is_meta, p.dtype) for p in given.parameters()} == {(True, torch.float64)}


def test_moving_a_module():
    layer = nn.Linear(2, 3)
    weight = layer.weight
    weight.grad = torch.ones(3, 2)
    assert layer.to("meta").weight.is_meta and layer.weight is not weight
    assert layer.weight.grad.is_meta and layer.weight.requires_grad
    assert type(layer.to_empty(device="cpu").weight) is nn.Parameter
    assert layer.weight.device.type == "cpu" and layer.weight.requires_grad
    made = nn.utils.skip_init(nn.Linear, 2, 3)
    assert made.weight.is_cpu and nn.utils.skip_init(nn.Linear, 2, 3, device="meta").weight.is_meta


def test_load_state_dict():
    state = nn.Linear(2, 3).state_dict()
    layer = nn.Linear(2, 3, device="meta")
    with pytest.warns(UserWarning, match="meta parameter in the current model, which is a no-op"):
        layer.load_state_dict(state)
    assert layer.weight.is_meta
    layer.load_state_dict(state, assign=True)
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad
    assert torch.equal(layer.weight, state["weight"])
    with pytest.raises(RuntimeError, match="Cannot copy out of meta tensor"):
        nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3, device="meta").state_dict())


def test_parameters_put_in_place_one_by_one():
    """As accelerate and transformers load a model: on meta first, and then by ``setattr``."""
    whole = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    register = nn.Module.register_parameter

    def on_meta(module, name, param):
        register(module, name, param)
        if param is not None:
            kind = type(module._parameters[name])
            kwargs = {**module._parameters[name].__dict__, "requires_grad": param.requires_grad}
            module._parameters[name] = kind(module._parameters[name].to("meta"), **kwargs)

    nn.Module.register_parameter = on_meta
    try:
        empty = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    finally:
        nn.Module.register_parameter = register
    assert all(p.is_meta for p in empty.parameters())
    for name, value in whole.state_dict().items():
        module, _, last = name.rpartition(".")
        setattr(empty.get_submodule(module), last, nn.Parameter(value))
    x = torch.randn(5, 3)
    assert torch.equal(empty(x), whole(x))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), torch.optim.Adam, torch.optim.AdamW,
        torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta, torch.optim.NAdam,
        torch.optim.Rprop, torch.optim.Adafactor,
    ],
)  # fmt: skip
def test_training(make):
    layer = nn.Linear(3, 4, device="meta")
    optimizer = make(layer.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        loss = layer(meta(2, 3)).pow(2).mean()
        loss.backward()
        assert layer.weight.grad.is_meta and layer.weight.grad.shape == (4, 3)
        optimizer.step()
    assert loss.is_meta
    own = [t for t in optimizer.state[layer.weight].values() if isinstance(t, torch.Tensor)]
    assert all(t.is_meta for t in own if t.ndim)


# Gradients, files, compiled functions ----------------------------------------------------


def test_gradients():
    x = meta(3, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 3)
    (g,) = torch.autograd.grad((y**3).sum(), x, create_graph=True)
    g.sum().backward()
    assert x.grad.is_meta and y.grad.is_meta and g.requires_grad
    before = x.grad
    (x * 2).sum().backward()
    assert x.grad.shape == before.shape

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    assert torch.autograd.grad(Twice.apply(x).sum(), x)[0].is_meta


def test_a_write_is_recorded():
    x = meta(3, 4, requires_grad=True)
    y = x * 1
    y[0] = 0
    y[:, 1:] += 2
    y.mul_(2)
    y.sum().backward()
    assert x.grad.is_meta and x.grad.shape == (3, 4)


@pytest.mark.parametrize("place", ["meta", torch.device("meta"), {"cpu": "meta"}])
def test_load_to_meta(place):
    file = io.BytesIO()
    torch.save({"a": torch.ones(3, 2).t(), "b": [torch.arange(3)]}, file)
    file.seek(0)
    found = torch.load(file, map_location=place)
    assert told([found["a"], found["b"][0]]) == [
        ((2, 3), "torch.float32", (1, 2), "meta"), ((3,), "torch.int64", (1,), "meta")
    ]  # fmt: skip


def test_files_of_meta_tensors():
    peer = pytest.importorskip("torch")
    for writer, reader in ((torch, torch), (torch, peer), (peer, torch)):
        file = io.BytesIO()
        layer = writer.nn.Linear(2, 3, device="meta")
        writer.save({"t": meta(2, 3, framework=writer).t(), **layer.state_dict()}, file)
        file.seek(0)
        found = reader.load(file)
        assert told(found["t"]) == [((3, 2), "torch.float32", (1, 3), "meta")]
        assert found["weight"].is_meta


def test_compiled_functions_run_eagerly():
    cpu, x = torch.ones(3, 4), meta(3, 4)
    f = torch.compile(lambda x: (x * 2).sum(0), fullgraph=True)
    for _ in range(2):
        assert f(x).is_meta and f(cpu).tolist() == [6.0] * 4
    make = torch.compile(lambda x: (torch.ones(2) + 0, x + 1))
    make(cpu)
    with torch.device("meta"):
        made, found = make(cpu)
    assert made.is_meta and found.tolist() == (cpu + 1).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.compile(lambda a: (a + 1, x * 2))(cpu)[1].is_meta
        assert torch.compile(lambda a: (a, torch.ones(2, device="meta")))(cpu)[1].is_meta


def test_numpy_never_sees_one():
    import numpy as np

    for call in (np.asarray, np.sum, np.exp, lambda a: np.ones(3) + a, np.atleast_1d):
        with pytest.raises((TypeError, RuntimeError)):
            call(MetaArray((3,), np.float32))


def test_functions_that_make_tensors_by_other_functions():
    made = [
        torch.signal.windows.hann(8, device="meta"),
        torch.testing.make_tensor((2, 3), dtype=torch.float32, device="meta"),
        nn.Transformer.generate_square_subsequent_mask(4, device="meta"),
        torch.from_dlpack(torch.ones(2), device="meta"),
    ]
    layer = nn.LazyLinear(3, device="meta")
    made.append(layer(meta(2, 5)))
    assert layer.weight.is_meta and all(t.is_meta for t in made)


@pytest.mark.parametrize("size", [6, 10**6])
def test_as_strided_looks_at_the_whole_storage(size):
    x = meta(size)[3:]
    y = x.as_strided((2, 2), (1, 1))
    assert y.storage_offset() == 3 and x.as_strided((size,), (1,), 0).storage_offset() == 0
    with pytest.raises(RuntimeError, match="are out of bounds for storage of size"):
        x.as_strided((size + 1,), (1,), 0)
    assert x[1:][1:].as_strided((2,), (1,), 1).untyped_storage() == x.untyped_storage()
