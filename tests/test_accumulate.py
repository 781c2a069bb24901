"""Values that are added at indices: by NumPy, by loops of machine code, and by SciPy."""

import numpy as np
import pytest

from rushlight.backend.accumulate import add_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.int64])
@pytest.mark.parametrize(("count", "rows", "width"), [(5, 3, 2), (4000, 7, 3), (900, 5000, 16)])
def test_rows_are_added_in_order(dtype, count, rows, width):
    random = np.random.default_rng(count)
    out, values = (random.normal(size=(n, width)).astype(dtype) for n in (rows, count))
    at = random.integers(-rows, rows, count)
    want = out.copy()
    np.add.at(want, at, values)
    found = out.copy()
    add_rows(found, at, values)
    if found.dtype.kind == "f":
        assert (found == want).all()  # one after the other, as np.add.at does
    assert np.allclose(found, want, rtol=1e-4, atol=1e-4)
    slanted = np.zeros((width, rows), dtype).T
    add_rows(slanted, at, values)
    assert np.allclose(slanted, want - out, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("wrong", [-8, 7, 1 << 40])
def test_nothing_is_written_if_a_row_is_outside(wrong):
    out, at = np.zeros((7, 64), np.float32), np.zeros(100, np.int64)
    at[50] = wrong
    with pytest.raises(IndexError, match="out of bounds for dimension 0 with size 7"):
        add_rows(out, at, np.ones((100, 64), np.float32))
    assert not out.any()
