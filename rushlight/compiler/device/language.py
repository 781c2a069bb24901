"""What the languages of devices have in common: a module that kernels are written into."""

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, i64

__all__ = ["GLOBAL", "DeviceModule", "NoCode", "shared"]

#: Pointers to a device's memory, and to memory that a work-group shares.
GLOBAL, LOCAL = ir.PointerType(addrspace=1), ir.PointerType(addrspace=3)
_I8 = ir.IntType(8)


class NoCode(Exception):
    """LLVM has no code in a device's language for an instruction of a kernel."""


class DeviceModule(ir.Module):
    """An empty LLVM module for devices of one language. ``Spirv`` and ``Ptx`` are subclasses.

    Attributes:
        language: The name of the language, with a number that changes whenever its code does.
        convention: The calling convention of kernels.
        wide: Whether integers may have 128 bits; see ``Machine.wide``.
    """

    language: str
    convention: str
    target: str
    wide: bool

    def __init__(self):
        super().__init__("device")
        self.triple = self.target
        self._in_part, self._number = False, None
        self._maps: list = []  # the types of a kernel's arguments after the numbers

    def kernel(self, name, count, numbers=1):
        """(builder, pointers, numbers) of an empty kernel with ``count`` buffers.

        Each buffer comes with an offset in bytes. The first one of ``numbers`` is the number of
        items that have work. (Intel's compiler was seen to crash where a kernel compares with a
        constant.) Further ones are sizes.
        """
        b, args, numbers = self.entry(name, count, numbers)
        pointers = [b.gep(args[2 * k], [args[2 * k + 1]], source_etype=_I8) for k in range(count)]
        return b, pointers, numbers

    def entry(self, name, count, numbers):
        """(builder, buffers and offsets, numbers) of an empty kernel; see ``kernel``."""
        more = 1 if self._in_part else 0
        args = [*[GLOBAL, I64] * count, *[I64] * (numbers + more), *self._maps]
        typ = ir.FunctionType(ir.VoidType(), args)
        function = ir.Function(self, typ, name)
        if self._in_part:
            function.linkage, self._number = "internal", function.args[-1]
        else:
            function.calling_convention = self.convention
        b = ir.IRBuilder(function.append_basic_block("entry"))
        return b, function.args[: 2 * count], function.args[2 * count : 2 * count + numbers]

    def part(self, name, emit):
        """The function for a kernel inside another one, which gives it the number of its group.

        ``emit``: ``emit(module, name)`` adds the kernel. The function takes its arguments, and last
        the number of the work-group.
        """
        self._in_part = True
        emit(self, name)
        self._in_part, self._number = False, None
        return self.globals[name]

    def function(self, name, typ):
        """The declaration of a function of the device."""
        return self.globals.get(name) or ir.Function(self, typ, name)

    def local_array(self, typ, size):
        """Memory for ``size`` elements that the work-items of a group share."""
        name = f"shared{len(self.globals)}"
        found = ir.GlobalVariable(self, ir.ArrayType(typ, size), name, addrspace=3)
        found.linkage, found.initializer = "internal", ir.Constant(found.value_type, ir.Undefined)
        found.type = LOCAL
        return found

    def work_group(self, b):
        """The number of the work-group."""
        return self._group(b) if self._number is None else self._number

    def _group(self, b):
        """The number that the device gives the work-group."""
        raise NotImplementedError

    def work_item(self, b):
        """The number of the work-item in its group."""
        raise NotImplementedError

    def wait(self, b, everywhere=False):
        """Wait until all work-items of the group are here, and see what they stored.

        ``everywhere``: also in the device's memory, not only in memory that they share.
        """
        raise NotImplementedError

    def rejoin(self, b):
        """Note the end of a branch that all work-items of a group took, or none.

        Branches in which work-items wait come one after another, each with this call after it.
        """

    @classmethod
    def code(cls, text, architecture):
        """The code of a module's text, as the driver of an ``architecture`` takes it.

        Raises:
            NoCode: LLVM has no code for an instruction.
        """
        raise NotImplementedError


def shared(b, array, index, typ):
    """The address of an element of a ``local_array``."""
    return b.gep(array, [index if not isinstance(index, int) else i64(index)], source_etype=typ)


def optimised(llvm, text, machine, context, passes):
    """The verified module of a text, after ``passes``: methods of a pass manager, by name."""
    module = llvm.parse_assembly(text, context)
    try:
        module.verify()
        for function in module.functions:
            if function.linkage == llvm.Linkage.internal and not function.is_declaration:
                function.add_function_attribute("alwaysinline")  # a call would need a stack
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
        whole = llvm.create_new_module_pass_manager()
        whole.add_always_inliner_pass()
        whole.add_global_dead_code_eliminate_pass()
        whole.run(module, builder)
        manager = llvm.create_new_function_pass_manager()
        for name in passes:
            getattr(manager, f"add_{name}_pass")()
        for function in module.functions:
            if not function.is_declaration:
                manager.run(function, builder)
    except BaseException:
        module.close()
        raise
    return module
