"""Singular values and principal components by random projections."""

import pytest

import rushlight as torch


@pytest.mark.parametrize("shape", [(9, 5), (5, 9), (2, 6, 6)])
def test_matrices_of_low_rank_are_found_exactly(shape):
    torch.manual_seed(0)
    *lead, m, n = shape
    A = (torch.randn(*lead, m, 2) @ torch.randn(*lead, 2, n)).double()
    U, S, V = torch.svd_lowrank(A, q=3)
    assert torch.allclose((U * S[..., None, :]) @ V.mT, A, atol=1e-6)
    assert torch.allclose(S[..., :2], torch.linalg.svdvals(A)[..., :2])


def test_pca_centers():
    torch.manual_seed(0)
    A = torch.randn(20, 4, dtype=torch.float64) + 10
    S = torch.pca_lowrank(A, q=4, niter=5)[1]
    assert torch.allclose(S, torch.linalg.svdvals(A - A.mean(0)))
    whole = torch.pca_lowrank(A, q=4, center=False, niter=5)[1]
    assert torch.allclose(whole, torch.linalg.svdvals(A))


def test_the_same_random_numbers_as_pytorch():
    peer = pytest.importorskip("torch")
    x = torch.arange(60.0).reshape(10, 6) % 7
    torch.manual_seed(1)
    peer.manual_seed(1)
    mine = torch.svd_lowrank(x, q=2, niter=0)[1]
    theirs = peer.svd_lowrank(peer.from_numpy(x.numpy().copy()), q=2, niter=0)[1]
    assert mine.tolist() == pytest.approx(theirs.tolist(), rel=1e-4)


@pytest.mark.parametrize("q", [-1, 9])
def test_pca_refuses_other_numbers_of_components(q):
    with pytest.raises(ValueError, match="must be non-negative integer"):
        torch.pca_lowrank(torch.ones(3, 3), q=q)


def test_refused():
    for call in (torch.svd_lowrank, torch.pca_lowrank):
        with pytest.raises(ValueError, match="matrices"):
            call(torch.ones(3))
        with pytest.raises(RuntimeError):
            call(torch.ones(3, 3).long())
    with pytest.raises(ValueError, match="niter"):
        torch.pca_lowrank(torch.ones(3, 3), niter=-1)


def _definite(n):
    torch.manual_seed(0)
    A = torch.randn(n, n, dtype=torch.float64)
    return A @ A.T + torch.diag(torch.arange(n, dtype=torch.float64))


def test_lobpcg_finds_eigenvalues_at_both_ends():
    A = _definite(30)
    w = torch.linalg.eigvalsh(A)
    found, X = torch.lobpcg(A, 3, tol=1e-10)
    assert torch.allclose(found, w.flip(0)[:3])
    assert torch.allclose(A @ X, X * found, atol=1e-4)
    assert torch.allclose(torch.lobpcg(A, 2, largest=False, niter=-1)[0], w[:2])
    B = torch.diag(torch.arange(1.0, 31.0, dtype=torch.float64))
    general = torch.linalg.eigvals(torch.linalg.solve(B, A)).real.sort()[0]
    assert torch.allclose(torch.lobpcg(A, 2, B)[0], general.flip(0)[:2])


def test_lobpcg_refused():
    A = _definite(6)
    with pytest.raises(ValueError, match="3 x the number of requested"):
        torch.lobpcg(A, 3)
    with pytest.raises(NotImplementedError):
        torch.lobpcg(A, 1, tracker=print)
    with pytest.raises(RuntimeError):
        torch.lobpcg(A.half(), 1)
    with pytest.raises(RuntimeError, match="square"):
        torch.lobpcg(A[:3], 1)
    w = torch.lobpcg(A.requires_grad_(), 1, torch.eye(6, dtype=torch.float64))[0]
    with pytest.raises(ValueError, match="no gradient with a matrix B"):
        w.sum().backward()
