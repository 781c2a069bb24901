"""Samples of reductions, scans, sorting and searching."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.sample import bools, floats, ints, sample

HALF = ("float64", "float16", "bfloat16")
DIMS = ({}, {"dim": 1}, {"dim": -1, "keepdim": True}, {"dim": (0, 2)})

for _name in ("sum", "mean", "nansum", "nanmean", "amax", "amin", "std", "var", "logsumexp", "norm"):
    for _kw in DIMS[_name == "logsumexp" :]:
        sample(_name, lambda t, x, n=_name, kw=_kw: getattr(t, n)(x, **kw), floats(2, 3, 4), dtypes=HALF)
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, dim=0), floats(3, 2, t=True))
for _name in ("sum", "prod", "mean", "nansum", "norm", "amax", "all", "any", "argmax"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x), floats(), second=False, grad=_name not in ("all", "any", "argmax"))
for _name in ("sum", "prod", "all", "any"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, dim=1), floats(2, 0), second=False, grad=_name in ("sum", "prod"))
for _name in ("sum", "prod", "all", "any", "count_nonzero", "argmax", "argmin", "amax"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, dim=1), ints(3, 4, low=0, high=3), grad=False)
    if _name not in ("argmax", "argmin"):
        sample(_name, lambda t, x, n=_name: getattr(t, n)(x, dim=1), bools(3, 4), grad=False)
sample("prod", lambda t, x: t.prod(x), floats(5, low=0.5, high=2))
sample("prod", lambda t, x: t.prod(x, dim=1, keepdim=True), floats(2, 3, low=0.5, high=2))
for _name in ("max", "min", "median"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x), floats(3, 5), dtypes=HALF)
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, dim=1), floats(3, 5), dtypes=HALF)
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x, 0, True), floats(3, 5))
sample("max", lambda t, x, y: t.max(x, y), floats(3, 4), floats(4, seed=1))
sample("aminmax", lambda t, x: t.aminmax(x, dim=1), floats(3, 5))
sample("var_mean", lambda t, x: t.var_mean(x, dim=1), floats(3, 5))
sample("std_mean", lambda t, x: t.std_mean(x, dim=0, keepdim=True), floats(3, 5))
sample("var", lambda t, x: t.var(x, dim=1, correction=0), floats(3, 5))
for _p in (0, 1, 2, 3, np.inf, -np.inf):
    sample("norm", lambda t, x, p=_p: t.norm(x, p, dim=1), floats(3, 4, low=0.5, high=2), second=np.isfinite(_p) and _p != 0)
for _name in ("softmax", "log_softmax"):
    for _dim in (0, -1):
        sample(_name, lambda t, x, n=_name, d=_dim: getattr(t, n)(x, d), floats(3, 4), dtypes=HALF)
for _name in ("cumsum", "cumprod"):
    for _dim in (0, 1):
        sample(_name, lambda t, x, n=_name, d=_dim: getattr(t, n)(x, d), floats(3, 4, low=0.5, high=1.5), dtypes=HALF)
for _kw in ({}, {"dim": 0}, {"descending": True}, {"stable": True}):
    sample("sort", lambda t, x, kw=_kw: t.sort(x, **kw), floats(3, 5), dtypes=HALF)
sample("argsort", lambda t, x: t.argsort(x, dim=0), floats(3, 5), grad=False)
sample("topk", lambda t, x: t.topk(x, 2), floats(3, 5))
sample("topk", lambda t, x: t.topk(x, 2, dim=0, largest=False), floats(3, 5))
sample("unique", lambda t, x: t.unique(x, return_inverse=True, return_counts=True), ints(20, low=0, high=6), grad=False, trace=False)
sample("unique", lambda t, x: t.unique(x, dim=0), ints(8, 2, low=0, high=2), grad=False, trace=False)
sample("bincount", lambda t, x: t.bincount(x, minlength=8), ints(20, low=0, high=6), grad=False, trace=False)
sample("searchsorted", lambda t, x: t.searchsorted(t.sort(x)[0], x), floats(6), grad=False)
sample("bucketize", lambda t, x: t.bucketize(x, t.tensor([-1.0, 0.0, 1.0]), right=True), floats(6), grad=False)
