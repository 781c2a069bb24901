"""Kernels of what has no loop of its own on the CPU: each gives what NumPy gives, without the host."""

import math
import random
import warnings

import numpy as np
import pytest

import rushlight as T
from tests.daily import daily
from tests.device.cases import Cases, normal
from tests.device.conftest import ASSEMBLER

F = T.nn.functional
CASES = Cases()
case = CASES.add


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No operation may be computed on the host."""
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check(name, device):
    found = []
    for d in ("cpu", device.type):
        T.manual_seed(0)
        found.append([t.detach().cpu() for t in _tensors(CASES[name](d))])
    for near, far in zip(*found, strict=True):
        T.testing.assert_close(far, near, rtol=1e-4, atol=1e-4, equal_nan=True)


def _tensors(found):
    if isinstance(found, T.Tensor):
        return [found]
    return [t for part in found for t in _tensors(part)]


def odd(d, *shape):
    """Few different numbers, nan and infinity."""
    x = T.randn(*shape).mul(5).round()
    x.reshape(-1)[::7] = math.nan
    x.reshape(-1)[3::11] = -math.inf
    return x.to(d)


def _with_gradient(x, f):
    x = x.detach().clone().requires_grad_()
    y = f(x)
    (y * T.arange(y.numel(), device=y.device).cos().reshape(y.shape)).sum().backward()
    return y, x.grad


# Sorting ------------------------------------------------------------------------------------


@case
def sort(d):
    found = []
    for n in (1, 17, 300, 600):  # a run, a part of one, and several that are merged
        for x in (odd(d, 2, n), T.randint(0, 9, (2, n)).to(d), odd(d, 2, n).half()):
            found += [x.sort(descending=down, stable=True) for down in (False, True)]
    return found


@case
def sort_of_other_kinds(d):
    x = T.rand(300) > 0.5
    y = T.tensor([3, -5, 2**62, -(2**63)]).to(d)
    return (x.to(d).sort(stable=True), y.sort(), odd(d, 300, 2).t().argsort(dim=1, stable=True),
            odd(d, 40, 3).sort(dim=0, stable=True), T.tensor(2.0).to(d).sort())  # fmt: skip


@case
def ranks(d):
    x = normal(d, 3, 600)
    return (x.topk(5), x.topk(3, largest=False), x.kthvalue(7), x.median(1), x.nanmedian(0).values,
            x.median(), odd(d, 50).nanmedian(), odd(d, 50).median(), x[:, :9].mode().values,
            x.quantile(0.3, 1))  # fmt: skip


@case
def gradients_of_sorting(d):
    x = normal(d, 2, 40)
    return [_with_gradient(x, f) for f in (
        lambda x: x.sort().values, lambda x: x.topk(3).values, lambda x: x.median(1).values,
        lambda x: x.cummax(1).values, lambda x: x.logcumsumexp(1), lambda x: x.cumprod(1),
    )]  # fmt: skip


# Running sums -------------------------------------------------------------------------------


@case
def scans(d):
    found = []
    for n in (1, 30, 300, 1100):
        x = T.rand(2, n).to(d) - 0.5
        found += [x.cumsum(1), x.logcumsumexp(1), (1 + x / n).cumprod(1), x.cummax(1), x.cummin(1)]
        found += [x.cumsum(0), x.logcumsumexp(0), T.randint(0, 9, (n,)).to(d).cumsum(0)]
    return found


@case
def scans_of_odd_numbers(d):
    x = odd(d, 2, 400)
    return x.cumsum(1), x.cummax(1), x.cummin(1), x.logcumsumexp(1), T.tensor(3).to(d).cummax(0)


# Loops of work-groups -----------------------------------------------------------------------


def _alignments(d, **options):
    """CTC losses and gradients of labellings of several lengths, also of impossible ones."""
    found = []
    labels = T.tensor([[1, 2, 2, 3], [3, 3, 3, 3], [1, 0, 0, 0], [2, 1, 2, 1]]).clamp(min=1).to(d)
    sizes, lengths = T.tensor([4, 4, 1, 0]).to(d), T.tensor([7, 5, 1, 6]).to(d)
    flat = T.cat([row[:n] for row, n in zip(labels.cpu(), sizes.tolist(), strict=True)]).to(d)
    for targets in (labels, flat):
        x = normal(d, 7, 4, 5).requires_grad_()
        y = F.ctc_loss(x.log_softmax(-1), targets, lengths, sizes, reduction="none", **options)
        (y.where(y < math.inf, 0) * T.arange(1, 5, device=d)).sum().backward()
        found += [y, x.grad]
    return found


@case
def ctc(d):
    return _alignments(d, zero_infinity=True), _alignments(d)[0::2]


@case
def maxima_of_bags(d):
    x = odd(d, 9, 3)
    bags, starts = T.tensor([1, 8, 8, 2, 5, 0, 7]).to(d), T.tensor([0, 3, 3, 5]).to(d)
    return (F.embedding_bag(bags, x, starts, mode="max"),
            F.embedding_bag(bags, normal(d, 9, 3), starts, mode="max", padding_idx=8),
            _with_gradient(normal(d, 9, 3), lambda x: F.embedding_bag(bags, x, starts, mode="max")))  # fmt: skip


@case
def further_special_functions(d):
    x, n = T.linspace(-3, 12, 151).to(d), T.arange(-1, 150, device=d) % 12
    s = T.special
    return (s.zeta(x, x.abs() + 0.5), s.zeta(x.round(), -x), T.polygamma(2, x), T.polygamma(5, x),
            s.legendre_polynomial_p(x / 12, n), s.laguerre_polynomial_l(x, 3) / 9,
            s.chebyshev_polynomial_t(x / 12, n), s.shifted_chebyshev_polynomial_w(x / 12, n),
            s.hermite_polynomial_h(x / 12, 4), s.hermite_polynomial_he(x / 12, n),
            s.bessel_j0(x), s.bessel_y1(x), s.modified_bessel_k0(x), s.scaled_modified_bessel_k1(x),
            s.airy_ai(x.double()), s.airy_ai(x))  # fmt: skip


@case
def parts_of_numbers(d):
    x = T.cat([odd(d, 40), T.tensor([0.0, -0.0, 1e-40, 3e38, 0.75]).to(d)])
    e = T.arange(-20, 25, device=d) * 8
    return T.frexp(x), T.ldexp(x, e), T.frexp(x.double()), T.ldexp(x.double(), e * 9)


@case
def histograms(d):
    x, w = normal(d, 60, 2), T.rand(60).to(d)
    return (*T.histogramdd(x, [3, 5]), *T.histogramdd(x, [3, 4], weight=w, density=True),
            T.histogram(x[:, 0], T.linspace(-1, 1, 9).to(d)), T.histogram(x, 7, range=(-1.0, 2.0)))  # fmt: skip


@case
def products_of_sparse_matrices(d):
    x = T.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, 4.0]])
    found = []
    for place in (x.to(d).to_sparse(), x.to_sparse().to(d)):
        y = normal(d, 3, 4).requires_grad_()
        z = T.sparse.mm(place, y)
        (z * z).sum().backward()
        found += [z, y.grad]
    return found


# Searching and selecting --------------------------------------------------------------------


@case
def search(d):
    x, rows = odd(d, 40).sort().values, odd(d, 2, 70).sort().values
    found = []
    for right in (False, True):
        found.append(T.searchsorted(x, odd(d, 3, 5), right=right))
        found.append(T.searchsorted(rows, odd(d, 2, 5), right=right, out_int32=True))
    return [*found, T.bucketize(odd(d, 9), normal(d, 1)), T.isin(x, x[:3]), T.isin(x, odd(d, 90))]


@case
def masks(d):
    x, mask = normal(d, 4, 30), T.rand(4, 30).to(d) > 0.5
    y, z = x.clone(), x.clone()
    y[mask] = y[mask] * 2
    z[0, mask[0]] = 5.0
    z[mask.any(1)] += 1
    empty = T.zeros(4, 30, dtype=T.bool, device=d)
    return (x.nonzero(), mask.nonzero(as_tuple=True), x[mask], x[empty], x[mask[:, 0]], y, z,
            x.masked_select(mask[0]), x.masked_scatter(mask, x * 3), T.where(mask),
            T.nonzero_static(mask, size=7), T.nonzero_static(empty, size=2),
            _with_gradient(x, lambda x: x[mask]))  # fmt: skip


@case
def counts(d):
    i = T.randint(0, 20, (300,)).to(d)
    return (i.unique(return_inverse=True, return_counts=True), i.bincount(), i.bincount(i.float()),
            i.bincount(minlength=50), i.unique_consecutive(return_inverse=True, return_counts=True),
            normal(d, 99).histc(7), normal(d, 99).histc(7, -1, 1))  # fmt: skip


@case
def repeats(d):
    x, n = normal(d, 3, 4), T.tensor([2, 0, 3]).to(d)
    return x.repeat_interleave(n, 0), _with_gradient(x, lambda x: x.repeat_interleave(n, 0))


@case
def reductions_at_indices(d):
    x, i, s = normal(d, 4, 6), T.randint(0, 4, (9, 6)).to(d), normal(d, 9, 6)
    found = []
    for name in ("sum", "prod", "mean", "amax", "amin"):
        f = lambda s, name=name: x.scatter_reduce(0, i, s, name)
        found.append(_with_gradient(s, f))
    return [*found, T.tensor(1.0).to(d).scatter_add(0, i[0, 0] * 0, s[0, 0])]


@case
def many_elements_at_few_places(d):
    x, i, s = T.arange(9.0).to(d), T.randint(0, 7, (2500,)).to(d), normal(d, 2500)
    found = [x.scatter_reduce(0, i, s, name) for name in ("sum", "mean", "amax", "amin")]
    wide = T.zeros(2, 9, device=d).index_add(1, i, T.stack([s, -s]))
    return *found, wide, x.scatter(0, i, s), x.half().scatter_add(0, i[:2100], s[:2100].half() / 99)


@case
def without_elements(d):
    x = T.zeros(0, 3, device=d)
    return (
        x * 2,
        T.cat([x, T.ones(2, 3, device=d)]),
        x.sort().values,
        x.sum(1),
        x @ x.t(),
        x.nonzero(),
    )


# Images -------------------------------------------------------------------------------------


@case
def resized(d):
    found = []
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        for size in ((3, 9), (7, 4)):
            f = lambda x, m=mode, s=size: F.interpolate(x, s, mode=m)
            found.append(_with_gradient(normal(d, 1, 2, 5, 6), f))
    x = normal(d, 1, 2, 5, 6)
    return [*found, F.interpolate(x, scale_factor=1.7, mode="bilinear", align_corners=True)]


@case
def adaptive_maxima(d):
    x = normal(d, 2, 3, 7, 5)
    found, at = F.adaptive_max_pool2d(x, (3, 2), return_indices=True)
    return found, at, _with_gradient(x, lambda x: F.adaptive_max_pool2d(x, (3, 2)))


# Special functions --------------------------------------------------------------------------


@case
def special_functions(d):
    x = T.cat([T.linspace(-6, 6, 49), T.tensor([0.0, 40.0, math.inf, -math.inf, math.nan])]).to(d)
    u, s = T.linspace(-1, 1, 33).to(d), T.special
    return [
        *[f(x) for f in (s.erfc, s.erfcx, s.ndtr, s.log_ndtr, s.gammaln, s.digamma, s.i0, s.i0e,
                         s.i1, s.i1e, lambda x: s.polygamma(1, x))],
        s.erfinv(u), s.ndtri(u), T.arange(1, 5, device=d).lgamma(), T.mvlgamma(u + 9, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name, device):
    _check(name, device)


def test_tails_of_special_functions(device):
    s, x = T.special, T.tensor([-30.0, -9.5, 5.0, 9.0])
    p = T.tensor([1e-30, 1e-10, 1e-3, 0.7])
    for f, given in ((s.erfc, x), (s.ndtr, x), (s.log_ndtr, x), (s.ndtri, p), (s.erfcx, x[1:])):
        far = f(given.to(device)).cpu().numpy()
        np.testing.assert_allclose(far, f(given.double()).float().numpy(), rtol=1e-6)


def test_errors_of_the_forward(device, monkeypatch):
    monkeypatch.delenv("RUSHLIGHT_FALLBACK")
    x = T.ones(4, device=device)
    with pytest.raises(RuntimeError, match="Number of elements of source"):
        x.masked_scatter(x > 0, x[:2])
    with pytest.raises(RuntimeError, match="can not be negative"):
        x.repeat_interleave(T.tensor([1, -1, 0, 0], device=device))
    with pytest.raises(RuntimeError, match="non-negative"):
        T.tensor([1, -1], device=device).bincount()


def test_segments_on_the_cpu():
    from rushlight.ops.index.segments import segments

    x, src, ends = T.ones(1, 3), T.tensor([[2.0, 3.0, 5.0]]), T.tensor([[2, 2, 3]])
    assert segments(x, src, ends, reduce="add").tolist() == [[6.0, 1.0, 6.0]]


def test_no_step_of_a_sort_is_missing():
    from rushlight.ops.reduce.merge_sort import RUN, merged_runs, rank, sorted_runs

    x = T.randn(2, 3 * RUN + 5).mul(3).round()
    order, run = sorted_runs(x, descending=True), RUN
    while run < x.shape[1]:
        order, run = merged_runs(x, order, run=run, descending=True), 2 * run
    assert (order.numpy() == rank(x.numpy(), 1, True)).all()


@pytest.mark.skipif(not ASSEMBLER, reason="no ptxas")
@pytest.mark.parametrize("capability", daily([((7, 5),), ((8, 0),), ((9, 0),)], 0, "architectures"))
def test_loops_of_groups_assemble_without_spills(capability, fresh, assembled):
    driver = fresh(races=False, capability=capability)
    for name in ("ctc", "maxima_of_bags", "further_special_functions"):
        CASES[name]("cuda")
    for text in set(driver.texts):
        assembled(text)


@pytest.mark.parametrize("seed", daily(range(60), 4, "distinct slices"))
def test_distinct_slices(device, seed):
    """``unique`` and ``unique_consecutive`` of slices of random shapes, dtypes and layouts."""
    draw = random.Random(seed)
    T.manual_seed(seed)
    shape = [draw.choice([1, 2, 3, 5, 8]) for _ in range(draw.randint(1, 3))]
    dtype = draw.choice([T.float32, T.float16, T.int64, T.uint8, T.bool])
    x = T.randint(0, draw.choice([2, 3]), shape).to(dtype)
    x = x.transpose(0, -1) if draw.random() < 0.3 else x
    if dtype.is_floating_point and draw.random() < 0.4:
        x = x.masked_fill(x == 1, draw.choice([-0.0, float("-inf")]))
    options = {"return_inverse": True, "return_counts": True, "dim": draw.randrange(x.ndim)}
    for call in (T.unique, T.unique_consecutive):
        for near, far in zip(call(x, **options), call(x.to(device), **options), strict=True):
            T.testing.assert_close(far.cpu(), near, rtol=0, atol=0, equal_nan=True)
