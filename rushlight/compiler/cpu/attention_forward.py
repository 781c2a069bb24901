"""Attention with a running softmax: each block of queries takes the keys in blocks.

Source: Milakov and Gimelshein 2018, alg. 3; Dao et al. 2022, alg. 1.
"""

from rushlight.compiler.codegen.frame import digits, kernel, least
from rushlight.compiler.codegen.loop import lift, loop
from rushlight.compiler.codegen.math.exponential import exp
from rushlight.compiler.cpu.attention_block import (
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
from rushlight.compiler.cpu.attention_change import Change

__all__ = ["emit", "sizes"]


def sizes(d, cut):
    """The numbers of elements of the panels in scratch memory.

    The panels are: rows, queries, results, largest scores, sums, slack, scores. ``Block.dot`` may
    write into the slack.
    """
    rows = cut.width * cut.padded(max(d.features, d.outputs))
    return (
        rows, cut.width * cut.padded(d.features), cut.width * cut.padded(d.outputs),
        cut.width, cut.width, cut.rows * cut.width,
        cut.width * (cut.padded(cut.block) + cut.rows),
    )  # fmt: skip


def emit(module, plan, sink):
    """As ``attention.emit``."""
    d, (cut, units, share) = plan.description, plan.choice
    b, args, chunk, scratch = kernel(module, plan.kernels[0].name)
    panels = carve(b, scratch, sizes(d, cut), cut.dtype.itemsize)
    blocks = -(-d.queries // cut.width)
    start = chunk * share
    with loop(b, start, least(start + share, units)) as unit:
        *batch, block = digits(lift(b, unit), (*d.batch, blocks))
        _Forward(b, d, cut, args, panels, batch, block * cut.width).run(sink)
    b.ret_void()


class _Forward:
    """Writes the computation of one block of queries."""

    def __init__(self, b, d, cut, args, panels, batch, first):
        self.b, self.d, self.cut, self.args = b, d, cut, args
        self.batch, self.first = batch, first
        self.rows, self.queries, self.results, self.top, self.sums, _, scores = panels
        self.block = Block(b, d, cut, scores, first)
        shapes = [(d.queries, d.features), (d.keys, d.features), (d.keys, d.outputs)]
        self.query, self.key, self.value = [
            Operand.of(b, args, i, batch, shape, d.strides[i], d.dtype)
            for i, shape in enumerate(shapes)
        ]
        self.mask = self.change = self.table = None
        if d.changed is not None:
            self.change = Change(b, d, cut, args, batch, first)
        if d.block is not None:
            self.table = Operand.table(b, args, 3, batch, d)
        if d.mask is not None:
            self.mask = Operand.of(b, args, 3, batch, (d.queries, d.keys), d.strides[3], d.mask)

    def run(self, sink):
        b, d, cut, block = self.b, self.d, self.cut, self.block
        copied(b, cut, self.query, self.first, self.rows, d.scale)
        turned(b, cut, self.rows, cut.width, cut.padded(d.features), self.queries)
        block.filled(self.results, 0, d.outputs, 0)
        block.filled(self.top, 0, 1, -INF)
        block.filled(self.sums, 0, 1, 0)
        keys = least(self.first + cut.width, d.keys) if d.causal else d.keys
        with loop(b, 0, keys, cut.block) as start:
            count = least(keys - start, cut.block)
            with block.where_seen(self.table, start, count):
                self._meet(start, count)
        self._finish(sink)

    def _meet(self, start, count):
        """Update the running softmax and the results with ``count`` keys from ``start`` on."""
        b, cut, block = self.b, self.cut, self.block
        block.dot(self.key, self.queries, block.scores, start, count)
        block.hide(self.mask, start, count, self.change)
        before = [block.read(self.top, 0, j) for j in block.vectors]
        largest = block.largest(count, before)
        factors = [
            exp(x - block.shift(y)) for x, y in zip(before, largest, strict=True)
        ]  # fmt: skip
        sums = [block.read(self.sums, 0, j) * f for j, f in enumerate(factors)]
        sums = block.weigh(count, largest, sums)
        for j in block.vectors:
            block.write(largest[j], self.top, 0, j)
            block.write(sums[j], self.sums, 0, j)
        if not isinstance(start, int):
            with b.if_then((start > 0).v):
                self._scale(factors)
        tile = cut.tile(height(self.d.outputs, cut.rows))
        left = self.value.place(b, start), self.value.column, self.value.row
        multiply(b, tile, left, (block.scores, cut.width), (self.results, cut.width),
                 self.d.outputs, count, adding=True)  # fmt: skip

    def _scale(self, factors):
        """Multiply the results by a factor for each query."""
        block = self.block
        with loop(self.b, 0, self.d.outputs) as i:
            for j, factor in enumerate(factors):
                block.write(block.read(self.results, i, j) * factor, self.results, i, j)

    def _finish(self, sink):
        b, d, cut, block = self.b, self.d, self.cut, self.block
        self._scale([block.share(block.read(self.sums, 0, j)) for j in block.vectors])
        turned(b, cut, self.results, cut.padded(d.outputs), cut.width, self.rows)
        count = least(lift(b, d.queries) - self.first, cut.width)

        def give(i, j, value, mask):
            indices = [lift(b, n).v for n in (*self.batch, self.first + i, j)]
            sink(b, self.args, indices, value, mask)

        drain(b, cut, self.rows, count, d.outputs, give)
