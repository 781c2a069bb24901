"""index_reduce and put: errors, results of every kind, and the in-place forms."""

import pytest

import rushlight as torch


def _reduce(x, index, source, reduce="prod", dim=0, **options):
    return torch.index_reduce(x, dim, torch.tensor(index), source, reduce, **options)


def test_index_reduce_checks_its_arguments():
    x = torch.ones(3, 2)
    with pytest.raises(RuntimeError, match="one of prod, mean, amax or amin but got sum"):
        _reduce(x, [0], torch.ones(1, 2), "sum")
    for bad in (3, -1):
        with pytest.raises(IndexError):
            _reduce(x, [bad], torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="Number of indices"):
        _reduce(x, [0], torch.ones(2, 2))
    with pytest.raises(RuntimeError, match="source tensor shape must match self tensor shape"):
        _reduce(x, [0, 1], torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="must have the same scalar type"):
        _reduce(x, [0], torch.ones(1, 2, dtype=torch.float64))
    with pytest.raises(IndexError, match="supposed to be a vector"):
        _reduce(x, [[0]], torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="int32/int64"):
        _reduce(x, [0.0], torch.ones(1, 2))


def test_index_reduce_writes_into_out_and_in_place():
    out, x, source = torch.empty(0), torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])
    assert _reduce(x, [1, 1], source, out=out) is out
    assert out.tolist() == [2, 105]
    assert x.index_reduce_(0, torch.tensor([0, 1]), source, "amax", include_self=False) is x
    assert x.tolist() == [5, 7]
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype"):
        _reduce(x, [0, 1], source, out=torch.empty(2, dtype=torch.int64))


def test_in_place_reductions_have_gradients():
    x = torch.tensor([3.0, 1.0], requires_grad=True)
    index, source = torch.tensor([0, 1]), torch.tensor([2.0, 2.0])
    (x * 1).index_reduce_(0, index, source, "amax").sum().backward()
    assert x.grad.tolist() == [1, 0]
    x.grad = None
    (x * 1).scatter_reduce_(0, index, source, "amin").sum().backward()
    assert x.grad.tolist() == [0, 1]


def test_means_of_complex_numbers_and_of_integers():
    z = torch.tensor([1 + 2j, 3j])
    assert _reduce(z, [0], torch.tensor([3 + 0j]), "mean").tolist() == [2 + 1j, 3j]
    n = torch.tensor([-2, 7])
    assert _reduce(n, [0, 1], torch.tensor([-1, 2]), "mean").tolist() == [-2, 4]


def test_put_checks_its_arguments():
    x, one = torch.zeros(2, 2), torch.ones(1)
    with pytest.raises(IndexError, match="tried to access index 4 on a tensor of 4 elements"):
        x.put(torch.tensor([4]), one)
    with pytest.raises(IndexError, match="same number of elements"):
        x.put(torch.tensor([0, 1]), one)
    with pytest.raises(RuntimeError, match="Expected a long tensor for index"):
        x.put(torch.tensor([0], dtype=torch.int32), one)
    with pytest.raises(RuntimeError, match="expected to have the same dtype"):
        x.put(torch.tensor([0]), torch.tensor([1]))
    with pytest.raises(IndexError, match="empty tensor"):
        torch.empty(0).put(torch.tensor([0]), one)


def test_put_in_place_on_a_view():
    x = torch.zeros(2, 3)
    assert x.t().put_(torch.tensor([1, 1]), torch.tensor([2.0, 3.0]), accumulate=True) is not x
    assert x.tolist() == [[0, 0, 0], [5, 0, 0]]
