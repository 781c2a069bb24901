"""Samples of operations on each element."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.sample import bools, floats, ints, sample

HALF = ("float64", "float16", "bfloat16")

# name → the domain its inputs are drawn from, away from poles and kinks
UNARY = {
    "abs": (-2, 2), "acos": (-0.9, 0.9), "asin": (-0.9, 0.9), "atan": (-2, 2), "cos": (-3, 3),
    "cosh": (-2, 2), "erf": (-2, 2), "exp": (-2, 2), "exp2": (-2, 2), "expm1": (-1, 1),
    "log": (0.2, 4), "log10": (0.2, 4), "log1p": (-0.5, 3), "log2": (0.2, 4), "logit": (0.1, 0.9),
    "neg": (-2, 2), "reciprocal": (0.3, 2), "rsqrt": (0.3, 3), "sigmoid": (-3, 3), "sin": (-3, 3),
    "sinh": (-2, 2), "sqrt": (0.2, 4), "square": (-2, 2), "tan": (-1, 1), "tanh": (-2, 2),
    "relu": (-2, 2), "positive": (-2, 2),
}
FLAT = ("ceil", "floor", "frac", "round", "sign", "trunc")  # steps: a gradient of 0 (or 1)
BINARY = {
    "add": (-2, 2), "sub": (-2, 2), "mul": (-2, 2), "div": (0.5, 2), "pow": (0.5, 2),
    "maximum": (-2, 2), "minimum": (-2, 2), "atan2": (0.5, 2), "logaddexp": (-2, 2), "xlogy": (0.5, 2),
}
STEPS = {"fmod": (0.5, 4), "remainder": (0.5, 4), "floor_divide": (0.5, 4)}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "isclose")
LOGICAL = ("logical_and", "logical_or", "logical_xor")
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")


def unary(name):
    return lambda t, x: getattr(t, name)(x)


def binary(name):
    return lambda t, x, y: getattr(t, name)(x, y)


for _name, (_low, _high) in UNARY.items():
    sample(_name, unary(_name), floats(3, 4, low=_low, high=_high), dtypes=HALF)
    sample(_name, unary(_name), floats(2, 3, low=_low, high=_high, t=True))
    sample(_name, unary(_name), floats(low=_low, high=_high), second=False)
    sample(_name, unary(_name), floats(0, 3, low=_low, high=_high), second=False)

for _name in FLAT:
    sample(_name, unary(_name), floats(3, 4, low=-3, high=3), second=False, dtypes=HALF)

for _name, (_low, _high) in {**BINARY, **STEPS}.items():
    x, y = floats(3, 4, low=_low, high=_high), floats(3, 4, low=_low, high=_high, seed=1)
    sample(_name, binary(_name), x, y, dtypes=HALF, second=_name not in STEPS, grad=_name != "floor_divide")
    sample(_name, binary(_name), floats(2, 1, 3, low=_low, high=_high), floats(4, 1, low=_low, high=_high, seed=1),
           second=_name not in STEPS, grad=_name != "floor_divide")
    sample(_name, binary(_name), x, floats(low=_low, high=_high, seed=2), second=False, grad=_name != "floor_divide")

for _name in COMPARISONS:
    sample(_name, binary(_name), floats(3, 4), floats(3, 4, seed=1), grad=False, dtypes=HALF)
    sample(_name, binary(_name), ints(3, 4, low=0, high=3), ints(4, low=0, high=3), grad=False)
for _name in LOGICAL:
    sample(_name, binary(_name), bools(3, 4), bools(4, seed=1), grad=False)
    sample(_name, binary(_name), floats(3), ints(3), grad=False)
for _name in BITWISE:
    sample(_name, binary(_name), ints(3, 4), ints(4, seed=1), grad=False)
    sample(_name, binary(_name), bools(3, 4), bools(3, 4, seed=1), grad=False)
for _name in ("add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "maximum", "eq"):
    sample(_name, binary(_name), ints(3, 4), ints(4, low=1, high=5), grad=False)
    sample(_name, binary(_name), ints(3, 4), floats(4, low=1, high=5), grad=False)

sample("logical_not", lambda t, x: t.logical_not(x), bools(5), grad=False)
sample("bitwise_not", lambda t, x: ~x, ints(5), grad=False)
sample("add", lambda t, x, y: t.add(x, y, alpha=3), floats(3), floats(3, seed=1))
for _name in ("add", "sub", "rsub"):
    sample(_name, lambda t, x, y, n=_name: getattr(t, n)(x, y, alpha=2), floats(3), np.array([100, -100, 3], np.int8))
    sample(_name, lambda t, x, y, n=_name: getattr(t, n)(x, y, alpha=0.3), floats(3), floats(2, 3, dtype=np.float64))
sample("rsub", lambda t, x: 1 - x, floats(3))
sample("rdiv", lambda t, x: 2 / x, floats(3, low=0.5, high=2))
sample("rpow", lambda t, x: 2.5**x, floats(3))
for _p in (2, 3, 0.5, -1, 0, 1.7):
    sample("pow", lambda t, x, p=_p: x**p, floats(3, 4, low=0.5, high=2))
sample("div", lambda t, x, y: t.div(x, y, rounding_mode="trunc"), floats(4, low=-5, high=5), floats(4, low=1, high=2), second=False)
sample("div", lambda t, x, y: t.div(x, y, rounding_mode="floor"), ints(6), ints(6, low=1, high=4), grad=False)
sample("clamp", lambda t, x: x.clamp(-1, 1), floats(3, 4), dtypes=HALF)
sample("clamp", lambda t, x: x.clamp(min=0.1), floats(3, 4))
sample("clamp", lambda t, x, a, b: t.clamp(x, a, b), floats(3, 4), floats(4, low=-2, high=-0.5), floats(3, 1, low=0.5, high=2))
sample("lerp", lambda t, x, y: t.lerp(x, y, 0.3), floats(3, 4), floats(4, seed=1))
sample("lerp", lambda t, x, y, w: t.lerp(x, y, w), floats(3, 4), floats(4, seed=1), floats(3, 4, seed=2))
sample("addcmul", lambda t, x, y, z: t.addcmul(x, y, z, value=0.5), floats(3, 4), floats(4, seed=1), floats(3, 1, seed=2))
sample("addcdiv", lambda t, x, y, z: t.addcdiv(x, y, z, value=0.5), floats(3), floats(3, seed=1), floats(3, low=1, high=2))
sample("copysign", lambda t, x, y: x.copysign(y), floats(3, low=0.5, high=2), floats(3, seed=1), second=False)
sample("nan_to_num", lambda t, x: t.nan_to_num(x / 0, nan=1.0), ints(5, low=-1, high=2).astype("f4"), grad=False)
sample("isnan", lambda t, x: t.isnan(x / 0), ints(5, low=-1, high=2).astype("f4"), grad=False)
sample("isinf", lambda t, x: t.isinf(x / 0), ints(5, low=-1, high=2).astype("f4"), grad=False)
sample("isfinite", lambda t, x: t.isfinite(x / 0), ints(5, low=-1, high=2).astype("f4"), grad=False)
sample("round", lambda t, x: t.round(x, decimals=1), floats(5), second=False)
