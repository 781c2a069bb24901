"""Parametrizations, and weight and spectral norm in both forms: values, gradients, states, errors."""

import copy
import pickle

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.nn.utils import parametrizations, parametrize


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def same(ours, theirs, tolerance=1e-5):
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), atol=tolerance, rtol=tolerance
    )


def same_states(ours, theirs, tolerance=1e-5):
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert [*ours] == [*theirs]
    for name, value in ours.items():
        same(value, theirs[name], tolerance)


LAYERS = {
    "Linear": ((4, 3), (2, 4)),
    "wide Linear": ((3, 5), (2, 3)),
    "square Linear": ((4, 4), (2, 4)),
    "Conv2d": ((3, 4, 2), (2, 3, 5, 5)),
    "ConvTranspose1d": ((3, 4, 2), (2, 3, 5)),
}


def layer(t, kind):
    args, shape = LAYERS[kind]
    t.manual_seed(0)
    made = getattr(t.nn, kind.split()[-1])(*args)
    t.manual_seed(1)
    return made, t.randn(*shape)


def norm(name, /, **options):
    return lambda t, m: getattr(t.nn.utils.parametrizations, name)(m, **options)


def older(name, /, **options):
    return lambda t, m: getattr(t.nn.utils, name)(m, **options)


FORMS = {
    "weight norm": (norm("weight_norm"), LAYERS),
    "weight norm of a dim": (norm("weight_norm", dim=1), LAYERS),
    "weight norm of all": (norm("weight_norm", dim=None), LAYERS),
    "weight norm of a bias": (norm("weight_norm", name="bias"), ["Linear"]),
    "spectral norm": (norm("spectral_norm"), LAYERS),
    "spectral norm of a dim": (norm("spectral_norm", dim=1, n_power_iterations=3), LAYERS),
    "spectral norm of a bias": (norm("spectral_norm", name="bias"), ["Linear"]),
    **{
        f"orthogonal by {m}{'' if base else ' around 0'}": (
            norm("orthogonal", orthogonal_map=m, use_trivialization=base),
            ["Linear", "wide Linear", "square Linear"],
        )
        for m in (None, "matrix_exp", "cayley", "householder")
        for base in (True, False)
    },
    "older weight norm": (older("weight_norm"), LAYERS),
    "older weight norm of a dim": (older("weight_norm", dim=-1), ["Linear"]),
    "older weight norm of all": (older("weight_norm", dim=None), ["Conv2d"]),
    "older spectral norm": (older("spectral_norm"), LAYERS),
    "older spectral norm of a dim": (older("spectral_norm", dim=1, eps=1e-6), ["Linear"]),
}


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize(
    "form, kind", [(form, kind) for form, (_, kinds) in FORMS.items() for kind in kinds]
)
def test_training_as_pytorch(torch, form, kind):
    """Construction, three steps of SGD with a mode change between, and the state at the end."""
    ends = []
    for t in (rushlight, torch):
        made, x = layer(t, kind)
        t.manual_seed(2)
        made = FORMS[form][0](t, made)
        optimizer = t.optim.SGD(made.parameters(), lr=0.05)
        outputs = []
        for training in (True, True, False):
            made.train(training)
            optimizer.zero_grad()
            y = made(x)
            y.square().mean().backward()
            optimizer.step()
            outputs.append(y)
        made.train()
        outputs.append(made.weight)
        ends.append((made, outputs))
    (ours, found), (theirs, wanted) = ends
    assert repr(ours) == repr(theirs)
    same_states(ours, theirs, 2e-5)
    for a, b in zip(found, wanted, strict=True):
        same(a, b, 2e-5)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        same(p.grad, q.grad, 1e-4)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize("form", ["older weight norm", "older spectral norm"])
def test_removal_of_the_older_forms(torch, form):
    ends = []
    for t in (rushlight, torch):
        made, x = layer(t, "Conv2d")
        t.manual_seed(2)
        made = FORMS[form][0](t, made)
        made(x)
        remove = getattr(t.nn.utils, "remove_" + form[6:].replace(" ", "_"))
        with pytest.raises(ValueError, match="not found"):
            remove(made, "bias")
        with pytest.raises(RuntimeError, match="Cannot register two"):
            FORMS[form][0](t, made)
        made = remove(made)
        ends.append(made)
        assert isinstance(made.weight, t.nn.Parameter) and not made._forward_pre_hooks
        assert not made._state_dict_hooks
    assert set(ends[0].state_dict()) == {"weight", "bias"}
    assert not ends[0]._load_state_dict_pre_hooks
    same(ends[0].weight, ends[1].weight)


