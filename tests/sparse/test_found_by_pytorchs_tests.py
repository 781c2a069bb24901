"""Calls of sparse tensors that were refused, as PyTorch's own tests showed."""

import pytest

import rushlight as torch


def matrix():
    return torch.tensor([[1.0, 0.0, 3.0], [0.0, -5.0, 6.0]]).to_sparse()


@pytest.mark.parametrize("make", [
    lambda: torch.sparse_csr_tensor(torch.zeros(3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64),
                                    torch.zeros(0), (2, 3)),
    lambda: torch.sparse.spdiags(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), (2, 3)),
    lambda: torch.sparse_coo_tensor(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), (2, 3)),
])  # fmt: skip
def test_nothing_is_stored(make):
    assert torch.equal(make().to_dense(), torch.zeros(2, 3))


def test_the_size_without_indices():
    x = torch.sparse_coo_tensor(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(0, 2, 4))
    assert x.shape == (0, 2, 4)


@pytest.mark.parametrize(
    "name, arguments", [("t_", ()), ("transpose_", (0, 1)), ("swapaxes_", (1, 0))]
)
def test_dims_are_exchanged_in_place(name, arguments):
    x = matrix()
    assert getattr(x, name)(*arguments) is x
    assert torch.equal(x.to_dense(), matrix().to_dense().t())


@pytest.mark.parametrize("call", [
    lambda x: x.permute(dims=(1, 0)), lambda x: torch.positive(x),
    lambda x: torch.narrow_copy(x, 1, 1, 2),
])  # fmt: skip
def test_as_of_the_dense_tensor(call):
    assert torch.equal(call(matrix()).to_dense(), call(matrix().to_dense()))


def test_products_with_a_sparse_number():
    two = torch.tensor(2.0).to_sparse()
    for found in (matrix() * two, two * matrix()):
        assert torch.equal(found.to_dense(), matrix().to_dense() * 2)


def test_negative_indices_count_from_the_end():
    assert matrix().index_select(1, torch.tensor([-1, 0])).to_dense().tolist() == [[3, 1], [6, 0]]


def test_linear_takes_a_sparse_input_and_a_dense_weight():
    weight, bias = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3)), torch.ones(2)
    for x in (matrix(), matrix().to_sparse_csr()):
        found = torch.nn.functional.linear(x, weight, bias)
        want = torch.nn.functional.linear(matrix().to_dense(), weight, bias)
        assert torch.equal(found, want)
        assert torch.equal(
            *[torch.autograd.grad(y.square().sum(), weight)[0] for y in (found, want)]
        )
