"""Rows sorted side by side, against Python's sort."""

import numpy as np
import pytest

from rushlight.ops.reduce.merge_exchange import exchanged

pytest.importorskip("llvmlite")

_EXTREMES = {
    "f4": [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 3e38],
    "i4": [-(2**31), 2**31 - 1, -1, 0],
}


@pytest.mark.parametrize("dtype", ["f4", "i4"])
@pytest.mark.parametrize("seed", range(12))
def test_parts_of_sorted_rows(seed, dtype):
    rng = np.random.default_rng(seed)
    n, count = rng.integers(2, 129), rng.integers(16, 100)
    x = (rng.standard_normal((count, n)) * 9).astype(dtype)
    with np.errstate(invalid="ignore"):
        extremes = rng.choice(_EXTREMES[dtype], x.shape).astype(dtype)
    x = np.where(rng.random(x.shape) < 0.4, extremes, x)
    start = rng.integers(n)
    stop = rng.integers(start + 1, n + 1)
    for descending in (False, True):
        values, index = exchanged(x, int(start), int(stop), descending)
        for row, found, at in zip(x.tolist(), values, index, strict=True):
            sign = -1 if descending else 1
            order = sorted(range(n), key=lambda j: (sign * (row[j] != row[j]),
                                                    sign * row[j] if row[j] == row[j] else 0))  # fmt: skip
            assert order[start:stop] == at.tolist()
            assert np.array(row, dtype)[at].tobytes() == found.tobytes()