def test_older_states_load():
    made = nn.Linear(3, 4)
    with pytest.warns(FutureWarning, match="deprecated"):
        state = nn.utils.weight_norm(copy.deepcopy(made)).state_dict()
    other = parametrizations.weight_norm(nn.Linear(3, 4))
    assert not other.load_state_dict(state).missing_keys
    same(other.weight, made.weight)
    # Before version 1 spectral norm kept the weight and not v.
    normed = nn.utils.spectral_norm(made)
    normed.train()(rushlight.ones(1, 3))
    state = normed.state_dict()
    assert state._metadata[""]["spectral_norm"] == {"weight.version": 1}
    v = state.pop("weight_v")
    state["weight"] = normed.weight.detach()
    del state._metadata[""]["spectral_norm"]
    again = nn.utils.spectral_norm(nn.Linear(3, 4))
    again.load_state_dict(state)
    same(again.eval()(rushlight.ones(1, 3)), normed.eval()(rushlight.ones(1, 3)))
    assert v.shape == again.weight_v.shape


@pytest.mark.parity
@pytest.mark.parametrize("form", ["weight norm", "spectral norm", "orthogonal by None"])
def test_states_go_to_pytorch_and_back(torch, form):
    ours, theirs = FORMS[form][0](rushlight, nn.Linear(4, 3)), None
    theirs = FORMS[form][0](torch, torch.nn.Linear(4, 3))
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    same(ours.eval().weight, theirs.eval().weight)


# What a parametrization may be ------------------------------------------------------------


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT

    def right_inverse(self, x):
        return x.triu()


class Double(nn.Module):
    def forward(self, x):
        return 2 * x


class Halves(nn.Module):
    def forward(self, a, b):
        return rushlight.cat([a, b])

    def right_inverse(self, x):
        n = len(x) // 2
        return x[:n].clone(), x[n:].clone()


def test_one_after_another():
    made = nn.Linear(3, 3)
    parameter = made.weight
    parametrize.register_parametrization(made, "weight", Symmetric())
    assert made.parametrizations.weight.original is parameter
    parametrize.register_parametrization(made, "weight", Double())
    same(made.weight, 2 * (parameter.triu() + parameter.triu(1).mT))
    assert repr(made).startswith("ParametrizedLinear(") and "ParametrizationList" in repr(made)
    assert [*dict(made.named_parameters())] == ["bias", "parametrizations.weight.original"]
    with pytest.raises(RuntimeError, match="Double has no right_inverse"):
        made.weight = rushlight.eye(3)
    with pytest.raises(KeyError):
        made.weight = nn.Parameter(rushlight.eye(3))


def test_assignment_and_several_tensors():
    made = nn.Linear(3, 4)
    before = made.weight.detach().clone()
    parametrize.register_parametrization(made, "weight", Halves())
    same(made.weight, before)
    assert [*made.state_dict()][1:] == [f"parametrizations.weight.original{i}" for i in (0, 1)]
    made.weight = rushlight.arange(12.0).reshape(4, 3)
    assert made.parametrizations.weight.original1.tolist() == [[6, 7, 8], [9, 10, 11]]
    made.weight.sum().backward()
    assert made.parametrizations.weight.original0.grad.tolist() == [[1] * 3] * 2
    with pytest.raises(ValueError, match="several"):
        parametrize.remove_parametrizations(made, "weight", leave_parametrized=False)
    parametrize.remove_parametrizations(made, "weight")
    assert type(made) is nn.Linear and made.weight.sum() == 66
    assert isinstance(made.weight, nn.Parameter) and made.weight.requires_grad


@pytest.mark.parametrize("leave", [True, False])
def test_removal(leave):
    made = nn.Linear(3, 3)
    parameter, before = made.weight, made.weight.detach().clone()
    parametrize.register_parametrization(made, "weight", Symmetric())
    parametrize.register_parametrization(made, "bias", Double())
    assert parametrize.is_parametrized(made) and parametrize.is_parametrized(made, "bias")
    value = made.weight.detach()
    parametrize.remove_parametrizations(made, "weight", leave_parametrized=leave)
    assert made.weight is parameter and not parametrize.is_parametrized(made, "weight")
    same(made.weight, value if leave else before.triu())
    assert parametrize.type_before_parametrizations(made) is nn.Linear
    assert type(made).__name__ == "ParametrizedLinear"
    parametrize.remove_parametrizations(made, "bias")
    assert type(made) is nn.Linear and not hasattr(made, "parametrizations")
    with pytest.raises(ValueError, match="does not have a parametrization"):
        parametrize.remove_parametrizations(made, "bias")


def test_buffers():
    made = nn.BatchNorm1d(3)
    parametrize.register_parametrization(made, "running_mean", Double())
    assert "parametrizations.running_mean.original" in dict(made.named_buffers())
    assert made.running_mean.tolist() == [0, 0, 0]


def test_caching():
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 1

    made = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counted())
    calls.clear()
    with parametrize.cached():
        assert made.weight is made.weight
        with parametrize.cached():
            made(rushlight.ones(1, 2))
        assert len(calls) == 1
    made.weight, made.weight  # noqa: B018
    assert len(calls) == 3


def test_copies_are_apart():
    made = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    other = copy.deepcopy(made)
    with rushlight.no_grad():
        other.parametrizations.weight.original.zero_()
    assert other.weight.abs().sum() == 0 and made.weight.abs().sum() > 0
    parametrize.remove_parametrizations(other, "weight")
    assert type(other) is nn.Linear and made.weight.abs().sum() > 0
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(made)


