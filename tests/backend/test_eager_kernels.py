"""Large eager operations run as kernels: the same values, wherever they are worth it."""

import os
import sys
import tracemalloc
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import native
from rushlight.compiler.run import program
from rushlight.ops.core.definition import OPS
from rushlight.tensor import from_array

pytest.importorskip("llvmlite")
from rushlight.compiler.run import eager_kernels, threads
from tests import processes
from tests.daily import daily

F = torch.nn.functional

#: Special functions have tests of their own: tests/ops/special/test_formulas.py.
ELEMENTWISE = sorted(
    n for n, o in OPS.items() if o.slopes and o.kind == "elementwise" and not o.far_lowering
)
ROWS = {
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(1),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "rms_norm": lambda x: F.rms_norm(x, x.shape[1:]),
}


@pytest.fixture
def on_numpy(monkeypatch):
    """What runs a function on NumPy alone."""

    def run(function, *args):
        with monkeypatch.context() as context:
            context.setattr("rushlight.backend.native.COMPILER", "numpy")
            return function(*args)

    return run


@pytest.fixture(autouse=True)
def none_compiled_before(monkeypatch, nothing_intercepts):
    monkeypatch.setattr(eager_kernels, "_kernels", OrderedDict())
    monkeypatch.setattr(eager_kernels, "_calls", {})


def kernels():
    return {key: k for key, k in eager_kernels._kernels.items() if k is not None}


def sample(n, dtype=torch.float32, low=-4.0, high=4.0):
    values = np.linspace(low, high, n)
    return torch.tensor(values[np.random.default_rng(3).permutation(n)]).to(dtype)


def with_slope(function):
    """The result of ``function`` and the gradient of its input, from a gradient all its own."""

    def run(x):
        x = x.detach().requires_grad_()
        y = function(x)
        g = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
        return y.detach(), torch.autograd.grad(y, x, g)[0]

    return run


_ULP = {torch.float32: 2**-23, torch.float64: 2**-52, torch.float16: 2**-10, torch.bfloat16: 2**-7}


def as_good(function, on_numpy, *given, times=3):
    """Assert that kernels are about as near to the exact results as NumPy is."""
    dtype = given[0].dtype
    found, near = function(*given), on_numpy(function, *given)
    wide = given if dtype is torch.float64 else [t.double() for t in given]
    for x, y, exact in zip(found, near, on_numpy(function, *wide), strict=True):
        assert x.dtype is dtype and x.shape == y.shape and x.is_contiguous()
        x, y, exact = (t.double().numpy() for t in (x, y, exact))
        unit = np.maximum(np.abs(exact), np.abs(exact).mean() + 0.01) * _ULP[dtype]
        errors = [np.where(t == exact, 0, np.abs(t - exact)) / unit for t in (x, y)]
        allowed = (
            128 if dtype is torch.float64 else times * np.nanmax(errors[1])
        )  # not so exact there
        assert np.nanmax(errors[0]) <= 2 + allowed
        np.testing.assert_array_equal(np.isnan(x), np.isnan(y))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elements_and_their_slopes_are_those_of_numpy(name, on_numpy):
    function = getattr(F, name, None) or getattr(torch, name)
    low, high = (1.1, 9.0) if name == "acosh" else (-4.0, 4.0)
    x = sample(OPS[name].least + 13, torch.float32, low, high)
    before = len(kernels())
    as_good(with_slope(function), on_numpy, x)
    assert len(kernels()) == before + 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_dtypes(name, dtype, on_numpy):
    function = with_slope(getattr(F, name))
    x = sample(OPS[name].least + 1, dtype)
    as_good(function, on_numpy, x)


