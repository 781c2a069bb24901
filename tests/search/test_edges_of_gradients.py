"""Functions and their gradients at zeros, infinities, nan and numbers far apart."""

import itertools
import math
import warnings

import numpy as np
import pytest

import rushlight

inf, nan = math.inf, math.nan

_NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 100.0, -100.0, 1e4, -1e4, 1e38, inf, -inf, nan]
_PAIRS = np.array(list(itertools.product(_NUMBERS, _NUMBERS)), np.float32).T

_UNARY = [
    "abs", "acos", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "erfc",
    "erfinv", "exp", "exp2", "expm1", "floor", "frac", "log", "log10", "log1p", "log2", "logit",
    "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "square",
    "tan", "tanh", "trunc", "relu", "nan_to_num", "deg2rad", "rad2deg", "sinc", "positive",
    "special.entr", "special.ndtri", "special.i0e", "nn.functional.leaky_relu",
    "nn.functional.hardsigmoid", "nn.functional.mish", "nn.functional.logsigmoid",
    "nn.functional.silu", "nn.functional.softplus", "nn.functional.softsign",
    "nn.functional.tanhshrink",
]  # fmt: skip
_BINARY = [
    "add", "sub", "mul", "div", "pow", "atan2", "hypot", "maximum", "minimum", "fmax", "fmin",
    "copysign", "xlogy", "special.xlog1py", "logaddexp", "float_power", "remainder", "fmod",
    "nn.functional.smooth_l1_loss", "nn.functional.huber_loss", "nn.functional.l1_loss",
    "nn.functional.poisson_nll_loss",
]  # fmt: skip
_OTHERS = {
    "kl_div": lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="none"),
    "kl_div of logarithms": lambda t, x, y: t.nn.functional.kl_div(
        x, y, reduction="none", log_target=True
    ),
    "cross entropy of logits": lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(
        x, y, reduction="none"
    ),
    "cross entropy": lambda t, x, y: t.nn.functional.binary_cross_entropy(
        x.clamp(0, 1).nan_to_num(), y.clamp(0, 1).nan_to_num(), reduction="none"
    ),
    "xlogy of numbers": lambda t, x, y: t.xlogy(x, 2.0) + t.xlogy(x, 0.0) + t.xlogy(0.0, y),
    "powers by numbers": lambda t, x, y: x**0 + y**2 + t.pow(0.0, y),
    "clamp": lambda t, x, y: t.clamp(x, y), "lerp": lambda t, x, y: t.lerp(x, y, 0.3),
    "where": lambda t, x, y: t.where(x > y, x, y), "addcdiv": lambda t, x, y: t.addcdiv(x, x, y),
    "division to whole numbers": lambda t, x, y: (
        t.div(x, y, rounding_mode="floor") + t.div(x, y, rounding_mode="trunc")
    ),
}  # fmt: skip


def _named(torch, path):
    for name in path.split("."):
        torch = getattr(torch, name)
    return torch


def _gradients(torch, call):
    given = [torch.tensor(a, requires_grad=True) for a in _PAIRS]
    out = call(torch, *given)
    out.sum().backward()
    return [out.detach().numpy()] + [t.grad.numpy() for t in given if t.grad is not None]


def _compare(call):
    peer = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = zip(_gradients(rushlight, call), _gradients(peer, call), strict=True)
    for what, (got, want) in zip(("result", "gradient of x", "gradient of y"), found):  # noqa: B905
        same = np.isclose(got, want, rtol=1e-3, atol=1e-6, equal_nan=True)
        wrong = [(*_PAIRS[:, k].tolist(), got[k], want[k]) for k in np.flatnonzero(~same)]
        assert not wrong, f"{what}: (x, y, rushlight, PyTorch) {wrong[:5]}"


@pytest.mark.parity
@pytest.mark.parametrize("name", _UNARY)
def test_one_operand(name):
    _compare(lambda t, x, y: _named(t, name)(x))


@pytest.mark.parity
@pytest.mark.parametrize("name", _BINARY)
def test_two_operands(name):
    keep = {"reduction": "none"} if "nn." in name else {}
    _compare(lambda t, x, y: _named(t, name)(x, y, **keep))


@pytest.mark.parity
@pytest.mark.parametrize("name", _OTHERS)
def test_functions_of_two_operands(name):
    _compare(_OTHERS[name])


@pytest.mark.parametrize(
    ("x", "want"),
    [
        ([1e4, 0.0, -1e4], [3.0, 0.0, 0.0]), ([-1e4, 0.0, 1e4], [1.0, 1.0, 1.0]),
        ([0.0, -1e4, 1e4, inf, -inf], [2.0, 0.0, 1.0, nan, 0.0]),
    ],
)  # fmt: skip
def test_logcumsumexp_of_numbers_far_apart(x, want):
    t = rushlight.tensor(x, requires_grad=True)
    t.logcumsumexp(0).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), want, rtol=1e-3)


def test_xlogy_of_zero_grows_by_the_logarithm():
    x = rushlight.zeros(3, requires_grad=True)
    rushlight.xlogy(x, rushlight.tensor([2.0, 0.0, -1.0])).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [math.log(2), 0, 0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [rushlight.float16, rushlight.bfloat16])
def test_rms_norm_of_half_precision_has_the_eps_of_float32(dtype):
    x = rushlight.tensor([1e-4, 2e-4], dtype=dtype)
    found = rushlight.nn.functional.rms_norm(x, (2,)).float()
    np.testing.assert_allclose(found.numpy(), [0.2635, 0.527], rtol=1e-2)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_pooling_with_ties_in_any_order_in_memory(order, dtype):
    a = np.random.default_rng(0).integers(-2, 3, (4, 8, 6, 4)).astype(np.float32)
    turned = rushlight.tensor(a).to(getattr(rushlight, dtype)).permute(order)
    found = []
    for x in (turned, turned.contiguous()):
        x = x.detach().requires_grad_()
        rushlight.nn.functional.adaptive_max_pool2d(x, 2).sum().backward()
        found.append(x.grad)
    assert found[0].equal(found[1])


def test_ctc_loss_written_after_use():
    found = []
    for write in (lambda t: t.mul_(2), lambda t: t * 2):
        rushlight.manual_seed(0)
        x = rushlight.randn(6, 2, 4).log_softmax(2).requires_grad_()
        loss = rushlight.nn.functional.ctc_loss(
            x, rushlight.tensor([[1, 2], [2, 3]]), [6, 6], [2, 2], reduction="none"
        )
        write(loss).sum().backward()
        found.append(x.grad)
    assert found[0].equal(found[1])


@pytest.mark.parametrize(
    "view", [lambda x: x.unfold(0, 2, 1), lambda x: x.as_strided((3, 2), (1, 1))]
)
@pytest.mark.parametrize(
    ("write", "want"),
    [
        (lambda w: w.mul_(2), [2.0, 10.0, 18.0, 12.0]), (lambda w: w.zero_(), [0.0] * 4),
        (lambda w: w.sqrt_(), [0.5, 2.5, 4.5, 3.0]),
        (lambda w: w.__setitem__(0, 5.0), [0.0, 0.0, 9.0, 6.0]),
    ],
)  # fmt: skip
def test_a_place_seen_twice_passes_its_gradient_once(view, write, want):
    v = rushlight.ones(4, requires_grad=True)
    seen = view(v * 1)
    write(seen)
    (seen * rushlight.arange(1.0, 7).reshape(3, 2)).sum().backward()
    assert v.grad.tolist() == want


def test_places_of_an_expanded_tensor_may_not_be_written():
    v = rushlight.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="more than one element"):
        (v * 1).expand(3).mul_(2)
