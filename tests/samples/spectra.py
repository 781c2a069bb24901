"""Samples of eigenvalues of general matrices, least squares, LDL factors and low-rank factors."""

from tests.samples.sample import floats, sample

# A table: one sample a line.
# fmt: off


def _apart(t, x):
    """A matrix made of ``x``, its eigenvalues real and far from each other."""
    return x / 4 + t.diag(3 * t.arange(x.shape[-1])).to(x.dtype)


def _in_order(t, eigen):
    """Absolute values of eigenvalues and eigenvectors, by the size of the eigenvalues."""
    size, order = t.sort(eigen[0].abs())
    return size, t.take_along_dim(eigen[1].abs(), order.unsqueeze(-2), -1)


def _indefinite(t, x):
    """A symmetric matrix made of ``x`` with zeros on its diagonal, so that it needs blocks of two rows."""
    return (x + x.mT) * (1 - t.eye(x.shape[-1], dtype=x.dtype))


for _shape in [(3, 3), (2, 4, 4), (1, 1), (0, 2, 2), (0, 0)]:
    sample("linalg_eig", lambda t, x: t.linalg.eigvals(_apart(t, x)).abs().sort()[0], floats(*_shape), tolerance=5e-5)
    sample("linalg_eig", lambda t, x: _in_order(t, t.linalg.eig(_apart(t, x))), floats(*_shape), tolerance=5e-5)
sample("linalg_eig", lambda t, x: (lambda w, V: (V.abs() ** 2 * w.abs()).sum(-1))(*t.linalg.eig(_apart(t, x))), floats(3, 3), tolerance=1e-4)
sample("linalg_eig", lambda t, x, y: _in_order(t, t.linalg.eig(_apart(t, t.complex(x, y)))), floats(3, 3), floats(3, 3, seed=1), tolerance=1e-4)
sample("linalg_eig", lambda t, x: t.linalg.eigvals(x.mT.contiguous().mT).abs().amax(-1), floats(3, 3, t=True), grad=False, tolerance=5e-5)

for _driver in [None, "gels", "gelsy", "gelsd", "gelss"]:
    for _a, _b in [((5, 3), (5, 2)), ((3, 5), (3, 2)), ((2, 4, 3), (2, 4)), ((3, 3), (3,)), ((2, 1, 4, 2), (1, 3, 4, 2))]:
        _fixed = _driver not in ("gelsd", "gelss") or _a[-2] <= _a[-1]
        sample("linalg_lstsq", lambda t, x, y, d=_driver: t.linalg.lstsq(x, y, driver=d)[0], floats(*_a), floats(*_b, seed=1),
               tolerance=2e-4, trace=_fixed)
sample("linalg_lstsq", lambda t, x, y: tuple(t.linalg.lstsq(x, y, driver="gels")[:2]), floats(2, 5, 3), floats(2, 5, 2, seed=1), tolerance=2e-4)
sample("linalg_lstsq", lambda t, x, y: tuple(t.linalg.lstsq(x, y, driver="gelsd")), floats(5, 3), floats(5, 2, seed=1), tolerance=2e-4, trace=False)
sample("linalg_lstsq", lambda t, x, y: t.linalg.lstsq(t.stack([x, x + 0], -1), y, 0.01, driver="gelsd")[0], floats(4), floats(4, 2, seed=1), tolerance=2e-4, grad=False, trace=False)
sample("linalg_lstsq", lambda t, x, y: t.linalg.lstsq(t.complex(x, y), t.complex(y, x)[..., :1])[0][..., 0].abs(), floats(4, 3), floats(4, 3, seed=1), tolerance=5e-4)

for _shape in [(3, 3), (2, 4, 4), (5, 5), (1, 1), (0, 2, 2)]:
    sample("linalg_ldl_factor_ex", lambda t, x: tuple(t.linalg.ldl_factor_ex(x + x.mT)), floats(*_shape), grad=False, tolerance=5e-5)
    sample("linalg_ldl_factor_ex", lambda t, x: tuple(t.linalg.ldl_factor_ex(_indefinite(t, x))), floats(*_shape), grad=False, tolerance=5e-5)
