"""Pooling over long windows: compiled as one reduction, not element by element."""

import time

import pytest

import rushlight as torch
import rushlight.nn.functional as F

CALLS = {
    "mean of a line": (lambda x: F.avg_pool1d(x, 70, 3, 20), (2, 3, 200)),
    "mean along one dim": (lambda x: F.avg_pool2d(x, (40, 2), (5, 1), (8, 1)), (2, 60, 5)),
    "mean of what is there": (lambda x: F.avg_pool2d(x, 36, 7, 9, True, False), (1, 2, 50, 61)),
    "maximum": (lambda x: F.max_pool2d(x, (3, 50), (1, 4), (1, 20)), (2, 5, 90)),
    "maximum, spread": (lambda x: F.max_pool1d(x, 33, 2, 16, 3, True), (2, 3, 150)),
    "all": (lambda x: F.avg_pool2d(x, x.shape[-2:]), (2, 3, 40, 41)),
    "few uneven": (lambda x: F.adaptive_avg_pool1d(x, 7), (2, 4, 3000)),
    "many uneven": (lambda x: F.adaptive_avg_pool1d(x, 101), (1, 2, 5000)),
    "more than there are": (lambda x: F.adaptive_avg_pool1d(x, 2000), (1, 2, 7)),
}


@pytest.mark.parametrize("name", CALLS)
def test_compiled_is_eager(name):
    call, shape = CALLS[name]
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)

    def both(x):
        y = call(x)
        return y, torch.autograd.grad((y * y.detach().cos()).sum(), x)[0]

    begun = time.process_time()
    found = torch.compile(both)(x)
    assert time.process_time() - begun < 20  # it was 45 s, element by element
    torch.testing.assert_close(found, both(x))


class Three:
    def __index__(self):
        return 3


def test_the_divisor_is_a_whole_number():
    x = torch.ones(1, 4, 4)
    for bad in (3.0, True, "3"):
        with pytest.raises(TypeError, match=r"divisor_override.*must be int"):
            F.avg_pool2d(x, 2, divisor_override=bad)
    call = lambda x: F.avg_pool2d(x, 2, divisor_override=Three())
    for way in (call, torch.compile(call)):
        torch.testing.assert_close(way(x), torch.full((1, 2, 2), 4 / 3))
