"""Every layer: construction, repr, state, first values, forward and gradient, as PyTorch's."""

import copy
import inspect
import operator
import pickle

import numpy as np
import pytest

import rushlight

FLOATS = {
    "linear": (4, 6),
    "wide": (2, 6, 5),
    "image": (2, 6, 8, 7),
}

#: name → (layer, input shape)
LAYERS = {
    "Identity": ("nn.Identity(1, a=2)", "linear"),
    "Linear": ("nn.Linear(6, 3)", "linear"),
    "Linear no bias": ("nn.Linear(6, 3, bias=False, dtype=torch.float64)", "linear"),
    "Linear 1 feature": ("nn.Linear(6, 40)", "linear"),
    "Flatten": ("nn.Flatten()", "image"),
    "Flatten dims": ("nn.Flatten(2, 3)", "image"),
    "Unflatten": ("nn.Unflatten(1, (2, 3))", "image"),
    "Unflatten list": ("nn.Unflatten(-1, [1, 7])", "image"),
    "Conv1d": ("nn.Conv1d(6, 4, 3)", "wide"),
    "Conv1d same": ("nn.Conv1d(6, 4, 4, padding='same', dilation=2)", "wide"),
    "Conv1d circular": ("nn.Conv1d(6, 4, 3, padding=2, padding_mode='circular')", "wide"),
    "Conv1d groups": ("nn.Conv1d(6, 4, 3, 2, 1, groups=2, bias=False)", "wide"),
    "Conv2d": ("nn.Conv2d(6, 4, 3)", "image"),
    "Conv2d all": ("nn.Conv2d(6, 4, (3, 2), (2, 1), (1, 2), (2, 1), 2)", "image"),
    "Conv2d valid": ("nn.Conv2d(6, 4, [3, 2], padding='valid')", "image"),
    "Conv2d same": ("nn.Conv2d(6, 4, (3, 5), padding='same')", "image"),
    "Conv2d same reflect": (
        "nn.Conv2d(6, 4, (4, 3), padding='same', padding_mode='reflect')", "image",
    ),
    "Conv2d replicate": (
        "nn.Conv2d(6, 4, 3, padding=(1, 2), padding_mode='replicate')", "image",
    ),
    "Conv2d double": ("nn.Conv2d(6, 4, 3, dtype=torch.float64)", "image"),
    "BatchNorm1d": ("nn.BatchNorm1d(6)", "linear"),
    "BatchNorm1d wide": ("nn.BatchNorm1d(6, eps=1e-3, momentum=0.5)", "wide"),
    "BatchNorm2d": ("nn.BatchNorm2d(6)", "image"),
    "BatchNorm2d plain": ("nn.BatchNorm2d(6, affine=False)", "image"),
    "BatchNorm2d untracked": ("nn.BatchNorm2d(6, track_running_stats=False)", "image"),
    "BatchNorm2d average": ("nn.BatchNorm2d(6, momentum=None, bias=False)", "image"),
    "LayerNorm": ("nn.LayerNorm(6)", "linear"),
    "LayerNorm shape": ("nn.LayerNorm((8, 7), 1e-3, bias=False)", "image"),
    "LayerNorm plain": ("nn.LayerNorm([7], elementwise_affine=False)", "image"),
    "GroupNorm": ("nn.GroupNorm(3, 6)", "image"),
    "GroupNorm plain": ("nn.GroupNorm(2, 6, 1e-3, affine=False)", "wide"),
    "GroupNorm no bias": ("nn.GroupNorm(2, 6, bias=False)", "wide"),
    "RMSNorm": ("nn.RMSNorm(6)", "linear"),
    "RMSNorm eps": ("nn.RMSNorm((8, 7), eps=1e-2, elementwise_affine=False)", "image"),
    "ReLU": ("nn.ReLU()", "linear"),
    "ReLU6": ("nn.ReLU6()", "linear"),
    "Hardtanh": ("nn.Hardtanh(-0.5, 0.25)", "linear"),
    "Sigmoid": ("nn.Sigmoid()", "linear"),
    "Tanh": ("nn.Tanh()", "linear"),
    "SiLU": ("nn.SiLU()", "linear"),
    "Mish": ("nn.Mish()", "linear"),
    "Hardswish": ("nn.Hardswish()", "linear"),
    "ELU": ("nn.ELU(0.5)", "linear"),
    "SELU": ("nn.SELU()", "linear"),
    "GELU": ("nn.GELU()", "linear"),
    "GELU tanh": ("nn.GELU(approximate='tanh')", "linear"),
    "LeakyReLU": ("nn.LeakyReLU(0.2)", "linear"),
    "LogSigmoid": ("nn.LogSigmoid()", "linear"),
    "Softplus": ("nn.Softplus(2, 1)", "linear"),
    "Softmax": ("nn.Softmax(1)", "image"),
    "LogSoftmax": ("nn.LogSoftmax(dim=-1)", "image"),
    "ReLU inplace": ("nn.ReLU(inplace=True)", "linear"),
    "ReLU6 inplace": ("nn.ReLU6(True)", "linear"),
    "Hardtanh inplace": ("nn.Hardtanh(inplace=True)", "linear"),
    "SiLU inplace": ("nn.SiLU(True)", "linear"),
    "Mish inplace": ("nn.Mish(True)", "linear"),
    "Hardswish inplace": ("nn.Hardswish(True)", "linear"),
    "ELU inplace": ("nn.ELU(inplace=True)", "linear"),
    "SELU inplace": ("nn.SELU(True)", "linear"),
    "LeakyReLU inplace": ("nn.LeakyReLU(inplace=True)", "linear"),
    "Dropout": ("nn.Dropout(0.3)", "wide"),
    "Dropout inplace": ("nn.Dropout(inplace=True)", "wide"),
    "Dropout2d": ("nn.Dropout2d(0.4)", "image"),
    "MaxPool1d": ("nn.MaxPool1d(2)", "wide"),
    "MaxPool2d": ("nn.MaxPool2d(3, 2, 1, ceil_mode=True)", "image"),
    "MaxPool2d dilated": ("nn.MaxPool2d((2, 3), stride=(1, 2), dilation=(2, 1))", "image"),
    "MaxPool2d indices": ("nn.MaxPool2d(2, return_indices=True)", "image"),
    "AvgPool1d": ("nn.AvgPool1d(2, stride=1)", "wide"),
    "AvgPool2d": ("nn.AvgPool2d(3, padding=1, count_include_pad=False)", "image"),
    "AvgPool2d divisor": ("nn.AvgPool2d((3, 2), divisor_override=4)", "image"),
    "AdaptiveAvgPool2d": ("nn.AdaptiveAvgPool2d((3, None))", "image"),
    "AdaptiveAvgPool2d int": ("nn.AdaptiveAvgPool2d(2)", "image"),
    "Embedding": ("nn.Embedding(9, 3)", "index"),
    "Embedding large": ("nn.Embedding(10, 7, padding_idx=-1)", "index"),
    "Embedding options": (
        "nn.Embedding(9, 3, padding_idx=2, norm_type=1.0, scale_grad_by_freq=True)", "index",
    ),
    "Embedding max_norm": ("nn.Embedding(9, 3, max_norm=1.0)", "index"),
}  # fmt: skip


