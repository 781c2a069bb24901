"""SPIR-V, in which OpenCL devices take their kernels."""

import re
import struct

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64
from rushlight.compiler.device.language import DeviceModule, NoCode, optimised

__all__ = ["Spirv", "renumbered"]

_I32 = ir.IntType(32)
#: LLVM's code generator for SPIR-V is wrong in silence after ``instcombine``.
_PASSES = ("sroa", "simplify_cfg", "new_gvn", "dead_code_elimination", "simplify_cfg")


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
        import llvmlite.binding as llvm

        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        # At a higher level LLVM rewrites loops with integers of 2 bits, and then takes 8 for them.
        machine = llvm.Target.from_triple(cls.target).create_target_machine(opt=0)
        with llvm.create_context() as context:
            module = optimised(llvm, text, machine, context, _PASSES)
            try:
                _check(str(module))
                return renumbered(machine.emit_object(module))
            finally:
                module.close()


def _check(text):
    """Raise NoCode for instructions that LLVM has no SPIR-V for: it would end the process."""
    widths = {int(n) for n in re.findall(r"\bi(\d+)\b", text)}
    if not widths <= {1, 8, 16, 32, 64}:
        raise NoCode(f"integers of {max(widths)} bits")


_LABEL, _PHI, _SWITCH, _FUNCTION, _BRANCH = 248, 245, 251, 54, 249
#: The words of instructions, by their codes, that name blocks.
_BLOCKS = {_LABEL: (1,), _BRANCH: (1,), 250: (2, 3), 246: (1, 2), 247: (1,)}


def renumbered(code):
    """The module ``code`` with other numbers for its blocks.

    LLVM may give a block the number of a type: it differs from run to run of the code generator.
    Then Intel's compiler ends the process, or not, depending on what it did before.
    """
    words = list(struct.unpack(f"<{len(code) // 4}I", code))
    found, at = [], 5  # the header has 5 words
    while at < len(words):
        found.append((words[at] & 0xFFFF, at, words[at] >> 16))
        at += words[at] >> 16
    functions = [k for k, (op, _, _) in enumerate(found) if op == _FUNCTION]
    for begin, end in zip(functions, [*functions[1:], len(found)], strict=True):
        body = found[begin:end]
        labels = {words[at + 1]: words[3] + k
                  for k, (_, at, _) in enumerate([i for i in body if i[0] == _LABEL])}  # fmt: skip
        words[3] += len(labels)  # the number above all others
        for op, at, size in body:
            for k in _named(op, words[at : at + size], labels):
                words[at + k] = labels[words[at + k]]
    return struct.pack(f"<{len(words)}I", *words)


def _named(op, words, labels):
    """The positions in an instruction of the numbers of blocks."""
    if op == _PHI:
        return range(4, len(words), 2)
    if op == _SWITCH:  # pairs of a constant, of one word or two, and a block
        pairs = range(4, len(words), 2)
        short = len(words) % 2 and all(words[k] in labels for k in pairs)
        return [2, *(pairs if short else range(5, len(words), 3))]
    return _BLOCKS.get(op, ())
