"""Eigenvalues and singular values of sparse matrices: those of the dense ones."""

import pytest

import rushlight as torch

X = torch.tensor([[3.0, 0, 0, 1], [0, 2, 0, 0], [0, 0, 0, 5], [4, 0, 0, 0], [0, 0, 1, 0]])
D = torch.diag(torch.arange(1.0, 13, dtype=torch.float64))


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize("turned", [False, True])
def test_singular_values(layout, turned):
    dense = X.T if turned else X
    sparse = dense.to_sparse(layout=layout)
    U, S, V = torch.svd_lowrank(sparse, q=4)
    assert torch.allclose(S, torch.linalg.svdvals(X))
    assert torch.allclose(U * S @ V.T, dense, atol=1e-5)
    M = torch.full((1, dense.shape[1]), 0.5)
    S = torch.svd_lowrank(sparse, q=4, M=M)[1]
    assert torch.allclose(S, torch.linalg.svdvals(dense - M), atol=1e-5)


def test_principal_components():
    torch.manual_seed(0)
    expected = torch.pca_lowrank(X, q=2)
    torch.manual_seed(0)
    found = torch.pca_lowrank(X.to_sparse(), q=2)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))
    S = torch.pca_lowrank(X.to_sparse(), q=4, center=False)[1]
    assert torch.allclose(S, torch.linalg.svdvals(X))


def test_eigenvalues():
    for A in (D.to_sparse(), D.to_sparse_csr()):
        w, V = torch.lobpcg(A, k=2)
        assert torch.allclose(w, w.new_tensor([12, 11])) and torch.allclose(D @ V, V * w, atol=1e-5)
        w = torch.lobpcg(A, k=2, B=(D * 0 + torch.eye(12)).to_sparse() * 2, largest=False)[0]
        assert torch.allclose(w, w.new_tensor([0.5, 1]))
    with pytest.raises(ValueError, match="not applicable"):
        torch.lobpcg(D[:2, :2].to_sparse())
    with pytest.raises(RuntimeError, match="no gradient"):
        torch.lobpcg(D.to_sparse().requires_grad_())
