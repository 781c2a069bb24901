"""Load object files into memory, and look up the addresses of their functions."""

import ctypes
import os
import sys
from typing import Any

import numpy as np

from rushlight.compiler.cpu.llvm_lock import apart
from rushlight.compiler.cpu.target import CHECKED, host

__all__ = ["RECORD", "Library", "load", "record"]

#: The symbol of the record that ``checked_access.py`` writes, a table of i64 that exists once in a
#: process. Its entries: whether a check failed; the wrong address; its number of bytes; the
#: function's name; the kind of access; the list of memories; the list's length.
RECORD = "rushlight_bounds"
record = np.zeros(8, np.int64)


class Library:
    """The loaded code of one object file; it is freed when this object is dropped.

    Each Library has a linker of its own, which takes 0.3 ms to create. A shared linker would never
    give all its memory back.
    """

    __slots__ = ("__weakref__", "_addresses", "_linker", "_parts")

    def __init__(self, object_code, imports):
        self._parts = []  # before anything can fail, because __del__ reads it
        self._addresses = {}
        host()  # sets LLVM up
        apart(lambda: self._link(object_code, imports))

    def _link(self, object_code, imports):
        import llvmlite.binding as llvm

        builder = llvm.JITLibraryBuilder().add_object_img(object_code).add_current_process()
        for name, address in imports.items():
            builder.import_symbol(name, address)
        self._linker = llvm.create_lljit_compiler(
            use_jit_link=os.name != "nt", suppress_errors=True
        )
        self._parts.append(builder.link(self._linker, "kernels"))

    def address(self, name):
        """The address of the function or variable ``name``.

        Raises:
            KeyError: the object file does not define ``name``, or uses a name that is not defined.
        """
        if name not in self._addresses:
            try:
                found = apart(lambda: self._linker.lookup("kernels", name))
            except RuntimeError as error:
                raise KeyError(str(error)) from None
            self._parts.append(found)
            self._addresses[name] = found[name]
        return self._addresses[name]

    def function(self, name, brief=False):
        """The native ``void name(ptr)`` as a Python function of one address.

        The function keeps the code alive. A call takes 0.11 µs and releases the GIL. A call of a
        ``brief`` function takes 0.08 µs and keeps the GIL.
        """
        prototype = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        # c_void_p takes an int twice as fast as the integer types do.
        function: Any = prototype(None, ctypes.c_void_p)(self.address(name))
        function.library = self
        return function

    def __del__(self, ending=sys.is_finalizing):
        if ending():  # llvmlite may be gone already; the code is freed with the process
            return
        parts = getattr(self, "_parts", ())  # missing after an early interrupt
        if parts:
            apart(lambda: [part.close() for part in reversed(parts)])


def load(object_code, imports=None):
    """Load an object file.

    Args:
        object_code: The bytes of the object file.
        imports: name → address, of names that the file uses but does not define. Other undefined
            names, such as memcpy, are looked up in this process.

    Raises:
        RuntimeError: the bytes are no object file for this machine.
    """
    if CHECKED:
        imports = {**(imports or {}), RECORD: record.ctypes.data}
    return Library(object_code, imports or {})
