"""Random words and floats by kernels: they are those of NumPy's engine, wherever it stands."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from rushlight.backend import native
from rushlight.compiler.cpu.target import host
from rushlight.draw.continuous import uniform
from rushlight.random import Generator

F32, F64 = np.dtype("f4"), np.dtype("f8")
SIZES = (1, 2, 7, 100, 623, 624, 625, 1000, 3000, 40000)


def _bounds(rng):
    low, high = sorted(rng.standard_normal(2).astype(rng.choice(["f4", "f8"])).tolist())
    next_to_low = float(np.nextafter(np.float32(low), np.float32(9)))
    all_bounds = [(low, high), (0.0, 1.0), (low, next_to_low), (-1e-25, 3e-25), (-1.5e38, 1.5e38)]
    return all_bounds[rng.choice(5, p=[0.5, 0.3, 0.1, 0.05, 0.05])]


def test_kernels_and_numpy_make_the_same_numbers(monkeypatch):
    """Two streams of one seed: the kernels make the numbers of one, NumPy those of the other."""
    rng = np.random.default_rng(0)
    if not host().fma:
        pytest.skip("the kernels need fused multiply-add")
    by_kernel, by_numpy = Generator().manual_seed(5), Generator().manual_seed(5)
    for _ in range(500):
        count, bounds = int(rng.choice(SIZES)), _bounds(rng)
        draw = [
            lambda g, n, bounds: uniform(g, n, F32, *bounds),
            lambda g, n, bounds: uniform(g, n, F64, *bounds),
            lambda g, n, bounds: g.words(n).astype(np.uint64),
            lambda g, n, bounds: g.double_words(n),
        ][rng.integers(4)]
        monkeypatch.setattr(native, "LEAST_DRAWS", 1)
        found = draw(by_kernel, count, bounds)
        monkeypatch.setattr(native, "LEAST_DRAWS", 1 << 60)
        expected = draw(by_numpy, count, bounds)
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes(), (count, bounds)
    assert native.drawn(by_numpy.clone_state().engine(), 1, F32) is None
    monkeypatch.setattr(native, "LEAST_DRAWS", 1)
    assert native.drawn(by_kernel.clone_state().engine(), 1, F32) is not None
    assert by_kernel.state_bytes().tobytes() == by_numpy.state_bytes().tobytes()
