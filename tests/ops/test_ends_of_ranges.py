"""Operations at the ends of their ranges: poles, infinities, nan, ties, and tensors without elements."""

import numpy as np
import pytest

import rushlight
from tests.conformance import array, flat

pytestmark = pytest.mark.filterwarnings("ignore")
inf, nan = float("inf"), float("nan")
_REALS = [
    -inf,
    -1e4,
    -200.0,
    -88.0,
    -20.0,
    -2.0,
    -1.0,
    -0.5,
    0.0,
    0.5,
    1.0,
    3.0,
    20.0,
    88.0,
    1e4,
    inf,
    nan,
]
_TOLERANCES = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-5, "float64": 1e-9}
_FLOATS = list(_TOLERANCES)

#: Of one tensor of the numbers above. Each is compared in all floating dtypes, with its gradient.
_CURVES = [
    *[
        "acos",
        "asin",
        "acosh",
        "atanh",
        "erfinv",
        "lgamma",
        "expm1",
        "log1p",
        "rsqrt",
        "reciprocal",
    ],
    *["nn.functional.elu", "nn.functional.celu", "nn.functional.selu", "nn.functional.silu"],
    *["nn.functional.hardtanh", "nn.functional.relu6", "nn.functional.hardshrink"],
    *["nn.functional.softshrink", "nn.functional.hardswish", "nn.functional.softplus"],
    *["nn.functional.logsigmoid", "nn.functional.softsign", "nn.functional.leaky_relu"],
]
_CASES = {
    **{f"{name}": (lambda t, x, n=name: _named(t, n)(x), [_REALS]) for name in _CURVES},
    "elu(alpha=-1)": (lambda t, x: t.nn.functional.elu(x, -1.0), [_REALS]),
    "elu_": (lambda t, x: t.nn.functional.elu_(x * 1), [_REALS]),
    "digamma": (lambda t, x: t.digamma(x).detach(), [_REALS]),
    "ldexp of nothing": (lambda t, x, y: t.ldexp(x, y), [[], inf]),
    "ldexp": (lambda t, x, y: t.ldexp(x, y), [[1.0, 2.0], -inf]),
}
for _row in (
    [-inf, -inf, 1],
    [inf, 1, 2],
    [1, inf, inf],
    [-inf, -inf, -inf],
    [nan, 1, 2],
    [inf, -inf, 1],
    [1, -inf, inf],
):
    _CASES[f"logcumsumexp {_row}"] = (lambda t, x: t.logcumsumexp(x, 0), [np.asarray(_row, float)])
    _CASES[f"logsumexp {_row}"] = (lambda t, x: t.logsumexp(x, 0), [np.asarray(_row, float)])

_FACTOR = [[2.0, 5.0, 7.0], [0.5, 1.5, 9.0], [0.3, 0.2, 1.0]]
_RIGHT = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
#: These are compared in float64.
_MATRICES = {
    **{f"cholesky_inverse({u})": (lambda t, L, u=u: t.cholesky_inverse(L, u), [_FACTOR]) for u in (False, True)},
    **{f"cholesky_solve({u})": (lambda t, B, L, u=u: t.cholesky_solve(B, L, u), [_RIGHT, _FACTOR]) for u in (False, True)},
    "tensordot": (lambda t, x, y: t.tensordot(x, y, 1), [[[1.0], [2.0]], [[3.0, 4.0], [5.0, 6.0]]]),
    "tensordot of two dims": (lambda t, x, y: t.tensordot(x, y, ([0, 1], [0, 1])), [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]),
    "trigamma": (lambda t, x: t.polygamma(1, x), [[-inf, 0.5, 1.0, nan]]),
}  # fmt: skip

