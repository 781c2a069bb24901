"""Calls of LAPACK and BLAS, one for each matrix of a batch, without copies in between.

SciPy gives the routines' addresses to Cython and to others (``scipy.linalg.cython_lapack``). A call
from Python takes several times as long as the work on a small matrix. So a compiled loop makes the
calls from ``_MANY`` matrices on. For fewer matrices NumPy's functions are faster, if there are any.
"""

import atexit
import ctypes
from functools import cache, lru_cache
from math import prod

import numpy as np

from rushlight.backend import native
from rushlight.backend.address import address

__all__ = ["are_few", "clear", "columns", "each", "matrices", "stored", "workspace"]

_MANY = 64
_LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}
_signature = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def each(name, *arguments):
    """Call a routine once for each matrix.

    Args:
        name: The routine's name without the letter of its dtype, such as ``"getrf"``.
        arguments: The routine's arguments. An int, or a letter as bytes, is the same in all calls.
            An array has a first dim that counts the calls: call i gets the address of part i, which
            must be contiguous. The first array of floating-point or complex numbers decides the
            dtype. All arrays have as many parts, or one part, which then serves all calls. Nothing
            is called if an array has none.
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
        else:
            a, place = _constant(a)
            steps.append(0)
        kept.append(a)
        places.append(place)
    call, routine = _routine(letter + name, len(kept))
    if count == 1:
        call(*places)
    elif count >= _MANY and native.compiles():
        table = np.array([routine, count, *places, *steps], np.int64)
        _loop(len(kept))(address(table))
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
    found = np.empty((*lead, width, rows), A.dtype)
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
    for j, column in enumerate(stack.swapaxes(0, 1)):
        column[:, slice(j + 1, None) if below else slice(j)] = 0


def workspace(size, dtype):
    """Memory in which a routine may write what it likes: it serves all calls."""
    return np.empty((1, size), dtype)


@lru_cache(1024)
def _constant(value):
    array = np.array([value], "S1" if type(value) is bytes else np.int32)
    return array, address(array)


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
    """The loop that calls a routine of ``n`` arguments, as a function of the address of a table.

    The table has the routine's address, the number of calls, and the address and then the step of
    each argument.
    """
    from rushlight.compiler.cpu.loader import load
    from rushlight.compiler.run import cache as codes

    read = lambda k: f"%p{k} = getelementptr i64, ptr %t, i64 {k}\n%v{k} = load i64, ptr %p{k}"
    move = lambda k: (
        f"%m{k} = mul i64 %i, %v{2 + n + k}\n%s{k} = add i64 %m{k}, %v{2 + k}\n"
        f"%a{k} = inttoptr i64 %s{k} to ptr"
    )
    lines = [
        "define void @each(ptr %t) {\nentry:", *map(read, range(2 + 2 * n)),
        "%f = inttoptr i64 %v0 to ptr\nbr label %next\nnext:",
        "%i = phi i64 [0, %entry], [%j, %next]", *map(move, range(n)),
        f"call void %f({', '.join([f'ptr %a{k}' for k in range(n)])})",
        "%j = add i64 %i, 1\n%more = icmp slt i64 %j, %v1",
        "br i1 %more, label %next, label %end\nend:\nret void\n}",
    ]  # fmt: skip
    module = "\n".join(lines)
    return load(codes.object_code(module, lambda: module)).function("each")


atexit.register(_loop.cache_clear)  # while there is still a linker to free the code
