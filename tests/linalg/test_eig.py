"""Eigenvalues of general matrices, least squares and LDL factors: what they give and refuse."""

import numpy as np
import pytest

import rushlight as torch
from tests.daily import daily


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


REFUSED = {
    "eig of integers": lambda t: t.linalg.eig(t.ones(2, 2).long()),
    "eig of other shapes": lambda t: t.linalg.eig(t.ones(2, 3)),
    "eig of a vector": lambda t: t.linalg.eigvals(t.ones(2)),
    "eig of a list": lambda t: t.linalg.eig([[1.0]]),
    "eig of nan": lambda t: t.linalg.eig(t.full((2, 2), float("nan"))),
    "a real out": lambda t: t.linalg.eigvals(t.eye(2), out=t.empty(0)),
    "a driver": lambda t: t.linalg.lstsq(t.eye(2), t.ones(2, 1), driver="other"),
    "integers": lambda t: t.linalg.lstsq(t.eye(2).long(), t.ones(2, 1).long()),
    "half": lambda t: t.linalg.lstsq(t.eye(2).half(), t.ones(2, 1).half()),
    "two dtypes": lambda t: t.linalg.lstsq(t.eye(2), t.ones(2, 1).double()),
    "other rows": lambda t: t.linalg.lstsq(t.eye(2), t.ones(3, 1)),
    "a vector": lambda t: t.linalg.lstsq(t.ones(2), t.ones(2)),
    "a number": lambda t: t.linalg.lstsq(t.eye(2), t.tensor(1.0)),
    "more dims": lambda t: t.linalg.lstsq(t.eye(2), t.ones(3, 2, 1)),
    "driver by position": lambda t: t.linalg.lstsq(t.eye(2), t.ones(2, 1), 0.1, "gels"),
    "ldl of integers": lambda t: t.linalg.ldl_factor(t.eye(2).long()),
    "ldl of other shapes": lambda t: t.linalg.ldl_factor(t.ones(2, 3)),
    "ldl of zeros": lambda t: t.linalg.ldl_factor(t.zeros(2, 2)),
    "hermitian by position": lambda t: t.linalg.ldl_factor(t.eye(2), True),
    "float pivots": lambda t: t.linalg.ldl_solve(t.eye(2), t.tensor([1.0, 2.0]), t.ones(2, 1)),
    "fewer pivots": lambda t: t.linalg.ldl_solve(t.eye(2), t.tensor([1]), t.ones(2, 1)),
    "a dtype": lambda t: t.linalg.ldl_solve(
        t.eye(2), t.tensor([1, 2]), t.ones(2, 1, dtype=t.float64)
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, peer):
    with pytest.raises(Exception) as theirs:
        REFUSED[case](peer)
    kind = RuntimeError if issubclass(theirs.type, RuntimeError) else theirs.type
    with pytest.raises(kind):
        REFUSED[case](torch)


def test_results_have_names():
    assert torch.linalg.eig(torch.eye(2)).eigenvectors.dtype is torch.complex64
    A, B = torch.randn(5, 2), torch.randn(5, 3)
    found = torch.linalg.lstsq(A, B, driver="gelsd")
    assert found.solution.shape == (2, 3)
    assert found.residuals.shape == (3,)
    assert found.rank.item() == 2
    assert found.singular_values.shape == (2,)
    assert torch.linalg.ldl_factor_ex(torch.eye(2)).info.item() == 0
    assert torch.linalg.ldl_factor(torch.eye(2)).pivots.tolist() == [1, 2]


def test_a_loss_must_not_depend_on_the_factor_of_an_eigenvector():
    A = torch.tensor([[0.0, -1.0], [2.0, 0.0]], requires_grad=True)
    with pytest.raises(RuntimeError, match="factor"):
        torch.linalg.eig(A)[1].imag.sum().backward()


def test_eigenvalues_of_symmetric_matrices():
    A = torch.randn(4, 4, dtype=torch.float64)
    A = A + A.T
    found = torch.linalg.eigvals(A)
    assert found.imag.abs().max() == 0
    assert torch.allclose(found.real.sort()[0], torch.linalg.eigvalsh(A))


def test_eig_writes_into_wider_tensors():
    out = torch.empty(0, dtype=torch.complex128), torch.empty(0, dtype=torch.complex128)
    assert torch.linalg.eig(torch.eye(2), out=out).eigenvalues is out[0]
    assert out[0].tolist() == [1, 1]


@pytest.mark.parametrize(("shape", "place"), [((3, 2), ""), ((4, 3, 2), r"\(Batch element 0\)")])
def test_gels_refuses_matrices_without_full_rank(shape, place):
    matrices = torch.ones(shape)
    matrices[..., 1] = (
        0  # LAPACK looks for an exact 0, which equal columns leave on some processors only
    )
    with pytest.raises(torch.linalg.LinAlgError, match=f"lstsq: {place}.*full rank"):
        torch.linalg.lstsq(matrices, matrices[..., :1], driver="gels")


SINGULAR = {
    "cholesky": lambda t, x: t.linalg.cholesky(x),
    "cholesky_ex": lambda t, x: t.linalg.cholesky_ex(x, check_errors=True),
    "inv": lambda t, x: t.linalg.inv(x),
    "inv_ex": lambda t, x: t.linalg.inv_ex(x, check_errors=True),
    "solve": lambda t, x: t.linalg.solve(x, t.ones(2)),
    "lu_factor": lambda t, x: t.linalg.lu_factor(x),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", SINGULAR)
def test_messages_for_singular_matrices(name):
    peer, messages = pytest.importorskip("torch"), []
    for t in (peer, torch):
        for x in (t.zeros(2, 2), t.stack([t.eye(2), t.zeros(2, 2)])):
            if name == "solve" and x.ndim > 2:
                continue
            with pytest.raises(RuntimeError) as raised:
                SINGULAR[name](t, x)
            messages.append(str(raised.value))
    half = len(messages) // 2
    assert messages[half:] == messages[:half]


@pytest.mark.parametrize("driver", ["gelsy", "gelsd", "gelss"])
def test_the_smallest_solution_of_several(driver):
    A = torch.ones(4, 2, dtype=torch.float64)
    found = torch.linalg.lstsq(A, torch.ones(4, 1, dtype=torch.float64), driver=driver)
    assert torch.allclose(found.solution, torch.full((2, 1), 0.5, dtype=torch.float64))
    assert found.rank.item() == 1
    assert found.residuals.numel() == 0


def test_rcond_decides_what_counts_as_zero():
    A = torch.diag(torch.tensor([1.0, 0.01, 0.001]))
    found = torch.linalg.lstsq(A, torch.ones(3, 1), rcond=0.005, driver="gelsd")
    assert found.rank.item() == 2
    assert torch.allclose(found.solution.ravel(), torch.tensor([1.0, 100.0, 0.0]), rtol=1e-4)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 2)])
