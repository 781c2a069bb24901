"""What an entry makes: arrays, tensors and nodes, in Python on machine words; see ``enter.py``.

The arrays are made first. No code of Python's runs before the loops have filled them: only tensors,
nodes, lists and tuples may start Python's garbage collector, which may run anything, replays of the
same entry included. If memory runs out, objects that are half made stay.
"""

from rushlight.compiler.codegen.words import call, load, load8, stack, store
from rushlight.compiler.replay.nodes import recorded
from rushlight.compiler.replay.objects import (
    A_DATA,
    ARRAY,
    TYPE,
    WRITEABLE,
)
from rushlight.compiler.replay.records import (
    BASES,
    COUNT,
    COUNTS,
    DATA,
    DIMS,
    DTYPE,
    FOLLOWING,
    GROUP,
    GUARD,
    LOOP,
    LOOP_STRIDES,
    MOST,
    NDARRAY,
    NEW,
    NEW_ARRAY,
    NODE_COUNT,
    NONE,
    OF_PART,
    OFFSET,
    OPERAND_COUNT,
    OPERANDS,
    ORIGIN,
    PART_COUNT,
    PART_SIZE,
    PARTS,
    PLACES_OF,
    READ_ONLY,
    RESULT_SIZE,
    RESULTS,
    ROWS,
    ROWS_END,
    SET_BASE,
    SHAPE,
    STEPS,
    STRIDES,
    TURN,
    TURNS,
    UNDO,
    WHERE,
    WRITES,
    Py_DecRef,
    Py_IncRef,
)
from rushlight.compiler.replay.tensors import argument, grouped, made, referenced, release, stamp

__all__ = ["replay"]


def replay(entry, args, grad_mode):
    """The tensor, or the tuple or list of tensors, that the entry makes."""
    parts = stack(MOST)
    if make_parts(entry, args, parts) == 0:
        return 0
    step = load(entry + STEPS)
    bases = load(entry + BASES)
    while step:
        if load(step + LOOP) != GUARD:
            run(step, bases)
        elif not holds(step, bases):
            step = load(entry + UNDO)
            while step:
                run(step, bases)
                step = load(step + FOLLOWING)
            release(parts, load(entry + PART_COUNT))
            return referenced(NONE)
        step = load(step + FOLLOWING)
    if load(entry + WRITES) and stamp(load(args)) == 0:
        return 0
    results = stack(MOST)
    count = load(entry + COUNT)
    i = 0
    while i < count:
        o = made(load(entry + RESULTS) + RESULT_SIZE * i, args, parts, grad_mode)
        if o == 0:
            return 0
        store(results + 8 * i, o)
        i += 1
    if load(entry + NODE_COUNT) and recorded(entry, args, parts, results) == 0:
        return 0
    release(parts, load(entry + PART_COUNT))
    if load(entry + GROUP) == 0:
        return load(results)
    return grouped(load(entry + GROUP), results, count)


# Arrays -----------------------------------------------------------------------------------


def make_parts(entry, args, parts):
    """Make the arrays; 0 if memory ran out."""
    part = load(entry + PARTS)
    count = load(entry + PART_COUNT)
    i = 0
    while i < count:
        a = new_part(part, args, parts, load(entry + BASES))
        if a == 0:
            return 0
        store(parts + 8 * i, a)
        part += PART_SIZE
        i += 1
    return 1


def new_part(part, args, parts, bases):
    """A new array, which the loops will fill, or a part of another array."""
    where = load(part + WHERE)
    if load(part + ORIGIN) == NEW:
        a = new_array(part, 0)
        if a:
            store(bases + where, load(a + A_DATA))
        return a
    if load(part + ORIGIN) == OF_PART:
        owner = load(parts + where)
    else:
        owner = argument(args, where)
        if load(owner + TYPE) != NDARRAY:
            owner = load(owner + ARRAY)
    a = new_array(part, load(owner + A_DATA) + load(part + OFFSET))
    if a and call(SET_BASE, a, referenced(owner)) & 0xFFFFFFFF:
        Py_DecRef(a)
        return 0
    return a


def new_array(part, address):
    """An array of the dtype, shape and strides of ``part``; at 0 NumPy gives it memory."""
    dtype = load(part + DTYPE)
    Py_IncRef(dtype)
    flags = WRITEABLE if address and load(part + READ_ONLY) == 0 else 0
    return call(
        NEW_ARRAY, NDARRAY, dtype, load(part + DIMS), load(part + SHAPE), load(part + STRIDES),
        address, flags, 0,
    )  # fmt: skip


# Loops ------------------------------------------------------------------------------------


def holds(step, bases):
    """Whether the operand of a guard has the guard's value."""
    place = step + PLACES_OF
    return load8(load(bases + load(place)) + load(place + 8)) == load(step + DATA)


def run(step, bases):
    """Call a loop as NumPy does: with the addresses, the count, and the strides of its operands."""
    row = load(step + ROWS)
    while row < load(step + ROWS_END):
        turn = 0
        while turn < load(step + TURNS):
            run_row(step, bases, row, turn)
            turn += 1
        row += 8 * load(step + OPERAND_COUNT)
    return 0


def run_row(step, bases, row, turn):
    """Call a loop for one row. SciPy's loops change the addresses, so each row gets them anew."""
    count = load(step + OPERAND_COUNT)
    i = 0
    while i < count:
        place = step + PLACES_OF + 16 * i
        moved = load(row + 8 * i) + turn * load(load(step + TURN) + 8 * i)
        store(OPERANDS + 8 * i, load(bases + load(place)) + load(place + 8) + moved)
        i += 1
    return call(
        load(step + LOOP),
        OPERANDS,
        load(step + COUNTS),
        load(step + LOOP_STRIDES),
        load(step + DATA),
    )
