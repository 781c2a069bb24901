"""LAPACK gives the same for each matrix of a batch, whichever loop makes the calls."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import native
from rushlight.linalg.lapack import Room, columns, each, matrices

KINDS = ("f4", "f8", "c8", "c16")


def batch(count, kind, rows=3, width=3):
    draw = np.random.default_rng(count).standard_normal((count, rows, width, 2))
    return (draw[..., 0] + 1j * draw[..., 1] if kind[0] == "c" else draw[..., 0]).astype(kind)


def factors(A):
    """LU, pivots and info of each matrix."""
    LU, pivots, info = columns(A), np.empty(A.shape[:2], np.int32), np.empty(len(A), np.int32)
    each("getrf", A.shape[-1], A.shape[-1], LU, A.shape[-1], pivots, info)
    return matrices(LU, A.shape[:1]), pivots, info


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compiles", [True, False])
def test_one_matrix_and_many(kind, compiles, monkeypatch):
    monkeypatch.setattr(native, "compiles", lambda: compiles)
    A = batch(70, kind)
    found = factors(A)
    for i in (0, 1, 69):
        for whole, one in zip(found, factors(A[i : i + 1]), strict=True):
            assert np.array_equal(whole[i], one[0])


def test_memory_of_one_part_serves_all_calls():
    A = columns(batch(70, "f8"))
    tau = np.empty((70, 3))
    each("geqrf", 3, 3, A, 3, tau, Room(192, "f8"), 192, Room(1, np.int32))
    assert np.allclose(tau[-1], np.linalg.qr(batch(70, "f8")[-1], "raw")[1])


def test_a_wrong_number_of_arguments_is_refused():
    with pytest.raises(AssertionError, match="getrf"):
        each("getrf", 3, columns(batch(1, "f8")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lead", [(), (3,), (70,)])
def test_products_of_reflections(kind, lead):
    A = torch.from_numpy(batch(70, kind, 4, 3)[0 if not lead else slice(lead[0])])
    C = torch.from_numpy(batch(70, kind, 4, 4)[0 if not lead else slice(lead[0])])
    a, tau = torch.geqrf(A)
    Q, R = torch.linalg.qr(A, "complete")
    close = lambda x, y: torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)
    close(Q @ R, A)
    close(torch.orgqr(a, tau), Q[..., :3])
    close(torch.ormqr(a, tau, C), Q @ C)
    close(torch.ormqr(a, tau, C, left=False, transpose=True), C @ Q.mH)


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
@pytest.mark.parametrize("kind", ["f8", "c16"])
def test_gradients_of_lu_solve(left, adjoint, kind):
    A, B = (torch.from_numpy(batch(2, kind)).requires_grad_() for _ in range(2))
    shift = 3 * torch.eye(3, dtype=A.dtype).flip(0)

    def solve(A, B):
        LU, pivots = torch.linalg.lu_factor(A + shift)
        return torch.linalg.lu_solve(LU, pivots, B, left=left, adjoint=adjoint)

    assert torch.autograd.gradcheck(solve, (A, B))


def test_a_negative_pivot_without_a_partner_is_refused():
    for pivots in ([1, 2, -3], [-2, 2, 3], [-3, -3, -3]):
        with pytest.raises(RuntimeError, match="one of them is alone"):
            torch.linalg.ldl_solve(torch.eye(3), torch.tensor(pivots), torch.ones(3, 1))


def test_singular_matrices_among_many():
    A = torch.from_numpy(batch(600, "f8"))
    A[5] = 0
    X, info = torch.linalg.inv_ex(A)
    assert X[5].isnan().all()
    assert info.nonzero().tolist() == [[5]]
    others = torch.arange(600) != 5
    torch.testing.assert_close(A[others] @ X[others], torch.eye(3).double().expand(599, 3, 3))
    assert torch.linalg.inv(torch.ones(600, 0, 0)).shape == (600, 0, 0)
