"""Factorizations on devices: each gives what LAPACK gives, without the host.

The sizes are those at which work-items take one turn, or several, and rounds have an odd row.
"""

import warnings

import pytest

import rushlight as T
from rushlight.device_array import driver_of
from tests.daily import daily
from tests.device.cases import Cases, normal
from tests.device.conftest import ASSEMBLER

CASES = Cases()
case = CASES.add
#: Results may have other strides: LAPACK's least squares leave gaps that a copy has not.
_DENSE = ("singular_matrices", "reflections")
SIZES = (1, 5)


@pytest.fixture(autouse=True)
def alone(request, monkeypatch):
    """No operation may be computed on the host, if the driver compiles what they need."""
    device = request.getfixturevalue("device") if "device" in request.fixturenames else None
    if device is None or driver_of(device).branches:
        monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tensors(found):
    if isinstance(found, T.Tensor):
        return [found]
    return [t for part in found for t in _tensors(part)]


def _check(name, device):
    found = []
    for d in ("cpu", device.type):
        T.manual_seed(0)
        found.append([t.detach().cpu() for t in _tensors(CASES[name](d))])
    for near, far in zip(*found, strict=True):
        assert far.dtype is near.dtype
        assert name in _DENSE or far.stride() == near.stride()
        T.testing.assert_close(far, near, rtol=1e-4, atol=1e-4, equal_nan=True)


def _definite(d, n):
    x = normal(d, 2, n, n)
    return x @ x.mT + T.eye(n, device=d)


@case
def elimination(d):
    found = []
    for n in SIZES:
        x, b = normal(d, 2, n, n), normal(d, n, 3)
        LU, pivots = T.linalg.lu_factor(x)
        found += [LU, pivots, T.linalg.inv_ex(x), T.linalg.solve(x, b), T.linalg.det(x),
                  T.linalg.slogdet(x), T.linalg.lu(x), T.linalg.lu_solve(LU, pivots, b),
                  T.linalg.lu_solve(LU, pivots, b.mT.expand(2, 3, n), left=False, adjoint=True),
                  T.linalg.lu_factor_ex(normal(d, n, 3)), T.linalg.lu_factor_ex(normal(d, 3, n))]  # fmt: skip
    return found


@case
def singular_matrices(d):
    x = T.tensor([[[1.0, 2.0], [2.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]]).to(d)
    return (T.linalg.lu_factor_ex(x), T.linalg.inv_ex(x), T.linalg.solve_ex(x, x),
            T.linalg.cholesky_ex(x)[1], T.linalg.det(x), T.linalg.pinv(x),
            T.linalg.svdvals(x), T.linalg.lstsq(x, x, driver="gelsd"))  # fmt: skip


@case
def triangles(d):
    found = []
    for n in SIZES:
        x, b = _definite(d, n), normal(d, 2, n, 4)
        for upper in (False, True):
            L = T.linalg.cholesky(x, upper=upper)
            found += [L, T.cholesky_solve(b, L, upper), T.cholesky_inverse(L, upper)]
            for unit in (False, True):
                found.append(T.linalg.solve_triangular(L, b, upper=upper, unitriangular=unit))
                found.append(T.linalg.solve_triangular(L, b.mT, upper=upper, left=False))
    return found


@case
def reflections(d):
    found = []
    for m, n in ((4, 3), (3, 3), (1, 1), (3, 5)):
        x = normal(d, 2, m, n)
        a, tau = T.geqrf(x)
        found += [a, tau, T.linalg.qr(x), T.linalg.qr(x, "complete")]
        if m >= n:
            c = normal(d, 2, m, m)
            found += [T.linalg.householder_product(a, tau), T.linalg.lstsq(x, c).solution]
            found += [T.ormqr(a, tau, c, left, turn) for left in (True, False)
                      for turn in (True, False)]  # fmt: skip
    return found


@case
def eigenvalues(d):
    found = []
    for n in SIZES:
        x = _definite(d, n) - 1
        w, V = T.linalg.eigh(x, "U")
        found += [w, V @ T.diag_embed(w) @ V.mT, V.mT @ V, T.linalg.pinv(x, hermitian=True)]
        found += [T.linalg.matrix_exp(x), T.linalg.matrix_exp(x * 9)[0] * 0]
    return found


@case
def singular_values(d):
    found = []
    for m, n in ((1, 1), (5, 2), (3, 4), (4, 4)):
        x = normal(d, 2, m, n)
        x[0, :, 0] = x[0, :, -1].clone()  # a matrix whose last value is 0
        for full in (False, True):
            U, S, Vh = T.linalg.svd(x, full)
            k = min(m, n)
            found += [S, U.mT @ U, Vh @ Vh.mT, U[..., :k] * S.unsqueeze(-2) @ Vh[..., :k, :]]
        found += [T.linalg.pinv(x), T.linalg.matrix_rank(x), T.linalg.cond(x[1])]
    return found


@case
def gradients(d):
    found = []
    for f in (T.linalg.inv, T.linalg.det, T.linalg.cholesky, T.linalg.eigvalsh, T.linalg.svdvals,
              lambda x: T.linalg.matrix_exp(x / 9), T.linalg.pinv, lambda x: T.linalg.qr(x)[1]):  # fmt: skip
        x = _definite(d, 3).detach().requires_grad_()
        f(x).sin().sum().backward()
        found.append(x.grad)
    return found


@pytest.mark.parametrize("name", daily(list(CASES), 2, "matrices on a device"))
def test_matrices(name, device):
    _check(name, device)


@pytest.mark.skipif(not ASSEMBLER, reason="no ptxas")
@pytest.mark.parametrize("capability", daily([((7, 5),), ((8, 0),), ((9, 0),)], 0, "architectures"))
def test_kernels_assemble_without_spills(capability, fresh, assembled):
    driver = fresh(races=False, capability=capability)
    for name in ("elimination", "triangles", "reflections", "eigenvalues", "singular_values"):
        CASES[name]("cuda")
    for text in set(driver.texts):
        assembled(text)


def test_large_matrices_go_to_the_host(device, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    x = T.zeros(300, 300, device=device)
    with pytest.raises(RuntimeError, match="no kernel for a device"):
        T.linalg.lu_factor_ex(x)
    monkeypatch.delenv("RUSHLIGHT_FALLBACK")
    assert T.linalg.lu_factor_ex(x).info.item() == 1


def test_left_vectors_of_tall_matrices_are_orthogonal(device):
    """PoCL's kernel gave vectors that no one had made orthogonal."""
    U, _, _ = T.linalg.svd(normal(device, 5, 3), full_matrices=True)
    T.testing.assert_close((U.mT @ U).cpu(), T.eye(5))


def test_infinite_matrices_have_no_singular_values(device):
    with pytest.raises(T.linalg.LinAlgError, match=r"linalg\.svd: .* non-finite"):
        T.linalg.svd(T.full((2, 2), float("nan"), device=device))


def test_compiled(device):
    def f(x):
        L = T.linalg.cholesky(x @ x.mT + T.eye(4, device=x.device))
        return T.linalg.solve_triangular(L, x, upper=False).mT + 1

    x = normal(device, 4, 4)
    T.testing.assert_close(T.compile(f)(x), f(x))
