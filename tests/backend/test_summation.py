"""Sums and extremes of arrays, and products of small matrices, by the backend."""

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


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i4", "u1"])
@pytest.mark.parametrize("shape", [(40_000, 3), (9_000, 3, 4), (300, 60, 2, 4), (40_000, 9)])
def test_short_rows(shape, dtype):
    """Large arrays of short rows, with ties, nan and zeros of both signs, as NumPy computes them."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, shape).astype(dtype)
    if x.dtype.kind == "f":
        x[rng.random(shape) < 0.1] = -0.0
        x[rng.random(shape) < 0.01] = np.nan
    t = torch.from_numpy(x)
    for dim in range(x.ndim):
        kept = {"axis": dim, "keepdims": True}
        values, places = t.max(dim, keepdim=True)
        np.testing.assert_array_equal(values.numpy(), x.max(**kept))
        np.testing.assert_array_equal(places.numpy(), x.argmax(**kept))
        np.testing.assert_array_equal(t.argmin(dim).numpy(), x.argmin(dim))
        np.testing.assert_array_equal(t.amin(dim).numpy(), x.min(dim))
        total = x.sum(dim, dtype=np.int64 if x.dtype.kind in "iu" else x.dtype)
        found = t.sum(dim).numpy()
        assert found.dtype == total.dtype
        np.testing.assert_allclose(found, total, rtol=1e-6)
        lasting = t.cumsum(dim).numpy()
        np.testing.assert_allclose(lasting, x.cumsum(dim, dtype=total.dtype), rtol=1e-6)
        assert not np.signbit(lasting[lasting == 0]).any()


@pytest.mark.parametrize("m, k, n", [(1, 4, 1), (3, 3, 3), (4, 2, 1), (2, 8, 5), (9, 9, 9)])
def test_products_of_many_small_matrices(m, k, n):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5000, m, k)), rng.normal(size=(2, 5000, k, n))
    x[0, :3, 0, 0], y[0, :3, 0, 0] = [np.inf, np.nan, 0], [0, 1, np.inf]
    for _ in range(2):  # of arrays in C order, and of views that are not
        tensors = torch.from_numpy(x), torch.from_numpy(y)
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(torch.matmul(*tensors).numpy(), x @ y, 1e-9, 1e-12)
        x, y = y.mT, x.mT
