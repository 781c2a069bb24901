"""The factorizations of devices, computed by one thread of the host, against LAPACK's."""

import pytest

import rushlight as T
from rushlight.backend.native import llvm_works
from rushlight.linalg import jacobi, on_devices
from rushlight.ops.elementwise.hurwitz import hurwitz

pytestmark = pytest.mark.skipif(not llvm_works(), reason="the loops are machine code")


def _close(got, want, tolerance=1e-10):
    T.testing.assert_close(got, want, rtol=tolerance, atol=tolerance, check_dtype=False)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (7, 3), (3, 7), (20, 20), (2, 3, 6, 5)])
def test_factors(shape):
    A = T.randn(shape, dtype=T.float64)
    for got, want in zip(on_devices.lu(A), T.linalg.lu_factor_ex(A), strict=True):
        _close(got, want)
    for got, want in zip(on_devices.reflections(A), T.geqrf(A), strict=True):
        _close(got, want)
    for full in (False, True):
        U, S, Vh = jacobi.singular(A, full)
        k = min(shape[-2:])
        _close(S, T.linalg.svdvals(A))
        _close(U[..., :k] * S.unsqueeze(-2) @ Vh[..., :k, :], A)
        for Q in (U, Vh.mT):
            _close(Q.mT @ Q, T.eye(Q.shape[-1]).expand(*shape[:-2], -1, -1))


@pytest.mark.parametrize("n", [1, 2, 5, 16, 33])
def test_symmetric_matrices(n):
    A = T.randn(2, n, n, dtype=T.float64)
    for upper in (False, True):
        w, V = jacobi.eigen(A, upper)
        whole = on_devices.symmetric(A, upper)
        _close(w, T.linalg.eigvalsh(A, "U" if upper else "L"))
        _close(V * w.unsqueeze(-2) @ V.mT, whole)
    A = A @ A.mT + T.eye(n)
    _close(on_devices.cholesky(A)[0], T.linalg.cholesky(A))
    _close(on_devices.exponential(A / 9 / n), T.linalg.matrix_exp(A / 9 / n))
    assert on_devices.cholesky(-A)[1].tolist() == [1, 1]


def test_matrices_of_lower_rank():
    A = T.randn(6, 6, dtype=T.float64)
    A[:, 1], A[:, 4] = A[:, 0], 0
    for x in (A, A * 0, A * 1e-200, A * 1e200):
        U, S, Vh = jacobi.singular(x, False)
        size = x.abs().max().clamp(min=1e-300)
        _close(S / size, T.linalg.svdvals(x) / size)
        _close(U.mT @ U, T.eye(6))
        _close(Vh @ Vh.mT, T.eye(6))


def test_zeta():
    s, q = (
        T.tensor([1.5, 2, 3, 7, 1, 0.5, 2, 2.5, 40]).double(),
        T.tensor([0.3, 1, 9, 1e9]).double(),
    )
    q = T.cat([q, -q[:3] - 0.5])
    s, q = s.unsqueeze(1).expand(-1, 7).contiguous(), q.expand(9, -1).contiguous()
    _close(hurwitz(s, q).nan_to_num(-1), T.special.zeta(s, q).nan_to_num(-1))


@pytest.mark.parametrize("s", [2, 3, 8, 21])
def test_zeta_below_zero(s):
    """The difference is measured by the largest term, because odd powers cancel."""
    q = T.cat([-T.rand(40, dtype=T.float64) * 300 - 0.01, T.tensor([-2e5 - 0.5]).double()])
    q = T.where(q == q.floor(), q + 0.5, q)
    largest = T.minimum(q - q.floor(), q.ceil() - q) ** -s
    powers = T.full_like(q, s)
    _close(hurwitz(powers, q) / largest, T.special.zeta(powers, q) / largest)
    far = T.tensor([-10000000.5, -3000000000.75, -1000000000000000.25], dtype=T.float64)
    f, sign = far - far.floor(), -1 if s % 2 else 1
    above, below, beyond = (T.special.zeta(float(s), x) for x in (f, 1 - f, 1 - far))
    want = above + sign * (below - beyond)
    _close(hurwitz(T.full_like(far, s), far), want, 1e-12)
