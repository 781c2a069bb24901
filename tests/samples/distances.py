"""Samples of distances of vectors, and of slices scaled to a norm."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.sample import floats, ints, sample

INF = float("inf")
DIRECT, PRODUCT = "donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist"


def cdist(p=2.0, mode=DIRECT):
    return lambda t, x, y: t.cdist(x, y, p, mode)


def weighted(call):
    """``call`` with results that count differently, so that the gradients do not cancel."""
    return lambda t, *xs: (lambda z: z * t.arange(1, z.numel() + 1, dtype=z.dtype).reshape(z.shape))(call(t, *xs))


for _p in (0, 0.5, 1, 1.5, 2, 3, 4.5, INF):
    sample("cdist", cdist(_p), floats(3, 4), floats(2, 4, seed=1), second=_p >= 1)
    sample("cdist", weighted(cdist(_p)), floats(2, 1, 4, 3), floats(3, 2, 3, seed=1), second=_p >= 1)
for _a, _b in [((0, 3), (2, 3)), ((3, 0), (2, 0)), ((2, 0, 3), (4, 3)), ((3, 1), (4, 1)), ((0, 2, 3), (4, 3))]:
    sample("cdist", cdist(), floats(*_a), floats(*_b, seed=1), grad=0 not in _a[:-1])
    sample("cdist", cdist(INF), floats(*_a), floats(*_b, seed=1))
sample("cdist", cdist(3), floats(4, 3, t=True), floats(2, 3, t=True, seed=1))
_points = np.array([[1.0, 2, 3], [0, 0, 0], [1, 2, 4]], "f4")
for _p in (0, 1, 2, 3, INF):  # some distances are 0: the gradient there is 0 by definition
    sample("cdist", cdist(_p), _points, _points[::2].copy(), numeric=False)
sample("cdist", lambda t, x, y: t.cdist(x, y), floats(3, 4), floats(2, 4, seed=1))
for _a, _b in [((3, 4), (2, 4)), ((2, 1, 4, 3), (3, 2, 3)), ((0, 3), (2, 3)), ((3, 1), (4, 1))]:
    sample("cdist_by_product", weighted(cdist(mode=PRODUCT)), floats(*_a), floats(*_b, seed=1), tolerance=2e-5, second=_a[-1] > 1)
sample("cdist_by_product", lambda t, x, y: t.cdist(x, y), floats(26, 2), floats(2, 2, seed=1, low=3, high=4), tolerance=5e-5)
sample("cdist_by_product", cdist(mode=PRODUCT), _points, _points[::2].copy(), numeric=False)

for _p in (0, 0.5, 1, 2, 3.5, INF):
    sample("pdist", weighted(lambda t, x, p=_p: t.pdist(x, p)), floats(5, 3), second=_p >= 1)
for _shape in [(0, 3), (1, 3), (3, 0), (2, 1)]:
    sample("pdist", lambda t, x: t.pdist(x), floats(*_shape), grad=_shape[0] > 0)

for _p in (0.5, 1, 2, 3, INF, -INF, -1):
    sample("dist", lambda t, x, y, p=_p: t.dist(x, y, p), floats(3, 4), floats(4, seed=1), second=_p >= 1)
sample("dist", lambda t, x, y: x.dist(y), floats(4, 3, t=True), floats(4, 3, seed=1), dtypes=("float64", "float16", "bfloat16"), tolerance=2e-3)
sample("dist", lambda t, x, y: t.dist(x, y), floats(), floats(3, seed=1))
sample("dist", lambda t, x, y: t.dist(x, y), floats(0), floats(0))
sample("dist", lambda t, x, y: t.dist(x, y, p=0), floats(3), ints(3), grad=False)
sample("dist", lambda t, x, y: t.dist(x + 1j * y, y * 1j), floats(3), floats(3, seed=1))

for _p, _dim, _most in [(2, 0, 1.0), (1, 1, 2.0), (3, -1, 0.5), (INF, 0, 1.5), (0.5, 1, 30.0), (2, 0, 0), (2, 1, 100)]:
    sample("renorm", lambda t, x, p=_p, d=_dim, m=_most: t.renorm(x, p, d, m), floats(3, 4), dtypes=("float64", "float16", "bfloat16"))
sample("renorm", lambda t, x: x.renorm(p=2, dim=1, maxnorm=1.5), floats(2, 3, 2, t=True))
sample("renorm", lambda t, x: x.clone().renorm_(2, 0, 1), floats(3, 4))
sample("renorm", lambda t, x: t.renorm(x, 2, 0, 1), floats(0, 3))
sample("renorm", lambda t, x: t.renorm(x, 2, 0, 1), floats(3, 0))
sample("renorm", lambda t, x: t.renorm(x + 1j * x * x, 2, 0, 1), floats(3, 4))
