"""Padded values are read through guards: no kernel writes the elements around them."""

import random

import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight.compiler.calls.compiled import Compiled
from tests.daily import DAY, daily

pytest.importorskip("llvmlite")

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool,
]  # fmt: skip


def kernels(function, *args):
    """The number of kernels of a compiled function."""
    found = torch.compiler.explain(torch.compile(function))(*args)
    return len(found.kernels)


def image(chance, dtype):
    """An image of 1 to 4 dims: in C order, transposed, a slice, flipped in steps, or expanded."""
    shape = [chance.choice([1, 2, 3, 5, 17, 33]) for _ in range(chance.randint(1, 4))]
    x = torch.randn(shape) * 4
    way = chance.randrange(5)
    if way == 1:
        x = x.mT.contiguous().mT if x.ndim > 1 else x
    elif way == 2:
        x = F.pad(x, (2, 3))[..., 2:-3]
    elif way == 3:
        x = x.repeat_interleave(2, 0)[::2]
    elif way == 4:
        x = x[:1].expand(shape)
    return x > 0 if dtype is torch.bool else x.to(dtype)


def padding(chance, shape):
    """Numbers for the last dims of which at least one element is left or added."""
    pad = []
    for n in reversed(shape[-chance.randint(1, len(shape)) :]):
        before, after = chance.randint(-1, 4), chance.randint(-1, 4)
        pad += [before, after] if n + before + after > 0 and n > 2 else [abs(before), abs(after)]
    return pad


@pytest.mark.parametrize("seed", daily(range(240), 40, "padding"))
def test_random_padding(seed):
    chance = random.Random(f"{DAY} {seed}")
    torch.manual_seed(seed)
    dtype = chance.choice(DTYPES)
    x = image(chance, dtype)
    pad = padding(chance, x.shape)
    value = chance.choice([0, 1.5, -2.0, float("inf")] if dtype.is_floating_point else [0, 1, 3])
    way = chance.randrange(4)

    def call(x):
        found = F.pad(x if way else ~x if dtype is torch.bool else x + x, pad, value=value)
        if way == 2:
            return found.sum(-1), found.amax(0)
        return (found.mT * 1 if found.ndim > 1 and way == 3 else found), found == value

    what = f"{DAY} {seed}: {tuple(x.shape)} {x.stride()} {dtype} pad={pad} value={value} {way}"
    for got, want in zip(Compiled(call, fullgraph=True)(x), call(x), strict=True):
        assert got.dtype is want.dtype and got.shape == want.shape, what
        torch.testing.assert_close(got, want, msg=what, equal_nan=True)


@pytest.mark.parametrize("seed", daily(range(120), 20, "gradients of slices"))
def test_random_sums_of_slices(seed):
    chance = random.Random(f"{DAY} {seed}")
    torch.manual_seed(seed)
    shape = [chance.choice([2, 3, 8, 33]) for _ in range(chance.randint(1, 3))]
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)

    def part():
        dim = chance.randrange(len(shape))
        start = chance.randrange(shape[dim])
        stop = chance.randint(start + 1, shape[dim])
        place = chance.choice([slice(start, stop), slice(start, None, 2), start])
        return (slice(None),) * dim + (place, ...)

    places = [part() for _ in range(chance.randint(2, 5))]

    def call(x):
        return torch.autograd.grad(sum([x[p].sin().sum() for p in places]), x)[0]

    torch.testing.assert_close(Compiled(call)(x), call(x), msg=f"{DAY} {seed}: {shape} {places}")


def test_padding_joins_what_reads_it():
    x = torch.randn(3, 8, 9)
    assert kernels(lambda x: F.pad(x, (1, 2, 3, 0), value=2.0).exp() + 1, x) == 1
    assert kernels(lambda x: F.pad(x, (1, 2)).sum(-1), x) == 1


def _variation(x):
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return across.square().sum() + down.square().sum()


def test_differences_of_neighbours_take_few_kernels():
    x = torch.randn(4, 3, 16, 16, requires_grad=True)
    assert kernels(lambda x: torch.autograd.grad(_variation(x), x)[0], x) <= 4


def test_small_parts_are_still_written():
    """A gradient of many rows would be read once for each row if all were padded."""
    x = torch.randn(32, 40, requires_grad=True)
    call = lambda x: torch.autograd.grad(sum([row.cos().sum() for row in x.unbind(0)]), x)[0]
    torch.testing.assert_close(Compiled(call)(x), call(x))


def test_cat_writes_each_element_once():
    x, y = torch.randn(4, 5), torch.randn(4, 6)
    assert kernels(lambda x, y: torch.cat([x.sin(), y.cos()], 1).exp(), x, y) == 3
    both = lambda x, y: (torch.cat([x, y], 1), torch.cat([x * 2, y], 1))
    for got, want in zip(Compiled(both)(x, y), both(x, y), strict=True):
        torch.testing.assert_close(got, want)
