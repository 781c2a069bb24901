"""Every dtype, alone and in pairs, with numbers and 0-dim tensors: dtype, values or refusal as PyTorch's."""

import itertools
import pickle

import numpy as np
import pytest

import rushlight as torch


def _names(listed):
    return listed.split()


DTYPES = _names(
    "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128 complex32"
)
if not hasattr(torch, "complex32"):  # it needs ml_dtypes 0.6
    DTYPES.remove("complex32")
NUMBERS = (True, 3, -2, 0.5, 1 + 1j)
UNARY = _names(
    "abs acos acosh angle asin asinh atan atanh bitwise_not ceil clone conj cos cosh deg2rad erf exp "
    "exp2 expm1 floor frac isfinite isinf isnan isneginf isposinf isreal log log10 log1p log2 "
    "logical_not logit nan_to_num neg nonzero positive rad2deg reciprocal relu round rsqrt sgn "
    "sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc"
)
BINARY = _names(
    "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign "
    "div eq float_power floor_divide fmax fmin fmod gcd ge gt hypot isclose lcm le logaddexp "
    "logaddexp2 logical_and logical_or logical_xor lt maximum minimum mul ne outer pow remainder sub "
    "true_divide xlogy"
)
REDUCTIONS = dict.fromkeys(_names(
        "all amax amin aminmax any argmax argmin argsort count_nonzero logsumexp max mean median min "
        "nanmean nanmedian nansum prod sort std std_mean sum var var_mean"
    ), ((), (0,))) | {
    "norm": ((), (1, 0), (0, 0)), "kthvalue": ((2,),), "bincount": ((),), "histc": ((),), "unique": ((),), "msort": ((),),
    **dict.fromkeys(["cummax", "cummin", "cumprod", "cumsum", "log_softmax", "logcumsumexp", "softmax"], ((0,),)),
}  # fmt: skip


def _made(t, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    unsigned = dtype in ("bool", "uint8")
    values = rng.permutation(7)[: shape[0] if shape else 1] - (0 if unsigned else 3)
    values = values.reshape(shape)
    if dtype.startswith(("float", "bfloat", "complex")):
        values = values + 0.25
    if dtype.startswith("complex"):
        values = values + 0.5j * rng.integers(-2, 3, shape)
    return t.tensor(values.tolist(), dtype=getattr(t, dtype))


def _outcome(t, call):
    try:
        return call(t)
    except Exception as error:
        return error


def _array(x):
    x = x.detach()
    x = x.float() if str(x.dtype) == "torch.bfloat16" else x
    x = x.cfloat() if str(x.dtype) == "torch.complex32" else x
    return x.resolve_conj().numpy()


def _difference(got, want):
    """None where two outcomes agree, else what differs."""
    if isinstance(want, Exception):
        return None if isinstance(got, type(want)) else f"{got!r}, expected {want!r}"
    if isinstance(got, Exception):
        return f"{got!r}, expected {want}"
    if isinstance(want, tuple):
        return next(filter(None, map(_difference, got, want)), None)
    if str(got.dtype) != str(want.dtype) or tuple(got.shape) != tuple(want.shape):
        return f"{got.dtype} {tuple(got.shape)}, expected {want.dtype} {tuple(want.shape)}"
    tolerance = {"torch.float16": 2e-3, "torch.complex32": 2e-3, "torch.bfloat16": 1.6e-2}.get(
        str(want.dtype), 1e-5
    )
    if np.allclose(_array(got), _array(want), tolerance, tolerance, equal_nan=True):
        return None
    return f"{got}, expected {want}"


def _compare(cases):
    """Run each (description, call) under both frameworks; all must agree."""
    peer = pytest.importorskip("torch")
    found = []
    for what, call in cases:
        want = _outcome(peer, call)
        if isinstance(want, Exception) and "ComplexHalf" in str(want):
            continue  # PyTorch has kernels for some operations on complex32, rushlight for all
        difference = _difference(_outcome(torch, call), want)
        if difference:
            found.append(f"{what}: {difference}")
    assert not found, "\n".join(found)


def _operands():
    """(description, maker of two operands), in every pairing of dtypes, dims and numbers."""
    for a in DTYPES:
        for b in DTYPES:
            # Two 0-dim tensors promote as two with dims do: a few pairs are enough.
            alike = [((), ())] if a[-1] == b[-1] else []
            for left, right in [((7,), (7,)), ((7,), ()), *alike]:
                yield (
                    f"{a} {left}, {b} {right}",
                    lambda t, a=a, b=b, s=left, r=right: (_made(t, a, s, 1), _made(t, b, r, 2)),
                )
        for n in NUMBERS:
            yield f"{a} (7,), {n}", lambda t, a=a, n=n: (_made(t, a, (7,), 1), n)
            yield f"{a} (), {n}", lambda t, a=a, n=n: (_made(t, a, (), 1), n)
            yield f"{n}, {a} (7,)", lambda t, a=a, n=n: (n, _made(t, a, (7,), 1))


pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    cases = [
        (f"{n} of {d} {s}", lambda t, d=d, s=s, n=n: getattr(_made(t, d, s, 1), n)())
        for n in (name, name + "_")
        if hasattr(torch.Tensor, n)
        for d in DTYPES
        for s in ((7,), ())
    ]
    _compare(cases)


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    _compare(
        [(what, lambda t, make=make: getattr(t, name)(*make(t))) for what, make in _operands()]
    )


@pytest.mark.parametrize("name", [n for n in BINARY if hasattr(torch.Tensor, n + "_")])
def test_binary_in_place(name):
    def written(make):
        def call(t):
            x, y = make(t)
            return getattr(x, name + "_")(y)

        return call

    makers = [(what, make) for what, make in _operands() if what[0].isalpha() and what[0].islower()]
    _compare([(what, written(make)) for what, make in makers[::5]])


def test_where():
    def call(make):
        return lambda t: t.where(t.tensor([True, False, True, True, False, False, True]), *make(t))

    _compare([(what, call(make)) for what, make in _operands()])


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name):
    _compare(
        [
            (f"{d} {args}", lambda t, d=d, args=args: getattr(t, name)(_made(t, d, (5,), 1), *args))
            for d in DTYPES
            for args in REDUCTIONS[name]
        ]
    )


