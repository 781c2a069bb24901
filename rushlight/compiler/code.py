"""Machine code in memory: object files are loaded, and their functions have addresses."""

import itertools
import os
from functools import cache
from typing import Any

from rushlight.compiler.emit.target import host

__all__ = ["Library", "load"]

_numbers = itertools.count()


class Library:
    """The loaded code of one object file; it is freed when this object is dropped."""

    __slots__ = ("_addresses", "_name", "_tracker")

    def __init__(self, name, tracker):
        self._name = name
        self._tracker = tracker  # frees the code when dropped
        self._addresses = {}

    def address(self, name):
        """The address of the function or variable ``name``.

        Raises:
            KeyError: the object file defines no such name.
        """
        if name not in self._addresses:
            try:
                found = _linker().lookup(self._name, name)
            except RuntimeError:
                raise KeyError(f"the object code defines no {name!r}") from None
            self._addresses[name] = found[name], found
        return self._addresses[name][0]


@cache
def _linker() -> Any:
    import llvmlite.binding as llvm

    host()  # sets LLVM up
    return llvm.create_lljit_compiler(use_jit_link=os.name != "nt", suppress_errors=True)


def load(object_code, imports=None):
    """Load an object file; ``imports`` gives addresses for names that it uses and doesn't define.

    Names that are in neither are looked for in this process (memcpy and the like).

    Raises:
        RuntimeError: the bytes are no object file of this machine.
    """
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder().add_object_img(object_code).add_current_process()
    for name, address in (imports or {}).items():
        builder.import_symbol(name, address)
    name = f"rushlight.{next(_numbers)}"
    return Library(name, builder.link(_linker(), name))
