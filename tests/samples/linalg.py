"""Samples of linear algebra."""

from tests.samples.sample import floats, sample

# A table: one sample a line.
# fmt: off


def _definite(t, x):
    """A positive-definite matrix made of ``x``."""
    return x @ x.mT + t.eye(x.shape[-1], dtype=x.dtype)


def _symmetric(t, x):
    """A symmetric matrix made of ``x``, its eigenvalues far from each other."""
    return (x + x.mT) / 4 + t.diag(3 * t.arange(x.shape[-1], dtype=x.dtype))


for _shape in [(3, 3), (2, 4, 4), (0, 2, 2), (1, 1)]:
    sample("linalg_cholesky_ex", lambda t, x: t.linalg.cholesky(_definite(t, x)), floats(*_shape), tolerance=2e-5)
    sample("linalg_eigh", lambda t, x: t.linalg.eigvalsh(_symmetric(t, x)), floats(*_shape), tolerance=2e-5)
sample("linalg_cholesky_ex", lambda t, x: t.linalg.cholesky(_definite(t, x), upper=True), floats(3, 3), tolerance=2e-5)
sample("linalg_cholesky_ex", lambda t, x: t.linalg.cholesky_ex(x)[1], floats(2, 3, 3), grad=False)
sample("linalg_eigh", lambda t, x: t.linalg.eigh(_symmetric(t, x), "U")[1] ** 2, floats(3, 3), tolerance=2e-5)
for _left, _upper, _unit in [(True, False, False), (True, True, True), (False, True, False), (False, False, True)]:
    for _a, _b in [((3, 3), (3, 3)), ((2, 5, 5), (5, 5)), ((4, 4), (2, 4, 4)), ((2, 1, 1), (2, 1, 1))]:
        sample("linalg_solve_triangular", lambda t, x, y, u=_upper, a=_left, d=_unit: t.linalg.solve_triangular(
            x + 3 * t.eye(x.shape[-1], dtype=x.dtype), y, upper=u, left=a, unitriangular=d), floats(*_a), floats(*_b, seed=1), tolerance=2e-5)
sample("cholesky_inverse", lambda t, x: t.cholesky_inverse(t.linalg.cholesky(_definite(t, x))), floats(2, 3, 3), tolerance=5e-5)
sample("cholesky_inverse", lambda t, x: t.cholesky_inverse(t.linalg.cholesky(_definite(t, x)).mT, upper=True), floats(3, 3), tolerance=5e-5)
sample("cholesky_solve", lambda t, x, y: t.cholesky_solve(y, t.linalg.cholesky(_definite(t, x))), floats(3, 3), floats(3, 2), tolerance=2e-5)
for _offset, _dims in [(0, (-2, -1)), (1, (0, 2)), (-2, (1, 0))]:
    sample("diag_embed", lambda t, x, o=_offset, d=_dims: t.diag_embed(x, o, *d), floats(2, 3), dtypes=("float64", "float16"))
sample("diag_embed", lambda t, x: t.diag_embed(x), floats(3))
for _a, _b in [((3, 3), (3, 2)), ((3, 3), (3,)), ((2, 3, 3), (3, 2)), ((2, 3, 3), (2, 3)), ((1, 1), (1, 4))]:
    sample("linalg_solve", lambda t, x, y: t.linalg.solve(_definite(t, x), y), floats(*_a), floats(*_b, seed=1), tolerance=5e-5)
sample("linalg_solve", lambda t, x, y: t.linalg.solve(_definite(t, x), y, left=False), floats(3, 3), floats(2, 3), tolerance=5e-5)
sample("linalg_solve", lambda t, x, y: t.linalg.solve_ex(x * 0, y)[1], floats(2, 3, 3), floats(3, 2), grad=False)
for _shape in [(3, 3), (2, 4, 4), (1, 1), (0, 2, 2)]:
    sample("linalg_matrix_exp", lambda t, x: t.linalg.matrix_exp(x), floats(*_shape), tolerance=2e-5)
for _shape in [(4, 3), (3, 4), (3, 3), (2, 4, 2), (1, 1)]:
    sample("linalg_qr", lambda t, x: tuple(t.linalg.qr(x + t.eye(*x.shape[-2:], dtype=x.dtype))), floats(*_shape), tolerance=5e-5)
sample("linalg_qr", lambda t, x: tuple(t.linalg.qr(x, "complete")), floats(4, 3), grad=False)
sample("linalg_qr", lambda t, x: t.linalg.qr(x, "r")[1], floats(4, 3), grad=False)
sample("geqrf", lambda t, x: tuple(t.geqrf(x)), floats(2, 4, 3), grad=False)
for _shape, _k in [((4, 3), 3), ((4, 3), 2), ((3, 3), 3), ((2, 5, 3), 3)]:
    sample("householder_product", lambda t, x, tau: t.linalg.householder_product(x, tau), floats(*_shape), floats(*_shape[:-2], _k, seed=1), tolerance=2e-5)
for _op, _call in [
    ("linalg_solve", lambda t, x, y: t.view_as_real(t.linalg.solve(t.complex(x, y), t.complex(y, x)).contiguous())),
    ("linalg_matrix_exp", lambda t, x, y: t.view_as_real(t.linalg.matrix_exp(t.complex(x, y)))),
    ("linalg_qr", lambda t, x, y: t.linalg.qr(t.complex(x, y))[1].abs()),
    ("householder_product", lambda t, x, y: t.view_as_real(
        t.linalg.householder_product(t.complex(x, y), t.complex(y, x)[0]).contiguous())),
]:
    sample(_op, _call, floats(3, 3), floats(3, 3, seed=1), tolerance=5e-5)
for _shape in [(3, 3), (4, 3), (2, 3, 4), (1, 1), (0, 2, 2)]:
    sample("linalg_svd", lambda t, x: t.linalg.svdvals(x), floats(*_shape), tolerance=2e-5)
    sample("linalg_svd", lambda t, x: tuple(v.abs() for v in t.linalg.svd(x, full_matrices=False)), floats(*_shape), tolerance=2e-4)
for _ord in ["nuc", 2, -2, 1, -float("inf")]:
    sample("linalg_svd", lambda t, x, o=_ord: t.linalg.matrix_norm(x, o), floats(2, 3, 4), dtypes=("float32",), tolerance=2e-5)
sample("linalg_svd", lambda t, x: t.linalg.svd(x)[0].abs(), floats(3, 2), grad=False)
sample("linalg_svd", lambda t, x: t.norm(x, "nuc"), floats(3, 2), tolerance=2e-5)
for _shape in [(3, 3), (2, 4, 4), (1, 1), (0, 2, 2), (0, 0)]:
    sample("linalg_slogdet", lambda t, x: tuple(t.linalg.slogdet(x)), floats(*_shape), tolerance=5e-5)
for _op, _call in [
    ("linalg_slogdet", lambda t, x, y: t.linalg.slogdet(t.complex(x, y))[1]),
    ("linalg_slogdet", lambda t, x, y: t.view_as_real(t.linalg.slogdet(t.complex(x, y))[0].reshape(1))),
    ("linalg_svd", lambda t, x, y: t.linalg.svd(t.complex(x, y), full_matrices=False)[0].abs()),
    ("linalg_svd", lambda t, x, y: t.linalg.svd(t.complex(x, y)[:2], full_matrices=False)[2].abs()),
]:
    sample(_op, _call, floats(3, 3), floats(3, 3, seed=1), tolerance=2e-4)
