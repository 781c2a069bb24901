"""Sums of long rows keep the digits of float32."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend.summation import inner_products


def test_inner_products_of_long_rows():
    x = np.full((2, (1 << 22) + 5), 0.1, np.float32)
    want = x.shape[1] * float(np.float32(0.1)) ** 2
    assert np.allclose(inner_products(x, x), want, rtol=1e-6)
    assert inner_products(x[:, :3], x[:, :3]) == pytest.approx(0.03)


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm", "batch_norm"])
def test_norms_of_long_rows(norm):
    n = 1 << 22
    x = torch.full((n,), 0.9)
    x[::2] = 1.1  # mean 1, variance 0.01
    if norm == "batch_norm":
        found = torch.nn.functional.batch_norm(
            x.reshape(1, 1, n), None, None, training=True, eps=1e-12
        )
    else:
        found = getattr(torch.nn.functional, norm)(x, (n,), eps=1e-12)
    want = 1.1 / 1.01**0.5 if norm == "rms_norm" else 1.0
    assert found.flatten()[0].item() == pytest.approx(want, rel=2e-6)
