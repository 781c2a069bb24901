"""Elementwise operations in kernels give what they give on arrays."""

import ctypes

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from rushlight.compiler.codegen.elementwise import elementwise, price
from rushlight.compiler.codegen.memory import load, memory_type, prefix_mask, reduce, store
from rushlight.compiler.codegen.value import Unsupported, constant, splat
from rushlight.compiler.cpu import loader
from rushlight.compiler.cpu.target import host
from rushlight.compiler.ir.abstract import Abstract
from rushlight.ops.core import dispatch
from rushlight.ops.core.definition import OPS
from tests.compiler.loops import Loops, loop
from tests.daily import daily

DTYPES = [np.dtype(d) for d in ("f4", "f8", "i8", "i4", "u1", "?", np.float16, ml_dtypes.bfloat16)]
NUMBERED = [np.dtype(d) for d in ("f4", "i8", np.float16)]  # with a number beside arrays
#: Left to SciPy: there is no machine code for them, and compiled programs call them.
SCIPY = {
    "digamma", "erfc", "erfinv", "i0", "igamma", "igammac", "lgamma", "mvlgamma", "polygamma",
    "special_erfcx",
    "special_i0e", "special_i1", "special_i1e", "special_log_ndtr", "special_ndtr", "special_ndtri",
    "zeta", "_standard_gamma_grad", "_dirichlet_grad",
}  # fmt: skip
ELEMENTWISE = [
    op for op in OPS.values()
    # The parts of draws are tested on devices: tests/device/test_philox_kernels.py.
    if op.kind == "elementwise" and op.name not in SCIPY and not op.name.startswith("philox_")
]  # fmt: skip
N = 45  # not a whole number of vectors
PARAMS = {
    "round_decimals": {"decimals": 2}, "polygamma": {"n": 2},
    "threshold": {"threshold": 0.5, "value": 20}, "logit": {"eps": 1e-3},
    "isclose": {"rtol": 1e-1, "atol": 1e-2, "equal_nan": True}, "nan_to_num": {"nan": 3.0},
    "fake_quantize_per_tensor_affine_cachemask": {"quant_min": -8, "quant_max": 7},
    "fake_quantize_per_channel_affine_cachemask": {"quant_min": -8, "quant_max": 7},
    "special_series": {"name": "i0_near", "short": True}, "special_outer_quantile": {"short": True},
    "igamma_integral": {"upper": True, "short": False}, "gamma_slope": {"short": False},
    "beta_slope": {"short": True}, "gelu": {"approximate": "tanh"}, "hardtanh": {"min_val": 0, "max_val": 1},
}  # fmt: skip


def operand(dtype, k):
    """N values of a dtype, every second one special; other values for each k."""
    rng = np.random.default_rng(k)
    if dtype.kind == "b":
        return rng.random(N) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        found = rng.integers(-5 if info.min else 0, 6, N).astype(dtype)
        found[::4] = np.resize([info.min, info.max, 0, 1, info.max - 1, 3], N)[::4]
        return np.roll(found, k)
    found = (rng.normal(size=N) * np.resize([0.3, 1, 4], N)).astype(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, 100, -100, 0.5, 3]
    found[::2] = np.resize(np.array(special, dtype), N)[::2]
    return np.roll(found, 3 * k)


def cases(op):
    """Inputs of ``op``: arrays of each dtype, and for some an array with a number."""
    for dtype in DTYPES:
        arrays = [operand(dtype, k) for k in range(len(op.inputs))]
        if op.name == "where":
            arrays[0] = operand(np.dtype(bool), 0)
        number = 3 if dtype.kind in "iu" else 2.5
        first, last = [number, *arrays[1:]], [*arrays[:-1], number]
        if op.name.startswith("number_"):
            yield first
            continue
        yield arrays
        if len(arrays) > 1 and dtype in NUMBERED and op.name != "where":
            if op.inputs[-1] not in op.tensors:
                yield last
            if "x" not in op.tensors:
                yield first


