"""Where equal elements go: the order among them is PyTorch's, which its documentation leaves open."""

import numpy as np
import pytest

import rushlight
from rushlight import selection

CALLS = {
    "sort": lambda t, x: t.sort(x),
    "sort, descending": lambda t, x: t.sort(x, descending=True),
    "sort, stable": lambda t, x: t.sort(x, stable=True, descending=True),
    "sort, first dim": lambda t, x: t.sort(x, 0),
    "argsort": lambda t, x: t.argsort(x),
    "msort": lambda t, x: t.msort(x),
    "topk 1": lambda t, x: t.topk(x, 1),
    "topk 3": lambda t, x: t.topk(x, 3),
    "topk half": lambda t, x: t.topk(x, x.shape[-1] // 2),
    "topk, all smallest": lambda t, x: t.topk(x, x.shape[-1], largest=False),
    "topk, first dim": lambda t, x: t.topk(x, 2, 0, largest=False),
    "kthvalue": lambda t, x: t.kthvalue(x, x.shape[-1] // 3 + 1),
    "kthvalue, last": lambda t, x: t.kthvalue(x, x.shape[-1]),
    "kthvalue, first dim": lambda t, x: t.kthvalue(x, 2, 0, keepdim=True),
}


def arrays():
    rng = np.random.default_rng(5)
    for shape in ((4, 3), (3, 16), (3, 17), (2, 70), (40, 5), (2, 300), (2, 500)):
        for most in (2, 10, 100):
            values = rng.integers(0, most, shape)
            yield values
            yield values.astype("f4")
        yield values.astype("f2") / 4
        holed = values.astype("f8")
        holed[rng.random(shape) < 0.2] = np.nan
        holed[rng.random(shape) < 0.1] = -0.0
        yield holed


@pytest.mark.parity
@pytest.mark.parametrize("name", CALLS)
def test_as_pytorch(name):
    peer = pytest.importorskip("torch")
    for a in arrays():
        want, got = [CALLS[name](t, t.from_numpy(a.copy())) for t in (peer, rushlight)]
        if hasattr(want, "dtype"):
            want, got = (want,), (got,)
        for w, g in zip(want, got, strict=True):
            np.testing.assert_array_equal(g.numpy(), w.numpy(), err_msg=f"{a.shape} {a.dtype}")


@pytest.mark.parity
def test_long_rows_as_pytorch():
    """What ``multinomial`` takes for rows of any length, and the others for few elements."""
    peer = pytest.importorskip("torch")
    rng = np.random.default_rng(6)
    for n, most in ((1500, 2), (1500, 100), (5000, 10), (5000, 1000)):
        rows = rng.integers(0, most, (2, n)).astype("f4")
        theirs = peer.from_numpy(rows)
        for k in (3, n // 2, n):
            np.testing.assert_array_equal(selection.largest(rows, k), theirs.topk(k).indices)
        for row, t in zip(rows, theirs, strict=True):
            assert selection.order(row, True) == t.sort(descending=True).indices.tolist()
            assert selection.kth(row, n // 3) == t.kthvalue(n // 3 + 1).indices.item()


def test_recorded():
    x = rushlight.tensor([1.0, 0.0] * 20)
    assert x.sort().indices[:16].tolist() == [
        1, 39, 37, 35, 33, 31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 3,
    ]  # fmt: skip
    assert x.sort(stable=True).indices[:4].tolist() == [1, 3, 5, 7]
    assert x[:16].sort().indices[:4].tolist() == [1, 3, 5, 7]
    many = rushlight.zeros(1024)
    assert many.sort().indices.tolist() == list(range(1024))


def test_values_and_gradients_go_with_the_indices():
    x = rushlight.tensor([2.0, 1, 2, 1, 2] * 8, requires_grad=True)
    for found in (x.sort(), x.topk(30), x.topk(1)):
        assert rushlight.equal(x[found.indices], found.values)
        (g,) = rushlight.autograd.grad(found.values[:1].sum(), x)
        assert g.nonzero().flatten().tolist() == [found.indices[0].item()]


@pytest.mark.parametrize("call", ["kthvalue", "median", "nanmedian", "sort", "topk", "mode"])
def test_values_are_those_at_the_indices(call):
    """Also among equal zeros, whose signs differ."""
    rng = np.random.default_rng(7)
    for _ in range(60):
        a = rng.choice(np.float32([0.0, -0.0, 1, -1])[: rng.integers(2, 5)], rng.integers(1, 40, 2))
        dim = int(rng.integers(2))
        given = (int(rng.integers(1, a.shape[dim] + 1)),) if call in ("kthvalue", "topk") else ()
        values, index = getattr(rushlight, call)(rushlight.tensor(a), *given, dim=dim)
        if call not in ("sort", "topk"):
            values, index = values.unsqueeze(dim), index.unsqueeze(dim)
        there = np.take_along_axis(a, index.numpy(), dim)
        assert values.numpy().tobytes() == np.ascontiguousarray(there).tobytes()
