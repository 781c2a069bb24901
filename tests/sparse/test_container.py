"""SparseTensor: no function gives another result than for the dense tensor; copies; the cost."""

import copy
import io
import pickle
import warnings

import pytest

import rushlight as torch
from rushlight.autograd import mode
from rushlight.errors import LayoutError
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.sparse.container import SparseTensor
from tests.daily import daily

LAYOUTS = "coo", "uncoalesced", "csr", "csc"
DENSE = [[0.0, 0.0, 0.3], [-0.3, 0.0, 0.0], [0.25, 0.0, 0.5]]


def made(layout):
    x = torch.sparse_coo_tensor(
        [[0, 0, 1, 2, 2], [2, 2, 0, 0, 2]], [0.1, 0.2, -0.3, 0.25, 0.5], (3, 3), dtype=torch.float64
    )
    if layout == "uncoalesced":
        return x
    return x.coalesce() if layout == "coo" else getattr(x, f"to_sparse_{layout}")()


def dense():
    return torch.tensor(DENSE, dtype=torch.float64)


#: What a sparse tensor tells about itself, and what only it has; random and uninitialised results.
OTHERS = {
    "is_sparse", "is_sparse_csr", "layout", "is_contiguous", "stride", "type", "sparse_dim",
    "dense_dim", "coalesce", "is_coalesced", "indices", "values", "_indices", "_values", "_nnz",
    "crow_indices", "col_indices", "ccol_indices", "row_indices", "smm", "sspaddmm",
    "sparse_mask", "rand_like", "randn_like", "randint_like", "empty_like", "new_empty", "new",
    "bernoulli", "multinomial", "normal", "poisson", "binomial", "dropout", "exponential_",
    "uniform_", "svd_lowrank", "pca_lowrank", "lobpcg",  # which draw numbers
    "register_hook", "cuda", "retain_grad", "share_memory_", "_make_subclass",
    "full_like", "ones_like",  # which fill the stored elements of compressed layouts, as PyTorch's
}  # fmt: skip
#: Division by the number 0 concerns the stored elements alone, as in PyTorch.
DIVISIONS = "div", "truediv", "divide", "floordiv"
ARGUMENTS = [
    (), (2,), (1,), (0,), (0, 1), (0.5,), ("D",), ("S",), ((0, 1),), (-1,), (0, "I"), ("I",),
    ("D", "D"), ("S", "S"), (0, "I", "D"), (2, 2), (1, 0, 1),
]  # fmt: skip


def as_dense(x):
    return x.to_dense() if isinstance(x, SparseTensor) else x


def agree(a, b):
    a, b = as_dense(a), as_dense(b)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(agree, a, b))
    if isinstance(a, torch.Tensor):
        half = torch.half, torch.bfloat16, torch.half.to_complex()
        close = 1e-3 if a.dtype in half else 1e-8
        return a.shape == b.shape and torch.allclose(a, b.to(a.dtype), atol=close, equal_nan=True)
    return a == b


def results(name, function, layout, arguments):
    """The results for the sparse and for the dense tensor; the written tensors of methods."""
    for kind in (layout, None):
        x, y = (made(kind), made(kind)) if kind else (dense(), dense())
        known = {"D": dense() + 1, "S": y, "I": torch.tensor([0, 2])}
        found = function(x, *[known[a] if isinstance(a, str) else a for a in arguments])
        yield (found, x) if name.endswith("_") and not name.endswith("__") else found


def wrong_results(name, function):
    for layout in LAYOUTS:
        for arguments in ARGUMENTS:
            if arguments == (0,) and any(d in name for d in DIVISIONS):
                continue
            try:
                ours, expected = results(name, function, layout, arguments)
            except Exception:
                continue  # one of them is refused
            if not agree(ours, expected):
                yield name, layout, arguments


def methods():
    """Methods as a sparse tensor and a dense one have them, by name."""
    for name in sorted(dir(torch.Tensor)):
        plain = name.startswith("__") and name[2:-2] not in [
            "add",
            "radd",
            "sub",
            "rsub",
            "mul",
            "rmul",
            "truediv",
            "rtruediv",
            "floordiv",
            "mod",
            "pow",
            "rpow",
            "matmul",
            "neg",
            "abs",
            "getitem",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "and",
            "or",
            "xor",
            "invert",
            "len",
            "bool",
            "float",
            "int",
            "iadd",
            "isub",
            "imul",
        ]
        if not plain and name not in OTHERS and callable(getattr(torch.Tensor, name)):
            yield name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", daily("_abcdefghijklmnopqrstuvwxyz", 5, "methods"))
