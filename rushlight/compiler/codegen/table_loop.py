"""Kernels that read a table, as loops with the parameters of NumPy's: replays call these."""

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, POINTER, i64

__all__ = ["DATA", "OPERAND", "write_loop"]

OPERAND, DATA = 0, 3  # parameters of a loop: the addresses of the operands, and its data


def write_loop(module, kernel, words):
    """Write the function ``loop``, which calls the function ``kernel`` with a table on the stack.

    ``words``: for each word of the table, OPERAND or DATA, and the number of the word there.
    """
    loop = ir.Function(module, ir.FunctionType(I64, [I64] * 4), "loop")
    b = ir.IRBuilder(loop.append_basic_block("entry"))
    table = b.alloca(I64, len(words))
    word = lambda base, k: b.gep(base, [i64(k)], source_etype=I64)
    sources = {k: b.inttoptr(loop.args[k], POINTER) for k in (OPERAND, DATA)}
    for k, (source, number) in enumerate(words):
        b.store(b.load(word(sources[source], number), typ=I64), word(table, k))
    b.call(module.globals[kernel], [table])
    b.ret(i64(0))
