"""Copies of arrays of many short rows, whose elements are copied one column after the other."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.strides import copied


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["i1", "f4", "c16"])
def test_columns_in_turn(n, dtype):
    x = np.arange(3000 * n).astype(dtype).reshape(n, 30, 100)
    for given in (x.transpose(1, 2, 0), x.transpose(2, 1, 0), x.T[:, ::-1], x.T[..., ::-1]):
        found = copied(given)
        assert found.flags.c_contiguous and found.tobytes() == given.tobytes()


def test_what_copies_them():
    x = torch.arange(12000.0).reshape(3, 40, 100)
    turned = x.permute(2, 1, 0)
    expected = x.numpy().transpose(2, 1, 0)
    for found in (turned.contiguous(), turned.reshape(-1).view(100, 40, 3)):
        assert found.is_contiguous() and np.array_equal(found.numpy(), expected)
    shuffled = torch.pixel_shuffle(x.reshape(1, 12, 10, 100), 2)
    parts = x.numpy().reshape(1, 3, 2, 2, 10, 100).transpose(0, 1, 4, 2, 5, 3)
    assert np.array_equal(shuffled.numpy(), parts.reshape(1, 3, 20, 200))
