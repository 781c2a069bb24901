"""select_scatter, slice_scatter, diagonal_scatter, as_strided_scatter: what samples don't show."""

import pytest

import rushlight as torch


def test_the_input_stays_as_it_is():
    x = torch.zeros(2, 2)
    torch.select_scatter(x, torch.ones(2), 0, 0)
    torch.diagonal_scatter(x, torch.ones(2))
    torch.as_strided_scatter(x, torch.ones(1), (1,), (1,))
    assert x.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("call", [
    lambda x: torch.select_scatter(x, torch.ones(3), 0, 1),
    lambda x: torch.select_scatter(x, torch.ones(1), 0, 1),
    lambda x: torch.slice_scatter(x, torch.ones(1, 4), 0, 0, 2),
    lambda x: torch.diagonal_scatter(x, torch.ones(4)),
    lambda x: torch.as_strided_scatter(x, torch.ones(3), (2,), (1,)),
])  # fmt: skip
def test_src_must_have_the_shape_of_the_view(call):
    with pytest.raises(
        RuntimeError, match="expected src to have a size equal to the slice of self"
    ):
        call(torch.zeros(3, 4))


def test_dims_indices_and_steps_are_checked():
    x, row = torch.zeros(3, 4), torch.ones(4)
    with pytest.raises(IndexError, match="index 5 out of range"):
        torch.select_scatter(x, row, 0, 5)
    with pytest.raises(IndexError, match="Dimension out of range"):
        torch.select_scatter(x, row, 2, 0)
    with pytest.raises(IndexError, match="0-dim"):
        torch.slice_scatter(torch.tensor(1.0), torch.tensor(1.0))
    with pytest.raises(RuntimeError, match="slice step must be positive"):
        torch.slice_scatter(x, torch.ones(1, 4), 0, 0, 3, 0)
    with pytest.raises(RuntimeError, match="diagonal dimensions cannot be identical"):
        torch.diagonal_scatter(x, torch.ones(3), 0, 1, 1)


def test_a_strided_view_must_lie_in_the_storage_and_not_overlap():
    x = torch.zeros(4)
    with pytest.raises(RuntimeError, match="out of bounds for storage"):
        torch.as_strided_scatter(x, torch.ones(2), (2,), (1,), 3)
    with pytest.raises(RuntimeError, match="single memory location"):
        torch.as_strided_scatter(x, torch.ones(2), (2,), (0,))


def test_src_is_converted_to_the_dtype_of_the_input():
    found = torch.zeros(2, dtype=torch.int64).select_scatter(torch.tensor(2.7), 0, 1)
    assert found.dtype is torch.int64
    assert found.tolist() == [0, 2]


def test_gradients_of_as_strided_scatter():
    # PyTorch 2.13 gives x the gradient of the overwritten elements instead.
    x = torch.arange(6.0, dtype=torch.float64, requires_grad=True)
    y = torch.ones(2, dtype=torch.float64, requires_grad=True)
    call = lambda x, y: torch.as_strided_scatter(x, y, (2,), (3,), 1)
    call(x, y).sum().backward()
    assert x.grad.tolist() == [1, 0, 1, 1, 0, 1]
    assert y.grad.tolist() == [1, 1]
    assert torch.autograd.gradcheck(call, (x, y))
    assert torch.autograd.gradgradcheck(call, (x, y))


def test_a_view_before_the_input_in_its_storage_does_not_show():
    x = torch.arange(6.0)[2:]
    assert x.as_strided_scatter(torch.zeros(1), (1,), (1,), 0).tolist() == [2, 3, 4, 5]
    assert x.as_strided_scatter(torch.zeros(1), (1,), (1,), 2).tolist() == [0, 3, 4, 5]


def test_slice_scatter_writes_its_out():
    out = torch.empty(0)
    assert torch.slice_scatter(torch.zeros(3), torch.ones(1), 0, 1, 2, out=out) is out
    assert out.tolist() == [0, 1, 0]
