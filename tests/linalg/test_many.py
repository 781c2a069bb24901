"""Many small matrices at once give what LAPACK gives for each of them, and leave the operands."""

import sys

import numpy as np
import pytest

import rushlight as torch
from rushlight.linalg.many import eliminated, in_front, solved

KINDS = ("float32", "float64", "complex64", "complex128")


def matrices(n, dtype, lead=(40,)):
    draw = np.random.default_rng(n).standard_normal((*lead, n, n))
    if dtype.startswith("complex"):
        draw = draw + 1j * draw.swapaxes(-1, -2)[..., ::-1]
    A = draw.astype(dtype)
    A[0] = 0
    A[1] = np.eye(n)[::-1]  # every step exchanges rows
    return A


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", KINDS)
def test_factors_and_determinants(n, dtype, monkeypatch):
    A = matrices(n, dtype)
    before, found = A.copy(), []
    for many in (True, False):
        for module in ("lu", "determinant"):
            name = f"rushlight.linalg.{module}"
            monkeypatch.setattr(sys.modules[name], "are_many", lambda A, many=many: many)
        monkeypatch.setattr(sys.modules["rushlight.linalg.determinant"], "are_few", lambda A: False)
        t = torch.from_numpy(A)
        found.append([*torch.linalg.lu_factor_ex(t), torch.linalg.det(t)])
    torch.testing.assert_close(*found, rtol=1e-3 if "4" in dtype[-2:] else 1e-4, atol=1e-4)
    assert (before == A).all()
    assert found[0][0].stride() == found[1][0].stride()


@pytest.mark.parametrize("n", [1, 2, 5, 12])
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("lead", [(2, 3), (2,)])
def test_solutions_from_factors(n, dtype, hermitian, lead):
    A = torch.from_numpy(matrices(n, dtype, lead))
    A = A + (A.mH if hermitian else A.mT) + torch.eye(n, dtype=A.dtype)
    B = torch.ones(*lead[1:], n, 2, dtype=A.dtype).cumsum(-1)
    before = B.clone()
    X = torch.linalg.ldl_solve(
        *torch.linalg.ldl_factor(A, hermitian=hermitian), B, hermitian=hermitian
    )
    torch.testing.assert_close(A @ X, B.expand(*lead, n, 2), rtol=1e-2, atol=1e-2)
    assert torch.equal(B, before)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", KINDS)
def test_kernels_give_the_numbers_of_numpy(n, dtype, monkeypatch):
    A = matrices(n, dtype, (600,))
    A[2::3] = A[2::3].round()  # equal pivots, and zeros
    B = np.random.default_rng(0).standard_normal((600, n, 2)).astype(A.dtype)
    found, X = eliminated(A), solved(A, B)
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    for x, y in zip(found, eliminated(A), strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(X, solved(A, B), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3 if "4" in dtype[-2:] or "32" in dtype else 1e-8)


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_many_solutions_from_factors(n, left, adjoint):
    rng = np.random.default_rng(n)
    A = torch.from_numpy(rng.standard_normal((600, n, n)) + 3 * np.eye(n)[::-1])
    B = torch.from_numpy(rng.standard_normal((n, 2) if left else (2, n)))
    X = torch.linalg.lu_solve(*torch.linalg.lu_factor(A), B, left=left, adjoint=adjoint)
    A = A.mH if adjoint else A
    torch.testing.assert_close(A @ X if left else X @ A, B.expand(600, *B.shape))


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_pivots_that_no_factorization_gives(n, left, adjoint):
    """The factors may be anyone's numbers, and a pivot may name an earlier row."""
    rng = np.random.default_rng(n)
    LU, B = [torch.from_numpy(rng.standard_normal((600, n, n))) for _ in range(2)]
    pivots = torch.from_numpy(rng.integers(1, n + 1, (600, n)).astype(np.int32))
    sides = {"left": left, "adjoint": adjoint}
    X = torch.linalg.lu_solve(LU, pivots, B, **sides)
    few = [torch.linalg.lu_solve(*[x[i : i + 100] for x in (LU, pivots, B)], **sides)
           for i in range(0, 600, 100)]  # fmt: skip
    torch.testing.assert_close(X, torch.cat(few))


def test_the_copy_is_one():
    x = np.zeros((1, 1, 1))
    assert not np.shares_memory(in_front(x, 2), x)


LAYOUTS = {
    "by rows": lambda A: A,
    "by columns": lambda A: A.mT.contiguous().mT,
    "with gaps": lambda A: torch.cat([A, A], -1)[..., : A.shape[-1]],
    "expanded": lambda A: A[:1].expand(A.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("upper", [False, True])
def test_triangular_systems_of_any_layout(layout, upper):
    A = LAYOUTS[layout](torch.randn(3, 4, 4, dtype=torch.float64) + 4 * torch.eye(4))
    T = A.triu() if upper else A.tril()
    for left, B in ((True, torch.randn(3, 4, 2).double()), (False, torch.randn(3, 2, 4).double())):
        X = torch.linalg.solve_triangular(A, B, upper=upper, left=left)
        torch.testing.assert_close(T @ X if left else X @ T, B)


def test_pivots_of_any_layout():
    A = torch.tensor([[0.0, 1, 2], [1, 0, 3], [2, 3, 0]])
    LD, pivots = torch.linalg.ldl_factor(A)
    B = torch.ones(4, 3, 1)
    for many in (pivots.expand(4, 3), pivots.expand(4, 3).t().contiguous().t()):
        torch.testing.assert_close(A @ torch.linalg.ldl_solve(LD.expand(4, 3, 3), many, B), B)


def test_no_right_sides():
    A = torch.randn(70, 5, 5)
    assert torch.linalg.solve(A, torch.zeros(0, 70, 5, 2)).shape == (0, 70, 5, 2)
    assert torch.linalg.solve(A, torch.zeros(70, 5, 0)).shape == (70, 5, 0)


def test_the_determinant_is_as_exact_as_the_inverse():
    # Cofactors, as the library kornia computes them, of a matrix that is nearly singular.
    A = torch.tensor(
        [[0.2057, -3.8266, 3.1615], [4.5417, -1.0707, -2.2023], [-1.0975, 1.6386, -0.6590]]
    )
    found = torch.det(A) * torch.linalg.inv(A)
    want = torch.det(A.double()) * torch.linalg.inv(A.double())
    torch.testing.assert_close(found.double(), want, rtol=1e-6, atol=1e-6)
