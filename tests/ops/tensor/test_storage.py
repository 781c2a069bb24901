"""``resize_`` of storages."""

import numpy as np
import pytest

import rushlight as torch


def test_a_storage_shrinks_and_comes_back():
    x = torch.ones(4)
    storage = x.untyped_storage()
    storage.resize_(0)
    assert storage.size() == x[1:].untyped_storage().size() == x.storage().size() == 0
    storage.resize_(16)
    x.copy_(torch.arange(4.0))
    assert x.tolist() == storage.untyped().bytes.view("f4").tolist() == [0, 1, 2, 3]


def test_the_tensor_that_gave_a_storage_follows_it():
    x = torch.arange(6.0).view(2, 3).t()[1:].requires_grad_()
    y = (x * x).sum()
    storage = x.untyped_storage()
    storage.resize_(400)
    assert storage.data_ptr() == x.untyped_storage().data_ptr() and len(x.untyped_storage()) == 400
    assert (x.tolist(), x.stride(), x.storage_offset()) == ([[1, 4], [2, 5]], (1, 3), 1)
    y.backward()
    assert x.grad.tolist() == [[2, 8], [4, 10]]
    assert x.detach().storage().resize_(200).size() == 200
    assert torch.UntypedStorage(4).resize_(9).size() == 9
    assert torch.zeros(2, device="meta").untyped_storage().resize_(64).nbytes() == 64


def test_memory_of_others_has_its_size():
    with pytest.raises(RuntimeError, match="not resizable"):
        torch.from_numpy(np.ones(3)).untyped_storage().resize_(100)
    with pytest.raises(RuntimeError, match="not resizable"):
        torch.ones(3).untyped_storage().resize_(-1)


def test_a_view_of_a_storage_without_bytes_is_refused():
    for x in (torch.zeros(0), torch.zeros(2, 0).t(), torch.zeros(0, requires_grad=True)):
        for stride in (0, 1):
            with pytest.raises(RuntimeError, match="out of bounds for storage of size 0"):
                x.as_strided((2,), (stride,))
        assert x.as_strided((0, 2), (2, 1)).shape == (0, 2)
    behind = torch.zeros(3)[3:]  # has no elements, and its storage has three
    assert behind.as_strided((2,), (1,), 1).tolist() == [0, 0]
