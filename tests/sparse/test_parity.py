"""Results of sparse operations against PyTorch's: layouts, indices, values, dtypes, errors."""

import pytest

import rushlight
from tests.sparse.parity import evaluated, operands, same

EXPRESSIONS = """
S + S
C + C
C + Y
Y - C
C.add(Y, alpha=3)
C.sub(Y, alpha=2)
D + S
D - C
D.add(C, alpha=3)
S - S
C + C.double()
C.int() + Y
N + C
C + N
S * 2
2 * S
S * torch.tensor(2)
S * torch.tensor(2.0, dtype=torch.float64)
C.int() * 2.5
S * D
D * S
S * torch.ones(3)
S * torch.ones(1, 3)
C * C
C * Y
S * S
C.int() * Y
H * H
N * C
S / 2
S / torch.tensor(2)
S.int() / 2
S // 2
S.div(2, rounding_mode='floor')
S.div(2, rounding_mode='trunc')
-S
-R
S ** 2
S.pow(2)
S.abs()
Y.sin()
Y.tanh()
C.sqrt()
Y.relu()
torch.relu(Y)
Y.sign()
Y.square() if hasattr(Y, 'square') else 0
C.expm1()
C.log1p()
Y.ceil()
Y.floor()
Y.round()
Y.trunc()
Y.asinh()
Y.atan()
Y.erf()
Y.deg2rad()
C.isnan()
Y.nan_to_num()
R.sin()
Q.abs()
R * 2
R + R
R * R
R * D
R + D
D + R
S.t()
S.T
S.transpose(0, 1)
S.transpose(-1, 0)
S.permute(1, 0)
R.t()
Q.t()
R.transpose(0, 1)
S.unsqueeze(0)
S.unsqueeze(-1)
H.unsqueeze(1)
H.unsqueeze(-1)
torch.cat([S, S])
torch.cat([S, C], 1)
torch.cat([S, C.double()])
torch.cat([H, H], 1)
torch.stack([S, S])
torch.stack([S, C], 1)
S.select(0, 1)
S.select(1, 2)
S.select(1, -1)
S[0]
S[1, 0]
S[-1]
S[0, 2]
H.select(0, 1)
H[1]
H.select(1, 1)
R[0]
R.select(0, 1)
list(S)
len(S)
S.index_select(1, I)
S.index_select(0, torch.tensor([1, 0]))
H.index_select(0, I)
H.index_select(1, torch.tensor([1, 1]))
S.sum()
S.sum(0)
S.sum(dim=1)
S.sum(-1)
S.sum((0, 1))
S.sum(1, keepdim=True)
S.sum(dtype=torch.float64)
S.int().sum()
S.int().sum(0)
R.sum()
H.sum()
S.any()
torch.sparse.sum(S)
torch.sparse.sum(S, 0)
torch.sparse.sum(S, [0, 1])
torch.sparse.sum(S.int(), 0)
torch.sparse.sum(H, 0)
torch.sparse.sum(H, 1)
torch.sparse.sum(C, 1, dtype=torch.float64)
torch.sparse.softmax(Y, 1)
torch.sparse.softmax(Y, 0)
torch.sparse.softmax(S, -1)
torch.sparse.softmax(H, 0)
torch.sparse.softmax(H, 1)
torch.sparse.softmax(S.int(), 1, dtype=torch.float64)
torch.sparse.log_softmax(Y, 1)
torch.sparse.log_softmax(Y, 0)
torch.sparse.log_softmax(H, 1)
S.norm()
S.norm(1)
S.norm(2)
torch.norm(S, 3)
S @ W
S @ W[:, 0]
S.mm(W)
S.mv(W[:, 0])
D.t() @ S
torch.matmul(S, W)
torch.mm(S, W)
S @ S.t()
torch.mm(C, Y.t())
torch.sparse.mm(S, W)
torch.sparse.mm(S, Y.t())
torch.sparse.mm(D.t(), S)
torch.sparse.mm(R, W)
torch.sparse.mm(D, W)
R @ W
R @ W[:, 0]
R @ R.t()
D.t() @ R
Q.t() @ torch.ones(2, 2)
torch.addmm(torch.ones(2, 4), S, W)
torch.addmm(torch.ones(2, 4), S, W, beta=2, alpha=.5)
torch.addmm(torch.ones(4), S, W)
torch.sparse.addmm(torch.ones(2, 4), S, W)
torch.bmm(torch.stack([S, S]), torch.ones(2, 3, 2))
torch.smm(S, W)
torch.hspmm(S, W)
torch.sspaddmm(S, S, torch.ones(3, 3))
torch.sspaddmm(S, S, torch.ones(3, 3), beta=2, alpha=3)
torch.sparse.sampled_addmm(R, torch.ones(2, 4), torch.ones(4, 3))
torch.sparse.sampled_addmm(R, torch.ones(2, 4), torch.ones(4, 3), beta=0.5, alpha=2)
torch.nn.functional.linear(torch.ones(4, 3), S)
Z @ torch.ones(2, 2, dtype=torch.complex64)
Z * Z
Z.abs()
Z.conj()
Z.real
S.coalesce()
C.coalesce() is C
S._nnz()
S.sparse_dim(), S.dense_dim(), H.sparse_dim(), H.dense_dim(), R.sparse_dim(), R.dense_dim()
D.sparse_dim(), D.dense_dim()
S.is_sparse, R.is_sparse, D.is_sparse, S.is_sparse_csr, R.is_sparse_csr, D.is_sparse_csr
S.layout, R.layout, Q.layout, D.layout
S.size(), S.size(1), S.shape, S.dim(), S.ndim, S.numel(), S.element_size(), S.dtype, S.device
S.stride(), S.is_contiguous(), S.type(), S.itemsize, S.get_device()
S.is_floating_point(), S.is_complex(), torch.is_floating_point(S), S.is_same_size(D)
S.is_same_size(C), S.requires_grad, S.is_leaf, S.grad_fn, S.grad
S.to_dense()
H.to_dense()
R.to_dense()
Q.to_dense()
N.to_dense()
D.to_dense()
D.to_sparse()
D.to_sparse(1)
D.to_sparse(2)
D.to_sparse_coo()
D.to_sparse_csr()
D.to_sparse_csc()
D.to_sparse_bsr((1, 3))
D.to_sparse_bsc((2, 1))
D.to_sparse(layout=torch.sparse_csr)
D.to_sparse(layout=torch.sparse_bsr, blocksize=(1, 3))
torch.arange(8.0).reshape(2, 2, 2).to_sparse(2)
torch.tensor(3.0).to_sparse()
torch.zeros(2, 3).to_sparse()
torch.eye(4).to_sparse_bsr((2, 2)).to_dense()
torch.eye(4).to_sparse_bsc((2, 1)).to_dense()
S.to_sparse()
S.to_sparse_csr()
S.to_sparse_csc()
S.to_sparse_bsr((1, 3))
S.to_sparse(layout=torch.strided)
R.to_sparse()
R.to_sparse_csc()
R.to_sparse_csr()
Q.to_sparse_csr()
D.sparse_mask(C)
D.sparse_mask(S)
D.sparse_mask(R)
C.sparse_mask(Y)
C.sparse_mask(C)
torch.zeros_like(S)
torch.empty_like(S)
torch.zeros_like(C)
torch.zeros_like(R)
torch.zeros_like(S, layout=torch.strided)
torch.zeros_like(D, layout=torch.sparse_coo)
torch.zeros(2, 3, layout=torch.sparse_coo)
torch.zeros(2, 3, layout=torch.sparse_csr)
S.new_zeros(2)
S.new_empty((2, 2))
S.new_tensor([1.0])
S.clone()
S.detach()
S.to(torch.float64)
S.double()
S.int()
S.bool()
S.half()
S.to('cpu') is S
S.float() is S
R.to(torch.float64)
R.clone()
S.clone().zero_()
S.clone().mul_(2)
C.clone().add_(Y)
C.clone().sub_(Y, alpha=2)
S.clone().neg_()
C.clone().abs_()
C.clone().div_(2)
S.clone().copy_(C)
D.clone().add_(S)
D.clone().sub_(S)
D.clone().mul_(S)
S.clone().sparse_resize_((3, 3), 2, 0)
S.clone().sparse_resize_and_clear_((3, 3), 2, 0)
C.indices()
C.values()
S._indices()
S._values()
R.crow_indices(), R.col_indices(), R.values(), R._nnz()
Q.ccol_indices(), Q.row_indices()
C.is_coalesced(), C.t().is_coalesced(), (2 * C).is_coalesced(), C[0].is_coalesced()
C.unsqueeze(0).is_coalesced(), C.sum(0).is_coalesced(), torch.cat([C, C]).is_coalesced()
torch.sparse_coo_tensor([[0, 1]], [1.0, 2.0])
torch.sparse_coo_tensor([[0.0, 1.0]], [1, 2])
torch.sparse_coo_tensor([[0, 1]], [1, 2], (2,), dtype=torch.float64)
torch.sparse_coo_tensor((2, 3))
torch.sparse_coo_tensor(size=(2, 3), dtype=torch.int32)
torch.sparse_coo_tensor(torch.empty(2, 0), [], (2, 3))
torch.sparse_coo_tensor([[0, 1]], [1, 2], (2,), is_coalesced=True)
torch.sparse_coo_tensor([[0]], [1])
torch.sparse_csr_tensor([0, 1, 2], [0, 1], [1.0, 2.0])
torch.sparse_csr_tensor([0, 1, 2], [0, 1], [1.0, 2.0], (2, 3), dtype=torch.float64)
torch.sparse_csr_tensor(crow_indices=[0, 1, 2], col_indices=[0, 1], values=[1.0, 2.0])
torch.sparse_csr_tensor([[0, 1, 2], [0, 1, 2]], [[0, 1], [0, 1]], [[1., 2.], [3., 4.]]).to_dense()
torch.sparse_csr_tensor(torch.tensor([0, 1], dtype=torch.int32), torch.tensor([0], dtype=torch.int32), [1.0])
torch.sparse_csc_tensor([0, 1, 2], [0, 1], [1.0, 2.0])
torch.sparse_bsr_tensor([0, 1, 2], [0, 1], [[[1.0, 2.0]], [[3.0, 4.0]]])
torch.sparse_bsc_tensor([0, 1, 2], [0, 1], [[[1.0, 2.0]], [[3.0, 4.0]]])
torch.sparse_compressed_tensor([0, 1, 2], [0, 1], [1.0, 2.0], layout=torch.sparse_csr)
torch.sparse.spdiags(D, torch.tensor([0, 1]), (3, 3))
torch.sparse.spdiags(D, torch.tensor([0, -1]), (3, 4), layout=torch.sparse_csr)
torch.sparse.spdiags(torch.ones(3), torch.tensor(0), (3, 3))
""".strip().splitlines()
ERRORS = """
S + D
S + 1
C - D
S + torch.sparse_coo_tensor(size=(3, 2))
S + R
S / S
C / D
2 / C
H.t()
S.cos()
S.exp()
torch.exp(S)
S.sigmoid()
S == S
S.eq(D)
torch.equal(S, S)
S.mean()
S.max()
S.prod()
S.cumsum(0)
S.all()
S.any(0)
S.view(3, 2)
S.reshape(3, 2)
S.flatten()
S.squeeze()
S[:1]
S[torch.tensor([0])]
S.narrow(1, 1, 2)
S.index_add(0, torch.tensor([0]), D)
S.softmax(1)
S.tril()
S.trace()
S.topk(1)
S.unique()
S.nonzero()
torch.where(D > 0, S, D)
torch.ones_like(S)
torch.full_like(S, 2)
torch.rand_like(S)
torch.cat([S, D])
S.clone().fill_(0)
D.clone().copy_(S)
S.clone().copy_(D)
S.numpy()
S.item()
bool(S)
S.storage()
S.untyped_storage()
S.data_ptr()
S.nbytes
S.indices()
S.values()
S.crow_indices()
R.indices()
R.ccol_indices()
R.is_coalesced()
R.coalesce()
D.is_coalesced()
D.coalesce()
D.indices()
D.values()
D.crow_indices()
D.to_sparse(3)
D.to_sparse(0)
D.to_sparse(-1)
S.to_sparse(1)
S.to_dense(dtype=torch.float64)
R.sum(1)
torch.sparse.sum(R)
torch.sparse.softmax(S.int(), 1)
torch.sparse.sampled_addmm(S, torch.ones(2, 4), torch.ones(4, 3))
torch.sparse.mm(S, D)
S @ torch.ones(2)
S.mv(torch.ones(2))
S @ W.double()
S.mm(S)
S * torch.ones(3, 3)
torch.sparse_coo_tensor([[-1, 1]], [1, 2])
torch.sparse_coo_tensor([0, 1], [1, 2])
torch.sparse_coo_tensor([[0, 1]], [1, 2, 3])
torch.sparse_coo_tensor([[0, 1]], [1, 2], (2, 2, 2))
torch.sparse_coo_tensor([[0, 1]], [[1, 2], [3, 4]], (2, 3))
torch.sparse_coo_tensor([[0, 1]], 5.0, (2,))
torch.sparse_coo_tensor([[0, 5]], [1, 2], (2,), check_invariants=True)
torch.sparse_coo_tensor([[0, 0]], [1, 2], (2,), is_coalesced=True, check_invariants=True)
torch.sparse_coo_tensor([[0, 1]], [1, 2], requires_grad=True)
torch.sparse_csr_tensor([0, 1, 2], [0, 5], [1.0, 2.0], (2, 3), check_invariants=True)
torch.sparse_csr_tensor([0, 1, 3], [0, 1], [1.0, 2.0], (2, 3), check_invariants=True)
torch.sparse_csr_tensor([0, 2], [1, 0], [1.0, 2.0], (1, 3), check_invariants=True)
torch.sparse_compressed_tensor([0, 1, 2], [0, 1], [1.0, 2.0])
torch.ones(2, 3, layout=torch.sparse_coo)
torch.sparse.spdiags(D, torch.tensor([0, 0]), (3, 3))
torch.sparse.spdiags(D, torch.tensor([0, 9]), (3, 3))
""".strip().splitlines()
PRINTED = """
S
C
R
Q
H
N
S.double()
S.int()
torch.eye(4).to_sparse_bsr((2, 2))
torch.arange(40.0).reshape(8, 5).to_sparse()
torch.zeros(2, 0).to_sparse()
S.clone().requires_grad_()
torch.arange(40.0).reshape(8, 5).to_sparse_csr().double()
""".strip().splitlines()


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions_work(text):
    assert not isinstance(evaluated(rushlight, text), type)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_results_are_pytorchs(text):
    torch = pytest.importorskip("torch")
    expected = evaluated(torch, text)
    assert not isinstance(expected, type), expected
    same(evaluated(rushlight, text), expected)


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    assert isinstance(evaluated(rushlight, text), type)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ERRORS)
def test_errors_are_pytorchs(text):
    torch = pytest.importorskip("torch")
    expected = evaluated(torch, text)
    assert isinstance(expected, type)
    found = evaluated(rushlight, text)
    assert issubclass(found, expected) or (found, expected) == (RuntimeError, NotImplementedError)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", PRINTED)
def test_tensors_print_as_in_pytorch(text):
    torch = pytest.importorskip("torch")
    found, expected = (repr(eval(text, operands(t))) for t in (rushlight, torch))
    assert found == expected
