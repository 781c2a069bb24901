"""Loads and stores of Values, with masks and strides; reductions.

A mask is a Value of bools. Memory is neither read nor written for lanes whose mask is False; a load
gives 0 for them. Strides count elements.

The mask of ``store`` must be a ``Prefix``, and the store is written as plain stores of whole
pieces. LLVM's masked store is used for floats only, because LLVM 22 has a bug: if the lanes are
truncated numbers and only one lane is stored, that lane is written untruncated, over the memory
behind it.
"""

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.half import narrowed, widened
from rushlight.compiler.codegen.value import (
    BOOL,
    HALF,
    INT,
    Value,
    constant,
    intrinsic,
    ir_type,
    lane_numbers,
    select,
    splat,
    suffix,
    vector_type,
)  # fmt: skip

__all__ = [
    "FEW", "Prefix", "addresses", "gather", "iota", "load", "picked", "prefix_mask", "reduce",
    "stack", "store",
]  # fmt: skip

_BYTE, _I32 = ir.IntType(8), ir.IntType(32)
_I64 = ir.IntType(64)
#: Up to this stride, vectors of all elements are read, and the wanted ones are picked from them.
FEW = 4


def memory_type(dtype, lanes=1):
    """The LLVM type of ``lanes`` elements of ``dtype`` as they lie in memory."""
    if dtype.kind != "b" and dtype not in HALF:
        return ir_type(dtype, lanes)
    element = ir.IntType(dtype.itemsize * 8)
    return element if lanes == 1 else vector_type(element, lanes)


def stack(b, typ):
    """A variable on the stack, allocated in a block of its own ahead of all others.

    An allocation inside a loop would take more of the stack in each iteration.
    """
    function = b.function
    body = function.entry_basic_block
    if body.name != "stack":
        ir.IRBuilder(function.insert_basic_block(0, "stack")).branch(body)
    with b.goto_entry_block():
        return b.alloca(typ)


def iota(b, lanes, dtype=INT):
    """0, 1, 2, … in the lanes."""
    dtype = np.dtype(dtype)
    if lanes == 1:
        return constant(b, 0, dtype)
    return Value(b, ir.Constant(ir_type(dtype, lanes), list(range(lanes))), dtype)


class Prefix(Value):
    """A mask of the first ``count`` lanes: a Python number, or an i64 of at most the lanes.

    ``rest``, if known, is the Python number that ``count`` equals whenever the vector is not full.
    If ``at_once`` is true, the processor can store some lanes by one instruction, and the values
    are floats that are not converted.
    """

    __slots__ = ("at_once", "count", "rest")

    def __init__(self, b, v, count, rest=None):
        super().__init__(b, v, BOOL)
        self.count = count
        self.rest = rest
        self.at_once = False

    def to(self, b):
        """The same mask for the instructions of another builder."""
        return Prefix(b, self.v, self.count, self.rest)


def prefix_mask(b, count, lanes):
    """True in the first ``count`` (a number or an i64) lanes: the mask of a loop's tail."""
    if isinstance(count, ir.Constant):
        count = count.constant
    if isinstance(count, int):
        count = max(0, min(count, lanes))
        if lanes == 1:
            return Prefix(b, ir.Constant(ir.IntType(1), count), count)
        typ = vector_type(ir.IntType(1), lanes)
        return Prefix(b, ir.Constant(typ, [i < count for i in range(lanes)]), count)
    if lanes == 1:
        return Prefix(b, b.icmp_signed(">", count, _I64(0)), count)
    # A clamped count fits int32, so the comparison can use int32 lanes, half as wide as int64.
    count = b.select(b.icmp_signed("<", count, _I64(lanes)), count, _I64(lanes))
    narrow = Value(b, b.trunc(count, _I32), np.dtype(np.int32))
    return Prefix(b, (iota(b, lanes, np.int32) < narrow).v, count)


def _bits_of_mask(b, mask, lanes):
    mask = splat(mask, lanes)
    if lanes > 1:
        return mask.v
    typ = vector_type(ir.IntType(1), 1)
    return b.insert_element(ir.Constant(typ, ir.Undefined), mask.v, _I32(0))


def _spaced(b, pointer, dtype, lanes, stride):
    """The pointers to ``lanes`` elements that lie ``stride`` apart."""
    stride = ir.Constant(_I64, stride) if isinstance(stride, int) else stride
    steps = iota(b, lanes) * Value(b, stride, INT)
    return addresses(b, pointer, steps, dtype)


