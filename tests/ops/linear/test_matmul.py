"""Batches of outer products, which are multiplications; those of other sizes are BLAS's."""

import numpy as np
import pytest

import rushlight as torch


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "complex64", "bfloat16"])
@pytest.mark.parametrize("columns", [0, 1, 5, 9])
def test_outer_products_of_batches(dtype, columns):
    torch.manual_seed(0)
    make = lambda *shape: torch.randint(-4, 5, shape).to(getattr(torch, dtype))
    for x, y in (
        (make(6, 3, 1), make(6, 1, columns)),
        (make(6, 1, 3).mT, make(6, columns, 1).mT),
        (make(2, 1, 3, 1), make(6, 1, columns)),
    ):
        found = torch.matmul(x, y)
        assert found.dtype is x.dtype and found.is_contiguous()
        assert torch.equal(found, x * y)


def test_an_infinite_factor_of_an_outer_product():
    x = torch.tensor([0.0, np.inf, 1.0] * 3).reshape(1, 9, 1).expand(2, 9, 1)
    found = torch.matmul(x, x.mT)
    assert torch.equal(found.isnan(), x.isinf() & (x == 0).mT | (x == 0) & x.isinf().mT)