def test_no_method_gives_a_wrong_result(first):
    for name in methods():
        if name.lower().startswith(first):
            wrong = wrong_results(name, lambda x, *a, name=name: getattr(x, name)(*a))
            assert not list(wrong)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", daily("abcdefghijklmnopqrstuvwxyz", 5, "functions"))
def test_no_function_gives_a_wrong_result(first):
    for name in sorted(FUNCTIONS):
        if name.startswith(first) and name.removesuffix("_copy") not in OTHERS:
            assert not list(wrong_results(name, FUNCTIONS[name]))


def test_refusals_name_the_function_and_the_remedy():
    for call, name in (
        (lambda x: x.exp(), "exp"), (lambda x: torch.cumsum(x, 0), "cumsum"),
        (lambda x: x == x, "eq"), (lambda x: x.view(9), "view"), (lambda x: x.argmax(), "argmax"),
    ):  # fmt: skip
        with pytest.raises(NotImplementedError, match=rf"'{name}'.*SparseCPU.*to_dense\(\)"):
            call(made("coo"))
    with pytest.raises(LayoutError, match="to_dense"):
        _ = made("csr")._array


def test_dense_calls_keep_their_fast_path():
    before = mode.intercept
    x = made("coo")
    assert mode.intercept == before
    assert isinstance(x, torch.Tensor) and not hasattr(x, "_array")


@pytest.mark.parametrize("layout", [*LAYOUTS, "bsr"])
def test_copies_and_files(layout):
    x = torch.eye(4).to_sparse_bsr((2, 2)) if layout == "bsr" else made(layout)
    x.note = "mine"
    for found in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        torch.testing.assert_close(found, x, rtol=0, atol=0)
    assert copy.deepcopy(x).note == pickle.loads(pickle.dumps(x)).note == "mine"
    for weights_only in (True, False):
        file = io.BytesIO()
        torch.save({"x": x}, file)
        file.seek(0)
        found = torch.load(file, weights_only=weights_only)["x"]
        torch.testing.assert_close(found, x, rtol=0, atol=0)
        assert found.note == "mine"
        if x.is_sparse:
            assert found.is_coalesced() == x.is_coalesced()
    leaf = x.detach().requires_grad_()
    assert copy.deepcopy(leaf).requires_grad
    deep = copy.deepcopy({"a": x, "b": x})
    assert deep["a"] is deep["b"] and deep["a"] is not x


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_are_pytorchs(layout):
    theirs = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save(made(layout), file)
    file.seek(0)
    found = theirs.load(file)
    assert str(found.layout) == str(made(layout).layout)
    assert found.to_dense().tolist() == made(layout).to_dense().tolist()
    back = io.BytesIO()
    theirs.save(found, back)
    back.seek(0)
    torch.testing.assert_close(torch.load(back), made(layout))


@pytest.mark.parametrize(
    "data",
    [
        ("torch.sparse_coo", ([[5]], [1.0], (2,))),
        ("torch.sparse_coo", ([[-1]], [1.0], (2,))),
        ("torch.sparse_csr", ([0, 5], [0], [1.0], (1, 1))),
        ("torch.sparse_csr", ([0, 1], [7], [1.0], (1, 1))),
    ],
)
def test_a_file_with_wrong_indices_is_refused(data):
    from rushlight.serialization.names import get_layout, rebuild_sparse_tensor

    layout, (*parts, size) = data
    with pytest.raises(RuntimeError):
        rebuild_sparse_tensor(get_layout(layout), (*map(torch.tensor, parts), size))


def test_members_of_modules():
    module = torch.nn.Module()
    module.register_buffer("adjacency", made("coo"))
    module.weight = torch.nn.Parameter(made("csr"))
    assert module.weight.requires_grad and [*module.state_dict()] == ["weight", "adjacency"]
    assert module.float().adjacency.dtype is torch.float32
    state = {k: v * 2 for k, v in module.state_dict().items()}
    module.load_state_dict(state)
    assert torch.allclose(module.adjacency.to_dense(), 2 * dense().float())


