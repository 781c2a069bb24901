"""Samples of views, joining, indexing, gathering and creation."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.sample import bools, floats, ints, sample

V = {
    "reshape": lambda t, x: x.reshape(4, -1), "view": lambda t, x: x.view(6, 4), "flatten": lambda t, x: x.flatten(1),
    "unflatten": lambda t, x: x.unflatten(2, (2, 2)), "ravel": lambda t, x: t.ravel(x), "t": lambda t, x: x[0].t(),
    "permute": lambda t, x: x.permute(2, 0, 1), "transpose": lambda t, x: x.transpose(0, -1), "mT": lambda t, x: x.mT,
    "swapaxes": lambda t, x: t.swapaxes(x, 0, 1), "movedim": lambda t, x: t.movedim(x, 0, 2), "H": lambda t, x: x[0].H,
    "squeeze": lambda t, x: x.unsqueeze(1).squeeze(), "squeeze_dim": lambda t, x: x.unsqueeze(1).squeeze(1),
    "unsqueeze": lambda t, x: x.unsqueeze(-1), "expand": lambda t, x: x.unsqueeze(0).expand(3, -1, -1, -1),
    "broadcast_to": lambda t, x: t.broadcast_to(x, (2, 2, 3, 4)), "narrow": lambda t, x: x.narrow(1, 1, 2),
    "select": lambda t, x: x.select(1, 0), "diagonal": lambda t, x: x.diagonal(1, 1, 2), "unbind": lambda t, x: x.unbind(1),
    "split": lambda t, x: x.split(2, 2), "split_sizes": lambda t, x: x.split([1, 3], -1), "chunk": lambda t, x: x.chunk(3, 2),
    "unfold": lambda t, x: x.unfold(2, 2, 1), "as_strided": lambda t, x: x.as_strided((2, 3), (4, 1), 2),
    "view_as": lambda t, x: x.view_as(t.empty(2, 12)), "expand_as": lambda t, x: x.expand_as(t.empty(5, 2, 3, 4)),
}
for _name, _call in V.items():
    sample(_name, _call, floats(2, 3, 4))
sample("reshape", lambda t, x: x.t().reshape(12), floats(3, 4))
sample("contiguous", lambda t, x: x.t().contiguous(), floats(3, 4))
sample("clone", lambda t, x: x.clone(), floats(3, 4, t=True))
sample("to", lambda t, x: x.to(t.float64), floats(3))
sample("to", lambda t, x: x.to(t.int32), floats(5), grad=False)
sample("detach", lambda t, x: x.detach() * 2, floats(3), grad=False)

for _name in ("cat", "stack", "hstack", "vstack"):
    sample(_name, lambda t, x, y, n=_name: getattr(t, n)((x, y)), floats(2, 3), floats(2, 3, seed=1))
sample("cat", lambda t, x, y: t.cat([x, y], 1), floats(2, 3), floats(2, 1, seed=1))
sample("cat", lambda t, x, y: t.cat([x, y]), floats(2), ints(3), grad=False)
sample("stack", lambda t, x, y: t.stack([x, y], -1), floats(2, 3), floats(2, 3, seed=1))
sample("tile", lambda t, x: t.tile(x, (2, 1, 2)), floats(2, 3))
sample("repeat", lambda t, x: x.repeat(2, 1, 3), floats(2, 3))
sample("repeat_interleave", lambda t, x: x.repeat_interleave(2, dim=1), floats(2, 3))
sample("flip", lambda t, x: t.flip(x, (0, 1)), floats(2, 3))
sample("roll", lambda t, x: t.roll(x, (1, -1), (0, 1)), floats(3, 4))
sample("roll", lambda t, x: t.roll(x, 2), floats(3, 4))
sample("meshgrid", lambda t, x, y: t.meshgrid(x, y, indexing="ij"), floats(2), floats(3))
sample("tril", lambda t, x: t.tril(x, -1), floats(3, 4))
sample("triu", lambda t, x: t.triu(x, 1), floats(2, 3, 4))
sample("diag", lambda t, x: t.diag(x), floats(3, 3))
sample("diag", lambda t, x: t.diag(x, 1), floats(3))
for _name in ("atleast_1d", "atleast_2d"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x), floats())
sample("broadcast_tensors", lambda t, x, y: t.broadcast_tensors(x, y), floats(2, 1), floats(3))

BASIC = [(0,), (-1, 1), (slice(1, None),), (slice(None, None, 2), 0), (None, 0, slice(None), None), (Ellipsis, 1),
         (slice(0, 2), Ellipsis, slice(1, 3)), (True,)]
for _index in BASIC:
    sample("getitem", lambda t, x, i=_index: x[i], floats(3, 3, 4))
_rows, _columns = np.array([2, 0, 2]), np.array([[1], [0]])
_view = lambda t, x, i, j: x[i[0]]  # compiled functions do not return a view by a tensor
for _make in (
    lambda t, x, i, j: x[i], lambda t, x, i, j: x[:, i], lambda t, x, i, j: x[i, j], lambda t, x, i, j: x[i, :, j],
    lambda t, x, i, j: x[0, :, i], lambda t, x, i, j: x[:, 1, i], lambda t, x, i, j: x[None, i],
    lambda t, x, i, j: x[[0, 1]], _view, lambda t, x, i, j: x[..., i], lambda t, x, i, j: x[-i],
):
    sample("getitem", _make, floats(3, 4, 3), _rows, _columns, trace=_make is not _view)
sample("getitem_mask", lambda t, x, m: x[m], floats(3, 4), bools(3, 4), trace=False)
sample("getitem_mask", lambda t, x, m: x[m, 1:], floats(3, 4), bools(3), trace=False)


def written(write):
    """A sample's call that writes into a copy of its first input."""

    def call(t, x, *rest):
        y = x * 1
        write(t, y, *rest)
        return y

    return call


