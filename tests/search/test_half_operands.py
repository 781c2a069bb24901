"""Half precision beside operands of other dtypes: what is rounded before the operation, what not.

PyTorch rounds the other operand to the common dtype first, also a number; products and quotients
are the exception, which take a number as it is.
"""

import itertools
import operator
import warnings

import numpy as np
import pytest

import rushlight
from tests.search.lines import peer as find_peer

OPERATORS = "eq ne lt gt le ge add sub mul truediv floordiv mod pow"
FUNCTIONS = """
maximum minimum fmax fmin fmod remainder hypot copysign floor_divide true_divide rsub logaddexp
logical_and logical_xor isin
"""
CALLS = {
    **{n: lambda T, x, y, n=n: getattr(operator, n)(x, y) for n in OPERATORS.split()},
    **{n: lambda T, x, y, n=n: getattr(T, n)(x, y) for n in FUNCTIONS.split()},
    "floored": lambda T, x, y: T.div(x, y, rounding_mode="floor"),
    "truncated": lambda T, x, y: T.div(x, y, rounding_mode="trunc"),
    "where": lambda T, x, y: T.where(x > 0, x, y),
    "clamped": lambda T, x, y: T.clamp(x, max=y),
    "add_": lambda T, x, y: x.clone().add_(y),
    "mul_": lambda T, x, y: x.clone().mul_(y),
    "searchsorted": lambda T, x, y: T.searchsorted(x.sort()[0], y),
}
#: In neither dtype, halfway between two numbers of it, or out of its range.
NUMBERS = (0.1, 1000.1, 7e4, 1e-8, 2049.0, -0.3, 257, 2049)
OTHERS = {
    "number": lambda T, v: v,
    "float32, no dims": lambda T, v: T.tensor(float(v)),
    "float64, no dims": lambda T, v: T.tensor(v, dtype=T.float64),
    "int64": lambda T, v: T.tensor([int(v), 3, 2049, 100_001, 257]),
    "int32, no dims": lambda T, v: T.tensor(int(v), dtype=T.int32),
    "first": lambda T, v: T.tensor(v, dtype=T.float64),
}


def _outcome(T, name, dtype, kind, value, compiled=False):
    x = T.tensor([value, value * 2, -value, 0.0, 1.0], dtype=T.float64).to(getattr(T, dtype))
    given = (x, OTHERS[kind](T, value))
    f = lambda x, y: CALLS[name](T, x, y)
    try:
        found = (T.compile(f) if compiled else f)(*(given[::-1] if kind == "first" else given))
    except (RuntimeError, TypeError, AttributeError, ValueError) as error:
        return error
    return str(found.dtype).removeprefix("torch."), found.double().numpy()


def _same(found, want, name):
    if isinstance(found, Exception) or isinstance(want, Exception):
        return isinstance(want, Exception)  # PyTorch refuses numbers that are too large
    # PyTorch rounds quotients to half precision, and then to a whole number.
    slack = 2**-7 if name in ("floordiv", "floor_divide", "floored", "truncated") else 0
    return found[0] == want[0] and np.allclose(found[1], want[1], slack, 0, equal_nan=True)


def _faults(cases):
    peer, found = find_peer(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases:
            eager = _outcome(rushlight, *case)
            compiled = _outcome(rushlight, *case, compiled=True)
            if not _same(compiled, eager, case[0]):
                found.append(f"{case}: compiled {compiled}, eager {eager}")
            if peer is not None and not _same(eager, want := _outcome(peer, *case), case[0]):
                found.append(f"{case}: {eager}, PyTorch {want}")
    return found


_CASES = [*itertools.product(CALLS, ("float16", "bfloat16"), OTHERS, NUMBERS)]


def test_some_operands_beside_half_precision():
    cases = np.random.default_rng().permutation(len(_CASES))[:40]
    faults = _faults([_CASES[i] for i in cases])
    assert not faults, "\n".join(faults)


@pytest.mark.search
@pytest.mark.parametrize("name", CALLS)
def test_operands_beside_half_precision(name):
    faults = _faults([case for case in _CASES if case[0] == name])
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("dtype", [rushlight.float16, rushlight.bfloat16])
@pytest.mark.parametrize("bound", [0.1, 0.3, 0.7, 1e-12])
def test_what_lies_on_a_bound_lies_inside(dtype, bound):
    """The bound is rounded to half precision before it is compared."""

    def f(x):
        found = [x.clamp(-bound, bound), x.clamp_min(bound), x.clamp_max(bound)]
        outside = torch_f.hardshrink(x, bound)
        return outside, torch.stack([torch.autograd.grad(y.sum(), x)[0] for y in (*found, outside)])

    torch, torch_f = rushlight, rushlight.nn.functional
    x = torch.tensor([bound], dtype=dtype, requires_grad=True)
    for way in (f, torch.compile(f)):
        outside, slopes = way(x)
        assert not outside.any() and slopes.ravel().tolist() == [1, 1, 1, 0]
