"""A block of queries and its scores, stored transposed: a row for each key, a lane for each query.

The whole softmax of a query is therefore computed in the query's lane. The products read keys and
values element by element, so these stay in place and may have any strides. Only the queries are
copied (and, for the gradients, the result's gradient).
"""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.compiler.codegen.frame import entry, least, offset, quotient, row_end, tail
from rushlight.compiler.codegen.loop import address, carried, lift, loop
from rushlight.compiler.codegen.math.exponential import exp
from rushlight.compiler.codegen.memory import iota, load, store
from rushlight.compiler.codegen.value import Value, constant, select, splat
from rushlight.compiler.cpu.microkernel import Tile, tile_function, transposed
from rushlight.compiler.cpu.packing import turn_panel

__all__ = [
    "AttentionTiling", "Block", "Operand", "carve", "copied", "drain", "height", "multiply",
    "turned",
]  # fmt: skip

INF = float("inf")
_I32 = np.dtype(np.int32)


@dataclass(frozen=True)
class AttentionTiling:
    """How the work is cut: blocks of ``vectors`` vectors of queries by at most ``block`` keys.

    Attributes:
        parts: The number of parts into which the queries of a head are cut. Each part has its own
            sums for the gradients of keys and values.
    """

    dtype: np.dtype
    lanes: int
    registers: int
    vectors: int
    block: int
    parts: int
    fma: bool

    #: The most rows of a tile, and the most vectors in a row.
    most = 14
    widest = 4

    @property
    def width(self):
        """The number of queries in a block."""
        return self.vectors * self.lanes

    @property
    def rows(self):
        """The most rows of a tile that is as wide as a block."""
        return self.tall(self.vectors)

    def tall(self, vectors):
        """The most rows of a tile that is ``vectors`` vectors wide."""
        return min(self.most, (self.registers - 1 - vectors) // vectors)

    def tile(self, rows, vectors=None):
        return Tile(rows, vectors or self.vectors, self.lanes, self.dtype, self.fma)

    def padded(self, n):
        """``n`` rounded up to whole vectors."""
        return -(-n // self.lanes) * self.lanes


@dataclass(frozen=True)
class Operand:
    """One matrix of an operand: its address, its shape, its element strides and its dtype."""

    pointer: Any
    rows: int
    columns: int
    row: int
    column: int
    dtype: np.dtype

    @classmethod
    def of(cls, b, args, position, batch, shape, strides, dtype):
        """The matrix of ``args[position]`` at the indices ``batch``."""
        place = offset(batch, strides[:-2])
        pointer = address(b, entry(b, args, position), place, dtype.itemsize)
        rows, columns = shape
        return cls(pointer, rows, columns, strides[-2], strides[-1], dtype)

    @classmethod
    def table(cls, b, args, position, batch, d):
        """The table of blocks, see ``Attention.block``."""
        down, right = d.block
        shape = -(-d.queries // down), -(-d.keys // right)
        return cls.of(b, args, position, batch, shape, d.strides[position], np.dtype(bool))

    def place(self, b, row, column=0):
        """The address of an element."""
        return address(b, self.pointer, row * self.row + column * self.column, self.dtype.itemsize)


def carve(b, scratch, sizes, itemsize):
    """The addresses of panels of these sizes (in elements), one after the other in ``scratch``."""
    found, at = [], 0
    for size in sizes:
        found.append(address(b, scratch, at, itemsize))
        at += size
    return found


# Copies -----------------------------------------------------------------------------------


def copied(b, cut, operand, first, to, factor=None):
    """Copy the block's rows of ``operand`` from row ``first`` on, times ``factor`` if given.

    Each row is padded to whole vectors. Rows past the operand's last are copies of the last.
    """
    lanes, pitch = cut.lanes, cut.padded(operand.columns)
    with loop(b, 0, cut.width) as i, loop(b, 0, pitch, lanes) as j:
        mask = row_end(b, operand.columns, j, lanes)
        at = operand.place(b, least(first + i, operand.rows - 1), j)
        x = splat(load(b, at, cut.dtype, lanes, mask, operand.column), lanes)
        x = x if factor is None else x * factor
        store(b, x, address(b, to, i * pitch + j, cut.dtype.itemsize), cut.dtype)


def turned(b, cut, panel, rows, columns, to):
    """Copy the transpose of ``panel``; ``rows`` and ``columns`` are whole vectors."""
    place = lambda i, j: address(b, panel, i * columns + j, cut.dtype.itemsize)
    source = place, columns
    turn_panel(b, None, rows, columns, (None, None), source, to, rows, cut.tile(1))


def drain(b, cut, panel, rows, columns, give, change=None):
    """Call ``give(i, j, value, mask)`` for each vector of the first ``rows`` rows of ``panel``.

    With ``change``, the value is replaced by ``change(address, value)``.
    """
    lanes, pitch = cut.lanes, cut.padded(columns)
    with loop(b, 0, rows) as i, loop(b, 0, columns, lanes) as j:
        mask = row_end(b, columns, j, lanes)
        at = address(b, panel, i * pitch + j, cut.dtype.itemsize)
        value = load(b, at, cut.dtype, lanes)
        give(i, j, value if change is None else change(at, value), mask)


# Products ---------------------------------------------------------------------------------


def height(rows, most):
    """The number of rows of a tile, at most ``most``, to cover ``rows`` rows.

    A number above half of ``most`` that divides ``rows`` is preferred.
    """
    even = [n for n in range(most, most // 2, -1) if rows % n == 0]
    return even[0] if even else min(rows, most)


def multiply(b, tile, left, right, block, rows, depth, adding=False, last=None):
    """Write block[i, j] = Σ_k left[i, k] · right[k, j]; with ``adding``, add to the block instead.

    ``left`` is (address, stride by row, stride by step k), ``right`` is (address, stride by step)
    and ``block`` is (address, stride by row). If ``rows`` is a Python integer, the last tile may
    have fewer rows. If not, the last tile starts no later than ``last``; without ``last``, it
    reaches past the rows.
    """
    size = tile.dtype.itemsize
    flag = constant(b, adding, np.dtype(bool)).v

    def compute(rows, i):
        part = Tile(rows, tile.columns, tile.lanes, tile.dtype, tile.fma)
        layout = left[1:], right[1], block[1], adding
        function = tile_function(b.module, part, 0, *layout)
        at = address(b, left[0], i * left[1], size)
        to = address(b, block[0], i * block[1], size)
        b.call(function, [at, right[0], to, lift(b, depth).v, flag])

    whole = rows // tile.rows * tile.rows if isinstance(rows, int) else rows
    with loop(b, 0, whole, tile.rows) as i:
        compute(tile.rows, i if last is None else least(i, last))
    if isinstance(rows, int) and whole < rows:
        compute(rows - whole, whole)


# Scores -----------------------------------------------------------------------------------


class Block:
    """Writes code for the scores of the block of queries from ``first`` on.

    Attributes:
        scores: The address of the scores. Each key has a row of ``cut.width`` queries.
    """

    def __init__(self, b, d, cut, scores, first):
        self.b, self.d, self.cut, self.scores, self.first = b, d, cut, scores, first
        self.size = cut.dtype.itemsize
        self.vectors = range(cut.vectors)

    def at(self, panel, row, j):
        """The address of vector ``j`` of a row of a panel."""
        cut = self.cut
        return address(self.b, panel, row * cut.width + j * cut.lanes, self.size)

    def read(self, panel, row, j):
        return load(self.b, self.at(panel, row, j), self.cut.dtype, self.cut.lanes)

    def write(self, value, panel, row, j):
        store(self.b, value, self.at(panel, row, j), self.cut.dtype)

    def filled(self, panel, start, stop, number):
        """Set the rows from ``start`` to ``stop`` of a panel to a number."""
        x = constant(self.b, number, self.cut.dtype, self.cut.lanes)
        with loop(self.b, start, stop) as row:
            for j in self.vectors:
                self.write(x, panel, row, j)

    def dot(self, rows, queries, panel, start, count):
        """Write panel[k, q] = row ``start + k`` of ``rows`` · query q, for ``count`` rows.

        The last tile is moved up so that it ends with the operand's last row. It may therefore
        overwrite memory before the panel, up to a tile's rows.
        """
        b, cut = self.b, self.cut
        tile = cut.tile(min(cut.rows, rows.rows))
        left = rows.place(b, start), rows.row, rows.column
        last = lift(b, rows.rows - tile.rows) - start
        count = lift(b, count)
        multiply(b, tile, left, (queries, cut.width), (panel, cut.width), count, rows.columns,
                 last=last)  # fmt: skip

    # Masks ------------------------------------------------------------------------------------

    @contextmanager
    def where_seen(self, table, start, count):
        """Run the ``with`` block's code unless ``table`` hides ``count`` keys from ``start`` on."""
        if table is None:
            yield
        else:
            with self.b.if_then(self._seen(table, start, count)):
                yield

    def span(self, table, keys):
        """(the first of the keys that ``table`` may show, their number) among the first ``keys``.

        Both are those of whole blocks. If no key is shown, some are given that the rule hides.
        """
        b, step = self.b, self.cut.block

        def visit(start, found):
            seen = Value(b, self._seen(table, start, least(keys - start, step)), np.dtype(bool))
            first, end = found
            return [select(seen, least(first, start), first), select(seen, start + step, end)]

        first, end = carried(b, 0, lift(b, keys), [lift(b, keys), lift(b, 0)], visit, step)
        none = end == 0
        first = select(none, lift(b, 0), first)
        end = select(none, lift(b, step), end)
        return first, least(end, keys) - first

    def _seen(self, table, start, count):
        b, d = self.b, self.d
        down, right = d.block
        begin, end = lift(b, self.first), least(lift(b, self.first) + self.cut.width, d.queries)
        rows = quotient(b, begin, down), quotient(b, end - 1, down) + 1
        last = lift(b, start + count - 1)
        columns = quotient(b, lift(b, start), right), quotient(b, last, right) + 1

        def row(i, found):
            some = lambda j, found: [found[0] | load(b, table.place(b, i, j), table.dtype)]
            return carried(b, *columns, found, some)

        return carried(b, *rows, [constant(b, False, table.dtype)], row)[0].v

    def hide(self, mask, start, count, change=None, slopes=None):
        """Apply the mask or the ``Change`` to the scores of ``count`` keys from ``start`` on.

        The slopes of the changed scores are written to the panel ``slopes``, if that is given.
        """
        if change is not None:
            self._change_each(change, start, count, slopes)
        elif self.d.causal:
            self._hide_later(start, count)
        elif mask is not None and mask.row == 0:
            self._hide_alike(mask, start, count)
        elif mask is not None:
            self._hide_each(mask, start, count)

    def _hide_later(self, start, count):
        """Apply the causal mask: hide the keys that come after a query's own position."""
        b, lanes = self.b, self.cut.lanes
        hidden = constant(b, -INF, self.cut.dtype, lanes)
        with b.if_then((lift(b, start + count) > self.first + 1).v):
            step = lift(b, self.first).astype(_I32)
            queries = [iota(b, lanes, _I32) + (step + j * lanes) for j in self.vectors]
            with loop(b, 0, count) as k:
                key = lift(b, start + k).astype(_I32)
                for j in self.vectors:
                    self.write(
                        select(queries[j] < key, hidden, self.read(self.scores, k, j)),
                        self.scores, k, j,
                    )  # fmt: skip

    def _hide_alike(self, mask, start, count):
        """Apply a mask that is the same for all queries."""
        with loop(self.b, 0, count) as k:
            x = self._bias(load(self.b, mask.place(self.b, 0, start + k), mask.dtype))
            for j in self.vectors:
                self._change(k, j, splat(x, self.cut.lanes))

    def _hide_each(self, mask, start, count):
        """Apply a mask that differs between queries, in transposed squares of lanes by lanes."""
        b, lanes = self.b, self.cut.lanes
        with loop(b, 0, count, lanes) as k, loop(b, 0, self.cut.vectors) as j:
            within = tail(b, lift(b, count) - k, lanes)
            rows = []
            for r in range(lanes):
                row = least(self.first + j * lanes + r, self.d.queries - 1)
                at = mask.place(b, row, start + k)
                x = load(b, at, mask.dtype, lanes, within, mask.column)
                rows.append(splat(self._bias(x), lanes))
            for r, x in enumerate(transposed(b, rows)):
                self._change(k + r, j, x)

    def _change_each(self, change, start, count, slopes):
        with loop(self.b, 0, count) as k:
            for j in self.vectors:
                score = self.read(self.scores, k, j)
                panels = (self.scores,) if slopes is None else (self.scores, slopes)
                found = change.of(score, start + k, j, len(panels))
                for value, panel in zip(found, panels, strict=True):
                    self.write(value, panel, k, j)

    def _bias(self, x):
        """The number that is added to the score; for a bool mask 0, or -inf to hide the key."""
        if x.dtype.kind != "b":
            return x
        shown, hidden = (constant(x.b, n, self.cut.dtype, x.lanes) for n in (0, -INF))
        return select(x, shown, hidden)

    def _change(self, k, j, bias):
        score = self.read(self.scores, k, j)
        if self.d.mask.kind == "b":
            score = select(bias < 0, bias, score)  # even a hidden nan becomes -inf
        else:
            score = score + bias
        self.write(score, self.scores, k, j)

    # Softmax ----------------------------------------------------------------------------------

    def largest(self, count, values):
        """The largest score of each query; ``values`` are the largest so far."""
        over = lambda x, y: select(x > y, x, y)
        step = lambda k, kept: [over(self.read(self.scores, k, j), kept[j]) for j in self.vectors]
        return carried(self.b, 0, count, values, step)

    def weigh(self, count, values, sums):
        """Replace each score by its weight e^(score - value); return ``sums`` plus the weights."""
        shifts = [self.shift(x) for x in values]

        def step(k, sums):
            found = []
            for j in self.vectors:
                weight = exp(self.read(self.scores, k, j) - shifts[j])
                self.write(weight, self.scores, k, j)
                found.append(sums[j] + weight)
            return found

        return carried(self.b, 0, count, sums, step)

    def shift(self, largest):
        """The number that is subtracted from a query's scores: the largest, or 0 if all are -inf.

        Without the 0 a fully hidden query would compute -inf - -inf, which is nan.
        """
        none = constant(self.b, 0, self.cut.dtype, self.cut.lanes)
        return select(largest == -INF, none, largest)

    def share(self, total):
        """The factor 1 / ``total`` of the weights; 0 for a query whose keys are all hidden."""
        found = 1.0 / total
        if not self.d.hides:
            return found
        none = constant(self.b, 0, self.cut.dtype, self.cut.lanes)
        return select(total == 0, none, found)
