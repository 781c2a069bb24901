"""Complex numbers of real and imaginary parts."""

import math

import rushlight as torch


def test_infinite_imaginary_parts_leave_real_parts_alone():
    g = torch.tensor([1.0, float("inf")])
    for make in (torch.view_as_real, lambda x: torch.view_as_real(x.contiguous())):
        x = torch.zeros((), dtype=torch.complex64, requires_grad=True)
        (slope,) = torch.autograd.grad(make(x), x, g)
        assert slope.item() == complex(1, float("inf"))
    x = torch.zeros(2, 2, dtype=torch.complex64, requires_grad=True)
    (slope,) = torch.autograd.grad(x.trace(), x, torch.tensor(complex(1, float("inf"))))
    assert slope[0, 0].item() == complex(1, float("inf")) and slope[0, 1].item() == 0
    kept = torch.tensor(complex(1, float("inf"))).nan_to_num(posinf=float("inf"))
    assert kept.item() == complex(1, float("inf"))


def test_a_negative_number_to_a_complex_power_has_a_slope():
    y = torch.tensor([0.0, 1j], dtype=torch.complex128, requires_grad=True)
    torch.pow(-1, y).real.sum().backward()  # (-1)^y = e^(iπy), whose slope is iπ times itself
    want = [-1j * math.pi, -1j * math.pi * math.exp(-math.pi)]
    assert torch.allclose(y.grad, torch.tensor(want, dtype=torch.complex128))
