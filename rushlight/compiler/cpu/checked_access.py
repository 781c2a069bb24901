"""Loads and stores that check their address before they use it (``RUSHLIGHT_CHECK=bounds``).

``instrument`` rewrites a finished module. Each address goes through a function that compares it
with the list of the run's memories. Addresses on the stack, in the module's constants and in the
kernel's own table of arguments are not checked. The first wrong address is noted for
``compiler/run/bounds_report.py``. Every wrong address is replaced by the address of an unused page,
so that the kernel runs to its end.
"""

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, POINTER, i64
from rushlight.compiler.codegen.value import intrinsic

__all__ = ["instrument"]

_NAME = "bounds.checked"
_BYTE = ir.IntType(8)
#: A check is told the kind of access: 0 for a load, 1 for a store, and this more if the address may
#: also lie on the stack.
_STACK = 2

# Only the first failed check is noted, even if several threads fail.
_CHECKED = """
define internal ptr @bounds.checked(ptr %p, i64 %size, ptr %name, i64 %kind) noinline {
entry:
  %begin = ptrtoint ptr %p to i64
  %end = add i64 %begin, %size
  %list = load ptr, ptr getelementptr (i64, ptr @rushlight_bounds, i64 5)
  %count = load i64, ptr getelementptr (i64, ptr @rushlight_bounds, i64 6)
  %none = icmp eq i64 %size, 0
  %may = icmp uge i64 %kind, 2
  %here = call ptr @llvm.frameaddress.p0(i32 0)
  %stack = ptrtoint ptr %here to i64
  %deep = sub i64 %begin, %stack
  %near = icmp ult i64 %deep, 65536
  %allowed = and i1 %may, %near
  %free = or i1 %none, %allowed
  br i1 %free, label %right, label %next
next:
  %i = phi i64 [ 0, %entry ], [ %after, %step ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %compare, label %wrong
compare:
  %first = shl i64 %i, 1
  %second = or i64 %first, 1
  %low.at = getelementptr i64, ptr %list, i64 %first
  %high.at = getelementptr i64, ptr %list, i64 %second
  %low = load i64, ptr %low.at
  %high = load i64, ptr %high.at
  %above = icmp uge i64 %begin, %low
  %below = icmp ule i64 %end, %high
  %inside = and i1 %above, %below
  br i1 %inside, label %right, label %step
step:
  %after = add i64 %i, 1
  br label %next
wrong:
  %pair = cmpxchg ptr @rushlight_bounds, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %note, label %nowhere
note:
  store i64 %begin, ptr getelementptr (i64, ptr @rushlight_bounds, i64 1)
  store i64 %size, ptr getelementptr (i64, ptr @rushlight_bounds, i64 2)
  store ptr %name, ptr getelementptr (i64, ptr @rushlight_bounds, i64 3)
  store i64 %kind, ptr getelementptr (i64, ptr @rushlight_bounds, i64 4)
  br label %nowhere
nowhere:
  ret ptr getelementptr (i8, ptr @bounds.nowhere, i64 4096)
right:
  ret ptr %p
}
declare ptr @llvm.frameaddress.p0(i32)
@rushlight_bounds = external global i64
@bounds.nowhere = internal global [8192 x i8] zeroinitializer, align 4096
"""


def instrument(module, but=()):
    """The text of ``module`` with checks in all its functions except those named in ``but``."""
    typ = ir.FunctionType(POINTER, [POINTER, I64, POINTER, I64])
    checked = ir.Function(module, typ, _NAME)
    for function in list(module.functions):
        if function.blocks and function.name not in but:
            _Checks(module, function, checked).write()
    declared = next(line for line in str(checked).splitlines() if line.startswith("declare"))
    return str(module).replace(declared, _CHECKED)


