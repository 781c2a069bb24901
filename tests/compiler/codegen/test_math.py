"""The mathematical functions of kernels: within 2 units in the last place of the true value."""

import importlib.util
import pathlib
from functools import partial

import numpy as np
import pytest

pytest.importorskip("llvmlite")
pytest.importorskip("mpmath")

import mpmath

from rushlight.compiler.codegen.math import (
    coefficients,
    error,
    exponential,
    hyperbolic,
    power,
    trigonometry,
)
from tests.compiler.loops import Loops, loop

FUNCTIONS = {
    "exp": (exponential.exp, np.exp, mpmath.exp),
    "exp2": (exponential.exp2, np.exp2, lambda x: mpmath.mpf(2) ** x),
    "expm1": (exponential.expm1, np.expm1, mpmath.expm1),
    "log": (exponential.log, np.log, mpmath.log),
    "log2": (exponential.log2, np.log2, lambda x: mpmath.log(x, 2)),
    "log10": (exponential.log10, np.log10, mpmath.log10),
    "log1p": (exponential.log1p, np.log1p, mpmath.log1p),
    "sin": (trigonometry.sin, np.sin, mpmath.sin),
    "cos": (trigonometry.cos, np.cos, mpmath.cos),
    "tan": (trigonometry.tan, np.tan, mpmath.tan),
    "asin": (trigonometry.asin, np.arcsin, mpmath.asin),
    "acos": (trigonometry.acos, np.arccos, mpmath.acos),
    "atan": (trigonometry.atan, np.arctan, mpmath.atan),
    "sinh": (hyperbolic.sinh, np.sinh, mpmath.sinh),
    "cosh": (hyperbolic.cosh, np.cosh, mpmath.cosh),
    "tanh": (hyperbolic.tanh, np.tanh, mpmath.tanh),
    "asinh": (hyperbolic.asinh, np.arcsinh, mpmath.asinh),
    "acosh": (hyperbolic.acosh, np.arccosh, mpmath.acosh),
    "atanh": (hyperbolic.atanh, np.arctanh, mpmath.atanh),
    "erf": (error.erf, None, mpmath.erf),
}
BINARY = {
    "atan2": (trigonometry.atan2, np.arctan2, mpmath.atan2, 2),
    "power": (power.power, np.power, mpmath.power, 4),
    "hypot": (power.hypot, np.hypot, mpmath.hypot, 2),
}
DTYPES = (np.dtype("f4"), np.dtype("f8"))
EXTENDED = np.finfo(np.longdouble).nmant > 60  # a reference for float64, or none but mpmath

# Where functions change their way, vanish, saturate or overflow.
CRITICAL = (
    0.3465736, 0.41421356, 0.5, 0.5405, 0.6, 0.70710678, 1, 1.25, 1.41421356, 2, 2.41421356, 3.9192059,
    5.92, 6, 8.3177, 9.0109, 10, 19.0615, 88.722839, 87.33655, 89.41599, 103.97208, 126, 127, 128,
    149.5, 150, 708.3964, 709.782712893384, 710.4758600739439, 744.44, 745.1332191019411, 1022,
    1023, 1024, 1074.5, 1075, 1.5707964, 3.1415927, 6.2831855, 69.115, 1e5, 1e9, 1e22,
)  # fmt: skip
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 4.0, 8.0, 10.0)


