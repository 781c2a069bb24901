"""The tensors that an entry makes, in Python on machine words; see ``making.py``."""

from rushlight.compiler.codegen.words import load, store
from rushlight.compiler.replay.comparing import items_of
from rushlight.compiler.replay.objects import (
    ARRAY,
    CELL,
    GRADIENT,
    LIST_ITEMS,
    NODE,
    PATH,
    ROOT,
    SEEN,
    TURNED,
    UNTRACKED,
    VIEW,
)
from rushlight.compiler.replay.records import (
    ARRAY_OF,
    FALSE,
    IN_INFERENCE,
    ITEM,
    ITSELF,
    LIST,
    NONE,
    PART,
    PATH_OF,
    RESULT_KIND,
    RESULT_TURNED,
    SOURCE,
    SOURCE_TURNED,
    TENSOR,
    TENSOR_OF,
    TICK,
    TRUE,
    TUPLE,
    VIEW_OF,
    VIEW_OF_ARGUMENT,
    WITH_GRADIENTS,
    ZERO,
    Py_DecRef,
    Py_IncRef,
    PyList_New,
    PyLong_AsLongLong,
    PyLong_FromLongLong,
    PyObject_CallNoArgs,
    PyObject_CallOneArg,
    PySequence_Concat,
    PyTuple_New,
    PyType_GenericAlloc,
)

__all__ = ["argument", "cell_of", "grouped", "made", "referenced", "release", "stamp"]


def referenced(x):
    """x, with one more reference to it."""
    Py_IncRef(x)
    return x


def release(objects, count):
    """Give back a reference to each of so many objects."""
    i = 0
    while i < count:
        Py_DecRef(load(objects + 8 * i))
        i += 1
    return 0


def argument(args, name):
    """The argument that the word ``name`` names."""
    x = load(args + (name & 0xFFFFFFFF))
    item = name >> 32
    return load(items_of(x) + item - ITEM) if item else x


def stamp(x):
    """Mark the memory of the tensor x as written; see ``write.stamp``."""
    cell = cell_of(x)
    if cell == 0:
        return 0
    items = load(cell + LIST_ITEMS)
    now = PyObject_CallNoArgs(TICK)
    writes = PyLong_FromLongLong(PyLong_AsLongLong(load(items + 8)) + 1)
    if now == 0 or writes == 0:
        return 0
    Py_DecRef(load(items))
    Py_DecRef(load(items + 8))
    store(items, now)
    store(items + 8, writes)
    return 1


def made(result, args, parts, grad_mode):
    """A result, without its node."""
    kind = load(result + RESULT_KIND)
    if kind == ITSELF:
        return referenced(argument(args, load(result + SOURCE)))
    a = load(parts + load(result + PART))
    if kind == ARRAY_OF:
        return referenced(a)
    if kind == TENSOR_OF:
        return fresh(a, load(result + RESULT_TURNED), grad_mode)
    if kind == VIEW_OF_ARGUMENT:
        return new_view(result, a, argument(args, load(result + SOURCE)), grad_mode)
    x = fresh(load(parts + load(result + SOURCE)), load(result + SOURCE_TURNED), grad_mode)
    if x == 0:
        return 0
    o = new_view(result, a, x, grad_mode)
    Py_DecRef(x)
    return o


def grouped(group, results, count):
    """The tuple or list of so many results; ``group`` is its type."""
    found = PyList_New(count) if group == LIST else PyTuple_New(count)  # or a class of tuples
    if found == 0:
        return 0
    items = items_of(found)
    i = 0
    while i < count:
        store(items + 8 * i, load(results + 8 * i))
        i += 1
    if group in (LIST, TUPLE):
        return found
    result = PyObject_CallOneArg(group, found)
    Py_DecRef(found)
    return result


def new_tensor(a, turned, cell, view):
    """A tensor over the array a, without history."""
    x = PyType_GenericAlloc(TENSOR, 0)
    if x == 0:
        return 0
    store(x + ARRAY, referenced(a))
    store(x + TURNED, referenced(turned))
    store(x + CELL, referenced(cell))
    store(x + VIEW, referenced(view))
    store(x + NODE, referenced(NONE))
    store(x + GRADIENT, referenced(NONE))
    return x


def fresh(a, turned, grad_mode):
    """A tensor over the new array a; in inference mode its clock says so."""
    x = new_tensor(a, turned, NONE, NONE)
    if x == 0 or grad_mode != IN_INFERENCE:
        return x
    cell = PyList_New(3)  # see ``mode.inference_cell``
    if cell == 0:
        return 0
    store(load(cell + LIST_ITEMS), referenced(ZERO))
    store(load(cell + LIST_ITEMS) + 8, referenced(ZERO))
    store(load(cell + LIST_ITEMS) + 16, referenced(TRUE))
    Py_DecRef(load(x + CELL))
    store(x + CELL, cell)
    return x


def new_view(result, a, x, grad_mode):
    """A tensor over the view a of the array of x; see ``fast_path.viewed``."""
    if cell_of(x) == 0:
        return 0
    view = view_of(x, load(result + PATH_OF), grad_mode)
    if view == 0:
        return 0
    o = new_tensor(a, load(result + RESULT_TURNED), load(x + CELL), view)
    Py_DecRef(view)
    return o


def cell_of(x):
    """The clock of the tensor x; at first one that has never run, [0, 0]."""
    if load(x + CELL) == NONE:
        cell = PyList_New(2)
        if cell == 0:
            return 0
        store(load(cell + LIST_ITEMS), referenced(ZERO))
        store(load(cell + LIST_ITEMS) + 8, referenced(ZERO))
        Py_DecRef(load(x + CELL))
        store(x + CELL, cell)
    return load(x + CELL)


def view_of(x, steps, grad_mode):
    """The ViewOf of a view of x, whose path ends with ``steps``."""
    source = load(x + VIEW)
    if source == NONE:
        path = referenced(steps)
        root = referenced(x)
        untracked = FALSE if grad_mode == WITH_GRADIENTS else TRUE
    else:
        path = PySequence_Concat(load(source + PATH), steps)
        if path == 0:
            return 0
        root = referenced(load(source + ROOT))
        untracked = load(source + UNTRACKED) if grad_mode == WITH_GRADIENTS else TRUE
    Py_IncRef(untracked)
    view = PyType_GenericAlloc(VIEW_OF, 0)
    if view:
        store(view + PATH, path)
        store(view + ROOT, root)
        store(view + SEEN, referenced(load(load(load(x + CELL) + LIST_ITEMS))))
        store(view + UNTRACKED, untracked)
    return view
