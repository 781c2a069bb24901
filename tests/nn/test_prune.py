"""Pruning against PyTorch: the same random draws, masks, states, training and errors."""

import copy

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.nn.utils import prune


def same(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-6)


def layer(t, kind="Conv2d"):
    t.manual_seed(0)
    return t.nn.Conv2d(3, 4, 2) if kind == "Conv2d" else t.nn.Linear(6, 5)


def scores(t, *shape):
    t.manual_seed(7)
    return t.rand(*shape)


PRUNINGS = {
    "identity": [lambda t, p, m: p.identity(m, "weight")],
    "random": [lambda t, p, m: p.random_unstructured(m, "weight", 0.3)],
    "random number": [lambda t, p, m: p.random_unstructured(m, "weight", amount=7)],
    "l1": [lambda t, p, m: p.l1_unstructured(m, "weight", 0.4)],
    "l1 of a bias": [lambda t, p, m: p.l1_unstructured(m, "bias", 2)],
    "l1 by scores": [
        lambda t, p, m: p.l1_unstructured(m, "weight", 9, scores(t, *m.weight.shape))
    ],
    "nothing": [lambda t, p, m: p.l1_unstructured(m, "weight", 0)],
    "everything": [lambda t, p, m: p.random_unstructured(m, "weight", 1.0)],
    "random channels": [lambda t, p, m: p.random_structured(m, "weight", 0.5, 0)],
    "random last": [lambda t, p, m: p.random_structured(m, "weight", 1, -1)],
    "l2 channels": [lambda t, p, m: p.ln_structured(m, "weight", 2, 2, 0)],
    "l1 inputs": [lambda t, p, m: p.ln_structured(m, "weight", 0.4, 1, 1)],
    "largest": [lambda t, p, m: p.ln_structured(m, "weight", 1, float("inf"), -2)],
    "channels by scores": [
        lambda t, p, m: p.ln_structured(m, "weight", 1, 2, 0, scores(t, *m.weight.shape))
    ],
    "mask": [
        lambda t, p, m: p.custom_from_mask(m, "weight", scores(t, *m.weight.shape) > 0.5)
    ],
    "no channels": [lambda t, p, m: p.random_structured(m, "weight", 0.0, 0)],
    "random, random": [
        lambda t, p, m: p.random_unstructured(m, "weight", 0.3),
        lambda t, p, m: p.random_unstructured(m, "weight", 0.3),
    ],
    "l1, channels, mask": [
        lambda t, p, m: p.l1_unstructured(m, "weight", 5),
        lambda t, p, m: p.ln_structured(m, "weight", 1, 2, 0),
        lambda t, p, m: p.custom_from_mask(m, "weight", scores(t, *m.weight.shape) > 0.2),
    ],
    "channels, inputs, random": [
        lambda t, p, m: p.random_structured(m, "weight", 1, 0),
        lambda t, p, m: p.random_structured(m, "weight", 1, 1),
        lambda t, p, m: p.random_unstructured(m, "weight", 3),
    ],
    "weight and bias": [
        lambda t, p, m: p.l1_unstructured(m, "weight", 0.5),
        lambda t, p, m: p.random_unstructured(m, "bias", 0.5),
    ],
}  # fmt: skip


def library(name):
    if name == "torch":
        pytest.importorskip("torch.nn.utils.prune")  # which torch does not import by itself
    return pytest.importorskip(name)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["Conv2d", "Linear"])
