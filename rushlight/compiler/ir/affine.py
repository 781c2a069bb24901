"""Index arithmetic: affine functions of loop variables, and views as maps between index spaces."""

from itertools import pairwise
from math import prod

import numpy as np

from rushlight.backend import numpy as xp

__all__ = [
    "ZERO", "Affine", "Var", "broadcast", "composed", "flat", "refinement", "strides_of", "unravel",
    "path_map", "view_map",
]  # fmt: skip


class Var:
    """A loop variable: it runs from 0 to ``extent - 1``."""

    __slots__ = ("extent",)

    def __init__(self, extent):
        self.extent = extent


class Affine:
    """``offset + Σ factor · variable``."""

    __slots__ = ("offset", "terms")

    def __init__(self, offset=0, terms=None):
        self.offset = offset
        self.terms = terms or {}

    def __eq__(self, other):
        return self.offset == other.offset and self.terms == other.terms

    __hash__ = None  # type: ignore[assignment]

    def plus(self, other, factor=1):
        """``self + factor · other``."""
        if not factor:
            return self
        terms = dict(self.terms)
        for var, c in other.terms.items():
            total = terms.get(var, 0) + factor * c
            if total:
                terms[var] = total
            else:
                del terms[var]
        return Affine(self.offset + factor * other.offset, terms)

    def bounds(self):
        """The least and the largest value."""
        low = high = self.offset
        for var, c in self.terms.items():
            if c > 0:
                high += c * (var.extent - 1)
            else:
                low += c * (var.extent - 1)
        return low, high

    def replaced(self, old, new):
        """``self`` with the affine function ``new`` substituted for the variable ``old``."""
        c = self.terms.get(old)
        if c is None:
            return self
        rest = {v: f for v, f in self.terms.items() if v is not old}
        return Affine(self.offset, rest).plus(new, c)


ZERO = Affine()


def strides_of(shape):
    """The strides, in elements, of a contiguous array of ``shape``."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def flat(index, strides, offset=0):
    """``offset + Σ index · stride``: the position in memory of the element at ``index``."""
    position = Affine(offset)
    for i, s in zip(index, strides, strict=True):
        position = position.plus(i, s)
    return position


def unravel(position, shape):
    """The index of the element at ``position`` in the C order of ``shape``.

    None if no affine index is found.
    """
    index, offset = [], position.offset
    terms = {v: c for v, c in position.terms.items() if v.extent > 1}
    for n, stride in zip(shape, strides_of(shape), strict=True):
        if n == 1:
            index.append(ZERO)
            continue
        q, offset = divmod(offset, stride)
        part = {}
        for var, c in terms.items():
            whole = int(c / stride) if c else 0
            if whole:
                part[var] = whole
                terms[var] = c - whole * stride
        i = Affine(q, part)
        low, high = i.bounds()
        if low < 0 or high >= n:
            return None
        index.append(i)
    if offset or any(terms.values()):
        return None
    return tuple(index)


def composed(view, shape, before, before_shape):
    """The (offset, strides) of a view of a view, or None if offset and strides cannot express it.

    Args:
        view: (offset, strides) of the result in the C order of the value in between.
        shape: The shape of the result.
        before: (offset, strides) of the value in between.
        before_shape: The shape of the value in between.
    """
    variables = [Var(n) for n in shape]
    index = [Affine(0, {v: 1}) for v in variables]
    index = unravel(flat(index, view[1], view[0]), before_shape)
    if index is None:
        return None
    place = flat(index, before[1], before[0])
    return place.offset, tuple([place.terms.get(v, 0) for v in variables])


def broadcast(index, shape):
    """The index at which an operand of ``shape`` is read for the result's element at ``index``."""
    kept = index[len(index) - len(shape) :]
    return tuple([ZERO if n == 1 else i for n, i in zip(shape, kept, strict=True)])


def refinement(extents, shape):
    """The coarsest extents that can be joined to ``extents`` and also to ``shape``.

    Neighbouring extents are joined by multiplication. None if the two do not nest.

    >>> refinement((8, 576), (8, 24, 24))
    (8, 24, 24)
    """
    if prod(extents) != prod(shape):
        return None
    cuts = sorted(set(_cuts(extents)) | set(_cuts(shape)))
    found = []
    for inner, outer in pairwise(cuts):
        if outer % inner:
            return None
        found.append(outer // inner)
    return tuple(reversed(found))


def _cuts(extents):
    """The products of the last extents: 1, the last, the last two, …"""
    step = 1
    yield step
    for n in reversed(extents):
        step *= n
        yield step


def view_map(equation):
    """(offset, strides) of a view equation: where its elements lie in the C order of its input."""
    x, *others = equation.ins
    return path_map(x.shape, [(equation.op, others, equation.params)])[:2]


def path_map(shape, path):
    """(offset, strides, shape) of the view that the view operations of ``path`` end in.

    They start from a value of ``shape``. Offset and strides count elements in its C order.
    """
    out = base = np.empty(shape, np.uint8)
    for op, args, params in path:
        out = op.forward(xp, out, *args, **params)
    if not out.size or not shape:  # a view of a single element may be a copy in NumPy
        return 0, (0,) * out.ndim, out.shape
    offset = out.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return offset, out.strides, out.shape
