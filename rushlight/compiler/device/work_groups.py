"""Functions with loops that work-groups share; ``ops/core/work_groups.py`` says what they are."""

import ast
from math import prod

from rushlight.compiler.codegen.array_function import ArrayBody, parsed
from rushlight.compiler.codegen.scalar_function import name_of
from rushlight.compiler.codegen.scope import i64
from rushlight.compiler.codegen.value import FLOAT, INT, Value, computed, constant

__all__ = ["GroupWork"]


class GroupWork:
    """The kernel of one equation; see ``Machine.work``.

    Args:
        equation: One of the operation ``in_groups``.
        layout: ``layout(value)`` gives the (owner, offset, strides) of a value in elements.
    """

    size = 128

    def __init__(self, equation, layout):
        params, outs = equation.params, equation.outs
        self.function, self.numbers = params["function"], params["numbers"]
        self.groups = self.limit = params["count"]
        values = [*equation.ins[0], *outs]
        self.dtypes, self.given = [v.dtype for v in values], len(values) - len(outs)
        places = [(v, *layout(v)) for v in values]
        self.operands = [(owner, offset * v.itemsize) for v, owner, offset, _ in places]
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        self.key = f"groups {name} {self.dtypes} {self.given} {self.numbers}"

    @staticmethod
    def serves(equation, device):
        """Whether a ``backend.device.Device`` computes ``equation``."""
        if not device.branches and _branches(parsed(equation.params["function"])):
            return False
        doubles = device.doubles
        values = [*equation.ins[0], *equation.outs]
        wide = any(v.dtype == "f8" for v in values)
        return all(v.dtype.kind in "iuf" and prod(v.shape) for v in values) and (
            doubles or not wide
        )

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        b, pointers, (limit,) = module.kernel(name, len(self.operands))
        entry, body = b, b.function.append_basic_block("body")
        writer = _GroupBody(entry, type(b)(body), self.function)
        writer.module, writer.size = module, self.size
        floats = [computed(d) for d in self.dtypes if d.kind == "f"]
        writer.real = floats[0] if floats else FLOAT
        arrays = list(zip(pointers, self.dtypes, strict=True))
        values = [limit, *map(i64, self.numbers)]
        tree = parsed(self.function)
        names = [a.arg for a in tree.args.args]
        own = [*arrays[: self.given], *values, *arrays[self.given :]]
        for parameter, x in zip(names, own, strict=True):
            if type(x) is tuple:
                writer.arrays[parameter] = x
            elif x is limit:
                writer.assign(ast.Name(parameter), Value(writer.b, x, INT))
            else:
                writer.numbers[parameter] = Value(writer.b, x, INT)
        writer.block(tree.body)
        writer.b.ret_void()
        entry.branch(body)


class _GroupBody(ArrayBody):
    """The body of a function while it is translated; see ``ArrayBody``.

    Attributes:
        real: The dtype of Python's floats: that of the first floating-point array.
        in_items: Whether what is written now stands in a loop over ``items``.
    """

    in_items = False

    def like(self, other):
        self.module, self.size, self.real = other.module, other.size, other.real
        self.in_items = other.in_items
        return self

    def lifted(self, value):
        is_float = isinstance(value, float)
        return constant(self.b, value, self.real) if is_float else super().lifted(value)

    def For(self, s):
        kind = name_of(s.iter.func) if isinstance(s.iter, ast.Call) else ""
        if kind == "groups":
            self.assign(s.target, Value(self.b, self.module.work_group(self.b), INT))
            after = self.b.append_basic_block()
            self.loops.append((after, after))
            self.block(s.body)
            self.loops.pop()
            self.go(after)
            self.b.position_at_end(after)
        elif kind == "items":
            self.module.wait(self.b, everywhere=True)
            self.in_items = True
            self.loop(s, self.module.work_item(self.b), self.size)
            self.in_items = False
            self.module.wait(self.b, everywhere=True)
        else:
            super().For(s)

    def If(self, s):
        if self.in_items or not any(map(_waits, ast.walk(s))):
            super().If(s)
            return
        condition = self.truth(s.test)  # the branches come one after another; see ``rejoin``
        for taken, statements in ((condition, s.body), (self.b.not_(condition), s.orelse)):
            here, after = [self.b.append_basic_block() for _ in range(2)]
            self.b.cbranch(taken, here, after)
            self.b.position_at_end(here)
            self.block(statements)
            self.go(after)
            self.b.position_at_end(after)
            self.module.rejoin(self.b)

    def assign(self, target, value):
        if self.in_items or type(target) is not ast.Subscript:
            super().assign(target, value)
            return
        self.module.wait(self.b, everywhere=True)
        first = self.b.icmp_unsigned("==", self.module.work_item(self.b), i64(0))
        with self.b.if_then(first):
            super().assign(target, value)
        self.module.wait(self.b, everywhere=True)


def _branches(node):
    """Whether values decide if the work-items of a group come to a place where they wait."""
    if isinstance(node, ast.For) and _waits(node):
        return False
    if isinstance(node, ast.If):
        return any(_waits(n) or isinstance(n, ast.Break) for n in ast.walk(node))
    return any(map(_branches, ast.iter_child_nodes(node)))


def _waits(statement):
    """Whether work-items wait for each other at a statement outside of ``items``."""
    if isinstance(statement, ast.For):
        return isinstance(statement.iter, ast.Call) and name_of(statement.iter.func) == "items"
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return any(isinstance(t, ast.Subscript) for t in targets)
