"""Samples of copies with a view replaced, of copies of views, and of writes at positions."""

# A table: one sample a line.
# fmt: off

import warnings

import numpy as np

from tests.samples.rarer import complexes
from tests.samples.sample import bools, floats, ints, sample

# A view replaced ----------------------------------------------------------------------------

sample("select_scatter", lambda t, x, y: t.select_scatter(x, y, 0, 1), floats(3, 4), floats(4, seed=1))
sample("select_scatter", lambda t, x, y: x.select_scatter(y, -1, -2), floats(2, 3, 4, t=True), floats(2, 3, seed=1))
sample("select_scatter", lambda t, x, y: t.select_scatter(x, y, dim=0, index=2), floats(3), floats(seed=1))
sample("select_scatter", lambda t, x, y: t.select_scatter(x, y, 1, 0), floats(0, 2), floats(0))
sample("select_scatter", lambda t, x, y: t.select_scatter(x.expand(2, 3), y, 0, 1), floats(3), floats(3, seed=1))
sample("select_scatter", lambda t, x, y: t.select_scatter(x, y, 0, 1), ints(3, 4), floats(4), grad=False)
sample("select_scatter", lambda t, x, y: t.select_scatter(x[1:, ::2], y, 0, 1), floats(3, 4), floats(2, seed=1))
sample("slice_scatter", lambda t, x, y: t.slice_scatter(x, y, 0, 1), floats(3, 4), floats(2, 4, seed=1))
sample("slice_scatter", lambda t, x, y: x.slice_scatter(y, dim=1, start=-3, end=-1), floats(2, 4, t=True), floats(2, 2, seed=1))
sample("slice_scatter", lambda t, x, y: t.slice_scatter(x, y, 1, 0, 100, 2), floats(2, 5), floats(2, 3, seed=1))
sample("slice_scatter", lambda t, x, y: t.slice_scatter(x, y), floats(3), floats(3, seed=1))
sample("slice_scatter", lambda t, x, y: t.slice_scatter(x, y, 0, 2, 1), floats(3), floats(0))
sample("slice_scatter", lambda t, x, y: t.slice_scatter(x, y, 0, 1, 3), bools(4), bools(2, seed=1))
sample("diagonal_scatter", lambda t, x, y: t.diagonal_scatter(x, y), floats(3, 4), floats(3, seed=1))
sample("diagonal_scatter", lambda t, x, y: x.diagonal_scatter(y, 1), floats(3, 4, t=True), floats(3, seed=1))
sample("diagonal_scatter", lambda t, x, y: t.diagonal_scatter(x, y, offset=-1, dim1=2, dim2=0), floats(3, 2, 4), floats(2, 3, seed=1))
sample("diagonal_scatter", lambda t, x, y: t.diagonal_scatter(x, y, 9), floats(2, 2), floats(0))
sample("diagonal_scatter", lambda t, x, y: t.diagonal_scatter(x, y), complexes(2, 2), complexes(2, seed=3), second=False)
# PyTorch 2.13 gives ``input`` the gradient of the elements that were overwritten.
sample("as_strided_scatter", lambda t, x, y: t.as_strided_scatter(x, y, (2, 2), (1, 2)), floats(3, 4), floats(2, 2, seed=1), grad=False)
sample("as_strided_scatter", lambda t, x, y: x.as_strided_scatter(y, (2, 2), (4, 1), 3), floats(3, 4), floats(2, 2, seed=1), grad=False)
sample("as_strided_scatter", lambda t, x, y: t.as_strided_scatter(x[1:], y, (2,), (3,), 5), floats(3, 4), floats(2, seed=1), grad=False)
sample("as_strided_scatter", lambda t, x, y: t.as_strided_scatter(x, y, (), ()), floats(), floats(seed=1), grad=False)
sample("as_strided_scatter", lambda t, x, y: t.as_strided_scatter(x, y, (0,), (1,)), floats(3), floats(0), grad=False)
sample("as_strided_scatter", lambda t, x, y: t.as_strided_scatter(x, y, size=(2,), stride=(2,), storage_offset=1), ints(5), ints(2, seed=1), grad=False)

# Slices and elements at an index ------------------------------------------------------------

_AT = np.array([0, 2, 0])


def _index_reduce(t, *args, **options):
    """``index_reduce`` without PyTorch's warning that it may change."""
    if t.__name__ == "rushlight":
        return t.index_reduce(*args, **options)
    with warnings.catch_warnings(action="ignore"):
        return t.index_reduce(*args, **options)


for _reduce in ("prod", "mean", "amax", "amin"):
    sample("index_reduce", lambda t, x, y, i, r=_reduce: _index_reduce(t, x, 0, i, y, r), floats(3, 2), floats(3, 2, seed=1), _AT)
    sample("index_reduce", lambda t, x, y, i, r=_reduce: _index_reduce(t, x, -1, i, y, reduce=r, include_self=False),
           floats(2, 4, t=True), floats(2, 3, seed=1), _AT)
