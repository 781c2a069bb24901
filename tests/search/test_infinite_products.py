"""Products of matrices down to one element, with infinities, nan and zeros here and there."""

import random

import numpy as np
import pytest

import rushlight as torch

F = torch.nn.functional
#: Each gives the product of x (m, k) and y (k, n).
PRODUCTS = {
    "@": lambda x, y: x @ y,
    "batches": lambda x, y: (x[None] @ y)[0],
    "by vectors": lambda x, y: torch.stack([x @ column for column in y.unbind(1)], 1),
    "linear": lambda x, y: F.linear(x, y.T),
    "addmm": lambda x, y: torch.addmm(torch.zeros(x.shape[0], y.shape[1]), x, y),
    "einsum": lambda x, y: torch.einsum("mk,kn->mn", x, y),
    "compiled": torch.compile(lambda x, y: x @ y),
}


def _outcome(product, x, y):
    x, y = (torch.tensor(a, dtype=torch.float32, requires_grad=True) for a in (x, y))
    out = product(x, y)
    (out * torch.arange(1.0, out.numel() + 1).reshape(out.shape)).sum().backward()
    return [a.detach().numpy() for a in (out, x.grad, y.grad)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_products(product):
    seed = random.randrange(1 << 32)
    draw = np.random.default_rng(seed)
    for _ in range(60):
        m, k, n = draw.integers(1, 4, 3)
        x, y = (
            draw.choice([0.0, 1.0, -2.0, np.inf, np.nan], shape, p=[0.4, 0.3, 0.15, 0.1, 0.05])
            for shape in ((m, k), (k, n))
        )
        want = _outcome(lambda x, y: (x[:, :, None] * y[None]).sum(1), x, y)
        for found, wanted in zip(_outcome(product, x, y), want, strict=True):
            np.testing.assert_array_equal(found, wanted, f"seed {seed}: {x} @ {y}")