class _Checks:
    """Writes the checks of one function."""

    def __init__(self, module, function, checked):
        self.module, self.function, self.checked = module, function, checked
        text = bytearray(function.name.encode() + b"\0")
        typ = ir.ArrayType(_BYTE, len(text))
        self.name = ir.GlobalVariable(module, typ, f"bounds.name.{function.name}")
        self.name.initializer = ir.Constant(typ, text)
        self.name.global_constant, self.name.linkage = True, "internal"

    def write(self):
        for block in self.function.blocks:
            for instruction in list(block.instructions):
                self.b = ir.IRBuilder(block)
                self.b.position_before(instruction)
                self._one(instruction)

    def _one(self, instruction):
        if isinstance(instruction, ir.LoadInstr):
            self._replace(instruction, 0, _size(instruction.type), False)
        elif isinstance(instruction, ir.StoreInstr):
            self._replace(instruction, 1, _size(instruction.operands[0].type), True)
        elif isinstance(instruction, ir.CallInstr):
            name = getattr(instruction.callee, "name", "")
            if name.startswith("llvm.masked.load"):
                self._masked(instruction)
            elif name.startswith("llvm.masked.gather"):
                self._lanes(instruction, 0, instruction.type, False)
            elif name.startswith("llvm.masked.scatter"):
                self._lanes(instruction, 1, instruction.args[0].type, True)

    def _call(self, pointer, size, stores):
        size = size if not isinstance(size, int) else i64(size)
        kind = stores + _STACK * (True in _kinds(self.module, self.function, pointer))
        return self.b.call(self.checked, [pointer, size, self.name, i64(kind)])

    def _replace(self, instruction, k, size, stores):
        pointer = instruction.operands[k]
        if not self._ours(pointer):
            operands = list(instruction.operands)
            operands[k] = self._call(pointer, size, stores)
            instruction.operands = operands

    def _masked(self, call):
        """Check a masked load: the bytes from the first active lane to the last."""
        b, (pointer, _, mask, _) = self.b, call.args
        if self._ours(pointer):
            return
        lanes, size = call.type.count, _size(call.type.element)
        bits = b.bitcast(mask, ir.IntType(lanes))
        bits = b.zext(bits, I64) if lanes < 64 else bits
        found = ir.IntType(1)(0)
        first = intrinsic(b, "llvm.cttz.i64", I64, [bits, found])
        last = b.sub(i64(64), intrinsic(b, "llvm.ctlz.i64", I64, [bits, found]))
        none = b.icmp_unsigned("==", bits, i64(0))
        first, last = b.select(none, i64(0), first), b.select(none, i64(0), last)
        before = b.mul(first, i64(size))
        moved = b.gep(pointer, [before], source_etype=_BYTE)
        moved = self._call(moved, b.sub(b.mul(last, i64(size)), before), False)
        moved = b.gep(moved, [b.neg(before)], source_etype=_BYTE)
        call.operands = [call.callee, moved, *call.args[1:]]

    def _lanes(self, call, k, typ, stores):
        """Check a gather or scatter: the address of each active lane."""
        b, pointers, mask = self.b, call.args[k], call.args[k + 2]
        if self._ours(pointers):
            return
        i32 = ir.IntType(32)
        for i in range(typ.count):
            used = b.extract_element(mask, i32(i))
            size = b.select(used, i64(_size(typ.element)), i64(0))
            lane = b.extract_element(pointers, i32(i))
            lane.type = POINTER
            pointers = b.insert_element(pointers, self._call(lane, size, stores), i32(i))
            pointers.type = ir.VectorType(POINTER, typ.count)
        args = list(call.args)
        args[k] = pointers
        call.operands = [call.callee, *args]

    def _ours(self, pointer):
        """Whether an address lies on the stack, among constants or in the table of arguments."""
        return _kinds(self.module, self.function, pointer) == {True}


def _kinds(module, function, pointer):
    """{True} if the address is in the kernel's own memory, else {False}; both if callers differ.

    The kernel's own memory is the stack, the constants and the table of arguments.
    """
    while isinstance(pointer, ir.GEPInstr | ir.CastInstr):
        pointer = pointer.operands[0]
    if isinstance(pointer, ir.AllocaInstr | ir.GlobalVariable):
        return {True}
    if pointer not in function.args:
        return {False}
    k = function.args.index(pointer)
    if function.linkage != "internal":
        return {k == 0}
    return set().union(*[_kinds(module, f, call.args[k]) for f, call in _calls(module, function)])


def _calls(module, function):
    """A list of (calling function, call), for each call of ``function`` in the module."""
    return [
        (caller, i)
        for caller in module.functions
        for block in caller.blocks
        for i in block.instructions
        if isinstance(i, ir.CallInstr) and i.callee is function
    ]


def _size(typ):
    """The number of bytes of a value in memory."""
    if isinstance(typ, ir.VectorType):
        return -(-typ.count * _bits(typ.element) // 8)
    return -(-_bits(typ) // 8)


def _bits(typ):
    if isinstance(typ, ir.IntType):
        return typ.width
    return {ir.HalfType: 16, ir.FloatType: 32, ir.DoubleType: 64}.get(type(typ), 64)
