"""Calls of LAPACK and BLAS, one for each matrix of a batch, without copies in between.

SciPy gives the routines' addresses to Cython and to others (``scipy.linalg.cython_lapack``). A call
from Python takes several times as long as the work on a small matrix. So a compiled loop makes the
calls from ``_MANY`` matrices on. For fewer matrices NumPy's functions are faster, if there are any.
"""

import atexit
import ctypes
from functools import cache, lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rushlight.backend import native
from rushlight.backend.address import address

__all__ = ["Room", "are_few", "clear", "columns", "each", "empty", "matrices", "one", "stored"]

_MANY = 64
_MOST_NOTED = 1 << 12  # elements of an array; a replayed call keeps other threads waiting
_LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}
_signature = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class Room(NamedTuple):
    """An argument of ``each``: memory in which a routine may write what it likes."""

    size: int
    dtype: Any


def each(name, *arguments):
    """Call a routine once for each matrix.

    Args:
        name: The routine's name without the letter of its dtype, such as ``"getrf"``.
        arguments: The routine's arguments. An int, a letter as bytes, or a ``Room`` is the same in
            all calls. An array has a first dim that counts the calls: call i gets the address of
            part i, which must be contiguous. The first array of floating-point or complex numbers
            decides the dtype. All arrays have as many parts, or one part, which then serves all
            calls. Nothing is called if an array has none.
    """
    count, letter = 1, None
    kept, places, steps = [], [], []  # ``kept`` so that no memory is freed before the call
    for a in arguments:
        if type(a) is np.ndarray:
            parts, place = len(a), address(a)
            if not parts:
                return
            # The routine gets bare addresses: it would read and write other memory.
            assert parts in (1, count) or count == 1, (name, a.shape)
            assert a.flags.c_contiguous or a[0].flags.c_contiguous, (name, a.shape, a.strides)
            count = max(count, parts)
            letter = letter or _LETTERS.get(a.dtype.char)
            steps.append(a.strides[0] if parts > 1 else 0)
        elif hasattr(a, "tape"):  # in a call that will be replayed
            return _noted(name, arguments)
        else:
            a = np.empty((1, a.size), a.dtype) if type(a) is Room else _constant(a)
            place = address(a)
            steps.append(0)
        kept.append(a)
        places.append(place)
    call, routine = _routine(letter + name, len(kept))
    if count == 1:
        call(*places)
    elif count >= _MANY and native.compiles():
        table = np.array([routine, count, *places, *steps], np.int64)
        _loop(len(kept)).function("each")(address(table))
    else:
        for i in range(count):
            call(*[place + i * step for place, step in zip(places, steps, strict=True)])


def are_few(A):
    """Whether ``A`` has so few matrices that NumPy's functions take less time than ``each``."""
    return prod(A.shape[:-2]) < _MANY


def columns(A, lead=None):
    """A copy of the matrices of ``A``, broadcast to the leading dims ``lead``, for ``each``.

    Each matrix is stored column by column: the copy is ``(count, columns, rows)``.
    """
    rows, width = A.shape[-2:]
    lead = A.shape[:-2] if lead is None else lead
    found = empty(A, (*lead, width, rows))
    found.swapaxes(-1, -2)[...] = A
    return found if len(lead) == 1 else found.reshape(prod(lead), width, rows)


def stored(A, lead):
    """The matrices of ``A`` for a routine that only reads them: (stack, whether they are A's).

    If not, they are the transposed matrices. The stack has one part for each matrix of the leading
    dims ``lead``, or one part for all. It is a copy only if A's matrices have gaps.
    """
    if A.shape[:-2] in (lead, ()):
        if A.flags.c_contiguous:
            return A.reshape(-1, *A.shape[-2:]), False
        if A.swapaxes(-1, -2).flags.c_contiguous:
            return A.swapaxes(-1, -2).reshape(-1, *A.shape[:-3:-1]), True
    return columns(A, lead), True


def matrices(stack, lead):
    """The matrices of ``stack``, which lie column by column in it, with leading dims ``lead``."""
    return stack.reshape(*lead, *stack.shape[1:]).swapaxes(-1, -2)


def clear(stack, below=False):
    """Set the elements above the diagonal, or below it, of column-major matrices to 0."""
    _, width, rows = stack.shape
    for j in range(min(width, rows - 1)) if below else range(1, width):
        stack[:, j, slice(j + 1, None) if below else slice(j)] = 0


