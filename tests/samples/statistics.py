"""Samples of differences, quantiles, histograms, covariances, and of tensors composed of others."""

# A table: one sample a line.
# fmt: off

import warnings

import numpy as np

from tests.samples.rarer import complexes
from tests.samples.sample import bools, floats, ints, sample

HALF = ("float64", "float16", "bfloat16")
NANS = np.array([[1, np.nan, 3, 2], [np.nan, np.nan, 5, 0.5]], np.float32)


def _quietly(call):
    """``call`` without the warning that a function is deprecated."""
    def quiet(*args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(*args)
    return quiet


def _of_peer(call):
    """``call``, in which a function of PyTorch warns that it is deprecated."""
    quiet = _quietly(call)
    return lambda t, *args: (quiet if t.__name__ == "torch" else call)(t, *args)


# Differences, derivatives, integrals
sample("diff", lambda t, x: t.diff(x), floats(3, 5), dtypes=HALF)
sample("diff", lambda t, x: t.diff(x, 2, 0), floats(4, 3, t=True))
sample("diff", lambda t, x, y, z: t.diff(x, dim=1, prepend=y, append=z), floats(3, 4), floats(3, 1), floats(3, 2, seed=1))
sample("diff", lambda t, x: (t.diff(x, 0), t.diff(x, n=7)), floats(3, 4))
sample("diff", lambda t, x: x.diff(dim=0, n=2), floats(0, 3))
sample("diff", lambda t, x: t.diff(x, n=2), bools(3, 5))
sample("diff", lambda t, x, y: t.diff(x, append=y), ints(5), floats(2))
sample("diff", lambda t, x: t.diff(x), complexes(3, 4), second=False)
for _kw in ({}, {"spacing": 2.0, "dim": 1}, {"spacing": [0.5, 2.0], "edge_order": 2}, {"dim": (1, 0)}, {"dim": -1, "edge_order": 2}):
    sample("gradient", lambda t, x, kw=_kw: t.gradient(x, **kw), floats(4, 5), dtypes=HALF)
for _order in (1, 2):
    sample("gradient", lambda t, x, a, b, o=_order: t.gradient(x, spacing=(a.cumsum(0), b.cumsum(0)), edge_order=o),
           floats(3, 4), floats(3, low=0.5, high=1.5), floats(4, low=0.5, high=1.5), tolerance=1e-4)
sample("gradient", lambda t, x: t.gradient(x, spacing=[t.tensor([0, 1, 3, 4])], dim=0), floats(4, 2, t=True))
sample("gradient", lambda t, x: t.gradient(x), ints(4, 3))
sample("gradient", lambda t, x: t.gradient(x), floats(), grad=False)
sample("gradient", lambda t, x: t.gradient(x, dim=0), complexes(3, 2), second=False)
for _name in ("trapezoid", "cumulative_trapezoid", "trapz"):
    for _kw in ({}, {"dx": 0.5}, {"dim": 0, "dx": 3}):
        sample(_name, lambda t, y, n=_name, kw=_kw: getattr(t, n)(y, **kw), floats(4, 5), dtypes=HALF)
    sample(_name, lambda t, y, x, n=_name: getattr(t, n)(y, x, dim=1), floats(2, 3, 4), floats(3, seed=1))
    sample(_name, lambda t, y, x, n=_name: getattr(t, n)(y, x), floats(2, 3, 4, t=True), floats(3, 4, seed=1))
    sample(_name, lambda t, y, n=_name: getattr(t, n)(y), ints(4))
    sample(_name, lambda t, y, n=_name: getattr(t, n)(y, dim=0), floats(0, 3), grad=False)

# Quantiles and modes
for _name in ("quantile", "nanquantile"):
    for _way in ("linear", "lower", "higher", "nearest", "midpoint"):
        sample(_name, lambda t, x, n=_name, w=_way: getattr(t, n)(x, t.tensor([0.1, 0.5, 0.9], dtype=x.dtype), 1, interpolation=w), floats(3, 6))
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, 0.3), floats(3, 4, t=True))
    sample(_name, lambda t, x, q, n=_name: getattr(t, n)(x, q, dim=0, keepdim=True), floats(4, 2), floats(3, low=0.05, high=0.95))
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, 0.6, keepdim=True), floats(2, 3, 2))
    sample(_name, lambda t, x, n=_name: getattr(x, n)(1, 0), floats())
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, 0.4, -1), NANS, second=False, numeric=False)
sample("mode", lambda t, x: tuple(t.mode(x)), ints(4, 6, low=0, high=3))
sample("mode", lambda t, x: tuple(t.mode(x, 0, True)), floats(5, 3), dtypes=HALF)
sample("mode", lambda t, x: tuple(t.mode(x, dim=1)), bools(3, 5))
sample("mode", lambda t, x: tuple(x.mode(-2)), ints(3, 20, 2, low=0, high=4))
sample("mode", lambda t, x: tuple(t.mode(x)), floats())
sample("mode", lambda t, x: tuple(t.mode(x, 1)), floats(0, 3))

