"""``vmap`` of functions with a sparse tensor from outside: what each sample alone gives."""

import pytest

import rushlight as torch

M = torch.tensor([[1.0, 0, 2], [0, 3, 0]])

#: (function of a sparse matrix and a sample, the shape of a sample)
CALLS = [
    (lambda x, v: x @ v, (3,)),
    (lambda x, v: torch.mv(x, v), (3,)),
    (lambda x, v: torch.mm(x, v), (3, 2)),
    (lambda x, v: torch.sparse.mm(x, v), (3, 2)),
    (lambda x, v: torch.addmm(torch.ones(2, 2), x, v), (3, 2)),
    (lambda x, v: v + x, (2, 3)),
    (lambda x, v: (x * v).to_dense(), (2, 3)),
    (lambda x, v: x.to_dense() @ v, (3,)),
    (lambda x, v: (x * v) @ torch.ones(3), ()),
]


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize(("call", "shape"), CALLS)
def test_a_matrix_from_outside(layout, call, shape):
    x, batch = M.to_sparse(layout=layout), torch.randn(4, *shape)
    found = torch.vmap(lambda v: call(x, v))(batch)
    torch.testing.assert_close(found, torch.stack([call(x, v) for v in batch]))


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_gradients(layout):
    x, batch = M.to_sparse(layout=layout).requires_grad_(), torch.randn(4, 3)
    found = torch.vmap(torch.func.grad(lambda v: ((x.detach() @ v) ** 2).sum()))(batch)
    torch.testing.assert_close(found, 2 * batch @ M.T @ M)
    torch.vmap(lambda v: x @ v)(batch).sum().backward()
    torch.testing.assert_close(x.grad.to_dense(), batch.sum(0) * (M != 0))


def test_what_has_no_batch():
    x = M.to_sparse()
    for call in (
        lambda: torch.vmap(lambda v: v.to_dense())(x), lambda: torch.vmap(lambda v: x * 2)(M),
        lambda: torch.vmap(lambda v: v.to_sparse())(M),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"to_dense|dynamic shape"):
            call()


def test_values_that_differ_and_second_derivatives():
    x, batch = M.to_sparse(), torch.randn(4, 3)
    loss = lambda w, v: ((x * w @ v) ** 3).sum()
    for i in (0, 1):
        found = torch.vmap(torch.func.grad(loss, i))(batch[:, 0], batch)
        each = [torch.func.grad(loss, i)(w, v) for w, v in zip(batch[:, 0], batch, strict=True)]
        torch.testing.assert_close(found, torch.stack(each))
    found = torch.vmap(torch.func.hessian(lambda v: loss(1.0, v)))(batch)
    dense = lambda v: ((M @ v) ** 3).sum()
    torch.testing.assert_close(found, torch.vmap(torch.func.hessian(dense))(batch))
