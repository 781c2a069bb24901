"""Python loops over arrays as machine code: each loop is compiled for the dtypes of its arrays.

``codegen/array_function.py`` says what the Python functions may be.
"""

from hashlib import sha256
from struct import Struct

import numpy as np
from llvmlite import ir
from numpy import ndarray

from rushlight.backend.address import address
from rushlight.compiler.codegen.array_function import write
from rushlight.compiler.codegen.table_loop import DATA, OPERAND, write_loop
from rushlight.compiler.cpu.checked_access import instrument
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import CHECKED
from rushlight.compiler.run import bounds_report, cache

__all__ = ["ArrayLoop"]


class ArrayLoop:
    """A compiled Python function of arrays and numbers, whose last parameters are its results.

    Args:
        function: The function.
        kinds: For each parameter, the dtype of an array, or ``int`` or ``float``.

    Raises:
        NotImplementedError: The function has no translation.
    """

    def __init__(self, function, kinds):
        module = ir.Module("loop")
        write(module, "kernel", function, kinds)
        write_loop(module, "kernel", _words(kinds))
        module.scalar = True
        made = instrument(module) if CHECKED else module
        key = sha256(str(made).encode()).hexdigest()
        code = cache.object_code(f"loop {key}", lambda: made)
        self.library = load(code)
        self.run = self.library.function("kernel")
        # A call of ctypes takes bytes as an address.
        self.pack = Struct("".join("d" if k is float else "q" for k in kinds)).pack

    def __call__(self, given):
        """Run the loop on arrays in C order and numbers, the results last."""
        table = self.pack(*[address(x) if type(x) is ndarray else x for x in given])
        if not CHECKED:
            self.run(table)
            return
        held = np.frombuffer(table, np.int64)
        memories = bounds_report.arrays([held, *[x for x in given if type(x) is ndarray]])
        bounds_report.watched(memories, lambda: self.run(address(held)))

    def noted(self, given, results):
        """Note a run of the loop in a call that will be replayed; ``results`` have its results."""
        operands = [x for x in given if type(x) is not int and type(x) is not float]
        tape = next(x.tape for x in operands if hasattr(x, "noted"))
        operands = [x if hasattr(x, "noted") else tape.constant(x) for x in operands]
        words = [x if type(x) in (int, float) else 0 for x in (*given, *results)]
        data = np.frombuffer(self.pack(*words), np.int64)
        return tape.call(self.library.address("loop"), data, operands, results, (self, data))


def _words(kinds):
    """The words of the kernel's table: numbers from the data, addresses of arrays from operands."""
    found: list = []
    for k, kind in enumerate(kinds):
        arrays = sum(source == OPERAND for source, _ in found)
        is_number = kind is int or kind is float  # a dtype of NumPy equals its type in Python
        found.append((DATA, k) if is_number else (OPERAND, arrays))
    return found