for _hermitian in [False, True]:
    sample("linalg_ldl_factor_ex", lambda t, x, y, h=_hermitian: (lambda z: tuple(t.linalg.ldl_factor(
        z + (z.mH if h else z.mT), hermitian=h)))(t.complex(x, y)), floats(4, 4), floats(4, 4, seed=1), grad=False, tolerance=5e-5)
for _a, _b in [((4, 4), (4, 2)), ((2, 3, 3), (3, 1)), ((3, 3), (2, 3, 2)), ((5, 5), (5, 0)), ((2, 2, 6, 6), (2, 1, 6, 3))]:
    sample("linalg_ldl_solve", lambda t, x, y: t.linalg.ldl_solve(*t.linalg.ldl_factor(_indefinite(t, x) + 0.1 * t.eye(x.shape[-1], dtype=x.dtype)), y),
           floats(*_a), floats(*_b, seed=1), grad=False, tolerance=1e-3)
for _hermitian in [False, True]:
    sample("linalg_ldl_solve", lambda t, x, y, h=_hermitian: (lambda z: t.linalg.ldl_solve(*t.linalg.ldl_factor(
        z + (z.mH if h else z.mT), hermitian=h), z[..., :2], hermitian=h))(t.complex(x, y)), floats(4, 4), floats(4, 4, seed=1), grad=False, tolerance=1e-3)


def _low_rank(t, x, q=2, **options):
    """Factors whose signs do not count, and the product."""
    U, S, V = t.svd_lowrank(x, q, **options)
    return S, U.abs(), V.abs(), (U * S[..., None, :]) @ V.mH


for _shape, _options in [((6, 4), {}), ((4, 6), {"niter": 1}), ((2, 5, 3), {"q": 1}), ((3, 3), {"niter": 0, "q": 9})]:
    sample("svd_lowrank", lambda t, x, o=_options: _low_rank(t, x, **o), floats(*_shape), tolerance=1e-3, draws=True, grad=False)
    sample("pca_lowrank", lambda t, x: tuple(v.abs() for v in t.pca_lowrank(x, 2)), floats(*_shape), tolerance=1e-3, draws=True, grad=False)
sample("svd_lowrank", lambda t, x, m: _low_rank(t, x, M=m), floats(6, 4), floats(1, 4, seed=1), tolerance=1e-3, draws=True, grad=False)
sample("svd_lowrank", lambda t, x: t.svd_lowrank(x, 4)[1], floats(5, 4), tolerance=1e-3, draws=True)
sample("pca_lowrank", lambda t, x: t.pca_lowrank(x, center=False)[1], floats(5, 4), tolerance=1e-3, draws=True)


def _spread(t, x):
    """A positive-definite matrix made of ``x``, its eigenvalues far from each other."""
    x = x / 4
    return x @ x.mT + t.diag(t.arange(1, x.shape[-1] + 1)).to(x.dtype) ** 2


for _shape, _k, _options in [((6, 6), 1, {}), ((7, 7), 2, {"largest": False}), ((2, 6, 6), 2, {"niter": 50}), ((9, 9), 1, {"n": 3, "tol": 1e-7})]:
    # With fewer columns SciPy iterates, and the error that stays is too large for numeric gradients.
    sample("lobpcg", lambda t, x, k=_k, o=_options: (lambda w, V: (w, V.abs()))(*t.lobpcg(_spread(t, x), k, **o)), floats(*_shape), tolerance=5e-4,
           numeric=_shape[-1] <= 5 * _options.get("n", _k), dtypes=())
sample("lobpcg", lambda t, x: t.lobpcg(_spread(t, x), X=x[:, :2], iK=t.eye(7, dtype=x.dtype))[0], floats(7, 7), tolerance=5e-4, dtypes=())
sample("lobpcg", lambda t, x: t.lobpcg(_spread(t, x), 2, t.diag(t.arange(1, 8)).to(x.dtype))[0], floats(7, 7), grad=False, tolerance=5e-4, dtypes=())
sample("lobpcg", lambda t, x: t.lobpcg(_spread(t, x), 2, method="basic", largest=True)[0], floats(12, 12), tolerance=5e-4, numeric=False, dtypes=())
