"""Weights that are large beside the images are read as they lie, in the convolution and its slopes."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import native


@pytest.mark.parametrize(
    ("images", "stride", "bias"), [(4, 1, True), (1, 1, False), (3, 2, True), (8, 1, False)]
)
def test_large_weight(images, stride, bias):
    random = np.random.default_rng(images)
    draw = lambda *shape: random.normal(size=shape).astype(np.float32)
    x, w, b = draw(images, 256, 2, 2), draw(512, 256, 3, 3), draw(512)
    places = 2 // stride
    g = draw(images, 512, places, places)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[
        :, :, ::stride, ::stride
    ]
    want = np.einsum("ncyxij,ocij->noyx", windows, w, optimize=True)
    slope = np.einsum("ncyxij,noyx->ocij", windows, g, optimize=True)
    shares = np.einsum("noyx,ocij->ncyxij", g, w, optimize=True)
    spread = np.zeros_like(padded)
    for y, x_, i, j in np.ndindex(places, places, 3, 3):
        spread[:, :, y * stride + i, x_ * stride + j] += shares[:, :, y, x_, i, j]

    tx, tw, tb = (torch.from_numpy(a).requires_grad_() for a in (x, w, b))
    out = torch.nn.functional.conv2d(tx, tw, tb if bias else None, stride, 1)
    out.backward(torch.from_numpy(g))
    near = lambda found, wanted: np.allclose(found, wanted, rtol=1e-4, atol=1e-3)
    assert near(out.detach(), want + (b[:, None, None] if bias else 0))
    assert near(tx.grad, spread[:, :, 1:-1, 1:-1])
    assert near(tw.grad, slope)
    assert tw.grad._array.base is None  # it was not copied


@pytest.mark.skipif(not native.llvm_works(), reason="kernels are compiled by llvmlite")
@pytest.mark.parametrize("columns", [16, 32, 48, 64])
def test_products_of_few_columns(columns):
    random = np.random.default_rng(columns)
    a, b = (random.normal(size=s).astype(np.float32) for s in ((801, 701), (701, columns)))
    found = native.product(a, b)
    assert np.allclose(found.reshape(801, columns), a @ b, rtol=1e-4, atol=1e-3)
    assert native.product(a, b[:, 1:].copy()) is None
    assert a[:4].size >= native.LEAST_NARROW or native.product(a[:4], b) is None
