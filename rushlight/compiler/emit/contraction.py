"""Products of matrices: ``c[batch, m, n] = Σ_k a[batch, m, k] · b[batch, k, n]``.

A ``Contraction`` describes the product; ``plan`` decides, from shapes and strides alone, how it is
done; ``emit`` writes the kernels. The structure is BLIS's: the result is cut into blocks, one or
more a chunk (``blocking``); a block is computed tile by tile in registers (``microkernel``), from
operands read in place where that is as fast, and else from copies in the order of reading
(``packing``, ``block``). The result leaves through a *sink*, which may do more than store it.
"""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from rushlight.compiler.emit.block import packing_chunks, write_blocks, write_packing
from rushlight.compiler.emit.blocking import Blocking, blocking
from rushlight.compiler.emit.frame import entry, kernel
from rushlight.compiler.emit.loop import address, lift, loop, unravel
from rushlight.compiler.emit.memory import load, prefix_mask, store
from rushlight.compiler.emit.packing import Matrix, Operand, least
from rushlight.compiler.emit.value import INT, Value, constant

__all__ = ["Contraction", "Kernel", "Matrix", "Plan", "emit", "plan", "storing"]

COMBINED = 1 << 14  # sums that a chunk of a combining kernel makes


@dataclass(frozen=True)
class Contraction:
    """``c[batch, m, n] = Σ_k a[batch, m, k] · b[batch, k, n]``, computed in ``dtype``.

    ``dtype`` is float32 or float64; operands of another dtype are converted as they are read.

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


@dataclass(frozen=True)
class Kernel:
    """A function ``void name(ptr args, i64 chunk, ptr scratch)`` to call for each chunk."""

    name: str
    chunks: int
    scratch: int


@dataclass(frozen=True)
class Plan:
    """How a contraction is computed.

    Attributes:
        kernels: To be run one after the other.
        temporaries: The bytes of the buffers that follow ``a`` and ``b`` in ``args``.
        cut: How the result is cut into blocks.
        parts: In how many parts k is summed.
    """

    contraction: Contraction
    kernels: tuple[Kernel, ...]
    temporaries: tuple[int, ...]
    cut: Blocking | None
    parts: int
    lanes: int


def plan(contraction, target, name="contraction"):
    """The :class:`Plan` of a contraction on a :class:`Target`; its kernels' names start so."""
    lanes = target.lanes(contraction.dtype)
    if 0 in (contraction.m, contraction.n, *contraction.batch):
        return Plan(contraction, (Kernel(name, 0, 0),), (), None, 1, lanes)
    form = _folded(contraction)
    parts = _parts(form)
    split, last_depth = _split(form, parts)
    a, b = Operand.first(split.a), Operand.second(split.b)
    cut = blocking(a, b, form.dtype, split.batch, form.m, form.n, split.k, last_depth, target)
    kernels = [Kernel(name, prod(cut.grid), sum(cut.scratch))]
    temporaries = [size for size in cut.ahead if size]
    if temporaries:
        kernels.insert(0, Kernel(f"{name}.pack", sum(packing_chunks(cut)), 0))
    if parts > 1:
        rows = prod(form.batch) * form.m
        padded = rows * -(-form.n // lanes) * lanes
        kernels.append(Kernel(f"{name}.sum", -(-padded // COMBINED), 0))
        temporaries.append(parts * rows * form.n * form.dtype.itemsize)
    return Plan(contraction, tuple(kernels), tuple(temporaries), cut, parts, lanes)


def emit(module, plan, sink):
    """Add a plan's kernels to an ``llvmlite.ir.Module``.

    Their ``args`` are the addresses of a, of b, of the plan's temporaries, and of whatever else
    ``sink(b, args, batch, m, n, value, mask)`` uses. It is called where a vector of sums,
    ``value``, is finished, for columns from ``n`` on, of which ``mask`` (or None) says which exist;
    ``batch`` are indices, which like ``m`` and ``n`` are int64 LLVM values.
    """
    cut, names = plan.cut, [kernel.name for kernel in plan.kernels]
    if cut is None:
        kernel(module, names[0])[0].ret_void()
        return
    form = _folded(plan.contraction)
    sink = _unfolding(plan.contraction, form, sink)
    if any(cut.ahead):
        write_packing(module, names.pop(0), cut)
    if plan.parts == 1:
        write_blocks(module, names[0], cut, sink)
        return
    partial = 1 + len(plan.temporaries)
    shape = (plan.parts, *form.batch, form.m, form.n)
    write_blocks(module, names[0], cut, storing(partial, form.dtype, _strides(shape)))
    _write_sum(module, names[1], plan, form, partial, sink)


def storing(position, dtype, strides):
    """The sink that stores the result at ``args[position]``: strides of batch dims, m and n."""
    dtype = np.dtype(dtype)

    def sink(b, args, batch, m, n, value, mask):
        offset = 0
        for index, stride in zip((*batch, m, n), strides, strict=True):
            offset = Value(b, index, INT) * stride + offset
        at = address(b, entry(b, args, position), offset, dtype.itemsize)
        store(b, value, at, dtype, mask, strides[-1])

    return sink


def _strides(shape):
    return tuple([prod(shape[i + 1 :]) for i in range(len(shape))])


# Batches that are rows --------------------------------------------------------------------


def _folded(form):
    """``form`` with its batch dims as more rows of ``a``, where all batches have the same ``b``."""
    a, step = form.a, form.m * form.a.row
    if not form.batch or any(form.b.batch) or form.b.fetch is not None:
        return form
    if a.fetch is None:
        for n, stride in zip(reversed(form.batch), reversed(a.batch), strict=True):
            if n > 1 and stride != step:
                return form
            step *= n
        row = a.row if form.m > 1 else _innermost(form.batch, a.batch, a.row)
        a = replace(a, batch=(), row=row)
    else:
        a = replace(a, fetch=_fetching_rows(form))
    return replace(form, batch=(), m=prod(form.batch) * form.m, a=a, b=replace(form.b, batch=()))


def _innermost(batch, strides, otherwise):
    """The stride of the last batch dim that has more than one index."""
    kept = [stride for n, stride in zip(batch, strides, strict=True) if n > 1]
    return kept[-1] if kept else otherwise


def _fetching_rows(form):
    def fetch(b, args, batch, row, column, lanes, mask):
        *indices, row = unravel(b, Value(b, row, INT), (*form.batch, form.m))
        batch = [i.v for i in indices]
        return form.a.fetch(b, args, batch, row.v, column, lanes, mask)

    return fetch


def _unfolding(contraction, form, sink):
    """``sink`` for the rows of the folded ``form``."""
    if form is contraction:
        return sink

    def unfolded(b, args, batch, m, n, value, mask):
        indices = unravel(b, Value(b, m, INT), (*contraction.batch, contraction.m))
        *batch, m = [lift(b, i).v for i in indices]
        sink(b, args, batch, m, n, value, mask)

    return unfolded


# Long sums in parts -----------------------------------------------------------------------


def _parts(form):
    """In how many parts to sum k: more than one if the result alone makes too few chunks."""
    results = prod(form.batch) * form.m * form.n
    if form.k < 4096 or results > 1 << 14:
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


def _write_sum(module, name, plan, form, partial, sink):
    """The kernel that adds up the parts, always in the same order."""
    b, args, chunk, _ = kernel(module, name)
    lanes, dtype = plan.lanes, form.dtype
    vectors = -(-form.n // lanes)
    size = prod(form.batch) * form.m * form.n
    parts = entry(b, args, partial)
    first = chunk * (COMBINED // lanes)
    last = least(first + COMBINED // lanes, prod(form.batch) * form.m * vectors)
    with loop(b, first, last) as i:
        batch, m, vector = unravel(b, i, (prod(form.batch), form.m, vectors))
        n = vector * lanes
        mask = prefix_mask(b, (form.n - n).v, lanes) if form.n % lanes else None
        offset = (batch * form.m + m) * form.n + n
        total = constant(b, 0, dtype, lanes)
        for part in range(plan.parts):
            at = address(b, parts, offset + part * size, dtype.itemsize)
            total = total + load(b, at, dtype, lanes, mask)
        indices = [x.v for x in unravel(b, batch, form.batch)]
        sink(b, args, indices, m.v, n.v, total, None if mask is None else mask.v)
    b.ret_void()
