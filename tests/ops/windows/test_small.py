"""Small arrays take shorter ways than large ones, with the same results."""

import itertools

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight.ops.norm import batch_norm, layer_norm, standardize
from rushlight.ops.windows import (
    adaptive_max_pool,
    grid_sample,
    im2col,
    resample,
    uneven_maxima,
    window_maxima,
)

rng = np.random.default_rng(0)


def numbers(*shape):
    return torch.from_numpy(np.round(rng.standard_normal(shape) * 4).astype(np.float32) / 4)


def both_ways(monkeypatch, call, *limits):
    """The results of ``call()`` on the short way, and on that of large arrays."""
    short = call()
    for module, name, limit in limits:
        monkeypatch.setattr(module, name, limit)
    return short, call()


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_convolution(monkeypatch, groups, stride, dilation):
    x, w, b = numbers(3, 4, 8, 9), numbers(8, 4 // groups, 2, 2), numbers(8)
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    never = (im2col, "is_one_block", lambda *given: False)
    call = lambda: F.conv2d(x, w, b, padding=1, **options)
    assert torch.equal(*both_ways(monkeypatch, call, never))
    monkeypatch.undo()
    y, w = numbers(1, 8, 3, 4), numbers(8, 4 // groups, 2, 2)
    call = lambda: F.conv_transpose2d(y, w, None, **options)
    assert torch.equal(*both_ways(monkeypatch, call, never))


def test_positions_of_maxima(monkeypatch):
    x = numbers(2, 3, 7, 9)
    call = lambda: torch.stack([
        F.max_pool2d(x, 3, s, 1, return_indices=True)[1][..., :3, :3] for s in (1, 2)
    ])  # fmt: skip
    assert torch.equal(*both_ways(monkeypatch, call, (window_maxima, "FEW", 0)))


@pytest.mark.parametrize("places", [(3, 5), (2, 4), (7, 2)])
def test_adaptive_and_fractional_maxima(monkeypatch, places):
    x, samples = numbers(2, 3, 7, 9), torch.rand(2, 3, 2)
    limit = (adaptive_max_pool, "FEW", 0)

    def call():
        adaptive_max_pool._adaptive_table.cache_clear()
        found = F.adaptive_max_pool2d(x, places, return_indices=True)
        size = tuple(min(p, 5) for p in places)
        return (*found, *F.fractional_max_pool2d(
            x, 2, size, return_indices=True, _random_samples=samples
        ))  # fmt: skip

    for short, long in zip(*both_ways(monkeypatch, call, limit), strict=True):
        assert torch.equal(short, long)
    adaptive_max_pool._adaptive_table.cache_clear()


@pytest.mark.parametrize("mode, antialias", [("bilinear", False), ("bicubic", True)])
def test_interpolation(monkeypatch, mode, antialias):
    x = numbers(1, 2, 9, 7)
    x[0, 0, -1, -1] = float("inf")
    call = lambda: F.interpolate(x, size=(4, 5), mode=mode, antialias=antialias)
    short, long = both_ways(monkeypatch, call, (resample, "_FEW", (0, 0)))
    torch.testing.assert_close(short, long, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_grid_sample(monkeypatch, padding_mode, mode):
    for size, n in itertools.product([(1, 1), (5, 1), (3, 4), (2, 3, 4)], [1, 2]):
        x = numbers(n, 2, *size)
        x.view(-1)[-1] = float("inf")
        grid = torch.rand(n, *[3] * len(size), len(size)) * 3 - 1.5
        if padding_mode == "zeros":
            grid.view(-1)[0] = float("nan")
        options = {"mode": mode, "padding_mode": padding_mode, "align_corners": False}
        short = F.grid_sample(x, grid, **options)
        long = F.grid_sample(x, grid.clone().requires_grad_(), **options).detach()
        torch.testing.assert_close(short, long, equal_nan=True)
        monkeypatch.setattr(grid_sample, "_FEW", 0)
        torch.testing.assert_close(short, F.grid_sample(x, grid, **options), equal_nan=True)
        monkeypatch.undo()


def test_normalisations(monkeypatch):
    x, w, b = numbers(4, 6, 5), numbers(6), numbers(6)
    limits = [(module, "SMALL", 0) for module in (batch_norm, layer_norm, standardize)]

    def call():
        return (
            F.batch_norm(x, w, b.abs(), w, b), F.batch_norm(x, None, None, w, b, True),
            F.layer_norm(x, (5,), numbers(5) * 0 + 2), F.layer_norm(x, (6, 5)),
            F.rms_norm(x, (5,)), F.group_norm(x, 3, w, b), F.group_norm(x, 2, None, b),
        )  # fmt: skip

    for short, long in zip(
        *both_ways(monkeypatch, call, *limits, (batch_norm, "_FEW", 0)), strict=True
    ):
        torch.testing.assert_close(short, long)


@pytest.mark.parametrize(
    "name", ["hardswish", "relu6", "leaky_relu", "elu", "selu", "celu", "silu"]
)
def test_activations_in_place_use_the_memory_of_large_tensors(name):
    x = torch.randn(1 << 17)
    expected, address = getattr(F, name)(x), x.data_ptr()
    assert getattr(F, name)(x, inplace=True) is x
    assert torch.equal(x, expected) and x.data_ptr() == address


def test_the_position_of_a_window_of_padding_alone_is_that_of_its_first_element_in_the_image():
    pool = F.max_pool1d
    found, at = pool(torch.zeros(1, 1, 2), 2, 1, 1, 3, return_indices=True)
    assert found.item() == -torch.inf and at.item() == 2


def test_adaptive_sizes_are_tensors():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    for pool in (F.adaptive_max_pool2d, F.adaptive_avg_pool2d):
        assert torch.equal(pool(x, (torch.tensor(2), None)), pool(x, (2, 4)))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("apart", [False, True])
def test_a_loop_finds_the_first_maximum_or_the_last_nan_of_every_window(n, apart):
    for seed in range(8):
        draw = np.random.default_rng(seed)
        size = tuple(int(k) for k in draw.integers(3, 8, n))
        x = np.round(draw.standard_normal((50, 7, *size))).astype(np.float32)
        x.reshape(-1)[:: 5 + seed] = (np.nan, -np.inf, np.inf)[seed % 3]
        rows = x.shape[:-n] if apart else ()
        starts = [draw.integers(0, k, (*rows, 3)) for k in size]
        ends = [s + draw.integers(1, k - s + 1) for s, k in zip(starts, size, strict=True)]
        at, found = uneven_maxima.best_by_loop(x, starts, ends, most=x.size)
        expected = uneven_maxima.best(x, starts, ends)
        assert (at == expected).all()
        flat = x.reshape(*x.shape[:-n], -1)
        values = np.take_along_axis(flat, at.reshape(*flat.shape[:-1], -1), -1)
        np.testing.assert_array_equal(found.reshape(values.shape), values)
