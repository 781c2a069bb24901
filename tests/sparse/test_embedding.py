"""Sparse gradients of tables of rows, and the optimizers that take them: PyTorch's numbers."""

import importlib
import sys
import warnings

import pytest

import rushlight
import rushlight as torch
from tests import processes
from tests.sparse.parity import description, same

ROWS = [[1.0, 3.0], [0.5, -2.0], [4.0, 1.0], [-1.0, 2.0], [2.5, 0.25]]


def table(torch, **options):
    found = torch.nn.Embedding(5, 2, sparse=True, **options)
    with torch.no_grad():
        found.weight.copy_(torch.tensor(ROWS))
    return found


def test_the_gradient_has_a_row_for_each_index():
    e = table(torch)
    e(torch.tensor([[1, 3], [1, 0]])).sum().backward()
    g = e.weight.grad
    assert g.layout is torch.sparse_coo and not g.is_coalesced() and g.shape == (5, 2)
    assert g._indices().tolist() == [[1, 3, 1, 0]] and g._values().tolist() == [[1.0, 1.0]] * 4
    e(torch.tensor([2])).sum().backward()  # sparse + sparse
    assert e.weight.grad._indices().tolist() == [[1, 3, 1, 0, 2]]
    (e.weight**2).sum().backward()  # sparse + dense
    dense = e.weight.grad
    assert dense.layout is torch.strided and dense[1].tolist() == [3.0, -2.0]
    e(torch.tensor([1])).sum().backward()  # dense + sparse
    assert e.weight.grad.layout is torch.strided and e.weight.grad[1].tolist() == [4.0, -1.0]
    e.zero_grad()
    (e(torch.tensor([2])).sum() + e.weight.sum()).backward()
    assert e.weight.grad.tolist() == [[1.0, 1.0]] * 2 + [[2.0, 2.0]] + [[1.0, 1.0]] * 2


def looked_up(torch, case):
    F, w = torch.nn.functional, torch.tensor(ROWS, requires_grad=True)
    i, offsets = torch.tensor([1, 3, 1, 0]), torch.tensor([0, 3])
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    bag = lambda **options: F.embedding_bag(i, w, offsets, sparse=True, **options)
    found = {
        "plain": lambda: F.embedding(i, w, sparse=True),
        "int32": lambda: F.embedding(i.int(), w, sparse=True),
        "padding": lambda: F.embedding(i, w, 1, sparse=True),
        "max_norm": lambda: F.embedding(i, w.clone(), max_norm=1.0, sparse=True),
        "twice": lambda: F.embedding(i, w, sparse=True) * F.embedding(i, w, sparse=True),
        "mixed": lambda: F.embedding(i, w, sparse=True) * F.embedding(i, w),
        "computed": lambda: F.embedding(i, w * 3, sparse=True),
        "sum": lambda: bag(mode="sum"),
        "mean": lambda: bag(mode="mean"),
        "sum padding": lambda: bag(mode="sum", padding_idx=1),
        "mean padding": lambda: bag(mode="mean", padding_idx=1),
        "weighted": lambda: bag(mode="sum", per_sample_weights=weights),
        "matrix": lambda: F.embedding_bag(i.reshape(2, 2), w, sparse=True, mode="mean"),
        "empty": lambda: F.embedding(i[:0], w, sparse=True),
    }[case]()  # fmt: skip
    (found * torch.arange(1.0, 1 + found.numel()).reshape(found.shape)).sum().backward()
    sparse = str(w.grad.layout) == "torch.sparse_coo"
    factors = weights if weights.grad is None else weights.grad
    return sparse, [description(torch, x) for x in (w.grad.to_dense(), factors)]


CASES = [
    "plain", "int32", "padding", "max_norm", "twice", "mixed", "computed", "sum", "mean",
    "sum padding", "mean padding", "weighted", "matrix", "empty",
]  # fmt: skip
COMPUTED = "mixed", "computed", "max_norm"


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_pytorchs(case):
    theirs = pytest.importorskip("torch")
    (ours, a), (expected, b) = looked_up(rushlight, case), looked_up(theirs, case)
    assert ours == expected or case in COMPUTED
    same(a, b)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_sparse(case):
    assert looked_up(rushlight, case)[0] is (case not in COMPUTED)