@pytest.mark.parametrize("shape", [(3001, 33), (1500, 64), (70, 1000)], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_rows_and_their_slopes_are_those_of_numpy(name, shape, on_numpy):
    x = sample(shape[0] * shape[1]).reshape(shape)
    function = with_slope(ROWS[name])
    before = len(kernels())
    as_good(function, on_numpy, x)
    assert len(kernels()) == before + 2


def test_normalisation_gives_its_weights_their_slopes(on_numpy):
    def slopes(x, w, b):
        x, w, b = (t.detach().requires_grad_() for t in (x, w, b))
        y = F.layer_norm(x, (40,), w, b)
        y.backward(sample(x.numel(), x.dtype, -1, 1).reshape(x.shape))
        return x.grad, w.grad, b.grad

    as_good(slopes, on_numpy, sample(2005 * 40).reshape(2005, 40), sample(40), sample(40))


@pytest.mark.parametrize("rows", [0, 1, 31, 33])
def test_weights_of_few_rows_that_need_no_gradient_themselves(rows):
    w = torch.ones(4, requires_grad=True)
    x = sample(rows * 4).reshape(rows, 4)
    F.layer_norm(x, (4,), w).sum().backward()
    np.testing.assert_allclose(w.grad, F.layer_norm(x, (4,)).sum(0), atol=1e-4)


def _conv(x, w, b):
    return F.conv2d(x, w, b, padding=1)


def _depthwise(x, w, b):
    return F.conv2d(x, w, padding=1, groups=len(w), stride=2)


def _loss(x, w, b):
    return F.cross_entropy(x.flatten(1), torch.arange(len(x)) % 9, reduction="mean")


NETWORKS = {
    "conv2d": (_conv, 2),
    "depthwise": (_depthwise, 2),
    "max_pool2d": (lambda x, w, b: F.max_pool2d(x, 3, 2, 1), 2),
    "avg_pool2d": (lambda x, w, b: F.avg_pool2d(x, 2, 1), 2),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, b, b, True), 4),
    "group_norm": (lambda x, w, b: F.group_norm(x, 3, b, b), 2),
    "cross_entropy": (_loss, 2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_and_all_their_slopes_are_those_of_numpy(name, on_numpy):
    function, least = NETWORKS[name]

    def run(x, w, b):
        given = [t.detach().requires_grad_() for t in (x, w, b)]
        y = function(*given)
        g = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
        slopes = torch.autograd.grad(y, given, g, allow_unused=True)
        return [y.detach(), *[t for t in slopes if t is not None]]

    x = sample(40 * 24 * 14 * 14).reshape(40, 24, 14, 14)
    before = len(kernels())
    w = sample(24 * 24 * 9).reshape(24, 24, 3, 3)
    w = w[:, :1].contiguous() if name == "depthwise" else w
    # The slopes of a channel's weight and bias are sums of 7,840 products. Kernels add them lane by
    # lane; NumPy adds by halves, and so comes nearer.
    times = 5 if name in ("depthwise", "batch_norm") else 3
    as_good(run, on_numpy, x, w, sample(24, low=0.5), times=times)
    assert len(kernels()) >= before + least


def test_sums_extremes_and_variances(on_numpy):
    def run(x):
        y = x.reshape(-1, 100)
        return [x.sum(), x.mean(), x.var(), y.sum(1), y.amax(1), y.amin(1), y.var(1), y.std(1)]

    before = len(kernels())
    as_good(run, on_numpy, sample(300_100, low=-1.0))
    assert len(kernels()) >= before + 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_threads_share_sums_and_products_of_many_numbers(dtype, monkeypatch):
    made, compute = [], eager_kernels.compute
    monkeypatch.setattr(
        eager_kernels, "compute", lambda *given: made.append(compute(*given)) or made[-1]
    )
    rng = np.random.default_rng(0)
    special = np.array([np.inf, -np.inf, np.nan, -0.0, 1e-40, 3e38])
    x, y = [
        np.where(rng.random((301, 1000)) < 0.1, rng.choice(special, 1000), rng.random((301, 1000)))
        for _ in range(2)
    ]
    if not dtype.is_floating_point:
        x, y = [np.nan_to_num(a * 9).clip(-9, 9) for a in (x, y)]
    with np.errstate(over="ignore"):
        x, y = [torch.from_numpy(a).to(dtype) for a in (x, y)]
    others = [y, y[0], y[:, :1], y.t().contiguous().t(), y[:, ::2].repeat(1, 2), 3, 0.5]
    threads = torch.get_num_threads()
    for other in others if dtype.is_floating_point else others[:-1]:
        for name in ("add", "subtract", "multiply"):
            with np.errstate(all="ignore"):
                array = other.numpy() if isinstance(other, torch.Tensor) else other
                want = getattr(np, name)(x.numpy(), array)
            for n in (2, 1):
                torch.set_num_threads(n)
                try:
                    found = getattr(torch, name)(x, other)
                finally:
                    torch.set_num_threads(threads)
                np.testing.assert_array_equal(found.numpy(), want)
    assert any(out is not None for out in made) == dtype.is_floating_point


@pytest.mark.parametrize(
    "name, options",
    [
        ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("SGD", {"maximize": True}),
        ("Adam", {"amsgrad": True}),
        ("AdamW", {}),
        ("RMSprop", {"centered": True, "momentum": 0.5}),
        ("Adagrad", {}),
    ],
    ids=str,
)
def test_optimizers_take_the_very_steps_of_numpy(name, options, on_numpy):
    def run():
        p = sample(300_001).requires_grad_()
        optimizer = getattr(torch.optim, name)([p], lr=0.1, **options)
        for k in range(3):
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + k)  # no kernel's constant
            p.grad = sample(300_001, low=-1, high=1).mul_(k + 1)
            optimizer.step()
        state = [v for v in optimizer.state[p].values() if isinstance(v, torch.Tensor)]
        return [p.detach(), *state]

    before = len(kernels())
    found = run()
    assert len(kernels()) == before + 1
    assert all(torch.equal(a, b) for a, b in zip(found, on_numpy(run), strict=True))


