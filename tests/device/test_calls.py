"""Eager calls that repeat: what they start, where their results go, and what is counted."""

import threading

import pytest

import rushlight as T
from rushlight import late
from rushlight.autograd import mode
from rushlight.backend import cuda
from rushlight.backend.device import DeviceError
from rushlight.backend.native import llvm_works
from rushlight.backend.tallies import Tallies
from rushlight.device_array import DeviceMemory, driver_of
from rushlight.ops.core import remote_calls

pytestmark = [
    pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite"),
    pytest.mark.usefixtures("nobody_overrides"),
]


def _launches(x, call):
    """(the result, the number of kernels that the call starts) of a call that came before."""
    call()
    driver = driver_of(x.device)
    before = driver.launches
    return call(), driver.launches - before


def test_in_place_calls_start_one_kernel(device):
    x, y = [T.arange(6.0).reshape(2, 3).to(device) for _ in range(2)]
    for call in (lambda: x.add_(y), lambda: x.mul_(y), lambda: x[:, 1:].sub_(y[:, :2])):
        version = x._version
        found, launches = _launches(x, call)
        assert launches == 1
        assert x._version == version + 2
        assert found._array.memory is x._array.memory
    want = T.arange(6.0).reshape(2, 3)
    for _ in range(2):
        want.add_(T.arange(6.0).reshape(2, 3))
    for _ in range(2):
        want.mul_(T.arange(6.0).reshape(2, 3))
    for _ in range(2):
        want[:, 1:].sub_(T.arange(6.0).reshape(2, 3)[:, :2])
    assert T.equal(x.cpu(), want)


def test_in_place_calls_whose_operands_share_the_memory(device):
    """PyTorch refuses partial overlaps; others read all elements before they write."""
    for _ in range(3):
        x = T.arange(5.0, device=device)
        assert x.add_(x).tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
        assert x.sub_(x.flip(0)).tolist() == [-8.0, -4.0, 0.0, 4.0, 8.0]
        with pytest.raises(RuntimeError, match="single memory location"):
            x[1:].add_(x[:-1])
        with pytest.raises(RuntimeError, match="single memory location"):
            T.ones(1, device=device).expand(3).add_(T.ones(3, device=device))


def test_in_place_calls_that_do_not_fit(device):
    x = T.ones(2, 3, device=device)
    n = T.ones(3, dtype=T.int64, device=device)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
            n.add_(x)
        with pytest.raises(RuntimeError, match="can't be cast"):
            n.add_(x[0])
        with pytest.raises(RuntimeError, match="same device"):
            x.add_(T.ones(3))
        assert n.tolist() == [1, 1, 1]
    assert x.add_(n).add_(T.tensor(2.0)).tolist() == [[4.0] * 3] * 2
    assert T.add(x, n, out=T.empty(2, 3, device=device)).tolist() == [[5.0] * 3] * 2


def test_in_place_calls_are_checked_in_backward(device):
    x = T.ones(3, device=device, requires_grad=True)
    y = x * 2
    z = y * y
    with T.no_grad():
        for _ in range(3):
            y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    p = T.nn.Parameter(T.ones(3, device=device))
    with T.no_grad():
        _, launches = _launches(p, lambda: p.add_(T.ones(3, device=device)))
    assert launches <= 2  # one of them fills the ones
    assert p.tolist() == [3.0, 3.0, 3.0]
    assert p.is_leaf
    assert p.requires_grad


def test_values_of_several_types_are_several_calls(device):
    """Numbers that are equal, but of other types or signs, need other code."""
    for _ in range(3):
        b = T.tensor([True, False], device=device)
        assert (b + True).dtype == T.bool
        assert (b + 1).dtype == T.int64
        assert (b + 1.0).dtype == T.float32
        x = T.ones(2, device=device)
        assert (x / (x * -0.0)).tolist() == [-T.inf] * 2
        assert (x / (x * 0.0)).tolist() == [T.inf] * 2
        assert x.sum(0, keepdim=True).shape == (1,)
        assert x.sum(0, keepdim=False).shape == ()


def test_operands_of_two_devices(fresh):
    """A call that repeats looks at the devices of all operands."""
    fresh()
    x, y = T.ones(3, device="cuda:0"), T.ones(3, device="cuda:1")
    for _ in range(3):
        assert (x * x).device.index == 0
        assert (y * y).device.index == 1
        with pytest.raises(RuntimeError, match="same device"):
            x * y
        with pytest.raises(RuntimeError, match="same device"):
            x.mul_(y)


