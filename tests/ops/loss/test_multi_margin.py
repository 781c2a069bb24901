"""Margins of one class, against a loop over the classes, in small and large batches."""

import numpy as np
import pytest

import rushlight as torch

loss = torch.nn.functional.multi_margin_loss


def by_loops(x, targets, weight, p):
    """(the losses of the rows, the gradient of their sum)."""
    losses, slope = np.zeros(len(x)), np.zeros_like(x)
    for n, (row, t) in enumerate(zip(x, targets, strict=True)):
        for k, score in enumerate(row):
            gap = 0.5 - row[t] + score
            if k != t and gap > 0:
                share = weight[t] / len(row)
                losses[n] += share * gap**p
                slope[n, k] += share * p * gap ** (p - 1)
                slope[n, t] -= share * p * gap ** (p - 1)
    return losses, slope


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("n", [1, 7, 16384])
def test_losses_and_their_slopes(n, p):
    rng = np.random.default_rng(3)
    x, targets, weight = rng.normal(size=(n, 8)), rng.integers(0, 8, n), rng.random(8)
    given = torch.tensor(x, requires_grad=True)
    options = {"p": p, "margin": 0.5, "weight": torch.tensor(weight), "reduction": "none"}
    found = loss(given, torch.from_numpy(targets), **options)
    (grad,) = torch.autograd.grad(found.sum(), given, create_graph=True)
    wanted, slope = by_loops(x[:50], targets[:50], weight, p)
    np.testing.assert_allclose(found.detach().numpy()[:50], wanted, rtol=1e-12)
    np.testing.assert_allclose(grad.detach().numpy()[:50], slope, rtol=1e-12, atol=1e-15)
    few = loss(torch.tensor(x[-5:]), torch.from_numpy(targets[-5:]), **options)
    np.testing.assert_allclose(found.detach().numpy()[-5:], few.numpy(), rtol=1e-12)


def test_the_loss_has_one_node():
    found = loss(torch.ones(1, 2, requires_grad=True), torch.tensor([1]), weight=torch.ones(2))
    assert type(found.grad_fn).__name__ == "MultiMarginLossBackward0"
