"""Special methods that Python looks up by itself: ``if x`` asks the class for ``__bool__``.

A method written in Python is noted when its frame begins. This module notes the class of the
object, and which methods the class has or lacks, because the object may be assigned another class,
and the class other methods.
"""

from rushlight.compiler.python.locations import member_of
from rushlight.compiler.python.reads import is_users

__all__ = [
    "asked_by_function", "asked_by_instruction", "note_class", "note_making", "note_special",
]  # fmt: skip

_ARITHMETIC = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod",
    "**": "pow", "@": "matmul", "&": "and", "|": "or", "^": "xor", "<<": "lshift",
    ">>": "rshift",
}  # fmt: skip
_COMPARED = {
    "<": ("__lt__", "__gt__"), "<=": ("__le__", "__ge__"), ">": ("__lt__", "__gt__"),
    ">=": ("__le__", "__ge__"), "==": ("__eq__",), "!=": ("__ne__", "__eq__"),
}  # fmt: skip
_ITERATED = "__iter__", "__getitem__"
_TEXTS = "__format__", "__str__", "__repr__"
#: The beginning of an instruction's name → the methods that the instruction looks up.
_INSTRUCTIONS = {
    "GET_ITER": _ITERATED, "GET_YIELD": _ITERATED, "UNPACK": _ITERATED, "LIST_EXTEND": _ITERATED,
    "SET_UPDATE": _ITERATED, "UNARY_NOT": ("__bool__", "__len__"), "FOR_ITER": ("__next__",),
    "TO_BOOL": ("__bool__", "__len__"), "POP_JUMP": ("__bool__", "__len__"),
    "JUMP_IF": ("__bool__", "__len__"), "FORMAT": _TEXTS, "CONVERT": _TEXTS,
    "GET_LEN": ("__len__",), "UNARY_NEGATIVE": ("__neg__",), "UNARY_INVERT": ("__invert__",),
}  # fmt: skip
#: A function's name → the methods that it looks up besides the method of its own name.
_FUNCTIONS = {
    "bool": ("__len__",), "str": ("__repr__",), "format": _TEXTS, "callable": ("__call__",),
    "int": ("__index__",), "float": ("__index__",), "round": ("__round__",), "sum": _ITERATED,
    "list": _ITERATED, "tuple": _ITERATED, "set": _ITERATED, "sorted": _ITERATED,
    "iter": _ITERATED, "min": _ITERATED, "max": _ITERATED, "any": _ITERATED, "all": _ITERATED,
    "enumerate": _ITERATED, "zip": _ITERATED, "map": _ITERATED,
}  # fmt: skip


def asked_by_instruction(instruction):
    """The names of the methods that an instruction may ask its operands' classes for."""
    name, sign = instruction.opname, instruction.argrepr.split()[-1:]
    if name == "COMPARE_OP":
        return _COMPARED.get(instruction.argrepr.removeprefix("bool(").removesuffix(")"), ())
    if name == "BINARY_OP":
        base = _ARITHMETIC.get(sign[0].removesuffix("=") if sign else "")
        return (f"__{base}__", f"__r{base}__", f"__i{base}__") if base else ()
    return next((names for begin, names in _INSTRUCTIONS.items() if name.startswith(begin)), ())


def asked_by_function(name):
    """The names of the methods that a function in C may ask its arguments' classes for."""
    return f"__{name}__", *_FUNCTIONS.get(name, ())


def note_class(reads, x):
    """Note the class of an object and return it, if it is a user's class; else return None."""
    cls = type(x)
    if not is_users(cls) or not reads.origins.is_outer(cls):
        return None
    if reads.origins.is_outer(x):
        reads.note("type({0})", (x,), cls)
    return cls


def note_making(reads, cls):
    """Note which methods make an object, if ``cls`` is a user's class."""
    if is_users(cls) and reads.origins.is_outer(cls):
        for name in ("__new__", "__init__"):
            reads.class_member(cls, name, member_of(cls, name))


def note_special(reads, x, names):
    """Note which of the special methods ``names`` the class of an object has or lacks."""
    cls = note_class(reads, x) if names else None
    if cls is not None:
        for name in names:
            reads.class_member(cls, name, member_of(cls, name))
