"""Hessians of functions that turn, repeat or scatter their argument, also of a batch of arguments."""

import pytest

import rushlight as torch
from rushlight.func import grad, hessian, jacfwd, vmap

INDEX = torch.tensor([0, 1, 0])
FUNCTIONS = {
    "flip": lambda p: (p.sin() * p.flip(0)).sum(),
    "cumsum": lambda p: p.cumsum(0).sin().sum(),
    "rot90": lambda p: (p.view(1, -1).rot90() ** 3).sum(),
    "cross": lambda p: torch.linalg.cross(p, p.flip(0)).pow(2).sum(),
    "repeat": lambda p: (p.repeat(2) ** 3).sum(),
    "index_add": lambda p: (torch.zeros(2, dtype=p.dtype).index_add(0, INDEX, p) ** 3).sum(),
    "index_select": lambda p: (p.index_select(0, INDEX) ** 3).sum(),
    "logcumsumexp": lambda p: (p.logcumsumexp(0) * p.new_tensor([1, 0, -2])).pow(2).sum(),
    "sinc": lambda p: ((p - 0.2).sinc() * p).sum(),
    "expand": lambda p: (p.expand(2, 3) * p.view(3, 1).expand(3, 2).T).sin().sum(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_hessians_are_differences_of_gradients(name):
    f = FUNCTIONS[name]
    p = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    rows = [(grad(f)(p + s) - grad(f)(p - s)) / 2e-6 for s in step]
    wanted = torch.stack(rows)
    assert torch.allclose(hessian(f)(p), wanted, atol=1e-6)
    assert torch.allclose(jacfwd(jacfwd(f))(p), wanted, atol=1e-6)
    batch = vmap(hessian(f))(torch.stack([p, 2 * p]))
    assert torch.allclose(batch[0], wanted, atol=1e-6)
    assert torch.allclose(batch[1], hessian(f)(2 * p), atol=1e-6)
