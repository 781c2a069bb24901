"""Batch norms folded into the layer before, modules without first values, parameters as vectors."""

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.nn import utils


def same(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-5, rtol=1e-5)


def pair(t, kind, **options):
    """A layer and a batch norm that has seen something, both for evaluation."""
    t.manual_seed(0)
    if kind == "Linear":
        made, norm, shape = t.nn.Linear(3, 4, **options), t.nn.BatchNorm1d(4), (5, 3)
    else:
        n = int(kind[-2])
        made = getattr(t.nn, kind)(3, 4, 2, **options)
        norm, shape = getattr(t.nn, f"BatchNorm{n}d")(4), (5, 3, *[4] * n)
    t.nn.init.uniform_(norm.weight)
    t.nn.init.uniform_(norm.bias)
    x = t.rand(*shape)
    norm(made(x))
    return made.eval(), norm.eval(), x


CASES = [
    *[(f"Conv{n}d", {}) for n in (1, 2, 3)],
    *[(f"ConvTranspose{n}d", {}) for n in (1, 2, 3)],
    ("Conv2d", {"bias": False}),
    ("Linear", {}),
    ("Linear", {"bias": False}),
]


@pytest.mark.parity
@pytest.mark.parametrize("kind, options", CASES)
def test_fused_layers(kind, options):
    fused = []
    for t in (rushlight, pytest.importorskip("torch")):
        made, norm, x = pair(t, kind, **options)
        made.weight.requires_grad_(False)
        if kind == "Linear":
            found = t.nn.utils.fuse_linear_bn_eval(made, norm)
        else:
            found = t.nn.utils.fuse_conv_bn_eval(made, norm, transpose="Transpose" in kind)
        if t is rushlight:
            same(found(x), norm(made(x)))
        assert type(found) is type(made) and found is not made
        fused.append(found)
    for name, value in fused[0].named_parameters():
        same(value, dict(fused[1].named_parameters())[name])
        assert value.requires_grad == dict(fused[1].named_parameters())[name].requires_grad


def test_layers_that_cannot_be_fused():
    made, norm, _ = pair(rushlight, "Linear")
    with pytest.raises(AssertionError, match="eval"):
        utils.fuse_linear_bn_eval(made.train(), norm)
    with pytest.raises(AssertionError, match="no running statistics"):
        utils.fuse_linear_bn_eval(made.eval(), nn.BatchNorm1d(4, track_running_stats=False).eval())
    with pytest.raises(AssertionError, match=r"num_features=3.*out_features=4"):
        utils.fuse_linear_bn_eval(made, nn.BatchNorm1d(3).eval())


@pytest.mark.parity
def test_weights_as_pytorchs():
    torch = pytest.importorskip("torch")
    numbers = np.random.default_rng(0).random((6, 4)).astype("f4")
    for transpose in (False, True):
        found = []
        for t in (rushlight, torch):
            b, mean, var, w, shift, _ = map(t.tensor, numbers)
            weight = t.arange(16.0).reshape(4, 4, 1)
            found.append([
                *t.nn.utils.fuse_conv_bn_weights(
                    weight, b, mean, var, 1e-3, None, shift, transpose
                ),
                *t.nn.utils.fuse_linear_bn_weights(weight[..., 0], None, mean, var, 0.1, w, shift),
            ])  # fmt: skip
        for ours, theirs in zip(*found, strict=True):
            same(ours, theirs)
            assert ours.requires_grad == theirs.requires_grad


@pytest.mark.parity
def test_skip_init():
    torch = pytest.importorskip("torch")
    for t in (rushlight, torch):
        t.manual_seed(0)
        before = t.get_rng_state()
        made = t.nn.utils.skip_init(t.nn.Linear, 3, 4, bias=False)
        assert made.weight.shape == (4, 3) and made.weight.requires_grad and made.bias is None
        assert t.equal(t.get_rng_state(), before)
        for cls in (t.Tensor, t.nn.ReLU):
            with pytest.raises(RuntimeError):
                t.nn.utils.skip_init(cls)


def test_skipped_values_can_be_drawn_later():
    made = utils.skip_init(nn.Linear, 3, 4)
    rushlight.manual_seed(0)
    made.reset_parameters()
    rushlight.manual_seed(0)
    same(made.weight, nn.Linear(3, 4).weight)
    assert [*vars(made)] == [*vars(nn.Linear(3, 4))]


@pytest.mark.parity
def test_vectors_as_pytorchs():
    torch = pytest.importorskip("torch")
    vectors = []
    for t in (rushlight, torch):
        t.manual_seed(0)
        net = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Linear(3, 1))
        vector = t.nn.utils.parameters_to_vector(net.parameters())
        vector.sum().backward()
        assert all((p.grad == 1).all() for p in net.parameters())
        t.nn.utils.vector_to_parameters(t.arange(13.0), net.parameters())
        vectors += [(vector, *net.parameters())]
        with pytest.raises(TypeError):
            t.nn.utils.vector_to_parameters([1.0], net.parameters())
        with pytest.raises(RuntimeError):
            t.nn.utils.vector_to_parameters(t.ones(4), net.parameters())
    for ours, theirs in zip(*vectors, strict=True):
        same(ours, theirs)
