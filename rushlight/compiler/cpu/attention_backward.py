"""The gradients of attention, computed for one block of queries after the other.

For each block the kernel computes the attention weights of all keys. The gradients of keys and
values are sums over the queries of a head. A unit of work sums a whole head. If there are few
heads, it sums only a part of a head, and a second kernel adds up the parts.
"""

from math import prod

from rushlight.compiler.codegen.frame import digits, entry, kernel, least, offset, quotient
from rushlight.compiler.codegen.loop import address, carried, lift, loop
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.value import constant
from rushlight.compiler.cpu import costs
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
from rushlight.compiler.cpu.attention_change import Change, has_slope

__all__ = ["emit", "pieces", "sizes", "sums"]


def sizes(d, cut):
    """The numbers of elements of the panels in scratch memory.

    The panels are, in this order: a block's queries and result gradients by rows; both transposed;
    the transposed gradient of the queries; then, for all keys: slack, weights, slack, gradients of
    the scores; the slopes of changed scores, if there are any; the gradients of key and value.
    ``Block.dot`` may write into the slack.
    """
    features, outputs = cut.padded(d.features), cut.padded(d.outputs)
    slack, scores = cut.rows * cut.width, (cut.padded(d.keys) + cut.most) * cut.width
    by_row = [cut.width * features, cut.width * outputs]
    changed = scores if has_slope(d) else 0
    panels = slack, scores, slack, scores, changed
    return (*by_row, *by_row, cut.width * features, *panels, *sums(d, cut))


def sums(d, cut):
    """The numbers of elements of the gradients of key and value, in whole vectors and tiles."""
    return [(d.keys + cut.most) * cut.padded(n) for n in (d.features, d.outputs)]


def emit(module, plan, sink):
    """As ``attention.emit``."""
    d, (cut, units, share) = plan.description, plan.choice
    size = cut.dtype.itemsize
    b, args, chunk, scratch = kernel(module, plan.kernels[0].name)
    panels = carve(b, scratch, sizes(d, cut), size)
    start = chunk * share
    with loop(b, start, least(start + share, units)) as unit:
        if cut.parts > 1:
            apart = address(b, entry(b, args, d.arguments), unit * sum(sums(d, cut)), size)
            panels[-2:] = carve(b, apart, sums(d, cut), size)
        head = _Head(b, d, cut, args, panels, lift(b, unit))
        head.run(sink)
        if cut.parts == 1:
            head.give_sums(sink)
    b.ret_void()
    if cut.parts > 1:
        _add_parts(module, plan, sink)


def _add_parts(module, plan, sink):
    """Write the kernel that adds up the sums of each head's parts."""
    d, (cut, _, _) = plan.description, plan.choice
    size, whole = cut.dtype.itemsize, sum(sums(d, cut))
    b, args, chunk, _ = kernel(module, plan.kernels[1].name)
    unit, piece = digits(chunk, (prod(d.batch), pieces(d)))
    first = lift(b, piece) * costs.KEYS_ADDED
    found = address(b, entry(b, args, d.arguments), unit * (cut.parts * whole), size)
    count = least(lift(b, d.keys) - first, costs.KEYS_ADDED)
    for which, panel in zip((1, 2), carve(b, found, sums(d, cut), size), strict=True):
        columns = (d.features, d.outputs)[which - 1]
        top = address(b, panel, first * cut.padded(columns), size)

        def add(at, value):
            step = lambda part, sums: [sums[0] + load(b, address(b, at, part * whole, size),
                                                      cut.dtype, cut.lanes)]  # fmt: skip
            return carried(b, 1, cut.parts, [value], step)[0]

        give = _giving(b, d, args, sink, unit, which, first)
        drain(b, cut, top, count, columns, give, add)
    b.ret_void()


