"""The nearest element of an image, which PyTorch finds by one of two kernels."""

import random

import numpy as np
import pytest

import rushlight

SIZES = (1, 2, 3, 4, 7, 70)
FACTORS = (1.0, 1.3, 1.2, 1.05, 2.0, 2.2, 2.4, 0.7, 0.5, 3.0, 1.5)


def resized(framework, a, dtype, factors, last, **options):
    """The resized image, and its gradient where there is one."""
    x = framework.from_numpy(a).to(getattr(framework, dtype))
    if last and a.ndim > 3:
        order = "channels_last" if a.ndim == 4 else "channels_last_3d"
        x = x.contiguous(memory_format=getattr(framework, order))
    x = x.detach().requires_grad_(dtype.startswith("float"))
    out = framework.nn.functional.interpolate(x, scale_factor=factors, **options)
    if x.requires_grad:
        out.backward(framework.arange(out.numel(), dtype=out.dtype).reshape(out.shape))
        return out.detach().numpy(), x.grad.numpy()
    return out.double().numpy(), np.zeros(1)


@pytest.mark.parametrize(("shape", "last", "want"), [
    ((1, 1, 3), False, [0, 0, 1]), ((1, 1, 1, 1, 3), False, [0, 0, 1]),
    ((1, 4, 1, 1, 3), True, [0, 1, 2]), ((1, 3, 1, 1, 3), True, [0, 0, 1]),
    ((1, 1, 2, 3), False, [0, 1, 2]), ((1, 1, 126, 3), False, [0, 0, 1]),
    ((1, 4, 126, 3), True, [0, 1, 2]),
])  # fmt: skip
def test_a_factor_that_keeps_the_size(shape, last, want):
    a = np.broadcast_to(np.arange(3.0), shape).copy()
    factors = (*[1.0] * (len(shape) - 3), 1.3)
    found, slope = resized(rushlight, a, "float32", factors, last, mode="nearest")
    assert found[0, 0].reshape(-1, 3)[0].tolist() == want
    wanted = np.arange(found.size).reshape(shape)  # PyTorch's gradient is that of a copy
    np.testing.assert_array_equal(slope, wanted)


@pytest.mark.parity
def test_random_factors_as_in_pytorch():
    torch = pytest.importorskip("torch")
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    for _ in range(400):
        dims, channels = draw.choice([1, 2, 3]), draw.choice([1, 2, 3, 4, 5])
        sizes = [draw.choice(SIZES[: 6 if dims == 2 else 5]) for _ in range(dims)]
        factors = tuple([draw.choice(FACTORS) for _ in range(dims)])
        if any(int(n * f) < 1 for n, f in zip(sizes, factors, strict=True)):
            continue
        a = np.arange(2 * channels * int(np.prod(sizes))).reshape(2, channels, *sizes) % 251
        dtype = draw.choice(["float32", "float64", "uint8", "bfloat16"])
        options = {
            "last": draw.random() < 0.5, "mode": draw.choice(["nearest", "nearest-exact"]),
            "recompute_scale_factor": draw.choice([None, True, False]),
        }  # fmt: skip
        ours, theirs = [resized(t, a, dtype, factors, **options) for t in (rushlight, torch)]
        note = f"seed {seed}: {a.shape}, {dtype}, {factors}, {options}"
        np.testing.assert_array_equal(ours[0], theirs[0], note)
        np.testing.assert_allclose(ours[1], theirs[1], 1e-5, err_msg=note)
