"""Conjugates of tensors that were written since, as operands of all operations."""

import warnings

import numpy as np
import pytest

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


def gradient(run):
    """The gradient that ``run`` gives to a tensor."""
    w = torch.zeros(3, 2, dtype=torch.complex128, requires_grad=True)
    run(w)
    return w.grad


def after_hook(y):
    def run(w):
        z = w * 1
        z.register_hook(lambda g: y)
        z.backward(torch.ones_like(z))

    return gradient(run)


def by_function(y, saves):
    """The gradient of a custom Function that returns ``y``, or that saves it."""

    class Given(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if saves:
                ctx.save_for_backward(y)
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return ctx.saved_tensors[0] * 1 if saves else y

    return gradient(lambda w: Given.apply(w).backward(torch.ones_like(w.detach())))


def as_data(y):
    x = torch.zeros(3, 2, dtype=y.dtype)
    x.data = y
    return x


#: What reads the elements of a tensor, and is no operation.
READERS = {
    "backward": lambda y: gradient(lambda w: (w * 1).backward(y)),
    "backward of a leaf": lambda y: gradient(lambda w: w.backward(y)),
    "grad": lambda y: torch.autograd.grad((w := torch.ones_like(y).requires_grad_()) * 1, w, y)[0],
    "hook": after_hook,
    "Function": lambda y: by_function(y, False),
    "save_for_backward": lambda y: by_function(y, True),
    "data": as_data,
    "Parameter": lambda y: torch.nn.Parameter(y).detach(),
    "tensor": torch.tensor,
    "new_tensor": lambda y: y.new_tensor(y),
}


@pytest.mark.filterwarnings("ignore:To copy construct")
@pytest.mark.parametrize("name", READERS)
def test_all_that_is_no_operation_reads_the_elements(name):
    a = np.arange(6).reshape(3, 2) * (1 + 2j)
    found = READERS[name](written(a))
    np.testing.assert_array_equal(found.resolve_conj().numpy(), a, err_msg=name)
