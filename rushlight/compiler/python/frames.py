"""The operands of the instruction that a Python frame is about to execute.

CPython keeps a frame's local variables and, after them, its stack of operands in one array, which
``frame`` objects point to. ``Operands`` reads this array, and can replace an operand. The beginning
of the array differs between versions of CPython, so ``_layout`` searches for it in a frame whose
variables are known. If the search fails (on another implementation of Python), ``available`` is
False.

The depth of the stack at each instruction follows from the code alone; ``Code`` computes it once.
"""

import ctypes
import dis
import functools
import itertools
import sys
from typing import Any

__all__ = ["NULL", "Code", "Operands", "available"]

_WORD = ctypes.sizeof(ctypes.c_void_p)
#: The place of the pointer to the interpreter's frame in a ``frame`` object, in words.
_POINTER = 3
#: From Python 3.14 on the lowest bits of a pointer say how its reference is counted.
_ADDRESS = ~3
_TAGGED_INTEGER = 3
#: The first version of Python that is not supported, because its instructions may be different.
_BEFORE = (3, 15)
#: The number of words of a frame that are searched.
_SEARCHED = 20
#: An empty place on the stack.
NULL: Any = type("NULL", (), {"__repr__": lambda self: "NULL"})()
_ENDS = (
    "RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS", "JUMP_FORWARD", "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_NO_INTERRUPT", "JUMP_ABSOLUTE",
)  # fmt: skip


def _frame_address(frame):
    return ctypes.c_size_t.from_address(id(frame) + _POINTER * _WORD).value


def _layout():
    """(Words before the variables of a frame, words before its function); None if not found."""
    if sys.implementation.name != "cpython":
        return None
    one, other = object(), object()

    def probe(x, y):
        words = (ctypes.c_size_t * _SEARCHED).from_address(_frame_address(sys._getframe()))
        return [word & _ADDRESS for word in words]

    found = probe(one, other)
    variables = [
        i for i, pair in enumerate(itertools.pairwise(found)) if pair == (id(one), id(other))
    ]
    functions = [i for i, word in enumerate(found) if word == id(probe)]
    if not variables or not functions or functions[0] > variables[0]:
        return None
    return variables[0], functions[0]


@functools.cache
def _places():
    return _layout()


def available():
    """Whether the operands of this interpreter's frames can be read."""
    return sys.version_info < _BEFORE and _places() is not None


def _object(word):
    if not word & _ADDRESS or word & ~_ADDRESS == _TAGGED_INTEGER:
        return NULL
    return ctypes.cast(word & _ADDRESS, ctypes.py_object).value


class Code:
    """A code object's instructions, by their offsets.

    Attributes:
        instructions: offset → (kind, the instruction, number of operands on the stack before it).
            The kind is the entry of ``kinds`` for the instruction's name, or None.
        variables: The number of places for variables before the stack.
    """

    def __init__(self, code, kinds):
        variables = {*code.co_varnames, *code.co_cellvars}
        self.variables = len(variables) + len(code.co_freevars)
        self.size = self.variables + code.co_stacksize
        found = [*_with_names(code)]
        depths = _depths(code, found)
        self.instructions: dict = {}
        following: Any = None
        for i in reversed(found):
            if i.opname == "EXTENDED_ARG":  # Python reports it instead of the next instruction
                self.instructions[i.offset] = following
            else:
                following = kinds.get(i.opname), i, depths.get(i.offset, 0)
                self.instructions[i.offset] = following


def _with_names(code):
    """The instructions of ``code``; a CALL has the names of its keyword arguments as ``argval``.

    Python 3.11 and 3.12 have them in an instruction before it; later there is CALL_KW.
    """
    names: tuple = ()
    for i in dis.get_instructions(code):
        if i.opname == "KW_NAMES":
            names = code.co_consts[i.arg]
        elif i.opname == "CALL":
            i, names = i._replace(argval=names), ()
        yield i


def _depths(code, found):
    """offset → number of operands on the stack before the instruction there."""
    place = {instruction.offset: k for k, instruction in enumerate(found)}
    depths: dict = {}
    # When a handler begins, the exception is on the stack, often above the offset that raised it.
    todo = [(e.target, e.depth + 1 + e.lasti) for e in dis._parse_exception_table(code)]  # type: ignore[attr-defined]
    todo.append((0, 0))
    while todo:
        offset, depth = todo.pop()
        for instruction in found[place[offset] :]:
            if instruction.offset in depths:
                break
            depths[instruction.offset] = depth
            number = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
            effect = functools.partial(_effect, instruction, number)
            if instruction.opcode in dis.hasjrel or instruction.opcode in dis.hasjabs:
                todo.append((instruction.argval, depth + effect(jump=True)))
            if instruction.opname in _ENDS:
                break
            depth += effect(jump=False)
    return depths


def _effect(instruction, number, jump):
    """How an instruction changes the depth of the stack."""
    if instruction.opname == "PRECALL":  # dis counts CALL's operands here in Python 3.11
        return 0
    if instruction.opname == "CALL":
        return -1 - number
    if instruction.opname == "RETURN_GENERATOR":  # the first sent value is on the resumed stack
        return 1
    return dis.stack_effect(instruction.opcode, number, jump=jump)


class Operands:
    """The stack and the variables of one frame.

    Args:
        code: The ``Code`` of the frame.
    """

    def __init__(self, frame, code):
        self._code = code
        self._first, self._function = _places()
        # A generator's frame moves to the generator at its first instruction.
        self._pointer = ctypes.c_size_t.from_address(id(frame) + _POINTER * _WORD)
        self._address = 0
        self._words: Any = ()

    def _read(self):
        address = self._pointer.value
        if address != self._address:
            words = ctypes.c_size_t * (self._first + self._code.size)
            self._address, self._words = address, words.from_address(address)
        return self._words

    def top(self, depth, count):
        """The last ``count`` of ``depth`` operands, in order."""
        words = self._read()
        end = self._first + self._code.variables + depth
        return [_object(word) for word in words[end - count : end]]

    def replace(self, depth, place, value):
        """Put ``value`` in the place of operand ``place`` of ``depth``, counted from the top."""
        words = self._read()
        at = self._first + self._code.variables + depth - 1 - place
        old = words[at]
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
        words[at] = id(value)
        if old == old & _ADDRESS:  # otherwise the frame does not own a reference
            ctypes.pythonapi.Py_DecRef(ctypes.cast(old, ctypes.py_object))

    def variable(self, i):
        """The content of the place of variable ``i``: its value, or its cell."""
        return _object(self._read()[self._first + i])

    def function(self):
        """The function that the frame runs; NULL for the code of a module or class."""
        return _object(self._read()[self._function])
