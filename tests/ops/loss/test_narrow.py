"""cross_entropy of images of few places, whose classes come first in memory on the way."""

import pytest

import rushlight as torch

F = torch.nn.functional


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_loss_and_the_gradient_of_narrow_images(reduction):
    torch.manual_seed(0)
    x = torch.randn(300, 5, 2, dtype=torch.float64, requires_grad=True)
    target = torch.randint(5, (300, 2))
    target[0, 0] = -100
    found = F.cross_entropy(x, target, reduction=reduction)
    each = -F.log_softmax(x, 1).gather(1, target.clamp(min=0)[:, None])[:, 0]
    each = each.masked_fill(target == -100, 0)
    wanted = each if reduction == "none" else each.sum() / (target != -100).sum()
    torch.testing.assert_close(found, wanted)
    seed = torch.randn(found.shape, dtype=torch.float64)
    grads = [torch.autograd.grad(y, x, seed)[0] for y in (found, wanted)]
    torch.testing.assert_close(*grads)
    assert grads[0].is_contiguous()


def test_a_loss_without_classes_reads_no_memory():
    x, target = torch.zeros(2, 0, 3000), torch.full((2, 3000), -100)
    for loss in (torch.nn.functional.nll_loss, torch.nn.functional.cross_entropy):
        assert loss(x, target).isnan() and loss(x, target, reduction="sum") == 0
        with pytest.raises(IndexError):
            loss(x, target.clamp(min=0))
