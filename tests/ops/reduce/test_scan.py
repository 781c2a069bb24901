"""Running sums of one long row, which are summed in parts."""

import numpy as np
import pytest

import rushlight as torch


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 300_001])
@pytest.mark.parametrize("special", [False, True])
def test_parts_give_the_sums_of_the_row(size, special):
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    if special:
        x[size // 3], x[size // 2], x[-1] = np.inf, 1e38, -np.inf
    with np.errstate(all="ignore"):
        wanted = np.add.accumulate(x, dtype=np.float64).astype(np.float32)
    for given in (x, x[None], x[:, None]):
        dim = int(given.shape[0] == 1)
        found = torch.from_numpy(given).cumsum(dim).numpy().reshape(-1)
        np.testing.assert_allclose(found, wanted, rtol=3e-7, atol=1e-12)


def test_zeros_have_no_sign():
    assert not np.signbit((-torch.zeros(70_000)).cumsum(0).numpy()).any()