def points(dtype, seed=0, count=20_000):
    """Numbers of every exponent, more of those in use, and the neighbours of critical ones."""
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    whole = np.dtype(f"u{info.dtype.itemsize}")
    every = rng.integers(0, np.iinfo(whole).max, count // 2, whole, endpoint=True).view(dtype)
    usual = [rng.normal(size=count // 10) * scale for scale in (0.1, 1, 10, 200)]
    usual += [rng.uniform(-1, 1, count // 10), 1 + rng.normal(size=count // 10) * 1e-3]
    limits = [info.max, info.tiny, info.smallest_subnormal, 1 + info.eps, 1 - info.epsneg]
    critical = np.array(CRITICAL, dtype).view(whole)[:, None] + np.arange(-8, 9).astype(whole)
    critical = critical.view(dtype).ravel()
    found = [every, *usual, SPECIAL, limits, np.negative(limits), critical, -critical]
    return np.concatenate([np.asarray(a, dtype) for a in found])


def units(got, want, dtype):
    """How far ``got`` is from the more precise ``want``, in units in the last place of ``dtype``.

    What is nan, infinite or zero must be so exactly, zeros with their signs; the largest number
    and infinity are one unit apart.
    """
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype)
        plain = np.isfinite(want) & (want != 0)
        exponent = np.frexp(np.where(plain, np.abs(want), 1))[1]
        unit = np.ldexp(want.dtype.type(1), np.maximum(exponent - 1, info.minexp) - info.nmant)
        error = np.abs(got.astype(want.dtype) - want) / unit
    edge = np.nextafter(info.max, dtype.type(0))
    overflow = (np.isinf(got) | np.isinf(rounded)) & (got != rounded)
    near = overflow & (np.abs(got) >= edge) & (np.abs(rounded) >= edge)
    error = np.where(got == rounded, np.where(plain, error, 0), error)
    error = np.where(np.isinf(got) & (got == rounded), 0, error)
    error = np.where(
        overflow, np.where(near & (np.sign(got) == np.sign(rounded)), 1, np.inf), error
    )
    error = np.where(
        (got == 0) & (want == 0) & (np.signbit(got) != np.signbit(want)), np.inf, error
    )
    both = np.isnan(got) & np.isnan(want)
    return np.where(both, 0, np.where(np.isnan(got) | np.isnan(want), np.inf, error))


def worst(call, reference, arrays, limit):
    """Assert the limit, naming the worst argument."""
    got = call(*arrays)
    with np.errstate(all="ignore"):
        error = units(got, reference(*arrays), got.dtype)
    k = int(np.argmax(error))
    assert error[k] <= limit, (error[k], [a[k] for a in arrays], got[k])


def wider(function, *arrays):
    """NumPy's function with more precision than the arrays have."""
    wide = np.float64 if arrays[0].dtype == np.float32 else np.longdouble
    return function(*[a.astype(wide) for a in arrays])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if FUNCTIONS[name][1]])
def test_dense(name, dtype):
    function, reference, _ = FUNCTIONS[name]
    if dtype == np.float64 and not EXTENDED:
        pytest.skip("long double is no more than double here")
    call = loop([dtype], dtype, lambda b, x: function(x))
    worst(call, partial(wider, reference), [points(dtype)], 2)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_dense_in_two_variables(name, dtype):
    function, reference, _, limit = BINARY[name]
    if dtype == np.float64 and not EXTENDED:
        pytest.skip("long double is no more than double here")
    rng = np.random.default_rng(1)
    x, y = points(dtype, 1), points(dtype, 2)
    rng.shuffle(y)
    special = np.array([*SPECIAL, 3, -3, 1e30, 2.0**53 + 1], dtype)
    grid = [a.ravel() for a in np.meshgrid(special, special)]
    base = np.exp(rng.uniform(-80, 80, 20_000)).astype(dtype)
    exponent = (rng.uniform(-104, 89, 20_000) / np.log(base)).astype(dtype)
    x = np.concatenate([x, grid[0], base, -base])
    y = np.concatenate([y, grid[1], exponent, np.rint(exponent)])
    call = loop([dtype] * 2, dtype, lambda b, x, y: function(x, y))
    worst(call, partial(wider, reference), [x, y], limit)


def exactly(function, *arrays):
    """mpmath's function, in whatever NumPy has most precision."""
    found = np.empty(len(arrays[0]), np.longdouble)
    with mpmath.workprec(120):
        for i, numbers in enumerate(zip(*arrays, strict=True)):
            value = function(*[mpmath.mpf(float(v)) for v in numbers])
            real = mpmath.im(value) == 0
            found[i] = np.longdouble(mpmath.nstr(mpmath.re(value), 30)) if real else np.nan
    return found


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", [*FUNCTIONS, *BINARY])
def test_against_mpmath(name, dtype):
    function, *_, exact, limit = (*FUNCTIONS[name], 2) if name in FUNCTIONS else BINARY[name]
    slow = name == "erf"  # the one without another reference
    x = points(dtype, 3)
    rng = np.random.default_rng(3)
    x = x[np.isfinite(x) & (x != 0) & (np.abs(x) < 1e30)]
    x = np.concatenate([rng.choice(x, 1500 if slow else 60), rng.uniform(-4, 4, 40).astype(dtype)])
    if name in ("log", "log2", "log10", "power"):
        x = np.abs(x)
    if name == "log1p":
        x = x[x > -1]
    arrays = [x, rng.permutation(np.clip(x, -5, 5))] if name in BINARY else [x]
    keep = np.abs(x) < 700 if name in ("exp", "exp2", "expm1", "sinh", "cosh") else x == x
    arrays = [a[keep] for a in arrays]
    call = loop([dtype] * len(arrays), dtype, lambda b, *a: function(*a))
    worst(call, partial(exactly, exact), arrays, limit)


def test_error_function_at_its_ends():
    for dtype in DTYPES:
        call = loop([dtype], dtype, lambda b, x: error.erf(x))
        x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 30, -30, 1e-40], dtype)
        want = np.array([0.0, -0.0, 1, -1, np.nan, 1, -1, mpmath.erf(float(x[-1]))], dtype)
        np.testing.assert_array_equal(call(x), want)
        np.testing.assert_array_equal(np.signbit(call(x[:2])), [False, True])


