"""A Python function of flat arrays as an LLVM function, for loops that NumPy has no function for.

``write`` translates a function's source. Its parameters are arrays of one dim, ints and floats. A
variable has the dtype of its first value; Python's numbers adapt to the other operand, as in NumPy.
Statements and expressions are those of ``scalar_function.py``, and besides them ``for`` over a
``range``, elements ``x[i]``, ``//`` and ``%`` of ints that are not negative, ``min``, ``max``,
``abs``, ``float``, functions of ``operator``, and those of ``math`` that kernels have
(``codegen/math/``). Calls of other such functions are written in place; they may take arrays and
functions, and ``return`` stands at their end only. Indices are not checked.
"""

import ast
import builtins
import inspect
import math
import operator
import textwrap
from typing import Any

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.namespace import Namespace
from rushlight.compiler.codegen.scalar_function import Body, name_of
from rushlight.compiler.codegen.scope import I64, POINTER, i64
from rushlight.compiler.codegen.value import (
    BOOL,
    FLOAT,
    HALF,
    INT,
    Value,
    aligned,
    common,
    constant,
    lift,
    select,
)
from rushlight.compiler.codegen.value import ir_type as register_type

__all__ = ["ArrayBody", "parsed", "write"]

_DOUBLE = np.dtype(np.float64)
_OPERATORS: dict = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}  # fmt: skip
_WHOLE = {ast.FloorDiv: "sdiv", ast.Mod: "srem"}
_SIGNS: dict = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
_MATH = {
    math.exp: "exp",
    math.log: "log",
    math.sqrt: "sqrt",
    math.floor: "floor",
    math.pow: "power",
}


def write(module, name, python, kinds):
    """Write ``python`` as ``void name(ptr table)``.

    ``kinds`` has for each parameter the dtype of an array, or ``int`` or ``float``. The table has
    an entry of 8 bytes for each parameter: the number, or the address of the array's first element.
    No array that is written may overlap another one.
    """
    types = [I64 if k is int else ir.DoubleType() if k is float else POINTER for k in kinds]
    inner = ir.Function(module, ir.FunctionType(ir.VoidType(), types), f"{name}_of_arrays")
    inner.linkage = "internal"
    outer = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
    b = ir.IRBuilder(outer.append_basic_block())
    entry = lambda k: b.gep(outer.args[0], [i64(k)], source_etype=I64)
    b.call(inner, [b.load(entry(k), typ=t) for k, t in enumerate(types)])
    b.ret_void()
    for argument in inner.args:
        if argument.type is POINTER:
            argument.add_attribute("noalias")
    body = ArrayBody(ir.IRBuilder(inner.append_basic_block("entry")),
                     ir.IRBuilder(inner.append_basic_block("body")), python)  # fmt: skip
    first = body.b.block
    tree = parsed(python)
    for parameter, argument, kind in zip(tree.args.args, inner.args, kinds, strict=True):
        if kind is int or kind is float:
            value = Value(body.b, argument, INT if kind is int else _DOUBLE)
            body.assign(ast.Name(parameter.arg), value)
        else:
            body.arrays[parameter.arg] = argument, kind
    body.block(tree.body)
    body.b.ret_void()
    body.entry.branch(first)


def parsed(python) -> Any:
    """The syntax tree of a function."""
    return ast.parse(textwrap.dedent(inspect.getsource(python))).body[0]


