"""Whether a call is like an entry, in Python on machine words; see ``enter.py``."""

from rushlight.compiler.codegen.words import load, load32, store
from rushlight.compiler.replay.objects import (
    A_DATA,
    A_DIMS,
    A_DTYPE,
    A_FLAGS,
    A_SHAPE,
    A_STRIDES,
    ALIGNED,
    ARRAY,
    CELL,
    FLOAT_VALUE,
    G_LOCK,
    G_MEMORY,
    G_NORMAL,
    G_PENDING,
    INT_DIGIT,
    INT_SIZE,
    LIST_ITEMS,
    LOCK_OWNER,
    NODE,
    SEEN,
    SIZE,
    SLICE_BEGIN,
    TUPLE_ITEMS,
    TURNED,
    TYPE,
    VIEW,
    WRITEABLE,
)
from rushlight.compiler.replay.records import (
    ARGUMENTS,
    BASES,
    CLASS,
    DEFAULT,
    DIMS,
    DRAWS_FROM,
    DTYPE,
    DTYPES,
    EQUAL,
    FALSE,
    FLOAT,
    GENERATOR,
    HAS_NODE,
    INT,
    IS_TURNED,
    KIND,
    LIKE,
    LIST,
    LOOK_SIZE,
    LOOKS,
    NAMES,
    NDARRAY,
    NONE,
    OF_DEFAULT,
    OWNER,
    SHAPE,
    SIZES,
    SLICE,
    STREAM,
    STRIDES,
    TUPLE,
    VALUE,
    VIEW_OF,
    WITH_GRADIENTS,
    WRITES,
    PyDict_GetItem,
    PyThread_get_thread_ident,
)

__all__ = ["items_of", "matches"]


def matches(entry, args, count, names, grad_mode):
    if count != load(entry + ARGUMENTS):
        return 0
    if names != load(entry + NAMES):
        if names == 0 or load(entry + NAMES) == 0:
            return 0
        if not same_items(names, load(entry + NAMES)):
            return 0
    if names:
        count += load(names + SIZE)
    look = load(entry + LOOKS)
    base = load(entry + BASES) + 8
    i = 0
    while i < count:
        x = load(args + 8 * i)
        kind = load(look + KIND)
        if kind == EQUAL:
            if not equals(x, load(look + VALUE)):
                return 0
        elif kind == LIKE:
            if not is_like(x, look, base, grad_mode):
                return 0
            base += 8
        elif kind == STREAM:
            if not may_draw(x):
                return 0
            store(base, x)
            base += 8
        else:
            base = all_like(x, look, base, grad_mode)
            if base == 0:
                return 0
            look += LOOK_SIZE * load(look + DIMS)
        look += LOOK_SIZE
        i += 1
    default = load(entry + OF_DEFAULT)
    if default and PyDict_GetItem(DTYPES, DEFAULT) != default:
        return 0
    generator = load(entry + DRAWS_FROM)
    if generator and not may_draw(generator):
        return 0
    return may_write(entry, args, count)


def may_draw(x):
    """Whether x is a generator whose engine is seeded, and from which no thread is drawing."""
    if load(x + TYPE) != GENERATOR:
        return 0
    if load(x + G_PENDING) != FALSE or load(load(x + G_MEMORY) + TYPE) != NDARRAY:
        return 0
    normal = load(x + G_NORMAL)
    if normal != NONE and load(normal + TYPE) != FLOAT:
        return 0
    owner = load(load(x + G_LOCK) + LOCK_OWNER)
    if owner == 0:
        return 1
    return owner == load(OWNER) and owner == PyThread_get_thread_ident()


def may_write(entry, args, count):
    """Whether the entry may write to its first argument, if it does. ``count``: of the arguments.

    That must be no view, no inference tensor, and share no memory with other arguments.
    """
    if load(entry + WRITES) == 0:
        return 1
    x = load(args)
    if load(x + VIEW) != NONE:
        return 0
    if load(x + CELL) != NONE and load(load(x + CELL) + SIZE) > 2:
        return 0
    look = load(entry + LOOKS)
    base = load(entry + BASES) + 8
    begin = load(base)
    end = begin + load(look + VALUE)
    i = 1
    while i < count:
        look += LOOK_SIZE
        if load(look + KIND) == LIKE:
            base += 8
            if load(base) < end and begin < load(base) + load(look + VALUE):
                return 0
        elif load(look + KIND) == STREAM:
            base += 8
        i += 1
    return 1


def all_like(x, look, base, grad_mode):
    """Compare the items of a tuple or list with the looks that follow ``look``.

    Returns the next free base, or 0 if an item is not as its look says.
    """
    if load(x + TYPE) != load(look + VALUE) or load(x + SIZE) != load(look + DIMS):
        return 0
    at = items_of(x)
    end = at + 8 * load(x + SIZE)
    while at < end:
        look += LOOK_SIZE
        if load(look + KIND) == EQUAL:
            if not equals(load(at), load(look + VALUE)):
                return 0
        else:
            if not is_like(load(at), look, base, grad_mode):
                return 0
            base += 8
        at += 8
    return base


