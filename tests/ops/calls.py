"""Calls of nn.functional, as text, under PyTorch and under rushlight: the same values and gradients.

A call sees ``torch``, ``F`` (nn.functional) and its arrays as tensors, each by its name.
"""

import warnings

import numpy as np
import pytest

import rushlight

__all__ = ["same_gradients", "same_values"]

TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 4e-6, "complex64": 4e-6}


def _flat(found):
    return [t for f in found for t in _flat(f)] if isinstance(found, (tuple, list)) else [found]


def _array(t):
    if not hasattr(t, "detach"):
        return np.asarray(t)
    t = t.detach()
    return (t.float() if "bfloat16" in str(t.dtype) else t).numpy(force=True)


def _tensors(torch, arrays, dtype=None, requires_grad=False):
    """Tensors of the arrays; those of floats in ``dtype``."""
    out = {}
    for name, a in arrays.items():
        t = torch.tensor(a)
        if dtype is not None and a.dtype.kind in "fc":
            t = t.to(getattr(torch, dtype))
        if requires_grad and a.dtype.kind in "fc":
            t.requires_grad_()
        out[name] = t
    return out


def _run(torch, call, tensors):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _flat(eval(call, {"torch": torch, "F": torch.nn.functional, **tensors}))


def _close(got, want, call, tolerance):
    assert (got is None) == (want is None), call
    if want is None:
        return
    if hasattr(want, "dtype"):
        assert str(got.dtype) == str(want.dtype), call
    got, want = _array(got), _array(want)
    assert got.shape == want.shape, call
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=call)


def same_values(call, dtype="float64", tolerance=None, **arrays):
    """The call's results agree; its arrays of floats come in ``dtype``."""
    torch = pytest.importorskip("torch")
    got, want = (_run(t, call, _tensors(t, arrays, dtype)) for t in (rushlight, torch))
    assert len(got) == len(want), call
    for g, w in zip(got, want, strict=True):
        _close(g, w, call, tolerance or TOLERANCE.get(dtype, 1e-11))


def _seeds(torch, outs):
    rng = np.random.default_rng(1)
    seeds = []
    for o in outs:
        w = rng.uniform(0.5, 1.5, (2, *o.shape))
        seeds.append(torch.tensor(w[0] + 1j * w[1] if o.dtype.is_complex else w[0]).to(o.dtype))
    return [s.requires_grad_() for s in seeds]


def _gradients(torch, call, arrays, second):
    """(names of the nodes, first gradients, second gradients), also by way of the first without a graph."""
    given = _tensors(torch, arrays, requires_grad=True)
    outs = _run(torch, call, given)
    names = [o.grad_fn.name() for o in outs]
    seeds = _seeds(torch, outs)
    inputs = [t for t in given.values() if t.requires_grad]
    grad = lambda of, by, **kw: torch.autograd.grad(of, inputs, by, allow_unused=True, **kw)
    plain = grad(outs, seeds, retain_graph=True)
    if not second:
        return names, plain, []
    first = grad(outs, seeds, create_graph=True)
    for a, b in zip(plain, first, strict=True):
        _close(a, b, call, 1e-10)
    again = [g for g in first if g is not None and g.requires_grad]
    inputs = [*inputs, *seeds]
    return names, first, grad(again, _seeds(torch, again)) if again else []


def same_gradients(call, second=True, names=True, tolerance=1e-8, **arrays):
    """The call's gradients agree, of first and of ``second`` order, and the names of its nodes."""
    torch = pytest.importorskip("torch")
    got = _gradients(rushlight, call, arrays, second)
    want = _gradients(torch, call, arrays, second)
    if names:
        assert got[0] == want[0], call
    for order in (1, 2):
        for k, w in enumerate(want[order]):
            g = got[order][k] if k < len(got[order]) else None
            if g is None or w is None:  # a gradient of zeros may be missing
                assert not np.any(_array(w if g is None else g)) or g is w, f"{call}: {order}, {k}"
            else:
                _close(g, w, f"{call}: gradient {k} of order {order}", tolerance)
