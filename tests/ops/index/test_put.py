"""``put`` and ``take_along_dim``: positions, gradients, batches and programs."""

import numpy as np
import pytest

import rushlight as torch


def _operands():
    x = torch.arange(6.0).reshape(2, 3)
    return x, torch.tensor([[4], [-6]]), torch.tensor([[7.0], [8.0]])


@pytest.mark.parametrize("accumulate", [False, True])
def test_put_writes_at_flat_positions(accumulate):
    x, index, source = _operands()
    wanted = np.arange(6.0)
    wanted[[4, 0]] = [7 + 4 * accumulate, 8]
    assert x.put(index, source, accumulate).flatten().tolist() == wanted.tolist()
    turned = x.t().contiguous().t()
    turned.put_(index, source, accumulate)
    assert turned.flatten().tolist() == wanted.tolist()
    assert turned.stride() == (1, 2)


@pytest.mark.parametrize("accumulate", [False, True])
def test_put_has_one_node(accumulate):
    x, index, source = _operands()
    x.requires_grad_()
    source.requires_grad_()
    out = x.put(index, source, accumulate)
    assert out.grad_fn.name() == "PutBackward0"
    out.backward(torch.arange(1.0, 7).reshape(2, 3))
    assert source.grad.flatten().tolist() == [5, 1]
    kept = [1, 2, 3, 4, 5, 6] if accumulate else [0, 2, 3, 4, 0, 6]
    assert x.grad.flatten().tolist() == kept
    out = x.put(index, source, accumulate)
    index += 1
    with pytest.raises(RuntimeError, match="modified"):
        out.sum().backward()


def test_put_in_batches_and_programs():
    x, index, source = _operands()
    rows = torch.stack([x, x + 1])
    found = torch.func.vmap(lambda t: t.put(index, source))(rows)
    assert found.tolist() == [r.put(index, source).tolist() for r in rows]
    put = torch.compile(lambda t, i: t.put(i, source))
    assert put(x, index).tolist() == x.put(index, source).tolist()
    with pytest.raises(IndexError, match="tried to access index 6"):
        put(x, torch.tensor([[6], [0]]))
    with pytest.raises(IndexError, match="tried to access index 6"):
        x.put(torch.tensor([[6], [0]]), source)


def test_positions_of_take_along_dim_may_change_before_backward():
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    index = torch.tensor([[-1], [1]])
    out = torch.take_along_dim(x, index, 1)
    index += 1  # PyTorch, too, saves the positions that it has wrapped
    out.sum().backward()
    assert out.tolist() == [[2], [4]]
    assert x.grad.tolist() == [[0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("width", [4, 4000])  # SciPy adds many values
@pytest.mark.parametrize("place", [2, 5000, -3, -(10**12)])
def test_places_out_of_range_are_refused_before_anything_is_added(width, place):
    x = torch.zeros(2, width)
    index = torch.tensor([0, place])
    with pytest.raises(IndexError, match="out of bounds for dimension 0 with size 2"):
        x.index_put_((index,), torch.ones(2, width), accumulate=True)
    assert not x.any()
    g = torch.zeros(2, width, requires_grad=True)
    with pytest.raises(IndexError):
        g[index]