def items_of(x):
    """The address of the items of a tuple or a list."""
    return load(x + LIST_ITEMS) if load(x + TYPE) == LIST else x + TUPLE_ITEMS


def same_items(x, y):
    """Whether two tuples have the same objects."""
    if load(x + SIZE) != load(y + SIZE):
        return 0
    return same_words(x + TUPLE_ITEMS, y + TUPLE_ITEMS, load(x + SIZE))


def equals(x, y):
    """Whether x has the type and the value of y, an int of one digit or another plain value."""
    if x == y:
        return 1
    kind = load(x + TYPE)
    if kind != load(y + TYPE):
        return 0
    if kind == INT:
        return equal_ints(x, y)
    if kind == FLOAT:
        return load(x + FLOAT_VALUE) == load(y + FLOAT_VALUE)
    if kind in (TUPLE, LIST, SIZES):
        return equal_items(x, y)
    if kind == SLICE:
        return equal_slices(x, y)
    return 0


def equal_parts(x, y):
    """Whether two parts of a value are the same object, equal ints or equal slices."""
    if x == y:
        return 1
    if load(x + TYPE) != load(y + TYPE):
        return 0
    if load(x + TYPE) == SLICE:
        return equal_slices(x, y)
    return load(x + TYPE) == INT and equal_ints(x, y)


def equal_slices(x, y):
    """Whether two slices have the same begin, end and step: objects or ints of one digit."""
    i = SLICE_BEGIN
    while i < SLICE_BEGIN + 24:
        a = load(x + i)
        b = load(y + i)
        if a != b:
            if load(a + TYPE) != INT or load(b + TYPE) != INT:
                return 0
            if not equal_ints(a, b):
                return 0
        i += 8
    return 1


def equal_ints(x, y):
    if load(x + INT_SIZE) != load(y + INT_SIZE):
        return 0
    return load32(x + INT_DIGIT) == load32(y + INT_DIGIT)


def equal_items(x, y):
    """Whether two tuples or lists have equal parts."""
    if load(x + SIZE) != load(y + SIZE):
        return 0
    at = items_of(x)
    other = items_of(y)
    end = at + 8 * load(x + SIZE)
    while at < end:
        if not equal_parts(load(at), load(other)):
            return 0
        at += 8
        other += 8
    return 1


def is_like(x, look, base, grad_mode):
    """Whether x is a tensor or an array that lies in memory as the look says; notes where.

    Loops read arrays only, so these may be read-only.
    """
    kind = load(x + TYPE)
    if kind != load(look + CLASS):
        return 0
    if kind == NDARRAY:
        return lies_alike(x, look, base)
    a = load(x + ARRAY)
    if a == 0:
        return 0
    if load(a + TYPE) != NDARRAY or load32(a + A_FLAGS) & WRITEABLE == 0:
        return 0
    if load(x + TURNED) != load(look + IS_TURNED):
        return 0
    if grad_mode != WITH_GRADIENTS:
        if load(look + HAS_NODE):
            return 0
    elif (load(x + NODE) != NONE) != load(look + HAS_NODE):
        return 0
    cell = load(x + CELL)
    if cell == 0 or (grad_mode == WITH_GRADIENTS and cell != NONE and load(cell + SIZE) > 2):
        return 0  # an inference tensor, which a node must not save
    if not lies_alike(a, look, base):
        return 0
    view = load(x + VIEW)
    return view == NONE or is_fresh(x, view)


def lies_alike(a, look, base):
    """Whether the array a lies in memory as the look says; notes where its elements are."""
    if load(a + A_DTYPE) != load(look + DTYPE):
        return 0
    count = load32(a + A_DIMS)
    if count != load(look + DIMS) or load32(a + A_FLAGS) & ALIGNED == 0:
        return 0
    if not same_words(load(a + A_SHAPE), load(look + SHAPE), count):
        return 0
    if not same_words(load(a + A_STRIDES), load(look + STRIDES), count):
        return 0
    store(base, load(a + A_DATA))
    return 1


def is_fresh(x, view):
    """Whether nobody wrote to the memory of the view since its history was derived."""
    if view == 0:
        return 0
    cell = load(x + CELL)
    if cell == NONE or load(view + TYPE) != VIEW_OF:
        return 0
    return load(load(cell + LIST_ITEMS)) == load(view + SEEN)


def same_words(x, y, count):
    i = 0
    while i < count:
        if load(x + 8 * i) != load(y + 8 * i):
            return 0
        i += 1
    return 1
