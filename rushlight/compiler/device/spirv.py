"""SPIR-V, in which OpenCL devices take their kernels."""

import re
from contextlib import ExitStack

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64
from rushlight.compiler.device.labels import Ambiguous, relabelled
from rushlight.compiler.device.language import DeviceModule, NoCode, optimised

__all__ = ["Spirv"]

_I32 = ir.IntType(32)
_BARRIER = "_Z7barrierj"
#: How often a module is emitted, until its labels are in order.
_TRIES = 300
#: The bytes of memory that is taken after each try: about those of a function in LLVM's generator.
_SIZES = [n for n in range(528, 2064, 16) for _ in range(4)]
#: LLVM's code generator for SPIR-V is wrong in silence after ``instcombine``.
_PASSES = ("sroa", "simplify_cfg", "new_gvn", "dead_code_elimination", "simplify_cfg")


class Spirv(DeviceModule):
    """A module whose code is SPIR-V."""

    language, convention = "spirv 6", "spir_kernel"
    target = "spirv64v1.0-unknown-unknown"  # the version that every driver takes
    wide = False

    def _group(self, b):
        return self._asked(b, "_Z12get_group_idj")

    def work_item(self, b):
        return self._asked(b, "_Z12get_local_idj")

    def rejoin(self, b):
        # PoCL up to version 7.1 splits kernels at barriers. If a branch has one, it copies what
        # follows the branch for each way that leads there. Then its own compiler fails, or all
        # work-items go where the first one goes, but not if a barrier follows the branch.
        if _BARRIER in self.globals:
            self.wait(b)

    def wait(self, b, everywhere=False):
        barrier = self.function(_BARRIER, ir.FunctionType(ir.VoidType(), [_I32]))
        # Without this attribute, on the function and on the call, LLVM may move a barrier to where
        # only some of the work-items come by.
        barrier.attributes.add("convergent")
        b.call(barrier, [_I32(3 if everywhere else 1)], cconv="spir_func", attrs=("convergent",))

    def _asked(self, b, name):
        found = self.function(name, ir.FunctionType(I64, [_I32]))
        return b.call(found, [_I32(0)], cconv="spir_func")

    def function(self, name, typ):
        found = super().function(name, typ)
        found.calling_convention = "spir_func"
        return found

    @classmethod
    def code(cls, text, architecture):
        import llvmlite.binding as llvm

        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        held: list = []  # free memory is used again, so it is taken until a function lies elsewhere
        with ExitStack() as tried:
            for _ in range(_TRIES):
                try:
                    return relabelled(_emitted(llvm, cls.target, text, tried))
                except Ambiguous:
                    held += [bytearray(size) for size in _SIZES]
        raise NoCode("blocks with unique labels")


def _emitted(llvm, target, text, stack):
    """The SPIR-V of a module; ``stack`` keeps what LLVM made for it."""
    # At a higher level LLVM rewrites loops with integers of 2 bits, and then takes 8 for them.
    machine = llvm.Target.from_triple(target).create_target_machine(opt=0)
    context = stack.enter_context(llvm.create_context())
    module = optimised(llvm, text, machine, context, _PASSES)
    stack.callback(module.close)
    _check(str(module))
    return machine.emit_object(module)


def _check(text):
    """Raise NoCode for instructions that LLVM has no SPIR-V for: it would end the process."""
    widths = {int(n) for n in re.findall(r"(?<![\w.%])i(\d+)\b", text)}
    if not widths <= {1, 8, 16, 32, 64}:
        raise NoCode(f"integers of {max(widths)} bits")
