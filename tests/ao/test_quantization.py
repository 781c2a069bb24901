"""Quantized tensors, fake quantization, and dynamic quantization of layers."""

import copy
import io
import pickle

import pytest

import rushlight

try:
    import torch as pytorch
except ImportError:
    pytorch = None

FRAMEWORKS = [rushlight] + ([pytorch] if pytorch else [])
both = pytest.mark.parametrize("torch", FRAMEWORKS, ids=lambda t: t.__name__)
pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's, that its functions are deprecated


def theirs(x):
    return pytorch.from_numpy(x.detach().numpy().copy())


# Tensors ----------------------------------------------------------------------------------


@both
def test_numbers_become_integers_and_come_back(torch):
    x = torch.tensor([-1.05, -1, 0.05, 0.15, 0.25, 1.0, 30])
    q = torch.quantize_per_tensor(x, 0.1, 10, torch.quint8)
    assert q.int_repr().tolist() == [0, 0, 10, 12, 12, 20, 255]
    assert q.int_repr().dtype == torch.uint8 and q.dtype == torch.quint8 and q.is_quantized
    assert (q.q_scale(), q.q_zero_point(), q.qscheme()) == (0.1, 10, torch.per_tensor_affine)
    assert torch.int_repr(q).tolist() == q.int_repr().tolist()
    assert (torch.q_scale(q), torch.q_zero_point(q)) == (0.1, 10)
    torch.testing.assert_close(q.dequantize(), torch.tensor([-1.0, -1.0, 0.0, 0.2, 0.2, 1.0, 24.5]))
    assert torch.equal(torch.dequantize(q), q.dequantize()) and torch.equal(q, q.clone())
    assert q.view(7, 1).shape == (7, 1) and q[:2].int_repr().tolist() == [0, 0]
    assert not torch.equal(q, torch.quantize_per_tensor(x, 0.2, 10, torch.quint8))
    assert torch.relu(q).int_repr().tolist() == [10, 10, 10, 12, 12, 20, 255]
    assert isinstance(torch.qint8, torch.dtype) and str(torch.qint32) == "torch.qint32"


@pytest.mark.parametrize("dtype", ["qint8", "quint8", "qint32"])
@pytest.mark.parametrize("scale, zero", [(0.013, 3), (1.7, 0), (1e-3, 100)])
def test_integers_are_those_of_pytorch(dtype, scale, zero):
    pytest.importorskip("torch")
    x = rushlight.randn(4, 50, generator=rushlight.Generator().manual_seed(0)) * 3
    ours = rushlight.quantize_per_tensor(x, scale, zero, getattr(rushlight, dtype))
    other = pytorch.quantize_per_tensor(theirs(x), scale, zero, getattr(pytorch, dtype))
    assert ours.int_repr().tolist() == other.int_repr().tolist()
    assert ours.dequantize().tolist() == other.dequantize().tolist()
    assert repr(ours) == repr(other)
    scales, zeros = [0.1, 0.02, 3.0, scale], [0, 5, 7, zero]
    pair = []
    for t, given in ((rushlight, x), (pytorch, theirs(x))):
        q = t.quantize_per_channel(given, t.tensor(scales), t.tensor(zeros), 0, getattr(t, dtype))
        pair.append((q.int_repr().tolist(), q.dequantize().tolist(), repr(q)))
        assert q.q_per_channel_axis() == 0 and q.q_per_channel_zero_points().tolist() == zeros
        assert q.q_per_channel_scales().dtype == t.float64
    assert pair[0] == pair[1]


@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize(
    "factor, shift", [(1, 0), (1e-6, 0), (30, 25), (3, -9), (0, 0), (0, 5), (1e-7, 3e-7)]
)
def test_scales_are_chosen_as_in_pytorch(factor, shift, reduce_range):
    pytest.importorskip("torch")
    x = rushlight.randn(60, generator=rushlight.Generator().manual_seed(1)) * factor + shift
    found = []
    for t, given in ((rushlight, x), (pytorch, theirs(x))):
        q = t.quantize_per_tensor_dynamic(given, t.quint8, reduce_range)
        found.append((q.q_scale(), q.q_zero_point(), q.int_repr().tolist()))
    assert found[0] == found[1]


