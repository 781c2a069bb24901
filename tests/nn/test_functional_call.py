"""torch.func.functional_call, against PyTorch's."""

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.func import functional_call


def tied(t):
    class Tied(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = t.nn.Parameter(t.ones(1))
            self.b = self.a
            self.register_buffer("count", t.zeros(1))

        def forward(self, x):
            self.count = self.count + x
            return self.a * x + self.b

    return Tied()


def linear(t):
    t.manual_seed(0)
    return t.nn.Linear(2, 1)


def of_buffers(t, f):
    module, given = t.nn.BatchNorm1d(2), {"running_mean": t.zeros(2)}
    out = f(module, given, t.arange(6.0).reshape(3, 2))
    return out, given["running_mean"], module.running_mean, module.num_batches_tracked


def of_replaced_buffers(t, f):
    module, given = tied(t), {"count": t.ones(1)}
    return f(module, given, t.ones(1)), given["count"], module.count


def after_an_error(t, f):
    module = linear(t)
    with pytest.raises(RuntimeError):
        f(module, {"weight": t.ones(3, 3)}, t.ones(2))
    assert type(module.weight) is t.nn.Parameter
    return module.weight


def of_a_parametrized(t, f):
    module = t.nn.utils.parametrizations.weight_norm(linear(t))
    return f(module, {"parametrizations.weight.original0": 2 * t.ones(1, 1)}, t.ones(2))


def gradients(t, f):
    """A step of gradient descent in the graph, as meta-learning takes it."""
    net = t.nn.Sequential(linear(t), t.nn.Tanh(), t.nn.Linear(1, 1))
    x = t.arange(6.0).reshape(3, 2)
    own = dict(net.named_parameters())
    loss = f(net, own, (x,)).square().sum()
    steps = t.autograd.grad(loss, list(own.values()), create_graph=True)
    ahead = {k: p - 0.1 * g for (k, p), g in zip(own.items(), steps, strict=True)}
    f(net, ahead, (x,)).square().sum().backward()
    return tuple(p.grad for p in net.parameters())


CASES = {
    "some": lambda t, f: f(linear(t), {"bias": t.ones(1)}, t.ones(2)),
    "keywords": lambda t, f: f(linear(t), {"bias": t.ones(1)}, None, {"input": t.ones(2)}),
    "several dicts": lambda t, f: f(
        linear(t), ({"bias": t.ones(1)}, {"weight": t.ones(1, 2)}), t.ones(2), strict=True
    ),
    "none": lambda t, f: f(linear(t), {"bias": None}, t.ones(2)),
    "new names": lambda t, f: f(linear(t), {"other": t.ones(1)}, t.ones(2)),
    "tied": lambda t, f: f(tied(t), {"a": 3 * t.ones(1)}, t.ones(1)),
    "not tied": lambda t, f: f(tied(t), {"a": 3 * t.ones(1)}, t.ones(1), tie_weights=False),
    "tied, the same": lambda t, f: f(tied(t), dict.fromkeys("ab", 3 * t.ones(1)), t.ones(1)),
    "strict": lambda t, f: f(tied(t), {"a": t.ones(1), "count": t.ones(1)}, t.ones(1), strict=True),
    "buffers": of_buffers,
    "replaced buffers": of_replaced_buffers,
    "after an error": after_an_error,
    "parametrized": of_a_parametrized,
    "gradients": gradients,
}


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_as_pytorch(case):
    torch = pytest.importorskip("torch")
    found = []
    for t in (rushlight, torch):
        result = CASES[case](t, t.func.functional_call)
        found.append(result if isinstance(result, tuple) else (result,))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-6
        )


ERRORS = {
    "no such module": lambda t, f: f(linear(t), {"a.b": t.ones(1)}, t.ones(2)),
    "missing": lambda t, f: f(linear(t), {"weight": t.ones(1, 2)}, t.ones(2), strict=True),
    "unexpected": lambda t, f: f(
        linear(t), {"weight": t.ones(1, 2), "bias": None, "c": None}, t.ones(2), strict=True
    ),
    "two values of one": lambda t, f: f(tied(t), {"a": t.ones(1), "b": t.ones(1)}, t.ones(1)),
    "twice": lambda t, f: f(linear(t), ({"bias": None}, {"bias": None}), t.ones(2)),
    "no dict": lambda t, f: f(linear(t), 3, t.ones(2)),
    "no dicts": lambda t, f: f(linear(t), [3], t.ones(2)),
    "a number": lambda t, f: f(linear(t), {"weight": 3}, t.ones(2)),
}


@pytest.mark.parity
@pytest.mark.parametrize("case", ERRORS)
def test_errors_as_pytorch(case):
    torch = pytest.importorskip("torch")
    with pytest.raises(Exception) as theirs:
        ERRORS[case](torch, torch.func.functional_call)
    with pytest.raises(theirs.type):
        ERRORS[case](rushlight, functional_call)


def test_what_is_computed_cannot_be_given():
    module = nn.utils.parametrizations.weight_norm(linear(rushlight))
    with pytest.raises(RuntimeError, match=r"parametrizations\.weight\.original"):
        functional_call(module, {"weight": rushlight.ones(1, 2)}, rushlight.ones(2))


def test_the_deprecated_place():
    with pytest.warns(FutureWarning, match="torch.func.functional_call"):
        found = nn.utils.stateless.functional_call(
            linear(rushlight), {"bias": rushlight.zeros(1)}, rushlight.zeros(2)
        )
    assert found.item() == 0


def test_compiled_once_for_other_tensors():
    module = linear(rushlight)

    @rushlight.compile(fullgraph=True)
    def call(weight, x):
        return functional_call(module, {"weight": weight}, x)

    for k in range(3):
        w = rushlight.full((1, 2), float(k))
        assert call(w, rushlight.ones(2)).item() == pytest.approx(2 * k + module.bias.item())
    assert len(call._compiled.entries) == 1


def test_a_module_that_contains_itself():
    outer = nn.Sequential(nn.Linear(1, 1))
    outer[0].around = outer
    given = {"0.around.0.weight": rushlight.full((1, 1), 3.0), "0.bias": rushlight.zeros(1)}
    found = functional_call(outer, given, rushlight.ones(1), tie_weights=False)
    assert found.tolist() == [3] and outer[0].weight.item() != 3


def test_a_parameter_under_a_new_name_is_one_of_the_module_during_the_call():
    class Count(nn.Module):
        def forward(self):
            return len([*self.parameters()])

    module, extra = Count(), nn.Parameter(rushlight.ones(1))
    assert functional_call(module, {"extra": extra}, ()) == 1
    assert not hasattr(module, "extra")
    module.text = "no tensor"
    with pytest.raises(TypeError, match="no Tensor"):
        functional_call(module, {"text": extra}, ())


def test_weights_of_a_recurrent_layer_are_assigned_as_one_list():
    layer = nn.LSTM(3, 2)
    x, weights = rushlight.rand(4, 3), [w.detach() * 2 for w in layer.parameters()]
    twin = nn.LSTM(3, 2)
    twin.load_state_dict(dict(zip(layer._flat_weights_names, weights, strict=True)))
    layer._flat_weights = weights  # as the library higher does
    assert rushlight.equal(layer(x)[0], twin(x)[0]) and layer.weight_ih_l0 is weights[0]
