"""torch._foreach_*: an operation on each tensor of a list."""

import pytest

import rushlight as torch


def _lists(found):
    return [t.tolist() for t in found]


def test_operands_are_numbers_lists_or_tensors():
    xs = [torch.ones(1), torch.ones(2)]
    assert isinstance(torch._foreach_add(xs, 1), tuple)
    assert _lists(torch._foreach_add(xs, [1, 2])) == [[2], [3, 3]]
    assert _lists(torch._foreach_sub(xs, xs, alpha=2)) == [[-1], [-1, -1]]
    assert _lists(torch._foreach_mul(xs, torch.tensor(4.0))) == [[4], [4, 4]]
    assert _lists(torch._foreach_pow(2.0, xs)) == [[2], [2, 2]]
    assert _lists(torch._foreach_maximum(xs, 3)) == [[3], [3, 3]]
    assert _lists(torch._foreach_addcdiv(xs, xs, xs, [1, 2])) == [[2], [3, 3]]
    assert _lists(torch._foreach_addcmul(xs, xs, xs, torch.tensor([1.0, 2.0]))) == [[2], [3, 3]]
    assert _lists(torch._foreach_lerp(xs, [x * 0 for x in xs], 0.25)) == [[0.75], [0.75, 0.75]]
    assert _lists(torch._foreach_norm([torch.tensor([[3.0, 4.0]])])) == [5]


def test_in_place_forms_return_the_list():
    xs = [torch.ones(1), torch.ones(2)]
    assert torch._foreach_mul_(xs, 3) is xs
    assert torch._foreach_minimum_(xs, [torch.zeros(1), torch.ones(2)]) is xs
    assert _lists(xs) == [[0], [1, 1]]
    assert _lists(torch._foreach_copy_(xs, [torch.ones(1), torch.zeros(2)])) == [[1], [0, 0]]
    assert _lists(torch._foreach_zero_(xs)) == [[0], [0, 0]]


def test_gradients_flow_through_each_tensor():
    x = torch.tensor([2.0], requires_grad=True)
    torch._foreach_exp([x, x * 2])[1].backward()
    torch.testing.assert_close(x.grad, 2 * torch.exp(torch.tensor([4.0])))


def test_refusals():
    with pytest.raises(RuntimeError, match="must have at least one tensor"):
        torch._foreach_add([], 1)
    with pytest.raises(
        RuntimeError, match="Tensor lists must have the same number of tensors, got 1 and 2"
    ):
        torch._foreach_add([torch.ones(1)], [torch.ones(1)] * 2)
    with pytest.raises(TypeError):
        torch._foreach_abs(torch.ones(2))
    with pytest.raises(AttributeError):
        torch._foreach_no_such_operation  # noqa: B018
