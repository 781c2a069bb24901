"""Machine code in memory: object files are loaded, and their functions have addresses."""

import ctypes
import os
import sys
from typing import Any

from rushlight.compiler.cpu.target import CHECKED, host

__all__ = ["Library", "load"]


class Library:
    """The loaded code of one object file; it is freed when this object is dropped.

    Each has a linker of its own (0.3 ms): a shared one never gives all its memory back.
    """

    __slots__ = ("_addresses", "_linker", "_parts")

    def __init__(self, object_code, imports):
        import llvmlite.binding as llvm

        self._parts = []  # first: __del__ reads it, whatever fails
        host()  # sets LLVM up
        builder = llvm.JITLibraryBuilder().add_object_img(object_code).add_current_process()
        for name, address in imports.items():
            builder.import_symbol(name, address)
        self._addresses = {}
        self._linker = llvm.create_lljit_compiler(
            use_jit_link=os.name != "nt", suppress_errors=True
        )
        self._parts.append(builder.link(self._linker, "kernels"))

    def address(self, name):
        """The address of the function or variable ``name``.

        Raises:
            KeyError: the object file defines no such name, or needs one that nobody defines.
        """
        if name not in self._addresses:
            try:
                found = self._linker.lookup("kernels", name)
            except RuntimeError as error:
                raise KeyError(str(error)) from None
            self._parts.append(found)
            self._addresses[name] = found[name]
        return self._addresses[name]

    def function(self, name, brief=False):
        """The native ``void name(ptr)`` as a function of one address, which keeps the code alive.

        A call takes 0.11 µs and lets other Python threads run meanwhile; a ``brief`` one takes
        0.08 µs and doesn't.
        """
        prototype = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        # c_void_p takes an int twice as fast as the integer types do.
        function: Any = prototype(None, ctypes.c_void_p)(self.address(name))
        function.library = self
        return function

    def __del__(self, ending=sys.is_finalizing):
        if ending():  # llvmlite may be gone before, and the code goes with the process
            return
        for part in reversed(getattr(self, "_parts", ())):  # there may have been an interrupt
            part.close()


def load(object_code, imports=None):
    """Load an object file; ``imports`` gives addresses of names that it uses and doesn't define.

    Names in neither are looked for in this process (memcpy and the like).

    Raises:
        RuntimeError: the bytes are no object file of this machine.
    """
    if CHECKED:
        from rushlight.compiler.run.bounds_report import imports as checks

        imports = {**(imports or {}), **checks()}
    return Library(object_code, imports or {})
