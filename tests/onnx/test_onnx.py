"""torch.onnx: exported models compute under onnxruntime what they compute here."""

import pytest

import rushlight as torch
from rushlight import nn
from tests import conformance as c
from tests.export.test_export import Call
from tests.test_conformance import by_operation, every

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
runtime.set_default_logger_severity(4)  # it warns of shapes that it finds out itself

from rushlight.onnx import OnnxExporterError, export, is_in_onnx_export  # noqa: E402
from rushlight.onnx.errors import UnsupportedOperatorError  # noqa: E402


def agree(program, model, *args, tolerance=1e-5):
    wanted = c.flat(model(*args))
    for got, want in zip(program(*args), wanted, strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        c.close(c.array(got), c.array(want), tolerance, "onnxruntime")


class Tied(nn.Module):
    """Embedding, recurrence, attention with a mask, and one weight used twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.lstm = nn.LSTM(8, 8, 2, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.out = nn.Linear(16, 8)

    def forward(self, x):
        h, _ = self.lstm(self.embed(x))
        mask = torch.triu(torch.full((x.shape[1], x.shape[1]), float("-inf")), 1)
        h, _ = self.attention(h, h, h, attn_mask=mask, need_weights=False)
        scores = self.out(h) @ self.embed.weight.T
        return scores, scores.argmax(-1), torch.topk(scores, 3)[0]


MODELS = {
    "mlp": (
        nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(), nn.Linear(8, 3), nn.LogSoftmax(1)),
        (2, 4), [(7, 4)], {"x": {0: "batch"}},
    ),
    "cnn": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.Conv2d(8, 8, 3, stride=2, groups=4, dilation=2),
            nn.GroupNorm(2, 8), nn.SiLU(), nn.AvgPool2d(2, padding=1, count_include_pad=False),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
        ),
        (2, 3, 17, 17), [(1, 3, 17, 17), (5, 3, 17, 17)], {"x": [0]},
    ),
    "any image": (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Softplus(),
                      nn.ConvTranspose2d(4, 2, 2, 2), nn.InstanceNorm2d(2), nn.Sigmoid()),
        (2, 1, 8, 8), [(1, 1, 9, 6)], {"x": {0: "n", 2: "h", 3: "w"}},
    ),
    "transformer": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True),
                              2, nn.LayerNorm(8), enable_nested_tensor=False),
        (2, 5, 8), [(1, 1, 8), (3, 9, 8)], {"x": {0: "n", 1: "length"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("changing", [False, True], ids=["fixed", "changing"])
def test_models(name, changing, tmp_path):
    model, shape, others, axes = MODELS[name]
    torch.manual_seed(0)
    model.train()
    x = torch.randn(shape)
    model(x)  # running statistics that are not those of the start
    file = tmp_path / "m.onnx"
    program = export(model, (x,), file, input_names=["x"], output_names=["y"],
                     dynamic_axes=axes if changing else None, opset_version=20)  # fmt: skip
    assert model.training
    model.eval()
    for size in [shape, *(others if changing else [])]:
        agree(program, model, torch.randn(size))
    read = onnx.load(file)
    onnx.checker.check_model(read, full_check=True)
    dims = [d.dim_param or d.dim_value for d in read.graph.input[0].type.tensor_type.shape.dim]
    assert [i.name for i in read.graph.input] == ["x"] and [o.name for o in read.graph.output] == [
        "y"
    ]
    assert (type(dims[0]) is str) is changing
    assert {n for n, _ in model.named_parameters()} <= {i.name for i in read.graph.initializer}


def test_words_and_several_results():
    torch.manual_seed(0)
    model = Tied().eval()
    x = torch.randint(0, 11, (2, 4))
    program = export(model, (x,), dynamic_axes={"x": {0: "n"}}, input_names=["x"])
    agree(program, model, x)
    agree(program, model, torch.randint(0, 11, (5, 4)))
    names = [i.name for i in program.model_proto.graph.initializer]
    assert names.count("embed.weight") == 1
    assert [o.name for o in program.model_proto.graph.output] == [
        "output_0",
        "output_1",
        "output_2",
    ]


def test_shapes_by_the_way_of_torch_export():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    dims = ({0: torch.export.Dim("n")},)
    x = torch.randn(2, 2, 3)
    agree(export(model, (x,), dynamic_shapes=dims), model, torch.randn(5, 2, 3))
    agree(export(torch.export.export(model, (x,)), dynamo=True), model, x)
    doubled = export(Call(lambda x: x * 2 if is_in_onnx_export() else x), x)
    agree(doubled, Call(lambda x: x * 2), x)
    assert not is_in_onnx_export()


@pytest.mark.parametrize(("draw", "low", "high", "mean"), [
    (lambda x: torch.rand(4000), 0, 1, 0.5), (torch.rand_like, 0, 1, 0.5),
    (lambda x: torch.empty(4000).uniform_(2, 4), 2, 4, 3.0), (torch.randn_like, -9, 9, 0.0),
    (lambda x: torch.empty(4000).normal_(1.0, 0.1), 0, 2, 1.0),
])  # fmt: skip
def test_random_numbers_are_drawn_by_who_runs_the_file(draw, low, high, mean):
    x = torch.zeros(4000)
    program = export(Call(lambda x: x + draw(x)), x)
    (found,) = program(x)
    assert low <= found.min() and found.max() <= high and abs(found.mean() - mean) < 0.05
    assert len(found.unique()) > 3000


def test_what_cannot_be_exported_says_why():
    x = torch.randn(2, 3)
    with pytest.raises(UnsupportedOperatorError, match="no rule for the operation cumprod"):
        export(Call(lambda x: x.cumprod(0)), x)
    with pytest.raises(UnsupportedOperatorError, match="no rule for the operation lgamma"):
        export(Call(lambda x: x.lgamma()), x)
    with pytest.raises(UnsupportedOperatorError, match="distribution exponential"):
        export(Call(lambda x: x + torch.empty(3).exponential_()), x)
    with pytest.raises(UnsupportedOperatorError, match="bernoulli, which draws random numbers"):
        export(Call(lambda x: torch.bernoulli(x)), x.sigmoid())
    with pytest.raises(OnnxExporterError, match="complex"):
        export(Call(lambda x: x * 1j), x)
    with pytest.raises(OnnxExporterError, match="must be fixed"):
        export(nn.AdaptiveAvgPool1d(2), x, input_names=["x"], dynamic_axes={"x": [1]})
    with pytest.raises(ValueError, match="opset_version must be 18"):
        export(nn.ReLU(), x, opset_version=9)
    with pytest.raises(OnnxExporterError, match="2 input_names for 1 tensors"):
        export(nn.ReLU(), x, input_names=["a", "b"])
    with pytest.raises(OnnxExporterError, match="2 output_names for 1 tensors"):
        export(nn.ReLU(), x, output_names=["a", "b"])
    with pytest.raises(TypeError, match="expected a Module"):
        export(lambda x: x, x)
    with pytest.raises(RuntimeError, match="item"):
        export(Call(lambda x: x * x.sum().item()), x)


@pytest.mark.slow
@by_operation(lambda s: s.trace)
def test_every_operation_is_right_or_refused(samples):
    every(samples, _right_or_refused)


def _right_or_refused(sample):
    model = Call(lambda *xs: sample.call(torch, *xs))
    try:
        program = export(model, tuple(c.tensors(torch, sample, None)))
    except OnnxExporterError:
        return
    once, again = [c.flat(model(*c.tensors(torch, sample, None))) for _ in range(2)]
    if all(torch.equal(x, y) or x.isnan().any() for x, y in zip(once, again, strict=True)):
        agree(program, model, *c.tensors(torch, sample, None), tolerance=1e-4)
    else:  # it draws: other numbers in each run
        assert [(x.shape, x.dtype) for x in program(*c.tensors(torch, sample, None))] == [
            (x.shape, x.dtype) for x in once
        ]


def test_rules_are_of_operations():
    from rushlight.onnx.rules import RULES
    from rushlight.ops.core.definition import OPS

    assert set(RULES) <= set(OPS)
