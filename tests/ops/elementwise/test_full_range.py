"""Integers from the whole range of their dtype: what overflows wraps as in PyTorch.

Small integers of tests never overflow, so only such numbers tell in which width a result was
computed.
"""

import numpy as np
import pytest

import rushlight

DTYPES = ("int8", "uint8", "int16", "int32", "int64")
UNARY = ["neg", "abs", "square", "sign", "bitwise_not", "positive", "sgn"]
BINARY = [
    "add",
    "sub",
    "mul",
    "floor_divide",
    "remainder",
    "fmod",
    "gcd",
    "lcm",
    "maximum",
    "minimum",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "rsub",
]
ROWS = ["sum", "prod", "cumsum", "cumprod", "amax", "amin", "aminmax", "argmax"]


def numbers(dtype, seed, size):
    """Numbers of all magnitudes, with the ends of the range among them."""
    random, ends = np.random.default_rng(seed), np.iinfo(dtype)
    found = random.integers(ends.min, ends.max, size, dtype, endpoint=True)
    found >>= random.integers(0, 8 * found.itemsize - 1, size).astype(dtype)
    found[: min(4, size)] = np.array([ends.min, ends.max, 0, 1], dtype)[: min(4, size)]
    return found


def results(torch, name, *arrays):
    call = lambda *xs: getattr(torch, name)(*xs)
    if name in ("cumsum", "cumprod", "aminmax"):
        call = lambda x: getattr(torch, name)(x, dim=0)
    with np.errstate(all="ignore"):
        found = call(*[torch.from_numpy(a.copy()) for a in arrays])
    return [t.numpy() for t in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*UNARY, *BINARY, *ROWS])
def test_overflows_as_in_pytorch(name, dtype):
    torch = pytest.importorskip("torch")
    x, y = numbers(dtype, 0, 3000), numbers(dtype, 1, 3000)
    if name in ("floor_divide", "remainder", "fmod"):
        y[y == 0] = 3
        least = np.iinfo(dtype).min  # its quotient by -1 traps in PyTorch
        y[(x == least) & (y == np.array(-1).astype(dtype))] = 3
    if "shift" in name:
        y = np.abs(y % (8 * y.itemsize))
    given = (x, y) if name in BINARY else (x[:50],) if name in ROWS else (x,)
    want = results(torch, name, *given)
    got = results(rushlight, name, *given)
    function = rushlight.compile(lambda *xs: getattr(rushlight, name)(*xs))
    if name not in ("cumsum", "cumprod", "aminmax"):
        tensors = [rushlight.from_numpy(a.copy()) for a in given]
        got += [function(*tensors).numpy()]
        want = [*want, *want]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)
