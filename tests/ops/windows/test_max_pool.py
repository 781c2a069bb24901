"""Max pooling: windows of which all elements lie in the padding."""

import math

import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight.backend.sizes import CHECKS


@pytest.mark.parametrize("way", [lambda f: f, torch.compile])
def test_windows_that_lie_in_the_padding_alone(way):
    """Nothing goes back to the image, nor to the next one. (PyTorch writes beyond the image.)"""
    x = torch.arange(8.0).reshape(2, 2, 2).requires_grad_()
    call = way(lambda x: F.max_pool1d(x, 2, 1, 1, 3))
    assert call(x).tolist() == [[[-math.inf]] * 2] * 2
    (slope,) = torch.autograd.grad(call(x).sum(), x, create_graph=True)
    assert not slope.any()
    weights = torch.ones_like(x, requires_grad=True)
    g = torch.ones(2, 2, 1, requires_grad=True)
    (slope,) = torch.autograd.grad(F.max_pool1d(x, 2, 1, 1, 3), x, g, create_graph=True)
    (again,) = torch.autograd.grad((slope * weights).sum(), g)
    assert again.tolist() == [[[0.0]] * 2] * 2


def test_the_first_of_equal_zeros_is_the_maximum_beside_nan_and_infinity():
    for last in (3.0, torch.inf, torch.nan):
        for zeros in ((0.0, -0.0), (-0.0, 0.0)):
            x = torch.tensor([[torch.inf, 1.0, *zeros, -1.0, 2.0, last]])
            found = torch.nn.functional.adaptive_max_pool1d(x, 3)
            assert found[0, 1] == 0
            if "large" not in CHECKS:  # there kernels compute it, which take either zero
                assert str(found[0, 1].item()) == str(zeros[0])
            assert str(found[0, 2].item()) == str(last)