def test_modules_and_refusals():
    bags = torch.nn.EmbeddingBag(5, 2, mode="sum", sparse=True)
    bags(torch.tensor([[0, 1], [1, 4]])).sum().backward()
    assert bags.weight.grad._indices().tolist() == [[0, 1, 1, 4]]
    e = table(torch, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported"):
        e(torch.tensor([1, 1])).sum().backward()
    e = table(torch, padding_idx=1)
    e(torch.tensor([1, 3])).sum().backward()
    assert e.weight.grad._indices().tolist() == [[3]]


def test_hooks_and_functions_of_gradients():
    e, seen = table(torch), []
    handle = e.weight.register_hook(lambda g: seen.append(g.is_sparse) or g * 2)
    e.weight.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.is_sparse))
    e(torch.tensor([1])).sum().backward()
    assert seen == [True, True] and e.weight.grad._values().tolist() == [[2.0, 2.0]]
    handle.remove()
    (g,) = torch.autograd.grad(e(torch.tensor([4, 4])).sum(), e.weight)
    assert g.is_sparse and g.to_dense()[4].tolist() == [2.0, 2.0]
    w = torch.tensor(ROWS, requires_grad=True)
    F = torch.nn.functional
    loss = (F.embedding(torch.tensor([1, 1]), w, sparse=True) ** 2).sum()
    (g,) = torch.autograd.grad(loss, w, create_graph=True)
    assert g.is_sparse and g.requires_grad
    (h,) = torch.autograd.grad(g.to_dense().sum(), w)
    assert h.to_dense()[1].tolist() == [4.0, 4.0]


def test_zero_grad_and_clipping():
    e = table(torch)
    e(torch.tensor([1, 3, 1])).sum().backward()
    norm = torch.nn.utils.clip_grad_norm_(e.parameters(), 1.0)
    assert norm.item() == pytest.approx(10**0.5)
    assert e.weight.grad.to_dense().norm().item() == pytest.approx(1.0, abs=1e-4)
    e.zero_grad()
    e(torch.tensor([1, 3, 1])).sum().backward()
    torch.nn.utils.clip_grad_value_(e.parameters(), 0.5)  # row 1 is there twice: 2.0 is one element
    assert e.weight.grad.to_dense()[:4, 0].tolist() == [0.0, 0.5, 0.0, 0.5]
    g = e.weight.grad
    e.zero_grad(set_to_none=False)
    assert e.weight.grad is g and g._nnz() == 0
    e(torch.tensor([0])).sum().backward()
    assert e.weight.grad.to_dense()[0].tolist() == [1.0, 1.0]
    optimizer = torch.optim.SGD(e.parameters())
    optimizer.zero_grad(set_to_none=False)
    assert e.weight.grad._nnz() == 0
    e.weight.grad = torch.sparse_coo_tensor([[1]], [[2.0, 2.0]], (5, 2))
    with pytest.raises(RuntimeError, match="assign a gradient of size"):
        e.weight.grad = torch.sparse_coo_tensor([[1]], [[2.0]], (5, 1))
    with pytest.raises(RuntimeError, match="assign a gradient with dtype"):
        e.weight.grad = e.weight.grad.double()


def test_grad_scaler():
    e = table(torch)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    optimizer = torch.optim.SparseAdam(e.parameters(), lr=0.5)
    scaler.scale(e(torch.tensor([1])).sum()).backward()
    scaler.unscale_(optimizer)
    assert e.weight.grad._values().tolist() == [[1.0, 1.0]]
    scaler.step(optimizer)
    assert e.weight[1].tolist() == pytest.approx([0.0, -2.5], abs=1e-6)


# Optimizers -------------------------------------------------------------------------------

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}), ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adagrad", {"lr": 0.1}), ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("SparseAdam", {"lr": 0.1}), ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("SparseAdam", {"lr": 0.1, "maximize": True}), ("LBFGS", {"lr": 0.1, "max_iter": 3}),
]  # fmt: skip