FLOAT8 = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]


@pytest.mark.parametrize("name", FLOAT8)
def test_many_numbers_of_8_bits(name):
    """No kernel computes with them, though NumPy's kind of float8_e5m2 is "f"."""
    x = torch.tensor([1.0, 0.25, 2.0, 4.0]).repeat(1 << 15).to(getattr(torch, name))
    y, chosen = x.flip(0), x.float() > 1
    assert (torch.where(chosen, x, y).float() == torch.where(chosen, x.float(), y.float())).all()
    for call in (lambda: x + x, lambda: x.exp(), lambda: x.sum(), lambda: x.mean()):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize("name", FLOAT8)
def test_numbers_of_8_bits_are_stored_and_not_computed(name):
    x = torch.tensor([1.0, 0.25, 2.0]).to(getattr(torch, name))
    assert x.float().tolist() == [1.0, 0.25, 2.0]
    assert x[[0, 2]].double().tolist() == torch.cat([x[:1], x[2:]]).double().tolist() == [1.0, 2.0]
    assert (x == x).all() and x.view(torch.uint8).view(x.dtype).tolist() == x.tolist()
    for call in (lambda: x + x, lambda: x / 2, lambda: x.exp(), lambda: x.sum(), lambda: -x):
        with pytest.raises(NotImplementedError, match="only stores numbers"):
            call()
    with pytest.raises(NotImplementedError, match="only stores numbers"):
        x.add_(2)
    with pytest.raises(RuntimeError, match="Promotion"):
        torch.cat([x, torch.ones(1)])
    with pytest.raises(TypeError, match="unsupported ScalarType"):
        x.numpy()


def test_what_8_bits_cannot_hold():
    x = torch.tensor([1000.0, float("inf"), float("nan"), -3.0, 0.0])
    text = lambda name: str(x.to(getattr(torch, name)).tolist())
    assert text("float8_e4m3fn") == "[448.0, 448.0, nan, -3.0, 0.0]"
    assert text("float8_e4m3fnuz") == "[nan, nan, nan, -3.0, 0.0]"
    assert text("float8_e5m2") == "[1024.0, inf, nan, -3.0, 0.0]"
    assert text("float8_e8m0fnu") == "[1024.0, nan, nan, 4.0, 5.877471754111438e-39]"


