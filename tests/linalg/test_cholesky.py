"""Cholesky factors, triangular systems and symmetric eigenvalues against live PyTorch."""

import numpy as np
import pytest

import rushlight as torch

pytestmark = pytest.mark.parity


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def matrices(dtype, *batch, n=4):
    """Positive-definite matrices."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(*batch, n, n))
    if dtype.startswith("complex"):
        a = a + 1j * rng.normal(size=a.shape)
    return (a @ a.conj().swapaxes(-1, -2) + n * np.eye(n)).astype(dtype)


def compare(peer, f, *arrays, tolerance=1e-5):
    """``f`` and its gradients, in both frameworks."""
    found = []
    for t in (torch, peer):
        given = [t.from_numpy(a.copy()).requires_grad_() for a in arrays]
        out = f(t, *given)
        weights = np.random.default_rng(1).normal(size=tuple(out.shape))
        total = (out * t.from_numpy(weights.astype(out.detach().numpy().dtype))).abs().sum()
        found.append([out, *t.autograd.grad(total, given)])
    for got, want in zip(*found, strict=True):
        got, want = (x.detach().resolve_conj().numpy() for x in (got, want))
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, tolerance, tolerance)


DTYPES = pytest.mark.parametrize("dtype", ["float64", "complex128"])


@DTYPES
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_factors(dtype, upper, batch, peer):
    compare(peer, lambda t, a: t.linalg.cholesky(a, upper=upper), matrices(dtype, *batch))


@DTYPES
def test_eigenvalues(dtype, peer):
    compare(peer, lambda t, a: t.linalg.eigvalsh(a), matrices(dtype, 2))
    compare(peer, lambda t, a: t.linalg.eigvalsh(a, "U"), matrices(dtype))


@DTYPES
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("shapes", [((4, 4), (4, 4)), ((100, 3, 3), (3, 3)), ((5, 5), (40, 5, 5))])
def test_triangular_systems(dtype, left, upper, unit, shapes, peer):
    rng = np.random.default_rng(0)
    a, b = (
        rng.normal(size=s) + (1j * rng.normal(size=s) if dtype[0] == "c" else 0) for s in shapes
    )
    a = a + 4 * np.eye(a.shape[-1])
    solve = lambda t, a, b: t.linalg.solve_triangular(
        a, b, upper=upper, left=left, unitriangular=unit
    )
    compare(peer, solve, a.astype(dtype), b.astype(dtype), tolerance=1e-6)


@pytest.mark.parametrize(
    "shapes", [((0, 0), (0, 2)), ((3, 3), (3, 0)), ((0, 3, 3), (3, 2)), ((5, 2, 2), (5, 2, 0))]
)
def test_nothing_to_solve(shapes, peer):
    found = [
        t.linalg.solve_triangular(t.ones(shapes[0]), t.ones(shapes[1]), upper=False)
        for t in (torch, peer)
    ]
    assert found[0].shape == found[1].shape


def test_a_zero_on_the_diagonal(peer):
    a = np.array([[0.0, 0.0], [1.0, 1.0]])
    for copies in ((), (9,)):
        found = [
            t.linalg.solve_triangular(
                t.from_numpy(np.broadcast_to(a, (*copies, 2, 2)).copy()), t.ones(2, 1).double(), upper=False
            ).numpy()
            for t in (torch, peer)
        ]  # fmt: skip
        np.testing.assert_array_equal(*found)


def test_solved_with_factors(peer):
    a = matrices("float64", 2)
    b = np.random.default_rng(2).normal(size=(2, 4, 3))
    for upper in (False, True):
        compare(
            peer,
            lambda t, a, b, u=upper: t.cholesky_solve(b, t.linalg.cholesky(a, upper=u), upper=u),
            a, b,
        )  # fmt: skip
        compare(peer, lambda t, a, u=upper: t.cholesky_inverse(t.linalg.cholesky(a, upper=u), u), a)


def test_what_has_no_factor(peer):
    bad = np.stack([np.eye(3), np.diag([1.0, -1.0, 1.0]), np.diag([1.0, 2.0, -1.0])])
    infos = [t.linalg.cholesky_ex(t.from_numpy(bad))[1] for t in (torch, peer)]
    assert infos[0].tolist() == infos[1].tolist() == [0, 2, 3]
    assert str(infos[0].dtype) == str(infos[1].dtype)
    for t in (torch, peer):
        for wrong in (
            lambda t=t: t.linalg.cholesky(t.from_numpy(bad)),
            lambda t=t: t.linalg.cholesky_ex(t.from_numpy(bad), check_errors=True),
        ):
            with pytest.raises(t.linalg.LinAlgError):
                wrong()
    assert issubclass(torch.linalg.LinAlgError, RuntimeError)


REFUSED = {
    "not square": lambda t: t.linalg.cholesky(t.ones(2, 3)),
    "a vector": lambda t: t.linalg.cholesky(t.ones(2)),
    "integers": lambda t: t.linalg.cholesky(t.ones(2, 2, dtype=t.int64)),
    "rows": lambda t: t.linalg.solve_triangular(t.ones(2, 2), t.ones(3, 1), upper=False),
    "columns": lambda t: t.linalg.solve_triangular(t.ones(2, 2), t.ones(2, 1), upper=False, left=False),
    "triangle": lambda t: t.linalg.eigh(t.ones(2, 2), "X"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, peer):
    for t in (torch, peer):
        with pytest.raises(RuntimeError):
            REFUSED[name](t)


def test_results_are_named_and_written(peer):
    a = matrices("float64")
    shown = []
    for t in (torch, peer):
        found = t.linalg.cholesky_ex(t.from_numpy(a))
        shown.append(type(found).__name__)
        assert found.L.shape == (4, 4) and found.info.item() == 0
        values = t.linalg.eigh(t.from_numpy(a)).eigenvalues
        out = t.empty(4, 4).double()
        assert t.linalg.cholesky(t.from_numpy(a), out=out) is out
        assert t.allclose(out @ out.T, t.from_numpy(a)) and values.shape == (4,)
    assert shown[0] == shown[1]


def test_a_factor_that_fails_in_a_program():
    f = torch.compile(lambda a: torch.linalg.cholesky(a) * 2, fullgraph=True)
    assert torch.equal(f(torch.eye(2) * 4), torch.eye(2) * 4)
    with pytest.raises(torch.linalg.LinAlgError, match="order 1"):
        f(-torch.eye(2))
    assert torch.equal(f(torch.eye(2) * 9), torch.eye(2) * 6)