# Histograms
sample("histogram", lambda t, x: tuple(t.histogram(x, 5)), floats(3, 6), grad=False)
sample("histogram", lambda t, x, w: tuple(t.histogram(x, 4, range=(-1.0, 1.5), weight=w, density=True)), floats(20), floats(20, seed=1), grad=False)
sample("histogram", lambda t, x: tuple(x.histogram(t.tensor([-2.0, -0.5, 0.0, 2.0], dtype=x.dtype))), floats(12, t=True), grad=False)
sample("histogram", lambda t, x: tuple(t.histogram(x, bins=3)), floats(), grad=False)
sample("histogram", lambda t, x: tuple(t.histogram(x, bins=3)), floats(0), grad=False)
sample("histogramdd", lambda t, x: tuple(t.histogramdd(x, [3, 2])), floats(12, 2), grad=False)
sample("histogramdd", lambda t, x, w: tuple(t.histogramdd(x, 2, weight=w, density=True)), floats(3, 5, 2), floats(3, 5, seed=1), grad=False)
sample("histogramdd", lambda t, x: tuple(t.histogramdd(x, [2, 3], range=[-1.0, 1.0, 0.0, 2.0])), floats(20, 2), grad=False)
sample("histogramdd", lambda t, x: tuple(t.histogramdd(x, [t.tensor([-2.0, 0, 2], dtype=x.dtype)])), floats(9, 1), grad=False)
sample("histogramdd", lambda t, x: tuple(t.histogramdd(x, (2, 2))), floats(0, 2), grad=False)

# Covariances and norms
sample("cov", lambda t, x: t.cov(x), floats(3, 5), dtypes=("float64",))
sample("cov", lambda t, x: t.cov(x, correction=0), floats(6))
sample("cov", lambda t, x, f: t.cov(x, fweights=f), floats(3, 5, t=True), ints(5, low=1, high=4))
sample("cov", lambda t, x, a: t.cov(x, aweights=a), floats(3, 5), floats(5, low=0.5, high=2), tolerance=1e-4)
sample("cov", lambda t, x, f, a: t.cov(x, correction=2, fweights=f, aweights=a), floats(2, 5), ints(5, low=1, high=4), floats(5, low=0.5, high=2), tolerance=1e-4)
sample("cov", lambda t, x: t.cov(x), ints(3, 5))
sample("cov", lambda t, x: t.cov(x), complexes(2, 4), second=False)
sample("cov", lambda t, x: x.cov(), floats(0, 3))
sample("corrcoef", lambda t, x: t.corrcoef(x), floats(3, 5), tolerance=1e-4, second=False)
sample("corrcoef", lambda t, x: x.corrcoef(), floats(3, 6, t=True), tolerance=1e-4, second=False)
sample("corrcoef", lambda t, x: t.corrcoef(x), floats(6), numeric=False, second=False)
sample("corrcoef", lambda t, x: t.corrcoef(x), ints(2, 5))
sample("corrcoef", lambda t, x: t.corrcoef(x), complexes(2, 4), second=False, numeric=False, tolerance=1e-4)
sample("frobenius_norm", _of_peer(lambda t, x: t.frobenius_norm(x, 1)), floats(3, 4), dtypes=HALF)
sample("frobenius_norm", _of_peer(lambda t, x: t.frobenius_norm(x, (0, 1), True)), floats(3, 4, t=True))
sample("frobenius_norm", _of_peer(lambda t, x: t.frobenius_norm(x, ())), floats(2, 3, 4))
sample("frobenius_norm", _of_peer(lambda t, x: t.frobenius_norm(x, dim=0)), floats(0, 3))
sample("frobenius_norm", _of_peer(lambda t, x: t.frobenius_norm(x, -1)), complexes(3, 2), second=False)

