"""The copying versions of view operations, splits along fixed dims, and methods like sum_to_size."""

import pytest

import rushlight as torch


def test_copies_share_no_memory_and_are_contiguous():
    x = torch.arange(6.0).reshape(2, 3)
    for found in (torch.alias_copy(x), torch.t_copy(x), torch.select_copy(x, 0, 0),
                  torch.expand_copy(x, (2, 2, 3)), *torch.unbind_copy(x), x.narrow_copy(0, 0, 1)):  # fmt: skip
        assert found.is_contiguous()
        found.fill_(9)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_parts_are_copied_with_and_without_a_gradient():
    x = torch.arange(6.0).reshape(3, 2)
    for call in (lambda x: torch.split_copy(x, 2), lambda x: torch.unbind_copy(input=x, dim=1),
                 lambda x: torch.split_with_sizes_copy(x, (1, 2))):  # fmt: skip
        tracked = call(x.detach().requires_grad_())
        assert all(part.grad_fn is not None for part in tracked)
        for found, wanted in zip(call(x), tracked, strict=True):
            assert found.view_of is None and found.stride() == wanted.stride()
            assert found.tolist() == wanted.tolist()


def test_copies_write_into_out():
    x, out = torch.arange(6.0).reshape(2, 3), torch.empty(0)
    assert torch.transpose_copy(x, 0, 1, out=out) is out
    assert out.tolist() == [[0, 3], [1, 4], [2, 5]]
    parts = [torch.empty(3), torch.empty(3)]
    assert torch.unbind_copy(x, out=parts) is None
    assert parts[1].tolist() == [3, 4, 5]
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype"):
        torch.select_copy(x, 0, 0, out=torch.empty(3, dtype=torch.float64))


def test_copies_check_their_arguments():
    x = torch.zeros(2, 2)
    with pytest.raises(TypeError):
        torch.permute_copy(x, 1, 0)
    with pytest.raises(TypeError):
        torch.split_copy(x, [1, 1])
    with pytest.raises(IndexError):
        torch.select_copy(x, 0, 2)


@pytest.mark.parametrize(("name", "least"), [("hsplit", 1), ("vsplit", 2), ("dsplit", 3)])
def test_splits_need_enough_dims_and_even_parts(name, least):
    split = getattr(torch, name)
    with pytest.raises(RuntimeError, match=f"torch.{name} requires a tensor with at least {least}"):
        split(torch.zeros((3,) * (least - 1)), 1)
    with pytest.raises(RuntimeError, match="is not divisible by the split_size 2"):
        split(torch.zeros(3, 3, 3), 2)
    with pytest.raises(TypeError):
        split(torch.zeros(2, 2, 2), 2.0)
    with pytest.raises(TypeError):
        split(torch.zeros(2, 2, 2), torch.tensor([1]))


def test_sum_to_size_refuses_other_sizes():
    x = torch.ones(3, 4)
    assert x.sum_to_size(3, 4) is x
    for size in ((2,), (5, 3, 4), (3,)):
        with pytest.raises(RuntimeError, match="is not expandable to size"):
            x.sum_to_size(size)


def test_in_place_methods_are_functions_too():
    x = torch.ones(2)
    assert torch.fill_(x, 3) is x
    assert torch.index_put_(x, (torch.tensor([1]),), torch.tensor(5.0)).tolist() == [3, 5]
    assert torch.zero_(x).tolist() == [0, 0]
    assert torch.resize_as_(x, torch.ones(1)).shape == (1,)
    assert not torch.detach_(torch.ones(1, requires_grad=True) * 2).requires_grad
    assert torch.as_strided_(torch.arange(4), (2,), (2,)).tolist() == [0, 2]


def test_storage_as_numbers():
    x = torch.tensor([[1, 2], [3, 4]])
    memory = x[1].storage()
    assert (len(memory), memory.nbytes(), memory.dtype, memory.tolist()) == (
        4,
        32,
        torch.int64,
        [1, 2, 3, 4],
    )
    memory[0] = 9
    assert x[0, 0] == 9
    assert memory == x.storage() != x.clone().storage()
    assert memory.clone().fill_(0).tolist() == [0, 0, 0, 0]
    with pytest.raises(RuntimeError, match="slices"):
        memory[:2]
    assert x.name is None
    assert x.to_dense() is x