def build(torch, expression):
    torch.manual_seed(3)
    return eval(expression, {"nn": torch.nn, "torch": torch})


def input_of(torch, shape, layer):
    rng = np.random.default_rng(7)
    if shape == "index":
        return torch.tensor(rng.integers(0, 9, (4, 3)))
    parameter = next(layer.parameters(), None)
    x = torch.tensor(rng.standard_normal(FLOATS[shape]).astype("f4"))
    return x.double() if parameter is not None and parameter.dtype == torch.float64 else x


def public(layer):
    """The layer's plain attributes."""
    return {k: repr(v) for k, v in sorted(vars(layer).items()) if not k.startswith("_")}


@pytest.mark.parity
@pytest.mark.parametrize("name", LAYERS)
def test_construction_is_pytorchs(parity, name):
    def script(torch):
        layer = build(torch, LAYERS[name][0])
        return [
            repr(layer), public(layer), layer.state_dict(),
            [n for n, _ in layer.named_parameters()], [n for n, _ in layer.named_buffers()],
            {k: str(v) for k, v in layer.state_dict()._metadata.items()},
        ]  # fmt: skip

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_gradients_are_pytorchs(parity, name):
    expression, shape = LAYERS[name]

    def script(torch):
        layer = build(torch, expression)
        x = input_of(torch, shape, layer)
        leaf = x.requires_grad_() if x.is_floating_point() else x
        # An in-place layer must not write to a leaf.
        outs = layer(leaf * 1 if leaf.requires_grad else leaf)
        out = outs[0] if isinstance(outs, tuple) else outs
        if out.requires_grad:
            (out * torch.linspace(0, 1, out.numel()).view(out.shape)).sum().backward()
        seen = [outs, leaf.grad, [p.grad for p in layer.parameters()], layer.state_dict()]
        with torch.no_grad():
            return [*seen, layer.eval()(x.detach().clone())]

    parity(script, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_copies_behave_alike(name):
    expression, shape = LAYERS[name]
    layer = build(rushlight, expression).eval()
    x = input_of(rushlight, shape, layer)
    with rushlight.no_grad():
        expected = layer(x.clone())
        for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert repr(copied) == repr(layer)
            assert not {id(p) for p in copied.parameters()} & {id(p) for p in layer.parameters()}
            found = copied(x.clone())
            if isinstance(found, tuple):
                found, want = found[0], expected[0]
            else:
                want = expected
            assert rushlight.equal(found, want)


LOSSES = {
    "L1Loss": ("nn.L1Loss()", "floats"),
    "L1Loss sum": ("nn.L1Loss(reduction='sum')", "floats"),
    "MSELoss": ("nn.MSELoss()", "floats"),
    "MSELoss none": ("nn.MSELoss(reduction='none')", "floats"),
    "SmoothL1Loss": ("nn.SmoothL1Loss(beta=0.5)", "floats"),
    "HuberLoss": ("nn.HuberLoss(delta=0.5)", "floats"),
    "HuberLoss sum": ("nn.HuberLoss('sum', 2)", "floats"),
    "KLDivLoss": ("nn.KLDivLoss(reduction='batchmean')", "probabilities"),
    "KLDivLoss log": ("nn.KLDivLoss(reduction='sum', log_target=True)", "floats"),
    "BCELoss": ("nn.BCELoss()", "probabilities"),
    "BCELoss weight": ("nn.BCELoss(torch.tensor([1.0, 2, 3, 0, 5]))", "probabilities"),
    "BCEWithLogitsLoss": ("nn.BCEWithLogitsLoss()", "probabilities"),
    "BCEWithLogitsLoss weights": (
        "nn.BCEWithLogitsLoss(torch.ones(5), pos_weight=torch.tensor([1.0, 2, 3, 0, 5]))",
        "probabilities",
    ),
    "NLLLoss": ("nn.NLLLoss(ignore_index=1)", "classes"),
    "NLLLoss weight": ("nn.NLLLoss(torch.tensor([1.0, 2, 3, 0, 5]))", "classes"),
    "CrossEntropyLoss": ("nn.CrossEntropyLoss()", "classes"),
    "CrossEntropyLoss soft": ("nn.CrossEntropyLoss(label_smoothing=0.1)", "probabilities"),
    "CrossEntropyLoss all": (
        "nn.CrossEntropyLoss(torch.tensor([1.0, 2, 3, 4, 5]), ignore_index=2, "
        "label_smoothing=0.2, reduction='none')",
        "classes",
    ),
    "old arguments": ("nn.MSELoss(size_average=False)", "floats"),
    "old arguments none": ("nn.L1Loss(reduce=False)", "floats"),
    "old arguments weighted": ("nn.NLLLoss(None, True)", "classes"),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_pytorchs(parity, name):
    expression, kind = LOSSES[name]

    def script(torch):
        loss = build(torch, expression)
        rng = np.random.default_rng(5)
        x = rng.uniform(0.1, 0.9, (4, 5)) if kind == "probabilities" else rng.normal(size=(4, 5))
        x = torch.tensor(x, dtype=torch.float32, requires_grad=True)
        y = {
            "floats": rng.normal(size=(4, 5)).astype("f4"),
            "probabilities": rng.uniform(0.1, 0.9, (4, 5)).astype("f4"),
            "classes": np.array([0, 4, 1, 2]),
        }[kind]
        out = loss(x, torch.tensor(y))
        out.sum().backward()
        return [repr(loss), public(loss), loss.state_dict(), out, x.grad]

    parity(script, rtol=1e-5)


BAD = {
    "Conv groups": "nn.Conv2d(6, 4, 3, groups=4)",
    "Conv out groups": "nn.Conv2d(6, 4, 3, groups=3)",
    "Conv no groups": "nn.Conv1d(6, 4, 3, groups=0)",
    "Conv padding": "nn.Conv2d(6, 4, 3, padding='all')",
    "Conv same stride": "nn.Conv2d(6, 4, 3, stride=2, padding='same')",
    "Conv mode": "nn.Conv1d(6, 4, 3, padding_mode='edge')",
    "Conv size": "nn.Conv2d(6, 4, 9)(torch.ones(1, 6, 4, 4))",
    "Conv channels": "nn.Conv2d(6, 4, 3)(torch.ones(1, 5, 4, 4))",
    "Linear shape": "nn.Linear(3, 2)(torch.ones(1, 5))",
    "Linear dtype": "nn.Linear(3, 2)(torch.ones(1, 3, dtype=torch.float64))",
    "Linear keyword": "nn.Linear(3, 2, biass=True)",
    "Dropout p": "nn.Dropout(1.5)",
    "GroupNorm": "nn.GroupNorm(4, 6)",
    "LayerNorm shape": "nn.LayerNorm(4)(torch.ones(2, 5))",
    "BatchNorm1d dims": "nn.BatchNorm1d(3)(torch.ones(2, 3, 4, 5))",
    "BatchNorm2d dims": "nn.BatchNorm2d(3)(torch.ones(2, 3))",
    "BatchNorm one value": "nn.BatchNorm1d(3)(torch.ones(1, 3))",
    "Embedding padding_idx": "nn.Embedding(3, 2, padding_idx=3)",
    "Embedding negative": "nn.Embedding(3, 2, padding_idx=-4)",
    "Embedding weight": "nn.Embedding(3, 2, _weight=torch.ones(2, 2))",
    "Embedding index": "nn.Embedding(3, 2)(torch.tensor([3]))",
    "Embedding dims": "nn.Embedding.from_pretrained(torch.ones(3))",
    "Unflatten type": "nn.Unflatten(1, 4)",
    "Unflatten item": "nn.Unflatten(1, (2, 2.0))",
    "Hardtanh": "nn.Hardtanh(1, 1)",
    "Hardtanh old": "nn.Hardtanh(min_value=0.5).min_val",
    "HuberLoss": "nn.HuberLoss(delta='1')",
    "reduction": "nn.MSELoss(reduction='most')(torch.ones(2), torch.ones(2))",
    "no forward": "nn.Module()(1)",
    "extra argument": "nn.Module(1)",
    "extra keyword": "nn.Module(a=1)",
    "call ParameterList": "nn.ParameterList()(1)",
    "call ModuleList": "nn.ModuleList()(1)",
    "Softmax dim": "nn.Softmax(5)(torch.ones(2))",
}


@pytest.mark.parity
@pytest.mark.parametrize("name", BAD)
def test_errors_have_pytorchs_types(parity, name):
    parity(lambda torch: build(torch, BAD[name]))


def test_errors_say_what_disagrees():
    nn = rushlight.nn
    with pytest.raises(ValueError, match=r"Conv2d: in_channels=6 is not divisible by groups=4"):
        nn.Conv2d(6, 4, 3, groups=4)
    with pytest.raises(ValueError, match=r"GroupNorm: num_channels=6 .* num_groups=4"):
        nn.GroupNorm(4, 6)
    with pytest.raises(ValueError, match=r"BatchNorm2d: expected 4D input, got shape \(2, 3\)"):
        nn.BatchNorm2d(3)(rushlight.ones(2, 3))


def default(parameter):
    """A parameter's default as text; functions by their name."""
    value = parameter.default
    return None if value is parameter.empty else getattr(value, "__name__", repr(value))


def signature(function):
    """(name, kind, default) of each parameter; None for PyTorch's functions in C++."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return None
    return [(p.name, p.kind.name, default(p)) for p in parameters if p.name != "self"]


#: Parameters that PyTorch's function has not.
OUR_OWN = {"multi_head_attention_forward": ["batch_first"]}


@pytest.mark.parity
@pytest.mark.parametrize("space", ["nn", "nn.functional", "nn.init", "nn.utils"])
def test_signatures_are_pytorchs(space):
    torch = pytest.importorskip("torch")
    ours, theirs = (operator.attrgetter(space)(library) for library in (rushlight, torch))
    names = [n for n in ours.__all__ if not inspect.ismodule(getattr(ours, n))]
    assert names
    for name in names:
        mine, original = getattr(ours, name), getattr(theirs, name)
        if inspect.isclass(mine):
            mine, original = mine.__init__, original.__init__
        expected = signature(original)
        kinds = [kind for _, kind, _ in expected or ()]
        if not expected or kinds == ["VAR_POSITIONAL", "VAR_KEYWORD"]:
            continue
        extra = OUR_OWN.get(name, [])
        assert [p for p in signature(mine) if p[0] not in extra] == expected, name


#: layer → the first and the last of its numbers, and their sum, under PyTorch 2.13, seed 3
RECORDED = {
    "nn.Linear(3, 2)": (-0.5724272, 0.2813998, -1.766777),
    "nn.Linear(40, 30)": (-0.1567656, -0.1204247, -0.02607024),
    "nn.Conv2d(2, 3, 3)": (-0.2336924, -0.08455026, -2.09636),
    "nn.Conv1d(4, 4, 2, groups=2)": (-0.4957365, 0.3748562, -0.8854192),
    "nn.Embedding(3, 2)": (0.8032761, -1.368259, -0.8687072),
    "nn.Embedding(20, 3)": (-0.07664429, -0.4890671, 3.806943),
    "nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)])": (-0.7010772, 0.1335317, -2.03032),
}


@pytest.mark.parametrize("expression", RECORDED)
def test_first_values_are_as_recorded(expression):
    layer = build(rushlight, expression)
    numbers = rushlight.nn.utils.parameters_to_vector(layer.parameters()).double()
    found = [numbers[0].item(), numbers[-1].item(), numbers.sum().item()]
    assert found == pytest.approx(RECORDED[expression], rel=1e-5, abs=1e-6)
