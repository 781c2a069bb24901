"""A short row beside many rows gives the bits of NumPy's ufunc, in all layouts and dtypes."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend.rows import repeats_row, with_row
from tests.daily import drawn

FUNCTIONS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide,
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "clamp_min": np.maximum,
    "clamp_max": np.minimum, "clamp": np.maximum,
}  # fmt: skip


@pytest.mark.parametrize("seed", sorted(drawn(range(10**6), 12, "short rows")))
def test_random_rows(seed):
    rng = np.random.default_rng(seed)
    name = rng.choice([*FUNCTIONS])
    dtypes = ["f4", "f8"] if name == "div" else ["f4", "f8", "i8"]
    dtype, width = rng.choice(dtypes), int(rng.integers(2, 33))
    lead = [(2500,), (2048,), (3, 701), (2049, 1)][rng.integers(4)]
    x = rng.standard_normal((*lead, width)) * 50
    y = rng.standard_normal([(width,), (1, width)][rng.integers(2)]) * 50
    for a in (x, y):
        values = [0.0, -0.0, 7.0] if dtype == "i8" else [0.0, -0.0, np.inf, np.nan]
        a[rng.random(a.shape) < 0.1] = rng.choice(values)
    x, y = x.astype(dtype), y.astype(dtype)
    if rng.random() < 0.3:
        y = np.repeat(y, 2, -1)[..., ::2]
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name](x, y)
        assert repeats_row(x, y)
        assert with_row(FUNCTIONS[name], x, y).tobytes() == expected.tobytes()
    found = getattr(torch, name)(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()
