"""The gradients of attention: a block of queries at a time has its weights for all keys.

A chunk has whole heads: the gradients of keys and values are sums over queries, in one order.
"""

from math import prod

from rushlight.compiler.emit.attention_block import (
    INF,
    Block,
    Operand,
    carve,
    copied,
    drain,
    height,
    multiply,
    turned,
)
from rushlight.compiler.emit.frame import digits, kernel, least, offset
from rushlight.compiler.emit.loop import address, carried, lift, loop
from rushlight.compiler.emit.memory import store
from rushlight.compiler.emit.value import constant

__all__ = ["emit", "sizes"]


def sizes(d, cut):
    """Elements of the panels.

    They are: query and gradient by rows, both turned, the gradient of query turned; for all keys
    slack, weights, slack, their slopes, the gradients of key and value.
    """
    features, outputs = cut.padded(d.features), cut.padded(d.outputs)
    slack, scores = cut.rows * cut.width, (cut.padded(d.keys) + cut.most) * cut.width
    keys = d.keys + cut.most
    by_row = [cut.width * features, cut.width * outputs]
    return (*by_row, *by_row, cut.width * features, slack, scores, slack, scores,
            keys * features, keys * outputs)  # fmt: skip


def emit(module, plan, sink):
    """As ``attention.emit``."""
    d, (cut, units, share) = plan.description, plan.choice
    b, args, chunk, scratch = kernel(module, plan.kernels[0].name)
    panels = carve(b, scratch, sizes(d, cut), cut.dtype.itemsize)
    start = chunk * share
    with loop(b, start, least(b, start + share, units)) as unit:
        _Head(b, d, cut, args, panels, digits(lift(b, unit), (*d.batch, 1))[:-1], unit).run(sink)
    b.ret_void()


class _Head:
    """Writes the computation of the gradients of one batch index."""

    def __init__(self, b, d, cut, args, panels, batch, unit):
        self.b, self.d, self.cut, self.args = b, d, cut, args
        self.batch, self.unit = batch, unit
        self.query_rows, self.slope_rows, self.queries, self.slopes, self.to_query = panels[:5]
        self.weights, self.to_scores, self.to_key, self.to_value = (
            panels[i] for i in (6, 8, 9, 10)
        )
        queries, keys = (d.queries, d.features), (d.keys, d.features)
        shapes = [(d.queries, d.outputs), queries, keys, (d.keys, d.outputs)]
        self.slope, self.query, self.key, self.value = [
            Operand.of(b, args, i, batch, shape, d.strides[i], d.dtype)
            for i, shape in enumerate(shapes)
        ]
        self.mask = None
        if d.mask is not None:
            self.mask = Operand.of(b, args, 4, batch, (d.queries, d.keys), d.strides[4], d.mask)

    def run(self, sink):
        b, d, cut = self.b, self.d, self.cut
        widths = cut.padded(d.features), cut.padded(d.outputs)
        for panel, width in zip((self.to_key, self.to_value), widths, strict=True):
            with loop(b, 0, d.keys * width, cut.lanes) as i:
                zeros = constant(b, 0, cut.dtype, cut.lanes)
                store(b, zeros, address(b, panel, i, cut.dtype.itemsize), cut.dtype)
        with loop(b, 0, d.queries, cut.width) as first:
            self._meet(first, sink)
        keys, features = prod(d.batch) * d.keys, d.features
        start = prod(d.batch) * d.queries * features
        self._give(sink, self.to_key, 0, d.keys, features, start, d.keys)
        self._give(sink, self.to_value, 0, d.keys, d.outputs, start + keys * features, d.keys)

    def _give(self, sink, panel, first, rows, columns, start, each, factor=None):
        """Give rows of a gradient away, of which a batch index has ``each``."""

        def give(i, j, value, mask):
            place = offset((self.unit, first + i, j), (each * columns, columns, 1)) + start
            value = value if factor is None else value * factor
            sink(self.b, self.args, [lift(self.b, place).v], value, mask)

        drain(self.b, self.cut, panel, rows, columns, give)

    def _meet(self, first, sink):
        """Take a block of queries into account."""
        b, d, cut = self.b, self.d, self.cut
        keys = least(b, first + cut.width, d.keys) if d.causal else d.keys
        count = least(b, lift(b, d.queries) - first, cut.width)
        copied(b, cut, self.query, first, self.query_rows, d.scale)
        turned(b, cut, self.query_rows, cut.width, cut.padded(d.features), self.queries)
        copied(b, cut, self.slope, first, self.slope_rows)
        turned(b, cut, self.slope_rows, cut.width, cut.padded(d.outputs), self.slopes)
        self._weigh(first, keys)
        tile = cut.tile(height(d.features, cut.rows))
        left = self.key.pointer, self.key.column, self.key.row
        multiply(b, tile, left, (self.to_scores, cut.width), (self.to_query, cut.width),
                 d.features, keys)  # fmt: skip
        self._add(self.to_scores, self.query_rows, self.to_key, d.features, keys, count)
        self._add(self.weights, self.slope_rows, self.to_value, d.outputs, keys, count)
        turned(b, cut, self.to_query, cut.padded(d.features), cut.width, self.query_rows)
        self._give(sink, self.query_rows, first, count, d.features, 0, d.queries, d.scale)

    def _weigh(self, first, keys):
        """The weights of a block of queries, and the gradients of its scores."""
        b, cut = self.b, self.cut
        block = Block(b, self.d, cut, self.weights, first)
        block.dot(self.key, self.queries, self.weights, 0, keys)
        block.dot(self.value, self.slopes, self.to_scores, 0, keys)
        block.hide(self.mask, 0, keys)
        number = lambda x: constant(b, x, cut.dtype, cut.lanes)
        largest = block.largest(keys, [number(-INF)] * cut.vectors)
        sums = block.weigh(keys, largest, [number(0)] * cut.vectors)
        shares = [block.share(x) for x in sums]
        read = lambda k: [
            (block.read(self.weights, k, j), block.read(self.to_scores, k, j))
            for j in block.vectors
        ]
        step = lambda k, sums: [x + w * s for x, (w, s) in zip(sums, read(k), strict=True)]
        means = carried(b, 0, keys, [number(0)] * cut.vectors, step)
        means = [x * share for x, share in zip(means, shares, strict=True)]
        with loop(b, 0, keys) as k:
            for j, (w, s) in enumerate(read(k)):
                weight = w * shares[j]
                block.write(weight, self.weights, k, j)
                block.write(weight * (s - means[j]), self.to_scores, k, j)
        # Tiles go on past the last key: what they add there must be nothing.
        end = lift(b, keys)
        block.filled(self.weights, end, end + cut.most, 0)
        block.filled(self.to_scores, end, end + cut.most, 0)

    def _add(self, weights, rows, to, columns, keys, count):
        """to[k] += Σ_q weights[k, q] · rows[q]."""
        b, cut = self.b, self.cut
        pitch = cut.padded(columns)
        for start in range(0, pitch // cut.lanes, cut.widest):
            vectors = min(cut.widest, pitch // cut.lanes - start)
            tile = cut.tile(cut.tall(vectors), vectors)
            part = [address(b, x, start * cut.lanes, cut.dtype.itemsize) for x in (rows, to)]
            multiply(b, tile, (weights, cut.width, 1), (part[0], pitch), (part[1], pitch),
                     lift(b, keys), count, adding=True)  # fmt: skip
