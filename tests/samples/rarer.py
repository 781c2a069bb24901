"""Samples of the rarer operations on each element, of complex numbers and of rank."""

# A table: one sample a line.
# fmt: off

import numpy as np

from rushlight.ops.elementwise import activation
from tests.samples.sample import floats, ints, sample


def complexes(*shape, low=-2.0, high=2.0, seed=0):
    """Complex numbers with both parts between ``low`` and ``high``."""
    a, b = (
        floats(*shape, low=low, high=high, seed=seed),
        floats(*shape, low=low, high=high, seed=seed + 1),
    )
    return (a + 1j * b).astype(np.complex64)


UNARY = {
    "acosh": (1.2, 3), "asinh": (-2, 2), "atanh": (-0.8, 0.8), "deg2rad": (-200, 200),
    "rad2deg": (-4, 4), "sinc": (0.2, 2),
}
for _name, (_low, _high) in UNARY.items():
    sample(
        _name,
        lambda t, x, n=_name: getattr(t, n)(x),
        floats(3, 4, low=_low, high=_high),
        tolerance=1e-4,
    )
for _name in ("isneginf", "isposinf", "isreal", "signbit"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(x / 0), floats(5), grad=False)
for _name in ("abs", "angle", "exp", "log", "sqrt", "sin", "tanh", "reciprocal", "square", "sgn"):
    sample(
        _name, lambda t, x, n=_name: getattr(t, n)(x), complexes(3, 4), second=False, tolerance=1e-4
    )
sample("angle", lambda t, x: t.angle(x), floats(3, 4))

for _name in ("fmax", "fmin", "hypot", "logaddexp2"):
    sample(_name, lambda t, x, y, n=_name: getattr(t, n)(x, y), floats(3, 4), floats(4, seed=1))
for _name in ("add", "mul", "div", "pow", "logaddexp"):
    sample(_name, lambda t, x, y, n=_name: getattr(t, n)(x, y), complexes(3, 4, low=0.5), complexes(4, low=0.5, seed=3),
           second=False, tolerance=1e-4)
for _name in ("gcd", "lcm"):
    sample(_name, lambda t, x, y, n=_name: getattr(t, n)(x, y), ints(3, 4), ints(4, seed=1))
sample("bitwise_left_shift", lambda t, x, y: x << y, ints(3, 4), ints(4, low=-1, high=9))
sample("bitwise_right_shift", lambda t, x, y: x >> y, ints(3, 4), ints(4, low=-1, high=70))
sample("fmod", lambda t, x: t.fmod(x, 0.7), floats(3, 4), second=False)
sample("copysign", lambda t, x: x.copysign(-1), floats(3, 4), second=False)
sample("xlogy", lambda t, x: t.xlogy(x, 2), floats(3, 4), second=False)
sample("xlogy", lambda t, x: t.xlogy(2, x), floats(3, 4, low=0.2))
sample("clamp_min", lambda t, x, y: t.clamp_min(x, y), floats(3, 4), floats(4, seed=1))
sample("clamp_max", lambda t, x, y: t.clamp_max(x, y), floats(3, 4), floats(4, seed=1))
sample("clamp_max", lambda t, x: t.clamp_max(x, 0.1), floats(3, 4))


def _named(name):
    """An activation of ``nn.functional``, under rushlight straight from the operation."""

    def call(t, x, **options):
        if t.__name__ == "torch":
            return getattr(t.nn.functional, name)(x, *options.values())
        return getattr(activation, name)(x, **options)

    return call


for _name, _options in {"hardshrink": {"lambd": 0.4}, "softshrink": {"lambd": 0.4},
                        "threshold": {"threshold": 0.1, "value": 3.0}}.items():
    sample(_name, lambda t, x, n=_name, o=_options: _named(n)(t, x, **o), floats(3, 4))
sample("hardsigmoid", _named("hardsigmoid"), floats(3, 4, low=-4, high=4), second=False, dtypes=())

sample("real", lambda t, x: t.real(x) * 2, complexes(3, 4), second=False)
sample("imag", lambda t, x: x.imag * 2, complexes(3, 4), second=False)
sample("conj", lambda t, x: x.conj() * x, complexes(3, 4), second=False)
sample("view_as_real", lambda t, x: t.view_as_real(x), complexes(3, 4), second=False)
sample("view_as_complex", lambda t, x: t.view_as_complex(x), floats(3, 2))
sample("complex", lambda t, x, y: t.complex(x, y), floats(3, 4), floats(4, seed=1))

for _name in ("cummax", "cummin"):
    sample(_name, lambda t, x, n=_name: tuple(getattr(t, n)(x, 1)), floats(3, 4))
sample("logcumsumexp", lambda t, x: t.logcumsumexp(x, 0), floats(3, 4))
sample(
    "logcumsumexp", lambda t, x: t.logcumsumexp(x, 0), complexes(3, 2), second=False, tolerance=1e-4
)
sample("kthvalue", lambda t, x: tuple(t.kthvalue(x, 2)), floats(3, 4))
sample("nanmedian", lambda t, x: t.nanmedian(x), floats(3, 4))
sample("nanmedian", lambda t, x: tuple(t.nanmedian(x, 0, True)), floats(3, 4))
sample("isin", lambda t, x, y: t.isin(x, y), ints(3, 4), ints(4, seed=1))
sample("histc", lambda t, x: t.histc(x, 5, -1, 1), floats(3, 4), grad=False)
sample(
    "unique_consecutive",
    lambda t, x: t.unique_consecutive(x, True, True),
    ints(20, low=0, high=3),
    trace=False,
)
sample("random", lambda t: t.poisson(t.full((6,), 2.5)), grad=False, draws=True)

_STEP = lambda t, *values: t.tensor(values)  # float64 scales differ from PyTorch, see docs/differences.md
sample("fake_quantize_per_tensor_affine", lambda t, x: t.fake_quantize_per_tensor_affine(x, 0.05, 3, -20, 20), floats(3, 5), numeric=False, second=False, dtypes=())
sample("fake_quantize_per_tensor_affine", lambda t, x: t.fake_quantize_per_tensor_affine(x, t.tensor(0.1), t.tensor(0), 0, 15), floats(3, 5), numeric=False, second=False, dtypes=())
sample("fake_quantize_per_channel_affine", lambda t, x: t.fake_quantize_per_channel_affine(x, _STEP(t, 0.1, 0.02, 0.3), t.tensor([0, 3, -5], dtype=t.int32), 1, -20, 20), floats(4, 3), numeric=False, second=False, dtypes=())
