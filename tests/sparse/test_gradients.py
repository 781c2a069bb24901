"""Gradients of sparse operations: against PyTorch, numerically, and of second order."""

import gc
import weakref

import pytest

import rushlight
import rushlight as torch
from tests.sparse.parity import description, same

I3 = [[0, 0, 1], [2, 2, 0]]
F8 = torch.float64


def leaf(torch, values=(1.0, 2.0, 3.0), merged=False):
    x = torch.sparse_coo_tensor(I3, list(values), (2, 3))
    return (x.coalesce() if merged else x).requires_grad_()


#: Losses of a sparse leaf ``s`` and a dense leaf ``d`` (3, 2).
LOSSES = """
torch.sparse.mm(s, d).sum()
(torch.sparse.mm(s, d) ** 2).sum()
torch.sparse.sum(s)
torch.sparse.sum(s * 3, 0).to_dense().sum()
s.to_dense().sum()
(s.to_dense() ** 2).sum()
s.coalesce().values().sum()
(s.coalesce().values() ** 2).sum()
(s * 2).to_dense().sum()
s.t().to_dense().sum()
torch.sparse.addmm(torch.ones(2, 2), s, d).sum()
(torch.sparse.softmax(s, 1).to_dense() * d.t()).sum()
(torch.sparse.log_softmax(s, 0).to_dense() * d.t()).sum()
(d.t().sparse_mask(s.detach().coalesce()).to_dense() * 2).sum() + 0 * s.to_dense().sum()
(d.to_sparse().to_dense() ** 2).sum() + s.to_dense().sum()
""".strip().splitlines()


def gradients(torch, text, merged):
    s = leaf(torch, merged=merged)
    d = torch.arange(1.0, 7.0).reshape(3, 2).requires_grad_()
    for _ in range(2):  # the second backward adds to the gradient of the first
        eval(text, {"torch": torch, "s": s, "d": d}).backward()
    return [description(torch, x.grad.to_dense()) for x in (s, d) if x.grad is not None]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("text", LOSSES)
def test_gradients_are_pytorchs(text, merged):
    theirs = pytest.importorskip("torch")
    same(gradients(rushlight, text, merged), gradients(theirs, text, merged))


def test_the_gradient_of_a_leaf_has_its_indices():
    s, d = leaf(torch), torch.arange(6.0).reshape(3, 2).requires_grad_()
    torch.sparse.mm(s, d).sum().backward()
    assert s.grad.is_coalesced() and s.grad.indices().tolist() == [[0, 1], [2, 0]]
    assert s.grad.values().tolist() == [9.0, 1.0]
    assert d.grad.tolist() == [[3.0, 3.0], [0.0, 0.0], [3.0, 3.0]]
    first = s.grad
    first.zero_()
    assert s.grad is first and s.grad._nnz() == 0
    s.grad = None
    assert s.grad is None
    (found,) = torch.autograd.grad(torch.sparse.mm(s, d).sum(), s)
    assert found.values().tolist() == [9.0, 1.0] and s.grad is None


def values_of(x):
    return x.coalesce().values() if x.layout is torch.sparse_coo else x.values()


