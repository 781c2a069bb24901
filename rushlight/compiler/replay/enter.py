"""``enter``: an eager call that was seen before, in Python on machine words.

``codegen/word_function.py`` translates ``enter`` and what it calls into machine code, once for all
functions. ``enter`` looks for an entry whose operands lie as those of the call. It runs the entry's
loops on new memory, or makes the entry's views, and returns the tensors. If there is no entry, it
returns None, and the function goes on: anything unusual takes the way that it always took. So does
a call whose values a guard of its entry does not let pass; no other entry is tried.
"""

from rushlight.compiler.codegen.words import load, load32, store
from rushlight.compiler.replay.comparing import matches
from rushlight.compiler.replay.making import replay
from rushlight.compiler.replay.objects import A_DATA, A_DIMS, A_SHAPE, ARRAY, TYPE
from rushlight.compiler.replay.records import (
    BESIDES_MEMORY,
    FALSE,
    GRAD,
    GRAD_OFF,
    HITS,
    IN_INFERENCE,
    INFERENCE,
    LIST_COUNT,
    LISTS_OF_ENTRIES,
    MISSES,
    MODE,
    NDARRAY,
    NEXT,
    NONE,
    STATE,
    TENSOR,
    TOLD,
    TOLD_AT,
    WITH_GRADIENTS,
    WITHOUT,
    ZERO,
    Py_DecRef,
    PyDict_GetItem,
    PyObject_GetAttr,
    PyObject_Vectorcall,
)
from rushlight.compiler.replay.tensors import referenced

__all__ = ["enter"]


def enter(known, args, count, names):
    """A builtin function of Python: its record, the arguments, their number, names of the last."""
    if PyDict_GetItem(MODE, BESIDES_MEMORY) == ZERO and not is_elsewhere(args, count):
        grad_mode = grad_mode_now()
        record = load(known + A_DATA)
        entry = load(record + LISTS_OF_ENTRIES + 8 * list_for(args, count))
        while entry:
            if matches(entry, args, count, names, grad_mode):
                store(record + HITS, load(record + HITS) + 1)
                return replay(entry, args, grad_mode)
            entry = load(entry + NEXT)
        if tell(known, args, count, names) == 0:
            return 0  # an interrupt
    return referenced(NONE)


def is_elsewhere(args, count):
    """Whether the first argument is a tensor whose elements are not NumPy's."""
    if count == 0:
        return 0
    x = load(args)
    if load(x + TYPE) != TENSOR:
        return 0
    a = load(x + ARRAY)
    return a != 0 and load(a + TYPE) != NDARRAY


def list_for(args, count):
    """In which list the entry of a call is; ``calls._list_for`` tells the same."""
    if count == 0:
        return 0
    a = load(args)
    if load(a + TYPE) == TENSOR:
        a = load(a + ARRAY)
    if a == 0 or load(a + TYPE) != NDARRAY:
        return 0
    mixed = 0
    at = load(a + A_SHAPE)
    end = at + 8 * load32(a + A_DIMS)
    while at < end:
        mixed = 5 * mixed + load(at)
        at += 8
    return mixed & (LIST_COUNT - 1)


def grad_mode_now():
    """This thread's mode: WITH_GRADIENTS, WITHOUT or IN_INFERENCE."""
    if PyDict_GetItem(MODE, GRAD_OFF) == ZERO:
        return WITH_GRADIENTS
    grad = PyObject_GetAttr(STATE, GRAD)
    Py_DecRef(grad)
    inference = PyObject_GetAttr(STATE, INFERENCE)
    Py_DecRef(inference)
    if inference != FALSE:
        return IN_INFERENCE
    return WITHOUT if grad == FALSE else WITH_GRADIENTS


def tell(known, args, count, names):
    """Tell Python of a call without an entry, but not of each one; 0 if that raised an error."""
    record = load(known + A_DATA)
    missed = load(record + MISSES) + 1
    store(record + MISSES, missed)
    if missed < load(record + TOLD_AT):
        return 1
    found = PyObject_Vectorcall(load(record + TOLD), args, count, names)
    if found:
        Py_DecRef(found)
    return found
