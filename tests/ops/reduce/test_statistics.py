"""Differences, quantiles, modes, histograms and covariances: values, dtypes, errors and gradients."""

import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.reduce import histogram
from tests.ops.parity import ALL, FLOATS, check, check_gradients

NAN, INF = float("nan"), float("inf")
WAYS = ("linear", "lower", "higher", "nearest", "midpoint")

CALLS = """torch.diff(x)|x.diff(2, 0)|torch.diff(x, prepend=x, append=x)|torch.diff(x, n=0, prepend=x)|torch.diff(x, 9)|torch.diff(x, -1)
    torch.diff(x[0, 0])|torch.diff(x, dim=5)|torch.diff(x, prepend=x[0])|torch.diff(x, append=x[:2])|torch.diff(x.t(), axis=1)
    torch.diff(x, out=torch.zeros(1))|torch.diff(x, 1.5)|torch.gradient(x)|torch.gradient(x, spacing=2)|torch.gradient(x, dim=1, spacing=0.5)
    torch.gradient(x, spacing=[1, 2.5], edge_order=2)|torch.gradient(x, dim=(1, 0), spacing=(0.5, 2))|torch.gradient(x, axis=-1)
    torch.gradient(x, dim=(1, 1))|torch.gradient(x, dim=9)|torch.gradient(x, edge_order=3)|torch.gradient(x[:1])|torch.gradient(x[:2], edge_order=2)
    torch.gradient(x[0, 0])|torch.gradient(x[0, 0], dim=0)|torch.gradient(x, dim=[])|torch.gradient(x, spacing=[1.0])|torch.gradient(x, spacing=torch.tensor(2.0))
    torch.gradient(x, dim=0, spacing=[torch.tensor([0, 1, 3])])|torch.gradient(x, dim=1, spacing=[torch.tensor([0., 1, 3, 4])], edge_order=2)
    torch.gradient(x, dim=0, spacing=[torch.zeros(3, 1)])|torch.gradient(x, spacing="a")
    torch.gradient(x, spacing=[1, 2], dim=0)|torch.gradient(x, 2.0)|torch.gradient(x, spacing=[1.0, torch.ones(4)])
    torch.trapezoid(x)|torch.trapezoid(x, dx=2)|torch.trapezoid(x, dx=0.5, dim=0)|torch.trapezoid(x, x)|torch.trapezoid(x, torch.tensor([0, 1, 3]), dim=0)
    torch.trapezoid(x, torch.ones(3))|torch.trapezoid(x[:0], dim=0)|torch.trapezoid(x[0, 0])|torch.trapezoid(x, dx=1j)|torch.trapezoid(x, 2)
    torch.trapezoid(x, x, dx=2)|torch.trapezoid(x, dim=4)|torch.trapezoid(x[:, :1])|torch.trapz(x, dx=2)|torch.trapz(x, x)|torch.trapz(x, dx=1j)
    torch.cumulative_trapezoid(x)|torch.cumulative_trapezoid(x, dx=0.5, dim=0)|torch.cumulative_trapezoid(x, x)|torch.cumulative_trapezoid(x[:0], dim=0)
    torch.cumulative_trapezoid(x, torch.ones(3))|torch.cumulative_trapezoid(x[0, 0])|torch.cumulative_trapezoid(x, torch.tensor([True, False, True, True]))
    x.quantile(0.3)|torch.quantile(x, 0.3, 1, True)|torch.quantile(x, 0.3, keepdim=True)|torch.quantile(x[0, 0], 1)|torch.quantile(x, 1.5)|torch.quantile(x, float("nan"))
    torch.quantile(x, torch.tensor([0.1, 0.9]), 0)|torch.quantile(x, torch.tensor([0.1, 2]))|torch.quantile(x, torch.tensor([[0.5]]))|torch.quantile(x, [0.5])
    torch.quantile(x[:0], 0.5)|torch.quantile(x, 0.5, interpolation="no")|torch.quantile(x, 0.5, (0, 1))|torch.quantile(x, 0.5, 7)|torch.nanquantile(x, 0.7, axis=1)
    torch.quantile(x, 0.5, out=torch.zeros((), dtype=torch.int64))|torch.quantile(x, torch.tensor([], dtype=x.dtype), 1)|torch.quantile(x, torch.tensor(1))
    torch.mode(x)|x.mode(0, True)|torch.mode(x.t(), 1)|torch.mode(x[0, 0])|torch.mode(x[:0], 0)|torch.mode(x, 4)|torch.mode(x[:0], 1)
    torch.mode(x, 0, out=(x.new_zeros(4), torch.zeros(4, dtype=torch.int64)))|torch.mode(x, 0, out=(torch.zeros(1), torch.zeros(4)))
    torch.cov(x)|torch.cov(x[0], correction=0)|torch.cov(x, fweights=torch.tensor([1, 2, 3, 1]))|x.cov(aweights=torch.tensor([1., 2, 3, 1]).to(x.real.dtype))
    torch.cov(x, fweights=torch.ones(4))|torch.cov(x, aweights=torch.tensor([1, 2, 3, 4]))|torch.cov(x, fweights=torch.tensor([1, 2]))|torch.cov(x, fweights=torch.zeros(4, 1).long())
    torch.cov(x, fweights=torch.tensor([1, 2, -1, 1]))|torch.cov(x, aweights=-torch.ones(4))|torch.cov(x, fweights=torch.tensor([0, 0, 0, 0]))|torch.cov(x[None])|torch.cov(x[:0])
    torch.cov(x, correction=1.5)|torch.cov(x[0, 0])|torch.cov(x[:, :1])|torch.corrcoef(x[:2])|torch.corrcoef(x[0])|torch.corrcoef(x[None])|torch.corrcoef(x[0, 0])
    torch.frobenius_norm(x, 1)|torch.frobenius_norm(x, (0, 1), True)|torch.frobenius_norm(x, ())|torch.frobenius_norm(x, (0, 0))|torch.frobenius_norm(x)|torch.frobenius_norm(x, 9)
    torch.frobenius_norm(x[None], (0, 1, 2))|torch.frobenius_norm(x, 1, out=torch.zeros(3))"""
