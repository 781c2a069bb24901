"""Programs as machine code: what is fused, where values lie, and what threads do not change."""

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn

pytest.importorskip("llvmlite")
from rushlight.compiler.run.native_program import NativeProgram
from rushlight.compiler.run.numpy_call import Call
from tests.daily import daily


def program(function, *args):
    """The native program of ``function`` for ``args``; its results are compared with eager's."""
    want = function(*args)
    compiled = torch.compile(function, fullgraph=True)
    for _ in range(2):
        found = compiled(*args)
        for x, y in zip(*map(_tensors, (found, want)), strict=True):
            close(x, y)
    (entry,) = compiled._compiled.entries
    assert type(entry.program) is NativeProgram
    return entry.program


def close(x, y):
    np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-5, atol=1e-5)
    assert x.stride() == y.stride()


def _tensors(found):
    return found if isinstance(found, tuple) else (found,)


def kernels(p):
    return [s for s in p.assembly.steps if type(s) is not Call]


def calls(p):
    return [s.equation.op.name for s in p.assembly.steps if type(s) is Call]


X = torch.randn(33, 70, generator=torch.Generator().manual_seed(1))
ROWS = torch.tensor([3, 0, 32])
ONE_KERNEL = {
    "chain": lambda x: torch.tanh(x * 2 + 1).exp() - x,
    "softmax": lambda x: torch.softmax(x, 1),
    "softmax of columns": lambda x: torch.softmax(x, 0),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "layer_norm": lambda x: F.layer_norm(x, (70,)),
    "variance": lambda x: x.var(1),
    "of a view": lambda x: x[3:, ::2].t() * 2,
    "argmax": lambda x: x.argmax(1),
    "scan": lambda x: (x * 2).cumsum(1) + 1,
    "gather": lambda x: F.embedding(ROWS, x) * 2,
    "linear and gelu": lambda x: F.gelu(x @ x.t()),
    "causal mask": lambda x: torch.tril(x) + torch.triu(x, 1),
}


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_one_kernel(name):
    p = program(ONE_KERNEL[name], X)
    assert len({s.group.number for s in kernels(p) if not s.group.checks}) == 1
    assert not calls(p)


def test_an_operand_of_a_product_is_not_made_in_its_epilogue():
    x = torch.arange(9.0).reshape(3, 3)

    def step(x):  # both triangles compare the same rows and columns
        v = x.tril(-1)
        return (v.mT @ v).triu(1), v.mT * 2

    program(step, x)


def test_a_cat_writes_each_part_once():
    p = program(lambda x: torch.cat([x * 2, x + 1, x], 1), X)
    assert p.schedule.offsets.keys().isdisjoint(v.id for v in p.inputs)
    assert not calls(p)


def test_opaque_calls_stand_between_kernels():
    p = program(lambda x: torch.sort(x * 2, 1).values.exp() * torch.sort(x, 0).values, X)
    assert calls(p) == ["sort", "sort"]


def _step(optimizer, **options):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 7))
    opt = optimizer(net.parameters(), **options)

    def step(x, y):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    return step


@pytest.mark.parametrize(
    "name", daily(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"], 2, "native steps")
)
def test_a_training_step_is_all_native(name):
    step = _step(getattr(torch.optim, name), lr=0.01)
    compiled = torch.compile(step, fullgraph=True)
    x, y = torch.randn(16, 20), torch.randint(0, 7, (16,))
    for _ in range(3):
        compiled(x, y)
    entry = compiled._compiled.entries[-1]
    assert not calls(entry.program)
    # Parameters and state are updated by the kernels that compute them, not copied afterwards.
    schedule = entry.program.schedule
    assert not {v.id for v in entry.program.inputs} & set(schedule.offsets)
    # The kernel that makes a gradient makes all of the step with it: none goes over memory again.
    makers = {
        (schedule.targets[v.id].ndim, g.kind, bool(g.columns))
        for g in schedule.groups for e in g.members for v in e.outs if v.id in schedule.targets
    }  # fmt: skip
    assert makers - {(1, "loops", False)} == {(2, "contraction", False), (1, "loops", True)}


def test_results_do_not_depend_on_threads():
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 4, 2):
            torch.set_num_threads(threads)
            torch.manual_seed(3)
            net = nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                nn.Linear(8 * 169, 300), nn.Tanh(), nn.Linear(300, 10),
            )  # fmt: skip
            opt = torch.optim.Adam(net.parameters())
            x, y = torch.randn(32, 3, 28, 28), torch.randint(0, 10, (32,))

            @torch.compile
            def step(x, y, opt=opt, net=net):
                opt.zero_grad()
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                opt.step()
                return loss

            losses = [step(x, y) for _ in range(3)]
            found.append([t.detach().numpy().tobytes() for t in (*losses, *net.parameters())])
    finally:
        torch.set_num_threads(before)
    assert all(f == found[0] for f in found)


def test_other_strides_make_another_program():
    compiled = torch.compile(lambda x: x * 2, fullgraph=True)
    for x in (X, X.t().contiguous().t(), X[:, ::2]):
        close(compiled(x), x * 2)


def test_held_results_stay():
    compiled = torch.compile(lambda x: x * 2, fullgraph=True)
    big = torch.ones(100, 100)
    kept = [compiled(big * k) for k in range(6)]
    assert [t[0, 0].item() for t in kept] == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_long_sums_are_accurate(dim):
    x = torch.rand(300, 1000, generator=torch.Generator().manual_seed(0))
    got = torch.compile(lambda x: x.sum() if dim is None else x.sum(dim))(x).numpy()
    want = x.numpy().astype(np.float64).sum(dim)
    assert np.max(np.abs(got - want) / want) < 3e-7


