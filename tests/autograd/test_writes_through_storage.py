"""In-place writes through ``as_strided``, to tensors that lie in the middle of their storage."""

import pytest

import rushlight as torch

BASES = {
    "in the middle": lambda x: x[3:9].view(2, 3),
    "with gaps": lambda x: x[3:15:2].view(2, 3),
    "turned": lambda x: x[3:9].view(3, 2).t(),
    "a part of each row": lambda x: x.view(4, 6)[1:3, 2:4],
}
VIEWS = [
    ((2,), (1,), 1),
    ((2, 2), (1, 2), 0),
    ((2,), (3,), 0),
    ((1, 2), (2, 2), 2),
    ((2,), (1,), -1),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("size, stride, start", VIEWS)
@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_gradients(base, size, stride, start, dtype):
    def f(x, p):
        x.mul_(p)
        x.as_strided(size, stride, x.storage_offset() + start).mul_(3)
        return x * x

    places = base(torch.arange(24)).detach()
    written = torch.arange(24).as_strided(size, stride, places.storage_offset() + start)
    factor = 1.0 + 2 * torch.isin(places, written)
    for graph in (False, True):
        x = base(torch.ones(24, dtype=dtype)).detach()
        p = torch.tensor(2.0, dtype=dtype, requires_grad=True)
        out = f(x, p)
        (slope,) = torch.autograd.grad(out.sum(), p, create_graph=graph)
        assert torch.equal(out.double(), (2 * factor.double()) ** 2)
        assert slope == (4 * factor**2).sum()


@pytest.mark.parametrize("part", [lambda c: c.imag, lambda c: torch.view_as_real(c)[..., 1]])
def test_slopes_of_slopes_through_parts_of_complex_numbers(part):
    def f(x):
        c = torch.complex(x, x * 1)
        v = part(c)
        v.mul_(v.detach() * 1 + x)
        return (c.real * c.imag).sum()

    x = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(f(x), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    # The value is x² · (x' + x), where x' is a constant that equals x.
    assert torch.allclose(slope, 5 * x**2) and torch.allclose(second, 8 * x)