def trained(torch, name, options, steps=4, dtype="float32", dense_at=()):
    w = torch.tensor(ROWS, dtype=getattr(torch, dtype), requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], **options)
    for k in range(steps):

        def closure(k=k):
            optimizer.zero_grad()
            i = torch.tensor([1, 1, k % 5])
            rows = torch.nn.functional.embedding(i, w, sparse=k not in dense_at)
            loss = (rows**2 * 0.5).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
    state = optimizer.state_dict()["state"]
    kept = {
        k: v for k, v in state.get(0, {}).items() if k in ("step", "exp_avg", "exp_avg_sq", "sum")
    }
    kept = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in kept.items()}
    return w.detach(), kept, optimizer


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_optimizers_have_pytorchs_numbers(name, options, dtype):
    theirs = pytest.importorskip("torch")
    (a, kept, _), (b, expected, _) = (
        trained(t, name, options, dtype=dtype) for t in (rushlight, theirs)
    )
    same([a.numpy()], [b.numpy()])
    assert kept.keys() == expected.keys()
    for key, value in kept.items():
        assert type(value) is type(expected[key])
        torch.testing.assert_close(torch.tensor(value), torch.tensor(expected[key]))


#: The second row of the table after four steps in PyTorch 2.13.
RECORDED = {
    "SGD": ({"lr": 0.1}, [0.17919999, -0.71679997]),
    "SGD momentum": ({"lr": 0.1, "momentum": 0.9}, [-0.23389998, 0.93559992]),
    "Adagrad": ({"lr": 0.1}, [0.25299832, -1.7307363]),
    "SparseAdam": ({"lr": 0.1}, [0.11531663, -1.6065105]),
}


@pytest.mark.parametrize("name", RECORDED)
def test_optimizers_have_recorded_numbers(name):
    options, expected = RECORDED[name]
    found, _, _ = trained(torch, name.split()[0], options)
    assert found[1].tolist() == pytest.approx(expected, rel=1e-5)
    assert found[4].tolist() == ROWS[4]  # a row that no gradient has


@pytest.mark.parametrize("name, options", OPTIMIZERS[:8])
def test_sparse_and_dense_gradients_agree(name, options):
    if (name == "SGD" and "momentum" not in options) or name == "Adagrad":
        a, b = (trained(torch, name, options, dense_at=k)[0] for k in ((), range(9)))
        assert torch.allclose(a, b)
    # A dense step between sparse ones: the state moves from one form to the other.
    if "momentum" not in options:
        c = trained(torch, name, options, dense_at=(1, 2))[0]
        assert torch.allclose(trained(torch, name, options)[0], c)


def test_momentum_of_dense_and_sparse_steps():
    a = trained(torch, "SGD", {"lr": 0.1, "momentum": 0.9}, dense_at=range(9))[0]
    b = trained(torch, "SGD", {"lr": 0.1, "momentum": 0.9}, dense_at=(0, 1))[0]
    assert torch.allclose(a, b)


def test_a_sparse_momentum_stays_small_and_is_saved():
    _, _, optimizer = trained(torch, "SGD", {"lr": 0.1, "momentum": 0.9}, steps=20)
    (p,) = optimizer.param_groups[0]["params"]
    buffer = optimizer.state[p]["momentum_buffer"]
    assert buffer.is_sparse and buffer._nnz() == 5
    state = optimizer.state_dict()
    other = torch.optim.SGD([p.detach().requires_grad_()], lr=0.1, momentum=0.9)
    other.load_state_dict(state)
    (found,) = (s["momentum_buffer"] for s in other.state.values())
    torch.testing.assert_close(found, buffer)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("Adam", {}, "Adam does not support sparse gradients, please consider SparseAdam instead"),
        ("AdamW", {}, "does not support sparse gradients, please consider SparseAdam"),
        ("RMSprop", {}, "RMSprop does not support sparse gradients"),
        ("Adadelta", {}, "does not support sparse"), ("Adamax", {}, "does not support sparse"),
        ("NAdam", {}, "does not support sparse"), ("RAdam", {}, "does not support sparse"),
        ("ASGD", {}, "does not support sparse"), ("Rprop", {}, "does not support sparse"),
        ("Adafactor", {}, "does not support sparse"), ("Muon", {}, "does not support sparse"),
        ("SGD", {"weight_decay": 0.1}, "weight_decay"),
        ("Adagrad", {"weight_decay": 0.1}, "weight_decay option is not compatible with sparse"),
        ("SGD", {"fused": True}, "_fused_sgd"),
    ],
)  # fmt: skip
def test_optimizers_that_refuse_sparse_gradients(name, options, message):
    with pytest.raises(RuntimeError, match=message):
        trained(torch, name, options)
    if name in ("Adam", "RMSprop"):  # after dense steps, too
        with pytest.raises(RuntimeError, match=message):
            trained(torch, name, options, dense_at=(0, 1))


