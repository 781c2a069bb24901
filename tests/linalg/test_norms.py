"""Norms of matrices and vectors: what they refuse, and what they accept, as PyTorch does."""

import numpy as np
import pytest

import rushlight as torch


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


ACCEPTED = {
    "all elements": lambda t, x: t.linalg.norm(x),
    "vectors": lambda t, x: t.linalg.norm(x, 1, dim=-1),
    "matrices": lambda t, x: t.linalg.norm(x, 1, dim=(0, 2), keepdim=True),
    "two dims, no ord": lambda t, x: t.linalg.norm(x, dim=(0, 1)),
    "a matrix": lambda t, x: t.linalg.norm(x[0], 2),
    "dims in the other order": lambda t, x: t.linalg.matrix_norm(
        x, "nuc", dim=(2, 0), keepdim=True
    ),
    "another dtype": lambda t, x: t.linalg.matrix_norm(x, 2, dtype=t.float64),
    "nuclear, of dims": lambda t, x: t.norm(x, "nuc", (0, 1)),
    "no elements": lambda t, x: t.linalg.matrix_norm(x[..., :0], 2),
    "out": lambda t, x: t.linalg.matrix_norm(x, 1, out=t.empty(0)),
}
REFUSED = {
    "ord without dim": lambda t, x: t.linalg.norm(x, 2),
    "three dims": lambda t, x: t.linalg.norm(x, dim=(0, 1, 2)),
    "an order": lambda t, x: t.linalg.matrix_norm(x, 3),
    "one dim": lambda t, x: t.linalg.matrix_norm(x, dim=(0,)),
    "the same dim": lambda t, x: t.linalg.matrix_norm(x, dim=(1, 1)),
    "a vector": lambda t, x: t.linalg.matrix_norm(x[0, 0]),
    "integers": lambda t, x: t.linalg.matrix_norm(x.long()),
    "integers as vectors": lambda t, x: t.linalg.vector_norm(x.long()),
    "an integer dtype": lambda t, x: t.linalg.vector_norm(x, dtype=t.int64),
    "a narrower dtype": lambda t, x: t.linalg.vector_norm(x.double(), dtype=t.float32),
    "nuclear, of three dims": lambda t, x: t.norm(x, "nuc"),
    "driver": lambda t, x: t.linalg.svd(x, driver="gesvd"),
}


def _values(t):
    return t.arange(24.0).reshape(2, 3, 4).sin()


@pytest.mark.parity
@pytest.mark.parametrize("name", ACCEPTED)
def test_values_are_those_of_pytorch(name, peer):
    found, expected = (ACCEPTED[name](t, _values(t)) for t in (torch, peer))
    assert found.shape == expected.shape and str(found.dtype) == str(expected.dtype)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_the_operation(name):
    with pytest.raises(RuntimeError, match="linalg"):
        REFUSED[name](torch, _values(torch))


@pytest.mark.parity
@pytest.mark.parametrize("name", REFUSED)
def test_pytorch_refuses_the_same(name, peer):
    with pytest.raises(RuntimeError):
        REFUSED[name](peer, _values(peer))


def test_second_derivatives():
    x = (torch.arange(9.0, dtype=torch.float64).reshape(3, 3).sin() + torch.eye(3)).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: torch.linalg.slogdet(x)[1], x)
    assert torch.autograd.gradgradcheck(lambda x: torch.linalg.svd(x, False)[0].abs(), x)


def test_nuclear_norm():
    x = torch.diag(torch.tensor([3.0, -4.0])).expand(5, 2, 2)
    assert torch.nuclear_norm(x).tolist() == pytest.approx([7] * 5)
    assert torch.nuclear_norm(x, True).shape == (5, 1, 1)
    assert torch.nuclear_norm(x, (0, 2)).shape == (2,)
    assert torch.nuclear_norm(x, out=torch.empty(0)).shape == (5,)
