"""The function that runs kernels one after the other: ``i64 run(ptr table)``.

Constant tables list the steps. Each step has its kernel, the kernel's number of chunks (0: a plain
call), the end of its arguments in the list of all arguments, and the number of its check (0: none).
An argument is a slot of the caller's table, and an offset in bytes. If a kernel sets the flag of
its check, the function returns the check's number at once; at the end it returns 0.

Python's signal handlers can run during the thread pool's rounds, and every ``_STEPS`` steps. If a
handler raises, the function returns -1.
"""

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, KERNEL, POINTER, Loop, i64

__all__ = ["write_stretch"]

#: i64 parallel(kernel, args, chunks, time of the last look for signals): 1 if a handler raised
PARALLEL = ir.FunctionType(I64, [POINTER, POINTER, I64, POINTER])
_STEPS = 64  # steps between two looks, a power of 2; a step on one thread takes about 50 µs
_BYTE = ir.IntType(8)


def write_stretch(module, name, tables, count, longest):
    """Add the function. A step has at most ``longest`` arguments.

    If a step has a check, its last argument is the check's flag.
    """
    function = ir.Function(module, ir.FunctionType(I64, [POINTER]), name)
    slots = function.args[0]
    b = ir.IRBuilder(function.append_basic_block())
    args = b.alloca(POINTER, size=i64(max(1, longest)))
    since = b.alloca(I64)
    b.store(i64(0), since)
    parallel = _read(b, slots, i64(0), PARALLEL.as_pointer())
    steps = Loop(b, i64(0), i64(count))
    begin = _end_before(steps, tables["end"])
    end = _read(steps.b, tables["end"], steps.i)
    places = Loop(steps.b, begin, end)
    _enter(places.b, slots, args, tables, places.i, begin)
    places.close()
    if count > _STEPS:
        _look(steps, parallel, since)
    _run(steps, args, tables, parallel, since)
    _leave_if_wrong(steps, args, tables, begin, end)
    steps.close()
    b.ret(i64(0))


def _read(b, array, i, typ=I64):
    return b.load(b.gep(array, [i], source_etype=I64), typ=typ, align=8)


def _end_before(steps, ends):
    """The index of a step's first argument: the end of the previous step's arguments."""
    b = steps.b
    first = b.icmp_signed("==", steps.i, i64(0))
    before = b.select(first, i64(0), b.sub(steps.i, i64(1)))
    return b.select(first, i64(0), _read(b, ends, before))


def _enter(b, slots, args, tables, k, begin):
    """Write the address of argument ``k`` to its place in the kernel's ``args``."""
    base = _read(b, slots, _read(b, tables["slot"], k), POINTER)
    address = b.gep(base, [_read(b, tables["offset"], k)], source_etype=_BYTE)
    b.store(address, b.gep(args, [b.sub(k, begin)], source_etype=POINTER), align=8)


def _look(steps, parallel, since):
    """Look for signals every ``_STEPS`` steps, even if no step runs on several threads."""
    b, nothing = steps.b, ir.Constant(POINTER, None)
    last = b.and_(steps.i, i64(_STEPS - 1))
    with b.if_then(b.icmp_signed("==", last, i64(_STEPS - 1)), likely=False):
        _leave_if_stopped(b, b.call(parallel, [nothing, nothing, i64(0), since]))


def _leave_if_stopped(b, stopped):
    with b.if_then(b.icmp_signed("!=", stopped, i64(0)), likely=False):
        b.ret(i64(-1))


def _run(steps, args, tables, parallel, since):
    b = steps.b
    kernel = _read(b, tables["kernel"], steps.i, KERNEL.as_pointer())
    chunks = _read(b, tables["chunks"], steps.i)
    with b.if_else(b.icmp_signed("==", chunks, i64(0))) as (alone, together):
        with alone:
            b.call(kernel, [args, i64(0), ir.Constant(POINTER, None)])
        with together:
            stopped = b.call(parallel, [b.bitcast(kernel, POINTER), args, chunks, since])
            _leave_if_stopped(b, stopped)


def _leave_if_wrong(steps, args, tables, begin, end):
    """Let the function return the number of the step's check if its flag is set."""
    b = steps.b
    check = _read(b, tables["check"], steps.i)
    with b.if_then(b.icmp_signed("!=", check, i64(0))):
        last = b.sub(b.sub(end, begin), i64(1))
        flag = b.load(b.gep(args, [last], source_etype=POINTER), typ=POINTER, align=8)
        wrong = b.icmp_unsigned("!=", b.load(flag, typ=_BYTE), _BYTE(0))
        with b.if_then(wrong, likely=False):
            b.ret(check)
