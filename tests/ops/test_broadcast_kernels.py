"""Kernels of elementwise operations on operands of every shape and stride that broadcast.

Kernels serve large arrays only. With ``RUSHLIGHT_CHECK=large`` they serve these small ones, too, and
are compared with NumPy.
"""

import random

import numpy as np
import pytest

from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.ops.core.definition import OPS
from tests.daily import DAY

FULL = [(3, 4), (2, 3, 4), (5,), (3, 1, 4), (1, 3, 4), (4, 1), (1, 1), (2, 1, 3, 1), (40, 3)]
NAMES = [
    name for name, op in OPS.items()
    if op.kind == "elementwise" and len(op.inputs) > 1 and op.least is not None and not op.params
]  # fmt: skip


def operand(chance, full):
    """An array that broadcasts to ``full``: of fewer dims, dims of size 1, expanded, or turned."""
    shape = [n if chance.random() < 0.7 else 1 for n in full][chance.randint(0, len(full)) :]
    numbers = np.random.default_rng(chance.randrange(1 << 30))
    found = numbers.uniform(0.1, 0.9, shape).astype(np.float32)
    way = chance.random()
    if way < 0.2:
        return np.broadcast_to(np.float32(chance.random()), shape)
    if way < 0.4:
        return np.broadcast_to(found, np.broadcast_shapes(tuple(shape), full))
    return np.asfortranarray(found) if way < 0.6 else found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_as_numpy(name):
    pytest.importorskip("llvmlite")
    op, chance = OPS[name], random.Random(f"{DAY} {name}")
    for _ in range(12):
        full = chance.choice(FULL)
        given = [operand(chance, full) for _ in op.inputs]
        try:
            want = np.asarray(op.forward(xp, *given))
        except (TypeError, ValueError):
            continue  # the operation takes other operands
        found = native.compute(op, tuple(given), {})
        if found is not None:
            looks = f"{[(x.shape, x.strides) for x in given]}"
            assert np.shape(found) == want.shape, looks
            np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5, err_msg=looks)
