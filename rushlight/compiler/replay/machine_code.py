"""The loaded machine code of replays, and its table with values of this process."""

import ctypes
import sys

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import tick
from rushlight.backend.starting import new_builtin, new_method
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.replay import objects, records
from rushlight.compiler.replay.memory import held, words
from rushlight.compiler.replay.streams import owner
from rushlight.compiler.run import cache
from rushlight.dtype import get_default_dtype
from rushlight.random import Generator
from rushlight.tensor import Size, Tensor, ViewOf

__all__ = ["MachineCode", "is_wanted"]

_FASTCALL_WITH_NAMES = 0x82  # METH_FASTCALL | METH_KEYWORDS


class MachineCode:
    """The machine code. ``address(name)`` is the address of a loop."""

    def __init__(self):
        new_array, set_base = objects.api()
        word = lambda name: held(sys.intern(name))
        values = {
            "TENSOR": id(Tensor), "NDARRAY": id(ndarray),
            "VIEW_OF": id(ViewOf), "FLOAT": id(float), "INT": id(int), "TUPLE": id(tuple),
            "LIST": id(list), "SIZES": id(Size), "SLICE": id(slice), "NONE": id(None),
            "TRUE": id(True), "FALSE": id(False), "ZERO": id(0), "MODE": id(vars(mode)),
            "BESIDES_MEMORY": word("besides_memory"), "GRAD_OFF": word("grad_off"),
            "STATE": id(mode.state), "GRAD": word("grad"), "INFERENCE": word("inference"),
            "NEW_ARRAY": new_array, "SET_BASE": set_base, "TICK": id(tick),
            "OPERANDS": words(*[0] * 64)[1], "GENERATOR": id(Generator), "OWNER": owner(),
            "DTYPES": id(get_default_dtype.__globals__), "DEFAULT": word("_default"),
        }  # fmt: skip
        table = words(*[values[name] for name in records.SLOTS])[1]
        code = cache.object_code(_key(), _text)
        library = load(code, {records.TABLE: table, **_functions_of_python()})
        self.address = library.address
        self.method = new_method(b"replay", library.address("enter"), _FASTCALL_WITH_NAMES)

    def builtin(self, record):
        """The builtin function ``enter`` for the function with this record."""
        return new_builtin(self.method, record)


def is_wanted():
    """Whether an earlier process has compiled the machine code, or has noted that it wants it.

    Without a cache there is no note, so short processes do not compile the code again and again.
    """
    note = f"wanted: {_key()}"
    if cache.get(_key()) is not None or cache.get(note) is not None:
        return True
    cache.put(note, b"wanted")
    return False


def _key():
    """The name of the machine code in the cache. The code has the offsets of objects in it."""
    offsets = sorted([item for item in vars(objects).items() if type(item[1]) is int])
    return f"replay {offsets}"


def _functions_of_python():
    """The C functions of Python that machine code calls, by name."""
    found = {}
    for name in records.EXTERNALS:
        function = getattr(ctypes.pythonapi, name)
        found[name] = ctypes.cast(function, ctypes.c_void_p).value
    return found


def _text():
    """The LLVM module with ``enter`` and the loops."""
    from rushlight.compiler.replay import module

    return module.text()