CALLS = [e.strip() for line in CALLS.splitlines() for e in line.split("|")]

HISTOGRAMS = """torch.histogram(x, 4)|x.histogram(3, range=(0.0, 2.0), density=True)|torch.histogram(x, torch.tensor([-2., 0, 1, 5]).to(x.dtype), weight=x)|torch.histogram(x, 0)
    torch.histogram(x, -1)|torch.histogram(x, 2, range=(3.0, 0.0))|torch.histogram(x, 2, range=(1.0,))|torch.histogram(x, 2, range=(0.0, float("inf")))
    torch.histogram(x, 2, range=(1.0, 1.0))|torch.histogram(x, 2, weight=x[0])|torch.histogram(x, 2, weight=torch.ones(3, 4, dtype=torch.int8))|torch.histogram(x, torch.tensor([1]))
    torch.histogram(x, torch.zeros(0).to(x.dtype))|torch.histogram(x, torch.zeros(2, 2).to(x.dtype))|torch.histogram(x, 2, out=(torch.zeros(2), torch.zeros(3)))
    torch.histogram(x, 2, out=(torch.zeros(2, dtype=torch.int64), torch.zeros(3)))|torch.histogram(x[0, 0], 2)|torch.histogram(x, torch.ones(3).to(x.dtype), range=(0.0, 1.0))
    torch.histogramdd(x, 2)|torch.histogramdd(x, [1, 2, 3, 1])|torch.histogramdd(x[:, :2], [2, 2], range=[0.0, 1, 0, 2], density=True)|torch.histogramdd(x, [2])
    torch.histogramdd(x[0], 2)|torch.histogramdd(x[0, 0], 2)|torch.histogramdd(x[:, :1], [torch.tensor([0., 1, 3]).to(x.dtype)], weight=x[:, 1])|torch.histogramdd(x, 2, range=[0.0, 1])
    torch.histogramdd(x, [torch.tensor([0., 1]).to(x.dtype)])|torch.histogramdd(x[:, :1], [0])|torch.histogramdd(x[None], 1)|torch.histogramdd(x, 2, weight=x)"""
HISTOGRAMS = [e.strip() for line in HISTOGRAMS.splitlines() for e in line.split("|")]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ALL)
def test_values_dtypes_and_refusals(dtype):
    for call in CALLS:
        if "corrcoef" not in call or dtype not in ("float16", "bfloat16"):  # rounded elsewhere
            check(call, dtype)
    for call in HISTOGRAMS:
        check(call, dtype)