def test_a_program_for_one_shape_keeps_nothing_of_a_call():
    x = torch.randn(32, 24, 14, 14)
    w = torch.randn(24, 24, 3, 3)
    counts = [sys.getrefcount(t._array) for t in (x, w)]
    first = _conv(x, w, None)
    assert [sys.getrefcount(t._array) for t in (x, w)] == counts
    kept = sys.getrefcount(first._array)
    assert kept == 2
    again = _conv(x + 1, w, None)
    assert not torch.equal(first, again) and torch.equal(first, _conv(x, w, None))


def test_softmax_over_a_dim_in_between(on_numpy):
    x = sample(64 * 30 * 50).reshape(64, 30, 50)
    as_good(with_slope(lambda x: x.softmax(1)), on_numpy, x)


def test_one_kernel_serves_every_length():
    F.mish(sample(1 << 16))
    before = len(eager_kernels._kernels)
    for n in (70_000, 70_001, 131_071):
        x = sample(n)
        np.testing.assert_allclose(F.mish(x).numpy()[-5:], F.mish(x[-5:]).numpy(), rtol=1e-6)
    assert len(eager_kernels._kernels) == before


# name → its other operands, for which one kernel must serve all numbers.
OPERANDS = {
    "sin": (), "sign": (), "sqrt": (), "angle": (), "hypot": (0.5, -3.0), "logaddexp": (1.5, 2.0),
    "remainder": (3.0, -2.5), "fmod": (3.0, -2.5), "copysign": (-1.0, 2.0), "xlogy": (0.5, 2.0),
    "heaviside": (0.5, 1.0), "atan2": (1.0, -2.0),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERANDS)
def test_most_elementwise_operations_have_kernels(name, on_numpy):
    tensors = name in ("hypot", "logaddexp", "heaviside", "atan2")
    function = getattr(torch, name)
    before = len(kernels())
    for n in (70_000, 71_001):
        for other in OPERANDS[name] or (None,):
            x = sample(n).reshape(-1, 7) if n % 7 == 0 else sample(n)
            given = [] if other is None else [torch.tensor(other) if tensors else other]
            found, near = function(x, *given), on_numpy(function, x, *given)
            assert found.shape == x.shape
            np.testing.assert_allclose(found.numpy(), near.numpy(), rtol=2e-6, atol=1e-6)
            if tensors:
                found, near = function(x, x.flip(0)), on_numpy(function, x, x.flip(0))
                np.testing.assert_allclose(found.numpy(), near.numpy(), rtol=2e-6, atol=1e-6)
    assert len(kernels()) == before + 1 + tensors


def test_a_result_has_all_dims_of_its_operands(on_numpy):
    x = sample(1 << 16)
    for other in (torch.ones(1, 1), torch.ones(1, 1, 1)):
        assert torch.hypot(x, other).shape == (*other.shape[:-1], 1 << 16)
    assert torch.hypot(x[:1], torch.ones(0)).shape == (0,)


def test_each_width_of_narrow_rows_has_a_kernel_and_all_wide_rows_have_one(on_numpy):
    before = len(kernels())
    torch.hypot(sample(3 << 16).reshape(-1, 3), sample(3))
    assert len(kernels()) == before + 1
    x, y = sample(1 << 18), sample(1 << 10)
    column, row = sample(1 << 14).reshape(-1, 1), sample(7)
    for given in [(x.reshape(-1, 1 << 10), y), (y[:512], x.reshape(-1, 512)),
                  (x.reshape(256, -1), y[:256, None]), (column, row)]:  # fmt: skip
        found, near = torch.hypot(*given), on_numpy(torch.hypot, *given)
        assert found.shape == near.shape
        np.testing.assert_allclose(found.numpy(), near.numpy(), rtol=1e-6)
    assert len(kernels()) == before + 2


def test_values_that_change_compile_nothing():
    x, y = sample(1 << 16), sample(1 << 16) + 5
    torch.addcdiv(x, x, y)
    before = len(eager_kernels._kernels)
    for k in range(3):
        torch.addcdiv(x, x, y, value=-0.1 * k)
        torch.lerp(x, y, 0.1 * k)
        torch.where(x > 0, x, 0.1 * k)
    assert len(eager_kernels._kernels) == before + 2


