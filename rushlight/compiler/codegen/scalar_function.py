"""A Python function of floats as an LLVM function, for loops whose length depends on the numbers.

``Translation.function`` translates a function's source. All variables are float64. Statements are
assignments to names, ``if``, ``while``, ``for`` over a constant tuple (which is unrolled),
``break``, ``continue`` and ``return``. Expressions are arithmetic, comparisons, ``and``, ``or``,
``not``, ``x if c else y``, constants of the function's module, and calls of ``abs``, of functions
of ``math`` and of other such functions. Where Python would raise, machine code gives inf or nan.

A parameter named ``stream`` is an object of the class ``stream``: an array of its
``__slots__`` in memory. Its methods are translated, too, unless ``natives`` writes them.
"""

import ast
import inspect
import math
import textwrap
from typing import Any

from llvmlite import ir

from rushlight.compiler.codegen.scope import POINTER
from rushlight.compiler.codegen.value import intrinsic

__all__ = ["Body", "Translation", "name_of"]

_DOUBLE = ir.DoubleType()
_BIT = ir.IntType(1)
_COMPARISONS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
#: Functions that are instructions: exact, or rounded correctly.
_INSTRUCTIONS: dict[Any, str] = {
    abs: "llvm.fabs", math.sqrt: "llvm.sqrt", math.floor: "llvm.floor", math.ceil: "llvm.ceil",
}  # fmt: skip


def name_of(e):
    """The variable that the expression ``e`` names, if it names one."""
    return e.id if isinstance(e, ast.Name) else None


def _refuse(node, part):
    """Raise NotImplementedError if ``node`` has the ``part``, which has no translation."""
    if part:
        raise NotImplementedError(ast.unparse(node))


class Translation:
    """The translated functions of one module.

    Args:
        module: The LLVM module that gets the functions.
        call: ``call(b, name, args)`` writes a call of the function ``name`` of ``math``.
        stream: The class of parameters that are named ``stream``, or None.
        natives: The names of methods of ``stream`` → ``write(b, address)``.
    """

    typ = _DOUBLE  # of all variables

    def __init__(self, module, call, stream=None, natives=()):
        self.module, self.call, self.stream = module, call, stream
        self.natives = dict(natives)

    def function(self, python):
        """The LLVM function of the Python function ``python``."""
        name = f"{python.__module__}.{python.__qualname__}"
        found = self.module.globals.get(name)
        if found is None:
            tree: Any = ast.parse(textwrap.dedent(inspect.getsource(python))).body[0]
            names = [a.arg for a in tree.args.args]
            types = [POINTER if n in ("self", "stream") else self.typ for n in names]
            found = ir.Function(self.module, ir.FunctionType(self.typ, types), name)
            found.linkage = "internal"
            found.attributes.add("alwaysinline")
            self.body(python, found, names).write(tree.body)
        return found

    def body(self, python, function, names):
        return Body(self, python, function, names)

    def write(self, b, python, args):
        """Write a call of ``python``, and return its result."""
        return b.call(self.function(python), args)


