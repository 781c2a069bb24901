"""Every layer: construction, repr, state, first values, forward and gradient, as PyTorch's."""

import builtins
import copy
import inspect
import operator
import pickle
import re

import numpy as np
import pytest

import rushlight
from tests.nn.cases import CASES, Inputs
from tests.nn.conftest import builtin_name, outcome, same

#: Classes of modules that hold others, which test_containers.py and test_module.py look at.
CONTAINERS = {
    "Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential",
}  # fmt: skip
EVERY = [
    (f"nn.{name}({arguments})", inputs)
    for name, cases in CASES.items()
    for arguments, inputs in cases
]
by_case = pytest.mark.parametrize("expression, inputs", EVERY, ids=[f"{e}({i})" for e, i in EVERY])


def build(torch, expression):
    torch.manual_seed(3)
    return eval(expression, {"nn": torch.nn, "torch": torch})


def public(layer):
    """The layer's plain attributes."""
    return {k: shown(v) for k, v in sorted(vars(layer).items()) if not k.startswith("_")}


def shown(value):
    return getattr(value, "__name__", None) or repr(value)


def flat(result):
    """The tensors in a result, in order."""
    if isinstance(result, tuple | list):
        return [t for r in result for t in flat(r)]
    return [] if result is None else [result]


def classes(nn):
    """Names of the classes of modules in ``nn``."""
    found = {n for n in dir(nn) if inspect.isclass(getattr(nn, n))}
    return {n for n in found if issubclass(getattr(nn, n), nn.Module)}


@pytest.mark.parity
def test_no_layer_is_missing():
    torch = pytest.importorskip("torch")
    lazy = {n for n in classes(torch.nn) if n.startswith("Lazy")}  # test_lazy.py
    assert classes(torch.nn) - lazy - CONTAINERS <= set(CASES)
    assert set(CASES) <= classes(rushlight.nn)


@pytest.mark.parity
@by_case
def test_construction_is_pytorchs(parity, expression, inputs):
    def script(torch):
        layer = build(torch, expression)
        return [
            repr(layer), public(layer), layer.state_dict(),
            [n for n, _ in layer.named_parameters()], [n for n, _ in layer.named_buffers()],
            {k: str(v) for k, v in layer.state_dict()._metadata.items()},
        ]  # fmt: skip

    parity(script)


@pytest.mark.parity
def test_names_of_constants_are_pytorchs():
    torch = pytest.importorskip("torch")
    constants = lambda nn, name: getattr(getattr(nn, name), "__constants__", None)
    for name in classes(torch.nn) & classes(rushlight.nn):
        assert constants(rushlight.nn, name) == constants(torch.nn, name), name


def test_a_convolution_shows_what_differs_from_the_defaults():
    nn = rushlight.nn
    assert repr(nn.Conv2d(3, 4, (1, 2, 3))) == (
        "Conv2d(3, 4, kernel_size=(1, 2, 3), stride=(1, 1))"
    )
    assert repr(nn.Conv2d(2, 4, 3, padding="same", dilation=2, groups=2)) == (
        "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=2)"
    )


