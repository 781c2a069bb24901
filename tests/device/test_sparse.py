"""Sparse and jagged tensors on devices: their places lie on the host, their values on the device."""

import pytest

import rushlight as T
from rushlight import nn

pytestmark = pytest.mark.filterwarnings("ignore:.*has no kernel", "ignore:Sparse CSR")


def test_sparse_tensors(device):
    x = T.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, 4.0]])
    y = T.arange(6.0).reshape(3, 2)
    s = x.to(device).to_sparse()
    assert s.device == device
    assert f"device='{device}', size=(2, 3), nnz=3" in repr(s)
    assert T.equal(s.to_dense().cpu(), x)
    for made in (s, x.to_sparse().to(device), x.to(device).to_sparse_csr()):
        assert made.device == device
        assert T.equal((made @ y.to(device)).cpu(), x @ y)
    assert T.equal((s * 2 + s).to_dense().cpu(), x * 3)
    assert s.sum().item() == 9
    assert not s.cpu().values().is_cuda
    indices = [[0, 0, 1], [1, 1, 0]]
    values = [1.0, 2.0, 5.0]
    want = T.sparse_coo_tensor(indices, values, (2, 2)).to_dense()
    for given in (indices, T.tensor(indices), T.tensor(indices, device=device)):
        made = T.sparse_coo_tensor(given, values, (2, 2), device=device)
        assert made.device == device
        assert T.equal(made.coalesce().to_dense().cpu(), want)
        assert made.coalesce().values().device == device


def test_gradients_of_sparse_products(device):
    x = T.tensor([[0.0, 2.0], [3.0, 0.0]])
    found = []
    for place in ("cpu", device):
        y = T.arange(4.0, device=place).reshape(2, 2).requires_grad_()
        (T.sparse.mm(x.to_sparse().to(place), y) ** 2).sum().backward()
        found.append(y.grad.cpu())
    assert T.equal(*found)


@pytest.mark.parametrize("optimizer", [T.optim.SparseAdam, T.optim.SGD, T.optim.Adagrad])
def test_sparse_gradients(device, optimizer):
    found = []
    for d in ("cpu", device):
        T.manual_seed(0)
        table = nn.Embedding(6, 3, sparse=True, padding_idx=0).to(d)
        step = optimizer(table.parameters(), lr=0.1)
        for _ in range(2):
            step.zero_grad()
            table(T.tensor([[1, 2, 1], [5, 0, 2]], device=d)).sin().sum().backward()
            assert table.weight.grad.is_sparse
            assert table.weight.grad.device.type == table.weight.device.type
            step.step()
        found.append(table.weight.detach().cpu())
    T.testing.assert_close(*found)


def test_no_rows(device):
    table = nn.Embedding(4, 2, sparse=True, padding_idx=0).to(device)
    before = table.weight.detach().clone()
    table(T.tensor([0, 0], device=device)).sum().backward()
    T.optim.SparseAdam(table.parameters()).step()
    assert T.equal(table.weight, before)


def test_padding_of_jagged_tensors(device):
    parts = [T.arange(6.0).reshape(2, 3), T.ones(4, 3)]
    want = T.nested.nested_tensor(parts, layout=T.jagged).to_padded_tensor(-1.0)
    x = T.nested.nested_tensor(parts, layout=T.jagged, device=device)
    assert T.equal(x.to_padded_tensor(-1.0).cpu(), want)
    assert T.equal((x * 2).to_padded_tensor(0.0).cpu(), want.clamp(min=0) * 2)
