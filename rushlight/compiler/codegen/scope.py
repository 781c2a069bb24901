"""Functions, counted loops and scopes of values, with which all kernels are written."""

from llvmlite import ir

__all__ = [
    "I64", "KERNEL", "POINTER", "Loop", "Scope", "constant_array", "i64", "in_vectors",
    "internal_function", "kernel_function", "table_function", "table_words",
]  # fmt: skip

I64 = ir.IntType(64)
POINTER = ir.PointerType()
#: void kernel(args, chunk, scratch)
KERNEL = ir.FunctionType(ir.VoidType(), [POINTER, I64, POINTER])


def kernel_function(module, name):
    """An empty kernel and the builder of its first block."""
    function = ir.Function(module, KERNEL, name)
    function.args[2].add_attribute("noalias")
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def table_function(module, count):
    """The function ``kernel`` of a table's address: its builder, and the table's words.

    The table has ``count`` words of 64 bits.
    """
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "kernel")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    return b, table_words(b, function.args[0], count)


def table_words(b, table, count):
    """The first ``count`` words of 64 bits at the address ``table``."""
    return [b.load(b.gep(table, [i64(k)], source_etype=I64), typ=I64) for k in range(count)]


def internal_function(module, name, args):
    """A function that only ``module`` calls, and the builder of its first block.

    The builder is None if the module already has the function.
    """
    if name in module.globals:
        return module.globals[name], None
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), args), name)
    function.linkage = "internal"
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def constant_array(module, name, typ, items):
    """The address of a constant array that only ``module`` uses."""
    found = ir.GlobalVariable(module, ir.ArrayType(typ, len(items)), name)
    found.initializer = ir.Constant(found.value_type, items)
    found.global_constant, found.linkage = True, "internal"
    return found


def i64(n):
    return ir.Constant(I64, n)


class Loop:
    """A counted loop. Until ``close``, instructions can be added before it and inside it.

    ``outer`` is the builder before the loop, ``b`` the builder inside it.
    """

    def __init__(self, outer, begin, end, step=1):
        self.outer, self.begin, self.end, self.step = outer, begin, end, step
        function = outer.function
        self.header = function.append_basic_block()
        self.exit = function.append_basic_block()
        head = ir.IRBuilder(self.header)
        self.i = head.phi(I64)
        body = function.append_basic_block()
        head.cbranch(head.icmp_signed("<", self.i, end), body, self.exit)
        self.b = ir.IRBuilder(body)

    def close(self):
        """End the loop; the outer builder goes on after it."""
        following = self.b.add(self.i, i64(self.step))
        self.b.branch(self.header)
        self.i.add_incoming(self.begin, self.outer.block)
        self.i.add_incoming(following, self.b.block)
        # Other builders may have added variables at the end of this block.
        self.outer.position_at_end(self.outer.block)
        self.outer.branch(self.header)
        self.outer.position_at_end(self.exit)


def in_vectors(b, count, lanes, work):
    """Write ``work(b, i, lanes)`` for vectors of elements, and ``work(b, i, 1)`` for the rest."""
    vectors = Loop(b, i64(0), b.sub(count, i64(lanes - 1)), lanes)
    work(vectors.b, vectors.i, lanes)
    vectors.close()
    rest = Loop(b, vectors.i, count)
    work(rest.b, rest.i, 1)
    rest.close()


class Scope:
    """A builder, with the variables, offsets and nodes that it has computed so far."""

    def __init__(self, b):
        self.b = b
        self.variables: dict = {}
        self.offsets: dict = {}
        self.nodes: dict = {}
