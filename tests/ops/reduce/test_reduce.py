"""Reductions, scans, softmax: values, dtypes, errors, gradients and precision."""

import itertools
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import summation
from rushlight.ops.reduce import scan
from tests.ops.parity import ALL, check, check_gradients

WHOLE = """sum mean prod amax amin max min argmax argmin any all std var nansum nanmean norm count_nonzero aminmax
    std_mean var_mean logsumexp median nanmedian""".split()  # noqa: SIM905
FORMS = """x, dim=0|x, dim=1|x, dim=-1|x, dim=2|x[:0]|x[:0], dim=1|x[0, 0]|x[0, 0], dim=0|x.t(), dim=1|x[:, ::2], dim=0
    x, 0|x""".replace("\n", "|").split("|")
KEPT = (
    "x, dim=0, keepdim=True",
    "x, axis=0, keepdims=True",
    "x[0, 0], dim=-1, keepdim=True",
    "x[:0], dim=-1, keepdim=True",
)
# Where PyTorch names one of two mistakes and we the other, or computes on no elements what it refuses.
APART = {
    ("dim=2", "complex"),
    ("[:0]", "complex"),
    ("median", "bool"),
    ("dim=2", "bool"),
    ("dim=2", "int"),
    ("median", "complex"),
}
OTHERS = """torch.sum(x, dim=(0, 1))|torch.mean(x, (0, 1))|torch.amax(x, (0, 1), True)|torch.amin(x, ())|torch.sum(x, (0, 0))
    torch.any(x, (0, 1))|torch.std(x, (0, 1))|torch.logsumexp(x, (0, 1))|torch.norm(x, 2, (0, 1), True)|torch.max(x, (0, 1))
    torch.argmax(x, (0, 1))|torch.sum(x, 0, 1)|torch.sum(2)|torch.prod(x, (0, 1))|torch.sum(x, dtype=torch.float64)
    torch.sum(x, 0, dtype=torch.int32)|torch.prod(x, 0, dtype=torch.int32)|torch.mean(x, dtype=torch.float64)
    torch.std(x, False)|torch.std(x, 0, False, True)|torch.var(x, unbiased=False)|torch.std(x, dim=0, correction=0)
    torch.var(x, correction=2)|torch.var(x, dim=1, correction=2.5)|torch.var_mean(x, 0, False)|torch.std(x, None)
    torch.norm(x, 0)|torch.norm(x, 1, 1)|torch.norm(x, 3)|torch.norm(x, 0.5, 0)|torch.norm(x, -1)|torch.norm(x, float("inf"))
    torch.norm(x, -float("inf"), dim=1)|torch.norm(x, "fro", dim=(0, 1))|torch.norm(x, "no")|torch.max(x, y)|x.min(y)
    torch.max(x, 1)|torch.max(x, "a")|torch.max(x, 1, True)|torch.max(x, other=y)|torch.allclose(x, y)|torch.equal(x, x)
    torch.equal(x, 2)|torch.cumsum(x, 0)|torch.cumsum(x, -1)|torch.cumsum(x, 2)|torch.cumsum(x[0, 0], 0)|torch.cumprod(x.t(), 1)
    torch.cumsum(x, 0, dtype=torch.float32)|x.cumsum_(0)|x.cumprod_(1)|torch.cummax(x, 1)|torch.cummin(x[:0], 1)
    torch.logcumsumexp(x, 1)|torch.softmax(x, 1)|torch.softmax(x, 0)|torch.log_softmax(x, -1)|x.softmax(0, dtype=torch.float64)
    x[0, 0].softmax(0)|torch.logsumexp(x, 0, True)|torch.count_nonzero(x, dim=(0, 1))"""
