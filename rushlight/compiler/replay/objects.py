"""Where the objects of CPython, NumPy and rushlight keep their fields, in bytes from their head.

The fields of NumPy's arrays and ufuncs are part of its C API. Python keeps the offsets of slots in
the class. ``agree`` compares all with real objects. If they differ, calls are not replayed.
"""

import ctypes
import struct
import sys
import sysconfig
from typing import Any

import numpy as np

from rushlight.autograd.tape import Node, Output
from rushlight.locks import new_lock
from rushlight.random import Generator
from rushlight.tensor import Tensor, ViewOf

__all__ = ["agree", "api", "loops_of", "read", "slot_offset"]

TYPE, SIZE = 8, 16  # every object; tuples, lists and other objects of a length
TUPLE_ITEMS = tuple.__basicsize__  # a tuple has its items here
LIST_ITEMS = 24  # a list has a pointer to its items here
FLOAT_VALUE = 16
SLICE_BEGIN = 16  # and its end and step behind it
INT_SIZE, INT_DIGIT = 16, 24  # one digit has 30 bits
A_DATA, A_DIMS, A_SHAPE, A_STRIDES, A_BASE, A_DTYPE, A_FLAGS = range(16, 65, 8)  # arrays
U_LOOPS, U_DATA, U_TYPES = 32, 40, 64  # ufuncs
LOCK_OWNER = 24  # of a reentrant lock: the thread that has it, or 0
D_MEMBER, M_OFFSET = 40, 16  # the descriptor of a slot, and the offset in what it points to

ALIGNED, WRITEABLE = 0x100, 0x400  # flags of an array

_NEW_FROM_DESCR, _SET_BASE_OBJECT = 94, 282  # places in the table of NumPy's C API


def read(address):
    """The word at ``address``."""
    return ctypes.c_int64.from_address(address).value


def slot_offset(cls, name):
    """The offset of the slot ``name`` in objects of ``cls``."""
    return read(read(id(vars(cls)[name]) + D_MEMBER) + M_OFFSET)


ARRAY, CELL, GRADIENT, NODE, TURNED, VIEW = [
    slot_offset(Tensor, n) for n in ("_array", "_cell", "_grad", "node", "turned", "view_of")
]
PATH, ROOT, SEEN, UNTRACKED = [
    slot_offset(ViewOf, n) for n in ("path", "root", "seen", "untracked")
]
N_CELLS, N_CLOCK, N_DTYPE, N_HOOKS, N_OUTPUTS, N_PARENTS, N_SAVED, N_SHAPE = [
    slot_offset(Node, n)
    for n in ("cells", "clock", "dtype", "hooks", "outputs", "parents", "saved", "shape")
]
G_LOCK, G_MEMORY, G_NORMAL, G_PENDING = [
    slot_offset(Generator, n) for n in ("lock", "_memory", "normal", "_pending")
]
O_COUNT, O_INDEX, O_SOURCE = [slot_offset(Output, n) for n in ("count", "index", "source")]


def api():
    """The addresses of the functions of NumPy's C API that machine code calls: (new, set base)."""
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = pointer(capsule, None)
    return read(table + 8 * _NEW_FROM_DESCR), read(table + 8 * _SET_BASE_OBJECT)


def loops_of(ufunc, dtypes):
    """(function, data) of the loop of ``ufunc`` for ``dtypes``, or None."""
    kinds = bytes([d.num for d in dtypes])
    found = ctypes.string_at(read(id(ufunc) + U_TYPES), ufunc.nargs * ufunc.ntypes)
    for i in range(ufunc.ntypes):
        if found[i * len(kinds) : (i + 1) * len(kinds)] == kinds:
            loops, data = [read(id(ufunc) + field) for field in (U_LOOPS, U_DATA)]
            return read(loops + 8 * i), read(data + 8 * i) if data else 0
    return None


def agree():
    """Whether real objects have their fields at these offsets."""
    usable = sys.implementation.name == "cpython" and struct.calcsize("P") == 8
    if not usable or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    a = np.zeros((2, 3), "f4")[:, 1:]
    view = ViewOf(None, (), 0, False)
    x: Any = object.__new__(Tensor)
    x._array = x.turned = view
    words = lambda address, n: [read(address + 8 * k) for k in range(n)]
    return (
        [read(id(a) + f) for f in (TYPE, A_DATA, A_BASE, A_DTYPE)]
        == [id(np.ndarray), a.ctypes.data, id(a.base), id(a.dtype)]
        and read(id(a) + A_DIMS) & 0xFFFFFFFF == a.ndim
        and words(read(id(a) + A_SHAPE), 2) == [*a.shape]
        and words(read(id(a) + A_STRIDES), 2) == [*a.strides]
        and read(id(a) + A_FLAGS) & (ALIGNED | WRITEABLE) == ALIGNED | WRITEABLE
        and [read(id(x) + slot_offset(Tensor, n)) for n in ("_array", "turned")] == [id(view)] * 2
        and read(id((a, view)) + SIZE) == 2
        and read(id(t := (a, view)) + TUPLE_ITEMS + 8) == id(t[1])
        and read(read(id(v := [a, view]) + LIST_ITEMS) + 8) == id(v[1])
        and [read(id(s := slice("a", "b", "c")) + SLICE_BEGIN + 8 * k) for k in range(3)]
        == [id(s.start), id(s.stop), id(s.step)]
        and ctypes.c_double.from_address(id(f := 1.5) + FLOAT_VALUE).value == f
        and read(id(k := 12345) + INT_DIGIT) & 0xFFFFFFFF == k
        and _loop_works()
        and _owner_is_seen()
    )


def _owner_is_seen():
    """Whether a lock tells that a thread has it."""
    lock = new_lock()
    owners = [read(id(lock) + LOCK_OWNER)]
    with lock:
        owners.append(read(id(lock) + LOCK_OWNER))
    owners.append(read(id(lock) + LOCK_OWNER))
    return [owner != 0 for owner in owners] == [False, True, False]


def _loop_works():
    """Whether the loop that ``loops_of`` finds adds two numbers."""
    f4 = np.dtype("f4")
    found = loops_of(np.add, (f4, f4, f4))
    if found is None:
        return False
    a, b, out = [np.array([n], f4) for n in (1.5, 2.25, 0)]
    table = np.array([x.ctypes.data for x in (a, b, out)], np.int64)
    count, strides = np.array([1], np.int64), np.array([4, 4, 4], np.int64)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(found[0])
    function(*[x.ctypes.data for x in (table, count, strides)], found[1])
    return out[0] == 3.75
