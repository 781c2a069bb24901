"""The incomplete gamma functions of kernels are SciPy's, which computes few elements."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.elementwise import incomplete_gamma

special = pytest.importorskip("scipy.special")
EDGES = [0.0, 1e-300, 1e-30, 0.49, 0.5, 1.0, 2.0, 30.0, 1e10, 1e300, np.inf, -1.0, -np.inf, np.nan]


def operands(dtype):
    """All pairs of ``EDGES``, and pairs of which half are likely draws."""
    rng = np.random.default_rng(0)
    a = 10 ** rng.uniform(-8, 6, 20000)
    x = np.where(rng.random(20000) < 0.5, rng.gamma(a), 10 ** rng.uniform(-8, 5, 20000))
    edges = np.array([(a, x) for a in EDGES for x in EDGES]).T
    with np.errstate(over="ignore"):
        return np.concatenate([edges, [a, x]], 1).astype(dtype)


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 3e-7), (np.float64, 1e-10)])
@pytest.mark.parametrize("name, of_scipy", [("igamma", "gammainc"), ("igammac", "gammaincc")])
def test_many_elements(name, of_scipy, dtype, rtol):
    a, x = operands(dtype)
    want = getattr(special, of_scipy)(a, x)
    want[np.isposinf(a) & np.isnan(x)] = name == "igammac"  # as in PyTorch
    got = getattr(torch, name)(torch.tensor(a), torch.tensor(x)).numpy()
    assert got.dtype == dtype
    atol = np.finfo(dtype).tiny
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def test_operands_that_broadcast_have_the_same_kernel(monkeypatch):
    calls = []
    real = incomplete_gamma._both
    monkeypatch.setattr(incomplete_gamma, "_both", lambda *args: calls.append(args) or real(*args))
    a, x = torch.rand(3, 1, dtype=torch.float64) + 0.2, torch.rand(3, 9000, dtype=torch.float64)
    want = torch.igamma(a.expand(3, 9000).contiguous(), x)
    made = len(calls)
    assert torch.equal(torch.igamma(a, x), want)
    assert torch.equal(torch.igamma(a[0], x)[0], want[0])
    assert torch.igamma(a[0, 0], x.float()).dtype is torch.float32
    assert len(calls) == made
    with pytest.raises(RuntimeError):
        torch.igamma(a.expand(3, 9001), x)
