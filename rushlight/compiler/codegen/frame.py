"""The parts that the kernels of ``cpu/`` share: function, buffers, constant tables, offsets.

Indices are Python integers if they are known when the code is written, else Values of int64.
"""

import hashlib

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.loop import address, lift
from rushlight.compiler.codegen.memory import prefix_mask, store
from rushlight.compiler.codegen.scope import constant_array, kernel_function
from rushlight.compiler.codegen.value import INT, Value, constant, intrinsic, select

__all__ = [
    "array", "below", "counted", "digits", "entry", "kernel", "least", "lookup", "offset",
    "prefetch", "quotient", "storing", "table", "tail",
]  # fmt: skip

_I64 = ir.IntType(64)
_POINTER = ir.PointerType()


def kernel(module, name):
    """A new kernel: (builder, args, chunk, scratch); end it with ``b.ret_void()``."""
    function, b = kernel_function(module, name)
    args, chunk, scratch = function.args
    return b, args, Value(b, chunk, INT), scratch


def entry(b, args, position):
    """The address that lies at ``position`` in a kernel's ``args``."""
    return b.load(address(b, args, position, 8), typ=_POINTER)


def counted(b, args, plan):
    """The plan's ``counts``: Python numbers, or Values that are read from a kernel's ``args``."""
    at = plan.description.counts_at
    if at is None:
        return plan.counts
    places = [address(b, args, at + k, 8) for k in range(len(plan.counts))]
    return type(plan.counts)(*[Value(b, b.load(p, typ=_I64), INT) for p in places])


def offset(indices, strides):
    """The offset of an element, in elements."""
    found: list = []
    for i, s in zip(indices, strides, strict=True):
        if isinstance(s, Value):
            found.append(i * s)
        elif s:
            found.append(i if s == 1 else i * s)
    return sum(found, 0)


def digits(index, counts):
    """The indices of combination number ``index``, if index k counts from 0 to ``counts[k]`` - 1.

    The last index runs fastest. An index whose count is 1 is the Python number 0.
    """
    found: list = []
    for n in reversed(counts):
        if isinstance(n, int) and n == 1:
            found.append(0)
        elif all(isinstance(m, int) and m == 1 for m in counts[: len(counts) - len(found) - 1]):
            found.append(index)
        else:
            rest = quotient(index.b, index, n)
            found.append(index - rest * n)
            index = rest
    return found[::-1]


def tail(b, count, lanes):
    """The mask of the first ``count`` lanes."""
    return prefix_mask(b, lift(b, count).v, lanes)


def row_end(b, size, first, lanes):
    """The mask of a vector from element ``first`` on, in a row of ``size`` elements.

    ``first`` is a multiple of ``lanes`` within the row. None: the row consists of whole vectors, as
    is known if ``size`` is a Python number.
    """
    if isinstance(size, Value):
        return tail(b, size - first, lanes)
    if not size % lanes:
        return None
    mask = tail(b, size - first, lanes)
    mask.rest = size % lanes
    return mask


def least(x, y):
    """The smaller of two indices."""
    if isinstance(x, int) and isinstance(y, int):
        return min(x, y)
    b = (x if isinstance(x, Value) else y).b
    x, y = lift(b, x), lift(b, y)
    return select(x < y, x, y)


def below(b, index, size):
    """Whether an index is neither negative nor too large for a dim of that size."""
    index = lift(b, index)
    end = size.v if isinstance(size, Value) else ir.Constant(index.v.type, size)
    v = b.icmp_unsigned("<", index.v, end)
    return Value(b, v, (index == 0).dtype)


def quotient(b, index, n):
    """A Value that isn't negative, divided by a number that is positive, and rounded down."""
    n = n if isinstance(n, Value) else constant(b, n, index.dtype, index.lanes)
    return Value(b, b.udiv(index.v, n.v), index.dtype)


def prefetch(b, pointer, near=False, write=False):
    """Prefetch the cache line at ``pointer``, which may be any address.

    It goes to the first-level cache if ``near``, else to the second-level cache.
    """
    i32 = ir.IntType(32)
    args = [pointer, i32(int(write)), i32(3 if near else 2), i32(1)]  # 1: data
    intrinsic(b, "llvm.prefetch.p0", ir.VoidType(), args)


def table(module, numbers):
    """A constant array of int64; tables of equal numbers share one array."""
    numbers = list(numbers)
    digest = hashlib.sha256(np.array(numbers, np.int64).tobytes()).hexdigest()[:24]
    name = f"table.{digest}"
    return module.globals.get(name) or constant_array(module, name, _I64, numbers)


def array(b, part, name, numbers):
    """The array ``name`` of an opened part of a plan; of another part, the table ``numbers()``."""
    arrays = getattr(part, "arrays", None)
    return table(b.module, numbers()) if arrays is None else arrays[name]


def lookup(b, array, index):
    """Element ``index`` of an array; a Python number if ``index`` is one and the array a table."""
    if isinstance(index, int) and isinstance(array, ir.GlobalVariable):
        return int(array.initializer.constant[index].constant)
    return Value(b, b.load(address(b, array, index, 8), typ=_I64), INT)


def storing(position, dtype, strides):
    """The sink that stores results at ``args[position]`` with element ``strides``."""
    dtype = np.dtype(dtype)

    def sink(b, args, indices, value, mask):
        place = offset([Value(b, i, INT) for i in indices], strides)
        place = address(b, entry(b, args, position), place, dtype.itemsize)
        store(b, value, place, dtype, mask, strides[-1])

    return sink