def test_a_start_that_fails(fresh, monkeypatch):
    """The driver's error is raised, also for a call that repeats; the counts stay right."""
    stand_in = fresh()
    x = T.ones(3, device="cuda")
    for _ in range(2):
        y = x * x
    driver = cuda.devices()[0]
    launches, allocated, reasons = driver.launches, driver.allocated, mode.intercept
    stand_in.said = "a lost device"
    for _ in range(2):
        with pytest.raises(DeviceError, match="illegal memory access"):
            x * x
    stand_in.said = ""
    assert (driver.launches, driver.allocated, mode.intercept) == (launches, allocated, reasons)
    assert (x * x).tolist() == y.tolist() == [1.0] * 3


def test_calls_in_a_stream(fresh):
    """A call that repeats goes to the current stream, and takes memory of that stream."""
    fresh()
    x = T.ones(3, device="cuda")
    for _ in range(2):
        x * x
    s = T.cuda.Stream()
    s.wait_stream(T.cuda.current_stream())
    with T.cuda.stream(s):
        y = x * x
        y.mul_(y).mul_(x)
    pool = y._array.memory._pool
    assert pool is not (x * x)._array.memory._pool
    s.synchronize()
    assert y.tolist() == [1.0] * 3


def test_peaks_are_those_of_each_moment():
    t = Tallies()
    t.take(100)
    t.take(1 << 21)
    t.give(100)
    t.take(600)
    t.give(600)
    find = lambda name, metric, pool="all": t.count(name, metric, pool)
    assert find("allocated_bytes", "peak") == (1 << 21) + 1024
    assert find("allocated_bytes", "peak", "small_pool") == 1024
    assert find("requested_bytes", "peak", "small_pool") == 600
    assert find("active", "peak") == 2
    assert find("allocated", "allocated") == 3
    assert find("allocated", "freed") == 2
    t.reset_peaks()
    assert find("allocated_bytes", "peak") == 1 << 21
    t.take(1)
    t.reset_accumulated()
    assert find("allocated_bytes", "peak") == (1 << 21) + 512
    assert find("allocated", "freed") == 0


def test_a_place_is_no_reason_to_ask_classes():
    """``metas`` counts it, and what an operation leaves is taken back."""
    counts = lambda: (mode.intercept - mode.metas, mode.state.reasons, mode.state.places)
    first = counts()
    with T.device("meta"):
        assert counts() == (first[0], first[1] + 1, first[2] + 1)
        before = mode.snapshot()
        mode.exchange("place", None)
        assert counts() == first
        mode.give_back(before)
        assert counts() == (first[0], first[1] + 1, first[2] + 1)
        assert T.ones(2).device.type == "meta"
        with T.autocast("cpu"):
            assert mode.intercept > mode.metas
    assert counts() == first


def test_numbers_are_arguments_of_kernels(device):
    """A learning rate that changes needs no other kernel, no memory, and no copy."""
    driver = driver_of(T.ones(1, device=device).device)
    x = T.tensor([1.0, -2.0, 3.0], device=device)
    for dtype in (T.float32, T.float64):
        y = x.to(dtype)
        y * 0.3
        built, moved = driver.built, driver.moved
        found = [y * n for n in (0.7, 1e-3, -123.456, 100)]
        assert (driver.built, driver.moved) == (built, moved)
        for r, n in zip(found, (0.7, 1e-3, -123.456, 100), strict=True):
            assert T.equal(r.cpu(), y.cpu() * n)
    assert (x * 1e300).tolist() == [T.inf, -T.inf, T.inf]
    assert (x * 1e-300).tolist() == [0.0, -0.0, 0.0]
    p, lr = T.ones(3, device=device), 0.25
    for step in range(4):
        lr = lr / 3
        version = p._version
        p.sub_(x, alpha=lr)
        assert p._version == version + 1
        if not step:
            built, moved = driver.built, driver.moved
    assert (driver.built, driver.moved) == (built, moved)
    want = T.ones(3)
    for k in range(4):
        want.sub_(x.cpu(), alpha=0.25 / 3 ** (k + 1))
    T.testing.assert_close(p.cpu(), want)
    assert T.where(x > 0, x, 0.17).tolist() == pytest.approx([1.0, 0.17, 3.0])
    assert x.clamp(min=0.3).add(0.33).tolist() == pytest.approx([1.33, 0.63, 3.33])


def test_a_gradient_rule_is_one_program(device):
    """Numbers are no parts of such programs: each one would need a program of its own."""
    x, g = T.randn(4, 8, device=device).requires_grad_(), T.randn(4, 8, device=device)
    driver, F = driver_of(x.device), T.nn.functional
    for f in (F.gelu, F.silu, lambda x: x.softmax(-1), lambda x: T.where(x > 0, x * x, x.sin())):
        for _ in range(2):
            y, x.grad = f(x), None
            before = driver.launches
            y.backward(g)
        near = x.detach().cpu().requires_grad_()
        f(near).backward(g.cpu())
        T.testing.assert_close(x.grad.cpu(), near.grad)
        assert driver.launches - before <= 8  # some 20 by single operations
    (x * 0.37).backward(g)
    before = len(remote_calls._gradients.values())
    for k in range(5):
        (x * (k + 0.37)).backward(g)
    assert len(remote_calls._gradients.values()) == before


