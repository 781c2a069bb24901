"""Models nested hundreds of modules deep, and graphs of 100,000 nodes: nothing recurses into them."""

import copy
import pickle

import pytest

import rushlight as torch
from rushlight.nn import Module
from tests.daily import daily

DEEP = 600
NODES = 100_000


class Wrapped(Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def extra_repr(self):
        return "one line\n\nanother"

    def forward(self, x):
        return self.inner(x)


def nested(depth, framework=torch, wrap=None):
    model = framework.nn.Linear(1, 1)
    for _ in range(depth):
        model = (wrap or framework.nn.Sequential)(model)
    return model


@pytest.mark.parametrize("wrap", daily([None, Wrapped], 1, "deep modules"))
def test_what_goes_through_modules_reaches_any_depth(wrap):
    model = nested(DEEP, wrap=wrap)
    text = repr(model)
    assert text.count("(") == text.count(")") and text.count("Linear") == 1
    assert len(list(model.named_modules())) == DEEP + 1
    assert len(model.state_dict()) == 2
    model.load_state_dict(model.state_dict())
    assert not model.eval().training
    assert model.apply(lambda m: m.requires_grad_(False)) is model
    (path, *_), parameters = zip(*model.double().named_parameters(), strict=True)
    assert model.get_parameter(path) is parameters[0]
    assert parameters[0].dtype is torch.float64


def test_copies_are_as_deep_as_pythons_recursion():
    """A nesting of 150, which PyTorch's modules bear too."""
    model = nested(150)
    assert repr(copy.deepcopy(model)) == repr(model) == repr(pickle.loads(pickle.dumps(model)))


def test_the_printed_form_of_nested_modules():
    assert repr(nested(2, wrap=Wrapped)) == (
        "Wrapped(\n  one line\n  \n  another\n  (inner): Wrapped(\n    one line\n\n    another\n"
        "    (inner): Linear(in_features=1, out_features=1, bias=True)\n  )\n)"
    )


@pytest.mark.parity
def test_the_printed_form_is_pytorchs():
    peer = pytest.importorskip("torch")

    class Peer(peer.nn.Module):
        __init__, extra_repr = Wrapped.__init__, Wrapped.extra_repr

    assert repr(nested(40)) == repr(nested(40, peer))


def test_the_layer_that_failed_is_found_without_a_search(monkeypatch):
    model, searches = nested(200), []
    whole = Module.named_modules
    monkeypatch.setattr(
        Module, "named_modules", lambda self, *a, **k: searches.append(1) or whole(self, *a, **k)
    )
    with pytest.raises(RuntimeError, match=r"in (0\.){199}0 \(Linear\)"):
        model(torch.ones(1, 2))
    assert len(searches) == 1


@pytest.mark.slow
def test_a_long_graph_runs_backward_and_is_freed():
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(NODES):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    z = x
    for _ in range(NODES):
        z = z * 1.0
    del z  # never run


class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g


@pytest.mark.parametrize(
    "step",
    [Same.apply, lambda x: x.split(1)[0] * 1, lambda x: torch.cat([x]), lambda x: x.sort()[0]],
)
def test_a_long_graph_of_other_nodes_is_freed(step):
    for run in (True, False):
        x = torch.ones(1, requires_grad=True)
        y = x
        for _ in range(NODES // 20):
            y = step(y)
        if run:
            y.backward()
            assert x.grad.item() == 1
        del y


def test_a_long_chain_of_views_and_writes_is_freed():
    x = torch.ones(2, requires_grad=True).clone()
    for _ in range(NODES // 20):
        x[0:1].mul_(1.0)
    x.sum().backward()
    del x


def test_a_long_graph_of_gradients():
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(NODES // 20):
        y = y.sin()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    g.backward()
    assert torch.isfinite(x.grad).all()
    del y, g
