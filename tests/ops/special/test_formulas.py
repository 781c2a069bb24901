"""Formulas of special functions, which programs and kernels of many numbers compute."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend.native import llvm_works

#: name → the ends of random arguments.
FUNCTIONS = {
    "lgamma": (-20, 40), "digamma": (-20, 40), "erfc": (-6, 12), "erfinv": (-1, 1), "i0": (-60, 60),
    "special.erfcx": (-5, 40), "special.ndtr": (-8, 8), "special.ndtri": (0, 1),
    "special.log_ndtr": (-40, 8), "special.i0e": (-60, 60), "special.i1": (-60, 60),
    "special.i1e": (-60, 60),
}  # fmt: skip
SPECIAL = [
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, -2.0, -3.0, 1e-30, -1e-30, 1e-7,
    -1e-7, 1 - 1e-7, 6e-8, 30.0, -30.0, 100.0, -100.0, 1e4, -1e4, 1e30, -1e30, 8.0, -8.0,
]  # fmt: skip


def _numbers(name, dtype):
    ends = FUNCTIONS[name]
    chance = np.random.default_rng(0)
    x = np.concatenate([SPECIAL, chance.uniform(*ends, 4000), chance.normal(size=1000) * 1e-3])
    if ends in ((-1, 1), (0, 1)):
        small = np.exp(chance.uniform(-80 if dtype == "float32" else -700, -1, 1000))
        x = np.concatenate([x, small, 1 - small])
    return x.astype(dtype)


def _function(name):
    found = torch
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_formulas_give_scipys_values(name, dtype):
    x = _numbers(name, dtype)
    function = _function(name)
    want = function(torch.from_numpy(x)).numpy()
    got = torch.compile(lambda x: function(x))(torch.from_numpy(x)).numpy()
    assert got.dtype == want.dtype
    # Where the function crosses 0, its error is that of its argument.
    near_a_root = 1.0 if name in ("lgamma", "digamma") else 0.0
    # SciPy's own errors in float64 reach this next to poles and far out.
    units = 12 if dtype == "float32" else 1000 if name[-4:] in ("amma", "ndtr") else 80
    slack = units * np.finfo(dtype).eps * (np.abs(want) + near_a_root) + np.finfo(dtype).tiny
    with np.errstate(invalid="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want)) | (np.abs(got - want) <= slack)
    assert same.all(), [x[~same][:5], got[~same][:5], want[~same][:5]]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_many_numbers_have_the_values_and_slopes_of_few(name):
    low, high = FUNCTIONS[name]
    x = np.random.default_rng(0).uniform(max(low, -9) + 0.01, min(high, 9) - 0.01, 17_000)
    function = _function(name)

    def run(x):
        x = torch.from_numpy(x).requires_grad_()
        y = function(x)
        return y.detach(), torch.autograd.grad(y.sum(), x)[0]

    few = [run(part) for part in np.split(x, 17)]
    for got, want in zip(run(x), map(torch.cat, zip(*few, strict=True)), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_formulas_of_narrow_numbers(name, dtype):
    x = torch.tensor([0, 1, 0.5, 2, 5, -3]).to(dtype)
    function = _function(name)
    got, want = torch.compile(lambda x: function(x))(x), function(x)
    assert got.dtype == want.dtype
    torch.testing.assert_close(got, want, equal_nan=True)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_formulas_of_polygamma(n):
    x = torch.linspace(-7.9, 20, 1001, dtype=torch.float64)
    got, want = torch.compile(lambda x: torch.polygamma(n, x))(x), torch.polygamma(n, x)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_a_program_of_special_functions_calls_nothing():
    def log_density(a, b, x):
        norm = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
        return norm + (a - 1) * x.log() + (b - 1) * (-x).log1p()

    a, b, x = torch.rand(3, 100).unbind()
    compiled = torch.compile(log_density)
    torch.testing.assert_close(compiled(a, b, x), log_density(a, b, x), rtol=1e-5, atol=1e-5)
    if llvm_works():
        kernels = torch.compiler.explain(log_density)(a, b, x).kernels
        assert [k.kind for k in kernels] == ["loops"]
