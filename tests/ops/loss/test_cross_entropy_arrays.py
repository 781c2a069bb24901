"""The short ways of the mean cross entropy give what the general one gives."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.nn.functional import cross_entropy

SHAPES = [(1, 1), (1, 2), (1, 16), (1, 17), (5, 3), (32, 2), (64, 10), (100, 100)]


@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_mean_is_that_of_the_general_path(shape, dtype, order):
    torch.manual_seed(3)
    values = torch.randn(shape, dtype=dtype) * 20
    if order == "columns":
        values = torch.from_numpy(np.asfortranarray(values.numpy()))
    target = torch.randint(0, shape[1], shape[:1])
    results = []
    for weight in (None, torch.ones(shape[1], dtype=dtype)):  # weights take the general path
        x = values.clone(memory_format=torch.preserve_format).requires_grad_()
        loss = cross_entropy(x, target, weight)
        loss.backward(torch.tensor(3.0, dtype=dtype))
        assert loss.dtype is dtype
        results.append((loss.detach(), x.grad))
    for short, general in zip(*results, strict=True):
        eps = torch.finfo(dtype).eps
        assert np.allclose(short.numpy(), general.numpy(), rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize("row", [[1e4, -1e4], [float("-inf"), 0.0], [float("inf"), 0.0],
                                 [float("nan"), 1.0], [1.0, float("nan")]])  # fmt: skip
@pytest.mark.parametrize("rows", [1, 2])
def test_extremes(row, rows):
    x = torch.tensor([row] * rows)
    target = torch.tensor([0] * rows)
    short = cross_entropy(x, target).item()
    general = cross_entropy(x, target, torch.ones(2)).item()
    assert short == general or (np.isnan(short) and np.isnan(general))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("wrong", [-1, 2])
def test_a_class_out_of_bounds_is_refused(rows, wrong):
    with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds"):
        cross_entropy(torch.zeros(rows, 2), torch.tensor([wrong] * rows))
