"""Copies of nested tensors, and files of them, also PyTorch's."""

import copy
import io
import pickle

import numpy as np
import pytest

import rushlight as torch
from tests.nested.parity import counted as nested
from tests.nested.parity import random_parts


def _copies(x):
    buffer = io.BytesIO()
    torch.save({"x": x}, buffer)
    for weights_only in (True, False):
        buffer.seek(0)
        yield torch.load(buffer, weights_only=weights_only)["x"]
    yield pickle.loads(pickle.dumps(x))
    yield copy.deepcopy(x)


@pytest.mark.parametrize("layout", ["jagged", "strided"])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_copies_are_equal_and_apart(layout, requires_grad):
    parts = [torch.tensor(p) for p in random_parts(0, 4)]
    x = torch.nested.nested_tensor(
        parts, layout=getattr(torch, layout), requires_grad=requires_grad
    )
    x.note = "mine"
    for y in _copies(x):
        assert type(y) is type(x)
        assert y.requires_grad is requires_grad
        assert y.is_leaf
        assert y.note == "mine"
        torch.testing.assert_close(x, y)
        with torch.no_grad():
            y.add_(1)
        with pytest.raises(AssertionError):
            torch.testing.assert_close(x, y)


def test_copies_of_gaps_and_of_later_ragged_dims():
    offsets, lengths = torch.tensor([0, 4, 8]), torch.tensor([3, 1])
    x = torch.nested.nested_tensor_from_jagged(torch.arange(8), offsets, lengths)
    for y in (*_copies(x), copy.copy(x)):
        assert y.lengths().tolist() == [3, 1]
    for y in _copies(nested().transpose(1, 2)):
        assert [t.shape for t in y.unbind()] == [(3, 2), (3, 4)]
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(nested(requires_grad=True) * 2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_files_travel_to_and_from_pytorch(layout, tmp_path):
    other = pytest.importorskip("torch")
    pytest.importorskip("torch._dynamo")
    for writer, reader in ((torch, other), (other, torch)):
        parts = [writer.tensor(p) for p in random_parts(0, 4)]
        x = writer.nested.nested_tensor(parts, layout=getattr(writer, layout), requires_grad=True)
        writer.save([x], tmp_path / "x.pt")
        (y,) = reader.load(tmp_path / "x.pt")
        assert y.requires_grad
        assert str(y.layout) == f"torch.{layout}"
        for a, b in zip(x.unbind(), y.unbind(), strict=True):
            assert np.array_equal(a.detach().numpy(), b.detach().numpy())
        if reader is torch:
            buffer = io.BytesIO()
            torch.save(y.detach(), buffer)
            buffer.seek(0)
            assert torch.load(buffer).is_nested


def test_hostile_files_are_refused():
    from rushlight.serialization.names import rebuild_jagged, rebuild_nested

    values = torch.ones(4)
    parts = {"values": values, "offsets": torch.tensor([0, 9]), "lengths": None,
             "_ragged_idx": 1, "_metadata_cache": {}, "requires_grad": False}  # fmt: skip
    with pytest.raises(RuntimeError, match="do not fit"):
        rebuild_jagged(parts)
    with pytest.raises(TypeError, match="made of tensors"):
        rebuild_jagged({**parts, "offsets": [0, 4]})
    one = torch.tensor([[9]])
    with pytest.raises(RuntimeError):
        rebuild_nested(values, one, torch.tensor([[1]]), torch.tensor([0]))
    with pytest.raises(RuntimeError):
        rebuild_nested(values, torch.tensor([[-1]]), torch.tensor([[1]]), torch.tensor([0]))


def test_a_file_cannot_fill_the_memory_with_one_element():
    class Bomb:
        def __reduce__(self):
            from rushlight.serialization.names import rebuild_nested

            n = torch.full((1000, 1), 1 << 30)
            return rebuild_nested, (torch.ones(1), n, torch.zeros_like(n), torch.zeros(1000).long())

    buffer = io.BytesIO()
    torch.save(Bomb(), buffer)
    buffer.seek(0)
    with pytest.raises((RuntimeError, pickle.UnpicklingError)):
        torch.load(buffer)
