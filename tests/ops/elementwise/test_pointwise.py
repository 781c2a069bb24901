"""Elementwise operations: values, dtypes, errors and gradients as PyTorch's."""

import math
import operator

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend.numpy import where
from tests.ops.parity import ALL, FLOATS, check, check_gradients

UNARY = """abs absolute acos acosh angle asin asinh atan atanh bitwise_not ceil cos cosh deg2rad erf exp exp2
    expm1 floor frac isfinite isinf isnan isneginf isposinf isreal log log10 log1p log2 logical_not logit
    nan_to_num neg negative positive rad2deg reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc
    sinh sqrt square tan tanh trunc fix""".split()  # noqa: SIM905
BINARY = """add sub mul div true_divide floor_divide remainder fmod pow maximum minimum fmax fmin eq ne lt le
    gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift
    bitwise_right_shift atan2 hypot copysign logaddexp logaddexp2 xlogy gcd lcm float_power isclose""".split()  # noqa: SIM905
OTHERS = """torch.div(x, y, rounding_mode="floor")|torch.div(x, y, rounding_mode="trunc")|x.addcmul(x, y)
    x.addcmul(x, y, value=2)|x.addcmul(x, y, value=0.5)|x.addcdiv(x, y)|x.addcdiv(x, y, value=2)
    torch.add(x, y, alpha=2)|torch.add(x, y, alpha=0.5)|torch.sub(x, y, alpha=3)|torch.add(x, y, alpha=True)
    torch.clamp(x, 0, 2)|torch.clamp(x, -0.5)|torch.clamp(x, max=1)|torch.clamp(x, y)|torch.clamp(x, max=y)
    torch.clamp(x, y, y + 1)|torch.clamp(x, 2, 0)|torch.clamp_min(x, 1)|torch.clamp_max(x, y)|x.clip(0, 1)
    torch.clamp(x)|torch.clamp(x, 0, y)|x.round(decimals=1)|x.round(decimals=-1)|torch.logit(x, 0.1)
    torch.nan_to_num(x, 1.0, 2.0, 3.0)|torch.lerp(x, y, 0.3)|torch.lerp(x, y, y)|+x|-x|~x|abs(x)
    x**0.5|x**-1|x**-0.5|x**0|2**x|(-2) ** x|1.5**x|torch.xlogy(2, x)|torch.float_power(2, x)|torch.real(x)
    torch.imag(x)|x.conj()|torch.view_as_real(x)|torch.complex(x, y)|torch.fmod(x, 0)|torch.pow(2, 3)
    torch.add(2, x)|torch.sub(2, x)|torch.remainder(2, x)|torch.maximum(2, x)|torch.eq(2, x)"""
OTHERS = [e.strip() for line in OTHERS.splitlines() for e in line.split("|")]
IN_PLACE = """abs_() ceil_() exp_() neg_() relu_() round_() sigmoid_() sign_() sqrt_() logical_not_() add_(y) sub_(1)
    mul_(2.5) div_(2) add_(True) pow_(2) floor_divide_(2) remainder_(3) eq_(2) lt_(y) logical_and_(y) copysign_(-1)
    clamp_(0,1) clamp_(0.5) clip_(0,1) lerp_(y,0.5) addcmul_(x,y) addcdiv_(x,y) bitwise_and_(y) fmod_(2) xlogy_(y)
    nan_to_num_() float_power_(2) atan2_(y) true_divide_(2) square_() frac_()""".split()  # noqa: SIM905


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ALL)
def test_values_dtypes_and_refusals(dtype):
    expressions = [f"torch.{u}(x)" for u in UNARY] + [f"torch.{b}(x, y)" for b in BINARY] + OTHERS
    expressions += [f"x.{e}" for e in IN_PLACE]
    for e in expressions:
        # PyTorch's halves alone have a complex type, and make inf of -0.0.
        if dtype != "float16" or e not in ("x**-0.5", "torch.complex(x, y)"):
            check(e, dtype)


