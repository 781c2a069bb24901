"""Sorting, ranks and searching as PyTorch's."""

import numpy as np
import pytest

import rushlight as torch
from tests.ops.parity import REAL, check, check_gradients

SORTED = """torch.sort(x)|torch.sort(x, 0)|torch.sort(x, 1, True)|torch.sort(x, descending=True, dim=0)|torch.sort(x[0, 0])
    torch.sort(x[:0], 0)|torch.sort(x, 5)|torch.sort(x.t(), 1)|torch.sort(x, dim=0, stable=True, descending=True)
    torch.argsort(x)|torch.argsort(x, 0, True)|torch.argsort(x[0, 0])|torch.msort(x)|torch.topk(x, 2)[0]|torch.topk(x, 2, 0)[0]
    torch.topk(x, 2, largest=False)[0]|torch.topk(x, 5)|torch.topk(x, 0)|torch.topk(x[0, 0], 1)|torch.kthvalue(x, 2)[0]
    torch.kthvalue(x, 2, 0, True)[0]|torch.kthvalue(x, 9)|torch.median(x, 1)[0]|torch.median(x, 0, True)[0]|torch.median(x)
    torch.nanmedian(x, 1)[0]|torch.nanmedian(x)|torch.median(x[:0])|torch.median(x[:0], 0)"""
FOUND = """torch.unique(x)|torch.unique(x, return_inverse=True)|torch.unique(x, return_counts=True)|torch.unique(x, True, True, True)
    torch.unique(x, dim=0)|torch.unique(x, dim=1, return_inverse=True, return_counts=True)|torch.unique(x[0, 0])
    torch.unique(x[:0])|torch.unique(x[:0], return_inverse=True, return_counts=True)|torch.unique_consecutive(x, True, True, 0)
    torch.unique_consecutive(x)|torch.isin(x, y)|torch.isin(x, 2)|torch.isin(x, y, invert=True)|torch.isin(2, x)
    torch.searchsorted(x.sort()[0], y)|torch.searchsorted(x[0].sort()[0], y)|torch.searchsorted(x[0].sort()[0], y, right=True)
    torch.searchsorted(x[0].sort()[0], y, side="right", out_int32=True)|torch.searchsorted(x, y[0])
    torch.searchsorted(x[0], y, sorter=x[0].argsort())|torch.bucketize(y, x[0].sort()[0])|torch.bucketize(y, x)
    torch.bucketize(y, x[0].sort()[0], right=True)|torch.searchsorted(x[0].sort()[0], y, side="left", right=True)
    torch.searchsorted(x[0].sort()[0], y, side="a")|torch.bincount(x[0].abs())|torch.bincount(x[0])|torch.bincount(x)
    torch.bincount(x[0].abs(), minlength=10)|torch.bincount(x[0].abs(), weights=torch.ones(4))
    torch.bincount(x[0].abs(), weights=torch.ones(4).double())|torch.bincount(x[0].abs(), torch.ones(3))
    torch.bincount(x[0].abs(), minlength=-1)|torch.bincount(x[:0, 0])|torch.histc(x, 4)|torch.histc(x, 4, 0, 2)
    torch.histc(x, bins=3, min=2, max=2)|torch.histc(x, 0)|torch.histc(x, 3, 2, 1)"""


@pytest.mark.parity
@pytest.mark.parametrize("dtype", REAL)
def test_values_dtypes_and_refusals(dtype):
    for line in (SORTED + "\n" + FOUND).splitlines():
        for e in line.strip().split("|"):
            if not (dtype == "bool" and "median" in e):
                check(e, dtype)


@pytest.mark.parity
def test_nan_is_the_largest():
    for e in ("x.sort()", "x.sort(descending=True)", "x.topk(3)[0]", "x.topk(2, largest=False)[0]", "x.median()", "x.nanmedian()",
              "x.kthvalue(2)[0]", "x.argsort()", "x.max(0)", "x.argmin()", "x.cummax(0)", "x.unique()"):  # fmt: skip
        check(e, "float32", special=True)


@pytest.mark.parity
@pytest.mark.parametrize("n", [7, 300, 2000])
def test_the_largest_of_many(n):
    a = np.random.default_rng(n).permutation(n * 2).reshape(2, n).astype("f")
    for e in (
        "x.topk(5)",
        "x.topk(3, largest=False)",
        "x.t().topk(4, 0)",
        "x.sort(descending=True)",
        "x.median(1)",
        "x.kthvalue(3)",
    ):
        check(e, x=a)


