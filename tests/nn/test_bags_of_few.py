"""Bags without gradient are summed in one pass; the sums are those of a bag at a time."""

import numpy as np
import pytest

import rushlight as torch

F = torch.nn.functional


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("features", [1, 3, 7])
@pytest.mark.parametrize("count", [0, 9, 3000])
def test_bags_with_and_without_indices(count, features, mode):
    rng = np.random.default_rng(0)
    table = torch.tensor(rng.normal(size=(5, features)))
    index = torch.tensor(rng.integers(0, 5, count))
    ends = [0, count // 3, count // 3, count - count // 4, count]  # the second bag is empty
    found = F.embedding_bag(index, table, torch.tensor(ends), mode=mode, include_last_offset=True)
    for row, first, last in zip(found, ends, ends[1:], strict=False):
        rows = table[index[first:last]]
        wanted = rows.sum(0) if mode == "sum" or not len(rows) else rows.mean(0)
        torch.testing.assert_close(row, wanted)


def test_a_sum_is_never_negative_zero():
    table = torch.tensor([[-0.0]])
    found = F.embedding_bag(torch.tensor([0]), table, torch.tensor([0]), mode="sum")
    assert not found.signbit().item()


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("two_dims", [False, True])
def test_no_bags_have_a_gradient_of_zeros(mode, two_dims):
    table = torch.ones(4, 3, requires_grad=True)
    index = torch.zeros((0, 2) if two_dims else (0,), dtype=torch.int64)
    offsets = None if two_dims else torch.zeros(0, dtype=torch.int64)
    found = F.embedding_bag(index, table, offsets, mode=mode)
    assert found.shape == (0, 3)
    found.sum().backward()
    assert table.grad.tolist() == [[0, 0, 0]] * 4
