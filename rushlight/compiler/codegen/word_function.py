"""Python functions on machine words as LLVM functions: code that reads and makes Python's objects.

``Words.function`` translates a function's source. All variables are signed 64-bit integers, and an
address is one of them. Statements and expressions are those of ``scalar_function.py``, with the
arithmetic of integers (``+ - * & | << >>``) and ``in`` a tuple. Besides other such functions, a
function calls those of ``words.py``, and C functions by name (``External``). A ``Slot`` is a value
that this process alone knows, such as the address of a class: an entry of a table in memory.
"""

import ast
from types import FunctionType
from typing import Any

from llvmlite import ir

from rushlight.compiler.codegen.scalar_function import Body, Translation
from rushlight.compiler.codegen.scope import I64, POINTER, i64
from rushlight.compiler.codegen.words import (
    Comes,
    External,
    Puts,
    Slot,
    call,
    load,
    load8,
    load32,
    stack,
    store,
    store8,
    store32,
)

__all__ = ["NUMBERS", "Words"]


#: The types of numbers in memory.
NUMBERS = {
    "b1": ir.IntType(8), "u1": ir.IntType(8), "i4": ir.IntType(32), "i8": I64, "u8": I64,
    "f4": ir.FloatType(), "f8": ir.DoubleType(),
}  # fmt: skip
_BITS = {8: ir.IntType(8), 32: ir.IntType(32)}
_LOADS: dict[Any, Any] = {load: I64, load32: _BITS[32], load8: _BITS[8]}
_STORES: dict[Any, Any] = {store: I64, store32: _BITS[32], store8: _BITS[8]}


class Words(Translation):
    """The translated functions of one module; ``table`` is the symbol of the table of slots."""

    typ = I64

    def __init__(self, module, table):
        super().__init__(module, None)
        self.table = ir.GlobalVariable(module, I64, table)

    def export(self, name, python, constants=()):
        """Write ``python`` as the function ``name``; ``constants``: values of its globals."""
        scope = {**python.__globals__, **dict(constants)}
        source = FunctionType(python.__code__, scope, name)
        source.__qualname__ = f"{name}.body"
        found = self.function(source)
        b = ir.IRBuilder(ir.Function(self.module, found.function_type, name).append_basic_block())
        b.ret(b.call(found, b.function.args))

    def body(self, python, function, names):
        return _Body(self, python, function, names)

    def external(self, name, count):
        """The declaration of the C function ``name`` of ``count`` arguments."""
        found = self.module.globals.get(name)
        return found or ir.Function(self.module, ir.FunctionType(I64, [I64] * count), name)


class _Body(Body):
    """The body of one function; see ``scalar_function.Body``."""

    arithmetic = {
        ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and_", ast.BitOr: "or_",
        ast.LShift: "shl", ast.RShift: "lshr",
    }  # fmt: skip

    def number(self, value):
        return self.b.load(self.entry_of(value), typ=I64) if type(value) is Slot else i64(value)

    def entry_of(self, slot):
        return self.b.gep(self.translation.table, [i64(slot.number)], source_etype=I64)

    def truth(self, e):
        if isinstance(e, ast.Compare) and isinstance(e.ops[0], ast.In):
            items: Any = e.comparators[0]
            return self.chosen([ast.Compare(e.left, [ast.Eq()], [i]) for i in items.elts], False)
        return super().truth(e)

    def compare(self, sign, x, y):
        return self.b.icmp_signed(sign, x, y)

    def Expr(self, s):
        if isinstance(s.value, ast.Call):
            self.value(s.value)
        else:
            super().Expr(s)

    def UnaryOp(self, e):
        return self.b.neg(self.value(e.operand))

    def Compare(self, e):
        return self.b.zext(self.truth(e), I64)

    BoolOp = Compare

    def Call(self, e):
        function: Any = self.constant(e.func)
        if function is stack:
            return self.entry.ptrtoint(self.entry.alloca(I64, self.constant(e.args[0])), I64)
        args = [self.value(a) for a in e.args]
        if isinstance(function, External):
            return self.b.call(self.translation.external(function.name, len(args)), args)
        if function in _LOADS:
            found = self.b.load(self.address(args[0]), typ=_LOADS[function])
            return found if found.type == I64 else self.b.zext(found, I64)
        if function in _STORES:
            typ = _STORES[function]
            value = args[1] if typ is I64 else self.b.trunc(args[1], typ)
            return self.b.store(value, self.address(args[0]))
        if isinstance(function, Puts):
            return self.put(function, *map(self.address, args))
        if isinstance(function, Comes):
            return self.b.zext(self.comes(function, *map(self.address, args)), I64)
        if function is call:
            typ = ir.FunctionType(I64, [I64] * (len(args) - 1))
            return self.b.call(_Typed(self.address(args[0]), typ), args[1:])
        return self.translation.write(self.b, function, args)

    def put(self, puts, x, y):
        """Write the number at y to x, or add it; see ``Puts``."""
        typ = NUMBERS[puts.dtype]
        value = self.b.load(y, typ=typ)
        if puts.adds:
            add = self.b.fadd if puts.dtype[0] == "f" else self.b.add
            value = add(self.b.load(x, typ=typ), value)
        self.b.store(value, x)
        return i64(0)

    def comes(self, before, x, y):
        """A bit: whether the number at x comes before the one at y; see ``Comes``."""
        x, y = [self.b.load(a, typ=NUMBERS[before.dtype]) for a in (x, y)]
        if before.dtype[0] == "i":
            return self.b.icmp_signed(before.sign, x, y)
        first = self.b.fcmp_ordered(before.sign, x, y)
        last = self.b.and_(self.b.fcmp_ordered("ord", x, x), self.b.fcmp_unordered("uno", y, y))
        return self.b.or_(first, last)

    def address(self, word):
        return self.b.inttoptr(word, POINTER)


class _Typed:
    """An address as llvmlite's ``call`` expects it: with the type of the function."""

    def __init__(self, value, typ):
        self.value, self.function_type = value, typ
        self.type = value.type

    def get_reference(self):
        return self.value.get_reference()