class _Keeping(T.autograd.Function):
    kept: list  # by its test

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        _Keeping.kept.append(g * 2)
        return _Keeping.kept[-1]


def _hooked(x, seen):
    y = x * 2
    y.register_hook(lambda g: seen.append(g))
    y.grad_fn.register_hook(lambda given, got: seen.extend([*given, *got]))
    x.register_hook(lambda g: seen.append(g))
    return y


def _retained(x, seen):
    y = x * 2
    y.retain_grad()
    seen.append(y)
    return y.view(4, 3)


@pytest.mark.parametrize(
    "f",
    [lambda x, seen: _Keeping.apply(x), _hooked, _retained, lambda x, seen: x + seen[0],
     lambda x, seen: (x * 3).view(-1), lambda x, seen: x.exp(), lambda x, seen: x * seen[0],
     lambda x, seen: T.where(x > 0, x, seen[1]), lambda x, seen: x],
)  # fmt: skip
def test_a_gradient_shares_no_memory(f, device):
    """A leaf takes the memory of a gradient that nobody else holds."""
    tensor = lambda *shape: T.randn(shape, device=device)
    _Keeping.kept = kept = []
    x, seen = tensor(3, 4).requires_grad_(), [tensor(3, 4), tensor(3, 4).requires_grad_()]
    y = f(x, seen)
    g = tensor(*y.shape)
    y.backward(g)
    held = [x, y, g, *seen, *kept, *[t.grad for t in seen if t is not None]]
    pointer = x.grad.data_ptr()
    assert pointer not in [t.data_ptr() for t in held if t is not None]
    x.grad.fill_(7.0)
    assert not any((t == 7).any() for t in held if t is not None)
    kept.clear()


def test_a_trace_of_rules_leaves_nothing_for_the_next_backward(device):
    """Rules leave values for each other in a list of their node."""
    x, memo = T.ones(3, device=device)._array, []
    rules = lambda given: [given[1].append(given[0] * 2) or given[1][0].exp(), given[1][0].sin()]
    found = late.device_programs().of_gradients(
        rules, [x, memo], driver_of(x.device), x.device, True
    )
    assert found is not None and found.results == [("made", 0), ("made", 1)] and not memo


def test_gradients_with_a_history_are_made_by_operations(device):
    x = T.tensor([1.0, 2.0], device=device, requires_grad=True)
    (first,) = T.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = T.autograd.grad(first.sum(), x)
    assert first.tolist() == [3.0, 12.0] and second.tolist() == [6.0, 12.0]


def test_numbers_in_a_recorded_graph(fresh):
    """A replay has the number of the recorded call."""
    fresh()
    x = T.ones(3, device="cuda")
    y = x * 0.3
    graph = T.cuda.CUDAGraph()
    with T.cuda.graph(graph):
        y = x * 0.7
        y.add_(x, alpha=0.11)
    x * 0.9
    for n in (1.0, 2.0):
        x.fill_(n)
        graph.replay()
        assert y.tolist() == pytest.approx([0.81 * n] * 3)


def test_the_default_dtype_is_a_part_of_a_call(device):
    """Also where no elements are computed: a result of another dtype was given in silence."""
    i, m = T.arange(1, 4, device=device), T.arange(3, device="meta")
    try:
        for d in (T.float32, T.float64, T.float32):
            T.set_default_dtype(d)
            for _ in range(2):
                assert (i / i).dtype == i.sqrt().dtype == (i * 0.123).dtype == d
                assert (m / m).dtype == m.sqrt().dtype == (m * 0.123).dtype == d
    finally:
        T.set_default_dtype(T.float32)


def test_calls_in_many_threads(device):
    """The arguments of a start are those of its own thread."""
    x = T.arange(64.0, device=device)
    found: dict = {}

    def work(n):
        y = x + 0.3 * n
        for _ in range(10):
            y = (y * 2 - y).add_(1.0 / n)
        found[n] = y

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for n, y in found.items():
        T.testing.assert_close(y.cpu(), T.arange(64.0) + 0.3 * n + 10.0 / n)


def test_memory_that_is_never_made_is_not_counted(device):
    before = mode.intercept, mode.metas
    with pytest.raises(AttributeError):
        DeviceMemory("no device", 8)
    assert (mode.intercept, mode.metas) == before
