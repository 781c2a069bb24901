"""``nan_to_num`` replaces few and many special numbers, in any layout."""

import numpy as np
import pytest

import rushlight as torch


@pytest.mark.parametrize("special", [0, 1, 12])
@pytest.mark.parametrize("transposed", [False, True])
def test_special_numbers_are_replaced(special, transposed):
    a = np.arange(12.0, dtype="f4")
    a[:special] = np.resize([np.nan, np.inf, -np.inf], special)
    a = a.reshape(3, 4)
    x = torch.tensor(a).t() if transposed else torch.tensor(a)
    a = a.T if transposed else a
    found = torch.nan_to_num(x, 1.0, 2.0, 3.0)
    assert np.array_equal(found.numpy(), np.nan_to_num(a, nan=1, posinf=2, neginf=3))
    assert found.stride() == x.stride()
    assert found.data_ptr() != x.data_ptr()
    assert np.array_equal(torch.nan_to_num(x).numpy(), np.nan_to_num(a))
