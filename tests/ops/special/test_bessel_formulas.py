"""Bessel and Airy functions in tensors, which devices compute, against SciPy's."""

import numpy as np
import pytest

import rushlight as T
from rushlight.ops.special import bessel_formulas as formulas

PLACES = np.concatenate([
    np.linspace(-1, 40, 2001), np.linspace(-60, -1, 300), np.logspace(-8, 4, 300),
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e30],
])  # fmt: skip
NAMES = {
    "airy_ai": "airy", "bessel_j0": "j0", "bessel_j1": "j1", "bessel_y0": "y0", "bessel_y1": "y1",
    "modified_bessel_i0": "i0", "modified_bessel_i1": "i1", "modified_bessel_k0": "k0",
    "modified_bessel_k1": "k1", "scaled_modified_bessel_k0": "k0e",
    "scaled_modified_bessel_k1": "k1e",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_formulas(name):
    for dtype, tolerance in ((T.float64, 1e-14), (T.float32, 1e-6)):
        if name == "airy_ai" and dtype is T.float32:
            continue  # devices compute it in float64
        x = T.tensor(PLACES, dtype=dtype)
        want = getattr(T.special, name)(x.double()).to(dtype).double()
        got = getattr(formulas, NAMES[name])(x, dtype is T.float32).double()
        T.testing.assert_close(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)
