"""The LLVM module of a program: its kernels, and the functions that run them in order."""

from itertools import accumulate

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, POINTER, constant_array
from rushlight.compiler.cpu.checked_access import instrument
from rushlight.compiler.cpu.kernel_sequence import write_stretch
from rushlight.compiler.cpu.target import CHECKED

__all__ = ["program_module"]


def program_module(program):
    """The module, or its text with checks of all addresses; see ``Machine.module``."""
    module = ir.Module("program")
    for name, work in program.kernels.values():
        work.emit(module, name)
    module.simple = all(work.simple for _, work in program.kernels.values())
    for name, steps in program.stretches.items():
        _write(module, name, steps, program)
    return instrument(module, program.stretches) if CHECKED else module


def _write(module, name, steps, program):
    """Write the function that runs ``steps``: a loop over tables, as there may be hundreds."""
    flags = [program.flags(s) for s in steps]
    places = [
        [*program.places(s), *[place for _, place in own]]
        for s, own in zip(steps, flags, strict=True)
    ]
    table = lambda what, numbers: constant_array(
        module, f"{name}.{what}", I64, [*map(I64, numbers)]
    )
    tables = {
        "kernel": constant_array(module, f"{name}.kernel", POINTER,
                                 [module.globals[s.name] for s in steps]),
        "chunks": table("chunks", [s.chunks * (s.chunks > 1 or s.scratch > 0) for s in steps]),
        "end": table("end", accumulate(map(len, places))),
        "check": table("check", [own[0][0] + 1 if own else 0 for own in flags]),
        "slot": table("slot", [slot for p in places for slot, _ in p]),
        "offset": table("offset", [offset for p in places for _, offset in p]),
    }  # fmt: skip
    write_stretch(module, name, tables, len(steps), max(map(len, places)))