LOSSES = {
    "mse_loss": {}, "smooth_l1_loss": {"beta": 0.3}, "huber_loss": {"delta": 0.4},
    "binary_cross_entropy": {}, "binary_cross_entropy_with_logits": {},
}  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", daily([*LOSSES], 2, "losses"))
def test_losses_of_any_number_of_elements(name, reduction, on_numpy):
    loss = getattr(F, name)

    def run(x, y):
        x = x.detach().requires_grad_()
        found = loss(x, y, reduction=reduction, **LOSSES[name])
        g = torch.linspace(0.5, 1, found.numel()).to(x.dtype).reshape(found.shape)
        return found.detach(), torch.autograd.grad(found, x, g)[0]

    counts = []
    for shape in ((70_001,), (300, 333)):
        n = torch.Size(shape).numel()
        x, y = (sample(n, low=0.01, high=0.99).reshape(shape) for _ in range(2))
        as_good(run, on_numpy, x, y.flip(0))
        counts.append(len(kernels()))
    assert counts[0] == counts[1] >= 1


def test_an_expanded_tensor_is_not_read_beyond_its_memory():
    x = torch.full((), 3.0).expand(256, 1024)
    found = F.cross_entropy(x, torch.zeros(256, dtype=torch.int64))
    assert abs(found.item() - np.log(1024)) < 1e-5
    assert F.mse_loss(x, torch.zeros(256, 1024)).item() == 9
    images = torch.full((), 3.0).expand(64, 32, 28, 28)
    assert not F.batch_norm(images, None, None, training=True).any()


@pytest.mark.parametrize("shape, dim", [((70_000, 3), 1), ((500, 300), 1), ((3, 40_000), 1),
                                        ((300, 500), 0), ((30, 70, 50), 1), ((90_001,), 0)])  # fmt: skip
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
def test_scans_of_large_arrays(name, shape, dim):
    x = sample(int(np.prod(shape)), low=0.9, high=1.1).reshape(shape).numpy()
    x.reshape(-1)[5::1001] = np.nan if name[3:] in ("max", "min") else 0.5
    found = getattr(torch.from_numpy(x), name)(dim)
    ufunc = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[name[3:]]
    wide = ufunc.accumulate(x, dim, dtype=np.float64).astype(np.float32)
    if isinstance(found, torch.Tensor):
        np.testing.assert_array_equal(found.numpy(), wide)
        return
    np.testing.assert_array_equal(found.values.numpy(), wide)
    places = np.arange(shape[dim]).reshape([-1 if i == dim else 1 for i in range(len(shape))])
    last = np.maximum.accumulate(np.where((x == wide) | (x != x), places, 0), dim)
    np.testing.assert_array_equal(found.indices.numpy(), last)