def test_sparse_adam_refuses_what_pytorchs_refuses():
    with pytest.raises(ValueError, match="requires dense parameter tensors"):
        torch.optim.SparseAdam([torch.zeros(3, layout=torch.sparse_coo)])
    with pytest.raises(ValueError, match="requires dense parameter tensors"):
        torch.optim.SparseAdam([{"params": [torch.zeros(3, layout=torch.sparse_coo)]}])
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        trained(torch, "SparseAdam", {}, dense_at=range(9))


def rosenbrock(torch, name, options, steps):
    """PyTorch's own test of its sparse optimizers: x and y step in turns."""
    w = torch.tensor([1.5, 1.5], requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], **options)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)

    def step(k):
        def closure():
            optimizer.zero_grad()
            x, y = w.detach()
            i = k % 2
            g = -400 * x * (y - x * x) - 2 * (1 - x) if i == 0 else 200 * (y - x * x)
            v = torch.stack([g / 4.0, g - g / 4.0])
            w.grad = torch.sparse_coo_tensor(torch.tensor([[i, i]]), v, (2,))
            return g

        optimizer.step(closure)
        scheduler.step()

    for k in range(steps):
        step(k)
    return w.detach()


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, options", [
    ("SGD", {"lr": 4.8e-3}), ("Adagrad", {"lr": 1e-1}), ("SparseAdam", {"lr": 4e-2}),
    ("SparseAdam", {"lr": 4e-2, "maximize": True}),
])  # fmt: skip
def test_pytorchs_own_test(name, options):
    theirs = pytest.importorskip("torch")
    a, b = (rosenbrock(t, name, options, 40) for t in (rushlight, theirs))
    same([a.numpy()], [b.numpy()])


def test_half_precision_tables():
    for dtype in ("float16", "bfloat16"):
        for name, options in (
            ("SGD", {"lr": 0.1}),
            ("Adagrad", {"lr": 0.1}),
            ("SparseAdam", {"lr": 0.1}),
        ):
            found = trained(torch, name, options, dtype=dtype)[0]
            assert torch.allclose(found.float(), trained(torch, name, options)[0], atol=0.05)


def test_a_compiled_step_runs_eagerly():
    def run(compiled):
        w = torch.tensor(ROWS, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)

        def step(i):
            optimizer.zero_grad()
            loss = (torch.nn.functional.embedding(i, w, sparse=True) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = torch.compile(step) if compiled else step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            losses = [step(torch.tensor([k, 1])).item() for k in range(4)]
        return losses, w.detach()

    (a, v), (b, w) = run(True), run(False)
    assert a == b and torch.equal(v, w)


def test_scipy_is_not_needed():
    code = """
import sys
sys.modules["scipy"] = sys.modules["scipy.sparse"] = None
import rushlight as torch
e = torch.nn.Embedding(1000, 16, sparse=True)
for kind in (torch.optim.SparseAdam, torch.optim.Adagrad, torch.optim.SGD):
    optimizer = kind(e.parameters(), lr=0.1)
    optimizer.zero_grad()
    e(torch.arange(2000) % 1000).sum().backward()
    optimizer.step()
try:
    torch.eye(200).to_sparse() @ torch.ones(200, 9)  # small products need none
except ImportError as error:
    assert "SciPy" in str(error)
else:
    raise AssertionError
"""
    processes.run([sys.executable, "-c", code], check=True)
    importlib.import_module("rushlight.sparse")