def test_transfer():
    made = parametrizations.weight_norm(nn.Linear(3, 4))
    other = nn.Linear(3, 4)
    parametrize.transfer_parametrizations_and_params(made, other)
    assert rushlight.equal(other.weight, made.weight)
    assert other.parametrizations.weight.original0 is made.parametrizations.weight.original0
    plain = nn.Linear(1, 1)
    assert parametrize.transfer_parametrizations_and_params(nn.Linear(1, 1), plain) is plain


@pytest.mark.parity
def test_errors_as_pytorch(torch):
    def form(t, forward, right_inverse=None):
        members = {"forward": lambda self, *xs: forward(*xs)}
        if right_inverse:
            members["right_inverse"] = lambda self, x: right_inverse(x)
        return type("P", (t.nn.Module,), members)()

    def register(t, m, name, *args, **kwargs):
        return t.nn.utils.parametrize.register_parametrization(m, name, *args, **kwargs)

    def on_top(t, second):
        return register(t, register(t, t.nn.Linear(2, 2), "weight", form(t, abs)), "weight", second)

    linear = lambda t: t.nn.Linear(2, 2)
    P = lambda t: t.nn.utils.parametrizations
    cases = [
        lambda t: register(t, linear(t), "none", form(t, abs)),
        lambda t: register(t, linear(t), "weight", form(t, lambda x: x[0])),
        lambda t: register(t, linear(t), "weight", form(t, lambda x: x.double())),
        lambda t: register(t, linear(t), "weight", form(t, lambda x: 3)),
        lambda t: register(t, linear(t), "weight", form(t, abs, lambda x: 3)),
        lambda t: register(t, linear(t), "weight", form(t, abs, lambda x: x.double())),
        lambda t: register(t, linear(t), "weight", form(t, abs, lambda x: (x, 3))),
        lambda t: on_top(t, form(t, lambda x: x[0])),
        lambda t: on_top(t, form(t, lambda x: x.double())),
        lambda t: on_top(t, form(t, abs, lambda x: x[0])),
        lambda t: t.nn.utils.parametrize.ParametrizationList([], t.ones(2)),
        lambda t: t.nn.utils.parametrize.remove_parametrizations(linear(t), "weight"),
        lambda t: setattr(register(t, linear(t), "weight", form(t, abs)), "weight", t.ones(2, 2)),
        lambda t: P(t).weight_norm(linear(t), "none"),
        lambda t: P(t).spectral_norm(linear(t), "none"),
        lambda t: P(t).spectral_norm(linear(t), dim=2),
        lambda t: P(t).spectral_norm(linear(t), n_power_iterations=0),
        lambda t: P(t).orthogonal(linear(t), "none"),
        lambda t: P(t).orthogonal(linear(t), "bias"),
        lambda t: P(t).orthogonal(linear(t), orthogonal_map="other"),
        lambda t: setattr(P(t).orthogonal(linear(t)), "weight", t.ones(3, 2)),
        lambda t: setattr(
            P(t).orthogonal(linear(t), use_trivialization=False), "weight", t.eye(2)
        ),
        lambda t: t.nn.utils.spectral_norm(linear(t), n_power_iterations=0),
    ]  # fmt: skip
    for i, case in enumerate(cases):
        with pytest.raises(Exception) as theirs:
            case(torch)
        with pytest.raises(theirs.type) as ours:
            case(rushlight)
        assert ours.type is theirs.type, i


@pytest.mark.parity
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
def test_orthogonal_matrices_may_be_assigned(torch, orthogonal_map, shape):
    ends = []
    for t in (rushlight, torch):
        t.manual_seed(0)
        made = t.nn.Module()
        made.w = t.nn.Parameter(t.randn(*shape))
        t.nn.utils.parametrizations.orthogonal(made, "w", orthogonal_map)
        made.w = t.nn.init.orthogonal_(t.empty(*shape)) if len(shape) == 2 else t.randn(*shape)
        ends.append(made)
    same(ends[0].w, ends[1].w)
    same_states(*ends)
    w = ends[0].w if shape[-2] >= shape[-1] else ends[0].w.mT
    same(w.mT @ w, rushlight.eye(w.shape[-1]).expand(*w.shape[:-2], -1, -1))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize(
    "form",
    [pytest.param(f, marks=pytest.mark.slow) if "older" in f else f for f in FORMS],
)
def test_compiled_steps(form):
    """A compiled training step gives what an eager one gives."""
    ends = []
    for compiled in (False, True):
        kind = "square Linear" if "orthogonal" in form else "Linear"
        made, x = layer(rushlight, kind)
        rushlight.manual_seed(2)
        made = FORMS[form][0](rushlight, made)
        optimizer = rushlight.optim.SGD(made.parameters(), lr=0.05)

        def step(x, made=made, optimizer=optimizer):
            optimizer.zero_grad()
            loss = made(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        if compiled:
            step = rushlight.compile(step, fullgraph=True)
        ends.append(([step(x).item() for _ in range(3)], made))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-5)
    same_states(ends[1][1], ends[0][1])
