"""Functions that are replayed, with dtypes and layouts of their own: see ``cases.py``."""

from contextlib import suppress

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.core import replays
from tests.daily import drawn

F, FACTS = torch.nn.functional, replays.facts


@pytest.fixture
def hits(monkeypatch):
    """The functions that were replayed, in order."""
    found = []
    monkeypatch.setattr(replays, "facts", lambda *given: found.append(1) or FACTS(*given))
    return found


def _sorted(x):
    return x.reshape(-1).sort()[0]


#: Functions of a floating matrix x, of a row w as long as its rows, and of integers i from -3 to 2.
FUNCTIONS = {
    "all": lambda x, w, i: x.all(),
    "any of rows": lambda x, w, i: (x > 1).any(1),
    "angle": lambda x, w, i: torch.angle(torch.complex(x, x.flip(0))),
    "bucketize": lambda x, w, i: torch.bucketize(x, _sorted(w), right=True),
    "bool": lambda x, w, i: x.bool(),
    "cdist": lambda x, w, i: torch.cdist(x, x + w),
    "complex": lambda x, w, i: torch.complex(x, x + w),
    "dot": lambda x, w, i: torch.dot(x[0], w),
    "contiguous": lambda x, w, i: x.t().contiguous(),
    "div of integers": lambda x, w, i: i / (i.abs() + 1),
    "expanded": lambda x, w, i: torch.sub(x, w.expand(len(x), -1)),
    "fill at places": lambda x, w, i: x.__setitem__((i[:2], slice(None)), 1.5) or x + 0,
    "fill where": lambda x, w, i: x.__setitem__(x > 0, 1.5) or x + 0,
    "float": lambda x, w, i: i.float(),
    "frexp": lambda x, w, i: torch.frexp(x),
    "full": lambda x, w, i: torch.full((2, 3), 2.5),
    "index_add_": lambda x, w, i: x.index_add_(1, i[:2].abs(), x[:, :2] * 2),
    "int": lambda x, w, i: (x * 1e9).int(),
    "long": lambda x, w, i: x.long(),
    "masked_fill_": lambda x, w, i: x.masked_fill_(x > 0, 1.5),
    "median": lambda x, w, i: torch.median(x),
    "mixed": lambda x, w, i: torch.mul(x, i[: x.shape[1]]),
    "modulus": lambda x, w, i: torch.polar(x, x),
    "mv": lambda x, w, i: torch.mv(x, w),
    "to the dtype of another": lambda x, w, i: i.to(x),
    "nanmean": lambda x, w, i: torch.nanmean(x),
    "nanmedian": lambda x, w, i: torch.nanmedian(x),
    "one_hot": lambda x, w, i: F.one_hot(i + 3, 6),
    "poisson_nll_loss": lambda x, w, i: F.poisson_nll_loss(x, (i + 4)[: x.shape[1]].expand(x.shape), full=True),
    "put": lambda x, w, i: torch.put(x, i[:2], w[:2]),
    "quantile": lambda x, w, i: torch.quantile(x, w.sigmoid(), dim=1),
    "scalar_tensor": lambda x, w, i: torch.scalar_tensor(1.5),
    "searchsorted": lambda x, w, i: torch.searchsorted(_sorted(w), x),
    "searchsorted of rows that are not sorted": lambda x, w, i: torch.searchsorted(w, x),
    "sinc": lambda x, w, i: torch.sinc(x),
    "svd": lambda x, w, i: torch.linalg.svd(x.mT, full_matrices=False),
    "vdot": lambda x, w, i: torch.vdot(x[0], w),
    "vecdot": lambda x, w, i: torch.linalg.vecdot(x, w),
    "vector times matrix": lambda x, w, i: torch.matmul(w, x.mT),
    "zeros": lambda x, w, i: torch.zeros(2, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_replayed(name, hits):
    """``RUSHLIGHT_CHECK=replay`` compares each replay with the function itself, bit by bit."""
    rng = np.random.default_rng(0)
    made = dict.fromkeys((torch.float32, torch.float64), FUNCTIONS[name])
    for dtype, call in made.items():
        hits.clear()
        x = torch.tensor(rng.standard_normal((4, 5)), dtype=dtype)
        w, i = x[0].clone(), torch.tensor(rng.integers(-3, 3, 8))
        for k in range(8):
            call(x * (k - 3.5), w - k, i.roll(k))
        call(x * 0, w, i)
        with suppress(torch.linalg.LinAlgError):
            call(x / 0, w, i)
        assert hits, dtype


@pytest.mark.parametrize("name", ["div of integers", "full", "mixed", "poisson_nll_loss",
                                  "scalar_tensor", "zeros"])  # fmt: skip
def test_the_default_dtype_counts_where_integers_become_floats(name):
    x, i = torch.rand(2, 8), torch.arange(-3, 5)
    found = [FUNCTIONS[name](x, x[0], i) for _ in range(5)]
    torch.set_default_dtype(torch.float64)
    try:
        again = [FUNCTIONS[name](x, x[0], i) for _ in range(5)]
    finally:
        torch.set_default_dtype(torch.float32)
    kept = name in ("mixed", "poisson_nll_loss")  # the results have the dtype of x
    assert {t.dtype for t in found} == {torch.float32}
    assert {t.dtype for t in again} == {torch.float32 if kept else torch.float64}
    assert FUNCTIONS[name](x, x[0], i).dtype is torch.float32


@pytest.mark.parametrize("seed", sorted(drawn(range(10**6), 12, "searches")))
def test_random_searches(seed, hits):
    """In sequences that are sorted or not, among nan and equal numbers."""
    rng = np.random.default_rng(seed)
    dtype = rng.choice(["f4", "f8", "i4", "i8"])
    n, m, right = rng.integers(1, 20), rng.integers(1, 20), bool(rng.integers(2))
    for k in range(8):
        row, values = [rng.integers(0, 9, size).astype(dtype) for size in (n, m)]
        if rng.random() < 0.7:
            row.sort()
        if dtype[0] == "f" and rng.random() < 0.5:
            values[rng.random(m) < 0.2] = np.nan
        found = torch.searchsorted(torch.tensor(row), torch.tensor(values), right=right)
        expected = np.searchsorted(row, values, "right" if right else "left")
        assert k < 2 or np.array_equal(found.numpy(), expected)
    assert hits


def _twice(x):
    y = x.sin()
    return y, y, x, y.view(-1, 1)


#: Functions under ``vmap``, of a row of the matrix x, and of the row w from outside.
MAPPED = {
    "sum": lambda x, w: (x * w).sum(),
    "gradient": lambda x, w: torch.func.grad(lambda x: (w.outer(w) @ x).tanh().sum())(x),
    "matrix": lambda x, w: w.outer(w) @ x,
    "vectors": lambda x, w: x @ w,
    "both": lambda x, w: x @ (x * w),
    "detached": lambda x, w: (x * 2).detach() * w,
    "one vector": lambda x, w: w.outer(w).sum(0).new_ones(()).expand(5) @ x,
}


@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.parametrize("wants", [False, True])
def test_batches_are_replayed(name, wants, monkeypatch):
    kinds: list = []
    monkeypatch.setattr(replays, "facts", lambda x, *rest: kinds.append(type(x)) or FACTS(x, *rest))
    f, rng = MAPPED[name], np.random.default_rng(0)
    for _ in range(8):
        x, w = [torch.tensor(rng.standard_normal(s), requires_grad=wants) for s in ((4, 5), 5)]
        kinds.clear()
        found = torch.vmap(lambda x: f(x, w))(x)  # noqa: B023
        replayed = tuple in kinds  # the results of the work on the batch
        torch.testing.assert_close(found, torch.stack([f(row, w) for row in x]))
        if found.requires_grad:
            grads = torch.autograd.grad(found.cos().sum(), (x, w), allow_unused=True)
            single = torch.stack([f(row, w) for row in x]).cos().sum()
            for g, v in zip(
                grads, torch.autograd.grad(single, (x, w), allow_unused=True), strict=True
            ):
                torch.testing.assert_close(g, v)
    assert replayed or wants


def test_results_of_batches_that_share_memory():
    for i in range(8):
        x = torch.arange(6.0).reshape(3, 2) + i
        a, b, c, d = torch.vmap(_twice)(x)
        a.add_(1)
        assert b is not a and torch.equal(a, x.sin() + 1) and torch.equal(a, b)
        assert torch.equal(d[..., 0], a) and a._version == b._version == d._version == 1
        assert c is not x and c.data_ptr() == x.data_ptr()