@both
def test_what_is_refused(torch):
    x = torch.ones(2)
    for call, error in [
        (lambda: torch.quantize_per_tensor(x, 0.1, 300, torch.qint8), RuntimeError),
        (lambda: torch.quantize_per_tensor(x, 0.1, 0, torch.int8), RuntimeError),
        (lambda: torch.quantize_per_tensor(x.double(), 0.1, 0, torch.qint8), RuntimeError),
        (lambda: torch.int_repr(x), NotImplementedError),
        (
            lambda: torch.add(*[torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)] * 2),
            NotImplementedError,
        ),
        (
            lambda: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).q_per_channel_axis(),
            RuntimeError,
        ),
    ]:
        with pytest.raises(error):
            call()


def test_operations_never_take_integers_for_numbers():
    torch = rushlight
    q = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    for call in (
        lambda: q + 1, lambda: torch.ones(2) * q, lambda: torch.nn.functional.linear(q, q),
        lambda: torch.cat([q, q]), lambda: q.sum(), lambda: torch.zeros(2, dtype=torch.qint8),
        lambda: torch.ones(2).to(torch.qint8), lambda: torch.empty(1, dtype=torch.quint8),
    ):  # fmt: skip
        with pytest.raises((TypeError, RuntimeError, AttributeError)):
            call()


def test_quantized_tensors_are_copied_and_pickled():
    q = rushlight.quantize_per_tensor(rushlight.ones(2), 0.1, 3, rushlight.qint8)
    for other in (copy.deepcopy(q), pickle.loads(pickle.dumps(q))):
        assert rushlight.equal(other, q) and other.dtype is rushlight.qint8


# Fake quantization ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("tensors", [False, True])
def test_fake_quantization_is_that_of_pytorch(dtype, tensors):
    pytest.importorskip("torch")
    x = rushlight.randn(100, generator=rushlight.Generator().manual_seed(2)) * 20
    results = []
    for t, given in ((rushlight, x.clone()), (pytorch, theirs(x))):
        leaf = given.to(getattr(t, dtype)).requires_grad_()
        scale, zero = (t.tensor(0.11), t.tensor(7, dtype=t.int32)) if tensors else (0.11, 7)
        y = t.fake_quantize_per_tensor_affine(leaf, scale, zero, 0, 255)
        y.sum().backward()
        results.append((y.tolist(), leaf.grad.tolist(), str(y.dtype)))
    if dtype == "float64":  # PyTorch multiplies by the scale in float32
        assert results[0][0] == pytest.approx(results[1][0], rel=1e-7)
        results = [r[1:] for r in results]
    assert results[0] == results[1]


@pytest.mark.parametrize("axis", [0, 1])
def test_fake_quantization_of_channels_is_that_of_pytorch(axis):
    pytest.importorskip("torch")
    x = rushlight.randn(3, 3, 8, generator=rushlight.Generator().manual_seed(3)) * 4
    results = []
    for t, given in ((rushlight, x.clone()), (pytorch, theirs(x))):
        leaf = given.requires_grad_()
        scale, zero = t.tensor([0.1, 0.03, 2.0]), t.tensor([0, 3, -5], dtype=t.int32)
        y = t.fake_quantize_per_channel_affine(leaf, scale, zero, axis, -128, 127)
        (y * y).sum().backward()
        results.append((y.tolist(), leaf.grad.tolist()))
    assert results[0] == results[1]


@both
def test_fake_quantization_refuses(torch):
    x = torch.ones(2, 2)
    one, zero = torch.ones(2), torch.zeros(2, dtype=torch.int32)
    for call in (
        lambda: torch.fake_quantize_per_tensor_affine(x, 0.1, 300, 0, 255),
        lambda: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 255, 0),
        lambda: torch.fake_quantize_per_tensor_affine(x.long(), 0.1, 0, 0, 255),
        lambda: torch.fake_quantize_per_channel_affine(x, one, zero.long(), 0, 0, 255),
        lambda: torch.fake_quantize_per_channel_affine(x, one[:1], zero[:1], 0, 0, 255),
        lambda: torch.fake_quantize_per_channel_affine(x, one, zero, 2, 0, 255),
    ):
        with pytest.raises((RuntimeError, IndexError)):
            call()