# Loads ------------------------------------------------------------------------------------


def load(b, pointer, dtype, lanes=1, mask=None, stride=1):
    """``lanes`` elements from ``pointer`` on.

    With the Python number 0 as ``stride``, ``mask`` is ignored and the result is the single element
    at ``pointer``, a 1-lane Value.
    """
    dtype = np.dtype(dtype)
    if isinstance(stride, int) and stride == 0:
        return load(b, pointer, dtype)
    typ = memory_type(dtype, lanes)
    if lanes == 1 and mask is None:
        v = b.load(pointer, typ=typ, align=dtype.itemsize)
    elif lanes == 1 or (isinstance(stride, int) and stride == 1):
        v = _load_vector(b, pointer, dtype, lanes, mask)
    elif isinstance(stride, int) and abs(stride) <= FEW:
        v = _load_near(b, pointer, dtype, lanes, mask, stride)
    else:
        return load_from(b, _spaced(b, pointer, dtype, lanes, stride), dtype, lanes, mask)
    return _from_memory(b, v, dtype)


def _load_near(b, pointer, dtype, lanes, mask, stride):
    """Elements a small ``stride`` apart, picked from whole vectors: a gather takes much longer.

    No memory before the first or after the last of the elements is read.
    """
    step, order = abs(stride), list(range(lanes))
    if stride < 0:
        order.reverse()
        pointer = b.gep(pointer, [_I64((lanes - 1) * stride)], source_etype=memory_type(dtype))
    known = _known(mask)
    if known is not None:
        return _load_near_known(b, pointer, dtype, step, order, known)
    bits = None if mask is None else _bits_of_mask(b, mask, lanes)
    if stride < 0:
        bits = bits and picked(b, [bits], [0], order)
    last = (lanes - 1) * (step - 1)  # where the vector begins that ends with the last element
    begins = sorted({min(k * lanes, last) for k in range(step)})
    parts = []
    for begin in begins:
        at = b.gep(pointer, [_I64(begin)], source_etype=memory_type(dtype))
        places = range(begin, begin + lanes)
        wanted = bits and b.and_(
            picked(b, [bits], [0], [i // step for i in places]),
            ir.Constant(bits.type, [i % step == 0 for i in places]),
        )
        parts.append(_load_vector(b, at, dtype, lanes, wanted and Value(b, wanted, BOOL)))
    return picked(b, parts, begins, [i * step for i in order])


def _known(mask):
    """The lanes of a mask that is a constant, as a list of bools; else None."""
    constants = getattr(getattr(mask, "v", None), "constant", None)
    if type(constants) is not list:
        return None
    return [bool(getattr(c, "constant", c)) for c in constants]


def _load_near_known(b, pointer, dtype, step, order, known):
    """``_load_near`` for a known mask, by plain loads of the memory from its first element on.

    LLVM 22 turns some masked loads without any lane, which it makes of wide ones, into plain loads
    beyond the last element.
    """
    lanes = len(order)
    zeros = ir.Constant(vector_type(memory_type(dtype), lanes), None)
    wanted = [i * step for i, k in zip(order, known, strict=True) if k]
    if not wanted:
        return zeros
    first, end = min(wanted), max(wanted) + 1
    count = min(lanes, end - first)
    parts = []
    begins = sorted({min(first + k * lanes, end - count) for k in range(step)})
    for begin in begins:
        at = b.gep(pointer, [_I64(begin)], source_etype=memory_type(dtype))
        part = _load_vector(b, at, dtype, count, None)
        wide = lane_numbers([min(i, count - 1) for i in range(lanes)])
        parts.append(part if count == lanes else b.shuffle_vector(part, part, wide))
    places = [i * step if k else first for i, k in zip(order, known, strict=True)]
    found = picked(b, parts, begins, places)
    bits = ir.Constant(vector_type(ir.IntType(1), lanes), known)
    return found if all(known) else b.select(bits, found, zeros)


def picked(b, parts, begins, places):
    """A vector of the elements at ``places`` of vectors, which begin at the places ``begins``."""
    found, lanes = parts[0], len(places)
    for part, begin, end in zip(parts, begins, [*begins[1:], max(places) + 1], strict=True):
        picks = [lanes + i - begin if begin <= i < end else k for k, i in enumerate(places)]
        found = b.shuffle_vector(found, part, lane_numbers(picks))
    return found


def load_from(b, places, dtype, lanes, mask=None):
    """The elements at a vector of addresses."""
    typ = memory_type(dtype, lanes)
    bits = _bits_of_mask(b, constant(b, True, BOOL) if mask is None else mask, lanes)
    name = f"llvm.masked.gather.{suffix(typ)}.v{lanes}p0"
    args = [places, _I32(dtype.itemsize), bits, ir.Constant(typ, None)]
    return _from_memory(b, intrinsic(b, name, typ, args), dtype)


def addresses(b, base, where, dtype):
    """The pointers to the elements ``where``, a Value of lanes of int64, after ``base``."""
    found = b.gep(base, [where.v], source_etype=memory_type(dtype))
    found.type = vector_type(base.type, where.lanes)  # llvmlite takes the result for one pointer
    return found


def gather(b, base, where, dtype, mask=None):
    """The elements ``where`` after ``base``; 0 where the mask is False."""
    return load_from(b, addresses(b, base, where, dtype), dtype, where.lanes, mask)


def _load_vector(b, pointer, dtype, lanes, mask):
    typ = vector_type(memory_type(dtype), lanes)
    if mask is None:
        return b.load(pointer, typ=typ, align=dtype.itemsize)
    bits = _bits_of_mask(b, mask, lanes)
    name = f"llvm.masked.load.{suffix(typ)}.p0"
    v = intrinsic(b, name, typ, [pointer, _I32(dtype.itemsize), bits, ir.Constant(typ, None)])
    return v if lanes > 1 else b.extract_element(v, _I32(0))


def _from_memory(b, v, dtype):
    if dtype.kind == "b":
        return Value(b, v, np.dtype(np.uint8)) != 0
    if dtype in HALF:
        return widened(Value(b, v, np.dtype(np.uint16)), dtype)
    return Value(b, v, dtype)


# Stores -----------------------------------------------------------------------------------


def store(b, value, pointer, dtype, mask=None, stride=1):
    """Write the lanes of ``value``, cast to ``dtype``, from ``pointer`` on."""
    dtype, lanes = np.dtype(dtype), value.lanes
    if lanes > 1 and not (isinstance(stride, int) and stride == 1):
        store_to(b, value, _spaced(b, pointer, dtype, lanes, stride), dtype, mask)
        return
    v = _to_memory(value, dtype)
    if mask is None:
        b.store(v, pointer, align=dtype.itemsize)
    elif isinstance(mask.count, int):
        _store_known(b, v, pointer, dtype.itemsize, mask.count)
    elif lanes == 1:
        with b.if_then(mask.v):
            b.store(v, pointer, align=dtype.itemsize)
    else:
        with b.if_else(b.icmp_signed("==", mask.count, _I64(lanes))) as (whole, some):
            with whole:
                b.store(v, pointer, align=dtype.itemsize)
            with some:
                if mask.at_once:
                    _store_masked(b, v, pointer, dtype.itemsize, mask)
                elif mask.rest is None:
                    _store_some(b, v, pointer, dtype.itemsize, mask.count)
                else:
                    _store_known(b, v, pointer, dtype.itemsize, mask.rest)


def _store_known(b, v, pointer, itemsize, count):
    """Write the first ``count`` (a Python number) lanes as one piece or as two that overlap."""
    if not count:
        return
    size = 1 << count.bit_length() - 1
    b.store(_piece(b, v, 0, size), pointer, align=itemsize)
    if count > size:
        size = 1 << (count - size - 1).bit_length()
        first = count - size
        at = b.gep(pointer, [_I64(first * itemsize)], source_etype=_BYTE)
        b.store(_piece(b, v, first, size), at, align=itemsize)


def _store_masked(b, v, pointer, itemsize, mask):
    """Write the lanes of the mask by LLVM's masked store; ``v`` are floats, not truncated."""
    name = f"llvm.masked.store.{suffix(v.type)}.p0"
    args = [v, pointer, _I32(itemsize), mask.v]
    intrinsic(b, name, ir.VoidType(), args)


def _store_some(b, v, pointer, itemsize, count):
    """Write the first ``count`` (an i64 below the number of lanes) lanes.

    Each bit of ``count`` that is 1 stands for one piece, of as many lanes as the bit is worth.
    """
    count = b.select(b.icmp_signed(">", count, _I64(0)), count, _I64(0))
    size = v.type.count // 2
    while size:
        before, given = b.block, (v, pointer)
        lower, upper = _piece(b, v, 0, size), _piece(b, v, size, size)
        taken = b.icmp_unsigned("!=", b.and_(count, _I64(size)), _I64(0))
        with b.if_then(taken):
            b.store(lower, pointer, align=itemsize)
            after = b.block
            further = b.gep(pointer, [_I64(size * itemsize)], source_etype=_BYTE)
        v, pointer = [b.phi(x.type) for x in (lower, given[1])]
        for phi, x, y in ((v, lower, upper), (pointer, given[1], further)):
            phi.add_incoming(x, before)
            phi.add_incoming(y, after)
        size //= 2


def _piece(b, v, first, size):
    """``size`` lanes of a vector, from lane ``first`` on; one lane is a plain number."""
    if not isinstance(v.type, ir.VectorType) or v.type.count == size:
        return v
    if size == 1:
        return b.extract_element(v, _I32(first))
    picks = lane_numbers(range(first, first + size))
    return b.shuffle_vector(v, ir.Constant(v.type, ir.Undefined), picks)


def store_to(b, value, places, dtype, mask=None):
    """Write the lanes of ``value`` to a vector of addresses, in the order of the lanes."""
    v, lanes = _to_memory(value, dtype), value.lanes
    bits = _bits_of_mask(b, constant(b, True, BOOL) if mask is None else mask, lanes)
    name = f"llvm.masked.scatter.{suffix(v.type)}.v{lanes}p0"
    intrinsic(b, name, ir.VoidType(), [v, places, _I32(dtype.itemsize), bits])


def _to_memory(value, dtype):
    b = value.b
    if dtype.kind == "b":
        return b.zext(value.astype(dtype).v, memory_type(dtype, value.lanes))
    if dtype in HALF:
        return narrowed(value, dtype).v
    return value.astype(dtype).v


# Reductions -------------------------------------------------------------------------------


def halves(value):
    """The lower and the upper half of the lanes."""
    b, half = value.b, value.lanes // 2
    if half == 1:
        return [Value(b, b.extract_element(value.v, _I32(i)), value.dtype) for i in (0, 1)]
    parts = []
    for start in (0, half):
        picks = lane_numbers(range(start, start + half))
        v = b.shuffle_vector(value.v, ir.Constant(value.v.type, ir.Undefined), picks)
        parts.append(Value(b, v, value.dtype))
    return parts


def _first(value):
    return Value(value.b, value.b.extract_element(value.v, _I32(0)), value.dtype)


def reduce(value, operation):
    """Combine all lanes by ``add``, ``mul``, ``max``, ``min``, ``and`` or ``or``, in fixed order.

    The upper half of the lanes is combined with the lower until one is left.
    """
    if value.dtype.kind == "b":
        return _all_or_any(value, COMBINE_BOOL[operation])
    combine = COMBINE[operation]
    while value.lanes > 2:
        value = combine(*halves(value))
    if value.lanes == 2:
        b = value.b
        second = Value(b, b.extract_element(value.v, _I32(1)), value.dtype)
        value = combine(_first(value), second)
    return value


COMBINE_BOOL = {"add": any, "or": any, "max": any, "mul": all, "and": all, "min": all}


def _all_or_any(value, which):
    """Whether all lanes of a mask are True, or any lane: a single comparison of its bytes.

    The mask's bits would do, but LLVM 22 makes wrong code for AVX-512 of them if the mask is that
    of ``x < 0`` and is also used elsewhere: it reads a register that nothing has written.
    """
    b, typ = value.b, ir.IntType(8 * value.lanes)
    if value.lanes == 1:
        return value
    bits = b.bitcast(b.sext(value.v, vector_type(_BYTE, value.lanes)), typ)
    found = b.icmp_unsigned(*(("!=", bits, typ(0)) if which is any else ("==", bits, typ(-1))))
    return Value(b, found, BOOL)


def maximum(x, y):
    """The larger of two Values of one dtype; nan where either is."""
    if x.dtype.kind == "f":
        return select(x != x, x, select(x > y, x, y))
    return select(x > y, x, y)


def minimum(x, y):
    """The smaller of two Values of one dtype; nan where either is."""
    if x.dtype.kind == "f":
        return select(x != x, x, select(x < y, x, y))
    return select(x < y, x, y)


COMBINE = {
    "add": lambda x, y: x + y, "mul": lambda x, y: x * y, "max": maximum, "min": minimum,
    "and": lambda x, y: x & y, "or": lambda x, y: x | y,
}  # fmt: skip