FUNCTIONS = {
    "mm": lambda s, d: torch.sparse.mm(s, d),
    "mm_csr": lambda s, d: s.to_sparse_csr() @ d,
    "mm_csc": lambda s, d: s.to_sparse_csc() @ d,
    "dense_mm": lambda s, d: d.t() @ s.t(),
    "sparse_sparse": lambda s, d: (s @ (s * s).t()).to_dense(),
    "add": lambda s, d: d.t() + s,
    "add_sparse": lambda s, d: (s + 2 * s.abs()).to_dense(),
    "mul": lambda s, d: (s * d.t()).to_dense(),
    "mul_sparse": lambda s, d: values_of(s * (s * d.t())),
    "sum": lambda s, d: torch.sparse.sum(s * s, 1).to_dense(),
    "softmax": lambda s, d: torch.sparse.softmax(s * d.t(), 1).to_dense(),
    "log_softmax": lambda s, d: values_of(torch.sparse.log_softmax(s, 0)),
    "select": lambda s, d: (s.select(0, 1) * s.select(0, 1)).to_dense(),
    "index_select": lambda s, d: s.index_select(1, torch.tensor([2, 0, 2])).to_dense() ** 2,
    "cat": lambda s, d: torch.cat([s, s * 2], 1).to_dense() ** 2,
    "norm": lambda s, d: s.norm(),
    "bmm": lambda s, d: torch.bmm(torch.stack([s, s * 2]), torch.stack([d, d * d])),
    "mask": lambda s, d: values_of(d.t().sparse_mask(s.detach())),
    "sampled": lambda s, d: torch.sparse.sampled_addmm(
        s.to_sparse_csr(), d.t(), d @ d.t()
    ).to_dense(),
    "blocks": lambda s, d: s.to_sparse_bsr((1, 3)).to_dense() ** 2,
    "to_sparse": lambda s, d: values_of((d * d).to_sparse(1)),
    "hspmm": lambda s, d: torch.hspmm(s, d).to_dense(),
    "addmm": lambda s, d: torch.addmm(d[:2], s, d, beta=2, alpha=3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("second", [False, True])
def test_gradients_are_numerically_right(name, second):
    def of_values(v, d):
        return FUNCTIONS[name](torch.sparse_coo_tensor(I3, v, (2, 3)), d)

    torch.manual_seed(0)
    v = torch.tensor([0.3, 0.9, -0.7], dtype=F8, requires_grad=True)
    d = torch.randn(3, 2, dtype=F8, requires_grad=True)
    check = torch.autograd.gradgradcheck if second else torch.autograd.gradcheck
    assert check(of_values, (v, d))


def test_complex_gradients():
    v = torch.tensor([1.0 + 2j, -1j, 0.5], dtype=torch.complex128, requires_grad=True)
    d = torch.randn(3, 2, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v, d: torch.sparse_coo_tensor(I3, v, (2, 3)) @ d, (v, d))


def test_as_sparse_gradcheck():
    check = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    s = leaf(torch).detach().double().requires_grad_()
    assert check(lambda s: torch.sparse.mm(s, torch.ones(3, 2, dtype=F8)), s, masked=True)
    assert check(lambda s: s * s, s.detach().to_sparse_csr().requires_grad_())


def test_history():
    v = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    s = torch.sparse_coo_tensor(I3, v, (2, 3))
    assert s.requires_grad and not s.is_leaf and s.grad_fn is not None
    assert not s.detach().requires_grad and s.detach()._values().data_ptr() == v.data_ptr()
    s.to_dense().sum().backward()
    assert v.grad.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(RuntimeError, match="leaf"):
        s.requires_grad_(False)
    s = leaf(torch)
    assert s.is_leaf and s.requires_grad
    with pytest.raises(RuntimeError, match="leaf Variable"):
        s.mul_(2)
    with torch.no_grad():
        s.mul_(2)
    assert s._values().tolist() == [2.0, 4.0, 6.0] and s.requires_grad
    with pytest.raises(RuntimeError, match="scalar outputs"):
        s.backward()
    (s * 2).backward(torch.ones(2, 3))
    assert s.grad.values().tolist() == [2.0, 2.0]
    with torch.no_grad():
        assert not (s * 2).requires_grad
    u = torch.ones(3)
    torch.sparse_coo_tensor(I3, u, (2, 3)).requires_grad_()
    assert not u.requires_grad


def test_hooks_of_a_leaf():
    s, seen = leaf(torch), []
    s.register_hook(lambda g: seen.append(g.layout) or g * 10)
    torch.sparse.sum(s).backward()
    assert seen == [torch.sparse_coo] and s.grad.values().tolist() == [10.0, 10.0]


def test_masked_grad_is_refused():
    with pytest.raises(NotImplementedError, match="masked_grad=False"):
        leaf(torch).to_dense(masked_grad=False)


def test_leaves_are_freed():
    s = leaf(torch)
    torch.sparse.sum(s).backward()
    reference = weakref.ref(s)
    del s
    gc.collect()
    assert reference() is None


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin", "max", "min", "prod"])
def test_reduced_products(reduce):
    def outcome(torch):
        s = torch.tensor([[1.0, 2, 0], [0, 0, 0], [0, 3, -1]]).to_sparse_csr().requires_grad_()
        d = torch.tensor([[1.0, -2], [3, 4], [5, 6]], requires_grad=True)
        try:
            found = torch.sparse.mm(s, d, reduce)
        except RuntimeError:
            return None
        factors = torch.arange(1.0, 7.0).reshape(3, 2)
        slopes = torch.autograd.grad((found * factors).sum(), (s, d))
        return found.tolist(), slopes[0].to_dense().tolist(), slopes[1].tolist()

    assert outcome(torch) == outcome(pytest.importorskip("torch"))


def test_reduced_products_that_are_refused():
    dense, wrong = torch.eye(2), torch.ones(3, 2)
    s = dense.to_sparse_csr()
    for x, y in (
        (dense, dense),
        (dense.to_sparse(), dense),
        (s, s),
        (s, wrong),
        (s, dense.double()),
    ):
        with pytest.raises(RuntimeError):
            torch.sparse.mm(x, y, "mean")


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize("options", [{}, {"masked": True}, {"fast_mode": True}])
def test_gradcheck_takes_sparse_operands(layout, options):
    x = torch.eye(3, dtype=torch.float64).to_sparse(layout=layout).requires_grad_()
    d = torch.arange(9.0, dtype=torch.float64).reshape(3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, d: (s @ d).sin(), (x, d), **options)
    assert torch.autograd.gradcheck(lambda s: s.sin(), x, **options)
    assert not torch.autograd.gradcheck(
        lambda s: (s * s.detach()).sum(), x, raise_exception=False, **options
    )
