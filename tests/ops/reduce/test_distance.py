"""cdist, pdist, dist and renorm: zero distances, modes, blocks, dtypes and errors."""

import gc
import math

import numpy as np
import pytest

import rushlight as torch
from rushlight.autograd import mode as modes
from rushlight.ops.reduce import distance

INF = math.inf
PRODUCT, DIRECT = "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, INF])
def test_gradients_at_distance_zero_are_zero(p):
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    for mode in (PRODUCT, DIRECT):
        z = torch.cdist(x, x.detach().clone(), p, mode)
        assert z.item() == 0
        assert torch.autograd.grad(z, x)[0].tolist() == [[0, 0]]


def test_second_gradients_at_distance_zero_are_zero():
    x = torch.tensor([[1.0, 2.0], [4.0, 6.0]], requires_grad=True)
    for mode in (PRODUCT, DIRECT):
        (g,) = torch.autograd.grad(torch.cdist(x, x, 2.0, mode).sum(), x, create_graph=True)
        (h,) = torch.autograd.grad((g * g).sum(), x)
        assert torch.isfinite(h).all()


def test_each_of_several_largest_differences_gets_the_whole_gradient():
    x = torch.tensor([[1.0, -1.0]], requires_grad=True)
    zero = torch.zeros(1, 2)
    assert torch.autograd.grad(torch.cdist(x, zero, INF), x)[0].tolist() == [[1, -1]]
    # A norm shares it out.
    assert torch.autograd.grad(torch.dist(x, zero, INF), x)[0].tolist() == [[0.5, -0.5]]