@pytest.mark.parity
def test_gradients():
    x = np.random.default_rng(0).permutation(24).reshape(4, 6) / 3.0 - 2
    for e in ("torch.sort(x, descending=True)", "torch.sort(x, 0)", "torch.topk(x, 2)", "torch.topk(x, 2, 0, False)", "x.max(1)",
              "torch.kthvalue(x, 2)", "torch.kthvalue(x, 2, 0, True)", "torch.median(x, 1)", "torch.median(x)", "x.min(0, True)",
              "torch.nanmedian(x)", "torch.msort(x)", "torch.sort(x)[0].cumsum(1) ** 2"):  # fmt: skip
        check_gradients(e, x=x)
    ties = np.array([1.0, 2, 2, 2, 3])
    for e in ("x.median()", "x.max()", "x.sort()[0]"):
        check_gradients(e, second=False, x=ties)


def test_equal_elements_keep_their_order():
    x = torch.tensor([2, 1, 2, 1, 2])
    assert x.sort().indices.tolist() == [1, 3, 0, 2, 4]
    assert x.sort(descending=True).indices.tolist() == [0, 2, 4, 1, 3]
    assert x.double().argsort(descending=True).tolist() == [0, 2, 4, 1, 3]


def test_the_values_may_be_written_after_they_were_sorted():
    x = torch.tensor([3.0, 1.0], requires_grad=True)
    values, _ = (x * 1).sort()
    values.mul_(2)
    values.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_refusals():
    for make, error in (
        (lambda: torch.ones(3).topk(4), RuntimeError),
        (lambda: torch.ones(2, dtype=torch.cfloat).sort(), RuntimeError),
        (lambda: torch.bincount(torch.tensor([-1])), RuntimeError),
        (lambda: torch.bincount(torch.tensor([1, 2**63 - 1])), RuntimeError),
        (lambda: torch.unique(torch.ones(2), dim=1), IndexError),
    ):
        with pytest.raises(error):
            make()


def test_medians_of_nothing_but_nan_and_of_nothing():
    places = [torch.full((n,), torch.nan).nanmedian(0).indices.item() for n in range(1, 12)]
    assert places == [0, 0, 0, 2, 2, 3, 5, 6, 7, 8, 8]  # PyTorch's
    none = {d: torch.zeros(0, dtype=getattr(torch, d)).median().item() for d in ("int32", "uint64")}
    assert none == {"int32": -(2**31), "uint64": 2**63}  # PyTorch's


def test_the_slope_of_a_median_is_0_elsewhere_whatever_comes():
    x = torch.tensor([3.0, torch.nan, 1.0], requires_grad=True)
    (x.median() * torch.nan).backward()
    assert x.grad.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint8, np.bool_, np.complex64])
@pytest.mark.parametrize("longest", [2, 5000])
def test_runs_of_many_elements(dtype, longest):
    rng = np.random.default_rng(0)
    given = np.repeat(np.arange(9000) % 3 - 1, rng.integers(1, longest, 9000))[:20_000].astype(
        dtype
    )
    if given.dtype.kind == "f":
        given[(given == 0) & (np.arange(len(given)) % 3 == 1)] = -0.0  # a run's first zero stays
        given[100:110] = np.nan
    places = np.flatnonzero(np.concatenate([[True], given[1:] != given[:-1]]))
    lengths = np.diff([*places, len(given)])
    x = torch.from_numpy(given.reshape(4, -1))
    values, run, counts = torch.unique_consecutive(x, True, True)
    assert values.numpy().tobytes() == given[places].tobytes()
    assert (
        run.shape == x.shape
        and (run.numpy().reshape(-1) == np.repeat(np.arange(len(places)), lengths)).all()
    )
    assert (counts.numpy() == lengths).all()
    assert torch.unique_consecutive(x).numpy().tobytes() == given[places].tobytes()
    assert (torch.unique_consecutive(x, return_counts=True)[1].numpy() == lengths).all()


def test_runs_of_few_elements():
    x = torch.tensor([[-0.0, 0.0, torch.nan], [torch.nan, torch.inf, torch.inf]])
    values, run, counts = torch.unique_consecutive(x, True, True)
    assert str(values.tolist()) == "[-0.0, nan, nan, inf]"
    assert (run.tolist(), counts.tolist()) == ([[0, 0, 1], [2, 3, 3]], [2, 1, 1, 2])
