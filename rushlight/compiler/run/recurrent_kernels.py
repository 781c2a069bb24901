"""Kernels of recurrent layers (``ops/sequence``): one call takes all steps of a sequence.

They are for small layers, whose products take less time than NumPy's calls would. They serve any
number of steps, sequences and features. A step is a product and a cell. The cell is a function of
the numbers that belong to one sequence and one feature.

Forward, the product of the states before the step and the weights comes first. Backward, the cell
comes first, and the product carries its slopes to the step before.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address as address_of
from rushlight.backend.parallel import each as each_part
from rushlight.backend.sizes import large_from
from rushlight.compiler.codegen.loop import address, loop
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.namespace import Namespace
from rushlight.compiler.codegen.scope import I64, POINTER, internal_function
from rushlight.compiler.codegen.table_loop import DATA, OPERAND, write_loop
from rushlight.compiler.codegen.value import INT, Value, constant
from rushlight.compiler.cpu.loader import load as loaded
from rushlight.compiler.cpu.microkernel import Tile, outer
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache as code_cache

__all__ = ["noted", "run"]


class Pass(NamedTuple):
    """The forward or the backward pass of a layer.

    Attributes:
        gates: How many numbers for each feature the arrays of ``_GATED`` have; others have one.
        cell: A function of ``xp`` and, for each name in ``reads``, of a list of Values. It returns
            such lists for the arrays in ``writes``.
    """

    gates: int
    cell: Callable
    reads: tuple
    writes: tuple

    @property
    def backward(self):
        return "slope" in self.writes


#: Arrays with several numbers for each feature.
_GATED = ("bias", "drive", "gates", "matrix", "product", "slope")
#: Arrays with a row for each sequence. Other arrays have a row for each step and sequence.
_STATES = ("product", "owed", "owed_cell")
#: Arrays of which a cell reads the row of the step before. Ahead of the first step are the rows of
#: another array.
_BEFORE = {"last": ("out", "h"), "cell": ("cells", "c")}
#: A thread takes sequences with at least so many multiplications: about a millisecond.
_SHARED = large_from(1 << 25)

# Cells ------------------------------------------------------------------------------------


def _sigmoid(xp, x):
    return xp.tanh(x * 0.5) * 0.5 + 0.5


def _lstm(xp, drive, product, cell):
    i, f, u, o = [x + y for x, y in zip(drive, product, strict=True)]
    i, f, u, o = _sigmoid(xp, i), _sigmoid(xp, f), xp.tanh(u), _sigmoid(xp, o)
    new = f * cell[0] + i * u
    bounded = xp.tanh(new)
    return [i, f, u, o], [new], [bounded], [o * bounded]


def _lstm_back(xp, g_out, gates, bounded, cell, owed, owed_cell):
    i, f, u, o = gates
    dh = owed[0] + g_out[0]
    dc = dh * (o * (1 - bounded[0] * bounded[0])) + owed_cell[0]
    of_i, of_f, of_u = u * (i * (1 - i)), cell[0] * (f * (1 - f)), i * (1 - u * u)
    of_o = bounded[0] * (o * (1 - o))
    return [of_i * dc, of_f * dc, of_u * dc, of_o * dh], [0.0], [dc * f]


def _gru(xp, drive, product, last):
    r, z = [_sigmoid(xp, drive[k] + product[k]) for k in (0, 1)]
    heard = product[2]
    new = xp.tanh(drive[2] + r * heard)
    return [r, z, new], [heard], [(last[0] - new) * z + new]


def _gru_back(xp, g_out, gates, heard, last, owed):
    r, z, new = gates
    dh = owed[0] + g_out[0]
    to_new = (1 - z) * (1 - new * new) * dh
    to_z = (last[0] - new) * (z * (1 - z)) * dh
    return [to_new * heard[0] * (r * (1 - r)), to_z, to_new * r], [to_new], [dh * z]


def _tanh(xp, drive, product):
    return ([xp.tanh(drive[0] + product[0])],)


def _tanh_back(xp, g_out, out, owed):
    return [(1 - out[0] * out[0]) * (owed[0] + g_out[0])], [0.0]


def _relu(xp, drive, product):
    return ([xp.maximum(drive[0] + product[0], 0.0)],)


def _relu_back(xp, g_out, out, owed):
    # The slope is selected instead of multiplied, because 0 · inf is nan.
    return [xp.where(out[0] <= 0, 0.0, owed[0] + g_out[0])], [0.0]


_DRIVEN = ("drive", "product")
_ELMAN = ("g_out", "out", "owed"), ("slope", "owed")
PASSES = {
    "lstm": Pass(4, _lstm, (*_DRIVEN, "cell"), ("gates", "cells", "bounded", "out")),
    "lstm_back": Pass(
        4, _lstm_back, ("g_out", "gates", "bounded", "cell", "owed", "owed_cell"),
        ("slope", "owed", "owed_cell"),
    ),
    "gru": Pass(3, _gru, (*_DRIVEN, "last"), ("gates", "heard", "out")),
    "gru_back": Pass(
        3, _gru_back, ("g_out", "gates", "heard", "last", "owed"), ("slope", "to_new", "owed")
    ),
    "tanh": Pass(1, _tanh, _DRIVEN, ("out",)),
    "tanh_back": Pass(1, _tanh_back, *_ELMAN),
    "relu": Pass(1, _relu, _DRIVEN, ("out",)),
    "relu_back": Pass(1, _relu_back, *_ELMAN),
}  # fmt: skip

# Calls ------------------------------------------------------------------------------------


@cache
def _operands(each):
    """The names of the arrays that the kernel of a pass takes, in their order."""
    names = {*each.reads, *each.writes, *(("weight",) if each.backward else ("matrix", "bias"))}
    if not each.backward:
        names.add("last")  # the left operand of the product
    for name in _BEFORE.keys() & names:
        names = names - {name} | {*_BEFORE[name]}
    return sorted(names)


def run(name, steps, reverse, arrays):
    """Take all ``steps`` of the pass ``name``; results are written to some of the ``arrays``.

    The arrays are contiguous and of one dtype. ``matrix`` is the transposed weight. Returns False
    if the shapes do not fit together: the kernel would read other memory.
    """
    each = PASSES[name]
    batch, n = arrays["owed" if each.backward else "h"].shape
    if not _fit(each, steps, batch, n, arrays):
        return False
    first, stride = _rows(steps, batch, reverse)
    given = [arrays[name] for name in _operands(each)]
    kernel = _kernel(name, given[0].dtype, _lanes(given[0], n))
    places = [address_of(a) for a in given]

    def work(part):
        table = np.array([steps, part.start, part.stop, n, first, stride, *places], np.int64)
        kernel(address_of(table))

    each_part(work, _parts(batch, steps * batch * n * n * each.gates))
    return True


def noted(name, steps, reverse, arrays):
    """``run`` in a call that will be replayed: some of the ``arrays`` are ``Noted``."""
    each, tape = PASSES[name], next(a.tape for a in arrays.values() if hasattr(a, "tape"))
    arrays = {k: a if hasattr(a, "tape") else tape.constant(a) for k, a in arrays.items()}
    arrays = {k: a if a.flags.c_contiguous else a.copy() for k, a in arrays.items()}
    batch, n = arrays["owed" if each.backward else "h"].shape
    one = len(_parts(batch, steps * batch * n * n * each.gates)) == 1
    if not one or not run(name, steps, reverse, {k: a.array for k, a in arrays.items()}):
        return False
    given = [arrays[name] for name in _operands(each)]
    library = _library(name, given[0].dtype, _lanes(given[0], n))
    words = np.array([steps, 0, batch, n, *_rows(steps, batch, reverse)], np.int64)
    tape.run(library.address("loop"), words, given, library)
    return True


def _rows(steps, batch, reverse):
    """(the first row of the first step, how far the rows of the next step are from there)."""
    return ((steps - 1) * batch, -batch) if reverse else (0, batch)


def _lanes(a, n):
    lanes = host().vector_bytes // a.itemsize
    while lanes > n:
        lanes //= 2
    return lanes


def _fit(each, steps, batch, n, arrays):
    """Whether the arrays have the shapes of ``steps`` of ``batch`` sequences with n features."""
    gated = n * each.gates
    for name, a in arrays.items():
        width = gated if name in _GATED else n
        shape: tuple
        if name in _STATES or name in ("h", "c"):
            shape = batch, width
        elif name == "matrix" or name == "weight":
            shape = (n, gated) if name == "matrix" else (gated, n)
        else:
            shape = (width,) if name == "bias" else (steps * batch, width)
        if a.shape != shape:
            return False
    return True


def _parts(batch, products):
    """Slices of the sequences, which several threads share if there is much work."""
    count = max(1, min(batch // 8, products // _SHARED))
    return [slice(batch * i // count, batch * (i + 1) // count) for i in range(count)]


@cache
def _kernel(name, dtype, lanes):
    return _library(name, dtype, lanes).function(name)


@cache
def _library(name, dtype, lanes):
    key = f"recurrent 3 {name} {dtype} {lanes}"
    return loaded(code_cache.object_code(key, lambda: _module(name, dtype, lanes)))


# Code -------------------------------------------------------------------------------------


def _module(name, dtype, lanes):
    module = ir.Module("recurrent")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    _Steps(b, PASSES[name], dtype, lanes).write()
    b.ret_void()
    arrays = range(len(_operands(PASSES[name])))
    write_loop(module, name, [*[(DATA, k) for k in range(6)], *[(OPERAND, k) for k in arrays]])
    return str(module)


class _Steps:
    """The loop over the steps, with the sizes and the addresses of a call.

    Attributes:
        b: The builder.
        row: The first row of a step.
        before: The name of each array of ``_BEFORE`` → the address of its rows before the step.
    """

    def __init__(self, b, each, dtype, lanes):
        self.b, self.each, self.dtype, self.lanes = b, each, dtype, lanes
        names = _operands(each)
        table = b.function.args[0]
        words = [load(b, address(b, table, 8 * k), INT) for k in range(6 + len(names))]
        self.steps, self.begin, self.end, self.n, self.first, self.stride = words[:6]
        self.arrays = {
            name: b.inttoptr(word.v, POINTER) for name, word in zip(names, words[6:], strict=True)
        }

    def write(self):
        b, backward = self.b, self.each.backward
        with loop(b, 0, self.steps) as step:
            step = self.steps - 1 - step if backward else step
            self.row = self.first + step * self.stride
            self.before = {
                name: b.select(
                    (step == 0).v, self.arrays[first], self.place(rows, self.row - self.stride)
                )
                for name, (rows, first) in _BEFORE.items()
                if rows in self.arrays and first in self.arrays
            }
            if backward:
                self.cells()
                owed, slope = self.arrays["owed"], self.place("slope", self.row)
                self.product(slope, self.arrays["weight"], owed, self.n, owed, self.gated, self.n)
            else:
                bias, product = self.arrays["bias"], self.arrays["product"]
                last, matrix = self.before["last"], self.arrays["matrix"]
                self.product(last, matrix, bias, 0, product, self.n, self.gated)
                self.cells()

    @property
    def gated(self):
        return self.n * self.each.gates

    def width(self, name):
        """The numbers in a row of an array."""
        return self.gated if name in _GATED else self.n

    def place(self, name, row):
        """The address of a row of an array."""
        itemsize = self.dtype.itemsize
        return address(self.b, self.arrays[name], row * self.width(name), itemsize)

    # Cells ----------------------------------------------------------------------------

    def cells(self):
        """The cell of each sequence and feature."""
        with loop(self.b, self.begin, self.end) as sequence:
            whole = self.n & -self.lanes
            for lanes, begin, end in ((self.lanes, 0, whole), (1, whole, self.n)):
                with loop(self.b, begin, end, lanes) as feature:
                    self.cell(sequence, feature, lanes)

    def cell(self, sequence, feature, lanes):
        """The cell of one sequence, and of ``lanes`` features from ``feature`` on."""
        b, each, itemsize = self.b, self.each, self.dtype.itemsize

        def places(name):
            if name in self.before:
                row = address(b, self.before[name], sequence * self.n, itemsize)
            else:
                row = self.place(name, sequence + (0 if name in _STATES else self.row))
            count = each.gates if name in _GATED else 1
            return [address(b, row, self.n * k + feature, itemsize) for k in range(count)]

        values = [[load(b, at, self.dtype, lanes) for at in places(name)] for name in each.reads]
        for name, found in zip(each.writes, each.cell(Namespace(b), *values), strict=True):
            for value, at in zip(found, places(name), strict=True):
                if type(value) is float:
                    value = constant(b, value, self.dtype, lanes)
                store(b, value, at, self.dtype)

    # Products -------------------------------------------------------------------------

    def product(self, left, right, init, pitch, out, depth, width):
        """out (rows, width) = init + left (rows, depth) · right (depth, width).

        There is a row for each sequence. The rows of ``init`` lie ``pitch`` apart.
        """
        function, b = internal_function(self.b.module, "product", [POINTER] * 4 + [I64] * 5)
        values = [x if isinstance(x, Value) else constant(self.b, x, INT)
                  for x in (pitch, self.begin, self.end, depth, width)]  # fmt: skip
        self.b.call(function, [left, right, init, out, *[x.v for x in values]])
        if b is not None:
            sizes = [Value(b, x, INT) for x in function.args[4:]]
            self.product_body(b, *function.args[:4], *sizes)
            b.ret_void()

    def product_body(self, b, left, right, init, out, pitch, first, last, depth, width):
        dtype, size, target = self.dtype, self.dtype.itemsize, host()

        def block(row, rows, column, columns, lanes):
            tile = Tile(rows, columns, lanes, dtype, target.fma)
            places = [(row + i, column + j * lanes) for i in range(rows) for j in range(columns)]
            sums = [load(b, address(b, init, i * pitch + j, size), dtype, lanes) for i, j in places]

            def factors(k):
                return (
                    lambda i: load(b, address(b, left, (row + i) * depth + k, size), dtype),
                    lambda j: load(
                        b, address(b, right, k * width + column + j * lanes, size), dtype, lanes
                    ),
                )

            sums = outer(b, tile, depth, factors, sums)
            for (i, j), total in zip(places, sums, strict=True):
                store(b, total, address(b, out, i * width + j, size), dtype)

        tall, few = target.registers // 8, 4  # these sums and vectors fit the registers
        whole, begin = first + (last - first & -tall), 0
        for columns, lanes in ((few, self.lanes), (1, self.lanes), (1, 1)):
            step = columns * lanes
            end = (width - begin & -step) + begin
            with loop(b, begin, end, step) as column:
                for rows, start, stop in ((tall, first, whole), (1, whole, last)):
                    with loop(b, start, stop, rows) as row:
                        block(row, rows, column, columns, lanes)
            begin = end
