"""torch.nn.grad against the gradients of the convolutions themselves."""

import pytest

import rushlight as torch
from rushlight.nn import functional as F


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradients_of_convolutions(n, dtype):
    options = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    x = torch.randn(2, 4, *[8] * n, dtype=dtype, requires_grad=True)
    weight = torch.randn(6, 2, *[3] * n, dtype=dtype, requires_grad=True)
    out = getattr(F, f"conv{n}d")(x, weight, **options)
    g = torch.randn_like(out)
    want = torch.autograd.grad(out, (x, weight), g)
    of_x = getattr(torch.nn.grad, f"conv{n}d_input")(x.shape, weight, g, **options)
    of_weight = getattr(torch.nn.grad, f"conv{n}d_weight")(x, weight.shape, g, **options)
    assert torch.allclose(of_x, want[0]) and torch.allclose(of_weight, want[1])
    assert of_x.requires_grad and of_weight.requires_grad


def test_other_names():
    assert F.grad is torch.nn.grad and not hasattr(F, "no_such_function")
    assert torch.backends.cuda.SDPBackend is torch.nn.attention.SDPBackend
