"""Sorted rows of large arrays: the order is that of a stable sort."""

import numpy as np
import pytest

import rushlight as torch


def _rows(n, dtype):
    rng = np.random.default_rng(n)
    return rng.integers(-4 if dtype[0] != "u" else 0, 5, (70000 // n + 1, n)).astype(dtype)


def _expected(x, descending):
    """Sort each row by Python, in which equal elements keep their order."""
    key = np.where(np.isnan(x), np.inf, x) if x.dtype.kind == "f" else x.astype("i8")
    return np.argsort(-key if descending else key, axis=1, kind="stable")


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i4", "u1"])
@pytest.mark.parametrize("n", [2, 5, 9, 100, 300])
def test_equal_elements_keep_their_order(n, dtype, descending):
    x = _rows(n, dtype)
    if dtype[0] == "f":
        x[::3] *= -0.0  # zeros of both signs are equal
        x[1::3, n // 2] = np.inf
    index = _expected(x, descending)
    for dim, t in ((1, torch.tensor(x)), (0, torch.tensor(x).t())):
        values, found = torch.sort(t, dim=dim, descending=descending, stable=True)
        rows = found if dim else found.t()
        assert np.array_equal(rows.numpy(), index)
        assert np.array_equal(torch.gather(t, dim, found).numpy(), values.numpy())
        assert np.array_equal(np.signbit(torch.gather(t, dim, found).numpy() * 1.0),
                              np.signbit(values.numpy() * 1.0))  # fmt: skip


@pytest.mark.parametrize("n", [2, 5, 9, 100, 300])
def test_nan_is_the_largest_in_long_rows(n):
    x = _rows(n, "f4")
    x[::2, 0] = -np.nan
    t = torch.tensor(x)
    found = torch.sort(t).values.numpy()
    assert np.array_equal(found, np.sort(x, axis=1), equal_nan=True)
    assert np.array_equal(torch.topk(t, 1).values.numpy()[:, 0], found[:, -1], equal_nan=True)
    assert np.array_equal(torch.kthvalue(t, n).values.numpy(), found[:, -1], equal_nan=True)
    assert np.array_equal(torch.nanmedian(t, 1).values.numpy(),
                          [row[(np.isfinite(row).sum() - 1) // 2] for row in found])  # fmt: skip


@pytest.mark.parametrize("n", [9, 300, 70000])
def test_some_of_many_elements(n):
    x = np.random.default_rng(n).permutation(70000 // n * n).astype("f4").reshape(-1, n)
    t, ordered = torch.tensor(x), np.sort(x, axis=1)
    for k in (1, 2, n // 2):
        values, index = torch.topk(t, k)
        assert np.array_equal(values.numpy(), ordered[:, ::-1][:, :k])
        assert np.array_equal(torch.gather(t, 1, index).numpy(), values.numpy())
        values, index = torch.kthvalue(t, k)
        assert np.array_equal(values.numpy(), ordered[:, k - 1])
    assert torch.topk(t, 0)[0].shape == (len(x), 0)
