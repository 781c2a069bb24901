"""Conjugates of tensors that were written since, as operands of all operations."""

import warnings

import numpy as np

import rushlight as torch
from tests.conformance import array, flat
from tests.samples import SAMPLES

COMPLEX = [
    s for s in SAMPLES.values() if any(a.dtype.kind == "c" for a in s.inputs) and not s.draws
]
X = torch.tensor([[1 + 2j, 3], [4j, 5 - 1j], [6, 7j]])


def written(a):
    """A conjugate whose base was written after it was read."""
    base = torch.from_numpy(np.conj(a) * 2)
    found = base.conj()
    assert found.abs().shape == a.shape
    base.mul_(0.5)
    return found


def results(sample, given):
    found = [t for t in flat(sample.call(torch, *given)) if isinstance(t, torch.Tensor)]
    return [array(t.resolve_conj().resolve_neg()) for t in found]


def test_each_operation_reads_the_elements():
    for sample in COMPLEX:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                want = results(sample, [torch.tensor(a) for a in sample.inputs])
            except RuntimeError:
                continue
            given = [written(a) if a.dtype.kind == "c" else torch.tensor(a) for a in sample.inputs]
            try:
                got = results(sample, given)
            except RuntimeError as error:  # of view_as_real
                assert "unresolved conjugated" in str(error)
                continue
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, 1e-4, 1e-4, err_msg=sample.name)


def test_conjugates_of_conjugates_are_views():
    x = X.clone()
    for y in (x.conj().conj(), x.conj().mH.mT, x.mH.mH, x.conj()[0].conj(), x.mT.conj().T.conj()):
        assert not y.is_conj() and y.numpy().base is not None
        assert y.untyped_storage() == x.untyped_storage()


def test_history_is_that_of_the_call():
    x = X.clone()
    before = x.conj()
    x.requires_grad_()
    assert not (before * 2).requires_grad
    after, transposed = x.conj(), x.mH
    assert after.requires_grad and transposed.requires_grad
    with torch.no_grad():
        outside = x.conj()
    assert not (outside * 2).requires_grad


def test_it_follows_the_history_of_writes():
    x, w = X.clone(), torch.ones(3, 2, requires_grad=True)
    late, read = x.mH, x.mH
    assert read.sum() == X.sum().conj()
    x.mul_(w)
    for y in (late, read):
        (slope,) = torch.autograd.grad(y.sum().real, w, retain_graph=True)
        assert torch.equal(slope, X.real)