def eager(op, arrays, params):
    """The result on arrays; None where the operation refuses them."""
    try:
        prepared = op.prepare(*arrays, **params) if op.prepare else params
        with np.errstate(all="ignore"):
            return dispatch.compute(op, tuple(arrays), prepared), prepared
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return None, params


def close(op, got, want, what):
    """Equal; results of several roundings within a few units in the last place."""
    if want.dtype.kind not in "f" and want.dtype != ml_dtypes.bfloat16:
        np.testing.assert_array_equal(got, want, str(what))
        return
    unit = float(ml_dtypes.finfo(want.dtype).eps)
    got, want = got.astype(np.float64), want.astype(np.float64)
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]), str(what))
    tolerance = {"rtol": 6 * unit, "atol": 2 * unit if op.name in LOOSE else 0}
    np.testing.assert_allclose(got, want, **tolerance, err_msg=str(what))


# Differences of near numbers: the functions' last bits decide. And sums that may cancel.
LOOSE = ("mish", "softplus", "gelu", "logsigmoid", "logaddexp", "logaddexp2", "sinc", "elu")


def test_what_is_left_to_scipy_has_no_machine_code():
    for name in SCIPY:
        op = OPS[name]
        ins = [Abstract((N,), np.dtype("f4")) for _ in op.inputs]
        params = {**op.defaults, **PARAMS.get(name, {})}
        assert ins and price(op, ins, params) is None, name


@pytest.mark.parametrize("op", daily(ELEMENTWISE, 60, "loops"), ids=lambda op: op.name)
def test_loop_is_eager(op):
    loops, expected = Loops(), []
    params = {**op.defaults, **PARAMS.get(op.name, {})}
    for arrays in cases(op):
        want, prepared = eager(op, arrays, params)
        ins = [Abstract((N,), a.dtype) if isinstance(a, np.ndarray) else a for a in arrays]
        if want is None:
            continue
        assert price(op, ins, prepared) is not None, (op, ins)
        given = [a for a in arrays if isinstance(a, np.ndarray)]
        loops.add([a.dtype for a in given], want.dtype, body(op, ins, prepared, want.dtype), 8)
        expected.append((given, want, ins))
    assert expected
    for call, (given, want, ins) in zip(loops.compile(), expected, strict=True):
        close(op, call(*given), want, ins)


def body(op, ins, params, out_dtype):
    def emit(b, *values):
        rest = iter(values)
        operands = [next(rest) if isinstance(x, Abstract) else x for x in ins]
        return elementwise(op, ins, operands, params, out_dtype)

    return emit


def test_a_live_parameter_is_like_a_python_number():
    op, x = OPS["leaky_relu"], operand(np.dtype("f4"), 0)
    ins = [Abstract((N,), x.dtype)]

    def body(b, *values):
        *given, live = values
        assert live.dtype == np.float64
        return elementwise(op, ins, given, {"negative_slope": live}, np.dtype("f4"))

    got = loop(["f4", "f8"], "f4", body)(x, np.full(N, 0.3))
    np.testing.assert_array_equal(got, dispatch.compute(op, (x,), {"negative_slope": 0.3}))


# Memory -----------------------------------------------------------------------------------

EVERY = [*DTYPES, *map(np.dtype, ("i1", "i2", "u2", "u4", "u8"))]