#: A matrix, a vector and a batch of a matrix.
_INTEGERS = "([[1, 2], [0, 3]], [1, 2], [[[1, 2], [0, 3]]])"
#: Expressions of ``t``, whose results have the same dtypes and elements, or errors of one type.
_EXPRESSIONS = [
    *[f"t.logspace({a})" for a in (
        "0, 3, 4, dtype=t.int64", "0.5, 3.7, 4, dtype=t.int64", "-2, 2, 5, dtype=t.int32",
        "3, 0, 7, base=3, dtype=t.int64", "1, 5, 3, base=-2, dtype=t.int16", "2, 2, 1, dtype=t.uint8",
        "0, 3, 0, dtype=t.int64", "0, 3, 4, base=2.5, dtype=t.int64",
    )],
    *[f"(lambda m, v, b: t.{f})(*[t.tensor(x).to(t.{d}) for x in {_INTEGERS}])"
      for d in ("int8", "uint8", "int64", "bool")
      for f in ("addmv(v, m, v, beta=2, alpha=3)", "baddbmm(b, b, b, beta=0)", "addbmm(m, b, b, beta=2)",
                "conj_physical(m)", "softmax(m, 0)", "softmax(m[:0], 0)", "log_softmax(m[:0], 0)")],
    *[f"t.{f}(t.tensor([True, False, False] * {n}), descending={d})"
      for f in ("sort", "argsort") for n in (1, 5, 11, 30) for d in (False, True)],
    *[f"t.unique_consecutive({a}, return_inverse=True, return_counts=True)" for a in (
        "t.zeros(0)", "t.zeros(2, 0, 3)", "t.zeros(0, 3), dim=0", "t.zeros(3, 0), dim=0",
        "t.zeros(3, 0), dim=1", "t.zeros(0, 0), dim=1", "t.zeros(0, 3), dim=1",
    )],
    *[f"t.unique({a})" for a in ("t.zeros(0)", "t.zeros(0, 3), dim=0", "t.zeros(3, 0), dim=0", "t.zeros(0, 0), dim=0")],
    *[f"t.searchsorted({a})" for a in (
        "t.zeros(0), t.zeros(3)", "t.zeros(0), t.zeros(0)", "t.zeros(2, 0), t.zeros(2, 3)", "t.zeros(0, 3), t.zeros(0, 2)",
        "t.zeros(0), 1.0", "t.zeros(2, 0), t.zeros(3, 3)",
    )],
    *[f"t.tensordot({a})" for a in ("t.ones(1), t.ones(5), 1", "t.ones(4, 1), t.ones(0, 5), 1", "t.ones(4, 2), t.ones(3, 5), 1")],
    "t.asarray(t.zeros(0), copy=False)",
]  # fmt: skip


def _named(torch, path):
    for part in path.split("."):
        torch = getattr(torch, part)
    return torch


def _found(torch, call, inputs, dtype):
    """The results and the gradients, as arrays."""
    given = [torch.tensor(np.asarray(a, float)).to(getattr(torch, dtype)) for a in inputs]
    given = [t.requires_grad_() for t in given]
    out = call(torch, *given)
    if not out.requires_grad:
        return [array(out)]
    slopes = torch.autograd.grad(out, given, torch.ones_like(out))
    return [array(t) for t in (out, *slopes)]


def _compare(call, inputs, dtype):
    peer, tolerance = pytest.importorskip("torch"), _TOLERANCES[dtype]
    for want, got in zip(
        _found(peer, call, inputs, dtype), _found(rushlight, call, inputs, dtype), strict=True
    ):
        np.testing.assert_allclose(got, want, tolerance, tolerance)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", _FLOATS)
@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_numbers_and_slopes(case, dtype):
    _compare(*case, dtype)


@pytest.mark.parity
@pytest.mark.parametrize("case", _MATRICES.values(), ids=_MATRICES)
def test_matrices(case):
    _compare(*case, "float64")


def _value(torch, expression):
    try:
        return [(str(x.dtype), x.tolist()) for x in flat(eval(expression, {"t": torch}))]
    except Exception as error:
        return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


@pytest.mark.parity
@pytest.mark.parametrize("expression", _EXPRESSIONS)
def test_expressions(expression):
    assert _value(rushlight, expression) == _value(pytest.importorskip("torch"), expression)


def test_nan_is_no_negative_number():
    x = rushlight.tensor([nan, 1.0], requires_grad=True)
    for name in ("elu", "relu6", "hardshrink", "softshrink"):
        (slope,) = rushlight.autograd.grad(getattr(rushlight.nn.functional, name)(x).sum(), x)
        assert slope.tolist() == [1.0, 1.0], name
