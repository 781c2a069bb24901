"""The nodes that an entry makes, in Python on machine words; see ``making.py``."""

from rushlight.compiler.codegen.words import load, stack, store
from rushlight.compiler.replay.objects import (
    ARRAY,
    LIST_ITEMS,
    N_CELLS,
    N_CLOCK,
    N_DTYPE,
    N_HOOKS,
    N_OUTPUTS,
    N_PARENTS,
    N_SAVED,
    N_SHAPE,
    NODE,
    O_COUNT,
    O_INDEX,
    O_SOURCE,
    TUPLE_ITEMS,
)
from rushlight.compiler.replay.records import (
    COUNT,
    HISTORY,
    INNER_LIST,
    INNER_TUPLE,
    ITS_ARRAY,
    ITS_CELL,
    LISTS,
    MOST,
    NODE_CLASS,
    NODE_COUNT,
    NODE_DTYPE,
    NODE_ITSELF,
    NODE_OF,
    NODE_SHAPE,
    NODE_SIZE,
    NODES,
    NONE,
    OUTPUT_COUNT,
    OUTPUT_INDEX,
    OUTPUT_OF,
    OUTPUTS,
    PART_ITSELF,
    RESULT_CELL,
    RESULT_SIZE,
    RESULTS,
    TICK,
    Py_DecRef,
    PyList_New,
    PyObject_CallNoArgs,
    PyTuple_New,
    PyType_GenericAlloc,
)
from rushlight.compiler.replay.tensors import argument, cell_of, referenced, release

__all__ = ["recorded"]


def recorded(entry, args, parts, results):
    """Make the nodes, and give the results theirs; 0 if memory ran out."""
    nodes = stack(MOST)
    count = load(entry + NODE_COUNT)
    i = 0
    while i < count:
        n = new_node(load(entry + NODES) + NODE_SIZE * i, args, parts, results, nodes)
        if n == 0:
            return 0
        store(nodes + 8 * i, n)
        i += 1
    result = load(entry + RESULTS)
    i = 0
    while i < load(entry + COUNT):
        place = load(result + NODE_OF)
        if place:
            o = load(results + 8 * i)
            Py_DecRef(load(o + NODE))
            store(o + NODE, referenced(load(nodes + place - 8)))
        result += RESULT_SIZE
        i += 1
    release(nodes, count)
    return 1


def new_node(words, args, parts, results, nodes):
    """A node, with the fields that its words say."""
    node = PyType_GenericAlloc(load(words + NODE_CLASS), 0)
    if node == 0:
        return 0
    lists = words + LISTS
    store(node + N_HOOKS, referenced(NONE))
    store(node + N_SHAPE, referenced(load(words + NODE_SHAPE)))
    store(node + N_DTYPE, referenced(load(words + NODE_DTYPE)))
    store(node + N_PARENTS, tuple_of(load(lists), args, parts, results, nodes))
    store(node + N_SAVED, tuple_of(load(lists + 8), args, parts, results, nodes))
    store(node + N_CELLS, tuple_of(load(lists + 16), args, parts, results, nodes))
    store(node + N_CLOCK, PyObject_CallNoArgs(TICK))
    if load(words + OUTPUTS):
        store(node + N_OUTPUTS, referenced(load(words + OUTPUTS)))
    source = load(words + OUTPUT_OF)
    if source:
        store(node + O_SOURCE, referenced(load(nodes + source - 8)))
        store(node + O_INDEX, referenced(load(words + OUTPUT_INDEX)))
        store(node + O_COUNT, referenced(load(words + OUTPUT_COUNT)))
    return node


def tuple_of(items, args, parts, results, nodes):
    """The tuple of what the items of a list say."""
    count = load(items)
    found = PyTuple_New(count)
    i = 0
    while i < count and found:
        item = items + 8 + 16 * i
        value = item_of(load(item), load(item + 8), args, parts, results, nodes)
        store(found + TUPLE_ITEMS + 8 * i, value)
        i += 1
    return found


def item_of(kind, value, args, parts, results, nodes):
    """The item of a list; the new reference to it is the caller's."""
    if kind == INNER_TUPLE:
        return inner_tuple(value, args, parts)
    if kind == INNER_LIST:
        return inner_list(value, args, parts)
    if kind == HISTORY:
        value = load(argument(args, value) + NODE)
    elif kind == ITS_ARRAY:
        value = load(argument(args, value) + ARRAY)
    elif kind == ITS_CELL:
        value = cell_of(argument(args, value))
    elif kind == PART_ITSELF:
        value = load(parts + value)
    elif kind == RESULT_CELL:
        value = cell_of(load(results + value))
    elif kind == NODE_ITSELF:
        value = load(nodes + value)
    return referenced(value)


def inner_tuple(items, args, parts):
    """A tuple of arrays and constants."""
    count = load(items)
    found = PyTuple_New(count)
    if found:
        fill(found + TUPLE_ITEMS, items, args, parts)
    return found


def inner_list(items, args, parts):
    """A list of arrays and constants."""
    count = load(items)
    found = PyList_New(count)
    if found:
        fill(load(found + LIST_ITEMS), items, args, parts)
    return found


def fill(places, items, args, parts):
    i = 0
    while i < load(items):
        item = items + 8 + 16 * i
        kind = load(item)
        value = load(item + 8)
        if kind == ITS_ARRAY:
            value = load(argument(args, value) + ARRAY)
        elif kind == PART_ITSELF:
            value = load(parts + value)
        store(places + 8 * i, referenced(value))
        i += 1
    return 0