@pytest.mark.parametrize("n", [2, 3])
def test_weights_of_convolutions_get_another_memory_format(n):
    nn = rushlight.nn
    made = [
        getattr(nn, f"{kind}{dims}d")(4, 4, 2)
        for kind in ("Conv", "ConvTranspose")
        for dims in (2, 3)
    ]
    net = nn.Sequential(*made, nn.Linear(2, 2))
    before, bias = [p.detach().clone() for p in net.parameters()], made[0].bias
    last = [None, None, rushlight.channels_last, rushlight.channels_last_3d]
    convert = getattr(nn.utils, f"convert_conv{n}d_weight_memory_format")
    assert convert(net, last[n]) is net
    for layer in made:
        dims = layer.weight.ndim - 2
        assert layer.weight.is_contiguous(memory_format=last[dims]) is (dims == n)
    assert all(rushlight.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    assert made[0].bias is bias and isinstance(made[0].weight, nn.Parameter)


def reductions(layer):
    """The reductions of a loss to try; None for another layer."""
    kind = type(layer).__name__
    return (
        (layer.reduction, "mean", "sum", "none") if kind.endswith(("Loss", "Loss2d")) else (None,)
    )


@pytest.mark.parity
@by_case
def test_forward_and_gradients_are_pytorchs(parity, expression, inputs):
    if inputs is None:
        pytest.skip("a base class: it has no forward")

    def script(torch):
        layer, made = build(torch, expression), Inputs(torch)
        seen = []
        for reduction in reductions(layer):
            if reduction is not None:
                layer.reduction = reduction
            outs = layer(*made(inputs))
            roots = [o for o in flat(outs) if o.requires_grad]
            total = [(o * torch.linspace(0, 1, o.numel()).view(o.shape)).sum() for o in roots]
            if total:
                sum(total).backward()
            seen += [outs, [leaf.grad for leaf in made.leaves], layer.state_dict()]
            seen.append([p.grad for p in layer.parameters()])
        with torch.no_grad():
            return [*seen, layer.eval()(*Inputs(torch)(inputs))]

    parity(script, rtol=1e-4, atol=2e-5)


@pytest.mark.filterwarnings("ignore")
@by_case
def test_copies_behave_alike(expression, inputs):
    layer = build(rushlight, expression).eval()
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(copied) == repr(layer)
        assert not {id(p) for p in copied.parameters()} & {id(p) for p in layer.parameters()}
        if inputs is not None:
            results = []
            for one in (layer, copied):
                rushlight.manual_seed(5)
                results.append(flat(one(*Inputs(rushlight)(inputs))))
            for found, want in zip(*results, strict=True):
                np.testing.assert_array_equal(found.detach(), want.detach())


#: What a layer's first input is changed to.
ODD = {
    "integers": lambda torch, x: x.detach().mul(4).long(),
    "doubles": lambda torch, x: x.detach().double(),
    "no dims": lambda torch, x: torch.tensor(0.5),
    "dims more": lambda torch, x: x.detach()[None, None, None],
    "one row less": lambda torch, x: x.detach()[:-1],
    "no rows": lambda torch, x: x.detach()[:0],
    "one column less": lambda torch, x: x.detach()[..., :-1],
    "no columns": lambda torch, x: x.detach()[..., :0],
    "none": lambda torch, x: None,
}
#: Where PyTorch does something by accident, or another thing is wrong first.
ACCIDENTS = {
    "AdaptiveLogSoftmaxWithLoss: no dims", "BCEWithLogitsLoss: doubles", "BatchNorm1d: no columns",
    "CTCLoss: no dims", "CTCLoss: one column less", "CrossEntropyLoss: no dims",
    "EmbeddingBag: no columns", "InstanceNorm2d: no rows", "LinearCrossEntropyLoss: dims more",
    "PixelUnshuffle: no columns", "PixelUnshuffle: no rows", "TransformerDecoder: no dims",
    "TransformerEncoder: no dims",
}  # fmt: skip


def refused_alike(ours, theirs):
    """Whether an error is of the type that PyTorch raises; AttributeError is Python's there."""
    wanted = getattr(builtins, builtin_name(theirs))
    return isinstance(ours, (wanted, TypeError) if wanted is AttributeError else wanted)


@pytest.mark.parity
@pytest.mark.parametrize("name", [n for n, cases in CASES.items() if cases[0][1] is not None])
def test_odd_inputs_do_as_in_pytorch(name):
    for odd, change in ODD.items():
        if f"{name}: {odd}" not in ACCIDENTS:
            try:
                _does_as_in_pytorch(name, change)
            except Exception as error:
                error.add_note(f"input: {odd}")
                raise


def _does_as_in_pytorch(name, change):
    arguments, inputs = CASES[name][0]

    def script(torch):
        layer = build(torch, f"nn.{name}({arguments})")
        x, *rest = Inputs(torch)(inputs)
        return layer(change(torch, x), *rest)

    theirs, _ = outcome(script, pytest.importorskip("torch"))
    ours, _ = outcome(script, rushlight)
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"PyTorch raises {theirs!r}"
        assert refused_alike(ours, theirs), f"{ours!r} for {theirs!r}"
    elif isinstance(ours, Exception):
        raise ours
    else:
        same(ours, theirs, rtol=1e-4, atol=2e-5)


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
    with pytest.raises(
        ValueError, match=r"GroupNorm: num_channels \(6\) must be divisible by num_groups \(4\)"
    ):
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


def documented(function):
    """(name, default) of each parameter, as the docstring of PyTorch's function in C++ begins."""
    given = re.match(r"\s*\w+\((.*?)\) ->", function.__doc__, re.DOTALL)
    return plain_parameters(eval(f"lambda {' '.join(given[1].split())}: None"))


def plain_parameters(function):
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parity
def test_functions_in_cpp_are_called_alike():
    torch = pytest.importorskip("torch")
    functions = {n: getattr(torch.nn.functional, n) for n in rushlight.nn.functional.__all__}
    checked = {n: f for n, f in functions.items() if signature(f) is None}
    assert {"conv2d", "linear", "scaled_dot_product_attention"} <= set(checked)
    for name, original in checked.items():
        wanted = documented(original)
        mine = plain_parameters(getattr(rushlight.nn.functional, name))
        assert mine[: len(wanted)] == wanted, name


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


def test_group_norm_saves_a_copy_of_what_lies_in_another_order():
    x = rushlight.rand(6, 4, requires_grad=True)
    turned = x.t() * 1
    y = rushlight.nn.functional.group_norm(turned, 2)
    turned.add_(1)
    y.sum().backward()
    assert x.grad is not None and y.is_contiguous()
    straight = x * 1
    y = rushlight.nn.functional.group_norm(straight, 2)
    straight.add_(1)
    with pytest.raises(RuntimeError, match="inplace operation"):
        y.sum().backward()
