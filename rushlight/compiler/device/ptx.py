"""PTX, in which the driver of NVIDIA's GPUs takes kernels; it makes machine code of them."""

import re

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64
from rushlight.compiler.device.language import DeviceModule, NoCode, optimised

__all__ = ["Ptx"]

_I32 = ir.IntType(32)
_PASSES = (
    "sroa", "instruction_combine", "simplify_cfg", "new_gvn", "dead_code_elimination",
    "simplify_cfg",
)  # fmt: skip
#: Functions of LLVM that its code generator for PTX replaces by calls of a C library.
_LACKING = re.compile(r"@llvm\.(sin|cos|tan|exp\w*|log\w*|pow)\.")


class Ptx(DeviceModule):
    """A module whose code is PTX, as text."""

    language, convention = "ptx 1", "ptx_kernel"
    target = "nvptx64-nvidia-cuda"
    wide = True

    def work_group(self, b):
        return self._register(b, "ctaid.x")

    def work_item(self, b):
        return self._register(b, "tid.x")

    def _register(self, b, name):
        typ = ir.FunctionType(_I32, [])
        return b.zext(b.call(self.function(f"llvm.nvvm.read.ptx.sreg.{name}", typ), []), I64)

    def wait(self, b):
        # An old name. LLVM 20 has no other, and later versions take it.
        barrier = self.function("llvm.nvvm.barrier0", ir.FunctionType(ir.VoidType(), []))
        barrier.attributes.add("convergent")
        b.call(barrier, [], attrs=("convergent",))

    @classmethod
    def code(cls, text, architecture):
        import llvmlite.binding as llvm

        lacking = _LACKING.search(text)
        if lacking:
            raise NoCode(lacking[0])
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        target = llvm.Target.from_triple(cls.target)
        machine = target.create_target_machine(cpu=architecture, opt=3)
        with llvm.create_context() as context:
            module = optimised(llvm, text, machine, context, _PASSES)
            try:
                return machine.emit_assembly(module).encode()
            finally:
                module.close()
