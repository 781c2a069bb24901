"""Reductions, scans and searches of large arrays, whose rows are short: NumPy's own loops, or not."""

import numpy as np
import pytest

import rushlight as torch


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "bool"])
@pytest.mark.parametrize("shape", [(3000, 4), (1100, 3, 5), (3, 1100, 2), (40000, 1)])
def test_truths_and_counts(shape, dtype):
    x = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    x[:2] = 0
    x[2:4] = 1
    if dtype == "f4":
        x[0] = np.nan
    kind = "u1" if dtype == "u1" else "?"
    for transposed in (False, True):
        a = x.T if transposed else x
        t = torch.tensor(x).permute(*reversed(range(x.ndim))) if transposed else torch.tensor(x)
        for dim in (0, -1, (0, x.ndim - 1)):
            for keep in (False, True):
                for name in ("any", "all"):
                    found = getattr(torch, name)(t, dim, keep).numpy()
                    wanted = getattr(np, name)(a, axis=dim, keepdims=keep)
                    assert found.dtype == kind
                    assert np.array_equal(found, wanted)
            found = torch.count_nonzero(t, dim).numpy()
            assert found.dtype == np.int64
            assert np.array_equal(found, np.count_nonzero(a, axis=dim))
            if dtype[0] not in "f":
                assert np.array_equal(torch.sum(t, dim).numpy(), np.sum(a, axis=dim))


@pytest.mark.parametrize("shape, dim", [((70000, 3), 0), ((2, 9001, 5), 1), ((3, 70001), 1), ((40000, 4), 1)])  # fmt: skip
def test_running_sums_of_long_columns(shape, dim):
    x = np.random.default_rng(0).standard_normal(shape).astype("f4")
    for dtype in ("f4", "f8"):
        found = torch.tensor(x.astype(dtype)).cumsum(dim).numpy()
        wanted = np.add.accumulate(x.astype("f8"), axis=dim).astype(dtype)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    x[..., 0] = np.inf
    assert np.isinf(torch.tensor(x).cumsum(dim).numpy()[..., 0]).all()


@pytest.mark.parametrize("dtype", ["i8", "i4", "i2", "u1"])
def test_distinct_integers_are_counted(dtype):
    rng = np.random.default_rng(0)
    low = 0 if dtype == "u1" else -3
    for x in (rng.integers(low, 9, (70, 80)), rng.integers(low, 126, 5000), np.full(5000, low)):
        x = x.astype(dtype)
        for edge in (x, np.concatenate([x.reshape(-1), [np.iinfo(dtype).max]]).astype(dtype)):
            found = torch.unique(torch.tensor(edge), return_inverse=True, return_counts=True)
            wanted = np.unique(edge, return_inverse=True, return_counts=True)
            for f, w in zip(found, wanted, strict=True):
                assert f.numpy().dtype == w.dtype
                assert np.array_equal(f.numpy(), w)


def test_runs_of_equal_elements():
    x = torch.tensor([[1, 1, 2], [2, 2, 1]])
    values, inverse, counts = torch.unique_consecutive(x, True, True)
    assert (values.tolist(), counts.tolist()) == ([1, 2, 1], [2, 3, 1])
    assert inverse.tolist() == [[0, 0, 1], [1, 1, 2]]
    values, inverse, counts = torch.unique_consecutive(x[:, :0], True, True)
    assert (values.shape, inverse.shape, counts.shape) == ((0,), (2, 0), (0,))
    assert torch.unique_consecutive(torch.tensor(3), True, True)[2].tolist() == [1]


@pytest.mark.parametrize("repeated", [0, 0.01, 1 / 16, 0.5, 0.99, 1])
@pytest.mark.parametrize("dtype", ["f4", "i8", "bool"])
def test_first_elements_of_runs_do_not_depend_on_what_else_is_asked(dtype, repeated):
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 16, 17, 500, 1 << 14):
        x = (np.cumsum(rng.random(n) >= repeated) % 2).astype(dtype)
        if dtype == "f4":
            x[rng.random(n) < repeated / 4] = np.nan
        wanted = np.array([x[i] for i in range(n) if i == 0 or x[i] != x[i - 1]], dtype)
        for array in (x, np.repeat(x, 2)[::2]):
            t = torch.from_numpy(array)
            found = torch.unique_consecutive(t)
            counted, counts = torch.unique_consecutive(t, return_counts=True)
            runs = torch.unique_consecutive(t, return_inverse=True)[1]
            assert (
                runs.tolist() == np.cumsum([i > 0 and x[i] != x[i - 1] for i in range(n)]).tolist()
            )
            assert found.numpy().dtype == dtype
            assert np.array_equal(found.numpy(), wanted, equal_nan=dtype == "f4")
            assert np.array_equal(counted.numpy(), wanted, equal_nan=dtype == "f4")
            assert counts.sum() == n
            found.fill_(1)  # the result has memory of its own
            assert np.array_equal(array, x, equal_nan=dtype == "f4")


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bits_of_repeated_rows(name):
    rng = np.random.default_rng(0)
    for dtype in ("i8", "u1", "bool"):
        x, row = [rng.integers(0, 99, s).astype(dtype) for s in ((30000, 4), (4,))]
        for a, b in ((x, row), (row, x), (x, x[:, :1]), (x, x), (x, row[0])):
            found = getattr(torch, name)(torch.tensor(a), torch.tensor(b)).numpy()
            wanted = getattr(np, name)(a, b)
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted)
