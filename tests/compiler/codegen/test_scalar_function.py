"""Functions of floats in machine code give what they give in Python, and leave the same stream."""

import math

import numpy as np
import pytest

import rushlight as torch
from rushlight.draw import binomial, gamma, poisson, singles

scalar_kernels = pytest.importorskip("rushlight.compiler.run.scalar_kernels")
eager_kernels = pytest.importorskip("rushlight.compiler.run.eager_kernels")

TABLE = (0.5, -1.0, 3.0)


def _helper(x, y):
    return x / y if y else -math.inf


def _everything(stream, x, y):
    """Each kind of statement and expression."""
    low, high = x, y
    if low > high:
        low, high = high, low
    elif not x < y or (y > 2 and math.log(y) < 1):
        return -x
    total = 0
    for c in TABLE:
        if c < 0 and total > y:
            continue
        total = total * x + c
        if total > 4:
            break
    steps = 0
    while True:
        steps += 1
        if steps > 20:
            break
        if 3 <= steps < 5:
            continue
        while stream.uniform() < 0.25:
            total -= stream.normal() ** 2.0
        total += math.floor(_helper(x, y)) if abs(y) > 0.1 else math.sqrt(high - low)
    return total * math.pi


def _both(function, *columns):
    """The numbers and the states of the stream: in machine code, and in Python."""
    found = []
    for many in (1, math.inf):
        g = torch.Generator().manual_seed(5)
        torch.randn(1, generator=g)  # the second of its pair waits
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(singles, "MANY", many)
            patch.setattr(scalar_kernels, "_PIECE", 200)
            found.append((function(g, *columns), g.get_state().tolist()))
    return found


def test_every_statement():
    rng = np.random.default_rng(0)
    columns = rng.integers(-4, 5, (2, 501)) / 2
    columns[:, ::2] *= rng.random(251)
    native, python = _both(lambda g, *c: singles.each(g, _everything, *c), *columns)
    np.testing.assert_array_equal(native[0], python[0])
    assert native[1] == python[1]
    assert eager_kernels._kernels[_everything, singles.Stream] is not None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "draw, columns",
    [
        (gamma, lambda x, p: [x]),
        (poisson, lambda x, p: [x * 9]),
        (binomial, lambda x, p: [np.floor(x * 99), p]),
    ],
)
def test_samplers(dtype, draw, columns):
    rng = np.random.default_rng(1)
    x, p = rng.gamma(0.6, size=700).astype(dtype), rng.random(700).astype(dtype)
    x[::9], p[::7] = 0, 1
    native, python = _both(draw, *columns(x, p))
    np.testing.assert_array_equal(native[0], python[0])
    assert native[0].dtype == dtype and native[1] == python[1]


def test_an_infinite_count_raises_after_the_draws_before_it():
    count = torch.tensor([20.0, 30.0, math.inf, 5.0])
    torch.manual_seed(0)
    torch.binomial(count[:2], torch.tensor(0.5))
    state = torch.get_rng_state()
    torch.manual_seed(0)
    with pytest.raises(RuntimeError, match="finite"):
        torch.binomial(count, torch.full((4,), 0.5))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.binomial(count[2:3], torch.ones(1)).item() == math.inf