@pytest.mark.parametrize("p", [1, 2, 3, INF])
def test_blocks_make_no_difference(p, monkeypatch):
    x = torch.randn(3, 10, 4, requires_grad=True)
    y = torch.randn(7, 4, requires_grad=True)

    def run():
        z = torch.cdist(x, y, p, DIRECT)
        return z, *torch.autograd.grad((z * z).sum(), (x, y))

    whole = run()
    monkeypatch.setattr(distance, "_BLOCK", 100)
    for a, b in zip(whole, run(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_mode_decides_whether_euclidean_distances_are_products():
    few, many = torch.randn(25, 3, requires_grad=True), torch.randn(26, 3)
    node = lambda *args: type(torch.cdist(few, *args).grad_fn).__name__
    assert node(few) == node(many, 2.0, DIRECT) == "CdistBackward0"
    assert node(many) == node(few, 2.0, PRODUCT) == "CdistByProductBackward0"
    assert node(many, 1.0, PRODUCT) == "CdistBackward0"


def test_vectors_without_elements_have_distance_zero():
    x = torch.zeros(3, 0, requires_grad=True)
    for p in (0, 1, 2, INF):
        z = torch.cdist(x, torch.zeros(2, 0), p)
        assert z.tolist() == [[0, 0]] * 3
        assert torch.autograd.grad(z.sum(), x)[0].shape == (3, 0)
    assert torch.pdist(torch.zeros(3, 0)).tolist() == [0, 0, 0]
    assert torch.pdist(torch.zeros(0, 3)).shape == torch.pdist(torch.zeros(1, 3)).shape == (0,)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("torch.cdist(o(2, 3), o(2, 4))", RuntimeError, "same number of columns. X1: 3 X2: 4"),
        ("torch.cdist(o(2, 3), o(3))", RuntimeError, "at least 2D tensors, X2 got: 1D"),
        ("torch.cdist(o(2, 3).long(), o(2, 3))", RuntimeError, "floating-point dtypes, X1 got"),
        ("torch.cdist(o(2, 3), o(2, 3).double())", RuntimeError, "expected scalar type"),
        ("torch.cdist(o(2, 3), o(2, 3), -1)", RuntimeError, "non-negative p values"),
        ("torch.cdist(o(2, 3), o(2, 3), float('nan'))", RuntimeError, "non-negative p values"),
        ("torch.cdist(o(2, 3), o(2, 3), 2, 'x')", ValueError, "not a valid value for compute_mode"),
        ("torch.cdist(o(2, 3), o(2, 3), '2')", TypeError, "'p' \\(position 3\\) must be float"),
        ("torch.cdist([1.0], o(2, 3))", TypeError, "'x1' \\(position 1\\) must be Tensor"),
        ("torch.cdist(o(2, 2, 3), o(3, 2, 3))", RuntimeError, "must match"),
        ("torch.pdist(o(3))", RuntimeError, "only supports 2D tensors, got: 1D"),
        ("torch.dist(o(3), 1.0)", TypeError, "'other' \\(position 2\\) must be Tensor"),
        ("torch.dist(o(3), o(3), 'fro')", TypeError, "'p' \\(position 3\\) must be Number"),
        ("torch.dist(o(3).long(), o(3).long())", RuntimeError, "floating point or complex"),
        ("torch.dist(o(0), o(0), -1)", RuntimeError, "does not have an identity"),
        ("torch.renorm(o(2, 3), 0, 0, 1)", RuntimeError, "non-positive-norm not supported"),
        ("torch.renorm(o(2, 3), 2j, 0, 1)", RuntimeError, "p must be real-valued"),
        ("torch.renorm(o(2, 3), 2, 0, -1)", RuntimeError, "expected maxnorm to be >= 0"),
        ("torch.renorm(o(2, 3), 2, 0, 1j)", RuntimeError, "maxnorm must be real-valued"),
        ("torch.renorm(o(3), 2, 0, 1)", RuntimeError, "needs at least 2 dimensions, got 1"),
        ("torch.renorm(o(2, 3), 2, 2, 1)", IndexError, "Dimension out of range"),
        ("torch.renorm(o(2, 3).long(), 2, 0, 1)", RuntimeError, "floating point or complex"),
        ("torch.renorm(o(2, 3), 2, 0, 1, out=o(2, 3).double())", RuntimeError, "dtype"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        eval(call, {"torch": torch, "o": torch.ones})


def test_renorm_of_special_values():
    rows = torch.tensor([[3.0, 4.0], [INF, 1.0], [math.nan, 1.0], [0.0, 0.0]])
    found = torch.renorm(rows, 2, 0, 5.0).numpy()
    np.testing.assert_array_equal(found, [[3, 4], [math.nan, 0], [math.nan, 1], [0, 0]])
    assert torch.renorm(rows[:1], 2, 0, 0).tolist() == [[0, 0]]


def test_renorm_in_place_and_into_another_tensor():
    x = torch.tensor([[6.0, 8.0], [0.3, 0.4]])
    out = torch.empty(0)
    assert torch.renorm(x, 2, 0, 1, out=out) is out
    assert x.renorm_(2, 0, maxnorm=1) is x
    assert torch.equal(x, out)
    with pytest.raises(RuntimeError, match="leaf"):
        torch.ones(2, 2, requires_grad=True).renorm_(2, 0, 1)


@pytest.mark.parity
@pytest.mark.parametrize("p", [0, 0.3, 1, 1.3, 2, 3, INF])
def test_distances_equal_pytorchs(p):
    peer = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for a, b in (((30, 3), (40, 3)), ((2, 1, 5, 4), (3, 6, 4)), ((4, 1), (3, 1))):
        x, y = rng.standard_normal(a), rng.standard_normal(b)
        found, want = [_with_gradients(m, x, y, p) for m in (torch, peer)]
        for f, w in zip(found, want, strict=True):
            np.testing.assert_allclose(f, w, rtol=1e-9, atol=1e-9)


def _with_gradients(m, x, y, p):
    x, y = (m.from_numpy(v).requires_grad_() for v in (x, y))
    z = m.cdist(x, y, p)
    (z * m.arange(z.numel(), dtype=z.dtype).reshape(z.shape)).sum().backward()
    return [t.detach().numpy() for t in (z, x.grad, y.grad)]


@pytest.mark.parametrize("p", [0, 1, 2, float("inf")])
def test_distances_of_many_rows_need_no_copies_of_all_pairs(p, monkeypatch):
    x = torch.randn(80, 99)
    wanted = torch.pdist(x.clone().requires_grad_(), p)
    gc.collect()
    if modes.intercept:
        pytest.skip(
            "another test left a tensor on another device, so that all calls go the long way"
        )
    monkeypatch.delattr(distance, "from_numpy")  # of the indices of the rows to copy
    assert torch.equal(torch.pdist(x, p), wanted)