@pytest.mark.parity
@pytest.mark.parametrize("way", WAYS)
def test_quantiles_of_infinities_and_nan(way):
    rows = [[1, NAN, 4, 8], [-INF, 2, INF, INF], [NAN, NAN, NAN, NAN], [2, 2, 1, 2]]
    for name in ("quantile", "nanquantile"):
        for rest in ("0", "1", "-1, True", "None"):
            call = f"torch.{name}(x, torch.tensor([0, 0.1, 1 / 3, 0.5, 1]), {rest}, interpolation={way!r})"
            check(call, x=rows)


@pytest.mark.parity
@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_quantiles(way):
    q = np.array([0.1, 0.5, 0.75])
    for x in ([[1.0, 4, 2], [3, 0, 8]], [[NAN, 1, 2], [5, NAN, NAN]], [[1.0, 1, 1], [2, 1, 2]]):
        check_gradients(f"torch.quantile(x, q, 1, interpolation={way!r}) * 2", x=np.array(x), q=q)
        check_gradients(f"torch.nanquantile(x, q, interpolation={way!r}) * 2", x=np.array(x), q=q)


@pytest.mark.parity
def test_modes_among_equals_and_nan():
    rng = np.random.default_rng(7)
    for shape in ((5, 4), (3, 16), (2, 17), (2, 300), (20, 40)):
        for most in (2, 7, 50):
            check("torch.mode(x)", x=rng.integers(0, most, shape))
            check("torch.mode(x, 0, True)", x=rng.integers(0, most, shape).astype("f4"))
    for n in range(1, 12):
        rows = rng.integers(0, 3, (30, n)).astype("f4")
        rows[rng.random(rows.shape) < 0.3] = np.nan
        check("torch.mode(x, 1)", x=rows)
    check_gradients("torch.mode(x, 1).values * 2", x=np.array([[1.0, 2, 2], [3, 3, 3]]))


def test_a_mode_is_the_smallest_of_the_most_frequent():
    found = torch.mode(torch.tensor([5, 3, 3, 5, 9]))
    assert found.values == 3
    assert found.indices == 2
    assert repr(found).startswith("torch.return_types.mode(")


def test_elements_on_edges_and_outside_of_a_histogram():
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 1.0, 2.0, 2.5, NAN, INF])
    hist, edges = torch.histogram(x, 2, range=(0.0, 2.0))
    assert hist.tolist() == [2, 3]
    assert edges.tolist() == [0, 1, 2]
    assert torch.histogram(x, torch.tensor([0.0, 0.5, 2.0])).hist.tolist() == [1, 4]
    with pytest.raises(RuntimeError, match="is not finite"):
        torch.histogram(x, 2)


def test_many_bins_agree_with_their_edges():
    rng = np.random.default_rng(3)
    x = torch.tensor(np.round(rng.normal(size=500), 2).astype("f4"))
    even = torch.histogram(x, 173)
    assert torch.equal(even.hist, torch.histogram(x, even.bin_edges).hist)


def test_a_histogram_has_no_gradient():
    found = torch.histogram(torch.ones(3, requires_grad=True), 2).hist
    with pytest.raises(RuntimeError, match="derivative"):
        found.sum().backward()


@pytest.mark.parity
@pytest.mark.parametrize("dtype", FLOATS[2:])
def test_histograms_of_random_points(dtype):
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(size=(60, 2)) * 3, 1).astype(dtype)
    for call in ("torch.histogram(x, 37)", "torch.histogramdd(x, [5, 9])",
                 "torch.histogramdd(x, 4, weight=x[:, 0], density=True)"):  # fmt: skip
        check(call, x=x)


@pytest.mark.parity
def test_histograms_between_edges_of_any_order_or_nan():
    rng = np.random.default_rng(8)
    for _ in range(200):
        edges = rng.choice([NAN, INF, -INF, -1, 0, 1, 2, 3, 5], rng.integers(2, 9)).tolist()
        x = rng.choice([NAN, INF, -1, 0.5, 1, 2, 4], (9, 1)).tolist()
        check(f"torch.histogramdd(x, [torch.tensor({edges}).to(x.dtype)])[0]", x=x)