def test_made_of_what_8_bits_cannot_hold():
    for name, value, want in [
        ("float8_e4m3fn", 1000.0, 448.0), ("float8_e4m3fn", -500.0, -448.0), ("float8_e5m2", 1e9, float("inf")),
        ("float8_e8m0fnu", 0.0, 2.0**-127), ("float8_e8m0fnu", -3.0, 4.0),
    ]:  # fmt: skip
        dtype = getattr(torch, name)
        assert torch.tensor([value], dtype=dtype).tolist() == [want]
        assert (
            torch.tensor(value, dtype=dtype).item() == torch.tensor(value).to(dtype).item() == want
        )
    x = torch.ones(2, dtype=torch.float8_e8m0fnu)
    assert x.zero_().tolist() == x.fill_(0).tolist() == [2.0**-127] * 2
    assert torch.ones(2).to(x.dtype).ne_(1).tolist() == [2.0**-127] * 2


CALLS8 = {
    "mul": lambda t, x, y: x * y,
    "mul_": lambda t, x, y: x.clone().mul_(y),
    "abs": lambda t, x, y: x.abs(),
    "where": lambda t, x, y: t.where(t.tensor([[True, False, True]]), x, y),
    "where number": lambda t, x, y: x.where(t.tensor([[True, False, True]]), 2.0),
    "mm": lambda t, x, y: x @ y.t(),
    "linear": lambda t, x, y: t.nn.functional.linear(x, y),
    "addmm": lambda t, x, y: t.addmm(x[:, :2], x, y.t()),
    "outer": lambda t, x, y: t.outer(x[0], y[0]),
    "kron": lambda t, x, y: t.kron(x, y),
    "inner": lambda t, x, y: t.inner(x, y),
    "pow": lambda t, x, y: x.pow(1),
    "equal": lambda t, x, y: t.stack([x == y, x != y]),
    "copy_": lambda t, x, y: x.clone().copy_(t.tensor([1000.0, 0.1, -3.3])),
    "eq_": lambda t, x, y: x.clone().eq_(y),
    "float_power": lambda t, x, y: x.float_power(t.tensor([1.0, 2.0, 0.5])),
    "scaled": lambda t, x, y: t._scaled_mm(x, y.t(), t.tensor(2.0), t.tensor(0.5)),
    "scaled rows": lambda t, x, y: t._scaled_mm(
        x, y.t(), t.tensor([[1.0], [3.0]]), t.tensor([[0.5, 2.0]]), bias=t.tensor([1.0, -1.0]), out_dtype=t.float32
    ),
}  # fmt: skip
ANSWERS8 = {  # PyTorch 2.13's of the operands below, in float8_e4m3fn
    "mul": [[1.5, -1.25, 448], [0.125, 9, -1.25]], "where": [[1.5, 0.5, 288], [0.25, 3, -2]],
    "mm": [[448, 176], [-40, 8]], "scaled": [[448, 176], [-40, 8]],
}  # fmt: skip


def _operands8(t, name):
    dtype = getattr(t, name)
    return (
        t.tensor([[1.5, -2.5, 300], [0.25, 3, -2]]).to(dtype),
        t.tensor([[1, 0.5, 20], [0.5, 3, 0.625]]).to(dtype),
    )


@pytest.mark.parametrize("name", ANSWERS8)
def test_computed_in_8_bits(name):
    found = CALLS8[name](torch, *_operands8(torch, "float8_e4m3fn"))
    assert found.dtype is torch.float8_e4m3fn and found.tolist() == ANSWERS8[name]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize("name", CALLS8)
def test_computed_in_8_bits_as_pytorch(name, dtype):
    peer = pytest.importorskip("torch")
    want = _outcome(peer, lambda t: CALLS8[name](t, *_operands8(t, dtype)))
    found = _outcome(torch, lambda t: CALLS8[name](t, *_operands8(t, dtype)))
    if isinstance(want, Exception):  # rushlight may compute it
        assert isinstance(want, (NotImplementedError, ValueError, RuntimeError))
        return
    assert str(found.dtype) == str(want.dtype)
    found, want = found.double().numpy(), want.double().numpy()
    if name == "scaled":  # beyond the range oneDNN gives nan or the largest number, by processor
        want = np.where(
            np.isnan(want) & (found == torch.finfo(getattr(torch, dtype)).max), found, want
        )
    np.testing.assert_array_equal(found, want)