def test_nothing_to_solve(shape):
    found = torch.linalg.lstsq(torch.ones(shape), torch.ones(*shape[:-1], 2))
    assert found.solution.shape == (*shape[:-2], shape[-1], 2)
    assert not found.solution.any()


def test_lstsq_with_a_rank_of_its_own_is_not_compiled():
    A, B = torch.randn(5, 2), torch.randn(5, 1)
    fixed = torch.compile(lambda A, B: torch.linalg.lstsq(A, B)[0], fullgraph=True)
    assert torch.allclose(fixed(A, B), torch.linalg.lstsq(A, B)[0], atol=1e-5)
    varies = torch.compile(lambda A, B: torch.linalg.lstsq(A, B, driver="gelsd")[0], fullgraph=True)
    with pytest.raises(RuntimeError):
        varies(A, B)


@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("n", [1, 2, *daily([5, 8], 0, "ldl")])
def test_ldl_solutions_and_their_gradient(n, hermitian):
    rng = np.random.default_rng(n)
    A = rng.normal(size=(2, n, n)) + 1j * rng.normal(size=(2, n, n))
    A = A + (A.conj() if hermitian else A).swapaxes(-1, -2)
    A[..., range(n), range(n)] *= 0.1  # so that some blocks have two rows
    B = torch.from_numpy(rng.normal(size=(n, 2)) + 0j).requires_grad_()
    LD, pivots = torch.linalg.ldl_factor(torch.from_numpy(A), hermitian=hermitian)
    call = lambda B: torch.linalg.ldl_solve(LD, pivots, B, hermitian=hermitian)
    assert np.allclose(A @ call(B).detach().numpy(), B.detach().numpy())
    # Element by element where that is quick, else along one direction.
    assert torch.autograd.gradcheck(call, [B], atol=1e-4, fast_mode=n > 5)
    assert torch.autograd.gradgradcheck(call, [B], atol=1e-4, fast_mode=n > 2)


def test_ldl_factors_have_no_gradient():
    A = torch.eye(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="not implemented"):
        torch.linalg.ldl_factor(A).LD.sum().backward()
