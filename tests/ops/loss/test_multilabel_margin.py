"""Hinges of labels and other classes, against loops over all pairs, in small and large batches."""

import numpy as np
import pytest

import rushlight as torch

loss = torch.nn.functional.multilabel_margin_loss


def by_loops(x, labels):
    """(the losses of the rows, the gradient of their sum)."""
    losses, slope = np.zeros(len(x)), np.zeros_like(x)
    for n, (row, line) in enumerate(zip(x, labels, strict=True)):
        own = []
        for label in line:
            if label < 0:
                break
            own.append(label)
        for label in own:
            for other in set(range(len(row))) - set(own):
                gap = 1 - row[label] + row[other]
                if gap > 0:
                    losses[n] += gap / len(row)
                    slope[n, other] += 1 / len(row)
                    slope[n, label] -= 1 / len(row)
    return losses, slope


@pytest.mark.parametrize("n", [1, 7, 4096])
def test_hinges_and_their_slopes(n):
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(n, 8)), rng.integers(-1, 8, (n, 8))
    given = torch.tensor(x, requires_grad=True)
    found = loss(given, torch.from_numpy(labels), reduction="none")
    (grad,) = torch.autograd.grad(found.sum(), given, create_graph=True)
    wanted, slope = by_loops(x[:50], labels[:50])
    np.testing.assert_allclose(found.detach().numpy()[:50], wanted, rtol=1e-12)
    np.testing.assert_allclose(grad.detach().numpy()[:50], slope, rtol=1e-12, atol=1e-15)
    few = loss(torch.tensor(x[-5:]), torch.from_numpy(labels[-5:]), reduction="none")
    np.testing.assert_allclose(found.detach().numpy()[-5:], few.numpy(), rtol=1e-12)


def test_an_infinite_gradient_reaches_only_scores_with_a_hinge():
    x = torch.tensor([[0.0, 0.5, 3.0]], requires_grad=True)
    (grad,) = torch.autograd.grad(
        loss(x, torch.tensor([[2, 1, -1]])), x, torch.tensor(float("inf"))
    )
    assert grad.tolist() == [[float("inf"), float("-inf"), 0.0]]
