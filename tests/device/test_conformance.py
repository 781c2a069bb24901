"""Every operation on a device gives what it gives on the CPU: values, gradients, dtypes, layout."""

import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler.calls.compiled import Compiled
from rushlight.errors import TraceError
from tests import conformance as c
from tests.daily import daily
from tests.samples import SAMPLES

_NAMES = daily(list(SAMPLES), 30, "operations on a device")
#: Their results may have other strides: the host's LAPACK leaves gaps that a copy has not.
_DENSE = ("linalg_lstsq",)
#: Their last result is the index of one of several equal elements, whichever.
_AMONG_EQUALS = ("mode",)
#: Bytes may be any in memory that nobody wrote.
_UNWRITTEN = ("empty", "new_empty", "empty_like", "empty_strided", "resize")


def _tensors(result):
    return [t for t in c.flat(result) if isinstance(t, torch.Tensor)]


def _alike(name, got, want):
    assert got.dtype is want.dtype and got.shape == want.shape
    tolerance = 2e-2 if want.dtype.itemsize == 2 else 1e-3
    np.testing.assert_allclose(
        c.array(got.cpu()), c.array(want), rtol=tolerance, atol=tolerance, err_msg=name
    )


def _run(sample, given, grad, call=None):
    torch.manual_seed(0)
    found = _tensors((call or sample.call)(torch, *given))
    if grad:
        outs, seeds = c._seeded(torch, sample, given, call)
        torch.autograd.backward(outs, [s.to(o.device) for s, o in zip(seeds, outs, strict=True)])
    return found


def _check(name, device, grad, call=None):
    sample = SAMPLES[name]
    near = c.tensors(torch, sample, requires_grad=grad)
    try:
        want = _run(sample, near, grad)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        pytest.skip(f"raises on the CPU: {error}")
    far = [
        t.detach().to(device).requires_grad_(t.requires_grad)
        for t in c.tensors(torch, sample, requires_grad=grad)
    ]
    with torch.device(device):
        got = _run(sample, far, grad, call)
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert g.device == device
        chosen = name.split("-")[0] in _AMONG_EQUALS and not w.is_floating_point()
        if not sample.name.startswith(_UNWRITTEN) and not chosen:
            _alike(name, g, w)
        if w.numel() and not sample.name.startswith(_DENSE):
            assert g.stride() == w.stride()
    for x, y in zip(far, near, strict=True):
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            assert x.grad.device == device
            _alike(name, x.grad, y.grad)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", _NAMES)
def test_results(name, device):
    for _ in range(2):  # a call that repeats only starts its kernels
        _check(name, device, grad=False)


@pytest.mark.parametrize("name", _NAMES)
def test_gradients(name, device):
    if not SAMPLES[name].grad:
        pytest.skip("no gradient")
    _check(name, device, grad=True)


@pytest.mark.parametrize("name", _NAMES)
def test_compiled(name, device):
    sample = SAMPLES[name]
    compiled = Compiled(lambda *xs: sample.call(torch, *xs), fullgraph=True)
    try:
        _check(name, device, sample.grad, lambda _, *xs: compiled(*xs))
    except TraceError as error:
        pytest.skip(f"runs eagerly: {error}")
