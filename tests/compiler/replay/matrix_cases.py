"""Linear algebra, Fourier transforms and means of uneven windows, replayed: see ``cases.py``."""

import sys
from contextlib import suppress

import numpy as np
import pytest

import rushlight as torch
from rushlight.linalg import ldl
from rushlight.ops.core import replays
from tests.ops.layouts import LAYOUTS

L, F = torch.linalg, torch.nn.functional
FACTS = replays.facts
REPLAYED = "linalg_", "fft_", "cholesky", "geqrf", "householder", "ormqr", "adaptive", "sgn"


def _positive(x):
    return x @ x.mT.conj() + torch.eye(x.shape[-1], dtype=x.dtype)


#: Functions of square matrices A, and of B with as many rows.
MATRICES = {
    "cholesky": lambda A, B: L.cholesky(_positive(A)),
    "cholesky_ex": lambda A, B: L.cholesky_ex(_positive(A), upper=True),
    "cholesky_inverse": lambda A, B: torch.cholesky_inverse(A),
    "cholesky_solve": lambda A, B: torch.cholesky_solve(B, A, upper=True),
    "eigh": lambda A, B: L.eigh(A),
    "eigh of U": lambda A, B: L.eigh(A, "U"),
    "geqrf": lambda A, B: torch.geqrf(B),
    "householder_product": lambda A, B: L.householder_product(A, A[..., 0]),
    "inv": lambda A, B: L.inv(A),
    "ldl_factor": lambda A, B: L.ldl_factor(A, hermitian=True),
    "lu": lambda A, B: L.lu(B),
    "lu_factor_ex": lambda A, B: L.lu_factor_ex(A),
    "ormqr": lambda A, B: torch.ormqr(*torch.geqrf(A), B),
    "pinv": lambda A, B: L.pinv(B),
    "qr": lambda A, B: L.qr(B),
    "complete qr": lambda A, B: L.qr(B, "complete"),
    "slogdet": lambda A, B: L.slogdet(A),
    "solve": lambda A, B: L.solve(A, B),
    "solve_triangular": lambda A, B: L.solve_triangular(A, B, upper=True),
    "solve_triangular from the right": lambda A, B: L.solve_triangular(
        A, B.mT, upper=False, left=False
    ),
    "cond": lambda A, B: L.cond(A),
    "matrix_norm": lambda A, B: L.matrix_norm(B, "nuc"),
    "matrix_rank": lambda A, B: L.matrix_rank(B),
    "svdvals": lambda A, B: L.svdvals(B),
    "svdvals of ones": lambda A, B: L.svdvals(B * 0 + 1),
    "svd": lambda A, B: L.svd(B, full_matrices=False),
    "full svd": lambda A, B: L.svd(B),
}
TRANSFORMS = {
    "fft": lambda x, **o: torch.fft.fft(x, **o),
    "ifft": lambda x, **o: torch.fft.ifft(x, **o),
    "rfft": lambda x, **o: torch.fft.rfft(x.real, **o),
    "irfft": lambda x, **o: torch.fft.irfft(x, **o),
    "hfft": lambda x, **o: torch.fft.hfft(x, **o),
    "ihfft": lambda x, **o: torch.fft.ihfft(x.real, **o),
    "fft of real numbers": lambda x, **o: torch.fft.fft(x.real, **o),
    "ifft of real numbers": lambda x, **o: torch.fft.ifft(x.real, **o),
}
TRANSFORMS_OF_DIMS = {
    "fftn": lambda x, **o: torch.fft.fftn(x, **o),
    "ifftn": lambda x, **o: torch.fft.ifftn(x, **o),
    "rfftn": lambda x, **o: torch.fft.rfftn(x.real, **o),
    "irfftn": lambda x, **o: torch.fft.irfftn(x, **o),
    "hfftn": lambda x, **o: torch.fft.hfftn(x, **o),
    "ihfftn": lambda x, **o: torch.fft.ihfftn(x.real, **o),
}


@pytest.fixture
def hits(monkeypatch):
    """The names of functions, other than those that only help a test, that were replayed."""
    found = []

    def facts(*given):
        name = sys._getframe(1).f_locals.get("name", "")
        found.extend([name] if name.startswith(REPLAYED) else [])
        return FACTS(*given)

    monkeypatch.setattr(replays, "facts", facts)
    return found


def numbers(rng, shape, kind):
    draw = rng.standard_normal((2, *shape))
    return (draw[0] + 1j * draw[1] if kind[0] == "c" else draw[0]).astype(kind)


def tried(f, *given):
    """Call ``f`` as often as it takes to be replayed; an error is as good as a result."""
    for _ in range(4):
        with suppress(L.LinAlgError):
            f(*given)


def test_ldl_solve_gives_lapack_no_pivots_out_of_range(monkeypatch):
    """A new entry is tried on pivots of all kinds, with which LAPACK would write anywhere."""
    call, seen = ldl.each, []

    def each(name, *given):
        pivots = [a for a in given if type(a) is np.ndarray and a.dtype == np.int32]
        if name == "sytrs" and pivots:
            seen.append(abs(pivots[0][0]))  # a wrong one is noted only: a capture drops errors
            if (seen[-1] < ROWS).any() or (seen[-1] > 4).any():
                return
        call(name, *given)

    monkeypatch.setattr(ldl, "each", each)
    A, B = torch.randn(4, 4), torch.randn(4, 2)
    tried(lambda: L.ldl_solve(*L.ldl_factor(A + A.mT), B))
    assert len(seen) >= 4
    assert all(((own >= ROWS) & (own <= 4)).all() for own in seen)


