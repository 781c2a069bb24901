"""The kernels of ``grid_sample`` beside its forward on arrays."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import native
from rushlight.nn import functional as F


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_kernels_and_numpy_give_the_same_bits(mode, padding, align, monkeypatch):
    """A call that is replayed takes the kernel where the function itself may take NumPy."""
    pytest.importorskip("llvmlite")
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e30, 0.3, -0.7, 2.5]
    for k in range(40):
        dtype, channels, points = [np.float32, np.float64][k % 2], 1 + k % 8, 2 + k % 7
        shape = 1 + k % 3, channels, *rng.integers(1, 12, 2)
        x = (rng.choice(special, shape) if k % 3 else rng.standard_normal(shape)).astype(dtype)
        grid = rng.choice(special, (shape[0], points, 9, 2)).astype(dtype)
        found = []
        for least in (1 << 40, 0):
            monkeypatch.setattr(native, "LEAST_TAPS", least)
            given = torch.from_numpy(x), torch.from_numpy(grid)
            found.append(F.grid_sample(*given, mode, padding, align).numpy())
        np.testing.assert_array_equal(*found)
        numbers = ~np.isnan(found[0])
        assert (np.signbit(found[0]) == np.signbit(found[1]))[numbers].all()


@pytest.mark.parity
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_grid_of_the_identity_is_pytorchs_bit_for_bit(dtype, align):
    peer = pytest.importorskip("torch")
    for n in range(2, 65):
        for size in ((1, 1, n, 7), (1, 1, 4, 3, n)):
            found = []
            for t in (torch, peer):
                keep = t.eye(len(size) - 2, len(size) - 1, dtype=getattr(t, dtype))[None]
                found.append(t.nn.functional.affine_grid(keep, size, align_corners=align).numpy())
            np.testing.assert_array_equal(*found)
