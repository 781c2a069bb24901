"""Tensors of the same memory layout under PyTorch and rushlight, and their comparison."""

import warnings

import numpy as np
import pytest

import rushlight
from tests.ops.parity import flat, same

__all__ = [
    "attempt",
    "check",
    "comparable",
    "expressions",
    "geometry",
    "numbered",
    "same_error",
]


def expressions(text, separator=None):
    """The expressions in a text, one after another, between spaces or ``separator``."""
    if separator is None:
        return text.split()
    return [e.strip() for line in text.splitlines() for e in line.split(separator) if e.strip()]


def numbered(torch, shape, layout="contiguous", dtype=None):
    """0, 1, 2, … in ``shape``; ``layout``: contiguous, reversed (dims), stepped or permuted."""
    a = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    x = torch.empty(tuple(shape)).copy_(torch.from_numpy(a))
    n = len(shape)
    if layout == "reversed" and n > 1:
        x = x.transpose(0, -1)
    elif layout == "stepped" and n:
        x = x[::2]
    elif layout == "permuted":
        x = x.permute(tuple((i + 1) % n for i in range(n))).clone() if n else x.clone()
    return x if dtype is None else x.to(getattr(torch, dtype))


def geometry(x):
    """(shape, strides, offset); of an empty tensor the parts that PyTorch defines."""
    if not x.numel():
        # PyTorch itself has several strides for one empty tensor once a stride is 0.
        strides = None if 0 in x.stride() or x.dim() == 1 else tuple(x.stride())
        return tuple(x.shape), strides, 0
    return tuple(x.shape), tuple(x.stride()), x.storage_offset()


def comparable(got, want):
    """True where geometries agree, as far as both are defined."""
    defined = got[1] is not None and want[1] is not None
    return got[0] == want[0] and got[2] == want[2] and (not defined or got[1] == want[1])


def attempt(f, *args):
    """(result, None) or (None, error)."""
    try:
        return f(*args), None
    except Exception as error:
        return None, error


def same_error(got, want, what):
    """Assert that neither failed, or both with one type of error; True where they failed."""
    if "at most 6 dims can be indexed by tensors" in str(got):
        return True  # docs/differences.md says so
    if want is None:
        if got is not None:
            raise AssertionError(what) from got
        return False
    assert isinstance(got, type(want)), f"{what}: expected {want!r}, got {got!r}"
    return True


def _results(expression, torch, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return flat(eval(expression, {"torch": torch, **names}))  # expressions of this suite
        except Exception as error:
            return error


def check(expression, make):
    """Compare ``expression`` over the names of ``make(torch)``: its results, or its error's type."""
    got, want = [
        _results(expression, torch, make(torch))
        for torch in (rushlight, pytest.importorskip("torch"))
    ]
    failed = [r if isinstance(r, Exception) else None for r in (got, want)]
    if same_error(*failed, expression):
        return
    assert len(got) == len(want), expression
    for g, w in zip(got, want, strict=True):
        same(g, w, expression)
