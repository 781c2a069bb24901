"""Lazy modules: PyTorch's shapes, first values, state dicts and errors."""

import copy
import pickle

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.nn.modules.lazy import LazyModuleMixin

KINDS = {
    "LazyLinear": ((4,), {}, (2, 3)),
    "LazyLinear without bias": ((4, False), {}, (2, 5, 3)),
    **{f"LazyConv{n}d": ((4, 2), {"stride": 2}, (2, 3, *[5] * n)) for n in (1, 2, 3)},
    "LazyConv2d unbatched": ((4, (3, 1)), {"groups": 2, "padding": 1}, (4, 5, 5)),
    "LazyConv1d of groups": ((4, 2), {"groups": 2, "bias": False}, (2, 6, 5)),
    **{f"LazyConvTranspose{n}d": ((4, 2), {"stride": 2}, (2, 3, *[5] * n)) for n in (1, 2, 3)},
    **{f"LazyBatchNorm{n}d": ((), {}, (2, 3, *[4] * n)) for n in (1, 2, 3)},
    "LazyBatchNorm1d without bias": ((), {"bias": False, "eps": 0.1}, (4, 3)),
    "LazyBatchNorm2d without statistics": ((), {"track_running_stats": False}, (2, 3, 4, 4)),
    **{f"LazyInstanceNorm{n}d": ((), {}, (2, 3, *[4] * n)) for n in (1, 2, 3)},
}


def make(torch, kind):
    args, kwargs, shape = KINDS[kind]
    torch.manual_seed(0)
    return getattr(torch.nn, kind.split()[0])(*args, **kwargs), torch.ones(*shape).cumsum(-1)


def same(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("kind", KINDS)
def test_as_pytorch(kind):
    torch = pytest.importorskip("torch")
    (ours, x), (theirs, y) = make(rushlight, kind), make(torch, kind)
    assert repr(ours) == repr(theirs)
    assert list(map(repr, ours.parameters())) == list(map(repr, theirs.parameters()))
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    same(ours(x), theirs(y))
    assert repr(ours) == repr(theirs) and type(ours).__name__ == type(theirs).__name__
    states = ours.state_dict(), theirs.state_dict()
    assert [*states[0]] == [*states[1]]
    for name, value in states[0].items():
        same(value, states[1][name])
    assert [p.requires_grad for p in ours.parameters()] == [True] * len([*theirs.parameters()])
    assert not ours._forward_pre_hooks and not ours._load_state_dict_pre_hooks
    same(ours(x * 2), theirs(y * 2))


@pytest.mark.parity
def test_errors_as_pytorch():
    torch = pytest.importorskip("torch")

    def dense(t):
        return t.nn.Linear(2, 3)

    cases = [
        lambda t: t.nn.LazyLinear(3).weight.shape,
        lambda t: t.nn.LazyLinear(3).weight + 1,
        lambda t: t.nn.LazyLinear(3).weight.sum(),
        lambda t: t.nn.LazyLinear(3).weight.numel(),
        lambda t: len(t.nn.LazyLinear(3).weight),
        lambda t: t.nn.LazyLinear(3).share_memory(),
        lambda t: dense(t).load_state_dict(t.nn.LazyLinear(3).state_dict()),
        lambda t: t.nn.LazyLinear(4).load_state_dict(dense(t).state_dict()) and 1 / 0,
        lambda t: t.nn.LazyConv1d(3, 2)(t.ones(2)),
        lambda t: t.nn.LazyConv1d(3, 2, groups=3)(t.ones(2, 2, 4)),
        lambda t: t.nn.LazyBatchNorm1d()(t.ones(2)),
        lambda t: t.nn.LazyBatchNorm1d()(t.ones(2, 3, 4, 5)),
        lambda t: t.nn.LazyInstanceNorm2d()(t.ones(2, 3, 4)),
        lambda t: t.nn.UninitializedBuffer().mean(),
    ]
    for case in cases:
        with pytest.raises(Exception) as theirs:
            case(torch)
        with pytest.raises(theirs.type):
            case(rushlight)


def test_states_in_every_direction():
    dense, lazy = nn.Linear(2, 3), nn.LazyLinear(3)
    assert nn.LazyLinear(3).load_state_dict(lazy.state_dict()).missing_keys == []
    lazy.load_state_dict(dense.state_dict())
    assert type(lazy) is nn.LazyLinear and not lazy.has_uninitialized_params()
    x = rushlight.ones(1, 2)
    assert rushlight.equal(lazy(x), dense(x)) and lazy.in_features == 2
    other = nn.LazyLinear(3)
    other.load_state_dict(dense.state_dict(), assign=True)
    assert rushlight.equal(other(x), dense(x))


def test_conversions_before_the_first_call():
    layer = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()).double()
    assert layer[0].weight.dtype is rushlight.float64 and layer[0].weight.is_leaf
    layer.to(rushlight.float16).float().to("cpu").requires_grad_(False)
    layer[0].bias.requires_grad = True
    layer(rushlight.ones(2, 4))
    assert layer[0].weight.dtype is rushlight.float32 and layer[1].running_mean.numel() == 3
    assert not layer[0].weight.requires_grad and layer[0].bias.requires_grad