ROWS = np.arange(1, 5)


def spoiled(rng, a):
    """Numbers like ``a``, at times of other sizes, with zeros, or with equal rows."""
    a = a * 10.0 ** rng.integers(-3, 4)
    way = rng.integers(6)
    if way == 0:
        a[...] = 0
    elif way == 1:
        a[..., -1, :] = a[..., 0, :]
    elif way == 2:
        a[..., :, 0] = 0
    elif way == 3:
        a.reshape(-1)[rng.integers(a.size)] = rng.choice([np.inf, np.nan, -0.0])
    return a


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("kind", ["f4", "f8", "c8"])
def test_linear_algebra(name, kind, hits):
    """``RUSHLIGHT_CHECK=replay`` compares each replay with the function itself."""
    rng = np.random.default_rng(len(name) + ord(kind[0]))
    for lead in ((), (2,), (70,)):
        n, k = int(rng.integers(2, 5)), int(rng.integers(1, 3))
        A, B = numbers(rng, (*lead, n, n), kind), numbers(rng, (*lead, n, k), kind)
        lay = [LAYOUTS[rng.choice(["contiguous", "turned", "sliced", "window"])] for _ in "AB"]
        for trial in range(5):
            given = [a if not trial else spoiled(rng, a.copy()) for a in (A, B)]
            given = [f(a.astype(kind)) for f, a in zip(lay, given, strict=True)]
            tried(MATRICES[name], *map(torch.from_numpy, given))
    assert hits


def test_singular_matrices_raise_after_replays(hits):
    A = torch.tensor([[4.0, 1.0], [1.0, 3.0]])
    for f in (torch.linalg.inv, torch.linalg.cholesky, torch.linalg.lu_factor):
        hits.clear()
        tried(f, A)
        assert hits
        with pytest.raises(RuntimeError):
            f(A * 0)
        assert f(A) is not None


def test_other_memory_is_read_again():
    """A replay reads its operands, and no matrix of the call before."""
    for n in (2, 3, 4):
        for _ in range(6):
            A, B = torch.randn(n, n) + n * torch.eye(n), torch.randn(n, 2)
            torch.testing.assert_close(A @ torch.linalg.solve(A, B), B, rtol=1e-3, atol=1e-4)
            Q, R = torch.linalg.qr(A)
            torch.testing.assert_close(Q @ R, A, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("kind", ["c8", "c16"])
def test_fourier_transforms(name, kind, hits):
    rng = np.random.default_rng(len(name))
    for norm in ("backward", "ortho", "forward"):
        shape = [(int(rng.integers(2, 12)),), (3, 5), (4, 2, 6)][rng.integers(3)]
        options = {"norm": norm, "dim": int(rng.integers(len(shape)))}
        for trial in range(4):
            a = numbers(rng, shape, kind) * trial
            if trial == 3:
                a.reshape(-1)[-1] = rng.choice([np.inf, np.nan])
            for x in (torch.from_numpy(a),) * 3:
                TRANSFORMS[name](x, **options)
    assert hits or (kind == "c16" and "real" in name)  # no loop moves numbers of 16 bytes


@pytest.mark.parametrize("name", TRANSFORMS_OF_DIMS)
@pytest.mark.parametrize("kind", ["c8", "c16"])
def test_fourier_transforms_over_several_dims(name, kind, hits):
    rng = np.random.default_rng(len(name))
    for norm in ("backward", "ortho", "forward"):
        for shape in ((3, 5), (4, 2, 6), (2, 3, 2, 7)):
            dims = rng.permutation(len(shape))[: rng.integers(2, len(shape) + 1)].tolist()
            options = {"norm": norm, "dim": dims}
            if rng.integers(2):
                options["s"] = rng.integers(2, 8, len(dims)).tolist()
            turn = rng.permutation(len(shape)).tolist()
            a = numbers(rng, np.take(shape, turn), kind)
            for trial in range(4):
                given = a * trial
                if trial == 3:
                    given.reshape(-1)[-1] = rng.choice([np.inf, np.nan])
                x = torch.from_numpy(given).permute(*np.argsort(turn).tolist())
                for _ in range(3):
                    TRANSFORMS_OF_DIMS[name](x, **options)
    assert hits


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_means_of_uneven_windows(dims, hits):
    pool = getattr(F, f"adaptive_avg_pool{dims}d")
    for places in (2, 3, 4):
        x = torch.randn(2, 3, *[7, 5, 6][:dims])
        x[0] = -0.0
        for _ in range(4):
            pool(x, places)
    assert hits


def test_sgn_of_complex_numbers(hits):
    x = torch.randn(3, 4, dtype=torch.complex64)
    x[0, 0] = 0
    for _ in range(4):
        x.sgn()
    assert hits


@pytest.mark.parametrize("shape", [(1,), (1, 1), (3,)])
def test_products_of_complex_numbers(shape):
    """NumPy computes one number that lies in a row by other instructions than one without dims."""
    rng = np.random.default_rng(0)
    for s in ((), shape):
        for _ in range(500):
            x, y = torch.from_numpy(numbers(rng, (2, *s), "c16"))
            x * y