@pytest.mark.parametrize("pruning", PRUNINGS)
def test_as_pytorch(pruning, kind):
    ends = []
    for t in (library("rushlight"), library("torch")):
        made, p = layer(t, kind), t.nn.utils.prune
        x = t.ones(2, 3, 4, 4) if kind == "Conv2d" else t.ones(2, 6)
        t.manual_seed(3)
        for step in PRUNINGS[pruning]:
            assert step(t, p, made) is made
        drawn = t.rand(2)
        optimizer = t.optim.SGD(made.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            out = made(x).square().mean()
            out.backward()
            optimizer.step()
        names = [n[:-5] for n, _ in made.named_parameters() if n.endswith("_orig")]
        states = dict(made.state_dict())
        assert p.is_pruned(made) and p.is_pruned(t.nn.Sequential(made))
        for name in names:
            p.remove(made, name)
        assert not p.is_pruned(made)
        ends.append((drawn, out, states, made.state_dict()))
    (drawn, out, states, end), (d, o, s, e) = ends
    same(drawn, d)
    same(out, o)
    assert [*states] == [*s] and [*end] == [*e]
    for ours, theirs in ((states, s), (end, e)):
        for name, value in ours.items():
            assert str(value.dtype) == str(theirs[name].dtype)
            same(value, theirs[name])


@pytest.mark.parity
@pytest.mark.parametrize("by_scores", [False, True])
@pytest.mark.parametrize("method", ["L1Unstructured", "RandomUnstructured"])
def test_global_pruning(method, by_scores):
    ends = []
    for t in (library("rushlight"), library("torch")):
        p, net = t.nn.utils.prune, t.nn.Sequential(layer(t), layer(t, "Linear"))
        pairs = [(net[0], "weight"), (net[1], "weight"), (net[1], "bias")]
        given = {(net[0], "weight"): scores(t, *net[0].weight.shape)} if by_scores else None
        p.random_unstructured(net[0], "weight", 4)
        for _ in range(2):
            p.global_unstructured(pairs, getattr(p, method), importance_scores=given, amount=0.3)
        ends.append(net.state_dict())
    assert [*ends[0]] == [*ends[1]]
    for name, value in ends[0].items():
        same(value, ends[1][name])


@pytest.mark.parity
def test_errors_as_pytorch():
    cases = {
        "negative": lambda t, p: p.l1_unstructured(layer(t), "weight", -1),
        "share": lambda t, p: p.l1_unstructured(layer(t), "weight", 1.5),
        "type": lambda t, p: p.l1_unstructured(layer(t), "weight", "much"),
        "too many": lambda t, p: p.l1_unstructured(layer(t), "weight", 1000),
        "too many channels": lambda t, p: p.ln_structured(layer(t), "weight", 9, 2, 0),
        "one dim": lambda t, p: p.random_structured(layer(t), "bias", 1, 0),
        "dim": lambda t, p: p.random_structured(layer(t), "weight", 1, 4),
        "scores": lambda t, p: p.l1_unstructured(layer(t), "weight", 1, t.ones(2)),
        "mask": lambda t, p: p.custom_from_mask(layer(t), "weight", t.ones(2)),
        "not pruned": lambda t, p: p.remove(layer(t), "weight"),
        "name": lambda t, p: p.l1_unstructured(layer(t), "other", 1),
        "iterable": lambda t, p: p.global_unstructured(3, p.L1Unstructured, amount=1),
        "dict": lambda t, p: p.global_unstructured(
            [(layer(t), "weight")], p.L1Unstructured, importance_scores=3, amount=1
        ),
        "structured": lambda t, p: p.global_unstructured(
            [(layer(t), "weight")], p.RandomStructured, amount=1
        ),
        "container": lambda t, p: p.PruningContainer(p.Identity()).add_pruning_method(3),
        "abstract": lambda t, p: p.BasePruningMethod(),
        "prune": lambda t, p: p.L1Unstructured(1).prune(t.ones(2), importance_scores=t.ones(3)),
    }
    torch = library("torch")
    for name, case in cases.items():
        with pytest.raises(Exception) as theirs:
            case(torch, torch.nn.utils.prune)
        with pytest.raises(Exception) as ours:
            case(rushlight, prune)
        assert ours.type.__name__ == theirs.type.__name__ or isinstance(ours.value, theirs.type), (
            name
        )


def test_a_failed_pruning_leaves_the_module():
    made = layer(rushlight)
    with pytest.raises(ValueError, match="should be smaller"):
        prune.l1_unstructured(made, "weight", 1000)
    assert [*made.state_dict()] == ["weight", "bias"] and not prune.is_pruned(made)
    prune.l1_unstructured(made, "weight", 3)
    with pytest.raises(ValueError, match="should be smaller"):
        prune.l1_unstructured(made, "weight", 1000)
    made(rushlight.ones(1, 3, 4, 4)).sum().backward()
    assert prune.is_pruned(made) and (made.weight_mask == 0).sum() == 3
    assert ((made.weight_orig.grad == 0) == (made.weight_mask == 0)).all()


class Every(prune.BasePruningMethod):
    """A method of the user's: every second element."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[::2] = 0
        return mask


def test_methods_of_the_users():
    made = nn.Linear(4, 2)
    Every.apply(made, "weight")
    Every.apply(made, "weight")
    assert made.weight_mask.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]
    (hook,) = made._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer) and len(hook) == 2
    assert isinstance(hook[0], Every) and [*hook] == [hook[0], hook[1]]
    assert Every().prune(rushlight.ones(3)).tolist() == [0, 1, 0]


def test_copies_states_and_compiled_calls():
    made = prune.l1_unstructured(layer(rushlight, "Linear"), "weight", 0.5)
    x = rushlight.ones(2, 6)
    other = prune.identity(nn.Linear(6, 5), "weight")
    other.load_state_dict(made.state_dict())
    same(other(x), made(x))
    removed = copy.deepcopy(prune.remove(other, "weight"))
    same(removed(x), made(x))
    same(rushlight.compile(made, fullgraph=True)(x), removed(x))
