"""Samples of products."""

# A table: one sample a line.
# fmt: off

from tests.samples.sample import floats, ints, sample

HALF = ("float64", "float16", "bfloat16")

for _x, _y in [((3, 4), (4, 2)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((2, 3, 4), (4, 2)),
               ((2, 3, 4), (2, 4, 5)), ((5, 1, 3, 4), (2, 4, 3)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
               ((0, 3), (3, 2)), ((2, 0), (0, 3))]:
    sample("matmul", lambda t, x, y: t.matmul(x, y), floats(*_x), floats(*_y, seed=1), dtypes=HALF)
sample("matmul", lambda t, x, y: x @ y, floats(3, 4, t=True), floats(4, 3, t=True, seed=1))
sample("matmul", lambda t, x, y: x @ y, ints(3, 4), ints(4, 2, seed=1), grad=False)
sample("mm", lambda t, x, y: t.mm(x, y), floats(3, 4), floats(4, 2))
sample("bmm", lambda t, x, y: t.bmm(x, y), floats(2, 3, 4), floats(2, 4, 2))
sample("mv", lambda t, x, y: t.mv(x, y), floats(3, 4), floats(4))
sample("dot", lambda t, x, y: t.dot(x, y), floats(4), floats(4, seed=1))
sample("outer", lambda t, x, y: t.outer(x, y), floats(3), floats(4))
sample("inner", lambda t, x, y: t.inner(x, y), floats(2, 3), floats(4, 3))
sample("addmm", lambda t, a, x, y: t.addmm(a, x, y), floats(2), floats(3, 4), floats(4, 2))
sample("addmm", lambda t, a, x, y: t.addmm(a, x, y, beta=0.5, alpha=2), floats(3, 2), floats(3, 4), floats(4, 2))
sample("addmv", lambda t, a, x, y: t.addmv(a, x, y), floats(3), floats(3, 4), floats(4))
sample("baddbmm", lambda t, a, x, y: t.baddbmm(a, x, y, beta=2), floats(2, 3, 2), floats(2, 3, 4), floats(2, 4, 2))
sample("baddbmm", lambda t, a, x, y: t.baddbmm(a, x, y), floats(3, 2), floats(2, 3, 4), floats(2, 4, 2))
sample("tensordot", lambda t, x, y: t.tensordot(x, y, 2), floats(2, 3, 4), floats(3, 4, 2))
sample("tensordot", lambda t, x, y: t.tensordot(x, y, ([0, 2], [1, 0])), floats(2, 3, 4), floats(4, 2, 5))
sample("tensordot", lambda t, x, y: t.tensordot(x, y, ([0, 2], [1, 0])), floats(2, 3, 1), floats(4, 1, 5))
for _equation, *_shapes in [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ii->i", (3, 3)), ("ij->", (2, 3)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)), ("i,j->ij", (2,), (3,)), ("...ij,jk->...ik", (2, 3, 4), (4, 2)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("ij,ij->j", (2, 3), (2, 3)), ("bi,ij,bj->b", (2, 3), (3, 4), (2, 4)),
]:
    sample("einsum", lambda t, *xs, e=_equation: t.einsum(e, *xs), *[floats(*s, seed=k) for k, s in enumerate(_shapes)])
