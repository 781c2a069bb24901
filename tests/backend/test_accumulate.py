"""Sums of rows at indices, against a loop of Python's."""

import numpy as np
import pytest

from rushlight.backend.accumulate import sum_runs


@pytest.mark.parametrize("width", [*range(1, 14), 16, 19, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_runs_add_in_order(width, dtype):
    rng = np.random.default_rng(width)
    table = rng.standard_normal((7, width)).astype(dtype)
    rows = rng.integers(0, 7, 3000)
    ends = np.array([0, 0, 1, 2, 1500, 1500, 2990])
    expected = np.zeros((6, width), dtype)
    for run in range(6):
        for i in range(ends[run], ends[run + 1]):
            expected[run] += table[rows[i]]
    np.testing.assert_array_equal(sum_runs(table, rows, ends), expected)