def test_scaled_mm_refuses():
    x = torch.ones(2, 2).to(torch.float8_e5m2)
    one = torch.tensor(1.0)
    for arguments in [
        (x.float(), x, one, one),
        (x, x, one.double(), one),
        (x, x, torch.ones(3), one),
    ]:
        with pytest.raises(ValueError, match="Invalid scaling configuration"):
            torch._scaled_mm(*arguments)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        torch._scaled_mm(x, x[:1], one, one)
    with pytest.raises(RuntimeError, match="Bias must be size 2"):
        torch._scaled_mm(x, x, one, one, bias=torch.ones(3))


def _by_recipes(t, dtype):
    """Results and errors of ``scaled_mm`` with every recipe, scale and contraction."""
    F = t.nn.functional
    whole, rows, block = [
        getattr(F.ScalingType, n) for n in ("TensorWise", "RowWise", "BlockWise1x128")
    ]
    x = t.arange(-8.0, 8).reshape(4, 4).to(getattr(t, dtype))
    y = t.arange(32.0).reshape(4, 8).cos().to(getattr(t, dtype))
    half, two = t.tensor(0.5), t.full((1, 1), 2.0)
    column, row = t.arange(1.0, 5).reshape(4, 1), t.arange(1.0, 9).reshape(1, 8)
    calls = {
        "whole": lambda: F.scaled_mm(x, y, half, whole, two, whole),
        "rows": lambda: F.scaled_mm(x, y, column, rows, row, rows, output_dtype=t.float32),
        "rows of a column": lambda: F.scaled_mm(x, y, column, rows, row.T.contiguous(), rows),
        "lists": lambda: F.scaled_mm(x, y, [half], [whole], [two], [whole], output_dtype=t.float32),
        "bias": lambda: F.scaled_mm(x, y, half, whole, two, whole, bias=t.ones(8).bfloat16()),
        "swizzled": lambda: F.scaled_mm(
            x, y, half, whole, two, whole, F.SwizzleType.NO_SWIZZLE, F.SwizzleType.SWIZZLE_32_4_4
        ),
        "dims": lambda: F.scaled_mm(x, y, half, whole, two, whole, contraction_dim=[1, 0]),
        "first dims": lambda: F.scaled_mm(x, y, half, whole, two, whole, contraction_dim=[0, 0]),
        "one dim": lambda: F.scaled_mm(x, y, half, whole, two, whole, contraction_dim=[1]),
        "wrong dims": lambda: F.scaled_mm(x, y, half, whole, two, whole, contraction_dim=[1, 1]),
        "vector": lambda: F.scaled_mm(x[0], y, half, whole, two, whole),
        "shapes": lambda: F.scaled_mm(x, y[:3], half, whole, two, whole),
        "mixed": lambda: F.scaled_mm(x, y, half, whole, row, rows),
        "blocks": lambda: F.scaled_mm(x, y, half, block, two, block),
        "two scales": lambda: F.scaled_mm(x, y, [half, half], [whole, whole], two, whole),
        "float64": lambda: F.scaled_mm(x, y, half.double(), whole, two, whole),
        "float32": lambda: F.scaled_mm(x.float(), y.float(), half, whole, two, whole),
        "many": lambda: F.scaled_mm(x, y, column, whole, two, whole),
        "turned": lambda: F.scaled_mm(x, y, column.T, rows, row, rows),
        "number": lambda: (int(rows), rows.name, rows == 1, repr(block)),
    }  # fmt: skip
    found = {}
    for name, call in calls.items():
        try:
            result = call()
            kept = isinstance(result, tuple)
            found[name] = result if kept else (str(result.dtype), result.double().tolist())
        except Exception as error:
            words = str(error).splitlines()[0] if "Invalid" not in str(error) else "Invalid scaling"
            found[name] = type(error).__name__, words
    return found


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_scaled_mm_by_recipes(dtype):
    want = _by_recipes(pytest.importorskip("torch"), dtype)
    assert _by_recipes(torch, dtype) == want


@pytest.mark.parity
@pytest.mark.parametrize("name", FLOAT8)
def test_all_numbers_become_pytorchs_8_bits(name):
    pt = pytest.importorskip("torch")
    bits = np.random.default_rng(0).integers(0, 2**32, 50_000, dtype=np.uint32)
    for a in (np.arange(65536, dtype=np.uint16).view(np.float16), bits.view(np.float32)):
        found = torch.from_numpy(a.copy()).to(getattr(torch, name))
        want = pt.from_numpy(a.copy()).to(getattr(pt, name))
        np.testing.assert_array_equal(found.float().numpy(), want.float().numpy())


