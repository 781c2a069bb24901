"""Samples of inverses, determinants, LU factors, pseudoinverses and products of matrices."""

import warnings

import numpy as np

from tests.samples.sample import bools, floats, ints, sample


def _deprecated(name, call, *inputs, **options):
    """Add a sample of a function that warns of its deprecation; warnings fail tests, and programs."""

    def quiet(t, *xs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(t, *xs)

    sample(name, quiet, *inputs, trace=False, **options)


def _definite(t, x):
    """A positive-definite matrix made of ``x``."""
    return x @ x.mT + t.eye(x.shape[-1], dtype=x.dtype)


def _regular(t, x):
    """A matrix made of ``x`` that is far from singular, and whose pivots are not on its diagonal."""
    return x + 4 * t.eye(*x.shape[-2:], dtype=x.dtype).flip(-1)


def _complex(call):
    """A call on one complex matrix, made of two real ones; its results are given as real numbers."""

    def real(t, x, y):
        found = call(t, t.complex(x, y))
        found = found if isinstance(found, tuple) else (found,)
        return [t.view_as_real(f.contiguous()) if f.is_complex() else f for f in found]

    return real


def _pair(*shape):
    return floats(*shape), floats(*shape, seed=1)


def _packed(t, x):
    """LU factors in one matrix, made of ``x``, and their pivots."""
    pivots = t.arange(x.shape[-2]).flip(0).clamp(min=t.arange(x.shape[-2])) + 1
    return x + 3 * t.eye(x.shape[-1], dtype=x.dtype), pivots.int().expand(x.shape[:-1]).contiguous()


# A table: one sample a line.
# fmt: off
for _shape in [(3, 3), (2, 4, 4), (1, 1), (0, 2, 2), (0, 0)]:
    sample("linalg_inv_ex", lambda t, x: t.linalg.inv(_regular(t, x)), floats(*_shape), tolerance=2e-5)
    sample("linalg_det", lambda t, x: t.linalg.det(x), floats(*_shape), tolerance=5e-5)
    sample("logdet", lambda t, x: t.logdet(_definite(t, x)), floats(*_shape), tolerance=5e-5)
sample("linalg_inv_ex", lambda t, x: t.inverse(_regular(t, x)), floats(3, 3, t=True), tolerance=2e-5)
sample("linalg_inv_ex", lambda t, x: t.linalg.inv_ex(x)[1], floats(2, 3, 3) * 0, grad=False)
sample("linalg_inv_ex", _complex(lambda t, x: t.linalg.inv(_regular(t, x))), *_pair(3, 3), tolerance=5e-5)
sample("linalg_det", _complex(lambda t, x: t.linalg.det(x)), *_pair(3, 3), tolerance=5e-5)
sample("linalg_det", lambda t, x: x.det(), floats(3, 3, t=True), tolerance=5e-5)
sample("linalg_cofactor", _complex(lambda t, x: t.det(x)), *_pair(2, 2, 2), tolerance=5e-5)
for _n in (1, 2, 4):
    sample("linalg_cofactor", lambda t, x: t.det(x), floats(3, _n, _n), tolerance=2e-4)
sample("linalg_cofactor", lambda t, x: t.det(x), floats(0, 3, 3))
sample("logdet", _complex(lambda t, x: t.logdet(_regular(t, x))), *_pair(3, 3), tolerance=5e-5)
sample("slogdet", lambda t, x: x.slogdet()[1], floats(2, 3, 3), tolerance=5e-5)
for _shape in [(2, 3, 6), (3, 1, 3), (1, 1, 1), (2, 1, 2)]:
    sample("tensorinv", lambda t, x: t.linalg.tensorinv(_regular(t, x.reshape(x.shape[-1], -1)).reshape(x.shape)), floats(*_shape), tolerance=2e-5)
sample("tensorinv", lambda t, x: t.linalg.tensorinv(_regular(t, x.reshape(6, 6)).reshape(6, 2, 3), ind=1), floats(6, 6), tolerance=2e-5)
for _shape, _b, _dims in [((2, 3, 6), (2, 3), None), ((2, 3, 6), (3, 2), None), ((4, 2, 2), (4,), None), ((1,), (), None), ((2, 6, 3), (2, 3), (1,))]:
    sample("tensorsolve", lambda t, x, y, d=_dims: t.linalg.tensorsolve(_regular(t, x.reshape(y.numel(), -1)).reshape(x.shape) if d is None else (
        _regular(t, x.movedim(1, -1).reshape(6, 6)).reshape(2, 3, 6).movedim(-1, 1)), y, d), floats(*_shape), floats(*_b, seed=1), tolerance=2e-5)

# LU
for _shape in [(3, 3), (2, 4, 3), (3, 5), (1, 1), (0, 2, 2), (2, 0, 3)]:
    sample("linalg_lu_factor_ex", lambda t, x: tuple(t.linalg.lu_factor_ex(_regular(t, x))), floats(*_shape), tolerance=5e-5)
    sample("lu_row_order", lambda t, x: tuple(t.linalg.lu(_regular(t, x))), floats(*_shape), tolerance=5e-5)
sample("linalg_lu_factor_ex", lambda t, x: tuple(t.linalg.lu_factor(_regular(t, x))), floats(3, 3, t=True), tolerance=5e-5)
sample("linalg_lu_factor_ex", _complex(lambda t, x: tuple(t.linalg.lu_factor(_regular(t, x)))), *_pair(4, 3), tolerance=5e-5)
_deprecated("lu", lambda t, x: t.lu(_regular(t, x), get_infos=True), floats(2, 3, 3), tolerance=5e-5)
_deprecated("lu", lambda t, x: _regular(t, x).lu(), floats(3, 2), tolerance=5e-5)
for _data, _pivots in [(True, True), (True, False), (False, True)]:
    sample("lu_unpack", lambda t, x, d=_data, p=_pivots: tuple(t.lu_unpack(*_packed(t, x), unpack_data=d, unpack_pivots=p)), floats(2, 3, 3), grad=_data)
sample("lu_unpack", lambda t, x: tuple(t.lu_unpack(*_packed(t, x))), floats(0, 0))
sample("lu_unpack", lambda t, x: tuple(t.lu_unpack(*_packed(t, x))), floats(1, 1))
for _left in (True, False):
    for _adjoint in (True, False):
        for _a, _b in [((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (4, 3, 1)), ((0, 0), (0, 2))]:
            _b = _b if _left else (*_b[:-2], _b[-1], _b[-2])
            sample("linalg_lu_solve", lambda t, x, y, a=_left, h=_adjoint: t.linalg.lu_solve(*_packed(t, x), y, left=a, adjoint=h), floats(*_a), floats(*_b, seed=1), tolerance=5e-5)
sample("linalg_lu_solve", _complex(lambda t, x: t.linalg.lu_solve(*_packed(t, x), x[:, :2], adjoint=True)), *_pair(3, 3), tolerance=5e-5)
_deprecated("linalg_lu_solve", lambda t, x, y: y.lu_solve(*_packed(t, x)), floats(3, 3), floats(3, 1, seed=1), tolerance=5e-5)

# Rank
for _shape in [(3, 3), (2, 4, 3), (2, 3), (1, 1), (0, 2, 3), (3, 0)]:
    sample("linalg_pinv", lambda t, x: t.linalg.pinv(x), floats(*_shape), tolerance=1e-4)
    sample("matrix_rank", lambda t, x: t.linalg.matrix_rank(x), floats(*_shape), grad=False)
sample("linalg_pinv", lambda t, x: t.linalg.pinv(x, atol=0.5), floats(2, 4, 3), tolerance=1e-4)
sample("linalg_pinv", lambda t, x: t.linalg.pinv(x, rtol=t.tensor([0.3, 0.01], dtype=x.dtype)), floats(2, 4, 3), tolerance=1e-4)
sample("linalg_pinv", lambda t, x: x.pinverse(0.1), floats(4, 3, t=True), tolerance=1e-4)
sample("linalg_pinv", lambda t, x: t.linalg.pinv(_definite(t, x), hermitian=True), floats(2, 3, 3), tolerance=1e-4)
sample("linalg_pinv", _complex(lambda t, x: t.linalg.pinv(x)), *_pair(3, 2), tolerance=1e-4)
sample("matrix_rank", lambda t, x: t.linalg.matrix_rank(x @ x.mT, hermitian=True), floats(2, 4, 3), grad=False)
sample("matrix_rank", lambda t, x: t.linalg.matrix_rank(x, tol=1.0), floats(4, 3), grad=False)
sample("matrix_rank", lambda t, x: t.linalg.matrix_rank(x, atol=t.tensor([0.5, 9.0]).to(x.dtype)), floats(2, 4, 3), grad=False)
for _p in [None, -2]:
    sample("cond", lambda t, x, p=_p: t.linalg.cond(x, p), floats(2, 4, 3), tolerance=1e-4)
for _p in ["fro", "nuc", 1, -float("inf")]:
    # PyTorch writes into what the gradient needs, so that it has none.
    sample("cond", lambda t, x, p=_p: t.linalg.cond(x.detach(), p), floats(2, 3, 3), tolerance=1e-4, grad=False)
sample("cond", lambda t, x: t.linalg.cond(x * 0, 1), floats(2, 2), grad=False)
sample("cond", lambda t, x: t.linalg.cond(x), floats(2, 0, 3), grad=False)

# Products
for _n in range(-2, 6):
    sample("matrix_power", lambda t, x, n=_n: t.linalg.matrix_power(_regular(t, x) / 4, n), floats(2, 3, 3), tolerance=5e-5)
sample("matrix_power", lambda t, x: x.matrix_power(3), ints(2, 2))
sample("matrix_power", lambda t, x: t.matrix_power(x, 2), floats(0, 0))
for _shapes in [[(2, 3), (3, 4)], [(3,), (3, 4)], [(3, 2), (2,)], [(3,), (3,)], [(5, 2), (2, 6), (6, 1), (1, 4)], [(2, 0), (0, 3), (3, 3)]]:
    sample("multi_dot", lambda t, *xs: t.linalg.multi_dot(xs), *[floats(*s, seed=i) for i, s in enumerate(_shapes)], tolerance=2e-5)
for _shapes in [[(5, 2), (2, 6), (6, 1)], [(2, 2)], [(2, 3), (3, 1)], [(1, 1), (1, 1)], [(0, 2), (2, 3)]]:
    _deprecated("chain_matmul", lambda t, *xs: t.chain_matmul(*xs), *[floats(*s, seed=i) for i, s in enumerate(_shapes)], tolerance=2e-5)
for _x, _y, _dim in [((3,), (3,), -1), ((2, 3), (3,), -1), ((2, 3), (1, 3), 0), ((), (3,), -1), ((0, 3), (0, 3), 1)]:
    sample("vecdot", lambda t, x, y, d=_dim: t.linalg.vecdot(x, y, dim=d), floats(*_x), floats(*_y, seed=1))
sample("vecdot", lambda t, x, y: t.linalg.vecdot(x, y), floats(4, 3), floats(4, 3, seed=1), dtypes=("float64", "float16", "bfloat16"))
sample("vecdot", _complex(lambda t, x: t.linalg.vecdot(x[:2], x[1])), *_pair(3, 3))
for _x, _y, _dim in [((3,), (3,), -1), ((2, 3), (1, 3), -1), ((3, 1), (3, 2), 0), ((2, 3, 2), (2, 3, 2), -2), ((0, 3), (0, 3), 1)]:
    sample("linalg_cross", lambda t, x, y, d=_dim: t.linalg.cross(x, y, dim=d), floats(*_x), floats(*_y, seed=1))
for _a, _b in [((2, 3), (3, 2)), ((3,), (3,)), ((2, 2, 3), (3,)), ((2, 2, 3), (3, 1)), ((0, 3), (3, 2))]:
    sample("linalg_matmul", lambda t, x, y: t.linalg.matmul(x, y), floats(*_a), floats(*_b, seed=1))
for _shape, _options in [((3, 3), {}), ((2, 3, 4), {"offset": 1}), ((2, 3, 4), {"offset": -1, "dim1": 0, "dim2": 2}), ((0, 2), {}), ((1, 1), {})]:
    sample("linalg_diagonal", lambda t, x, o=_options: t.linalg.diagonal(x, **o), floats(*_shape))
for _shape, _N in [((3,), None), ((2, 3), None), ((), 3), ((2, 2), 4), ((0,), 2)]:
    sample("linalg_vander", lambda t, x, n=_N: t.linalg.vander(x, N=n), floats(*_shape))
sample("linalg_vander", lambda t, x: t.linalg.vander(x), ints(4, dtype=np.int32))
for _N, _increasing in [(None, False), (None, True), (1, False), (0, False), (5, True)]:
    # PyTorch writes into what the gradient needs, so that it has none.
    sample("vander", lambda t, x, n=_N, i=_increasing: t.vander(x, n, i), floats(3), grad=False, dtypes=("float64", "float16"))
sample("vander", lambda t, x: t.vander(x), bools(3))
for _x in [floats(3, 3), floats(2, 4, t=True), floats(0, 3), ints(3, 3, dtype=np.int32), floats(1, 1)]:
    sample("trace", lambda t, x: t.trace(x), _x, dtypes=("float64", "float16", "bfloat16"))
sample("trace", _complex(lambda t, x: x.trace().reshape(1)), *_pair(3, 3))
for _x, _y in [(floats(4), floats(4, seed=1)), (floats(0), floats(0)), (floats(1), floats(1, seed=1)), (ints(3), ints(3, seed=1)), (floats(6)[::2], floats(3, seed=1))]:
    sample("vdot", lambda t, x, y: t.vdot(x, y), _x, _y)
sample("vdot", _complex(lambda t, x: x[0].vdot(x[1]).reshape(1)), *_pair(2, 3))

# The first names of factorizations
for _upper in (False, True):
    for _shape in [(3, 3), (2, 2, 2), (0, 0)]:
        _deprecated("cholesky", lambda t, x, u=_upper: t.cholesky(_definite(t, x), u), floats(*_shape), tolerance=2e-5)
for _shape in [(4, 3), (3, 4), (2, 3, 3), (1, 1)]:
    _deprecated("qr", lambda t, x: tuple(t.qr(x + t.eye(*x.shape[-2:], dtype=x.dtype))), floats(*_shape), tolerance=5e-5)
_deprecated("qr", lambda t, x: tuple(x.qr(some=False)), floats(4, 3), grad=False)
for _shape in [(4, 3), (2, 3, 4), (1, 1)]:
    sample("svd", lambda t, x: tuple(v.abs() for v in t.svd(x)), floats(*_shape), tolerance=2e-4)
sample("svd", lambda t, x: tuple(v.abs() for v in t.svd(x, some=False)), floats(4, 3), grad=False, tolerance=2e-5)
sample("svd", lambda t, x: tuple(x.svd(compute_uv=False)), floats(4, 3), tolerance=2e-5)
for _left, _transpose in [(True, False), (True, True), (False, False), (False, True)]:
    for _a, _c in [((4, 3), (4, 2)), ((2, 3, 3), (2, 3, 1)), ((1, 1), (1, 1))]:
        _c = _c if _left else (*_c[:-2], _c[-1], _c[-2])
        sample("ormqr", lambda t, a, tau, c, s=_left, h=_transpose: t.ormqr(a, tau, c, s, h), floats(*_a), floats(*_a[:-2], _a[-1], seed=1), floats(*_c, seed=2), tolerance=5e-5)
sample("ormqr", _complex(lambda t, x: t.ormqr(x, x[0], x, transpose=True)), *_pair(3, 3), tolerance=2e-4)
for _shape, _k in [((4, 3), 3), ((4, 3), 2), ((3, 3), 3), ((2, 5, 3), 3), ((1, 1), 1)]:
    sample("orgqr", lambda t, x, tau: t.orgqr(x, tau), floats(*_shape), floats(*_shape[:-2], _k, seed=1), tolerance=2e-5)
for _upper, _transpose, _unit in [(True, False, False), (False, True, False), (True, True, True)]:
    for _a, _b in [((3, 3), (3, 2)), ((2, 3, 3), (3, 1)), ((0, 0), (0, 1))]:
        _deprecated("triangular_solve", lambda t, x, y, u=_upper, h=_transpose, d=_unit: tuple(
            t.triangular_solve(y, x + 3 * t.eye(x.shape[-1], dtype=x.dtype), u, h, d)), floats(*_a), floats(*_b, seed=1), tolerance=2e-5)
