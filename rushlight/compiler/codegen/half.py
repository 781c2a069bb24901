"""Conversions of float16 and bfloat16, which exist in memory only, to float32 and back.

Narrowing rounds to nearest, ties to even. If the processor has no instructions for float16, the
bits are converted as in Fabian Giesen's `float->half variants
<https://gist.github.com/rygorous/2156668>`_, where a float32 addition rounds subnormal halves.
"""

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.value import FLOAT, Value, constant, ir_type, select
from rushlight.compiler.ir.machine import machine
from rushlight.dtype import float16

__all__ = ["narrowed", "rounded", "widened"]

_INT, _SHORT = np.dtype(np.int32), np.dtype(np.uint16)
_SIGN, _INFINITE, _QUIET = -(1 << 31), 0x7F800000, 0x7FC00000  # bits of float32
_BIAS = (127 - 15) << 23  # between the exponents of float32 and float16
_LEAST = _BIAS + (1 << 23)  # the bits of 2⁻¹⁴, the least normal half
_TOO_LARGE = _BIAS + (31 << 23)  # the bits of 65536
_HALF = _BIAS + (14 << 23)  # the bits of ½: its last bit is worth 2⁻²⁴, the least positive half


def widened(bits, dtype):
    """The float32 that ``bits`` (Value of uint16) stand for in the half type ``dtype``."""
    if dtype != float16.numpy:
        return (bits.astype(np.uint32) << 16).bits(FLOAT)
    if machine().halves:
        b, lanes = bits.b, bits.lanes
        half = b.bitcast(bits.v, _half_type(lanes))
        return Value(b, b.fpext(half, ir_type(FLOAT, lanes)), FLOAT)
    bits = bits.astype(_INT)
    magnitude = ((bits & 0x7FFF) << 13) + _BIAS
    subnormal = ((magnitude + (1 << 23)).bits(FLOAT) - 2.0**-14).bits(_INT)
    special = magnitude + _BIAS
    special = select((bits & 0x3FF) != 0, special | _QUIET, special)
    found = select(magnitude < _LEAST, subnormal, magnitude)
    found = select(magnitude >= _TOO_LARGE, special, found)
    return (found | ((bits & 0x8000) << 16)).bits(FLOAT)


def rounded(value, dtype):
    """``value`` rounded to the half type ``dtype``, as a float32."""
    return widened(narrowed(value, dtype), dtype)


def narrowed(value, dtype):
    """The bits (Value of uint16) of ``value`` rounded to the half type ``dtype``."""
    if dtype != float16.numpy:
        return _upper(value.astype(FLOAT))
    value = value.astype(FLOAT)  # a float64 is rounded twice, as in PyTorch
    b, lanes = value.b, value.lanes
    if machine().halves:
        half = b.fptrunc(value.v, _half_type(lanes))
        return Value(b, b.bitcast(half, ir_type(_SHORT, lanes)), _SHORT)
    bits = value.bits(_INT)
    magnitude = bits & ~_SIGN
    subnormal = (magnitude.bits(FLOAT) + 0.5).bits(_INT) - _HALF
    normal = (magnitude - _BIAS + 0xFFF + ((magnitude >> 13) & 1)) >> 13
    quiet = ((magnitude | _QUIET) >> 13) & 0x7FFF
    special = select(magnitude > _INFINITE, quiet, constant(b, 0x7C00, _INT))
    found = select(magnitude < _LEAST, subnormal, normal)
    found = select(magnitude >= _TOO_LARGE, special, found)
    return (found | ((bits >> 16) & 0x8000)).astype(_SHORT)


def _half_type(lanes):
    return ir.HalfType() if lanes == 1 else ir.VectorType(ir.HalfType(), lanes)


def _upper(value):
    """The bits of ``value`` rounded to bfloat16, which is the upper half of a float32."""
    bits = value.bits(np.uint32)
    near = bits + (((bits >> 16) & 1) + 0x7FFF)
    quiet = (bits & 0x80000000) | _QUIET
    return (select(value != value, quiet, near) >> 16).astype(_SHORT)
