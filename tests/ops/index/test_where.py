"""The short path of ``where`` for operands that broadcast and for numbers."""

import numpy as np
import pytest

import rushlight as torch


def numbers(*shape, seed=0):
    return torch.from_numpy(
        np.asarray(np.random.default_rng(seed).standard_normal(shape), np.float32)
    )


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4), (4,)), ((4,), (2, 3, 4), ()), ((), (5,), (5,))]
)
def test_where_broadcasts_as_its_operation_does(shapes):
    c, x, y = [numbers(*s, seed=k) for k, s in enumerate(shapes)]
    c, x, y = c > 0, x.requires_grad_(), y.requires_grad_()
    for other in (y, 2.5, -1):
        found = torch.where(c, x, other)
        wanted = torch.where(c.expand(found.shape), x.expand(found.shape),
                             other.expand(found.shape) if other is y else torch.tensor(float(other)))  # fmt: skip
        assert found.tolist() == wanted.tolist()
        assert found.is_contiguous()
        given = (x, y) if other is y else (x,)
        slopes = [torch.autograd.grad((v * v).sum(), given) for v in (found, wanted)]
        torch.testing.assert_close(*slopes)
    with pytest.raises(RuntimeError):
        torch.where(torch.ones(2, dtype=torch.bool), torch.ones(3), torch.ones(3))
