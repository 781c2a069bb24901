"""Angles too large for arithmetic on floats: x modulo π/2 by whole numbers (Payne and Hanek).

x = X · 2^e with a whole X. Of the bits of 2/π only 192 matter: those further up give multiples of
4 quarter turns, those further down are too small. X times these 192 bits, modulo 2^192, is the
position in the circle. It is rare, so each lane calls one function for it.
"""

import numpy as np
from llvmlite import ir

from rushlight.compiler.emit.control import repeat_while
from rushlight.compiler.emit.math.coefficients import HALF_PI, TWO_OVER_PI
from rushlight.compiler.emit.math.floats import fma, full
from rushlight.compiler.emit.value import INT, Value, constant, select

__all__ = ["reduce_large"]

DOUBLE = np.dtype(np.float64)
_I8, _I64, _WIDE = ir.IntType(8), ir.IntType(64), ir.IntType(192)
_NAME = "reduce_large"
_BITS = 1168  # of 2/π: enough for the largest double


def reduce_large(x):
    """(q, r, rest): x = q · π/2 + r + rest modulo 2π, lane by lane; r and rest are float64."""
    x = x.astype(DOUBLE)
    b, lanes = x.b, x.lanes
    function = _function(b.module)
    if lanes == 1:
        return _called(b, function, x.v)

    def step(i, q, r, rest):
        v = b.extract_element(x.v, i.v)
        new = _called(b, function, v)
        found = [
            Value(b, b.insert_element(old.v, n.v, i.v), old.dtype)
            for old, n in zip((q, r, rest), new, strict=True)
        ]
        return [i + 1, *found]

    zero = constant(b, 0, INT, lanes)
    start = (constant(b, 0, INT), zero, full(x, 0), full(x, 0))
    return repeat_while(lambda i, *_: i < lanes, step, start)[1:]


def _called(b, function, v):
    found = b.call(function, [v])
    return [
        Value(b, b.extract_value(found, k), dtype) for k, dtype in enumerate((INT, DOUBLE, DOUBLE))
    ]


def _function(module):
    found = module.globals.get(_NAME)
    if found is None:
        result = ir.LiteralStructType([_I64, ir.DoubleType(), ir.DoubleType()])
        found = ir.Function(module, ir.FunctionType(result, [ir.DoubleType()]), _NAME)
        found.linkage = "internal"
        b = ir.IRBuilder(found.append_basic_block())
        values = _reduced(b, Value(b, found.args[0], DOUBLE))
        whole = ir.Constant(result, ir.Undefined)
        for k, v in enumerate(values):
            whole = b.insert_value(whole, v.v, k)
        b.ret(whole)
    return found


def _table(module):
    """The bits of 2/π in memory, the lowest byte first, with zeros above."""
    found = module.globals.get("two_over_pi")
    if found is None:
        content = bytearray(TWO_OVER_PI.to_bytes(_BITS // 8 + 40, "little"))
        typ = ir.ArrayType(_I8, len(content))
        found = ir.GlobalVariable(module, typ, "two_over_pi")
        found.linkage, found.global_constant = "internal", True
        found.initializer = ir.Constant(typ, content)
    return found


def _reduced(b, x):
    bits = x.bits(INT)
    exponent = ((bits >> 52) & 0x7FF) - 1075
    significand = (bits & 0xFFFFFFFFFFFFF) | (1 << 52)
    window = _window(b, exponent)
    position = b.mul(b.zext(significand.v, _WIDE), window)  # 2 bits of quarters, 190 below them
    nearest = b.add(b.lshr(position, _WIDE(189)), _WIDE(1))
    q = Value(b, b.trunc(b.lshr(nearest, _WIDE(1)), _I64), INT)
    r, rest = _angle(b, b.shl(position, _WIDE(2)))
    negative = x < 0
    return select(negative, -q, q), select(negative, -r, r), select(negative, -rest, rest)


def _window(b, exponent):
    """The 192 bits of 2/π of which the upper two weigh 2 and 1 quarter turns times 2^-exponent."""
    first = (_BITS - 190) - exponent
    byte = b.gep(_table(b.module), [(first >> 3).v], source_etype=_I8)
    wide = ir.IntType(256)
    loaded = b.load(byte, typ=wide, align=1)
    return b.trunc(b.lshr(loaded, b.zext((first & 7).v, wide)), _WIDE)


def _angle(b, fraction):
    """``fraction``, a signed part of 2^192 of a quarter turn, in radians: the sum of two floats."""
    negative = b.icmp_signed("<", fraction, _WIDE(0))
    size = b.select(negative, b.neg(fraction), fraction)
    zeros = b.ctlz(size, ir.IntType(1)(0))
    size = b.shl(size, zeros)
    upper = Value(b, b.trunc(b.lshr(size, _WIDE(192 - 53)), _I64), INT).astype(DOUBLE)
    lower = Value(b, b.trunc(b.lshr(size, _WIDE(192 - 53 - 62)), _I64), INT)
    lower = (lower & ((1 << 62) - 1)).astype(DOUBLE)
    unit = ((1023 - 53 - Value(b, b.trunc(zeros, _I64), INT)) << 52).bits(DOUBLE)
    unit = select(Value(b, negative, np.dtype(bool)), -unit, unit)
    upper, lower = upper * unit, lower * 2.0**-62 * unit
    high, low, _ = HALF_PI[DOUBLE]
    r = upper * high
    return r, fma(upper, high, -r) + fma(upper, low, lower * high)
