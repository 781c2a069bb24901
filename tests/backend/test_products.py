"""Products of matrices of which one has few rows are made of tiles."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import products

SHAPES = [  # rows, terms, columns
    (3, 1000, 300), (3, 70_001, 3), (300, 1000, 3), (1, 40_000, 7), (4, 300, 2600), (2600, 300, 4),
    (20, 5000, 21), (3, 5, 2600), (1100, 12, 3), (9, 40, 700), (2000, 1, 3), (5, 2300, 100), (32, 257, 520), (2, 70_000, 1), (9, 1000, 1000),
]  # fmt: skip


@pytest.fixture
def often(monkeypatch):
    """Tiles for products of any size; the list gets the shapes of those that had some."""
    monkeypatch.setattr(products, "LARGE", 1)
    monkeypatch.setattr(products, "_LEAST", 1)
    fill, seen = products._fill, []
    monkeypatch.setattr(
        products, "_fill", lambda out, *rest: (seen.append(out.shape), fill(out, *rest))
    )
    return seen


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layouts", ["kk", "kn", "mk", "mn"])
def test_tiles_are_as_precise_as_blas(often, dtype, layouts):
    rng = np.random.default_rng(0)
    for m, k, n in SHAPES:
        x, y = rng.standard_normal((m, k)), rng.standard_normal((k, n))
        a = np.array(x, dtype, order="C" if layouts[0] == "k" else "F")
        b = np.array(y, dtype, order="F" if layouts[1] == "k" else "C")
        want = a.astype(np.longdouble) @ b.astype(np.longdouble)
        found = products.matrix_product(a, b)
        assert found.flags.c_contiguous and found.dtype == dtype
        error, of_blas = [np.sqrt(((p - want) ** 2).mean()) for p in (found, a.dot(b))]
        assert error <= 1.5 * of_blas + k**0.5 * np.finfo(dtype).eps / 8
        out = np.full((m, n), np.nan, dtype)
        assert products.matrix_product(a, b, out) is out and (out == found).all()
    assert len(often) >= 2 * (len(SHAPES) - 3 if layouts == "kk" else 4)


def test_nan_stays_where_it_is(often):
    x, y = np.ones((3, 5000), "f4"), np.ones((5000, 4), "f4")
    x[1, 4999], y[7, 2] = np.inf, np.nan
    found = products.matrix_product(x, np.asfortranarray(y))
    assert often and np.isnan(found[:, 2]).all() and np.isinf(found[1, [0, 1, 3]]).all()
    assert (found[0, [0, 1, 3]] == 5000).all()


def test_threads_do_not_change_results():
    x, w = torch.randn(3, 2000), torch.randn(1500, 2000)
    a, b = torch.randn(40_000, 9), torch.randn(40_000, 8)
    threads = torch.get_num_threads()

    def found(n):
        torch.set_num_threads(n)
        return torch.nn.functional.linear(x, w), a.t() @ b

    try:
        for one, two in zip(found(1), found(2), strict=True):
            assert torch.equal(one, two)
    finally:
        torch.set_num_threads(threads)


def test_calls_that_repeat_have_the_same_bits():
    x, y = torch.randn(3, 400), torch.randn(400, 300)
    first = torch.mm(x, y)
    assert all(torch.equal(torch.mm(x, y), first) for _ in range(50))
    assert torch.equal(x @ y, first) and torch.equal(torch.einsum("ij,jk->ik", x, y), first)