def test_training_with_fake_quantization_compiles():
    torch = rushlight
    w = torch.randn(4, 4, requires_grad=True)
    x = torch.randn(3, 4)

    def step(x):
        q = torch.fake_quantize_per_tensor_affine(w, 0.05, 0, -128, 127)
        return torch.autograd.grad((x @ q).square().sum(), w)[0]

    compiled = torch.compile(step, fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(compiled(x), step(x))


# Layers -----------------------------------------------------------------------------------


def same_layers(make):
    """The layer that ``make(torch)`` gives, in both frameworks, with the same parameters."""
    ours, other = make(rushlight), make(pytorch)
    state = {k: theirs(v) for k, v in ours.state_dict().items()}
    other.load_state_dict(state)
    return [t.nn.Sequential(m) for t, m in ((rushlight, ours), (pytorch, other))]


def compare(ours, other, tolerance=1e-5):
    for a, b in zip(flat(ours), flat(other), strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        pytorch.testing.assert_close(theirs(a), b, atol=tolerance, rtol=tolerance)


def flat(x):
    return [part for y in x for part in flat(y)] if isinstance(x, (tuple, list)) else [x]


@pytest.mark.parametrize("dtype", ["qint8", "float16"])
@pytest.mark.parametrize("sizes", [(5, 4), (600, 3), (1, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_that_of_pytorch(sizes, bias, dtype):
    pytest.importorskip("torch")
    rushlight.manual_seed(0)
    pair = same_layers(lambda t: t.nn.Linear(*sizes, bias=bias))
    quantized = [
        t.ao.quantization.quantize_dynamic(m, {t.nn.Linear}, dtype=getattr(t, dtype))
        for t, m in zip((rushlight, pytorch), pair, strict=True)
    ]
    if dtype == "qint8":
        weights = [m[0].weight() for m in quantized]
        assert weights[0].int_repr().tolist() == weights[1].int_repr().tolist()
        assert weights[0].q_scale() == weights[1].q_scale()
    assert repr(quantized[0]) == repr(quantized[1])
    for x in (rushlight.randn(7, sizes[0]), rushlight.rand(2, 3, sizes[0]) + 1,
              rushlight.zeros(1, sizes[0]), rushlight.randn(2, sizes[0]) * 1e-6):  # fmt: skip
        y = quantized[0](x)
        assert not y.requires_grad and y.dtype is rushlight.float32
        compare(y, quantized[1](theirs(x)), 1e-3 if dtype == "float16" else 1e-5)
    assert [*quantized[0].state_dict()] == [*quantized[1].state_dict()]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}],
    ids=["plain", "deep", "batch first"],
)
def test_recurrent_layers_are_those_of_pytorch(kind, options):
    pytest.importorskip("torch")
    rushlight.manual_seed(0)
    pair = same_layers(lambda t: getattr(t.nn, kind)(3, 5, **options))
    quantized = [
        t.ao.quantization.quantize_dynamic(m)
        for t, m in zip((rushlight, pytorch), pair, strict=True)
    ]
    assert repr(quantized[0]) == repr(quantized[1])
    x = rushlight.randn(6, 2, 3)
    compare(quantized[0](x), quantized[1](theirs(x)))
    count = (2 if options.get("bidirectional") else 1) * options.get("num_layers", 1)
    h = rushlight.randn(count, 6 if options.get("batch_first") else 2, 5)
    state = (h, h * 2) if kind == "LSTM" else h
    other = (theirs(h), theirs(h * 2)) if kind == "LSTM" else theirs(h)
    compare(quantized[0][0](x, state), quantized[1][0](theirs(x), other))


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells_are_those_of_pytorch(kind):
    pytest.importorskip("torch")
    rushlight.manual_seed(0)
    pair = same_layers(lambda t: getattr(t.nn, kind)(3, 5))
    quantized = [
        t.ao.quantization.quantize_dynamic(m)[0]
        for t, m in zip((rushlight, pytorch), pair, strict=True)
    ]
    assert repr(quantized[0]) == repr(quantized[1])
    x = rushlight.randn(2, 3)
    compare(quantized[0](x), quantized[1](theirs(x)))


@both
def test_which_modules_are_replaced(torch):
    nn, quantize = torch.nn, torch.ao.quantization.quantize_dynamic
    net = nn.ModuleDict({
        "a": nn.Linear(2, 2), "b": nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)),
        "c": nn.TransformerEncoderLayer(4, 2, dim_feedforward=8), "d": nn.Conv1d(1, 1, 1),
    })  # fmt: skip
    dynamic = torch.ao.nn.quantized.dynamic

    def kinds(model):
        return sorted(
            name for name, m in model.named_modules()
            if isinstance(m, (dynamic.Linear, dynamic.LSTM))
        )  # fmt: skip

    assert kinds(quantize(net)) == ["a", "b.0", "b.1", "c.linear1", "c.linear2"]
    assert kinds(net) == []
    assert kinds(quantize(net, {nn.LSTM})) == ["b.1"]
    assert kinds(quantize(net, {"b"})) == ["b.0", "b.1"]
    config = torch.ao.quantization.default_dynamic_qconfig
    assert kinds(quantize(net, {nn.Linear: config, "b.0": None})) == ["a", "c.linear1", "c.linear2"]
    with pytest.raises(ValueError, match="Don't know how to quantize"):
        quantize(net, dtype=torch.int8)
    single = nn.Linear(2, 2)
    assert type(quantize(single)) is nn.Linear
    assert quantize(net, inplace=True) is net and len(kinds(net)) == 5
    per_channel = quantize(
        nn.Sequential(nn.Linear(3, 2)),
        {nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig},
    )
    assert per_channel[0].weight().qscheme() == torch.per_channel_affine


