"""An elementwise operation in a kernel: its forward, run on Values.

``elementwise`` is to a kernel what ``ops.core.compute`` is to arrays: the same promotion, the
same forward, the same rounding of half precision.
"""

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.namespace import Namespace
from rushlight.compiler.codegen.value import FLOAT, HALF, Unsupported, Value, computed, constant
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.machine import Price
from rushlight.errors import DtypeError
from rushlight.ops.core.promotion import as_in_half

__all__ = ["elementwise", "price"]


def elementwise(op, ins, values, params, out_dtype):
    """The result of ``op`` on one element (or vector of elements) of each input.

    ``ins`` are the equation's inputs: abstract values, numbers, None; ``values`` are the same with
    Values in place of abstract values. The forward may add basic blocks; the builder then stands
    in the last of them.
    """
    b = next(v.b for v in (*values, *params.values()) if isinstance(v, Value))
    common = _common_dtype(op, ins)
    compute = computed(common)
    if common in HALF:
        values = [
            _rounded(op, i, x, v, common) for i, (x, v) in enumerate(zip(ins, values, strict=True))
        ]
    values = [_cast(v, compute) for v in values]
    params = {k: _number(v, compute) for k, v in params.items()}
    found = op.forward(Namespace(b), *values, **params)
    if not isinstance(found, Value):
        found = constant(b, found, np.asarray(found).dtype)
    return found.astype(out_dtype)


def _common_dtype(op, ins):
    """The dtype that ``op`` computes in, by its own promotion rule."""
    return op.dtype([_stand_in(x) for x in ins]).numpy


def _rounded(op, i, x, value, half):
    """Operand ``i`` rounded to half precision, unless the operation takes it exactly.

    See ``Op.exact``.
    """
    if op.is_exact(i, x):
        return value
    return value.astype(half) if isinstance(value, Value) else as_in_half(value, half)


def _stand_in(x):
    return np.ones((1,) * min(len(x.shape), 1), x.dtype) if isinstance(x, Abstract) else x


def _cast(x, dtype):
    """An operand in ``dtype``; a Python float stays a Python float, as it does in eager mode."""
    if isinstance(x, Value):
        return x.astype(dtype)
    if x is None or (isinstance(x, float) and not isinstance(x, np.generic)):
        return x
    if isinstance(x, np.generic) or dtype.kind in "iub":
        return np.asarray(x).astype(dtype)[()]
    return x


def _number(x, dtype):
    """A parameter. A float that is known only when the kernel runs is cast to ``dtype``.

    A Python number would take this dtype, too.
    """
    weak = isinstance(x, Value) and dtype.kind == "f" == x.dtype.kind
    return x.astype(dtype) if weak else x


# What can be emitted, and what it costs -----------------------------------------------------


_prices: dict = {}  # (operation, kinds of operands) → Price, or None if it can't be emitted
_LANES = 4
_ARITHMETIC = {"fadd", "fsub", "fmul", "fdiv", "frem"}
_DIVIDING = {"fdiv", "frem", "sdiv", "srem", "udiv", "urem"}


def price(op, ins, params):
    """The Price of ``op`` on these inputs; None if it can't be emitted.

    The forward is run once on stand-ins for the inputs, and the instructions are counted.
    """
    key = op.name, tuple(map(_kind, ins)), tuple([(k, _kind(v)) for k, v in params.items()])
    if key not in _prices:
        _prices[key] = _try(op, ins, params)
    return _prices[key]


def _kind(x):
    return (x.dtype, x.shape == ()) if isinstance(x, Abstract) else (type(x), repr(x))


def _try(op, ins, params):
    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "trial")
    b = ir.IRBuilder(function.append_basic_block())
    stand = lambda x: constant(b, 1, x.dtype, _LANES) if isinstance(x, Abstract) else x
    try:
        elementwise(op, ins, [stand(x) for x in ins], {k: stand(v) for k, v in params.items()},
                    FLOAT)  # fmt: skip
    except (Unsupported, DtypeError, StopIteration):
        return None
    names = [_name(i) for block in function.blocks for i in block.instructions]
    roots, fused = names.count("llvm.sqrt"), names.count("llvm.fma")
    return Price(
        len(names), sum([n in _DIVIDING for n in names]) + roots,
        sum([n in _ARITHMETIC for n in names]) + roots + 2 * fused,
    )  # fmt: skip


def _name(instruction):
    """The name of an instruction; for a call, the name of the function without its type."""
    called = getattr(instruction, "callee", None)
    return instruction.opname if called is None else called.name.rpartition(".")[0]