LARGE = {
    "rows": ((512, 300), None), "one dim": ((1 << 18,), None), "of no use to rows": ((262147,), None),
    "two rows": ((2, 90000), None), "images": ((4, 3, 128, 128), (0, 2, 3)), "kept": ((300, 4, 500), (0, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int32])
def test_large_reductions_are_shared_by_threads(name, dtype):
    shape, dim = LARGE[name]
    x = (9 * torch.randn(shape, generator=torch.Generator().manual_seed(2))).to(dtype)
    dim = tuple(range(x.ndim)) if dim is None else dim
    f = lambda x: ((x * 2).sum(dim), x.amax(dim, keepdim=True), (x > 0).sum(dim, keepdim=True))
    p = program(f, x.round() / 16 if dtype.is_floating_point else x)  # sums that are exact
    assert any(k.chunks > 1 for k in kernels(p)) == (name != "of no use to rows")


def test_rows_beyond_the_caches_are_asked_for_ahead():
    """A row's results are fetched before they are written, the next row while this one is."""
    x = torch.zeros(1 << 14, 81)  # few rows begin a cache line, so none is stored past the caches
    lines = str(program(lambda x: torch.softmax(x, 1), x).assembly.module()).splitlines()
    asked = [line for line in lines if 'call void @"llvm.prefetch.p0"' in line]
    assert any(", i32 0, i32 3, " in line for line in asked)  # read, to the first-level cache
    assert any(", i32 1, i32 3, " in line for line in asked)  # written
    near = str(program(lambda x: torch.softmax(x, 1), x[:100]).assembly.module())
    assert "llvm.prefetch" not in near


def test_a_fault_of_the_code_generator_is_told(monkeypatch):
    def fail(*args):
        raise ValueError("no such register")

    monkeypatch.setattr("rushlight.compiler.run.native_program.NativeProgram", fail)
    compiled = torch.compile(lambda x: x * 2)
    with pytest.warns(UserWarning, match="no native code, running on NumPy: .*no such register"):
        assert compiled(torch.tensor(2.0)) == 4


def test_a_matrix_that_many_products_turn_is_turned_once():
    w = torch.randn(96, 48, generator=torch.Generator().manual_seed(2))

    def steps(x):
        for _ in range(4):
            x = torch.tanh(F.linear(x, w)[:, :48])
        return x

    x = torch.randn(5, 48, generator=torch.Generator().manual_seed(3))
    turned = [k for k in kernels(program(steps, x)) if k.group.kind == "loops" and (48, 96) in [
        e.outs[0].shape for e in k.group.members]]  # fmt: skip
    assert len(turned) == 1


def test_small_inputs_are_read_as_they_are_now():
    """Whether they are new, the same again, written meanwhile, or part of what is written."""
    w = torch.ones(4)

    def step(x):
        w.mul_(2.0)
        return x + w.sum()

    compiled = torch.compile(step, fullgraph=True)
    x, y = torch.zeros(4), torch.ones(4)
    expected = 4.0
    for given, write in [(x, 0), (x, 5), (x, 7), (y, 1), (x, 2), (x, 3), (y, 4), (y, 4)]:
        given.fill_(write)
        expected *= 2
        assert compiled(given).tolist() == [write + expected] * 4
    for _ in range(3):  # the argument is what is written
        before, part = w.clone(), w[:4]
        assert compiled(part).tolist() == (part + w.sum()).tolist()
        assert w.tolist() == (before * 2).tolist()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.int32, torch.float32])
def test_truth_of_one_element(dtype):
    for value in (6, 0):
        x = torch.full((1, 2), value).to(dtype)
        for f in (lambda x: x.any(0), lambda x: x.all(0), lambda x: x[0, 0].any()):
            assert torch.equal(torch.compile(f)(x), f(x))


def test_gradients_of_an_empty_batch():
    """Calls that do nothing stand beside kernels that store where gradients lie."""

    def step(x, w):
        x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
        F.conv2d(x, w).sum().backward()
        return x.grad, w.grad

    program(step, torch.randn(0, 2, 5, 5), torch.randn(3, 2, 3, 3))


@pytest.mark.slow
def test_a_long_chain_is_several_kernels():
    """What follows one from another is written by recursion, which Python bounds."""

    def chain(x):
        for i in range(300):
            x = torch.sin(x) * 1.01 + 0.001 * i
        return x

    p = program(chain, torch.randn(5))
    assert 10 < len(p.schedule.groups) < 20


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.t().contiguous(),
        lambda x: ((x * 2).t().contiguous(), (x * 2).t()),
        lambda x: (x * 2).t().to(memory_format=torch.contiguous_format, copy=True),
        lambda x: (x * 2).t().clone(),
    ],
)
def test_a_result_lies_as_eager_leaves_it(f):
    program(f, X)


def test_a_gradient_gets_what_it_saves_in_the_order_of_the_trace():
    x = X.clone().requires_grad_()
    y = torch.compile(lambda x: (x * 2).t().contiguous().view(-1).sin())(x)
    y.sum().backward()
    assert y.grad_fn.gradient.program((0,))[0].fallback is None
    close(x.grad, 2 * (2 * X).cos())


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.interpolate(x, size=(12, 10), mode="nearest-exact"),
        lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"),
        lambda x: F.pad(x, (2, 1, 1, 2), mode="circular"),
    ],
)
def test_images_whose_elements_come_again_have_native_gradients(f):
    def slope(x):
        y = f(x)
        return torch.autograd.grad((y * y * y).sum(), x)

    assert not calls(program(slope, torch.arange(60.0).view(2, 1, 6, 5).requires_grad_()))