def _set(index):
    def write(t, y, v):
        y[index] = v

    return write


for _index, _shape in [((0,), (4, 3)), ((slice(None), 1), (3, 3)), ((Ellipsis, slice(0, 2)), (2,)), ((slice(None, None, 2),), ())]:
    sample("setitem", written(_set(_index)), floats(3, 4, 3), floats(*_shape, seed=1))
sample("setitem", written(lambda t, y, v, i: y.__setitem__(i, v)), floats(3, 4), floats(4, seed=1), np.array([2, 0]))
sample("setitem", written(lambda t, y, m: y.__setitem__(m, 0.5)), floats(3, 4), bools(3, 4))
sample("view_write", written(lambda t, y: y.view(-1)[2:5].mul_(3)), floats(3, 4))
sample("view_write", written(lambda t, y, v: y.t()[1].copy_(v)), floats(3, 4), floats(3, seed=1))
sample("view_write", written(lambda t, y, v: y.diagonal().add_(v)), floats(3, 4), floats(3, seed=1))
for _name in ("exp_", "sigmoid_", "neg_", "relu_", "tanh_"):
    sample(_name, written(lambda t, y, n=_name: getattr(y, n)()), floats(3, 4))
sample("masked_fill", lambda t, x, m: x.masked_fill(m, 2.0), floats(3, 4), bools(4))
sample("masked_select", lambda t, x, m: x.masked_select(m), floats(3, 4), bools(3, 4), trace=False)
sample("masked_scatter", written(lambda t, y, m, v: y.masked_scatter_(m, v)), floats(3, 4), bools(3, 4), floats(12, seed=1), trace=False)
sample("where", lambda t, c, x, y: t.where(c, x, y), bools(3, 4), floats(3, 4), floats(4, seed=1))
sample("where", lambda t, c, x: t.where(c, x, 1.5), bools(3, 4), floats(3, 4))
_index = ints(3, 4, low=0, high=3)
sample("gather", lambda t, x, i: t.gather(x, 0, i), floats(3, 4), _index)
sample("gather", lambda t, x, i: t.gather(x, 1, i), floats(3, 5), ints(3, 2, low=0, high=5))
sample("take_along_dim", lambda t, x, i: t.take_along_dim(x, i, 1), floats(3, 5), ints(3, 2, low=0, high=5))
sample("take", lambda t, x, i: t.take(x, i), floats(3, 4), ints(5, low=0, high=12))
sample("scatter", lambda t, x, i, v: x.scatter(1, i, v), floats(3, 5), np.array([[0, 2], [1, 3], [4, 0]]), floats(3, 2, seed=1))
sample("scatter", lambda t, x, i: x.scatter(1, i, 2.5), floats(3, 5), ints(3, 2, low=0, high=5))
sample("scatter_add", lambda t, x, i, v: x.scatter_add(1, i, v), floats(3, 5), ints(3, 2, low=0, high=5), floats(3, 2, seed=1))
for _reduce in ("sum", "prod", "mean", "amax", "amin"):
    for _own in (True, False):
        sample("scatter_reduce", lambda t, x, i, v, r=_reduce, own=_own: x.scatter_reduce(1, i, v, r, include_self=own), floats(3, 5), ints(3, 4, low=0, high=5), floats(3, 4, seed=1))
sample("index_select", lambda t, x, i: x.index_select(1, i), floats(3, 5), ints(4, low=0, high=5))
sample("index_add", lambda t, x, i, v: x.index_add(0, i, v, alpha=2), floats(3, 4), ints(5, low=0, high=3), floats(5, 4, seed=1))
sample("index_copy", written(lambda t, y, i, v: y.index_copy_(0, i, v)), floats(3, 4), np.array([2, 0]), floats(2, 4, seed=1))
sample("index_fill", written(lambda t, y, i: y.index_fill_(1, i, 3.0)), floats(3, 4), np.array([2, 0]))
sample("index_put", lambda t, x, i, v: x.index_put((i,), v, accumulate=True), floats(3, 4), ints(5, low=0, high=3), floats(5, 4, seed=1))
sample("nonzero", lambda t, x: t.nonzero(x), ints(3, 4, low=0, high=2), grad=False, trace=False)
sample("nonzero", lambda t, x: t.nonzero(x, as_tuple=True), ints(3, 4, low=0, high=2), grad=False, trace=False)

for _call in (
    lambda t: t.zeros(2, 3), lambda t: t.ones(2, dtype=t.int32), lambda t: t.full((2, 2), 1.5), lambda t: t.eye(3, 4),
    lambda t: t.arange(5), lambda t: t.arange(1, 2, 0.25), lambda t: t.linspace(0, 1, 5), lambda t: t.logspace(0, 2, 3),
    lambda t: t.full((2,), True), lambda t: t.arange(10, 0, -3), lambda t: t.tensor([[1, 2], [3, 4]]),
):
    sample("create", _call, grad=False)
for _name in ("zeros_like", "ones_like"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x), floats(2, 3), grad=False)
sample("fill", written(lambda t, y: y.fill_(2.0)), floats(2, 3), second=False)
sample("zero", written(lambda t, y: y[0].zero_()), floats(2, 3))
