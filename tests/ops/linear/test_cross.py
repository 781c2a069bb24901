"""The cross product and the reflected difference."""

import numpy as np
import pytest

import rushlight as torch

A = torch.arange(12.0).reshape(4, 3)
B = A.flip(0) * 2


@pytest.mark.parametrize("x, y, dim", [(A, B, 1), (A, B, -1), (A.t(), B.t(), 0), (A, B[:1], 1)])
def test_cross_is_numpy_s(x, y, dim):
    expected = np.cross(*np.broadcast_arrays(x.numpy(), y.numpy()), axis=dim)
    assert np.array_equal(torch.cross(x, y, dim=dim).numpy(), expected)
    assert np.array_equal(x.cross(y, dim).numpy(), expected)


def test_cross_without_dim_takes_the_first_of_three():
    with pytest.warns(UserWarning, match="dim"):
        assert torch.equal(torch.cross(A.t(), B.t()), torch.cross(A.t(), B.t(), dim=0))


@pytest.mark.parametrize(
    "y, dim, message", [(B[0], 1, "same number of dimensions"), (B, 0, "must have length 3")]
)
def test_cross_refuses(y, dim, message):
    with pytest.raises(RuntimeError, match=message):
        torch.cross(A, y, dim=dim)


def test_cross_refuses_two_dtypes():
    with pytest.raises(RuntimeError, match="same dtype"):
        torch.cross(A, B.double(), dim=1)


def test_cross_has_a_gradient():
    x, y = (t[:2].double().requires_grad_() for t in (A, B))
    assert torch.autograd.gradcheck(lambda x, y: torch.cross(x, y, dim=1), (x, y))


@pytest.mark.parametrize("other, alpha", [(2, 1), (2, 3), (B, 1), (B, 0.5)])
def test_rsub(other, alpha):
    assert torch.equal(torch.rsub(A, other, alpha=alpha), other - alpha * A)
