"""Pooling as native kernels: all windows against the eager operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

import rushlight as torch
import rushlight.nn.functional  # (defines the operations)
from rushlight.compiler.cpu import pooling
from rushlight.compiler.run.operation_program import Single
from rushlight.ops.core.definition import OPS
from rushlight.ops.windows.max_pool import places_of
from rushlight.ops.windows.window import Windows
from tests.compiler.windows import computed, guarded

CASES = {
    "tiles": ((2, 3), (24, 24), (2, 2), (2, 2), (0, 0), (1, 1), False),
    "tiles and a rest": ((2,), (9, 11), (2, 2), (2, 2), (0, 0), (1, 1), False),
    "ceil": ((2,), (9, 11), (2, 2), (2, 2), (0, 0), (1, 1), True),
    "overlapping": ((2, 1), (10, 33), (3, 3), (2, 2), (1, 1), (1, 1), False),
    "every place": ((2, 1), (10, 33), (3, 3), (1, 1), (1, 1), (1, 1), True),
    "dilated": ((1, 2), (12, 13), (3, 2), (3, 1), (1, 1), (1, 2), False),
    "line": ((3,), (40,), (3,), (2,), (1,), (2,), False),
    "depth": ((2,), (5, 6, 7), (2, 3, 2), (2, 2, 1), (1, 1, 0), (1, 1, 1), True),
    "all": ((2, 2), (7, 7), (7, 7), (7, 7), (0, 0), (1, 1), False),
    "many taps": ((1, 1), (30, 40), (2, 12), (2, 3), (0, 5), (1, 1), False),
    "gaps": ((1, 2), (11, 40), (2, 2), (3, 5), (0, 0), (1, 1), False),
}


def windows_of(size, kernel, stride, padding, dilation, ceil):
    places = places_of(size, kernel, stride, padding, dilation, ceil)
    return Windows(kernel, stride, padding, dilation, places)


def check(name, arrays, params, tolerance=1e-6):
    with np.errstate(invalid="ignore", over="ignore"):
        expected = OPS[name].forward(np, *arrays, **params)
    op = OPS[name]
    if op.lowering is None:
        description = pooling.describe(op.form, arrays, expected.shape, params)
        out = computed(pooling, description, arrays, expected.dtype)
    else:
        arrays = [np.ascontiguousarray(x) for x in arrays]
        (out,) = Single(op, arrays, params)(arrays)
    np.testing.assert_allclose(
        out.astype(float), expected.astype(float), tolerance, tolerance, equal_nan=True
    )


def numbers(shape, dtype, special=False):
    """Few different numbers, so that maxima are often equal; nan and -inf on request."""
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal(shape) * 3)
    if special:
        x[rng.random(shape) < 0.03] = np.nan
        x[..., :3] = -np.inf
    return x.astype(dtype)


def check_maxima(x, w):
    n = len(w.places)
    best = OPS[f"max_pool{n}d"].forward(np, x, windows=w)
    g = np.random.default_rng(1).standard_normal(best.shape).astype(x.dtype)
    check(f"max_pool{n}d", [x], {"windows": w})
    check("max_pool_positions", [x], {"windows": w})
    check("max_pool_pick", [numbers(x.shape, x.dtype), x], {"windows": w})
    check("max_pool_backward", [g, x, best], {"windows": w}, 2e-3 if x.itemsize == 2 else 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_maxima(case):
    lead, size, *how = CASES[case]
    w = windows_of(size, *how)
    check_maxima(numbers((*lead, *size), np.float32, special=True), w)


@pytest.mark.parametrize("include_pad", [True, False])
@pytest.mark.parametrize("case", [c for c in CASES if max(CASES[c][5]) == 1])
def test_means(case, include_pad):
    lead, size, *how = CASES[case]
    w = windows_of(size, *how)
    x = numbers((*lead, *size), np.float32)
    g = numbers((*lead, *w.places), np.float32)
    for override in (None, 3):
        params = {"windows": w, "include_pad": include_pad, "override": override}
        check(f"avg_pool{len(size)}d", [x], params)
        check("avg_pool_backward", [g], {"size": size, **params})


@pytest.mark.parametrize(
    ("size", "places"),
    [((7, 9), (3, 4)), ((8, 8), (4, 4)), ((5, 5), (7, 8)), ((20,), (6,)), ((6, 7, 8), (2, 3, 4)),
     ((50, 50), (2, 3))],
)  # fmt: skip
def test_adaptive(size, places):
    check(f"adaptive_avg_pool{len(size)}d", [numbers((2, 3, *size), "f4")], {"places": places})
    check("adaptive_avg_pool_backward", [numbers((2, 3, *places), "f4")], {"size": size})


@pytest.mark.parametrize("dtype", ["f8", "f2", "i8", "u1"])
def test_dtypes(dtype):
    w = windows_of((9, 10), (3, 3), (2, 2), (1, 1), (1, 1), False)
    x = abs(numbers((2, 3, 9, 10), "f8")).astype(dtype)
    check("max_pool2d", [x], {"windows": w})
    check("max_pool_positions", [x], {"windows": w})
    params = {"windows": w, "include_pad": False, "override": None}
    check("avg_pool2d", [x], params, 2e-3 if dtype == "f2" else 1e-6)
    if x.dtype.kind == "f":
        check_maxima(x, w)


def test_layouts():
    """Operands may have any strides; nothing outside them is read."""
    w = windows_of((8, 9), (2, 2), (2, 2), (0, 0), (1, 1), False)
    x = guarded(np.moveaxis(numbers((2, 8, 9, 3), "f4"), -1, 1))
    check_maxima(x, w)
    check_maxima(guarded(numbers((2, 8, 9), "f4")), w)
    check(
        "avg_pool2d", [x[:, ::-1, :, ::-1]], {"windows": w, "include_pad": True, "override": None}
    )


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_any_windows(data):
    draw = lambda low, high: data.draw(st.integers(low, high))
    rank = draw(1, 3)
    kernel, stride, dilation = (tuple(draw(1, high) for _ in range(rank)) for high in (4, 4, 2))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(draw(0, s // 2) for s in spans)
    size = tuple(s + draw(0, 20) for s in spans)
    w = windows_of(size, kernel, stride, padding, dilation, draw(0, 1))
    x = numbers((draw(1, 3), *size), "f4", special=draw(0, 1))
    check_maxima(x, w)
    if max(dilation) == 1:
        params = {"windows": w, "include_pad": bool(draw(0, 1)), "override": None}
        check(f"avg_pool{rank}d", [np.nan_to_num(x, neginf=0)], params)
        check("avg_pool_backward", [numbers((2, *w.places), "f4")], {"size": size, **params})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", range(1, 10))
def test_gradients_of_narrow_images(width, dtype):
    """A row of few elements is a part of one vector, of which LLVM makes something smaller."""
    x = (torch.arange(2 * width) * 7 % 5 - 3).to(dtype).reshape(1, 1, 2, width)

    def slopes(x):
        y = torch.nn.functional.max_pool2d(x, 2, 2, 1)
        weights = torch.arange(1, 1 + y.numel(), dtype=dtype).reshape(y.shape)
        return torch.autograd.grad((y * weights).sum(), x)[0]

    x.requires_grad_()
    assert torch.equal(torch.compile(slopes)(x), slopes(x))