sample("index_reduce", lambda t, x, y, i: _index_reduce(t, x, 0, i, y, "mean"), ints(3, 2), ints(3, 2, seed=1), _AT)
sample("index_reduce", lambda t, x, y, i: _index_reduce(t, x, 0, i, y, "amax"), ints(3), ints(3, seed=1), _AT.astype(np.int32))
sample("index_reduce", lambda t, x, y, i: _index_reduce(t, x, 0, i, y, "prod"), floats(), floats(seed=1), np.array(0))
sample("index_reduce", lambda t, x, y, i: _index_reduce(t, x, 0, i, y, "amax", include_self=False), floats(3, 2), floats(0, 2), _AT[:0])
sample("put", lambda t, x, y, i: t.put(x, i, y), floats(2, 3), floats(2, seed=1), np.array([4, -6]))
sample("put", lambda t, x, y, i: x.put(i, y, accumulate=True), floats(2, 3, t=True), floats(3, seed=1), np.array([4, 1, 4]))
sample("put", lambda t, x, y, i: (x * 1).put_(i, y, True), floats(2, 3), floats(1, 3, seed=1), np.array([[4], [1], [-2]]))
sample("put", lambda t, x, y, i: t.put(x, i, y), floats(), floats(seed=1), np.array(0))
sample("put", lambda t, x, y, i: t.put(x, i, y), floats(0), floats(0), np.zeros(0, np.int64))
sample("put", lambda t, x, y, i: t.put(x, i, y), ints(4), ints(2), np.array([1, 3]))
for _name in ("fill_", "zero_", "index_put_"):
    _rest = {"fill_": (2.5,), "zero_": (), "index_put_": None}[_name]
    sample(_name, lambda t, x, y, n=_name, r=_rest: getattr(t, n)(x * y, *((t.tensor([1, 0]),), y) if r is None else r),
           floats(2, 3), floats(2, 3, seed=1))
sample("resize_as_", lambda t, x, y: t.resize_as_(x.detach().clone(), y), floats(6), floats(3, 2), grad=False, trace=False)
sample("detach_", lambda t, x: t.detach_(x * 2), floats(3), grad=False)

# Copies of views ----------------------------------------------------------------------------

_COPIES = {
    "alias": (), "detach": (), "as_strided": ((2, 2), (1, 2), 1), "diagonal": (1,), "expand": ((2, 3, 4),),
    "narrow": (0, 1, 2), "permute": ((1, 0),), "select": (1, -1), "slice": (1, 1, None, 2), "split": (2,),
    "split_with_sizes": ((1, 2), 0), "squeeze": (), "t": (), "transpose": (0, 1), "unbind": (1,), "unfold": (1, 2, 2),
    "unsqueeze": (-1,), "view": ((4, 3),),
}
for _name, _args in _COPIES.items():
    for _x in (floats(3, 4), floats(3, 4, t=True)):
        sample(f"{_name}_copy", lambda t, x, n=f"{_name}_copy", a=_args: getattr(t, n)(x, *a), _x, grad=_name != "detach")
sample("squeeze_copy", lambda t, x: t.squeeze_copy(x, (0, 2)), floats(1, 2, 1))
sample("slice_copy", lambda t, x: t.slice_copy(x), floats(0, 2))
sample("narrow_copy", lambda t, x: x.narrow_copy(1, -2, 1), ints(2, 3))
sample("view_copy", lambda t, x: t.view_copy(x, t.int32), floats(2, 3), grad=False)
sample("view_as_real_copy", lambda t, x: t.view_as_real_copy(x), complexes(3, 2), second=False)
sample("view_as_complex_copy", lambda t, x: t.view_as_complex_copy(x), floats(3, 2), grad=False)

# Parts and sums -----------------------------------------------------------------------------

sample("hsplit", lambda t, x: t.hsplit(x, 2), floats(3, 4))
sample("hsplit", lambda t, x: x.hsplit((1, 3)), floats(4))
sample("hsplit", lambda t, x: t.hsplit(x, indices=[3, 1]), floats(2, 4, t=True))
sample("vsplit", lambda t, x: t.vsplit(x, 3), floats(3, 2))
sample("vsplit", lambda t, x: t.vsplit(x, []), floats(0, 2))
sample("dsplit", lambda t, x: x.dsplit([1]), floats(2, 3, 4))
for _size in ((4,), (1, 4), (3, 1), (), (3, 4), (1, 1)):
    sample("sum_to_size", lambda t, x, s=_size: x.sum_to_size(*s) if s else x.sum_to_size(s), floats(3, 4))
sample("sum_to_size", lambda t, x: x.sum_to_size([3, 1, 2]), ints(2, 3, 4, 2, dtype=np.int32))
sample("sum_to_size", lambda t, x: x.sum_to_size(1), floats(0))
sample("to_dense", lambda t, x: x.to_dense(t.float64), floats(3))
