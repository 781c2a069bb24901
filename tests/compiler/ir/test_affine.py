"""Index arithmetic: what an affine index says is what NumPy's indices say."""

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushlight.compiler.ir.affine import (
    Affine,
    Var,
    composed,
    flat,
    refinement,
    strides_of,
    unravel,
)  # fmt: skip

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


def values(affine, variables):
    """What ``affine`` is for all values of the variables, in C order."""
    ranges = [range(v.extent) for v in variables]
    return [
        affine.offset + sum(affine.terms.get(v, 0) * n for v, n in zip(variables, at, strict=True))
        for at in product(*ranges)
    ]


@given(shapes, shapes)
def test_unravel_is_exact_or_refuses(domain, shape):
    if prod(domain) != prod(shape):
        shape = (prod(domain),)
    variables = [Var(n) for n in domain]
    position = flat([Affine(0, {v: 1}) for v in variables], strides_of(domain))
    index = unravel(position, shape)
    if index is None:
        return
    want = np.unravel_index(range(prod(shape)), shape)
    for affine, numbers in zip(index, want, strict=True):
        assert values(affine, variables) == list(numbers)


def test_unravel_refuses_what_wraps():
    v = Var(6)
    assert unravel(Affine(0, {v: 1}), (2, 3)) is None
    assert unravel(Affine(5, {v: 1}), (6,)) is None


@pytest.mark.parametrize(
    ("extents", "shape", "want"),
    [
        ((8, 576), (8, 24, 24), (8, 24, 24)),
        ((6,), (2, 3), (2, 3)),
        ((4, 6), (6, 4), None),
        ((2, 3), (7,), None),
        ((), (), ()),
    ],
)
def test_refinement(extents, shape, want):
    assert refinement(extents, shape) == want


@given(st.data())
def test_views_of_views(data):
    shape = data.draw(shapes)
    order = data.draw(st.permutations(range(len(shape))))
    turn = lambda x: x.transpose(order)
    start = data.draw(st.integers(0, turn(np.empty(shape)).shape[0] - 1))
    cut = lambda x: x[start:]
    between = turn(np.empty(shape)).shape
    final = cut(np.empty(between)).shape
    offset, strides = composed(_map(cut, between), final, _map(turn, shape), between)
    x = np.arange(prod(shape)).reshape(shape)
    steps = [s * x.itemsize for s in strides]
    got = np.lib.stride_tricks.as_strided(x.ravel()[offset:], final, steps)
    np.testing.assert_array_equal(got, cut(turn(x)))


def _map(view, shape):
    """(offset, strides) of a view in the C order of an array of ``shape``."""
    x = np.empty(shape, np.uint8)
    out = view(x)
    return out.ctypes.data - x.ctypes.data, out.strides
