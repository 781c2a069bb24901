"""Copies of matrices that lie turned in memory, which a kernel makes if they are large."""

import numpy as np
import pytest

import rushlight as torch
from rushlight import strides
from rushlight.backend import native
from tests.daily import drawn


@pytest.mark.parametrize("seed", drawn(range(10000), 40, "turned copies"))
def test_random_layouts(seed, monkeypatch):
    """Arrays of all sizes, permuted, reversed, sliced, expanded, copied in any order of dims."""
    monkeypatch.setattr(strides, "LARGE", 1)
    rng = np.random.default_rng(seed)
    dtype = rng.choice(["f4", "i8", "f8", "c8", "i4", "i2", "?", "c16"])
    rank = int(rng.integers(1, 5))
    sizes = rng.choice([0, 1, 2, 3, 15, 16, 17, 33, 64], rank, p=[0.02, *[0.98 / 8] * 8])
    bits = rng.integers(0, 256, (*sizes, np.dtype(dtype).itemsize), np.uint8)
    x = (bits & 1 if dtype == "?" else bits).view(dtype).reshape(sizes)
    x = x.transpose(rng.permutation(rank))
    x = x[tuple([slice(None, None, int(rng.choice([1, 1, 1, -1, 2]))) for _ in sizes])]
    if rng.random() < 0.2:
        x = np.broadcast_to(x, (3, *x.shape))
    order = rng.permutation(x.ndim)
    out = np.empty([x.shape[d] for d in order], x.dtype).transpose(np.argsort(order))
    found = strides.copied(x, out)
    assert found is out and found.tobytes() == x.tobytes()
    found = strides.copied(x)
    assert found.flags.c_contiguous and found.tobytes() == x.tobytes()


@pytest.mark.skipif(not native.llvm_works(), reason="the kernel is machine code")
@pytest.mark.parametrize("shape", [(300, 257), (2, 190, 201), (16, 5000)])
def test_large_ones_take_the_kernel(shape, monkeypatch):
    made = []
    kernels = native._kernels()
    monkeypatch.setattr(kernels, "turned", lambda *given, f=kernels.turned: made.append(f(*given)))
    x = torch.randn(shape)
    assert (x.mT.contiguous() == x.mT).all() and made
    assert (x.mT.flip(0).contiguous() == x.mT.flip(0)).all()