class Body:
    """The body of one function while it is translated."""

    arithmetic = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}

    def __init__(self, translation, python, function, names):
        self.translation, self.typ = translation, translation.typ
        self.globals = python.__globals__
        self.entry = ir.IRBuilder(function.append_basic_block("entry"))
        self.b = ir.IRBuilder(function.append_basic_block("body"))
        self.first = self.b.block
        self.loops: list = []  # (where ``continue`` goes, where ``break`` goes)
        self.streams = {}
        self.variables: dict = {}
        for name, arg in zip(names, function.args, strict=True):
            if arg.type is POINTER or arg.type == POINTER:
                self.streams[name] = arg
            else:
                self.entry.store(arg, self.variable(name))

    def variable(self, name):
        if name not in self.variables:
            self.variables[name] = self.entry.alloca(self.typ, name=name)
        return self.variables[name]

    def write(self, statements):
        self.block(statements)
        if not self.b.block.is_terminated:
            self.b.unreachable()
        self.entry.branch(self.first)

    # Statements ---------------------------------------------------------------------------

    def block(self, statements):
        for s in statements:
            if self.b.block.is_terminated:
                return
            getattr(self, type(s).__name__)(s)

    def Expr(self, s):  # a docstring
        if not isinstance(s.value, ast.Constant):
            raise NotImplementedError(ast.unparse(s))

    def Return(self, s):
        self.b.ret(self.value(s.value))

    def Assign(self, s):
        (target,) = s.targets
        if isinstance(target, ast.Tuple):
            found = [self.value(v) for v in s.value.elts]
            for t, v in zip(target.elts, found, strict=True):
                self.assign(t, v)
        else:
            self.assign(target, self.value(s.value))

    def AugAssign(self, s):
        self.assign(s.target, self.value(ast.BinOp(s.target, s.op, s.value)))

    def assign(self, target, value):
        self.b.store(value, self.place(target))

    def number(self, value):
        return ir.Constant(_DOUBLE, float(value))

    def place(self, target):
        if isinstance(target, ast.Name):
            return self.variable(target.id)
        index = self.translation.stream.__slots__.index(target.attr)
        address = self.streams[target.value.id]
        return self.b.gep(address, [ir.IntType(64)(index)], source_etype=_DOUBLE)

    def If(self, s):
        condition = self.truth(s.test)
        yes, no, after = [self.b.append_basic_block() for _ in range(3)]
        self.b.cbranch(condition, yes, no)
        for block, statements in ((yes, s.body), (no, s.orelse)):
            self.b.position_at_end(block)
            self.block(statements)
            self.go(after)
        self.b.position_at_end(after)

    def While(self, s):
        _refuse(s, s.orelse)
        head, body, after = [self.b.append_basic_block() for _ in range(3)]
        self.b.branch(head)
        self.b.position_at_end(head)
        self.b.cbranch(self.truth(s.test), body, after)
        self.b.position_at_end(body)
        self.loops.append((head, after))
        self.block(s.body)
        self.loops.pop()
        self.go(head)
        self.b.position_at_end(after)

    def For(self, s):
        _refuse(s, s.orelse)
        after = self.b.append_basic_block()
        for item in self.constant(s.iter):
            following = self.b.append_basic_block()
            self.assign(s.target, self.number(item))
            self.loops.append((following, after))
            self.block(s.body)
            self.loops.pop()
            self.go(following)
            self.b.position_at_end(following)
        self.go(after)
        self.b.position_at_end(after)

    def Break(self, s):
        self.b.branch(self.loops[-1][1])

    def Continue(self, s):
        self.b.branch(self.loops[-1][0])

    def go(self, block):
        if not self.b.block.is_terminated:
            self.b.branch(block)

    # Expressions --------------------------------------------------------------------------

    def truth(self, e):
        """The expression ``e`` as a bit."""
        if isinstance(e, ast.BoolOp):
            return self.chosen(e.values, isinstance(e.op, ast.And))
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.Not):
            return self.b.not_(self.truth(e.operand))
        if isinstance(e, ast.Compare):
            found = None
            left = self.value(e.left)
            for op, right in zip(e.ops, e.comparators, strict=True):
                right = self.value(right)
                found_here = self.compare(_COMPARISONS[type(op)], left, right)
                found = found_here if found is None else self.b.and_(found, found_here)
                left = right
            return found
        if isinstance(e, ast.Constant):
            return _BIT(bool(e.value))
        return self.compare("!=", self.value(e), self.number(0))

    def compare(self, sign, x, y):
        return (self.b.fcmp_unordered if sign == "!=" else self.b.fcmp_ordered)(sign, x, y)

    def chosen(self, parts, all_of):
        """``and`` or ``or`` of ``parts``: later ones are computed only if earlier ones ask."""
        after = self.b.append_basic_block()
        arrived = []
        for part in parts[:-1]:
            found = self.truth(part)
            arrived.append((_BIT(not all_of), self.b.block))
            following = self.b.append_basic_block()
            self.b.cbranch(found, *((following, after) if all_of else (after, following)))
            self.b.position_at_end(following)
        arrived.append((self.truth(parts[-1]), self.b.block))
        self.b.branch(after)
        return self.joined(after, _BIT, arrived)

    def joined(self, after, typ, arrived):
        self.b.position_at_end(after)
        phi = self.b.phi(typ)
        for value, block in arrived:
            phi.add_incoming(value, block)
        return phi

    def value(self, e):
        """The expression ``e`` as a float64."""
        return getattr(self, type(e).__name__)(e)

    def Constant(self, e):
        return self.number(e.value)

    def Name(self, e):
        if e.id in self.variables:
            return self.b.load(self.variables[e.id], typ=self.typ)
        return self.number(self.constant(e))

    def Attribute(self, e):
        if name_of(e.value) in self.streams:
            return self.b.load(self.place(e), typ=_DOUBLE)
        return self.number(self.constant(e))

    def constant(self, e):
        """The value of a constant of the function's module."""
        if isinstance(e, ast.Attribute):
            return getattr(self.constant(e.value), e.attr)
        return abs if e.id == "abs" else self.globals[e.id]

    def UnaryOp(self, e):
        if not isinstance(e.op, ast.USub):
            raise NotImplementedError(ast.unparse(e))
        return self.b.fneg(self.value(e.operand))

    def BinOp(self, e):
        x, y = self.value(e.left), self.value(e.right)
        if isinstance(e.op, ast.Pow):
            return self.translation.call(self.b, "pow", [x, y])
        return getattr(self.b, self.arithmetic[type(e.op)])(x, y)

    def IfExp(self, e):
        condition = self.truth(e.test)
        yes, no, after = [self.b.append_basic_block() for _ in range(3)]
        self.b.cbranch(condition, yes, no)
        arrived = []
        for block, part in ((yes, e.body), (no, e.orelse)):
            self.b.position_at_end(block)
            arrived.append((self.value(part), self.b.block))
            self.b.branch(after)
        return self.joined(after, self.typ, arrived)

    def Call(self, e):
        _refuse(e, e.keywords)
        stream = self.streams.get(name_of(getattr(e.func, "value", None)))
        if stream is not None:
            return self.method(stream, e.func.attr)
        args = [self.streams.get(name_of(a)) or self.value(a) for a in e.args]
        function = self.constant(e.func)
        if function in _INSTRUCTIONS:
            return intrinsic(self.b, f"{_INSTRUCTIONS[function]}.f64", _DOUBLE, args)
        name = getattr(function, "__name__", "")
        if function is getattr(math, name, None):
            return self.translation.call(self.b, name, args)
        return self.translation.write(self.b, function, args)

    def method(self, stream, name):
        native = self.translation.natives.get(name)
        if native is not None:
            return native(self.b, stream)
        return self.translation.write(self.b, getattr(self.translation.stream, name), [stream])
