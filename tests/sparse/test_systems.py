"""``torch.sparse.spsolve``: against ``linalg.solve``, with gradients, and what it refuses."""

import pytest

import rushlight as torch
from rushlight.sparse.products import product

F8, C16 = torch.float64, torch.complex128


def matrix(dtype=F8, n=5):
    torch.manual_seed(3)
    full = torch.randn(n, n, dtype=dtype) * (torch.rand(n, n) < 0.5) + 3 * torch.eye(n, dtype=dtype)
    return full.to_sparse_csr(), torch.randn(n, dtype=dtype)


@pytest.mark.parametrize("n", [5, 40])  # by a dense matrix, and by SuperLU
@pytest.mark.parametrize("dtype", [torch.float32, F8, torch.complex64, C16])
def test_solutions(dtype, n):
    A, b = matrix(dtype, n)
    found = torch.sparse.spsolve(A, b)
    torch.testing.assert_close(found, torch.linalg.solve(A.to_dense(), b))
    assert found.dtype is dtype


@pytest.mark.parametrize("dtype", [F8, C16])
def test_gradients(dtype):
    A, b = matrix(dtype)
    dense, c = A.to_dense().requires_grad_(), b.clone().requires_grad_()
    A.requires_grad_(), b.requires_grad_()
    weights = torch.arange(5).to(dtype)
    for solve, M, v in ((torch.sparse.spsolve, A, b), (torch.linalg.solve, dense, c)):
        (solve(M, v) * weights).sum().abs().square().backward()
    torch.testing.assert_close(b.grad, c.grad)
    places = A.detach().to_dense() != 0
    torch.testing.assert_close(A.grad.to_dense(), dense.grad * places)
    values, pattern = A.detach().values(), (A.crow_indices(), A.col_indices())
    of_values = lambda x, y: torch.sparse.spsolve(torch.sparse_csr_tensor(*pattern, x, (5, 5)), y)
    given = values.requires_grad_(), b.detach().requires_grad_()
    assert torch.autograd.gradcheck(of_values, given)
    assert torch.autograd.gradgradcheck(of_values, given)


def test_what_it_refuses():
    A, b = matrix()
    for n in (2, 40):
        for singular in (torch.zeros(n, n), torch.ones(n, n)):
            with pytest.raises(torch.linalg.LinAlgError, match="singular"):
                torch.sparse.spsolve(singular.to_sparse_csr(), torch.ones(n))
    for call in (
        lambda: torch.sparse.spsolve(A.to_dense(), b), lambda: torch.sparse.spsolve(A, b[:2]),
        lambda: torch.sparse.spsolve(A, b.float()), lambda: torch.sparse.spsolve(A, b, left=False),
        lambda: torch.sparse.spsolve(A.to_sparse_coo(), b),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="spsolve"):
            call()
    with pytest.raises(TypeError, match="must be Tensor"):
        torch.sparse.spsolve(3, b)


@pytest.mark.parametrize("width", [2, 2000])  # without SciPy, and by SciPy
def test_places_outside_of_the_matrix_raise(width):
    x, y, inside = torch.ones(2), torch.ones(4, width), torch.tensor([0, 2])
    for wrong in (torch.tensor([0, -1]), torch.tensor([4, 0])):
        for rows, columns in ((wrong, inside), (inside, wrong)):
            with pytest.raises(RuntimeError, match="index"):
                product(x, y, rows, columns, size=(4, 4))
