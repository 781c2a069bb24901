"""SPIR-V, in which OpenCL devices take their kernels: work-groups, barriers, machine code."""

import re

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, i64

__all__ = [
    "NoCode",
    "GLOBAL",
    "code",
    "kernel",
    "local_array",
    "new_module",
    "wait",
    "work_group",
    "work_item",
]

#: Pointers to a device's memory, and to memory that a work-group shares.
GLOBAL, LOCAL = ir.PointerType(addrspace=1), ir.PointerType(addrspace=3)
_TRIPLE = "spirv64-unknown-unknown"
_I8, _I32 = ir.IntType(8), ir.IntType(32)


class NoCode(Exception):
    """LLVM has no SPIR-V for an instruction of a kernel."""


def new_module():
    """An empty module for devices."""
    module = ir.Module("device")
    module.triple = _TRIPLE
    return module


def kernel(module, name, count):
    """(builder, pointers, limit) of an empty kernel with ``count`` buffers.

    Each buffer comes with an offset in bytes. The last argument, ``limit``, is the number of items
    that have work. (Intel's compiler was seen to crash where a kernel compares with a constant.)
    """
    typ = ir.FunctionType(ir.VoidType(), [*[GLOBAL, I64] * count, I64])
    function = ir.Function(module, typ, name)
    function.calling_convention = "spir_kernel"
    b = ir.IRBuilder(function.append_basic_block("entry"))
    args = function.args
    pointers = [b.gep(args[2 * k], [args[2 * k + 1]], source_etype=_I8) for k in range(count)]
    return b, pointers, args[-1]


def work_group(b):
    """The number of the work-group."""
    return _asked(b, "_Z12get_group_idj")


def work_item(b):
    """The number of the work-item in its group."""
    return _asked(b, "_Z12get_local_idj")


def _asked(b, name):
    found = _function(b.module, name, ir.FunctionType(I64, [_I32]))
    return b.call(found, [_I32(0)], cconv="spir_func")


def wait(b):
    """Wait until all work-items of the group are here, and see what they stored."""
    barrier = _function(b.module, "_Z7barrierj", ir.FunctionType(ir.VoidType(), [_I32]))
    # Without this attribute, on the function and on the call, LLVM may move a barrier to where only
    # some of the work-items come by.
    barrier.attributes.add("convergent")
    b.call(barrier, [_I32(1)], cconv="spir_func", attrs=("convergent",))


def _function(module, name, typ):
    found = module.globals.get(name) or ir.Function(module, typ, name)
    found.calling_convention = "spir_func"
    return found


def local_array(module, typ, size):
    """Memory for ``size`` elements that the work-items of a group share."""
    name = f"shared{len(module.globals)}"
    found = ir.GlobalVariable(module, ir.ArrayType(typ, size), name, addrspace=3)
    found.linkage, found.initializer = "internal", ir.Constant(found.value_type, ir.Undefined)
    found.type = LOCAL
    return found


def code(text):
    """The machine code of a module's text.

    Raises:
        NoCode: LLVM has no SPIR-V for an instruction.
    """
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    # At a higher level LLVM rewrites loops with integers of 2 bits, and then takes 8 bits for them.
    machine = llvm.Target.from_triple(_TRIPLE).create_target_machine(opt=0)
    with llvm.create_context() as context:
        module = llvm.parse_assembly(text, context)
        try:
            module.verify()
            _optimise(llvm, module, machine)
            _check(str(module))
            return machine.emit_object(module)
        finally:
            module.close()


def _check(text):
    """Raise NoCode for instructions that LLVM has no SPIR-V for: it would end the process."""
    widths = {int(n) for n in re.findall(r"\bi(\d+)\b", text)}
    if not widths <= {1, 8, 16, 32, 64}:
        raise NoCode(f"integers of {max(widths)} bits")


def _optimise(llvm, module, machine):
    """Clean up. LLVM's code generator for SPIR-V is wrong in silence after ``instcombine``."""
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
    whole = llvm.create_new_module_pass_manager()
    whole.add_always_inliner_pass()
    whole.add_global_dead_code_eliminate_pass()
    whole.run(module, builder)
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_new_gvn_pass()
    passes.add_dead_code_elimination_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


def shared(b, array, index, typ):
    """The address of an element of a ``local_array``."""
    return b.gep(array, [index if not isinstance(index, int) else i64(index)], source_etype=typ)
