"""What machine code and Python agree on: values of the process, C functions, and records in memory.

The names of fields are offsets in bytes. Each field is a word of 8 bytes. ``calls.py`` fills the
records.
"""

from typing import Any

from rushlight.compiler.codegen.words import External, Slot

__all__ = ["EXTERNALS", "SLOTS", "TABLE"]

#: The symbol of the table with the values of this process.
TABLE = "rushlight_process"

# Values of the process.
SLOTS = [
    "TENSOR", "NDARRAY", "VIEW_OF", "FLOAT", "INT", "TUPLE", "LIST", "SIZES", "SLICE",
    "NONE", "TRUE", "FALSE", "ZERO", "MODE", "BESIDES_MEMORY", "GRAD_OFF", "STATE", "GRAD",
    "INFERENCE", "NEW_ARRAY", "SET_BASE", "OPERANDS", "TICK", "GENERATOR", "OWNER",
    "DTYPES", "DEFAULT",
]  # fmt: skip
_slots: Any = map(Slot, range(len(SLOTS)))
(
    TENSOR, NDARRAY, VIEW_OF, FLOAT, INT, TUPLE, LIST, SIZES, SLICE,
    NONE, TRUE, FALSE, ZERO, MODE, BESIDES_MEMORY, GRAD_OFF, STATE, GRAD,
    INFERENCE, NEW_ARRAY, SET_BASE, OPERANDS, TICK, GENERATOR, OWNER,
    DTYPES, DEFAULT,
) = _slots  # fmt: skip

# The record of a function: the calls without an entry, at how many Python is told, and the calls
# with one; the Python function to tell; and the first entries of so many lists. In which list an
# entry is depends on the shape of the first argument.
MISSES, TOLD_AT, HITS, TOLD, LISTS_OF_ENTRIES = range(0, 40, 8)
LIST_COUNT = 16  # a power of 2
# An entry: what it expects of a call, the loops, and what it makes: arrays, the results, and nodes.
# The results are in a tuple or list (its type is GROUP), or there is one. WRITES: whether the loops
# write to the first argument. DRAWS_FROM: the default generator, if the loops draw from it, or 0.
# OF_DEFAULT: the default dtype on which results may depend, or 0. UNDO: the first of the steps that
# take draws back if a guard gives the call back, or 0.
(
    NEXT, ARGUMENTS, NAMES, LOOKS, BASES, STEPS, PARTS, PART_COUNT, RESULTS, COUNT, GROUP, NODES,
    NODE_COUNT, WRITES, DRAWS_FROM, OF_DEFAULT, UNDO,
) = range(0, 136, 8)  # fmt: skip
# What an argument must be: a value equal to VALUE; a tensor of this dtype, dims, shape and strides,
# turned or not, whose elements span VALUE bytes; or a tuple or list (its type is VALUE) of DIMS
# items, whose looks follow; or a generator of the CPU that nobody is drawing from.
# HAS_NODE: whether the tensor has a history. CLASS: Tensor or Parameter, or ndarray for an array.
KIND, VALUE, DTYPE, DIMS, SHAPE, STRIDES, IS_TURNED, HAS_NODE, CLASS = range(0, 72, 8)
LOOK_SIZE = 72
EQUAL, LIKE, ALL_LIKE, STREAM = 0, 1, 2, 3  # kinds
MOST = 64  # arrays, results and nodes of one call
WITH_GRADIENTS, WITHOUT, IN_INFERENCE = 0, 1, 2  # modes
# A word that names an argument: its place among the arguments in bytes, and in the upper half, for
# an argument in a list, ITEM + its place there.
ITEM = 8
# An array, after the fields of a look. It is new, and its address gets the place WHERE among the
# bases; or it is a part of the array of the argument WHERE, or of the array made before at WHERE,
# from OFFSET on. READ_ONLY: whether nobody may write to it.
ORIGIN, WHERE, OFFSET, READ_ONLY, PART_SIZE = range(LOOK_SIZE, LOOK_SIZE + 40, 8)
NEW, OF_ARGUMENT, OF_PART = 0, 1, 2
# A result: an argument as it is, a tensor over the array at PART, or that array itself. A view is
# one of an argument or of a new tensor over the array at SOURCE, whose TURNED is SOURCE_TURNED;
# PATH_OF has the steps from there. NODE_OF: 8 + the place of its node, or 0.
RESULT_KIND, PART, RESULT_TURNED, SOURCE, SOURCE_TURNED, PATH_OF, NODE_OF, RESULT_SIZE = range(
    0, 64, 8
)
ITSELF, TENSOR_OF, VIEW_OF_ARGUMENT, VIEW_OF_NEW, ARRAY_OF = 0, 1, 2, 3, 4
# A node: its class, the shape and dtype of the result, and three lists of its parents, its saved
# values and their cells. Then the slot ``outputs``, or 0. A node of one of several results has
# 8 + the place of the node of these, its index, and their number; others have 0.
NODE_CLASS, NODE_SHAPE, NODE_DTYPE, LISTS, OUTPUTS, OUTPUT_OF, OUTPUT_INDEX, OUTPUT_COUNT = (
    0, 8, 16, 24, 48, 56, 64, 72,
)  # fmt: skip
NODE_SIZE = 80
# A list begins with the number of its items. An item is a pair: what it is, and a value; or the
# place of an argument, array, result or node; or the address of an inner tuple or list.
(
    CONSTANT, HISTORY, ITS_ARRAY, ITS_CELL, PART_ITSELF, RESULT_CELL, NODE_ITSELF, INNER_TUPLE,
    INNER_LIST,
) = range(9)  # fmt: skip
# A step: the loop, its data, counts and strides. Its rows, which lie from ROWS to ROWS_END, have
# an offset for each operand. The loop takes so many TURNS at each row, between which each operand
# moves by its TURN. The operands are pairs (place of base, offset). A step whose loop is GUARD runs
# nothing: its operand must have the value DATA.
GUARD = 0
FOLLOWING, LOOP, DATA, COUNTS, LOOP_STRIDES, ROWS, ROWS_END, TURNS, TURN = range(0, 72, 8)
OPERAND_COUNT, PLACES_OF = 72, 80

EXTERNALS = [
    "Py_IncRef", "Py_DecRef", "PyDict_GetItem", "PyObject_GetAttr", "PyObject_Vectorcall",
    "PyType_GenericAlloc", "PyList_New", "PyTuple_New", "PySequence_Concat",
    "PyObject_CallOneArg", "PyObject_CallNoArgs", "PyLong_AsLongLong", "PyLong_FromLongLong",
    "PyThread_get_thread_ident",
]  # fmt: skip
(
    Py_IncRef, Py_DecRef, PyDict_GetItem, PyObject_GetAttr, PyObject_Vectorcall,
    PyType_GenericAlloc, PyList_New, PyTuple_New, PySequence_Concat,
    PyObject_CallOneArg, PyObject_CallNoArgs, PyLong_AsLongLong, PyLong_FromLongLong,
    PyThread_get_thread_ident,
) = map(External, EXTERNALS)  # fmt: skip
