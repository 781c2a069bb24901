"""The results of an entry, in Python on machine words; see ``entry.py``.

No code of Python's runs before the loops have: only a new Tensor may start Python's garbage
collector, and tensors are made last. If memory runs out, objects that are half made stay.
"""

from rushlight.compiler.codegen.words import call, load, load8, store
from rushlight.compiler.replay.comparing import items_of
from rushlight.compiler.replay.objects import (
    A_BASE,
    A_DATA,
    ARRAY,
    CELL,
    GRADIENT,
    LIST_ITEMS,
    N_CELLS,
    N_CLOCK,
    N_DTYPE,
    N_HOOKS,
    N_PARENTS,
    N_SAVED,
    N_SHAPE,
    NODE,
    PATH,
    ROOT,
    SEEN,
    TUPLE_ITEMS,
    TURNED,
    UNTRACKED,
    VIEW,
    WRITEABLE,
)
from rushlight.compiler.replay.records import (
    ARGUMENT,
    ARRAYS,
    BASES,
    CONSTANT,
    COUNT,
    COUNTS,
    DATA,
    DIMS,
    DTYPE,
    FALSE,
    FOLLOWING,
    GROUP,
    GUARD,
    HISTORY,
    IN_INFERENCE,
    IS_TURNED,
    ITS_ARRAY,
    ITSELF,
    LIST,
    LISTS,
    LOOP,
    LOOP_STRIDES,
    MADE,
    MADE_SIZE,
    NDARRAY,
    NEW_ARRAY,
    NODE_CLASS,
    NODE_DTYPE,
    NODE_SHAPE,
    NONE,
    OFFSET,
    OPERAND_COUNT,
    OPERANDS,
    OWN_ARRAY,
    OWN_CELL,
    PATH_OF,
    PLACES_OF,
    RECORD,
    ROWS,
    ROWS_END,
    SET_BASE,
    SHAPE,
    SOURCE,
    STEPS,
    STRIDES,
    TENSOR,
    TICK,
    TRUE,
    TUPLE,
    TURN,
    TURNS,
    VIEW_OF,
    WITH_GRADIENTS,
    WRITES,
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

__all__ = ["referenced", "replay"]


def replay(entry, args, grad_mode):
    """The tensor, or the tuple or list of tensors, that the entry makes."""
    made = load(entry + MADE)
    count = load(entry + COUNT)
    bases = load(entry + BASES)
    arrays = ARRAYS
    i = 0
    while i < count:
        if load(made + SOURCE):
            owner = filled_later(load(made + SOURCE), bases)
            a = new_part(made, owner)
        elif load(made + PATH_OF) == ITSELF:
            a = referenced(load(args + load(made + ARGUMENT)))
        elif load(made + PATH_OF):
            a = new_part(made, referenced(load(load(args + load(made + ARGUMENT)) + ARRAY)))
        else:
            a = filled_later(made, bases)
        if a == 0:
            return 0
        store(arrays + 8 * i, a)
        made += MADE_SIZE
        i += 1
    step = load(entry + STEPS)
    while step:
        if load(step + LOOP) != GUARD:
            run(step, bases)
        elif not holds(step, bases):
            return dropped(arrays, count)
        step = load(step + FOLLOWING)
    if load(entry + WRITES) and stamp(load(args)) == 0:
        return 0
    made = load(entry + MADE)
    group = load(entry + GROUP)
    if group == 0:
        return finished(made, load(arrays), args, grad_mode)
    return all_finished(made, arrays, count, args, grad_mode, group)


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


def holds(step, bases):
    """Whether the operand of a guard has the guard's value."""
    place = step + PLACES_OF
    return load8(load(bases + load(place)) + load(place + 8)) == load(step + DATA)


def dropped(arrays, count):
    """None: the function itself must compute this call. The arrays are not needed."""
    i = 0
    while i < count:
        Py_DecRef(load(arrays + 8 * i))
        i += 1
    return referenced(NONE)


def filled_later(made, bases):
    """A new array, which the loops will fill."""
    a = new_array(made, 0)
    if a:
        store(bases + load(made + OFFSET), load(a + A_DATA))
    return a


def new_part(made, owner):
    """A view of the array ``owner``, a reference to which becomes the view's."""
    if owner == 0:
        return 0
    a = new_array(made, load(owner + A_DATA) + load(made + OFFSET))
    if a == 0:
        Py_DecRef(owner)
        return 0
    if call(SET_BASE, a, owner) & 0xFFFFFFFF:
        Py_DecRef(a)
        return 0
    return a


def finished(made, a, args, grad_mode):
    """A tensor over the array a."""
    if load(made + PATH_OF) == ITSELF:
        return a
    if load(made + PATH_OF) == 0:
        return recorded(made, fresh(a, load(made + IS_TURNED), grad_mode), args)
    if load(made + SOURCE) == 0:
        x = load(args + load(made + ARGUMENT))
        return recorded(made, new_view(made, a, x, grad_mode), args)
    x = fresh(referenced(load(a + A_BASE)), load(load(made + SOURCE) + IS_TURNED), grad_mode)
    if x == 0:
        Py_DecRef(a)
        return 0
    o = new_view(made, a, x, grad_mode)
    Py_DecRef(x)
    return o


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


def new_array(made, address):
    """An array of the dtype, shape and strides of ``made``; at 0 NumPy gives it memory."""
    dtype = load(made + DTYPE)
    Py_IncRef(dtype)
    flags = WRITEABLE if address else 0
    return call(
        NEW_ARRAY, NDARRAY, dtype, load(made + DIMS), load(made + SHAPE), load(made + STRIDES),
        address, flags, 0,
    )  # fmt: skip


def referenced(x):
    """x, with one more reference to it."""
    Py_IncRef(x)
    return x


def new_tensor(a, turned, cell, view):
    """A tensor without history; the references to the array, the cell and the view become its."""
    x = PyType_GenericAlloc(TENSOR, 0)
    if x == 0:
        Py_DecRef(a)
        return 0
    store(x + ARRAY, a)
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


def all_finished(made, arrays, count, args, grad_mode, group):
    """A tuple or list of tensors over the arrays."""
    # The arrays move into the group first: a new tensor may run Python code, and so replays.
    found = PyList_New(count) if group == LIST else PyTuple_New(count)  # or a class of tuples
    if found == 0:
        return 0
    items = items_of(found)
    i = 0
    while i < count:
        store(items + 8 * i, load(arrays + 8 * i))
        i += 1
    i = 0
    while i < count:
        o = finished(made, load(items + 8 * i), args, grad_mode)
        if o == 0:
            return 0
        store(items + 8 * i, o)
        made += MADE_SIZE
        i += 1
    if group in (LIST, TUPLE):
        return found
    result = PyObject_CallOneArg(group, found)
    Py_DecRef(found)
    return result


def new_view(made, a, x, grad_mode):
    """A tensor over the view a of the array of x; see ``fast_path.viewed``."""
    if cell_of(x) == 0:
        Py_DecRef(a)
        return 0
    view = view_of(x, load(made + PATH_OF), grad_mode)
    if view == 0:
        Py_DecRef(a)
        return 0
    o = new_tensor(a, load(made + IS_TURNED), load(x + CELL), view)
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


# History ----------------------------------------------------------------------------------


def recorded(made, o, args):
    """The tensor o, with a node if its operands have a history; see ``fast_path.recorded``."""
    record = load(made + RECORD)
    if record == 0 or o == 0:
        return o
    node = PyType_GenericAlloc(load(record + NODE_CLASS), 0)
    if node == 0:
        return 0
    Py_DecRef(load(o + NODE))
    store(o + NODE, node)
    store(node + N_HOOKS, referenced(NONE))
    store(node + N_SHAPE, referenced(load(record + NODE_SHAPE)))
    store(node + N_DTYPE, referenced(load(record + NODE_DTYPE)))
    store(node + N_PARENTS, listed(load(record + LISTS), o, args))
    store(node + N_SAVED, listed(load(record + LISTS + 8), o, args))
    store(node + N_CELLS, listed(load(record + LISTS + 16), o, args))
    store(node + N_CLOCK, PyObject_CallNoArgs(TICK))
    return o


def listed(items, o, args):
    """The tuple of what the items say: their number, and then pairs."""
    count = load(items)
    found = PyTuple_New(count)
    i = 0
    while i < count and found:
        kind = load(items + 8 + 16 * i)
        value = load(items + 16 + 16 * i)
        if kind != CONSTANT:
            x = o if kind in (OWN_ARRAY, OWN_CELL) else load(args + value)
            if kind == HISTORY:
                value = load(x + NODE)
            elif kind in (ITS_ARRAY, OWN_ARRAY):
                value = load(x + ARRAY)
            else:
                value = cell_of(x)
        store(found + TUPLE_ITEMS + 8 * i, referenced(value))
        i += 1
    return found