@pytest.mark.parity
@pytest.mark.parametrize(
    "dtype", [d for d in ALL if d != "float16"]
)  # PyTorch alone has complex halves
def test_operators_with_numbers(dtype):
    symbols = "+ - * / // % ** == != < > <= >= & | ^ << >>".split()  # noqa: SIM905
    for number in ("2", "-3", "2.5", "True", "1j", "300", "0"):
        for s in symbols:
            check(f"x {s} {number}", dtype)
            if s not in ("<", ">", "<=", ">=") and (number, s) != ("0", "**"):
                check(f"({number}) {s} x", dtype)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ALL)
def test_pairs_of_dtypes(dtype):
    expressions = """x + y|x * y|x / y|x == y|x < y|torch.maximum(x, y)|x // y|x & y|x % y|x.add_(y)|torch.isclose(x, y)
        torch.logical_or(x, y)|torch.copysign(x, y)|x << y|x - y|torch.where(x == 1, x, y)""".replace(
        "\n", "|"
    ).split("|")
    for other in ALL:
        for e in expressions:
            check(e.strip(), dtype, other)
        if "float16" not in (dtype, other) or "complex" not in dtype + other:
            check("x[0, 0] + y", dtype, other)
            check("x + y[0, 0]", dtype, other)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_infinities_and_zeros(dtype):
    expressions = [f"torch.{u}(x)" for u in UNARY if u not in ("bitwise_not", "signbit")]
    expressions += [
        f"torch.{b}(x, y)" for b in BINARY if not b.startswith(("bitwise", "gcd", "lcm"))
    ]
    expressions += [
        "x**2",
        "x**0.5",
        "x**-0.5",
        "x**-1",
        "x.clamp(-1, 1)",
        "x.clamp(max=y)",
        "torch.isclose(x, y, equal_nan=True)",
    ]
    for e in expressions:
        check(e, dtype, special=True)


_rng = np.random.default_rng(0)
X, Y = _rng.uniform(-2, 2, (3, 4)), _rng.uniform(-2, 2, (3, 4))
P, Q = _rng.uniform(0.1, 0.9, (3, 4)), _rng.uniform(1.1, 3, (3, 4))
C, D = X + 1j * Y, Q - 1j * X
EDGES = np.array([[0.0, 1.0, 1, -1], [0.5, -0.5, 3, -3], [2, -2, 20, -20]])
TIES = np.array([[0.0, 1, 1, -1], [0.5, 0.5, -3, -3], [2, 2, -20, 0]])
SMOOTH = "acos asin atan cos cosh exp exp2 expm1 neg reciprocal sgn sigmoid sin sinc sinh sqrt square tan tanh asinh atanh log log10 log1p log2 rsqrt abs angle".split()  # noqa: SIM905
STEPS = "ceil floor frac round sign trunc nan_to_num relu logit erf deg2rad rad2deg".split()  # noqa: SIM905
RULED = "add sub mul div remainder fmod pow maximum minimum fmax fmin atan2 hypot copysign logaddexp logaddexp2 xlogy".split()  # noqa: SIM905
EDGY = """x.clamp(-1, 2)|x.clamp_min(0.5)|x.clamp(0, 0)|x.clamp(2, -2)|x**2|x**0|x**1|x**0.5|2**x|0**x|torch.xlogy(x, 2)
    torch.xlogy(0, x)|x.clamp(max=-1)|torch.copysign(x, 1.0)|x % 2|torch.clamp(x, y, y + 1)|torch.clamp(x, max=y)
    torch.clamp_min(x, y)|torch.where(x > 0, x, y)|abs(x)|x.relu()|x.sqrt()|x.sign()""".replace(
    "\n", "|"
).split("|")


@pytest.mark.parity
@pytest.mark.parametrize("name", SMOOTH + STEPS)
def test_gradients_of_one_input(name):
    check_gradients(f"torch.{name}(x)", x=P)
    if name in SMOOTH:
        check_gradients(f"torch.{name}(x)", x=C)


