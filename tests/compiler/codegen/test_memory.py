"""Loads of elements that lie apart: compiled copies of slices equal those of eager mode."""

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
