"""SPIR-V, in which OpenCL devices take their kernels."""

import re
import struct

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64
from rushlight.compiler.device.language import DeviceModule, NoCode, optimised

__all__ = ["Spirv", "defined"]

_I32 = ir.IntType(32)
#: LLVM's code generator for SPIR-V is wrong in silence after ``instcombine``.
_PASSES = ("sroa", "simplify_cfg", "new_gvn", "dead_code_elimination", "simplify_cfg")

#: LLVM gives types and blocks the same numbers now and then: at random, in about every third
#: module. Intel's compiler then ends the process, or takes one for the other. So code is made again
#: until each number stands for one thing, at most so many times.
_TRIES = 100


class Spirv(DeviceModule):
    """A module whose code is SPIR-V."""

    language, convention = "spirv 4", "spir_kernel"
    target = "spirv64-unknown-unknown"
    wide = False

    def work_group(self, b):
        return self._asked(b, "_Z12get_group_idj")

    def work_item(self, b):
        return self._asked(b, "_Z12get_local_idj")

    def wait(self, b):
        barrier = self.function("_Z7barrierj", ir.FunctionType(ir.VoidType(), [_I32]))
        # Without this attribute, on the function and on the call, LLVM may move a barrier to where
        # only some of the work-items come by.
        barrier.attributes.add("convergent")
        b.call(barrier, [_I32(1)], cconv="spir_func", attrs=("convergent",))

    def _asked(self, b, name):
        found = self.function(name, ir.FunctionType(I64, [_I32]))
        return b.call(found, [_I32(0)], cconv="spir_func")

    def function(self, name, typ):
        found = super().function(name, typ)
        found.calling_convention = "spir_func"
        return found

    @classmethod
    def code(cls, text, architecture):
        for _ in range(_TRIES):
            found = _emitted(text)
            numbers = defined(found)
            if len(numbers) == len(set(numbers)):
                return found
        raise NoCode("LLVM gives two values one number")


def _emitted(text):
    """LLVM's code for the text of a module."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    # At a higher level LLVM rewrites loops with integers of 2 bits, and then takes 8 for them.
    machine = llvm.Target.from_triple(Spirv.target).create_target_machine(opt=0)
    with llvm.create_context() as context:
        module = optimised(llvm, text, machine, context, _PASSES)
        try:
            _check(str(module))
            return machine.emit_object(module)
        finally:
            module.close()


def _check(text):
    """Raise NoCode for instructions that LLVM has no SPIR-V for: it would end the process."""
    widths = {int(n) for n in re.findall(r"\bi(\d+)\b", text)}
    if not widths <= {1, 8, 16, 32, 64}:
        raise NoCode(f"integers of {max(widths)} bits")


_LABEL, _STRING, _IMPORT, _TYPES = 248, 7, 11, range(19, 39)
#: The codes of instructions without a result. The others have it in their second word, or, after
#: the type of the result, in their third.
_WITHOUT = frozenset((
    *(0, 3, 4, 5, 6, 8, 10, 14, 15, 16, 17, 39, 56, 62, 63, 64, 71, 72), *range(224, 227), 228,
    *(246, 247), *range(249, 258), 317, 330, 331, 332,
))  # fmt: skip


def defined(code):
    """The numbers that the instructions of a module define, in order."""
    words, at, found = struct.unpack(f"<{len(code) // 4}I", code), 5, []
    while at < len(words):
        op, size = words[at] & 0xFFFF, words[at] >> 16
        if op not in _WITHOUT:
            untyped = op in (_LABEL, _STRING, _IMPORT) or op in _TYPES
            found.append(words[at + (1 if untyped else 2)])
        at += size
    return found
