"""Products of matrices in groups."""

import pytest

import rushlight as torch
from rushlight.nn import functional as F


def int32(*values):
    return torch.tensor(values, dtype=torch.int32)


def test_groups_of_rows_and_their_gradients():
    torch.manual_seed(0)
    a, b = torch.randn(5, 4, requires_grad=True), torch.randn(3, 4, 4, requires_grad=True)
    out = F.grouped_mm(a, b, offs=int32(2, 2, 4))
    assert torch.equal(out[:2], a[:2] @ b[0]) and torch.equal(out[2:4], a[2:4] @ b[2])
    assert not out[4].any()
    out.sum().backward()
    assert torch.allclose(b.grad[2], a[2:4].sum(0)[:, None].expand(4, 4))
    assert not b.grad[1].any() and not a.grad[4].any()


def test_groups_of_the_other_dims():
    torch.manual_seed(0)
    a, b, c = torch.randn(2, 4), torch.randn(4, 6), torch.randn(2, 3, 4)
    inner = F.grouped_mm(a, b, offs=int32(1, 4))
    assert torch.equal(inner[0], a[:, :1] @ b[:1]) and torch.equal(inner[1], a[:, 1:] @ b[1:])
    columns = F.grouped_mm(c, b, offs=int32(2, 6))
    assert torch.allclose(columns, torch.cat([c[0] @ b[:, :2], c[1] @ b[:, 2:]], 1))
    assert torch.equal(F.grouped_mm(c, c.mT), c @ c.mT)
    assert torch._grouped_mm(c, c.mT).shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: F.grouped_mm(a, b), "Have to provide offsets"),
        (lambda a, b: F.grouped_mm(a, b, offs=torch.tensor([1, 2])), "int32"),
        (lambda a, b: F.grouped_mm(a, b, offs=int32(1)), "batch sizes"),
        (lambda a, b: F.grouped_mm(a, b.mT[:, :3], offs=int32(1, 2)), "contraction"),
        (lambda a, b: F.grouped_mm(a.double(), b.double(), offs=int32(1, 2)), "Float32"),
        (lambda a, b: F.grouped_mm(a, b, offs=int32(1, 2), bias=b), "Bias"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(RuntimeError, match=words):
        call(torch.ones(2, 4), torch.ones(2, 4, 4))