def test_each_sample_of_a_gradient_has_a_coordinate():
    for n in (2, 5):
        with pytest.raises(RuntimeError, match="must match"):
            torch.gradient(torch.ones(3), spacing=[torch.ones(n)])


def test_few_observations_warn():
    one = torch.tensor([[1.0], [2.0]])
    for given in ({}, {"aweights": torch.tensor([2.0])}, {"fweights": torch.tensor([1])}):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert torch.cov(one, **given).isnan().all()
        assert any("degrees of freedom" in str(w.message) for w in said)


@pytest.mark.parity
def test_gradients():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(3, 5)), rng.uniform(0.5, 2, 5)
    for call in ("torch.diff(x, 2)", "torch.gradient(x)[0] * 1", "torch.trapezoid(x, w)",
                 "torch.trapezoid(x, dx=2)", "torch.cumulative_trapezoid(x, w)",
                 "torch.cov(x, aweights=w) * 1", "torch.corrcoef(x) * 1",
                 "torch.gradient(x, dim=1, spacing=(w.cumsum(0),), edge_order=2)[0] * 1"):  # fmt: skip
        _check_values_of_gradients(call, x=x, w=w)


def _check_values_of_gradients(call, **arrays):
    """First and second gradients. PyTorch's composites end in other nodes."""
    peer = pytest.importorskip("torch")
    found = []
    for t in (torch, peer):
        given = [t.tensor(a, requires_grad=True) for a in arrays.values()]
        out = eval(call, {"torch": t, **dict(zip(arrays, given, strict=True))})
        first = t.autograd.grad((out**2).sum(), given, create_graph=True, allow_unused=True)
        first = [g for g in first if g is not None]
        second = t.autograd.grad(sum([(g**2).sum() for g in first]), given, allow_unused=True)
        found.append([g.detach().numpy() for g in (*first, *second) if g is not None])
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9, err_msg=call)


def test_checks_of_values_are_part_of_a_program():
    quantile = torch.compile(lambda x, q: torch.quantile(x, q))
    cov = torch.compile(lambda x, w: torch.cov(x, aweights=w))
    x = torch.arange(6.0).reshape(2, 3)
    assert quantile(x, torch.tensor([0.5])) == 2.5
    torch.testing.assert_close(cov(x, torch.ones(3)), torch.cov(x))
    with pytest.raises(RuntimeError, match=r"range \[0, 1\]"):
        quantile(x, torch.tensor([1.5]))
    with pytest.raises(RuntimeError, match="cannot be negative"):
        cov(x, torch.tensor([1.0, -1, 1]))
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match="sum to zero"):
        cov(x, torch.zeros(3))


def test_spreads_of_large_rows_keep_their_dims():
    x = torch.randn(300, 1000)
    for found in (
        x.var(1, keepdim=True),
        x.std(1, keepdim=True),
        *torch.var_mean(x, 1, keepdim=True),
    ):
        assert found.shape == (300, 1)
    assert torch.std_mean(x, keepdim=True)[0].shape == (1, 1)


@pytest.mark.parametrize("seed", range(16))
def test_machine_code_counts_equal_bins_as_numpy_does(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    dtype, dims = (np.float32, np.float64)[seed % 2], 1 + seed % 3
    bins = [int(k) for k in rng.integers(1, 9, dims)]
    points = rng.standard_normal((1100, dims)).astype(dtype)
    if seed % 3:
        points = np.round(points * 4) / 4  # many elements on edges
    limits = None
    if seed >= 8:
        points[::7], points[1::9], points[2::9] = np.nan, np.inf, -np.inf
        limits = [(-1.5, 2.0), (-1e-3, 1e-3), (-1e38, 1e38)][seed % 3] * dims
    weight = torch.from_numpy(rng.standard_normal(1100).astype(dtype)) if seed % 4 == 0 else None
    points = torch.from_numpy(points)
    looped = torch.histogramdd(points, bins, range=limits, weight=weight)
    monkeypatch.setattr(histogram, "_counted_by_loop", lambda *given: None)
    plain = torch.histogramdd(points, bins, range=limits, weight=weight)
    assert torch.equal(looped.hist, plain.hist)
    assert looped.hist.sum() != 0