class ArrayBody(Body):
    """The body of one function while it is translated; see ``scalar_function.Body``."""

    def __init__(self, entry, b, python):
        self.entry, self.b = entry, b
        self.globals = python.__globals__
        self.loops: list = []
        self.variables: dict = {}  # name → (its place on the stack, dtype)
        self.numbers: dict = {}  # name → the constant that it stands for
        self.arrays: dict = {}  # name → (address, dtype)
        self.result: Any = None

    # Statements ---------------------------------------------------------------------------

    def assign(self, target: Any, value):
        if type(target) is ast.Subscript:
            dtype = self.arrays[name_of(target.value)][1]
            store(self.b, self.converted(value, dtype), self.element(target), dtype)
            return
        if target.id not in self.variables:
            dtype = self.lifted(value).dtype
            place = self.entry.alloca(register_type(dtype), name=target.id)
            self.variables[target.id] = place, dtype
        place, dtype = self.variables[target.id]
        self.b.store(self.converted(value, dtype).v, place)

    def like(self, other):
        """This body, of a function that ``other`` calls, with what both have in common."""
        return self

    def lifted(self, value):
        """``value`` as a Value; Python's numbers get a dtype."""
        return lift(self.b, value)

    def converted(self, value, dtype):
        value = value if isinstance(value, Value) else constant(self.b, value, dtype)
        if dtype in HALF and value.dtype.kind == "f":
            return value.astype(FLOAT)  # the store rounds
        whole = dtype.kind in "iub" and value.dtype.kind in "iub"
        if not whole and not np.can_cast(value.dtype, dtype, "same_kind"):
            raise NotImplementedError(f"{value.dtype} to {dtype}")
        return value.astype(dtype)

    def Expr(self, s):
        if isinstance(s.value, ast.Call):
            self.value(s.value)
        else:
            super().Expr(s)

    def Return(self, s):
        self.result = self.value(s.value)

    def For(self, s):
        """A loop over ``range(end)``, ``range(begin, end)`` or ``range(begin, end, ±step)``.

        One over a constant tuple is unrolled.
        """
        if isinstance(s.iter, ast.Call):
            self.loop(s)
        else:  # over a constant tuple
            super().For(s)

    def loop(self, s, first=None, steps=1):
        """Write the loop ``s`` over a range. ``first``: it begins so many steps later.

        ``steps``: it goes on by so many steps at a time.
        """
        given = [self.integer(a) for a in s.iter.args]
        step = given.pop() if len(given) == 3 else i64(1)
        begin, end = given if len(given) == 2 else (i64(0), *given)
        if first is not None:
            begin, step = self.b.add(begin, self.b.mul(first, step)), i64(step.constant * steps)
        i = self.entry.alloca(I64)
        self.b.store(begin, i)
        head, body, following, after = [self.b.append_basic_block() for _ in range(4)]
        self.b.branch(head)
        self.b.position_at_end(head)
        sign = ">" if step.constant < 0 else "<"
        self.b.cbranch(self.b.icmp_signed(sign, self.b.load(i, typ=I64), end), body, after)
        self.b.position_at_end(body)
        self.assign(s.target, Value(self.b, self.b.load(i, typ=I64), INT))
        self.loops.append((following, after))
        self.block(s.body)
        self.loops.pop()
        self.go(following)
        self.b.position_at_end(following)
        self.b.store(self.b.add(self.b.load(i, typ=I64), step), i)
        self.b.branch(head)
        self.b.position_at_end(after)

    # Expressions --------------------------------------------------------------------------

    def integer(self, e):
        return self.converted(self.value(e), INT).v

    def element(self, e):
        """The address of the element ``e``."""
        array, dtype = self.arrays[e.value.id]
        place = self.b.mul(self.integer(e.slice), i64(dtype.itemsize))
        return self.b.gep(array, [place], source_etype=ir.IntType(8))

    def Subscript(self, e):
        dtype = self.arrays[e.value.id][1]
        found = load(self.b, self.element(e), dtype)
        return found.astype(INT) if found.dtype.kind in "iu" else found

    def number(self, value):
        return value

    def compare(self, sign, x, y):
        return lift(self.b, _SIGNS[sign](x, y)).astype(BOOL).v

    def Compare(self, e):
        return Value(self.b, self.truth(e), BOOL)

    BoolOp = Compare

    def Name(self, e):
        if e.id in self.variables:
            place, dtype = self.variables[e.id]
            return Value(self.b, self.b.load(place, typ=register_type(dtype)), dtype)
        return self.numbers[e.id] if e.id in self.numbers else self.constant(e)

    def Attribute(self, e):
        return self.constant(e)

    def UnaryOp(self, e):
        if isinstance(e.op, ast.Not):
            return self.Compare(e)
        return -self.value(e.operand)

    def BinOp(self, e):
        x, y = self.value(e.left), self.value(e.right)
        kind = type(e.op)
        if kind in _WHOLE and (isinstance(x, Value) or isinstance(y, Value)):
            x, y = [self.converted(v, INT).v for v in (x, y)]
            return Value(self.b, getattr(self.b, _WHOLE[kind])(x, y), INT)
        return _OPERATORS[kind](x, y)

    def IfExp(self, e):
        condition = self.truth(e.test)
        yes, no, after = [self.b.append_basic_block() for _ in range(3)]
        self.b.cbranch(condition, yes, no)
        found = []
        for block, part in ((yes, e.body), (no, e.orelse)):
            self.b.position_at_end(block)
            found.append((self.value(part), self.b.block))
        both = [v for v, _ in found]
        dtype = common(
            *(both if any(isinstance(v, Value) for v in both) else map(self.lifted, both))
        )
        arrived = []
        for value, block in found:
            self.b.position_at_end(block)
            arrived.append((self.converted(value, dtype).v, block))
            self.b.branch(after)
        return Value(self.b, self.joined(after, register_type(dtype), arrived), dtype)

    def Call(self, e):
        function: Any = self.constant(e.func)
        if inspect.isfunction(function):
            return self.inlined(function, e.args)
        given = [self.value(a) for a in e.args]
        if function.__module__ == operator.add.__module__:
            return function(*given)
        if function in (min, max):
            x, y = aligned(self.b, given, common(*given))
            return select(y < x if function is min else y > x, y, x)
        if function is float:
            return self.converted(given[0], self.lifted(1.0).dtype)
        if function is int:
            return given[0].astype(INT)
        if function is abs:
            return abs(given[0])
        return getattr(Namespace(self.b), _MATH[function])(*given)

    def constant(self, e):
        if isinstance(e, ast.Attribute):
            return getattr(self.constant(e.value), e.attr)
        return self.globals[e.id] if e.id in self.globals else getattr(builtins, e.id)

    def known(self, e):
        """The constant or function that the name ``e`` stands for; None for other expressions."""
        first: Any = e.value if isinstance(e, ast.Attribute) else e
        is_name = isinstance(first, ast.Name) and first.id not in {*self.variables, *self.numbers}
        return self.constant(e) if is_name else None

    def inlined(self, python, args):
        """The result of another function, whose statements are written here."""
        body, tree = type(self)(self.entry, self.b, python).like(self), parsed(python)
        for parameter, a in zip(tree.args.args, args, strict=True):
            name = a.id if isinstance(a, ast.Name) else None
            if name in self.arrays:
                body.arrays[parameter.arg] = self.arrays[name]
            elif callable(function := self.known(a)):
                body.globals = {**body.globals, parameter.arg: function}
            else:
                body.assign(ast.Name(parameter.arg), self.value(a))
        body.block(tree.body)
        return body.result