@pytest.mark.parity
@pytest.mark.parametrize("name", RULED)
def test_gradients_of_two_inputs(name):
    check_gradients(f"torch.{name}(x, y)", x=P, y=Q[0])
    check_gradients(f"torch.{name}(x, y)", x=EDGES, y=TIES, second=False)
    if name in ("add", "sub", "mul", "div", "pow"):
        check_gradients(f"torch.{name}(x, y)", x=C, y=D)
        check_gradients(f"torch.{name}(x, y)", x=Q, y=C[0])


@pytest.mark.parity
def test_subgradients_at_edges_and_ties():
    for e in EDGY:
        check_gradients(e.strip(), x=EDGES, y=TIES, second=False)


@pytest.mark.parity
def test_gradients_with_numbers():
    for e in ("2 - x", "2 / x", "x**3", "x**-2", "x**2.5", "2**x", "x % 2", "x.fmod(2)", "torch.xlogy(2, x)", "x.clamp(0.2, 0.5)",
              "torch.addcmul(x, y, z, value=2)", "torch.addcdiv(x, y, z)", "torch.lerp(x, y, 0.7)", "torch.lerp(x, y, z)",
              "x.round(decimals=1)", "torch.div(x, 2, rounding_mode='floor')", "x // 1"):  # fmt: skip
        arrays = {k: v for k, v in {"x": P, "y": Q, "z": Q[::-1].copy()}.items() if k in e}
        if e != "x // 1":
            check_gradients(e, **arrays)
    with pytest.raises(RuntimeError, match="not implemented"):
        (torch.ones(2, requires_grad=True) // 2).sum().backward()


# Without PyTorch ---------------------------------------------------------------------------


def test_operators_leave_strangers_to_their_class():
    class Stranger:
        __add__ = __radd__ = __rmul__ = __rpow__ = __rmod__ = lambda self, other: "theirs"

    x = torch.ones(2)
    assert x + Stranger() == x * Stranger() == x ** Stranger() == x % Stranger() == "theirs"
    assert (x == None) is False and (x != "a") is True  # noqa: E711
    for op in (
        operator.add,
        operator.truediv,
        operator.pow,
        operator.and_,
        operator.lt,
        operator.iadd,
    ):
        with pytest.raises(TypeError):
            op(torch.ones(2), "a")


@pytest.mark.parametrize("make, error, words", [
    (lambda: torch.tensor([1]) // 0, RuntimeError, "ZeroDivisionError"),
    (lambda: torch.tensor([1]) ** -1, RuntimeError, "negative integer powers"),
    (lambda: torch.tensor([True]) - True, RuntimeError, "bool"),
    (lambda: torch.tensor([1, 2]).add_(0.5), RuntimeError, "can't be cast"),
    (lambda: torch.ones(2, 3) + torch.ones(2), RuntimeError, r"\(2, 3\).*\(2,\)|size"),
    (lambda: torch.ones(2).clamp(), RuntimeError, "At least one"),
    (lambda: torch.ones(2).bitwise_not(), NotImplementedError, "bitwise_not"),
    (lambda: torch.ones(2) < torch.ones(2, dtype=torch.cfloat), RuntimeError, "complex"),
    (lambda: torch.add(torch.tensor([1]), 1, alpha=0.5), RuntimeError, "alpha"),
    (lambda: torch.isclose(torch.ones(1), torch.ones(1).double()), RuntimeError, "dtype"),
])  # fmt: skip
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_the_power_of_two_is_exact_and_the_type_stays():
    x = torch.tensor([3.0, -1.5])
    assert (x**2).tolist() == [9.0, 2.25] and (x**2).dtype is torch.float32
    assert (torch.tensor([3], dtype=torch.uint8) ** 2).dtype is torch.uint8


@pytest.mark.parametrize("number", [torch.float32, torch.int64])
def test_the_gradient_of_an_exponent_is_as_precise_as_the_result(number):
    x = torch.tensor(2.5).to(number)
    y = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (x**y).backward()
    assert y.grad.item() == pytest.approx(x.item() ** 0.7 * math.log(x.item()), rel=1e-14)


@pytest.mark.parametrize("dtype", ["f", "d", "i8", "i4", "u1", "?", "f2", "F"])
def test_where_by_bits_equals_numpy(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 70, 80)).astype(dtype)
    c = rng.random((70, 80)) < 0.5
    for x, y in (
        (a, b),
        (a, 0),
        (0, b),
        (a, a.dtype.type(1)),
        (a[0], b),
        (a, b[0, 0]),
        (a.T.copy().T, b),
    ):
        got, want = where(c, x, y), np.where(c, x, y)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", FLOATS)
def test_in_place_through_a_view(dtype):
    x = torch.zeros(2, 3, dtype=getattr(torch, dtype))
    x.t()[1].add_(2).mul_(3)
    assert x.tolist() == [[0, 6, 0], [0, 6, 0]]


def test_a_negative_float_is_no_factor_of_unsigned_numbers():
    x = torch.ones(2, dtype=torch.uint8)
    assert torch.addcmul(x, x, x, value=-1).tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.addcmul(x, x, x, value=-0.5)
    with pytest.raises(RuntimeError, match="without overflow"):
        x.fill_(-1.0)
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.nn.functional.pad(x, (1, 1), value=-1)  # whose value is a float in PyTorch
    with pytest.raises(RuntimeError, match="complex"):
        torch.isin(x, x.cfloat())


def test_numbers_that_divide_half_precision_are_of_half_precision():
    x = torch.tensor([-9.0], dtype=torch.float16)
    assert (x % 0.1).item() == 0.0977783203125  # PyTorch's
    assert torch.fmod(x, 0.1).item() == -0.002197265625


def test_the_slope_of_sinc_at_0_is_0_whatever_comes():
    x = torch.tensor([0.0], requires_grad=True)
    (x.sinc() * torch.nan).sum().backward()
    assert x.grad.item() == 0


def test_nothing_is_rolled_along_any_dim():
    assert torch.zeros(0, 2).roll((1, 2), (5, 6)).shape == (0, 2)


def test_the_sign_of_tiny_complex_numbers():
    assert torch.tensor(1e-41 + 0j).sgn().item() == 1


def test_the_slope_of_acosh_is_that_of_its_formula():
    x = torch.tensor([-1.0, 1.0, -2.0, 0.5], requires_grad=True)
    x.acosh().sum().backward()
    assert x.grad[:2].isinf().all() and x.grad[3].isnan()
    assert x.grad[2].item() == pytest.approx(3**-0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_no_running_sum_is_negative_zero(dtype):
    x = torch.tensor([-0.0, -0.0, 1.0]).to(dtype)
    for run in (torch.cumsum, torch.compile(lambda x, dim: x.cumsum(dim))):
        assert not torch.signbit(run(x, 0)).any()


def test_gradients_beside_narrow_integers_do_not_wrap():
    x = torch.ones(2, requires_grad=True)
    narrow = torch.tensor([100, 3]).to(torch.int8)
    torch.addcmul(torch.zeros(2), x, narrow, value=2).sum().backward()
    assert x.grad.tolist() == [200.0, 6.0]
    y = torch.ones(2, requires_grad=True)
    unsigned = torch.tensor([3, 4]).to(torch.uint32)
    torch.addcdiv(y, unsigned, y, value=-1).sum().backward()
    assert y.grad.tolist() == [4.0, 5.0]


def test_a_slope_with_a_graph_where_the_other_operand_is_a_number():
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.special.xlog1py(x, 2), x, create_graph=True)
    assert slope.item() == pytest.approx(np.log(3))


def test_derivatives_of_sinc_at_0():
    x = torch.tensor([0.0, 1e-9, 0.5], dtype=torch.float64)
    slope, curvature = -4 / torch.pi, 16 / torch.pi - 2 * torch.pi
    assert torch.func.jvp(torch.sinc, (x,), (torch.ones_like(x),))[1].tolist() == pytest.approx(
        [0, -(torch.pi**2) / 3 * 1e-9, slope]
    )
    second = torch.func.hessian(lambda x: x.sinc().sum())(x).diagonal()
    assert second.tolist() == pytest.approx([-(torch.pi**2) / 3] * 2 + [curvature])
