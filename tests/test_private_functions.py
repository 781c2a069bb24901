"""Functions that are private in PyTorch, or new, which libraries call: segments, casts, indices."""

import math
import random

import pytest

import rushlight as torch

X = [[1.0, -2.0], [3.0, 4.0], [0.5, 4.0], [2.0, 0.0]]
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(("reduce", "initial", "want", "slope"), [
    ("sum", None, [[4, 2], [0, 0], [2.5, 4]], [[1, 1]] * 4),
    ("mean", None, [[2, 1], [NAN, NAN], [1.25, 2]], [[0.5, 0.5]] * 4),
    ("mean", 1.0, [[2.5, 1.5], [1, 1], [1.75, 2.5]], [[0.5, 0.5]] * 4),
    ("max", None, [[3, 4], [-INF, -INF], [2, 4]], [[0, 0], [1, 1], [0, 1], [1, 0]]),
    ("min", 0.0, [[0, -2], [0, 0], [0, 0]], [[0, 1], [0, 0], [0, 0], [0, 0.5]]),
    ("prod", None, [[3, -8], [1, 1], [1, 0]], [[3, 4], [1, -2], [2, 0], [0.5, 4]]),
])  # fmt: skip
def test_segments_are_reduced(reduce, initial, want, slope):
    x = torch.tensor(X, requires_grad=True)
    for given in ({"lengths": torch.tensor([2, 0, 2])}, {"offsets": torch.tensor([0, 2, 2, 4])}):
        found = torch.segment_reduce(x, reduce, initial=initial, **given)
        torch.testing.assert_close(found, torch.tensor(want).float(), equal_nan=True)
    found.nan_to_num(0, 0, 0).sum().backward()
    if reduce != "min":  # an initial value takes a part of the slope where it is equal
        assert x.grad.tolist() == slope


@pytest.mark.parity
@pytest.mark.parametrize("reduce", ["max", "min", "prod", "sum", "mean"])
def test_segments_of_special_numbers_are_those_of_pytorch(reduce):
    pytorch = pytest.importorskip("torch")
    draw = random.Random(3)
    for _ in range(80):
        numbers = draw.choices([0.0, 1.0, 2.0, -1.0, NAN, INF, -INF], [1, 4, 4, 2, 1, 1, 1], k=7)
        cuts = sorted(draw.choices(range(8), k=3))
        bounds, initial = [0, *cuts, 7], draw.choice([None, None, 0.0, 1.0, -1.0])
        found = []
        for t in (torch, pytorch):
            x = t.tensor(numbers, dtype=t.float64, requires_grad=True)
            out = t.segment_reduce(x, reduce, offsets=t.tensor(bounds), initial=initial)
            out.backward(t.tensor([1.0, 2.0, 0.5, 1.5], dtype=t.float64))
            found += [out.tolist(), x.grad.tolist()]
        for mine, theirs in zip(found[:2], found[2:], strict=True):
            assert mine == pytest.approx(theirs, nan_ok=True), (numbers, bounds, initial)


@pytest.mark.parametrize("name", ["max", "min"])
def test_extrema_of_segments_have_two_names(name):
    x, lengths = torch.tensor(X), torch.tensor([2, 0, 2])
    found = [torch.segment_reduce(x, reduce, lengths=lengths) for reduce in (name, f"a{name}")]
    assert torch.equal(*found)


def test_segments_of_inner_dims_and_gaps():
    x = torch.arange(12.0).reshape(2, 6)
    found = torch.segment_reduce(x, "sum", lengths=torch.tensor([[2, 4], [1, 5]]), axis=1)
    assert found.tolist() == [[1, 14], [6, 45]]
    found = torch.segment_reduce(x, "sum", offsets=torch.tensor([[0, 2, 4], [1, 3, 5]]), axis=1)
    assert found.tolist() == [[1, 5], [15, 19]]


def test_segments_that_are_refused():
    x = torch.ones(3)
    for given in ({}, {"lengths": torch.tensor([1, 1])}, {"lengths": torch.tensor([4, -1])},
                  {"lengths": torch.tensor([3]), "axis": 1}):  # fmt: skip
        with pytest.raises((RuntimeError, IndexError), match=r"segment_reduce|negative"):
            torch.segment_reduce(torch.ones(3, 1) if "axis" in given else x, "sum", **given)
    with pytest.raises(RuntimeError, match="reduce argument must be one of"):
        torch.segment_reduce(x, "median", lengths=torch.tensor([3]))


def test_indices_between_formats_and_casts():
    rows = torch.tensor([0, 0, 2])
    starts = torch._convert_indices_from_coo_to_csr(rows, 4, out_int32=True)
    assert starts.tolist() == [0, 2, 2, 3, 3] and starts.dtype == torch.int32
    found = torch._convert_indices_from_csr_to_coo(starts, torch.tensor([1, 3, 0]), transpose=True)
    assert found.tolist() == [[1, 3, 0], [0, 0, 2]] and found.dtype == torch.int64
    assert torch._cast_Long(torch.tensor([1.5])).dtype == torch.int64


def test_associative_scan():
    scan = torch._higher_order_ops.associative_scan
    x = torch.rand(2, 7, 3)
    torch.testing.assert_close(scan(lambda a, b: a * b, x, 1), x.cumprod(1))
    found = scan(lambda a, b: a * b, x, 1, reverse=True)
    torch.testing.assert_close(found, x.flip(1).cumprod(1).flip(1))
    for n in range(1, 9):  # y[i] = a[i] * y[i - 1] + b[i]
        a, b = torch.rand(2, n, dtype=torch.float64)
        _, found = scan(lambda p, q: (p[0] * q[0], q[0] * p[1] + q[1]), (a, b), 0)
        y = 0
        for i in range(n):
            y = a[i] * y + b[i]
            torch.testing.assert_close(found[i], y)
    with pytest.raises(ValueError, match="same size"):
        scan(lambda p, q: p, (torch.ones(2), torch.ones(3)), 0)
