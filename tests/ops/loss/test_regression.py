"""Losses of elements: the warning about sizes that differ."""

import warnings

import pytest

import rushlight as torch

LOSSES = ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"]
MODULES = ["MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss"]


@pytest.mark.parametrize("name", [*LOSSES, *MODULES])
@pytest.mark.parametrize("size", [(3,), (2, 3, 1), ()])
def test_sizes_that_differ_are_warned_of(name, size):
    call = getattr(torch.nn, name)() if name in MODULES else getattr(torch.nn.functional, name)
    words = r"Using a target size \(torch.Size\(.*\) that is different to the input size"
    with pytest.warns(UserWarning, match=words) as seen:
        call(torch.zeros(3, 1), torch.zeros(size))
    assert len(seen) == 1
    if name in LOSSES:
        assert seen[0].filename == __file__


@pytest.mark.parametrize("name", LOSSES)
def test_equal_sizes_are_not_warned_of(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(torch.nn.functional, name)(torch.zeros(3, 1), torch.zeros(3, 1))


def test_smooth_l1_loss_without_a_squared_part_warns_once():
    with pytest.warns(UserWarning, match="Using a target size") as seen:
        torch.nn.functional.smooth_l1_loss(torch.zeros(3, 1), torch.zeros(3), beta=0.0)
    assert len(seen) == 1
