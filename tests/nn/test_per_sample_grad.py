"""``call_for_per_sample_grads`` gives PyTorch's gradients of each sample."""

import pytest

import rushlight as torch
from rushlight.nn.utils._per_sample_grad import call_for_per_sample_grads


def models(library):
    nn = library.nn
    yield lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.LayerNorm(3)), (5, 4), True
    yield lambda: nn.Sequential(nn.Conv2d(2, 3, 2), nn.GroupNorm(3, 3)), (4, 2, 5, 5), True
    yield lambda: nn.Linear(4, 3), (2, 5, 4), True


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradients_of_samples(reduction):
    peer = pytest.importorskip("torch")
    from torch.nn.utils._per_sample_grad import call_for_per_sample_grads as theirs

    for (make, shape, first), (make_peer, _, _) in zip(models(torch), models(peer), strict=True):
        torch.manual_seed(0)
        layer, twin = make(), make_peer()
        twin.load_state_dict({k: peer.tensor(v.tolist()) for k, v in layer.state_dict().items()})
        x = torch.randn(shape)
        out = call_for_per_sample_grads(layer, loss_reduction=reduction, batch_first=first)(x)
        right = theirs(twin, loss_reduction=reduction, batch_first=first)(peer.tensor(x.tolist()))
        peer.testing.assert_close(peer.tensor(out.tolist()), right.detach(), rtol=1e-4, atol=1e-5)
        for y in (out, right):
            losses = y * y
            total = losses.mean(0 if first else 1) if reduction == "mean" else losses
            total.sum().backward()
        for p, q in zip(layer.parameters(), twin.parameters(), strict=True):
            assert p.grad is None
            peer.testing.assert_close(
                peer.tensor(p.grad_sample.tolist()), q.grad_sample, rtol=1e-3, atol=1e-4
            )


def test_samples_along_the_second_dim():
    layer, x = torch.nn.Linear(4, 3), torch.randn(2, 5, 4)
    call_for_per_sample_grads(layer, batch_first=False)(x).square().sum().backward()
    found, layer.weight.grad_sample, layer.bias.grad_sample = layer.weight.grad_sample, None, None
    call_for_per_sample_grads(layer)(x.transpose(0, 1)).square().sum().backward()
    torch.testing.assert_close(found, layer.weight.grad_sample)


def test_refusals():
    layer = torch.nn.Linear(2, 1)
    for arguments, named, text in (
        ((layer,), {"loss_reduction": "max"}, "sum or mean"),
        ((5,), {}, "must be nn.Module"),
        ((layer,), {"batch_size": "a"}, "must be None or an integer"),
        ((layer,), {"batch_size": 0}, "must be positive"),
    ):
        with pytest.raises(RuntimeError, match=text):
            call_for_per_sample_grads(*arguments, **named)
    with pytest.raises(RuntimeError, match="Unable to find a tensor"):
        call_for_per_sample_grads(layer)()
    call_for_per_sample_grads(layer)(torch.ones(3, 2)).sum().backward()
    with pytest.raises(RuntimeError, match="has a grad_sample already"):
        call_for_per_sample_grads(layer)