@pytest.mark.parametrize("lanes", (1, 8, 16))
@pytest.mark.parametrize("dtype", EVERY, ids=str)
def test_strides_and_masks(dtype, lanes):
    x, out = np.arange(200).astype(dtype), np.zeros(200, dtype)
    element = memory_type(dtype)

    def body(b, x, out):
        at = lambda base, i: b.gep(base, [ir.IntType(64)(i)], source_etype=element)
        store(b, load(b, x, dtype, lanes, None, 3), out, dtype, None, 2)
        mask = prefix_mask(b, lanes - 1, lanes)
        back = load(b, at(x, 50), dtype, lanes, mask, ir.IntType(64)(-2))
        store(b, back, at(out, 100), dtype, mask, -1)
        one = load(b, at(x, 7), dtype, lanes, None, 0)
        assert one.lanes == 1
        store(b, splat(one, lanes), at(out, 150), dtype)

    run(body, x, out)
    want = np.zeros(200, dtype)
    want[0 : 2 * lanes : 2] = x[0 : 3 * lanes : 3]
    for i in range(lanes - 1):
        want[100 - i] = x[50 - 2 * i]
    want[150 : 150 + lanes] = x[7]
    np.testing.assert_array_equal(out, want)


def run(body, *arrays):
    """Run a function of pointers, whose instructions ``body(b, *pointers)`` appends."""
    module = ir.Module()
    types = [ir.PointerType()] * len(arrays)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "once")
    b = ir.IRBuilder(function.append_basic_block())
    body(b, *function.args)
    b.ret_void()
    library = loader.load(host().object_code(module))
    native = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))(library.address("once"))
    native(*[a.ctypes.data for a in arrays])


@pytest.mark.parametrize("half", (np.float16, ml_dtypes.bfloat16), ids=lambda d: d.__name__)
def test_half_precision_is_rounded_from_float32(half):
    rng = np.random.default_rng(0)
    special = [
        0.0,
        -0.0,
        np.nan,
        np.inf,
        65519.999,
        65520,
        -65536,
        2049,
        2049.0000001,
        3.4e38,
        6e-8,
    ]
    ties = np.arange(0x3C00, 0x3D00, dtype=np.uint16).view(np.float16).astype(float) * (
        1 + 2.0**-11
    )
    x = np.concatenate([rng.normal(size=999) * 10.0 ** rng.integers(-9, 6, 999), special, ties])
    every = np.arange(1 << 16, dtype=np.uint16).view(half)
    every = every[~np.isnan(every.astype(np.float32))]
    for dtype in (np.float32, np.float64):
        with np.errstate(all="ignore"):
            given, want = x.astype(dtype), x.astype(np.float32).astype(half)
        assert_same_bits(loop([dtype], half, lambda b, x: x)(given), want)
        assert_same_bits(loop([half], dtype, lambda b, x: x)(every), every.astype(dtype))


def assert_same_bits(got, want):
    np.testing.assert_array_equal(got.view(np.uint8), want.view(np.uint8))


@pytest.mark.parametrize("name", ("add", "mul", "max", "min", "and", "or"))
@pytest.mark.parametrize("lanes", (1, 2, 16))
def test_reduce_in_halves(name, lanes):
    rng = np.random.default_rng(lanes)
    combine = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
               "and": np.logical_and, "or": np.logical_or}[name]  # fmt: skip
    logical = name in ("and", "or")
    for k in range(3):
        x = rng.random(lanes) < 0.5 if logical else rng.normal(size=lanes).astype(np.float32)
        x[k % lanes] = k != 1 if logical else (np.nan if k == 2 else 1)
        want = x
        while len(want) > 1:
            want = combine(want[: len(want) // 2], want[len(want) // 2 :])
        got = loop([x.dtype], x.dtype, lambda b, x: reduce(x, name), lanes)(x)
        np.testing.assert_array_equal(got, np.repeat(want, lanes))


def test_what_a_value_refuses():
    b = ir.IRBuilder(
        ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "f").append_basic_block()
    )
    x = constant(b, 1.0, np.dtype("f4"))
    for wrong in (lambda: bool(x), lambda: ~x, lambda: x << 1, lambda: x + "a", lambda: x + 1j):
        with pytest.raises(Unsupported):
            wrong()
    assert price(OPS["exp"], [Abstract((3,), np.complex64)], {}) is None
    assert price(OPS["bitwise_and"], [Abstract((3,), np.float32)] * 2, {}) is None
