"""Products of matrices: ``c[batch, m, n] = Σ_k a[batch, m, k] · b[batch, k, n]``.

A ``Contraction`` describes the product. ``plan`` chooses the algorithm from shapes, strides and the
target. ``emit`` writes the kernels. The structure is that of BLIS: the result is cut into blocks,
and a chunk computes one or more blocks (``contraction_tiling``). A block is computed tile by tile
in registers (``microkernel``). Operands are read in place if that is as fast; otherwise they are
packed first, in the order in which the tiles read them (``packing``). Each finished vector of
results goes to a *sink*, a function that writes the code to use or store it.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rushlight.compiler.codegen.emission import Launch, Plan
from rushlight.compiler.codegen.frame import counted, entry, kernel, least, row_end
from rushlight.compiler.codegen.loop import address, lift, loop, unravel
from rushlight.compiler.codegen.memory import load
from rushlight.compiler.codegen.value import INT, Value, constant
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.contraction_kernels import (
    Storing,
    packing_chunks,
    write_blocks,
    write_packing,
)
from rushlight.compiler.cpu.contraction_tiling import blocking
from rushlight.compiler.cpu.packing import Matrix, Operand

__all__ = ["Contraction", "Matrix", "Storing", "emit", "plan", "resized"]


@dataclass(frozen=True)
class Contraction:
    """``c[batch, m, n] = Σ_k a[batch, m, k] · b[batch, k, n]``, computed in ``dtype``.

    ``dtype`` is float32 or float64; operands of another dtype are converted as they are read.
    ``args`` are the places, among the kernels' ``args``, of a, of b and of the first temporary.
    ``counts_at``: None, or the place from which on the plan's counts lie. The code then serves any
    number of batch indices, of the only batch dim.

    >>> rows, columns = Matrix(np.dtype("f4"), (), 64, 1), Matrix(np.dtype("f4"), (), 1, 64)
    >>> linear = Contraction(np.dtype("f4"), (), 32, 10, 64, rows, columns)  # x @ w.T
    """

    dtype: np.dtype
    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a: Matrix
    b: Matrix
    args: tuple[int, int, int] = (0, 1, 2)
    counts_at: int | None = None

    @property
    def flops(self):
        """The number of floating-point operations."""
        return 2 * prod(self.batch) * self.m * self.n * self.k


class _Counts(NamedTuple):
    batch: Any


def plan(contraction, target, name="contraction"):
    """The :class:`Plan` of a contraction on a :class:`Target`.

    The names of its kernels start with ``name``.
    """
    if 0 in (contraction.m, contraction.n, *contraction.batch):
        return Plan(contraction, target, (Launch(name, 0, 0),), (), None)
    form = _folded(contraction)
    parts = _parts(form)
    split, last_depth = _split(form, parts)
    a, b = Operand.first(split.a, form.args[0]), Operand.second(split.b, form.args[1])
    cut = blocking(a, b, form.dtype, split.batch, form.m, form.n, split.k, last_depth, target)
    return _planned(contraction, target, name, form, replace(cut, before=form.args[2]), parts)


def resized(plan, images):
    """``plan``, whose ``counts_at`` is not None, for ``images`` batch indices."""
    cut, _ = plan.choice
    found, cut = replace(plan.description, batch=(images,)), replace(cut, batch=(images,))
    return _planned(found, plan.target, plan.kernels[-1].name, found, cut, 1)


def _planned(contraction, target, name, form, cut, parts):
    kernels = [Launch(name, prod(cut.grid), sum(cut.scratch))]
    temporaries = [size for size in cut.ahead if size]
    if temporaries:
        kernels.insert(0, Launch(f"{name}.pack", sum(packing_chunks(cut)), 0))
    if parts > 1:
        rows = prod(form.batch) * form.m
        vectors = rows * -(-form.n // cut.tile.lanes)
        kernels.append(Launch(f"{name}.sum", -(-vectors // costs.COMBINED), 0))
        temporaries.append(parts * rows * form.n * form.dtype.itemsize)
    counts = _Counts(prod(form.batch))
    return Plan(contraction, target, tuple(kernels), tuple(temporaries), (cut, parts), counts)


def emit(module, plan, sink):
    """Add a plan's kernels to an ``llvmlite.ir.Module``.

    The kernels' ``args`` are the addresses of a and b, of the plan's temporaries, and of the
    memories that the sink uses; see ``Contraction``. ``sink(b, args, batch, m, n, value, mask)`` is
    called for each finished vector of sums. ``value`` has the sums of row ``m`` from column ``n``
    on; ``mask`` (or None) tells which columns exist. ``batch`` is a list of indices. All indices
    are int64 LLVM values. If the sink is a :class:`Storing`, tiles are stored directly where
    possible.
    """
    names = [kernel.name for kernel in plan.kernels]
    if plan.choice is None:
        kernel(module, names[0])[0].ret_void()
        return
    cut, parts = plan.choice
    form = _folded(plan.description)
    sink = _unfolding(plan.description, form, sink)
    batch: Any = None
    if plan.description.counts_at is not None:
        batch = lambda b, args: counted(b, args, plan).batch
    if any(cut.ahead):
        write_packing(module, names.pop(0), cut, batch)
    if parts == 1:
        write_blocks(module, names[0], cut, sink, batch)
        return
    place = cut.before + len(plan.temporaries) - 1
    shape = (parts, *form.batch, form.m, form.n)
    write_blocks(module, names[0], cut, Storing(place, form.dtype, _strides(shape)))
    _write_sum(module, names[1], form, parts, cut.tile.lanes, place, sink)


def _strides(shape):
    return tuple([prod(shape[i + 1 :]) for i in range(len(shape))])


# Batches that are rows --------------------------------------------------------------------


def _folded(form):
    """``form`` with its batch dims as more rows of ``a``, if all batch indices share one ``b``.

    ``form`` is returned unchanged if they do not, or if the rows would have no common stride.
    """
    form = _plain(form)
    if not form.batch or any(form.b.batch) or form.b.fetch is not None:
        return form
    if form.a.fetch is not None:
        a = replace(form.a, fetch=_fetching_rows(form))
    else:
        row = _one_stride((*form.batch, form.m), (*form.a.batch, form.a.row))
        if row is None:
            return form
        a = replace(form.a, batch=(), row=row)
    return replace(form, batch=(), m=prod(form.batch) * form.m, a=a, b=replace(form.b, batch=()))


def _plain(form):
    """``form`` with stride 0 in all dims of one element, because their strides mean nothing."""

    def plain(x, row, column):
        batch = tuple([0 if n == 1 else s for n, s in zip(form.batch, x.batch, strict=True)])
        return replace(
            x, batch=batch, row=x.row * (row > 1), column=x.column * (column > 1)
        )  # fmt: skip

    return replace(form, a=plain(form.a, form.m, form.k), b=plain(form.b, form.k, form.n))


def _one_stride(shape, strides):
    """The stride of several dims merged into one; None if they can't be merged."""
    found = [(n, s) for n, s in zip(shape, strides, strict=True) if n > 1]
    for (_, outer), (n, inner) in pairwise(found):
        if outer != n * inner:
            return None
    return found[-1][1] if found else 0


