"""PTX, in which the driver of NVIDIA's GPUs takes kernels; it makes machine code of them."""

import re

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64
from rushlight.compiler.device.language import LOCAL, DeviceModule, NoCode, optimised

__all__ = ["Ptx"]

_I32 = ir.IntType(32)
_PASSES = (
    "sroa", "instruction_combine", "simplify_cfg", "new_gvn", "dead_code_elimination",
    "simplify_cfg",
)  # fmt: skip
#: What LLVM must be told that an architecture has, since its first drivers had not.
_FEATURES = {"sm_75": "+ptx65"}  # mma.sync of 16 rows, ldmatrix
#: An argument that is a tensor map: 128 bytes, which begin at a multiple of 64 at least.
_MAP = ir.VectorType(I64, 16)
#: Functions of LLVM that its code generator for PTX replaces by calls of a C library.
_LACKING = re.compile(r"@llvm\.(sin|cos|tan|exp\w*|log\w*|pow)\.")


class Ptx(DeviceModule):
    """A module whose code is PTX, as text."""

    language, convention = "ptx 3", "ptx_kernel"
    target = "nvptx64-nvidia-cuda"
    wide = True

    def _group(self, b):
        return self._register(b, "ctaid.x")

    def work_item(self, b):
        return self._register(b, "tid.x")

    def _register(self, b, name):
        typ = ir.FunctionType(_I32, [])
        return b.zext(b.call(self.function(f"llvm.nvvm.read.ptx.sreg.{name}", typ), []), I64)

    def wait(self, b, everywhere=False):
        # An old name. LLVM 20 has no other, and later versions take it.
        self._together(b, "barrier0", ir.VoidType(), [])

    # Instructions of whole warps, and copies that go on while others compute ------------------

    def _together(self, b, name, result, args):
        """Call an instruction that all work-items of a warp come by together."""
        typ = ir.FunctionType(result, [a.type for a in args])
        function = self.function(f"llvm.nvvm.{name}", typ)
        function.attributes.add("convergent")
        return b.call(function, args, attrs=("convergent",))

    def matrices(self, b, source, transposed):
        """Four matrices of 8 rows of 16 bytes in shared memory, as 4 registers of 32 bits.

        Each eighth of the warp's items has the addresses of a matrix's rows. Item ``i`` gets the
        bytes from ``4 * (i % 4)`` on of row ``i // 4``. If ``transposed``, elements have 16 bits.
        """
        turn = ".trans" if transposed else ""
        name = f"ldmatrix.sync.aligned.m8n8.x4{turn}.b16.p3"
        found = self._together(b, name, ir.LiteralStructType([_I32] * 4), [source])
        return [b.extract_value(found, k) for k in range(4)]

    def products(self, b, name, left, right, totals):
        """The totals with the products added of a matrix of 16 rows and one of 8 columns.

        ``name``: the shape and the type of LLVM's ``mma`` instruction.
        """
        result = ir.LiteralStructType([ir.FloatType()] * 4)
        found = self._together(b, f"mma.{name}", result, [*left, *right, *totals])
        return [b.extract_value(found, k) for k in range(4)]

    def rounded(self, b, bits):
        """The bits of a float32, rounded to TF32, which has 10 bits after the point."""
        x = b.bitcast(bits, ir.FloatType())
        typ = ir.FunctionType(_I32, [x.type])
        return b.call(self.function("llvm.nvvm.f2tf32.rna", typ), [x])

    def copy_later(self, b, target, source, size, count):
        """Begin to copy ``count`` of ``size`` (4, 8 or 16) bytes to shared memory, zeros after."""
        kind = "cg" if size == 16 else "ca"
        self._plain(b, f"cp.async.{kind}.shared.global.{size}.s", [target, source, count])

    def mark_copies(self, b):
        """Make one group of the copies that the work-item began since the last group."""
        self._plain(b, "cp.async.commit.group", [])

    def wait_for_copies(self, b, but):
        """Wait until all groups of copies of the work-item but the last few have arrived."""
        self._plain(b, "cp.async.wait.group", [_I32(but)])

    # Tiles that the copy engine brings, and instructions that LLVM has no names for -----------

    def kernel(self, name, count, numbers=1, maps=0):
        """See ``DeviceModule.kernel``. ``maps``: the number of tensor maps, the last arguments."""
        self._maps = [_MAP] * maps
        try:
            return super().kernel(name, count, numbers)
        finally:
            self._maps = []

    def tensor_map(self, b, kernel, number):
        """The address of the argument ``number`` of a ``kernel``, which is a tensor map."""
        text = rf"mov.b64 $0, {kernel}_param_{number};\0Acvta.param.u64 $0, $0;"
        return self.assembly(b, text, "=l", result=I64)

    def asked_memory(self, align):
        """Memory that a work-group shares, of as many bytes as the launch asks for."""
        found = ir.GlobalVariable(self, ir.ArrayType(ir.IntType(8), 0), "asked", addrspace=3)
        found.linkage, found.align, found.type = "external", align, LOCAL
        return found

    def assembly(self, b, text, kinds, *args, result=None):
        """Instructions as PTX has them; ``kinds``: LLVM's letters for the operands' registers."""
        typ = ir.FunctionType(result or ir.VoidType(), [a.type for a in args])
        code = ir.InlineAsm(typ, text, ",".join(filter(None, [kinds, "~{memory}"])), True)
        return b.call(code, args, attrs=("convergent",))

    def _plain(self, b, name, args):
        typ = ir.FunctionType(ir.VoidType(), [a.type for a in args])
        return b.call(self.function(f"llvm.nvvm.{name}", typ), args)

    @classmethod
    def code(cls, text, architecture):
        import llvmlite.binding as llvm

        lacking = _LACKING.search(text)
        if lacking:
            raise NoCode(lacking[0])
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        target = llvm.Target.from_triple(cls.target)
        features = _FEATURES.get(architecture, "")
        machine = target.create_target_machine(cpu=architecture, features=features, opt=3)
        with llvm.create_context() as context:
            module = optimised(llvm, text, machine, context, _PASSES)
            try:
                return machine.emit_assembly(module).encode()
            finally:
                module.close()
