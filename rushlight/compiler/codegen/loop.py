"""Loops of a kernel that is being written, and addresses in memory."""

from contextlib import contextmanager

from llvmlite import ir

from rushlight.compiler.codegen.value import INT, Value, constant

__all__ = ["address", "carried", "loop", "unravel"]

_I8 = ir.IntType(8)


def lift(b, index):
    """An index as an int64 Value, whether it is known now or only when the kernel runs."""
    return index if isinstance(index, Value) else constant(b, index, INT)


@contextmanager
def loop(b, start, stop, step=1):
    """Write a loop: the ``with`` block's code runs for each index from ``start`` up to ``stop``.

    ``stop`` itself is not included. The bounds are Python integers or int64 Values. If the loop is
    known to run once, the block's code is written without a loop.
    """
    static = isinstance(start, int) and isinstance(stop, int)
    if static and start < stop <= start + step:
        yield start
        return
    before, start, stop = b.block, lift(b, start), lift(b, stop)
    head, body, end = [b.append_basic_block(name) for name in ("loop", "body", "end")]
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(start.v.type)
    index.add_incoming(start.v, before)
    b.cbranch(b.icmp_signed("<", index, stop.v), body, end)
    b.position_at_end(body)
    index = Value(b, index, INT)
    yield index
    index.v.add_incoming((index + step).v, b.block)
    b.branch(head)
    b.position_at_end(end)


def carried(b, start, stop, values, body, step=1):
    """``values`` after ``values = body(index, values)`` for each index, as in a fold.

    The values stay in registers. ``stop - start`` must be at least 1 unless both are Python
    integers.
    """
    if isinstance(start, int) and isinstance(stop, int):
        if start >= stop:
            return values
        if stop <= start + step:
            return body(start, values)
    before, start, stop = b.block, lift(b, start), lift(b, stop)
    head, end = b.append_basic_block("loop"), b.append_basic_block("end")
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(start.v.type)
    index.add_incoming(start.v, before)
    phis = [b.phi(x.v.type) for x in values]
    for phi, x in zip(phis, values, strict=True):
        phi.add_incoming(x.v, before)
    kept = [Value(b, phi, x.dtype) for phi, x in zip(phis, values, strict=True)]
    found = body(Value(b, index, INT), kept)
    after = Value(b, index, INT) + step
    for phi, x in zip([index, *phis], [after, *found], strict=True):
        phi.add_incoming(x.v, b.block)
    b.cbranch(b.icmp_signed("<", after.v, stop.v), head, end)
    b.position_at_end(end)
    return found


def address(b, pointer, offset, itemsize=1):
    """The address ``offset`` (an integer or an int64 Value) elements after ``pointer``."""
    offset = offset * itemsize
    if isinstance(offset, int) and offset == 0:
        return pointer
    return b.gep(pointer, [lift(b, offset).v], source_etype=_I8)


def unravel(b, index, shape):
    """The indices, one for each dim, of element number ``index`` in an array of ``shape``."""
    indices = []
    for n in reversed(shape[1:]):
        if isinstance(index, int):
            index, i = divmod(index, n)
        else:
            extent = lift(b, n).v
            i = Value(b, b.urem(index.v, extent), INT)
            index = Value(b, b.udiv(index.v, extent), INT)
        indices.append(i)
    return [index, *reversed(indices)] if shape else []
