"""Equations of ``einsum``: as lists of numbers, and where a sum lies in memory."""

import pytest

import rushlight as torch


def test_lists_of_numbers_stand_for_letters():
    x, y = torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(3, 4)
    assert torch.equal(torch.einsum(x, [0, 1], y, [1, 2]), x @ y)
    assert torch.equal(torch.einsum(x, [0, 51], y, (51, 2), [2, 0]), (x @ y).T)
    assert torch.einsum(torch.eye(3), [0, 0]).item() == 3
    z = torch.ones(2, 3, 4)
    assert torch.equal(torch.einsum(z, [..., 0], y, [1, 0], [..., 1])[1], z[1] @ y.T)


def test_lists_that_are_refused():
    x = torch.ones(2, 3)
    for wrong in ([0, 52], [0, -1]):
        with pytest.raises(ValueError, match="range"):
            torch.einsum(x, wrong)
    with pytest.raises(ValueError, match="list of its subscripts"):
        torch.einsum(x)
    with pytest.raises(TypeError, match="must be Tensor"):
        torch.einsum([0, 1], x)


@pytest.mark.parametrize("equation", ["ijk->ki", "ijk->kj", "ijk->ji", "ijk->ik"])
def test_a_sum_lies_in_memory_as_the_result(equation):
    x = torch.arange(24.0).view(2, 3, 4)
    found = torch.einsum(equation, x)
    assert found.is_contiguous()
    assert found.view(-1).sum() == x.sum()