def test_assert_close():
    x = made("coo")
    torch.testing.assert_close(x, made("uncoalesced"))
    with pytest.raises(AssertionError, match="Tensor-likes"):
        torch.testing.assert_close(x, x * 2)
    with pytest.raises(AssertionError, match="specified values"):
        torch.testing.assert_close(x, torch.zeros_like(x))
    with pytest.raises(AssertionError, match="layout"):
        torch.testing.assert_close(x, dense())
    torch.testing.assert_close(x, dense(), check_layout=False)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, d: x @ d, lambda x, d: x * 2, lambda x, d: d.to_sparse().sum(0),
        lambda x, d: d + x, lambda x, d: d * x._nnz(), lambda x, d: d * x.shape[0],
        lambda x, d: x.values() * 2,
    ],
)  # fmt: skip
def test_compiled_functions_run_eagerly(function):
    x, d = made("coo"), dense()
    for given in ((x, d), (d,)):
        call = function if len(given) == 2 else (lambda d: function(x, d))
        compiled = torch.compile(call)
        with pytest.warns(UserWarning, match="running eagerly: .*sparse|size depends on values"):
            found = compiled(*given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert agree(found, call(*given)) and agree(compiled(*given), call(*given))


def test_a_changed_tensor_is_seen_by_compiled_functions():
    x, d = made("coo"), dense()
    compiled = torch.compile(lambda d: x @ d)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled(d)
        x.mul_(3)
        assert torch.allclose(compiled(d), 3 * dense() @ d)


def test_invariants_switch():
    check = torch.sparse.check_sparse_tensor_invariants
    assert not check.is_enabled()
    with check():
        assert check.is_enabled()
        with check(False):
            assert not check.is_enabled()
    assert not check.is_enabled()
    assert check()(check.is_enabled)()
    twice = check()
    with twice, pytest.raises(RuntimeError, match="already activated"), twice:
        pass
    check.enable()
    assert check.is_enabled()
    check.disable()


def test_indices_are_always_checked():
    for make in (
        lambda: torch.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (2,)),
        lambda: torch.sparse_coo_tensor([[1, 0]], [1.0, 2.0], (2,), is_coalesced=True),
        lambda: torch.sparse_csr_tensor([0, 1, 2], [0, 5], [1.0, 2.0], (2, 3)),
        lambda: torch.sparse_csr_tensor([0, 3, 2], [0, 1], [1.0, 2.0], (2, 3)),
    ):
        with pytest.raises(RuntimeError):
            make()


def test_large_matrices_and_long_sums():
    torch.manual_seed(0)
    n = 300
    d = torch.randn(n, n) * (torch.rand(n, n) < 0.05)
    x, y = d.to_sparse(), torch.randn(n, 7)
    for s in (x, x.to_sparse_csr(), x.to_sparse_csc(), x.to_sparse_bsr((3, 2))):
        assert torch.allclose(s @ y, d @ y, atol=1e-4)
        assert torch.allclose(y.t() @ s, y.t() @ d, atol=1e-4)
    assert torch.allclose((x @ x).to_dense(), d @ d, atol=1e-4)
    twice = torch.cat([x, x * 2]).index_select(0, torch.arange(0, 2 * n, 2))
    assert torch.equal(twice.to_dense(), torch.cat([d, d * 2])[::2])
    rows, columns = torch.randint(0, n, (2, 5000))
    values = torch.randn(5000)
    u = torch.sparse_coo_tensor(torch.stack([rows, columns]), values, (n, n))
    full = torch.zeros(n, n).index_put((rows, columns), values, accumulate=True)
    assert torch.allclose(u.to_dense(), full, atol=1e-5)
    assert torch.allclose(u.coalesce().to_dense(), full, atol=1e-5)
    for half in (torch.float16, torch.bfloat16):
        assert torch.allclose((x.to(half) @ y.to(half)).float(), d @ y, atol=0.2)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_a_deep_copy_of_a_leaf_gets_gradients_of_its_own(layout):
    x = torch.eye(3).to_sparse(layout=layout).requires_grad_()
    x.mark = [1]
    y = copy.deepcopy(x)
    torch.mm(y, torch.ones(3, 2)).sum().backward()
    assert x.grad is None and y.grad.values().tolist() == [2.0, 2.0, 2.0]
    assert y.mark == [1] and y.mark is not x.mark and vars(y) == {"mark": [1]}
