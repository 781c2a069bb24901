"""Parts of ``unsafe_split`` and its kin: they share memory, and their histories are their own."""

import pytest

import rushlight as torch


def test_parts_are_written_with_a_gradient():
    x = torch.zeros(3, 2, requires_grad=True)
    a, b, _ = torch.unsafe_chunk(x * 2, 3)
    assert a.grad_fn.name() == "UnsafeSplitBackward0" and not a._is_view()
    a.add_(1)
    b.sigmoid_()
    a.exp_()
    (a.log() + b).sum().backward()
    assert x.grad.tolist() == [[2, 2], [0.5, 0.5], [0, 0]]


def test_parts_share_memory():
    x = torch.zeros(4, 4)
    low, _ = x.unsafe_split(2)
    left, right = x.unsafe_split_with_sizes([1, 3], 1)
    low.add_(1)
    assert left.tolist() == [[1], [1], [0], [0]] and right.shape == (4, 3) and x._version == 0
    assert [p.shape for p in torch.zeros(0, 2).unsafe_chunk(2)] == [(0, 2), (0, 2)]
    with pytest.raises(RuntimeError, match="greater than 0"):
        x.unsafe_chunk(0)
    with pytest.raises(RuntimeError, match="sum exactly to 4"):
        x.unsafe_split_with_sizes([1, 1])


def test_a_compiled_function_has_the_same_results():
    @torch.compile
    def f(x):
        a, b = torch.unsafe_chunk(x * 2, 2)
        return a.add_(1) * b

    assert f(torch.ones(4)).tolist() == [6, 6]


@pytest.mark.parametrize("kind", [torch.int32, torch.int64, torch.uint8])
@pytest.mark.parametrize("one", [(), (1,)])
def test_sizes_are_tensors(kind, one):
    x, sizes = torch.arange(10.0), [torch.full(one, n, dtype=kind) for n in (3, 3, 4)]
    want = [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    for parts in (x.split(sizes), torch.split(x, tuple(sizes)), x.split_with_sizes(sizes),
                  torch.unsafe_split_with_sizes(x, sizes)):  # fmt: skip
        assert [p.tolist() for p in parts] == want
    assert [len(p) for p in x.split(sizes[0].reshape(()))] == [3, 3, 3, 1]
    assert [int(n) for n in sizes] == [3, 3, 4]