def pieces(d):
    """The number of chunks in which the second kernel adds up a head's sums."""
    return -(-d.keys // costs.KEYS_ADDED)


def _giving(b, d, args, sink, unit, which, first, factor=None):
    """Return ``give(i, j, value, mask)``, which passes rows from ``first`` on to the sink.

    ``which`` is 0 for the query's gradient, 1 for the key's and 2 for the value's. The three
    gradients lie one after the other, each for all heads.
    """
    shapes = [(d.queries, d.features), (d.keys, d.features), (d.keys, d.outputs)]
    start = prod(d.batch) * sum([prod(shape) for shape in shapes[:which]])
    rows, columns = shapes[which]

    def give(i, j, value, mask):
        place = offset((unit, first + i, j), (rows * columns, columns, 1)) + start
        value = value if factor is None else value * factor
        sink(b, args, [lift(b, place).v], value, mask)

    return give


class _Head:
    """Writes the computation of the gradients of one head, or of one part of it."""

    def __init__(self, b, d, cut, args, panels, unit):
        self.b, self.d, self.cut, self.args = b, d, cut, args
        *batch, self.part = digits(unit, (*d.batch, cut.parts))
        self.batch = batch
        self.unit = quotient(b, unit, cut.parts)
        self.query_rows, self.slope_rows, self.queries, self.slopes, self.to_query = panels[:5]
        _, self.weights, _, self.to_scores, self.changes, self.to_key, self.to_value = panels[5:]
        queries, keys = (d.queries, d.features), (d.keys, d.features)
        shapes = [(d.queries, d.outputs), queries, keys, (d.keys, d.outputs)]
        self.slope, self.query, self.key, self.value = [
            Operand.of(b, args, i, batch, shape, d.strides[i], d.dtype)
            for i, shape in enumerate(shapes)
        ]
        self.mask = self.table = None
        if d.block is not None:
            self.table = Operand.table(b, args, 4, batch, d)
        if d.mask is not None:
            self.mask = Operand.of(b, args, 4, batch, (d.queries, d.keys), d.strides[4], d.mask)

    def run(self, sink):
        b, d, cut = self.b, self.d, self.cut
        widths = cut.padded(d.features), cut.padded(d.outputs)
        for panel, width in zip((self.to_key, self.to_value), widths, strict=True):
            with loop(b, 0, d.keys * width, cut.lanes) as i:
                zeros = constant(b, 0, cut.dtype, cut.lanes)
                store(b, zeros, address(b, panel, i, cut.dtype.itemsize), cut.dtype)
        with loop(b, self.part * cut.width, d.queries, cut.parts * cut.width) as first:
            self._meet(first, sink)

    def give_sums(self, sink):
        """Pass the finished gradients of keys and values to the sink."""
        b, d = self.b, self.d
        for which, panel in zip((1, 2), (self.to_key, self.to_value), strict=True):
            give = _giving(b, d, self.args, sink, self.unit, which, 0)
            drain(b, self.cut, panel, d.keys, (d.features, d.outputs)[which - 1], give)

    def _meet(self, first, sink):
        """Compute the gradients of the block of queries from ``first`` on, and add to the sums."""
        b, d, cut = self.b, self.d, self.cut
        block = Block(b, d, cut, self.weights, first)
        start, keys = 0, least(first + cut.width, d.keys) if d.causal else d.keys
        if self.table is not None:
            start, keys = block.span(self.table, keys)
        count = least(lift(b, d.queries) - first, cut.width)
        copied(b, cut, self.query, first, self.query_rows, d.scale)
        turned(b, cut, self.query_rows, cut.width, cut.padded(d.features), self.queries)
        copied(b, cut, self.slope, first, self.slope_rows)
        turned(b, cut, self.slope_rows, cut.width, cut.padded(d.outputs), self.slopes)
        self._weigh(block, start, keys)
        tile = cut.tile(height(d.features, cut.rows))
        left = self.key.place(b, start), self.key.column, self.key.row
        multiply(b, tile, left, (self.to_scores, cut.width), (self.to_query, cut.width),
                 d.features, keys)  # fmt: skip
        from_start = lambda to, n: address(b, to, start * cut.padded(n), cut.dtype.itemsize)
        to_key, to_value = from_start(self.to_key, d.features), from_start(self.to_value, d.outputs)
        self._add(self.to_scores, self.query_rows, to_key, d.features, keys, count)
        self._add(self.weights, self.slope_rows, to_value, d.outputs, keys, count)
        turned(b, cut, self.to_query, cut.padded(d.features), cut.width, self.query_rows)
        give = _giving(b, d, self.args, sink, self.unit, 0, first, d.scale)
        drain(b, cut, self.query_rows, count, d.features, give)

    def _weigh(self, block, start, keys):
        """Compute the weights of ``keys`` keys from ``start`` on, and the scores' gradients."""
        b, cut = self.b, self.cut
        change, slopes = None, self.changes if has_slope(self.d) else None
        if self.d.changed is not None:
            change = Change(b, self.d, cut, self.args, self.batch, block.first)
        block.dot(self.key, self.queries, self.weights, start, keys)
        block.dot(self.value, self.slopes, self.to_scores, start, keys)
        block.hide(self.mask, start, keys, change, slopes)
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
                slope = weight * (s - means[j])
                if slopes is not None:
                    slope = slope * block.read(slopes, k, j)
                block.write(slope, self.to_scores, k, j)
        # The last tile reaches past the last key. Its rows there are zeros, so they add nothing.
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
