"""``torch.sparse.FloatTensor`` and its kin, and those of CUDA: old programs of graphs make them."""

import warnings

import pytest

import rushlight as torch

INDICES, VALUES = torch.tensor([[0, 1, 1], [2, 0, 2]]), torch.tensor([3.0, 4.0, 5.0])


def test_sparse_types_make_tensors_and_know_theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.sparse.FloatTensor(INDICES, VALUES, torch.Size([2, 3]))
        assert torch.sparse.LongTensor(INDICES, VALUES.long()).to_dense().tolist() == [
            [0, 0, 3],
            [4, 0, 5],
        ]
        assert torch.sparse.FloatTensor(2, 3).shape == (2, 3)
        assert torch.sparse.DoubleTensor(torch.Size([2, 3])).dtype is torch.float64
        with pytest.raises(RuntimeError, match="int64"):
            torch.sparse.FloatTensor(INDICES.int(), VALUES)
        with pytest.raises(TypeError, match="invalid combination"):
            torch.sparse.FloatTensor([[0], [1]], [2.0], (2, 2))
    assert x.to_dense().tolist() == [[0, 0, 3], [4, 0, 5]]
    assert isinstance(x, torch.sparse.FloatTensor) and x.type() == "torch.sparse.FloatTensor"
    assert not isinstance(x, torch.FloatTensor) and not isinstance(VALUES, torch.sparse.FloatTensor)
    assert not isinstance(x, torch.sparse.DoubleTensor)
    assert x.type(torch.sparse.DoubleTensor).dtype is torch.float64
    assert x.type("torch.sparse.DoubleTensor").layout is torch.sparse_coo


def test_values_of_a_sparse_type_get_gradients():
    p = torch.nn.Parameter(VALUES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.sparse.FloatTensor(INDICES, p, torch.Size([2, 3]))
    torch.sparse.mm(x, torch.tensor([[1.0], [10.0], [100.0]])).sum().backward()
    assert p.grad.tolist() == [100, 1, 100]


def test_types_of_cuda_are_there_without_a_device():
    assert not isinstance(VALUES, torch.cuda.FloatTensor)
    assert torch.cuda.LongTensor.dtype is torch.int64 and torch.cuda.LongTensor.is_cuda
    if not torch.cuda.is_available():
        with pytest.raises(TypeError, match=r"torch\.cuda\.FloatTensor not available"):
            torch.cuda.FloatTensor(2)
        with pytest.raises(AssertionError, match="CUDA"):
            VALUES.type("torch.cuda.FloatTensor")


def test_a_variable_of_a_sparse_tensor_is_sparse():
    x = torch.sparse_coo_tensor(INDICES, VALUES, (2, 3))
    variable = torch.autograd.Variable(x, requires_grad=True)
    assert variable.is_sparse and variable.requires_grad and not x.requires_grad
    torch.sparse.mm(variable, torch.ones(3, 1)).sum().backward()
    assert variable.grad.to_dense().tolist() == [[0, 0, 1], [1, 0, 1]]


class SparseProduct(torch.autograd.Function):
    """A product that makes its sparse operand and saves it."""

    @staticmethod
    def forward(ctx, given, values, dense):
        made = torch.sparse_coo_tensor(INDICES, values, (2, 3))
        ctx.save_for_backward(given, made, dense)
        return made @ dense

    @staticmethod
    def backward(ctx, g):
        given, made, dense = ctx.saved_tensors
        assert given.is_sparse and given.to_dense().sum() == 12
        slopes = g @ dense.t()
        return None, slopes[INDICES[0], INDICES[1]], made.t() @ g


def test_a_custom_function_saves_sparse_tensors():
    given = torch.sparse_coo_tensor(INDICES, VALUES, (2, 3))
    values = VALUES.double().requires_grad_()
    dense = torch.arange(6.0, dtype=torch.float64).view(3, 2).requires_grad_()
    call = lambda v, d: SparseProduct.apply(given, v, d)
    assert torch.autograd.gradcheck(call, (values, dense))


def test_new_makes_tensors_of_the_same_kind():
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).to_sparse()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = x.new(x._indices(), x._values() * 2, x.size())
        empty = x.double().new(2, 3)
    assert found.is_sparse and torch.equal(found.to_dense(), 2 * x.to_dense())
    assert empty.is_sparse and empty.dtype is torch.float64 and empty.shape == (2, 3)
    with pytest.raises(TypeError, match="invalid combination"):
        x.new(x._indices())