# Composed of others
sample("kron", lambda t, x, y: t.kron(x, y), floats(2, 3), floats(3, 2, seed=1), dtypes=HALF)
sample("kron", lambda t, x, y: t.kron(x, y), floats(2, 3), floats(4, seed=1))
sample("kron", lambda t, x, y: x.kron(y), floats(), floats(2, 1, 2, seed=1))
sample("kron", lambda t, x, y: t.kron(x, y), floats(0, 2), floats(3, 2))
sample("kron", lambda t, x, y: t.kron(x, y), ints(2, 2), floats(2, 2))
sample("block_diag", lambda t, x, y: t.block_diag(x, y), floats(2, 3), floats(2, 1, t=True), dtypes=HALF)
sample("block_diag", lambda t, x, y, z: t.block_diag(x, y, z), floats(), floats(3), floats(2, 0))
sample("block_diag", lambda t, x, y: t.block_diag(x, y), ints(2, 2), floats(1, 2))
sample("block_diag", lambda t, x: t.block_diag(x), floats(0))
sample("block_diag", lambda t, x: (t.block_diag(), t.block_diag(x, x)), bools(2, 2))
sample("diagflat", lambda t, x: t.diagflat(x), floats(2, 2, t=True), dtypes=HALF)
sample("diagflat", lambda t, x: x.diagflat(1), floats(3))
sample("diagflat", lambda t, x: t.diagflat(x, offset=-2), floats())
sample("diagflat", lambda t, x: t.diagflat(x, 1), floats(0))
sample("diagflat", lambda t, x: t.diagflat(x), bools(3))
sample("cartesian_prod", lambda t, x, y: t.cartesian_prod(x, y), floats(3), floats(2, seed=1), dtypes=HALF)
sample("cartesian_prod", lambda t, x: t.cartesian_prod(x) * 2, floats(3))
sample("cartesian_prod", lambda t, x, y, z: t.cartesian_prod(x, y, z), ints(2), ints(3), ints(1))
sample("cartesian_prod", lambda t, x, y: t.cartesian_prod(x, y), floats(3), floats(0))
sample("cartesian_prod", lambda t, x: t.cartesian_prod(x[0], x[:, 1]), floats(3, 3))
sample("combinations", lambda t, x: t.combinations(x), floats(4), dtypes=HALF)
sample("combinations", lambda t, x: t.combinations(x, 3, True), floats(3))
sample("combinations", lambda t, x: t.combinations(x, r=3), ints(5))
sample("combinations", lambda t, x: (t.combinations(x, 0), t.combinations(x, 5)), bools(3))
sample("combinations", lambda t, x: t.combinations(x[:, 1], with_replacement=True), floats(3, 2))
sample("combinations", lambda t, x: t.combinations(x), complexes(3), second=False)
for _k in (-1, 0, 1, 2, 3):
    sample("rot90", lambda t, x, k=_k: t.rot90(x, k), floats(2, 3), dtypes=HALF)
sample("rot90", lambda t, x: t.rot90(x, 1, (-1, 0)), floats(2, 3, 4, t=True))
sample("rot90", lambda t, x: x.rot90(dims=[1, 2]), ints(2, 0, 3))


# Created
for _name in ("tril_indices", "triu_indices"):
    for _args in ((3, 4), (3, 3, 1), (4, 2, -1), (0, 3), (2, 2, 9)):
        sample(_name, lambda t, n=_name, a=_args: getattr(t, n)(*a))
    sample(_name, lambda t, n=_name: getattr(t, n)(2, 3, offset=-1, dtype=t.int32))
for _args in ((1, 4), (1, 4, 0.5), (3.5, -1, -1.25), (2, 2)):
    sample("range", _quietly(lambda t, a=_args: t.range(*a)), trace=False)
sample("range", _quietly(lambda t: t.range(1, 7, 2, dtype=t.int32)), trace=False)
for _s in (3, 2.5, True, -1):
    sample("scalar_tensor", lambda t, s=_s: t.scalar_tensor(s))
sample("scalar_tensor", lambda t: (t.scalar_tensor(2.7, dtype=t.int64), t.scalar_tensor(1j, dtype=t.complex64)))
sample("unravel_index", lambda t, i: t.unravel_index(i, (3, 4)), ints(5, low=0, high=12))
sample("unravel_index", lambda t, i: t.unravel_index(i, (2, 1, 3)), ints(2, 3, low=-9, high=9, dtype=np.int32))
sample("unravel_index", lambda t, i: t.unravel_index(i, 7), ints(low=0, high=7))
sample("unravel_index", lambda t, i: t.unravel_index(i, t.Size([3, 100])), ints(4, low=0, high=255, dtype=np.uint8))
sample("unravel_index", lambda t, i: t.unravel_index(i, [2, 3]), ints(0, 2))
sample("nonzero_static", lambda t, x: t.nonzero_static(x, size=5), ints(3, 4, low=0, high=2))
sample("nonzero_static", lambda t, x: x.nonzero_static(size=12, fill_value=7), ints(3, 2, low=0, high=2))
sample("nonzero_static", lambda t, x: t.nonzero_static(x, size=2), floats(4, t=True), grad=False)
sample("nonzero_static", lambda t, x: t.nonzero_static(x, size=2), floats(), grad=False)
sample("nonzero_static", lambda t, x: (x.nonzero_static(size=3), x.nonzero_static(size=0)), bools(0, 2))
