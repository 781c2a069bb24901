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
    "TENSOR", "PARAMETER", "NDARRAY", "VIEW_OF", "FLOAT", "INT", "TUPLE", "LIST", "SIZES", "SLICE",
    "NONE", "TRUE", "FALSE", "ZERO", "MODE", "INTERCEPT", "GRAD_OFF", "STATE", "GRAD", "INFERENCE",
    "NEW_ARRAY", "SET_BASE", "OPERANDS", "ARRAYS", "TICK",
]  # fmt: skip
_slots: Any = map(Slot, range(len(SLOTS)))
(
    TENSOR, PARAMETER, NDARRAY, VIEW_OF, FLOAT, INT, TUPLE, LIST, SIZES, SLICE,
    NONE, TRUE, FALSE, ZERO, MODE, INTERCEPT, GRAD_OFF, STATE, GRAD, INFERENCE,
    NEW_ARRAY, SET_BASE, OPERANDS, ARRAYS, TICK,
) = _slots  # fmt: skip

# The record of a function: its entries, the calls without one, at how many Python is told, and the
# calls with one; and the Python function to tell.
FIRST, MISSES, TOLD_AT, HITS, TOLD = 0, 8, 16, 24, 32
# An entry: what it expects of a call, the loops, and what it makes: so many results, in a tuple or
# list (its type is GROUP), or one. WRITES: whether the loops write to the first argument.
NEXT, ARGUMENTS, NAMES, LOOKS, BASES, STEPS, MADE, COUNT, GROUP, WRITES = range(0, 80, 8)
# What an argument must be: a value equal to VALUE; a tensor of this dtype, dims, shape and strides,
# turned or not, whose elements span VALUE bytes; or a tuple or list (its type is VALUE) of DIMS
# tensors, whose looks follow.
# HAS_NODE: whether the tensor has a history.
KIND, VALUE, DTYPE, DIMS, SHAPE, STRIDES, IS_TURNED, HAS_NODE = 0, 8, 16, 24, 32, 40, 48, 56
LOOK_SIZE = 64
EQUAL, LIKE, ALL_LIKE = 0, 1, 2  # kinds
MOST_RESULTS = 64  # of one call
WITH_GRADIENTS, WITHOUT, IN_INFERENCE = 0, 1, 2  # modes
# What an entry makes, after the fields of a look. OFFSET: for a new array its place among the
# bases, for a view where it begins. For a view, too: the place of its source among the arguments,
# the steps that lead to it, or ITSELF for the argument as it is, and the new tensor that is its
# source, if no argument is. RECORD: the node of the result, or 0.
OFFSET, ARGUMENT, PATH_OF, SOURCE, RECORD, MADE_SIZE = 64, 72, 80, 88, 96, 104
ITSELF = 1
# A node: its class, the shape and dtype of the result, and three lists of its parents, its saved
# values and their cells. An item of a list is a pair: what it is, and its place among the arguments
# or its value.
NODE_CLASS, NODE_SHAPE, NODE_DTYPE, LISTS = 0, 8, 16, 24
CONSTANT, HISTORY, ITS_ARRAY, ITS_CELL, OWN_ARRAY, OWN_CELL = 0, 1, 2, 3, 4, 5
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
]  # fmt: skip
(
    Py_IncRef, Py_DecRef, PyDict_GetItem, PyObject_GetAttr, PyObject_Vectorcall,
    PyType_GenericAlloc, PyList_New, PyTuple_New, PySequence_Concat,
    PyObject_CallOneArg, PyObject_CallNoArgs, PyLong_AsLongLong, PyLong_FromLongLong,
) = map(External, EXTERNALS)  # fmt: skip