def test_optimizers_made_before_the_first_call():
    layer = nn.LazyLinear(1)
    optimizer = rushlight.optim.Adam(layer.parameters(), lr=0.1)
    before = layer(rushlight.ones(2, 3)).sum()
    before.backward()
    optimizer.step()
    assert layer(rushlight.ones(2, 3)).sum() < before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_initialized_apart(copied):
    layer = nn.LazyConv2d(3, 2)
    other = copied(layer)
    other(rushlight.ones(1, 5, 4, 4))
    assert type(other) is nn.Conv2d and type(layer) is nn.LazyConv2d
    layer(rushlight.ones(1, 2, 4, 4))
    assert layer.weight.shape == (3, 2, 2, 2) and other.weight.shape == (3, 5, 2, 2)


def test_copied_handles_remove_hooks_of_the_copy():
    layer = nn.Linear(1, 1)
    layer.handle = layer.register_forward_hook(print)
    other = copy.deepcopy(layer)
    other.handle.remove()
    assert not other._forward_hooks and layer._forward_hooks
    layer.handle = None
    later = pickle.loads(pickle.dumps(other.register_forward_hook(print)))
    assert nn.Linear(1, 1).register_forward_hook(print).id > later.id


class Own(LazyModuleMixin, nn.Module):
    cls_to_become = None

    def __init__(self, forget=False):
        super().__init__()
        self.forget = forget
        self.scale = nn.UninitializedParameter()
        self.seen = nn.UninitializedBuffer(dtype=rushlight.int64)

    def initialize_parameters(self, x, *, by):
        if not self.forget:
            self.scale.materialize(x.shape[1:])
            self.seen.materialize(())
            with rushlight.no_grad():
                self.scale.fill_(by)
                self.seen.zero_()

    def forward(self, x, *, by):
        self.seen += 1
        return x * self.scale


def test_modules_of_the_users():
    module = Own()
    assert [*module.state_dict()] == ["scale", "seen"]
    assert module(rushlight.ones(2, 3), by=4).sum() == 24 and module.seen == 1
    assert type(module.seen) is rushlight.Tensor and module.seen.dtype is rushlight.int64
    assert dict(module.named_buffers())["seen"] is module.seen
    with pytest.raises(RuntimeError, match="left parameters uninitialized"):
        Own(forget=True)(rushlight.ones(2, 3), by=4)

    class Unfinished(LazyModuleMixin, nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="initialize_parameters"):
        Unfinished()(1)


def test_compiled_after_the_first_call():
    net = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(1))
    x = rushlight.ones(2, 3)
    want = net(x)
    assert rushlight.allclose(rushlight.compile(net)(x), want)