def test_angles_near_many_quarter_turns():
    """Doubles that lie nearest to multiples of π/2: their sine or cosine is about 1e-19."""
    x = np.array([6381956970095103 * 2.0**797, 5.319372648326541e255, 1e22, 1.7e308, -3e15])
    for name in ("sin", "cos", "tan"):
        function, _, exact = FUNCTIONS[name]
        with mpmath.workprec(1300):
            want = np.array([np.longdouble(mpmath.nstr(exact(mpmath.mpf(v)), 30)) for v in x])
        for lanes in (1, 4):
            got = loop(["f8"], "f8", lambda b, x, f=function: f(x), lanes)(x)
            assert units(got, want, got.dtype).max() <= 2, (name, lanes)


@pytest.mark.parametrize("name", [*FUNCTIONS, *BINARY])
def test_lanes_do_not_matter(name):
    function = (FUNCTIONS | BINARY)[name][0]
    count = 2 if name in BINARY else 1
    loops = Loops()
    for lanes in (1, 4, 16):
        loops.add(["f4"] * count, "f4", lambda b, *a: function(*a), lanes)
    arrays = [points(np.dtype("f4"), k, 2000) for k in range(count)]
    first, *others = [call(*arrays) for call in loops.compile()]
    for other in others:
        np.testing.assert_array_equal(first, other)
        np.testing.assert_array_equal(
            np.signbit(first[first == first]), np.signbit(other[other == other])
        )


def test_coefficients_are_those_of_the_script():
    path = pathlib.Path(__file__).parents[3] / "tools" / "minimax.py"
    spec = importlib.util.spec_from_file_location("minimax", path)
    minimax = importlib.util.module_from_spec(spec)
    before = mpmath.mp.prec
    try:
        spec.loader.exec_module(minimax)
        rows = {row.name: row for row in minimax.rows()}
        for name in ("EXPM1", "SIN", "ASIN"):
            row = rows[name]
            found, error = minimax.remez(row.goal, row.weight, row.low, row.high, row.single)
            kept = getattr(coefficients, name)[np.dtype("f4")]
            np.testing.assert_allclose([float(c) for c in found], kept, rtol=1e-9)
            assert error < 2.0**-25
        parts = [minimax.mpf(part) for part in coefficients.LN2[np.dtype("f8")]]
        assert abs(sum(parts) - minimax.mp.ln2) < 2.0**-105
    finally:
        mpmath.mp.prec = before