def test_weights_with_a_scale_for_each_channel():
    pytest.importorskip("torch")
    rushlight.manual_seed(0)
    pair = same_layers(lambda t: t.nn.Linear(5, 4))
    outs = []
    x = rushlight.randn(3, 5)
    for t, m, given in zip((rushlight, pytorch), pair, (x, theirs(x)), strict=True):
        config = t.ao.quantization.per_channel_dynamic_qconfig
        outs.append(t.ao.quantization.quantize_dynamic(m, {t.nn.Linear: config})(given))
    compare(*outs)


def test_observers_are_those_of_pytorch():
    pytest.importorskip("torch")
    x = [[-1.0, 2.0], [0.5, 7.0]]
    for name, options in [
        ("MinMaxObserver", {}), ("MinMaxObserver", {"dtype": "qint8", "reduce_range": True}),
        ("MinMaxObserver", {"dtype": "qint8", "qscheme": "per_tensor_symmetric"}),
        ("MinMaxObserver", {"qscheme": "per_tensor_symmetric"}),
        ("PerChannelMinMaxObserver", {}),
        ("PerChannelMinMaxObserver", {"dtype": "qint8", "qscheme": "per_channel_symmetric"}),
        ("PerChannelMinMaxObserver", {"ch_axis": 1}),
    ]:  # fmt: skip
        found = []
        for t in (rushlight, pytorch):
            given = {k: getattr(t, v) if isinstance(v, str) else v for k, v in options.items()}
            observer = getattr(t.ao.quantization, name)(**given)
            observer(t.tensor(x))
            observer(t.tensor(x) * 0.5 - 0.25)
            found.append([y.tolist() for y in observer.calculate_qparams()])
            first = repr(observer)
            found[-1].append(first)
        assert found[0] == found[1]


def test_a_quantized_model_is_saved_and_loaded():
    torch = rushlight
    nn = torch.nn
    make = lambda: nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 2))
    model = torch.ao.quantization.quantize_dynamic(make())
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = torch.ao.quantization.quantize_dynamic(make())
    x = torch.randn(5, 1, 3)
    assert not torch.equal(other(x)[0], model(x)[0])
    other.load_state_dict(torch.load(file, weights_only=False))
    assert torch.equal(other(x)[0], model(x)[0])
    assert torch.equal(copy.deepcopy(model)(x)[0], model(x)[0])
    assert torch.quantization.quantize_dynamic is torch.ao.quantization.quantize_dynamic


def test_a_quantized_model_compiles():
    torch = rushlight
    model = torch.ao.quantization.quantize_dynamic(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    )
    compiled = torch.compile(model, fullgraph=True)
    for factor in (1, 5):
        x = torch.randn(6, 3) * factor
        torch.testing.assert_close(compiled(x), model(x))


def test_quantized_linear_is_close_to_the_layer():
    torch = rushlight
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(64, 16))
    x = torch.randn(20, 64)
    found = torch.ao.quantization.quantize_dynamic(layer)(x)
    assert (found - layer(x)).abs().max() < 0.05