def empty(like, shape, dtype=None):
    """A new array in C order. It is on the tape of ``like`` if the call will be replayed."""
    return np.empty_like(like, dtype or like.dtype, "C", shape=shape)


@cache
def one(dtype):
    """The number 1 as an argument of ``each``."""
    found = np.ones(1, dtype)
    found.flags.writeable = False
    return found


@lru_cache(1024)
def _constant(value):
    return np.array([value], "S1" if type(value) is bytes else np.int32)


def _noted(name, arguments):
    """Do the work of ``each`` in a call that will be replayed: its arrays are ``Noted``."""
    tape = next(a.tape for a in arguments if hasattr(a, "tape"))
    operands = [_on_tape(tape, a) for a in arguments]
    parts = [len(a) for a in operands]
    count = max(parts)
    for a in operands:
        assert len(a) in (1, count), (name, a.shape)
        assert a.flags.c_contiguous or a[0].flags.c_contiguous, (name, a.shape, a.strides)
    letter = next(filter(None, [_LETTERS.get(a.dtype.char) for a in operands]))
    _, routine = _routine(letter + name, len(operands))
    steps = [a.strides[0] if n > 1 else 0 for a, n in zip(operands, parts, strict=True)]
    library, data = _loop(len(operands)), np.array([routine], np.int64)
    for a, given in zip(operands, arguments, strict=True):
        if a.size > _MOST_NOTED and type(given) is not Room:
            a.refused()
    tape.run(library.address("loop"), data, operands, library, count, steps)
    each(name, *[a.array for a in operands])


def _on_tape(tape, argument):
    """An argument of ``each`` as an array on the tape."""
    if hasattr(argument, "tape"):
        return argument
    if type(argument) is Room:
        return tape.scratch(np.empty((1, argument.size), argument.dtype))
    if type(argument) is np.ndarray:
        assert not argument.flags.writeable  # else a routine may write what the call reads later
        return tape.constant(argument)
    return tape.constant(_constant(argument))


@cache
def _routine(name, n):
    """The routine ``name``, which has ``n`` arguments: (a function of addresses, its address)."""
    from scipy.linalg import cython_blas, cython_lapack

    found = {**cython_blas.__pyx_capi__, **cython_lapack.__pyx_capi__}[name]
    signature = _signature(found)
    assert signature.count(b"*") == n, (name, signature)
    place = _pointer(found, signature)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n)(place), place


@cache
def _loop(n):
    """The library of a loop that calls a routine of ``n`` arguments, in two forms.

    ``loop`` has the arguments of NumPy's loops. Its data are the address of the routine. ``each``
    takes the address of a table: the routine's address, the number of calls, and the address and
    then the step of each argument.
    """
    from rushlight.compiler.cpu.loader import load
    from rushlight.compiler.run import cache as codes

    begin = lambda k: (
        f"%p{k} = getelementptr ptr, ptr %args, i64 {k}\n%b{k} = load ptr, ptr %p{k}\n"
        f"%q{k} = getelementptr i64, ptr %steps, i64 {k}\n%s{k} = load i64, ptr %q{k}"
    )
    move = lambda k: f"%m{k} = mul i64 %i, %s{k}\n%a{k} = getelementptr i8, ptr %b{k}, i64 %m{k}"
    lines = [
        "define void @loop(ptr %args, ptr %dims, ptr %steps, ptr %data) {\nentry:",
        *map(begin, range(n)),
        "%f = load ptr, ptr %data\n%count = load i64, ptr %dims\nbr label %next\nnext:",
        "%i = phi i64 [0, %entry], [%j, %next]", *map(move, range(n)),
        f"call void %f({', '.join([f'ptr %a{k}' for k in range(n)])})",
        "%j = add i64 %i, 1\n%more = icmp slt i64 %j, %count",
        "br i1 %more, label %next, label %end\nend:\nret void\n}",
        "define void @each(ptr %data) {",
        "%dims = getelementptr i64, ptr %data, i64 1\n%args = getelementptr i64, ptr %data, i64 2",
        f"%steps = getelementptr i64, ptr %data, i64 {2 + n}",
        "call void @loop(ptr %args, ptr %dims, ptr %steps, ptr %data)\nret void\n}",
    ]  # fmt: skip
    module = "\n".join(lines)
    return load(codes.object_code(module, lambda: module))


atexit.register(_loop.cache_clear)  # while there is still a linker to free the code