def _fetching_rows(form):
    def fetch(b, args, batch, row, column, lanes, mask):
        *indices, row = unravel(b, Value(b, row, INT), (*form.batch, form.m))
        batch = [i.v for i in indices]
        return form.a.fetch(b, args, batch, row.v, column, lanes, mask)

    return fetch


def _unfolding(contraction, form, sink):
    """Return a sink for the rows of the folded ``form`` that passes them on to ``sink``."""
    if form.batch == contraction.batch:
        return sink

    def unfolded(b, args, batch, m, n, value, mask):
        indices = unravel(b, Value(b, m, INT), (*contraction.batch, contraction.m))
        *batch, m = [lift(b, i).v for i in indices]
        sink(b, args, batch, m, n, value, mask)

    return unfolded


# Long sums in parts -----------------------------------------------------------------------


def _parts(form):
    """The number of parts into which k is cut; above 1 if the result alone makes too few chunks."""
    results = prod(form.batch) * form.m * form.n
    if form.k < 4096 or results > 1 << 14 or form.counts_at is not None:
        return 1
    return min(form.k // 1024, max(1, (form.k * results) >> 20), 64)


def _split(form, parts):
    """``form`` with the parts of k as its first batch dim, and the depth of the last part."""
    if parts == 1:
        return form, form.k
    depth = -(-form.k // parts)
    a = replace(form.a, batch=(depth * form.a.column, *form.a.batch))
    b = replace(form.b, batch=(depth * form.b.row, *form.b.batch))
    if a.fetch is not None:
        a = replace(a, fetch=_fetching_part(form.a.fetch, depth, of_rows=False))
    if b.fetch is not None:
        b = replace(b, fetch=_fetching_part(form.b.fetch, depth, of_rows=True))
    split = replace(form, batch=(parts, *form.batch), k=depth, a=a, b=b)
    return split, form.k - (parts - 1) * depth


def _fetching_part(fetch, depth, of_rows):
    def fetch_part(b, args, batch, row, column, lanes, mask):
        start = b.mul(batch[0], lift(b, depth).v)
        row, column = (b.add(row, start), column) if of_rows else (row, b.add(column, start))
        return fetch(b, args, batch[1:], row, column, lanes, mask)

    return fetch_part


def _write_sum(module, name, form, parts, lanes, place, sink):
    """Write the kernel that adds up the parts at ``args[place]``, always in the same order."""
    b, args, chunk, _ = kernel(module, name)
    vectors, rows = -(-form.n // lanes), prod(form.batch) * form.m
    size, itemsize = rows * form.n, form.dtype.itemsize
    first = chunk * costs.COMBINED
    with loop(b, first, least(first + costs.COMBINED, rows * vectors)) as i:
        batch, m, vector = unravel(b, i, (prod(form.batch), form.m, vectors))
        n = vector * lanes
        mask = row_end(b, form.n, n, lanes)
        at = address(b, entry(b, args, place), (batch * form.m + m) * form.n + n, itemsize)
        total = constant(b, 0, form.dtype, lanes)
        for part in range(parts):
            total = total + load(b, address(b, at, part * size, itemsize), form.dtype, lanes, mask)
        indices = [x.v for x in unravel(b, batch, form.batch)]
        sink(b, args, indices, m.v, n.v, total, mask)
    b.ret_void()