OTHERS = [e.strip() for line in OTHERS.splitlines() for e in line.split("|")]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ALL)
def test_values_dtypes_and_refusals(dtype):
    for name, form in itertools.product(WHOLE, [f.strip() for f in FORMS]):
        if not any((part in form or part == name[-6:]) and kind in dtype for part, kind in APART):
            check(f"torch.{name}({form})", dtype)
    for name, form in itertools.product(WHOLE, KEPT):
        apart = (
            name == "count_nonzero"
            or ("axis" in form and name == "norm")
            or ("[:0]" in form and "complex" in dtype)
        )
        if not apart and not (
            name[-6:] == "median" and dtype in ("bool", "complex64", "complex128")
        ):
            check(f"torch.{name}({form})", dtype)
    for e in OTHERS:
        if not (
            "cum" in e
            and ("[:0]" in e or "_(" in e)
            and dtype in ("bool", "complex64", "complex128")
        ):
            check(e, dtype)


_rng = np.random.default_rng(0)
X, D3 = _rng.uniform(-2, 2, (3, 4)), _rng.uniform(-2, 2, (2, 3, 4))
C = X + 1j * _rng.uniform(-2, 2, (3, 4))
TIES = np.array([[1.0, 1, 0, -1], [1, 0, 0, 2], [2, 2, -2, 0]])
ZEROS = np.array([[1.0, 2, 3], [0, 4, 5], [0, 0, 6], [7, 8, 9]])
RULED = (
    "sum mean prod amax amin max min std var nansum nanmean norm std_mean var_mean aminmax".split()  # noqa: SIM905
)


@pytest.mark.parity
@pytest.mark.parametrize("name", RULED)
def test_gradients(name):
    for x in (X, TIES, ZEROS, D3):
        for form in ("x", "x, dim=0", "x, dim=-1, keepdim=True"):
            check_gradients(f"torch.{name}({form})", x=x)
    if name in ("sum", "mean", "prod", "std", "var", "norm", "var_mean"):
        check_gradients(f"torch.{name}(x, dim=1)", x=C)
    nan = X.copy()
    nan[0, 1] = np.nan
    check_gradients(f"torch.{name}(x)", second=False, x=nan)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        "cumsum",
        "cumprod",
        "logcumsumexp",
        "cummax",
        "cummin",
        "softmax",
        "log_softmax",
        "logsumexp",
    ],
)
def test_gradients_along_a_dim(name):
    for x in (X, TIES, ZEROS, D3):
        check_gradients(f"torch.{name}(x, 0)", x=x)
        check_gradients(f"torch.{name}(x, -1)", x=x)
    if name in ("cumsum", "cumprod", "logcumsumexp", "logsumexp"):
        check_gradients(f"torch.{name}(x, 0)", x=C)
    infinite = np.array([[-np.inf, -np.inf], [1, -np.inf], [3.0, 0]])
    if "cum" not in name:
        check_gradients(f"torch.{name}(x, 1)", second=False, x=infinite)


@pytest.mark.parity
def test_gradients_of_norms_and_of_products_with_zeros():
    for p in ("1", "2", "3", "0.5", "1.5", "-1", 'float("inf")', '-float("inf")'):
        check_gradients(f"torch.norm(x, {p}, 1)", x=X)
        check_gradients(f"torch.norm(x, {p}, 1)", second=False, x=TIES)
        check_gradients(f"torch.norm(x, {p}, 0)", second=False, x=np.zeros((2, 3)))
    for x in ([0.0, 1, 2, 3], [0.0, 0, 2, 3], [0.0, 0, 0, 3]):
        for e in ("torch.prod(x)", "torch.prod(x, 0)", "torch.cumprod(x, 0)"):
            check_gradients(e, x=np.array(x))
    for x, e in (
        (np.ones(3), "x.std()"),
        (np.ones((3, 2)), "x.std(1)"),
        (np.ones((3, 1)), "x.var(1, unbiased=False)"),
    ):
        check_gradients(e, second=False, x=x)


@pytest.mark.parity
def test_named_results_print_as_pytorchs():
    peer = pytest.importorskip("torch")
    for e in (
        "x.max(1)",
        "x.min(0)",
        "x.sort()",
        "x.topk(2)",
        "x.median(1)",
        "x.aminmax()",
        "x.cummax(0)",
        "x.kthvalue(1)",
    ):
        x = [[1.0, 3.0], [4.0, 2.0]]
        got, want = (eval(e, {"x": t.tensor(x)}) for t in (torch, peer))
        assert repr(got) == repr(want) and isinstance(got, tuple) and len(got) == 2
    assert torch.tensor([1.0, 2.0]).max(0).values.item() == 2


