"""Convolutions whose windows are one element are products of matrices."""

import numpy as np
import pytest

import rushlight as torch

SIZE = (5, 4)
GEOMETRIES = [
    (images, stride, padding, groups)
    for images in (1, 2, 17)
    for stride, padding in (((1, 1), (0, 0)), ((2, 1), (0, 0)), ((1, 3), (1, 2)))
    for groups in (1, 2, 6)
]


@pytest.mark.parametrize(("images", "stride", "padding", "groups"), GEOMETRIES)
def test_one_tap(images, stride, padding, groups):
    random = np.random.default_rng(images)
    x = random.normal(size=(images, 6, *SIZE))
    w = random.normal(size=(12, 6 // groups, 1, 1))
    met = np.pad(x, ((0, 0), (0, 0), *[(p, p) for p in padding]))[:, :, :: stride[0], :: stride[1]]
    met = met.reshape(images, groups, 6 // groups, *met.shape[2:])
    grouped = w.reshape(groups, 12 // groups, 6 // groups)
    want = np.einsum("ngchw,goc->ngohw", met, grouped)

    tx, tw = (torch.from_numpy(a).requires_grad_() for a in (x, w))
    out = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding, groups=groups)
    assert np.allclose(out.detach(), want.reshape(out.shape))
    g = random.normal(size=want.shape)
    out.backward(torch.from_numpy(g.reshape(out.shape)))
    slope = np.einsum("ngohw,ngchw->goc", g, met)
    assert np.allclose(tw.grad, slope.reshape(w.shape))
    spread = np.zeros((images, 6, *[n + 2 * p for n, p in zip(SIZE, padding, strict=True)]))
    shares = np.einsum("ngohw,goc->ngchw", g, grouped)
    spread[:, :, :: stride[0], :: stride[1]] = shares.reshape(images, 6, *shares.shape[3:])
    inner = [slice(p, p + n) for p, n in zip(padding, SIZE, strict=True)]
    assert np.allclose(tx.grad, spread[(slice(None), slice(None), *inner)])
