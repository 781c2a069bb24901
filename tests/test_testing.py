"""torch.testing: what compares, what is told where it does not, and the numbers of make_tensor."""

import importlib
import re

import numpy as np
import pytest

import rushlight

COMPARED = [
    "c(t([1.0, 2]), t([1.0, 3]))",
    "c(t([1, 2]), t([1, 3]))",
    "c(t([[1.0, 2], [3, 4]]), t([[1.0, 3], [3, 9]]), rtol=1e-2, atol=0)",
    "c(t([1.0]), t([1.0 + 1e-6]))",
    "c(1.0, 2.0)",
    "c(1, 2)",
    "c(1, 1.0)",
    "c(1, 1.0, check_dtype=False)",
    "c(1j, 2j)",
    "c(True, False)",
    "c(None, None)",
    "c(None, 1)",
    "c('a', 'a')",
    "c('a', 1)",
    "c(t(1.0), 1.0)",
    "c(t(1.0), t(2.0))",
    "c([1, t(2.0)], (1, t(3.0)))",
    "c([1, 'a'], [2, 'a'])",
    "c({'a': [t(1.0)]}, {'a': [t(2.0)]})",
    "c({'a': 1}, {'b': 1})",
    "c([1], [1, 2])",
    "c([], [])",
    "c(t([1.0]), t([1.0]).double())",
    "c(t([1.0]), t([2.0]).double(), check_dtype=False)",
    "c(t([1.0]), t([[1.0]]))",
    "c(t([[1.0, 2]]), t([[1.0], [2]]).t(), check_stride=True)",
    "c(t([1.0]), np.array([1.0]))",
    "c(np.array([1.0]), np.array([2.0]))",
    "c(np.float32(1), np.float32(2))",
    "c(t([1.0]), [1.0])",
    "c(t([1.0]), t([2.0]), rtol=1)",
    "c(t([1.0]), t([1.5]), rtol=1, atol=0)",
    "c(t([nan]), t([nan]))",
    "c(t([nan]), t([nan]), equal_nan=True)",
    "c(nan, nan)",
    "c(nan, nan, equal_nan=True)",
    "c(t([inf]), t([inf]))",
    "c(t([inf]), t([1.0]))",
    "c(t([0.0, 1]), t([0.0, 0]))",
    "c(t([200], dtype=torch.uint8), t([100], dtype=torch.uint8))",
    "c(t([True, False]), t([True, True]))",
    "c(t([1 + 1j]), t([1 + 2j]))",
    "c(torch.zeros(0), torch.zeros(0))",
    "c(t([1.0]), torch.nn.Parameter(t([1.0])))",
    "c(t([1.0]), torch.nn.Parameter(t([1.0])), allow_subclasses=False)",
    "c(t([1.0]), t([2.0]), msg='differs')",
    "c(t([1.0]), t([2.0]), msg=lambda m: 'here: ' + m)",
    "torch.testing.assert_allclose(t([1.0]), [1.00001])",
    "torch.testing.assert_allclose(t([1.0]), t([2.0]))",
]


def outcome(torch, call):
    names = {"torch": torch, "c": torch.testing.assert_close, "t": torch.tensor, "np": np}
    try:
        return eval(call, {**names, "nan": float("nan"), "inf": float("inf")})
    except Exception as error:
        # The last digits are those of a float32 there.
        text = re.sub(r"(\d\.\d{5})\d+", r"\1", str(error))
        text = text.replace("rushlight.tensor", "torch").replace("rushlight", "torch")
        kind = next(k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins")
        return kind, text


@pytest.mark.parity
@pytest.mark.parametrize("call", COMPARED)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_assert_close(call):
    assert outcome(rushlight, call) == outcome(pytest.importorskip("torch"), call)


DTYPES = [
    "bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64",
    "complex64",
]  # fmt: skip
OPTIONS = [
    {}, {"low": 0}, {"high": 3}, {"low": 0.5, "high": 1.5}, {"noncontiguous": True},
    {"exclude_zero": True, "low": 0, "high": 2}, {"low": -1e9}, {"high": float("inf")},
    {"low": 3, "high": 2}, {"low": float("nan")}, {"requires_grad": True},
    {"low": -float("inf"), "high": float("inf")},
]  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES)
def test_make_tensor(dtype):
    def made(torch, shape, options):
        torch.manual_seed(3)
        try:
            t = torch.testing.make_tensor(
                shape, dtype=getattr(torch, dtype), device="cpu", **options
            )
        except ValueError:
            return "refused"
        values = t.detach().float() if dtype == "bfloat16" else t.detach()
        stride = t.stride() if t.numel() else ()
        return values.numpy().tolist(), str(t.dtype), stride, t.requires_grad

    torch = pytest.importorskip("torch")
    for shape in ((3,), (2, 3), (), (0, 2)):
        for options in OPTIONS:
            assert made(rushlight, shape, options) == made(torch, shape, options), options


def test_a_failure_says_where():
    with pytest.raises(AssertionError, match=r"2 / 3 .*\n.* 4\.0 at index \(2,\)"):
        rushlight.testing.assert_close(rushlight.ones(3), rushlight.tensor([1.0, 2.0, 5.0]))


@pytest.mark.parity
def test_tolerances_by_dtype():
    torch = pytest.importorskip("torch")
    inner = importlib.import_module("torch.testing._comparison")
    ours = importlib.import_module("rushlight.testing._comparison")
    half, x = torch.float16, torch.ones(2)
    mine = (rushlight.float16, rushlight.ones(2))
    for given in ({}, {"rtol": None, "atol": None}, {"rtol": 1.0, "atol": 2.0}):
        name = "get_tolerances" if given else "default_tolerances"
        want = getattr(inner, name)(half, x, **given)
        assert getattr(ours, name)(*mine, **given) == want
    own = {rushlight.float32: (3.0, 4.0)}
    assert ours.default_tolerances(*mine, dtype_precisions=own) == (3.0, 4.0)
    with pytest.raises(ValueError, match="no rtol"):
        ours.get_tolerances(*mine, rtol=None, atol=1.0)
    with pytest.raises(TypeError, match=r"torch\.dtype"):
        ours.default_tolerances(1.0)
