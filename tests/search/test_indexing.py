"""Random indices of every mixture: what they read and write, gradients and errors, as in PyTorch."""

import builtins
import random
import warnings

import numpy as np
import pytest

import rushlight
from tests.search.lives import SEED

torch = pytest.importorskip("torch")

DTYPES = ("float32", "float32", "int64", "complex64", "bool", "bfloat16")
#: Layouts by the number of dims that they need.
LAYOUTS = ("x.expand(2, *x.shape)", "x[..., ::2]", "x.mT")
VALUES = (
    "7", "T.tensor(5.0)", "T.full(r.shape, 3.0)", "T.ones(r.shape[-1:])", "True", "1.5", "2j",
    "T.ones((1, *r.shape))", "T.tensor([4])", "np.float32(2)", "T.ones(2, 1)",
)  # fmt: skip
#: Errors that PyTorch may name in another order, if an index is wrong in two ways.
REFUSALS = {"IndexError", "RuntimeError", "ValueError", "TypeError", "NotImplementedError"}


def part(choose, n):
    """One part of an index, as text, for a dim of size ``n``."""
    numbers = [choose.randint(-n, n - 1) for _ in range(choose.randint(1, 3))] if n else [0]
    mask = [choose.random() < 0.5 for _ in range(n)]
    ends = [choose.choice([None, *range(-n - 2, n + 3)]) for _ in range(2)]
    return choose.choice([
        f"slice({ends[0]}, {ends[1]}, {choose.choice([None, 1, 2, 3])})",
        str(choose.randint(-n, max(n - 1, 0))), "None", "...", str(choose.random() < 0.5),
        f"T.tensor({choose.random() < 0.5})", f"T.tensor({numbers})", f"T.tensor([{numbers}]).mT",
        f"{numbers}", f"np.array({numbers})", f"T.tensor({mask}, dtype=T.bool)", f"{mask}",
        f"np.array({mask}, dtype=bool)", "T.tensor(0)", "np.int64(0)",
    ])  # fmt: skip


def case(choose):
    """(shape, dtype, layout, index, value)."""
    shape = [choose.choice([0, 1, 2, 3, 4]) for _ in range(choose.randint(0, 4))]
    parts, d = [], 0
    for _ in range(choose.randint(1, 4)):
        text = part(choose, shape[d] if d < len(shape) else 2)
        d += text not in ("None", "...", "True", "False") and "tensor(True" not in text
        if text != "..." or "..." not in parts:
            parts.append(text)
    index = parts[0] if len(parts) == 1 and choose.random() < 0.5 else f"({', '.join(parts)},)"
    layout = choose.choice(["x", "x", *LAYOUTS[: len(shape) + 1]])
    return shape, choose.choice(DTYPES), layout, index, choose.choice(VALUES)


def attempt(T, call):
    """What ``call`` gives: (shape, dtype, elements), or the name of its error's built-in type."""
    try:
        found = call()
    except Exception as error:
        return next(k.__name__ for k in type(error).__mro__ if hasattr(builtins, k.__name__))
    numbers = np.round(np.array(found.detach().to(T.complex128).tolist(), complex), 3)
    return tuple(found.shape), str(found.dtype).split(".")[-1], numbers.tolist()


def outcome(T, shape, dtype, layout, index, value):
    """What reading and writing give, and the gradients of both."""
    size = int(np.prod(shape))
    x = T.arange(size, dtype=T.float32).reshape(shape).to(getattr(T, dtype))
    names = {"T": T, "np": np, "x": x}
    x = eval(layout, names).clone()
    index, read = eval(index, names), None
    leaf = x.clone().requires_grad_() if dtype == "float32" else x

    def slope():
        factors = T.arange(read.numel(), dtype=T.float32).reshape(read.shape) + 1
        (read * factors).sum().backward()
        return leaf.grad

    def write(target):
        target[index] = eval(value, names)
        return target

    def slope_of_write():
        leaf.grad = None
        factors = T.arange(leaf.numel(), dtype=T.float32).reshape(leaf.shape) + 1
        (write(leaf * 2) * factors).sum().backward()
        return leaf.grad

    found = {"read": attempt(T, lambda: leaf[index])}
    read = leaf[index] if type(found["read"]) is tuple else None
    names["r"] = T.ones(2) if read is None else read.detach()
    if dtype == "float32" and read is not None:
        found["slope"] = attempt(T, slope)
        found["slope of write"] = attempt(T, slope_of_write)
    found["write"] = attempt(T, lambda: write(x.clone()))
    return found


def difference(drawn):
    ours, theirs = outcome(rushlight, *drawn), outcome(torch, *drawn)
    for k in ours.keys() | theirs.keys():
        a, b = ours.get(k), theirs.get(k)
        if a != b and not (a in REFUSALS if isinstance(a, str) and isinstance(b, str) else False):
            return k, a, b
    return None


def search(count, seed):
    choose = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            drawn = case(choose)
            found = difference(drawn)
            assert not found, f"seed {seed}: {drawn}: {found}"


@pytest.mark.parity
def test_some_indices():
    search(60, random.randrange(1 << 32))


@pytest.mark.parity
@pytest.mark.search
def test_many_indices():
    search(5000, SEED)
