"""Positions that compiled functions find among equal elements, for tensors in any memory order."""

import random
from math import prod

import numpy as np
import pytest

import rushlight as torch
from tests.search.lives import SEED

#: Functions of a tensor and a dim; the first few also take all dims.
WHOLE = [torch.argmax, torch.argmin]
ALONG = [
    lambda x, dim: x.max(dim)[1], lambda x, dim: x.min(dim)[1], lambda x, dim: x.kthvalue(1, dim)[1],
    lambda x, dim: x.median(dim)[1], lambda x, dim: torch.cummax(x, dim)[1],
    lambda x, dim: x.sort(dim=dim, stable=True)[1],
]  # fmt: skip
DTYPES = [torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.float16]


def tensor(chance):
    """A tensor of few different numbers, turned, expanded or with windows that overlap."""
    shape = [chance.choice([1, 2, 3, 5, 8, 17, 33]) for _ in range(chance.randint(1, 4))]
    while prod(shape) > 4000:
        shape.pop()
    strides, step = [0] * len(shape), 1
    for d in chance.sample(range(len(shape)), len(shape)):
        strides[d] = step
        step *= shape[d]
    if chance.random() < 0.5:
        strides = [chance.choice([0, 1, 2, step]) for step in strides]
    count = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    numbers = np.random.default_rng(chance.randrange(1 << 30)).integers(0, 4, count)
    memory = torch.from_numpy(numbers).to(chance.choice(DTYPES))
    if memory.is_floating_point() and chance.random() < 0.3:
        memory[::7] = torch.nan
    return memory.as_strided(shape, strides)


def difference(seed):
    """How a compiled function finds another position than the eager one; None if it doesn't."""
    chance = random.Random(seed)
    x = tensor(chance)
    function = chance.choice([*WHOLE * 3, *ALONG])
    dims = [*range(x.ndim), None] if function in WHOLE else range(x.ndim)
    dim, copied = chance.choice(dims), chance.random() < 0.3
    run = lambda x: function(x * 1 if copied else x, dim)
    want, found = run(x), torch.compile(run)(x)
    if torch.equal(want, found):
        return None
    return f"seed {seed}: {x.dtype} {tuple(x.shape)} {x.stride()} dim {dim}: {found} not {want}"


def faults(seeds):
    return "\n".join(filter(None, map(difference, seeds)))


def test_some_positions():
    assert not faults(range(20))


@pytest.mark.search
def test_many_positions():
    assert not (found := faults(range(SEED, SEED + 1500))), f"RUSHLIGHT_SEED={SEED}\n{found}"