# Without PyTorch ---------------------------------------------------------------------------

SHAPES = [
    (3000,),
    (70, 50),
    (2, 3000),
    (3000, 2),
    (5, 7, 100),
    (100, 7, 5),
    (1, 3000, 1),
    (600, 1, 4),
    (33, 65, 3),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_and_extremes_over_any_axes(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    views = x, x.T, np.repeat(x, 2, -1)[..., ::2], np.broadcast_to(x, (2, *shape))
    for v, n in itertools.product(views, range(len(shape) + 1)):
        for axes in itertools.combinations(range(v.ndim), n):
            for ufunc, keep in itertools.product((np.add, np.maximum), (True, False)):
                got, want = (
                    summation.folded(ufunc, v, axes, keep),
                    ufunc.reduce(v, axis=axes, keepdims=keep),
                )
                assert np.shape(got) == np.shape(want)
                np.testing.assert_allclose(got, want, atol=1e-10)


@pytest.mark.parametrize(
    "shape, dim",
    [((100_000,), 0), ((20_000, 3), 0), ((3000, 40), 0), ((20, 5000), 1), ((50, 300, 7), 1)],
)
def test_float32_sums_are_precise_along_every_axis(shape, dim):
    a = np.random.default_rng(0).uniform(0, 1, shape).astype("f")
    exact = a.sum(dim, dtype="f8")
    error = np.abs(torch.from_numpy(a).sum(dim).numpy() - exact) / exact
    assert error.max() < 4e-7  # added one after the other the error would be a hundred times that
    assert np.abs(torch.from_numpy(a).mean(dim).numpy() / (exact / shape[dim]) - 1).max() < 5e-7
    np.testing.assert_allclose(
        torch.from_numpy(a).var(dim).numpy(), a.var(dim, ddof=1, dtype="f8"), rtol=1e-6
    )


def test_running_sums_of_float32_are_summed_in_double():
    a = np.full(1_000_00, 0.1, "f")
    np.testing.assert_allclose(
        torch.from_numpy(a).cumsum(0).numpy()[-1], a.astype("f8").sum(), rtol=1e-7
    )


@pytest.mark.parametrize("make, error, words", [
    (lambda: torch.ones(0).max(), RuntimeError, "Specify the reduction dim"),
    (lambda: torch.ones(0, 3).amax(0), IndexError, "non-zero size"),
    (lambda: torch.ones(0).amax(0), IndexError, "reduction dim"),
    (lambda: torch.ones(0).argmax(0), IndexError, "reduction dim"),
    (lambda: torch.tensor(1.0).roll(1, 0), IndexError, "no dimensions"),
    (lambda: torch.tensor(1.0).repeat_interleave(2, 0), IndexError, "no dimensions"),
    (lambda: torch.cross(torch.tensor(1.0), torch.tensor(1.0), 0), IndexError, "no dimensions"),
    (lambda: torch.searchsorted(torch.tensor(1.0), torch.ones(2)), RuntimeError, "0 dimension"),
    (lambda: torch.ones(2, 3).sum(2), IndexError, r"\[-2, 1\], but got 2"),
    (lambda: torch.ones(2, 3).sum((0, 0)), RuntimeError, "multiple times"),
    (lambda: torch.tensor([1]).mean(), RuntimeError, "floating point"),
    (lambda: torch.ones(2).logsumexp(), TypeError, "dim"),
    (lambda: torch.ones(2).softmax(1), IndexError, "out of range"),
    (lambda: torch.tensor([True]).argmax(), RuntimeError, "bool"),
    (lambda: torch.ones(2).max(0, True, 3), TypeError, "max"),
    (lambda: torch.ones(2).sum(nonsense=1), TypeError, "nonsense"),
])  # fmt: skip
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_nothing_is_divided_by_zero():
    nothing, zero = torch.ones(0, dtype=torch.int64), torch.tensor(0)
    for found in (nothing // zero, nothing % zero, torch.fmod(nothing, 0)):
        assert found.shape == (0,) and found.dtype == torch.int64


def test_the_gradient_of_max_stays_where_the_maximum_is():
    x = torch.tensor([1.0, 2.0, 2.0], requires_grad=True)
    (x.max() * float("nan")).backward()
    assert x.grad.isnan().tolist() == [False, True, True]


def test_one_element_has_no_deviation_and_says_so():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        assert torch.tensor([3.0]).std().isnan()
    assert ["degrees of freedom" in str(w.message) for w in seen] == [True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.tensor([3.0]).var(0, unbiased=False).item() == 0


def test_out_takes_the_result():
    out = torch.empty(3)
    assert torch.sum(torch.ones(2, 3), 0, out=out) is out and out.tolist() == [2, 2, 2]
    values, indices = torch.empty(2), torch.empty(2, dtype=torch.int64)
    found = torch.max(torch.tensor([[1.0, 2], [4, 3]]), 1, out=(values, indices))
    assert found.values is values and indices.tolist() == [1, 0]


def test_no_warning_of_numpy_reaches_the_user():
    x = torch.tensor([[float("-inf"), float("-inf")], [1e38, 3e38]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert x.softmax(1)[0].isnan().all() and (x[1] * 10).sum().isinf()


def test_the_gradient_of_a_variance_with_more_correction_than_elements():
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer degrees of freedom than one
        x.var(1, correction=4).sum().backward()
    assert x.grad.tolist() == [[0.5, -0.5]]  # 2 (x - mean) / (n - correction), as in PyTorch


@pytest.mark.parametrize("p", [2, 3, 0.5, -2])
def test_the_norm_of_one_number_is_its_size(p):
    """However large or small it is; PyTorch looks at the sizes of the dims, too."""
    x = torch.tensor([[1e30], [-1e-30]])

    def norms(x):
        return torch.linalg.vector_norm(x, p, 1), x[1:].norm(p)

    for found in (norms(x), torch.compile(norms)(x)):
        assert found[0].tolist() == x.abs()[:, 0].tolist()
        assert found[1].item() == x[1].abs().item()


def test_any_and_all_over_no_dims_reduce_nothing():
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    for name in ("any", "all"):
        for dim in ((), []):
            found = getattr(torch, name)(x, dim=dim, keepdim=True)
            assert found.tolist() == [[False, True], [True, False]]
        found = getattr(x.to(torch.uint8), name)(dim=())
        assert found.tolist() == [[0, 1], [1, 0]] and found.dtype == torch.uint8
    assert x.sum(dim=()).item() == 5 and not x.all()


def test_the_product_of_many_elements_is_made_of_products_of_columns():
    """As in PyTorch, elements far apart are multiplied first, so that no product overflows."""
    x = torch.ones(1 << 15)
    x[:2], x[1 << 14 : (1 << 14) + 2] = 1e30, 1e-30
    assert abs(x.prod() - 1) < 1e-6
    assert x[:-3].double().prod() == pytest.approx(1)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@pytest.mark.parametrize("turned", [False, True])
def test_running_extremes_of_long_rows_repeat_their_places(name, turned, monkeypatch):
    values = np.random.default_rng(4).standard_normal((7, 900)).round(1).astype(np.float32)
    values[2, 5], values[3, 0] = np.nan, np.nan
    x = torch.tensor(values.T).t() if turned else torch.tensor(values)
    rows = [getattr(row, name)(0) for row in x]  # few elements take the other way
    monkeypatch.setattr(scan, "_places", None)
    found = getattr(x, name)(1)
    for k in range(len(x)):
        assert torch.equal(found.indices[k], rows[k].indices)
        np.testing.assert_array_equal(found.values[k].numpy(), rows[k].values.numpy())
    assert found.indices.is_contiguous()
