"""Loads of elements that lie apart: compiled copies of slices equal those of eager mode."""

import itertools
import random

import pytest

import rushlight as torch
from rushlight.compiler.calls.compiled import Compiled
from tests.daily import DAY, daily

pytest.importorskip("llvmlite")

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("seed", daily(range(150), 25, "elements apart"))
def test_random_steps(seed):
    chance = random.Random(f"{DAY} {seed}")
    dtype, step = chance.choice(DTYPES), chance.randint(1, 6)
    rows, width, start = chance.choice([1, 3, 64]), chance.randint(1, 140), chance.randrange(step)
    x = (torch.arange(rows * width * step) % 251 - 100).reshape(rows, -1)
    x = x % 3 == 0 if dtype is torch.bool else x.to(dtype)
    turned = chance.random() < 0.5
    call = lambda x: (x.flip(1) if turned else x)[:, start::step].clone()
    what = f"{DAY} {seed}: {dtype} {rows} rows of {width * step}, {turned=} {start=} {step=}"
    torch.testing.assert_close(Compiled(call, fullgraph=True)(x), call(x), rtol=0, atol=0, msg=what)


@pytest.mark.parametrize("step", [2, 3, 4])
def test_nothing_behind_the_last_element_is_read(step):
    """CI runs this with ``RUSHLIGHT_CHECK=bounds``, which sees what is read."""
    for width in range(1, 20):
        x = torch.arange((width - 1) * step + 1, dtype=torch.int64)
        call = lambda x: (x[::step] * 1, x.flip(0)[::step] * 1)
        for got, want in zip(Compiled(call, fullgraph=True)(x), call(x), strict=True):
            assert torch.equal(got, want)


MASKS = {
    "negative": lambda x: x < 0,
    "outside": lambda x: (x < 0) | (x > 4),
    "not negative": lambda x: x >= 0,
    "below or at": lambda x: (x < 0) | (x == 2),
    "zero": lambda x: (x == 0) & ~(x < 0),
}


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int8, torch.float32])
@pytest.mark.parametrize("one", daily(MASKS, 2, "masks"))
def test_masks_that_are_reduced_and_used_elsewhere(one, dtype):
    """LLVM 22 makes wrong code of some masks' bits for AVX-512: one was reduced and used again."""
    for other, size in itertools.product(MASKS, (2, 3, 5, 8, 13)):

        def judged(x, k, masks=(MASKS[one], MASKS[other])):
            return [mask(x + k).any() for mask in masks], x + k

        compiled = torch.compile(judged)
        for low, high in ((-9, 0), (0, 5), (-3, 8), (5, 9)):
            x, k = torch.randint(low, high, (size,)).to(dtype), torch.ones((), dtype=dtype)
            found = compiled(x, k)
            torch.testing.assert_close(found, judged(x, k), rtol=0, atol=0, msg=f"{other} {x}")