def test_no_large_arrays_are_made_to_find_the_shape_of_a_kernels_results():
    x = sample(3 * 20_011).reshape(3, 20_011)
    x[:, 1:].clone().cumsum(1)  # a kernel is compiled
    tracemalloc.start()
    x.cumsum(1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2e7


@pytest.mark.parametrize("lay_out", [lambda x: x.t(), lambda x: x[:, ::2], lambda x: x[1:, 1:]])
def test_what_is_not_contiguous_stays_with_numpy(lay_out, on_numpy):
    x = lay_out(sample(700 * 400).reshape(700, 400))
    found, wanted = F.gelu(x), on_numpy(F.gelu, x)
    assert found.stride() == wanted.stride() and torch.equal(found, wanted)


def test_a_broadcast_gradient_is_one_number(on_numpy):
    x = sample(1 << 17)

    def slope(x):
        x = x.detach().requires_grad_()
        F.silu(x).sum().backward()
        return [x.grad]

    as_good(slope, on_numpy, x)


def test_second_gradients():
    x = sample(1 << 16, torch.float64).requires_grad_()
    (first,) = torch.autograd.grad(F.gelu(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    d = x.detach()
    exact = (2 - d * d) * torch.exp(-d * d / 2) / (2 * torch.pi) ** 0.5
    assert torch.allclose(second, exact, atol=1e-12)


def test_in_place_and_out():
    x = sample(1 << 18)
    wanted = torch.sigmoid(x)
    out = torch.empty_like(x)
    assert torch.sigmoid(x, out=out) is out and torch.equal(out, wanted)
    assert torch.equal(x.sigmoid_(), wanted) and x.data_ptr() != out.data_ptr()


def test_any_number_of_threads_gives_the_same_bits():
    x = sample(1 << 18).reshape(-1, 64)
    found = []
    count = torch.get_num_threads()
    try:
        for n in (1, 2, 4):
            torch.set_num_threads(n)
            found.append([F.gelu(x), *with_slope(ROWS["layer_norm"])(x)])
    finally:
        torch.set_num_threads(count)
        threads.stop()
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_the_environment_forbids_kernels():
    script = "import rushlight; from rushlight.backend import native; print(native.compiles())"
    for way, expected in (("numpy", "False"), ("native", "True")):
        env = {**os.environ, "RUSHLIGHT_COMPILER": way}
        found = processes.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True
        )
        assert found.stdout.strip() == expected, found.stderr


@pytest.mark.parametrize("off", ["setting", "no llvmlite"])
def test_without_kernels_numpy_computes(off, monkeypatch):
    if off == "setting":
        monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    else:
        monkeypatch.setattr(native, "_eager", None)
        monkeypatch.setattr(native, "llvm_works", lambda: False)
    monkeypatch.setattr(eager_kernels, "compute", None)  # who calls it fails
    assert not program.native() or off != "environment"
    x = sample(1 << 17)
    assert torch.equal(F.gelu(x)[:9], F.gelu(x[:9]))


_SMALL = """
import sys, rushlight as torch
x = torch.randn(50, 50, requires_grad=True)
torch.nn.functional.gelu(x).softmax(1).sum().backward()
assert not [m for m in sys.modules if m.startswith(("llvmlite", "rushlight.compiler.run.eager_kernels"))]
torch.nn.functional.gelu(torch.randn(1 << 16))
assert "rushlight.compiler.run.eager_kernels" in sys.modules
"""


def test_small_arrays_load_nothing():
    done = processes.run([sys.executable, "-W", "error", "-c", _SMALL], capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()


@pytest.mark.parametrize("call", [
    torch.xlogy, torch.hypot, torch.maximum, torch.nn.functional.mse_loss,
    lambda x, y: torch.where(x > 0.5, y, 2.0), lambda x, y: torch.lerp(x, y, 0.5),
])  # fmt: skip
def test_a_long_column_beside_an_expanded_number(call):
    """The number lies in memory as one element, but the result has its columns."""
    x, y = torch.rand(70_000, 1, requires_grad=True), torch.ones(1).expand(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mse_loss tells of different sizes
        found, want = call(x, y), call(x[:5], y)
    if found.ndim:
        assert found.shape == (70_000, 4) and torch.equal(found[:5], want)
    else:
        assert abs(found.item() - ((x - 1) ** 2).mean().item()) < 1e-6
    if found.requires_grad:
        found.sum().backward()
        assert x.grad.shape == x.shape


def all_halves(dtype):
    """A matrix with all finite numbers of the half ``dtype``."""
    values = np.arange(1 << 16, dtype=np.uint16).view(dtype.numpy)
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(values)
    return from_array(values[finite][:62976].reshape(123, 512))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_casts_of_halves_are_kernels(dtype, turned, on_numpy):
    halves = all_halves(dtype)
    singles = on_numpy(halves.float)
    ties = torch.nextafter(singles * (1 + 2**-11), 2 * singles)
    halves, ties = (x.t() if turned else x for x in (halves, ties))
    before = len(kernels())
    for x, to in ((halves, torch.float32), (ties, dtype)):
        with np.errstate(over="ignore"):
            found, wanted = x.to(to), on_numpy(x.to, to)
        assert found.stride() == wanted.stride()
        assert found.contiguous().view(torch.uint8).equal(wanted.contiguous().view(torch.uint8))
    assert len(kernels()) == before + 2


#: Operations that NumPy computes with operands of any bits.
ON_HALVES = sorted(
    n
    for n, o in OPS.items()
    if o.halves and not o.params and n not in ("bitwise_not", "gcd", "lcm")
)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ON_HALVES)
def test_exact_operations_on_halves_are_kernels(name, dtype, on_numpy):
    x = all_halves(dtype)
    given = [x, x.flip(0, 1), x.flip(0)][: len(OPS[name].inputs)]
    before = len(kernels())
    with np.errstate(all="ignore"):
        found, wanted = OPS[name].call(*given), on_numpy(OPS[name].call, *given)
    assert len(kernels()) == before + 1
    assert found.dtype is wanted.dtype
    np.testing.assert_array_equal(*[t.float().numpy() for t in (found, wanted)])
    signs = [t.signbit()[wanted == wanted].numpy() for t in (found, wanted)]
    np.testing.assert_array_equal(*signs)
