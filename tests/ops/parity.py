"""Expressions evaluated under PyTorch and under rushlight, their results and gradients compared."""

import warnings

import numpy as np
import pytest

import rushlight

__all__ = ["ALL", "FLOATS", "INTEGERS", "REAL", "check", "check_gradients", "inputs"]

INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
REAL = ("bool", *INTEGERS, *FLOATS)
ALL = (*REAL, "complex64", "complex128")
TOLERANCE = {
    "torch.float16": 2e-3, "torch.bfloat16": 1.6e-2, "torch.float32": 2e-6, "torch.complex64": 4e-6,
}  # fmt: skip

_VALUES = {
    "x": {
        "b": [[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0]],
        "u": [[3, 2, 0, 7], [1, 5, 8, 2], [4, 1, 3, 1]],
        "i": [[3, -2, 0, 7], [1, 5, -8, 2], [4, 1, 3, -1]],
        "f": [[0.5, -2.25, 0.0, 1.5], [-0.75, 3.0, 1.25, 2.0], [3.0, -0.0, 1.0, -4.0]],
        "c": [
            [0.5 + 1j, -2.25 - 2j, 0.25, 1.5j],
            [-0.75, 3.0, 1 - 1j, 2j],
            [1 + 0.5j, -0.5, 1, -1],
        ],
    },
    "y": {
        "b": [[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0]],
        "u": [[2, 3, 2, 2], [1, 5, 3, 4], [4, 2, 3, 1]],
        "i": [[2, 3, -2, 2], [1, -5, 3, 4], [4, 2, 3, -1]],
        "f": [[2.0, -1.5, 0.5, 1.5], [-0.75, 2.0, 1.0, -3.0], [3.0, 0.0, 2.5, -2.0]],
        "c": [[2.0, 1 - 1.5j, 0.5, 1.5], [-0.75j, 2.0, 1.0, 1j], [3.0, 1.0, -1, -2.0]],
    },
}
_SPECIAL = {
    "x": [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0],
    "y": [1.0, np.nan, np.inf, -0.0, 2.0, -np.inf],
}


def _kind(dtype):
    return {"bool": "b", "uint8": "u"}.get(dtype, {"i": "i", "c": "c"}.get(dtype[0], "f"))


def inputs(torch, dtype, other=None, special=False):
    """``x`` and ``y`` in the given dtypes; ``special``: nan, infinities and zeros."""
    values = (
        _SPECIAL
        if special
        else {
            k: v[_kind(d)]
            for (k, v), d in zip(_VALUES.items(), (dtype, other or dtype), strict=True)
        }
    )
    return {
        k: torch.tensor(values[k]).to(getattr(torch, d))
        for k, d in (("x", dtype), ("y", other or dtype))
    }


def flat(found):
    """The tensors and values in a result, in order."""
    return [t for f in found for t in flat(f)] if isinstance(found, (tuple, list)) else [found]


def array(t):
    """The values of a tensor, of either framework, as an array that NumPy can compare."""
    if not hasattr(t, "detach"):
        return np.asarray(t)
    t = t.detach()
    return (t.float() if "bfloat16" in str(t.dtype) else t).numpy(force=True)


def _run(expression, torch, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return flat(
                eval(expression, {"torch": torch, **names})
            )  # expressions of this test suite
        except Exception as error:
            return error


def same(got, want, what, tolerance=None):
    """Assert that two results agree in dtype, shape and values."""
    if not hasattr(want, "dtype"):
        assert got == want, what
        return
    assert (str(got.dtype), tuple(got.shape)) == (str(want.dtype), tuple(want.shape)), what
    limit = tolerance or TOLERANCE.get(str(want.dtype), 1e-12)
    np.testing.assert_allclose(array(got), array(want), rtol=limit, atol=limit / 10, err_msg=what)


def check(expression, *dtypes, special=False, **arrays):
    """Compare ``expression`` over ``inputs`` of the dtypes, or over the arrays given by name.

    Its results must agree, or the type of its error.
    """
    peer = pytest.importorskip("torch")
    want, got = [
        _run(
            expression,
            torch,
            {name: torch.tensor(a) for name, a in arrays.items()}
            or inputs(torch, *dtypes, special=special),
        )
        for torch in (peer, rushlight)
    ]
    if isinstance(want, Exception):
        assert isinstance(got, type(want)), f"{expression}: {want!r}, but got {got!r}"
        return
    if isinstance(got, Exception):
        raise AssertionError(expression) from got
    assert len(got) == len(want), expression
    for g, w in zip(got, want, strict=True):
        same(g, w, expression)


def _gradients(expression, torch, arrays, second):
    given = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outs = [o for o in flat(eval(expression, {"torch": torch, **given})) if o.requires_grad]
    names = [o.grad_fn.name() for o in outs]
    first = torch.autograd.grad(
        outs, [*given.values()], _seeds(torch, outs), create_graph=second, allow_unused=True
    )
    found = list(first)
    firsts = [g for g in first if g is not None and g.requires_grad]
    if second and firsts:
        found += torch.autograd.grad(
            firsts, [*given.values()], _seeds(torch, firsts), allow_unused=True
        )
    return names, [None if g is None else array(g) for g in found]


def _seeds(torch, outs):
    seeds = []
    for k, o in enumerate(outs):
        w = np.random.default_rng(k).uniform(0.5, 1.5, tuple(o.shape))
        if o.dtype.is_complex:
            w = w + 1j * np.random.default_rng(k + 9).uniform(0.5, 1.5, tuple(o.shape))
        seeds.append(torch.tensor(np.asarray(w)).to(o.dtype))
    return seeds


def check_gradients(expression, second=True, **arrays):
    """Compare first- and second-order gradients, and the names of the nodes."""
    torch = pytest.importorskip("torch")
    want_names, want = _gradients(expression, torch, arrays, second)
    names, got = _gradients(expression, rushlight, arrays, second)
    assert names == want_names
    # A gradient that is zero everywhere may be missing.
    for k, w in enumerate(want):
        g = got[k] if k < len(got) else None
        if g is None or w is None:
            assert not np.any(w if g is None and w is not None else g if g is not None else 0), (
                f"{expression}: {k}"
            )
            continue
        np.testing.assert_allclose(
            g, w, rtol=1e-9, atol=1e-9, err_msg=f"{expression}: gradient {k}"
        )
