"""Angles too large for float arithmetic: x modulo π/2 with integers (Payne and Hanek).

Write x = X · 2^e with an integer X. Only 192 bits of 2/π matter, because higher bits contribute
multiples of 4 quarter turns, and lower bits are too small. X times these 192 bits, modulo 2^192, is
the position in the circle. Such angles are rare, so one function handles all lanes, one after the
other.
"""

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.control import repeat_while
from rushlight.compiler.codegen.math.coefficients import HALF_PI, TWO_OVER_PI
from rushlight.compiler.codegen.math.floats import fma
from rushlight.compiler.codegen.memory import load, stack, store
from rushlight.compiler.codegen.scope import internal_function
from rushlight.compiler.codegen.value import INT, Value, constant, ir_type, select

__all__ = ["reduce_large"]

DOUBLE = np.dtype(np.float64)
_RESULTS = (INT, DOUBLE, DOUBLE)
_I64, _I128 = ir.IntType(64), ir.IntType(128)
_BITS = 1168  # the known bits of 2/π: enough for the largest double


def reduce_large(x):
    """(q, r, rest): x = q · π/2 + r + rest modulo 2π; r and rest are float64."""
    x = x.astype(DOUBLE)
    b, lanes = x.b, x.lanes
    places = [stack(b, ir_type(dtype, lanes)) for dtype in (DOUBLE, *_RESULTS)]
    store(b, x, places[0], DOUBLE)
    b.call(_function(b.module), [*places, _I64(lanes)])
    return [load(b, p, d, lanes) for p, d in zip(places[1:], _RESULTS, strict=True)]


def _function(module):
    """``void reduce_large(x, q, r, rest, n)`` for n elements in memory."""
    function, b = internal_function(module, "reduce_large", [ir.PointerType()] * 4 + [_I64])
    if b is None:
        return function
    *places, n = function.args

    def step(i):
        at = [b.gep(p, [i.v], source_etype=_I64) for p in places]
        found = _reduced(b, load(b, at[0], DOUBLE))
        for value, place in zip(found, at[1:], strict=True):
            store(b, value, place, value.dtype)
        return (i + 1,)

    repeat_while(lambda i: i < Value(b, n, INT), step, (constant(b, 0, INT),))
    b.ret_void()
    return function


def _table(module):
    """The bits of 2/π in memory, the lowest byte first, with zeros above."""
    name = "two_over_pi"
    if name not in module.globals:
        content = bytearray(TWO_OVER_PI.to_bytes(_BITS // 8 + 24, "little"))
        typ = ir.ArrayType(ir.IntType(8), len(content))
        table = ir.GlobalVariable(module, typ, name)
        table.linkage, table.global_constant = "internal", True
        table.initializer = ir.Constant(typ, content)
    return module.globals[name]


def _reduced(b, x):
    bits = x.bits(INT)
    exponent = ((bits >> 52) & 0x7FF) - 1075
    significand = (bits & 0xFFFFFFFFFFFFF) | (1 << 52)
    # The window of 192 bits begins at a whole byte. The significand is shifted by the bits between
    # the window's ideal beginning and this byte.
    first = (_BITS - 190) - exponent
    byte = (first + 7) >> 3
    significand = significand << ((byte << 3) - first)
    place = b.gep(_table(b.module), [byte.v], source_etype=ir.IntType(8))
    upper, middle, lower = _product(b, significand, place)
    # The upper two bits count quarter turns. They are rounded to the nearest quarter, so the rest
    # is a signed fraction of a quarter.
    q = (((upper >> 61) & 7) + 1) >> 1
    upper, middle = (upper << 2) | _shifted_down(middle, 62), (middle << 2) | lower
    r, rest = _angle(upper, middle)
    negative = x < 0
    return select(negative, -q, q), select(negative, -r, r), select(negative, -rest, rest)


def _product(b, x, place):
    """x times the 192-bit number at ``place``, modulo 2^192: its upper 64, next 64, next 2 bits."""
    words = [b.gep(place, [_I64(i)], source_etype=_I64) for i in range(3)]
    words = [b.load(word, typ=_I64, align=1) for word in words]
    wide = b.zext(x.v, _I128)
    lower = b.mul(wide, b.zext(words[0], _I128))
    middle = b.add(b.mul(wide, b.zext(words[1], _I128)), b.lshr(lower, _I128(64)))
    upper = b.add(b.mul(x.v, words[2]), b.trunc(b.lshr(middle, _I128(64)), _I64))
    middle, lower = b.trunc(middle, _I64), b.lshr(b.trunc(lower, _I64), _I64(62))
    return [Value(b, v, INT) for v in (upper, middle, lower)]


def _shifted_down(x, count):
    """The bits of x moved down by ``count``, with zeros above."""
    return (x.astype(np.uint64) >> count).astype(INT)


def _angle(upper, middle):
    """In radians, as a sum of two floats: the signed fraction of a quarter turn with these bits."""
    # Pieces of at most 48 bits are exact as floats.
    first = (upper >> 16).astype(DOUBLE) * 2.0**-48
    second = ((upper & 0xFFFF) << 32 | _shifted_down(middle, 32)).astype(DOUBLE) * 2.0**-96
    third = (middle & 0xFFFFFFFF).astype(DOUBLE) * 2.0**-128
    turn, lost = _two_sum(first, second)
    turn, lost = _two_sum(turn, lost + third)
    high, low, _ = HALF_PI[DOUBLE]
    r = turn * high
    return r, fma(turn, high, -r) + fma(turn, low, lost * high)


def _two_sum(large, small):
    """(The rounded sum, its rounding error)."""
    total = large + small
    return total, small - (total - large)
