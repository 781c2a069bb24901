"""Kernels of ``ops/windows/grid_sample.py``: sums over the taps of points, for images of any size.

All have the same operands, of which one is the result: images (N, C, S), points (N, C, P), and the
weight and the place of each tap (N, K, P). A place below 0 is outside of the image.
"""

from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.memory import gather, load, store
from rushlight.compiler.codegen.scope import POINTER, Loop, i64, in_vectors, table_function
from rushlight.compiler.codegen.value import Value, constant, ir_type, select, splat
from rushlight.compiler.cpu.loader import load as loaded
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache as code_cache

__all__ = ["phi", "run", "taken"]

_INDEX = np.dtype(np.int64)


def run(work, images, points, weight, index):
    """Fill the result of ``work``, the name of one of ``_WORKS``.

    ``images`` and ``points`` are contiguous; ``weight`` and ``index`` along their last dim.
    """
    strides = [s // a.itemsize for a in (weight, index) for s in a.strides[:2]]
    places = [address(np.asarray(a)) for a in (images, points, weight, index)]
    words = [*images.shape, *index.shape[1:], *strides, *places]
    table = np.array(words, np.int64)
    _kernel(work, images.dtype)(address(table))


@cache
def _kernel(work, dtype):
    code = code_cache.object_code(f"taps 1 {work} {dtype}", lambda: _module(work, dtype))
    library = loaded(code)
    return library.function("kernel")


def _module(work, dtype):
    module = ir.Module("taps")
    b, words = table_function(module, 13)
    _WORKS[work](_Taps(b, words, dtype), b)
    b.ret_void()
    return str(module)


class _Taps:
    """The operands, and the loops over them."""

    def __init__(self, b, words, dtype):
        self.n, self.c, self.s, self.k, self.p = words[:5]
        self.strides = words[5:7], words[7:9]
        self.bases = [b.inttoptr(w, POINTER) for w in words[9:]]
        self.dtype = dtype

    def image(self, b, n, c):
        """The address of an image."""
        return self._at(b, 0, self.dtype, b.mul(b.add(b.mul(n, self.c), c), self.s))

    def point(self, b, n, c, p):
        return self._at(b, 1, self.dtype, b.add(b.mul(b.add(b.mul(n, self.c), c), self.p), p))

    def weight(self, b, n, k, p):
        return self._at(b, 2, self.dtype, self._place(b, 0, n, k, p))

    def index(self, b, n, k, p, lanes):
        """The places of a tap of ``lanes`` points, and which of these are inside."""
        at = self._at(b, 3, _INDEX, self._place(b, 1, n, k, p))
        found = load(b, at, _INDEX, lanes)
        return found, found >= constant(b, 0, _INDEX)

    def _place(self, b, which, n, k, p):
        of_n, of_k = self.strides[which]
        return b.add(b.add(b.mul(n, of_n), b.mul(k, of_k)), p)

    def _at(self, b, operand, dtype, place):
        return b.gep(self.bases[operand], [place], source_etype=ir_type(dtype))

    def over_points(self, b, work):
        """``work(b, p, lanes)`` for vectors of points, and then for each of the rest."""
        in_vectors(b, self.p, host().vector_bytes // self.dtype.itemsize, work)

    def total(self, b, count, lanes, term):
        """The sum of ``term(b, i)`` for i below ``count``."""
        zero = splat(constant(b, -0.0, self.dtype), lanes)  # -0 + x is x, for -0, too
        loop = Loop(b, i64(0), count)
        found, add = phi(loop, zero)
        add(found + term(loop.b, loop.i))
        loop.close()
        return Value(b, found.v, self.dtype)


def taken(b, image, at, inside, dtype):
    """The elements of an image at the places, 0 outside."""
    if at.lanes > 1:
        return gather(b, image, at, dtype, inside)
    return load(b, b.gep(image, [at.v], source_etype=ir_type(dtype)), dtype, 1, inside)


def phi(loop, first):
    """(a Value that is ``first`` in the first turn of a loop, a function that sets the next one).

    The function is to be called at the end of the loop's body.
    """
    head = ir.IRBuilder(loop.header)
    head.position_at_start(loop.header)
    found = head.phi(first.v.type)
    found.add_incoming(first.v, loop.outer.block)
    following = lambda value: found.add_incoming(value.v, loop.b.block)
    return Value(loop.b, found, first.dtype), following


def _over(b, *counts):
    """Nested loops: their counters, the innermost builder, and the loops from within."""
    loops: list = []
    for count in counts:
        loops.insert(0, Loop(loops[0].b if loops else b, i64(0), count))
    return [loop.i for loop in reversed(loops)], loops[0].b, loops


def _gathered(t, b):
    """points = the sums over the taps of weight · image."""
    (n,), inner, loops = _over(b, t.n)

    def work(b, p, lanes):
        channels = Loop(b, i64(0), t.c)
        b, c = channels.b, channels.i
        image = t.image(b, n, c)

        def term(b, k):
            at, inside = t.index(b, n, k, p, lanes)
            weight = load(b, t.weight(b, n, k, p), t.dtype, lanes)
            share = taken(b, image, at, inside, t.dtype) * weight
            return select(inside, share, splat(constant(b, 0, t.dtype), lanes))

        store(b, t.total(b, t.k, lanes, term), t.point(b, n, c, p), t.dtype)
        channels.close()

    t.over_points(inner, work)
    for loop in loops:
        loop.close()


def _dotted(t, b):
    """weight = the sums over the channels of points · image."""
    (n, k), inner, loops = _over(b, t.n, t.k)

    def work(b, p, lanes):
        at, inside = t.index(b, n, k, p, lanes)

        def term(b, c):
            point = load(b, t.point(b, n, c, p), t.dtype, lanes)
            return taken(b, t.image(b, n, c), at, inside, t.dtype) * point

        found = t.total(b, t.c, lanes, term)
        store(b, found, t.weight(b, n, k, p), t.dtype)

    t.over_points(inner, work)
    for loop in loops:
        loop.close()


def _scattered(t, b):
    """images += weight · points at the places."""
    (n, c, p, k), inner, loops = _over(b, t.n, t.c, t.p, t.k)
    at, inside = t.index(inner, n, k, p, 1)
    with inner.if_then(inside.v):
        place = inner.gep(t.image(inner, n, c), [at.v], source_etype=ir_type(t.dtype))
        share = load(inner, t.weight(inner, n, k, p), t.dtype, 1)
        share = share * load(inner, t.point(inner, n, c, p), t.dtype, 1)
        store(inner, load(inner, place, t.dtype, 1) + share, place, t.dtype)
    for loop in loops:
        loop.close()


_WORKS = {"gathered": _gathered, "dotted": _dotted, "scattered": _scattered}