def test_limits_are_equal_by_their_dtypes():
    assert torch.finfo(torch.float32) == torch.finfo() == torch.finfo(torch.complex64)
    assert torch.iinfo(torch.int8) != torch.iinfo(torch.uint8)
    assert len({torch.iinfo(torch.int8), torch.iinfo(torch.int8)}) == 1


@pytest.mark.parametrize(
    ("kind", "d"),
    [(bool, torch.bool), (int, torch.int64), (float, torch.float64), (complex, torch.complex128)],
)
def test_types_of_python_stand_for_dtypes(kind, d):
    x = torch.ones(2)
    found = [
        torch.zeros(2, dtype=kind), torch.tensor([1], dtype=kind), torch.full((), 1, dtype=kind),
        torch.zeros_like(x, dtype=kind), torch.as_tensor([1], dtype=kind), torch.eye(2, dtype=kind),
        torch.asarray([1], dtype=kind), x.new_ones(2, dtype=kind), x.to(kind), x.to("cpu", kind),
        x.to(dtype=kind), x.sum(dtype=kind), torch.empty(16, dtype=torch.uint8).view(kind),
    ]  # fmt: skip
    assert {t.dtype for t in found} == {d}


def test_functions_of_dtypes_take_types_of_python():
    assert torch.finfo(float).dtype == "float64" and torch.iinfo(int).dtype == "int64"
    assert torch.promote_types(int, torch.float16) is torch.float16
    assert torch.can_cast(int, float) and not torch.can_cast(torch.float32, bool)
    assert torch.softmax(torch.ones(2), 0, float).dtype is torch.float64
    assert torch.nn.functional.softmax(torch.ones(2), 0, dtype=float).dtype is torch.float64
    assert torch.nn.Linear(1, 1, dtype=float).to(torch.float32).to(float).weight.dtype.itemsize == 8
    for wrong in (lambda: torch.zeros(2, dtype=str), lambda: torch.set_default_dtype(float)):
        with pytest.raises(TypeError):
            wrong()


def test_integers_of_less_than_a_byte_are_names():
    kinds = [getattr(torch, f"{kind}{n}") for kind in ("int", "uint") for n in range(1, 8)]
    assert [d.is_signed for d in kinds] == [True] * 7 + [False] * 7 and len({*kinds}) == 14
    for d in kinds:
        assert pickle.loads(pickle.dumps(d)) is d and repr(d) == f"torch.{d.name}"
        assert d.itemsize == 1 and not d.is_floating_point and not d.is_complex
        for make in (lambda: torch.zeros(2, dtype=d), lambda: torch.ones(2).to(d)):  # noqa: B023
            with pytest.raises(NotImplementedError, match="only a name"):
                make()


def test_every_promotion_is_pytorchs_and_raises_where_pytorchs_does():
    pt = pytest.importorskip("torch")
    names = _names("""bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64
        complex64 complex128""")
    for a, b in itertools.product(names, names):
        try:
            expected = str(pt.promote_types(getattr(pt, a), getattr(pt, b)))
        except RuntimeError:
            with pytest.raises(RuntimeError, match="is not defined"):
                torch.promote_types(getattr(torch, a), getattr(torch, b))
        else:
            assert str(torch.promote_types(getattr(torch, a), getattr(torch, b))) == expected


def test_unsigned_tensors_do_not_take_bytes_or_bools_in_silence():
    wide, small = torch.ones(2, dtype=torch.uint16), torch.ones(2, dtype=torch.uint8)
    for other in (small, small.bool()):
        with pytest.raises(RuntimeError, match="is not defined"):
            torch.where(other.bool(), wide, other)
        with pytest.raises(RuntimeError, match="is not defined"):
            torch.cat([wide, other])
    assert (wide + 1).dtype is torch.uint16
    assert torch.result_type(wide, 1j) is torch.complex64


def test_result_type_of_sparse_tensors():
    s = torch.eye(2).to_sparse()
    assert torch.result_type(torch.eye(2, dtype=torch.float64), s) is torch.float64
    assert torch.result_type(s, torch.eye(2, dtype=torch.int64)) is torch.float32
    assert torch.result_type(s.to(torch.int64), 1.5) is torch.float32
    assert torch.result_type(s, torch.tensor(1.0, dtype=torch.float64)) is torch.float32
    assert torch.result_type(s.double().to_sparse_csr(), s) is torch.float64
