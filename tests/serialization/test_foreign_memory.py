"""Copies of tensors whose memory is another library's array, with any order and with gaps."""

import copy
import io
import pickle
import random

import ml_dtypes
import numpy as np
import pytest

import rushlight as torch


def saved(x):
    file = io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    return torch.load(file)


COPIES = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "save": saved, "deep": copy.deepcopy}
DTYPES = ["f4", "i8", "f8", "i2", ml_dtypes.bfloat16]


def array(choose):
    """An array in C's or Fortran's order, or a part of one, with its dims in any order."""
    shape = choose.choices([1, 2, 3, 4], k=choose.randint(1, 4))
    dtype, order = choose.choice(DTYPES), choose.choice("CF")
    found = np.arange(np.prod(shape)).astype(dtype).reshape(shape, order=order)
    found = found.transpose(choose.sample(range(found.ndim), found.ndim))
    if choose.random() < 0.5:
        begin = [choose.choice([0, 1]) if n > 1 else 0 for n in found.shape]
        found = found[tuple([slice(k, None, choose.choice([1, 2])) for k in begin])]
    return found


def on_storage(x, start):
    return torch.empty(0, dtype=x.dtype).set_(x.untyped_storage(), start, (2,), (1,))


VIEWS = [
    lambda x: x.permute([*reversed(range(x.dim()))]),
    lambda x: x[1:],
    lambda x: x[..., ::2],
    lambda x: x.view(-1),
    lambda x: torch.from_numpy(x.numpy()),
    lambda x: on_storage(x, 0),
    lambda x: on_storage(x, 1),
]


@pytest.mark.parametrize("name", COPIES)
def test_copies_of_foreign_memory(name):
    for seed in range(150):
        choose = random.Random(seed)
        x = torch.from_numpy(array(choose))
        for view in choose.choices(VIEWS, k=choose.randint(0, 3)):
            try:
                x = view(x)
            except (RuntimeError, TypeError):  # no such view of this tensor
                continue
        found = COPIES[name](x)
        assert found.shape == x.shape and found.equal(x), seed
        if name == "save":  # the whole storage is saved, so views of one go on to share it
            first, second = saved((x, x.permute([*reversed(range(x.dim()))])))
            first.zero_()
            assert not second.any(), seed
