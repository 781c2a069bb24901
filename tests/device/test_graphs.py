"""Graphs: work that is recorded once and replayed on the same memory, on each type of device."""

import gc
import warnings

import pytest

import rushlight as T
from rushlight import nn

functional = nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")


def _module(device):
    return getattr(T, device.type)


def _graph(device):
    return T.cuda.CUDAGraph() if device.type == "cuda" else T.opencl.Graph()


def captured(device, work, **options):
    """A graph of ``work()``, and its result."""
    g = _graph(device)
    with _module(device).graph(g, **options):
        found = work()
    return g, found


def test_replays_read_and_write_the_same_memory(device):
    x, total = T.ones(3, device=device), T.zeros(3, device=device)

    def work():
        assert _module(device).is_current_stream_capturing()
        total.add_(x)
        made = T.zeros(2, device=device)  # filled anew in each replay
        made.add_(x[0] * 0.377)
        return (x * 2.123).sin() / 0.777, made, T.arange(3, device=device) + 1

    g, found = captured(device, work)
    assert not _module(device).is_current_stream_capturing()
    assert total.tolist() == [0.0] * 3  # nothing has run
    for value in (1.0, 5.0):
        x.fill_(value)
        g.replay()
        wave, made, counted = [t.cpu() for t in found]
        assert T.allclose(wave, T.full((3,), value * 2.123).sin() / 0.777, atol=1e-6)
        assert T.allclose(made, T.full((2,), value * 0.377))
        assert counted.tolist() == [1, 2, 3]
    assert total.tolist() == [6.0] * 3


def test_numbers_are_written_in_each_replay(device):
    x, y = T.ones(2, 3, device=device), T.ones(2, 3, device=device)

    def work():
        x[0], y[1, 1:] = 0.25, 5
        y[y == 1] = -2.5

    g, _ = captured(device, work)
    for _ in range(2):
        x.fill_(3)
        y.fill_(1)
        g.replay()
        assert x.tolist() == [[0.25] * 3, [3] * 3]
        assert y.tolist() == [[-2.5] * 3, [-2.5, 5, 5]]


def test_constants_do_not_lie_where_recorded_kernels_write(device):
    """Memory of a temporary that died is not used for a number that comes later."""
    x = T.ones(1, device=device)

    def work():
        found = x
        for k in range(12):
            found = (found * (1.1 + 0.013 * k)).sqrt() + 0.017 * k
        return found

    g, found = captured(device, work)
    for _ in range(2):
        g.replay()
        assert T.allclose(found, work())


def test_random_numbers_go_on_with_each_replay(device):
    x = T.ones(40, device=device)
    work = lambda: (T.rand(5, device=device), T.dropout(x, 0.5, True), T.randn(3, device=device))
    T.manual_seed(3)
    before = _module(device).get_rng_state()
    g, found = captured(device, work)
    assert T.equal(before, _module(device).get_rng_state())
    replayed = []
    for _ in range(2):
        g.replay()
        replayed.append([t.clone() for t in found])
    T.manual_seed(3)
    for one in replayed:
        assert all(map(T.equal, one, work()))
    after = T.rand(2, device=device)
    T.manual_seed(3)
    g.replay(), g.replay()
    assert T.equal(after, T.rand(2, device=device))


def test_generators_must_be_registered(device):
    mine = T.Generator(device).manual_seed(5)
    draw = lambda: T.rand(4, device=device, generator=mine)
    if device.type == "cuda":
        with pytest.raises(RuntimeError, match="not in capture mode"):
            captured(device, draw)
    g = _graph(device)
    g.register_generator_state(mine)
    with _module(device).graph(g):
        found = draw()
    g.replay()
    mine.manual_seed(5)
    assert T.equal(found, draw())


@pytest.mark.filterwarnings("ignore:.*has no kernel")
def test_operations_of_the_host_are_steps_of_a_graph(device):
    x = T.eye(2, device=device)
    g, (found, up) = captured(device, lambda: (T.linalg.ldl_factor_ex(x)[0], T.linalg.inv(x) + 1))
    for k in (1.0, 9.0):
        x.copy_(T.eye(2) * k)
        g.replay()
        assert T.allclose(found.cpu(), T.eye(2) * k)
        assert T.allclose(up.cpu(), T.eye(2) / k + 1)


def test_what_waits_for_the_device_is_refused(device):
    x = T.arange(4.0, device=device)
    module = _module(device)
    waiting = (
        lambda: x.sum().item(), lambda: bool(x[0]), x.nonzero, module.synchronize,
        lambda: module.current_stream().synchronize(),
    )  # fmt: skip
    for work in waiting:
        with pytest.raises(T.AcceleratorError, match="previous error during capture") as raised:
            captured(device, work)
        assert "operation not permitted when stream is capturing" in str(raised.value.__context__)
    pinned = "Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU"
    for work in (
        x.cpu,
        x.tolist,
        lambda: x.copy_(T.ones(4)),
        lambda: T.tensor([1.0], device=device),
    ):
        with pytest.raises(RuntimeError, match=pinned):
            captured(device, work)
    assert (x + 1).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_misuse(device):
    module, x = _module(device), T.ones(2, device=device)
    g = _graph(device)
    for name in ("replay", "pool", "instantiate"):
        with pytest.raises(RuntimeError, match="without a preceding successful capture"):
            getattr(g, name)()
    with pytest.raises(RuntimeError, match="must be captured on a non-default stream"):
        g.capture_begin()
    with pytest.raises(RuntimeError, match="Unknown capture error mode"):
        g.capture_begin(capture_error_mode="never")
    with pytest.raises(RuntimeError, match="Capture must end on the same stream"):
        g.capture_end()
    with pytest.warns(UserWarning, match="The CUDA Graph is empty"):
        captured(device, lambda: None)
    with pytest.raises(ZeroDivisionError):
        captured(device, lambda: 1 / 0)
    with module.stream(module.Stream()):
        g.capture_begin()
        y = x + 1
        with pytest.raises(T.AcceleratorError, match="another graph"):
            _graph(device).capture_begin()
        g.capture_end()
    with pytest.raises(RuntimeError, match="already owns a captured graph"):
        g.capture_begin()
    g.replay()
    assert y.tolist() == [2.0, 2.0]
    g.reset()
    with pytest.raises(RuntimeError, match="without a preceding"):
        g.replay()


def test_memory_stays_the_graphs(device):
    module = _module(device)
    x = T.ones(5000, device=device)
    gc.collect()  # else the garbage of other tests may be freed meanwhile
    module.empty_cache()
    reserved = module.memory_reserved()
    g, y = captured(device, lambda: (x * 2).exp() + 1)
    kept = module.memory_reserved()
    assert kept > reserved
    del y
    module.empty_cache()
    assert module.memory_reserved() == kept  # the replays need it
    others = [T.full((5000,), 7.0, device=device) for _ in range(3)]
    g.replay()
    assert all(t.eq(7).all() for t in others)
    shared = _graph(device)
    before = module.memory_reserved()
    with module.graph(shared, pool=g.pool()):
        z = (x * 2).exp() + 1
    assert shared.pool() == g.pool()
    assert module.memory_reserved() - before < 5000 * 4  # only the numbers are new
    shared.replay()
    assert T.allclose(z, (x * 2).exp() + 1)
    del others, z
    g.reset()
    shared.reset()
    module.empty_cache()
    assert module.memory_reserved() <= reserved + 8192


def test_graphs_in_graphs(device):
    x = T.zeros(1, device=device)
    g, _ = captured(device, lambda: x.add_(1))
    both, _ = captured(device, lambda: (g.replay(), x.mul_(3), g.replay()))
    both.replay()
    assert x.item() == 4.0


def test_indices_are_checked_in_replays(device):
    table, ids = T.arange(6.0, device=device).reshape(3, 2), T.tensor([0, 2], device=device)
    g, found = captured(device, lambda: functional.embedding(ids, table))
    g.replay()
    assert found.tolist() == [[0.0, 1.0], [4.0, 5.0]]
    ids.fill_(7)
    with pytest.raises(T.AcceleratorError, match="device-side assert triggered"):
        g.replay()


def _steps(device, name, options, replayed):
    T.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to(device)
    optimizer = getattr(T.optim, name)(model.parameters(), lr=0.05, **options)
    x = T.empty(6, 3, device=device)
    batches = T.randn(6, 6, 3, generator=T.Generator().manual_seed(1)).to(device)

    def step():
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for batch in batches[:2]:
        x.copy_(batch)
        losses.append(step().item())
    g, loss = captured(device, step) if replayed else (None, None)
    for batch in batches[2:]:
        x.copy_(batch)
        if replayed:
            g.replay()
        losses.append((loss if replayed else step()).item())
    return losses


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9}), ("AdamW", {"capturable": True}), ("NAdam", {"capturable": True}),
        ("Adadelta", {"capturable": True}),
    ],
)  # fmt: skip
def test_whole_steps(device, name, options):
    assert _steps(device, name, options, True) == pytest.approx(
        _steps(device, name, options, False)
    )


def test_steps_that_count_must_be_capturable(device):
    with pytest.raises(RuntimeError, match="an instance of Adam but param_groups' capturable is F"):
        _steps(device, "Adam", {}, True)


def test_graphed_callables(device):
    module = _module(device)
    T.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(device)
    x = T.randn(5, 3).to(device).requires_grad_()
    model(x).square().sum().backward()
    want = [x.grad, *[p.grad for p in model.parameters()]]
    x.grad = None
    model.zero_grad()
    sample = T.randn(5, 3, device=device, requires_grad=True)
    graphed = module.make_graphed_callables(model, (sample,))
    assert graphed is model
    for _ in range(2):
        x.grad = None
        model.zero_grad()
        graphed(x).square().sum().backward()
        found = [x.grad, *[p.grad for p in model.parameters()]]
        assert all(T.allclose(a, b, atol=1e-6) for a, b in zip(found, want, strict=True))
    model.eval()
    assert graphed(x[:2]).shape == (2, 2)  # not the graph
    double, triple = module.make_graphed_callables(
        (lambda t: {"y": t * 2}, lambda t: t * 3), ((sample,), (sample,))
    )
    assert T.equal(double(x)["y"], x * 2)
    assert T.equal(triple(x), x * 3)
    for broken in ((model, (1,)), (lambda t: t, ("a",))):
        with pytest.raises(AssertionError, match="must contain only Tensors"):
            module.make_graphed_callables(*broken)


def test_compiled_functions_in_graphs(device):
    x = T.ones(3, device=device)
    compiled = T.compile(lambda t: (t * 2.5).exp().sum() + t.mean())
    compiled(x)
    g, found = captured(device, lambda: compiled(x))
    x.fill_(0.25)
    g.replay()
    assert T.allclose(found, compiled(x))
    noisy = T.compile(lambda t: T.dropout(t, 0.5, True))
    noisy(x)
    with pytest.raises(RuntimeError, match="compiled call that draws random numbers"):
        captured(device, lambda: noisy(x))


def test_dumps(device, tmp_path):
    x = T.ones(3, device=device)
    g, _ = captured(device, lambda: x.add_(1))
    g.enable_debug_mode()
    g.debug_dump(tmp_path / "graph.dot")
    assert "kernel" in (tmp_path / "graph.dot").read_text()


def test_without_a_device():
    if T.xpu.is_available():
        pytest.skip("there is one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="dummy base class XPUGraph"):
            T.xpu.XPUGraph()
    with pytest.raises(RuntimeError, match="requires XPU support"):
        T.xpu.graph(None)


def test_numbers_of_the_host_are_constants_of_a_capture(device):
    x, number = T.zeros(2, 3, device=device), T.tensor(2.5)

    def work():
        x[0] = number
        x[:, 2] = T.tensor(4)
        with pytest.raises(RuntimeError, match="unless the CPU tensor is pinned"):
            x[1, 1] = number  # as in PyTorch, one element is copied

    g, _ = captured(device, work)
    number.fill_(9.0)
    g.replay()
    assert x.tolist() == [[2.5, 2.5, 4.0], [0.0, 0.0, 4.0]]


def test_copies_to_pinned_memory(device):
    x = T.arange(3.0, device=device)
    if device.type != "cuda":
        pytest.skip("memory is pinned for CUDA")
    near, doubled = [T.zeros(3, dtype=d).pin_memory() for d in (T.float32, T.float64)]

    def work():
        near.copy_(x * 2, non_blocking=True)
        doubled.copy_(x)

    g, _ = captured(device, work)
    assert near.tolist() == [0.0] * 3
    for value in (1.0, 5.0):
        x.fill_(value)
        g.replay()
        T.cuda.synchronize()
        assert near.tolist() == [2 * value] * 3
        assert doubled.tolist() == [value] * 3


def test_graphs_of_accelerators(fresh):
    fresh()
    x = T.zeros(2, device="cuda")
    g = T.accelerator.Graph()
    with T.cuda.Stream(), g:
        x.add_(1)
    other = T.accelerator.Graph(keep_graph=True, pool=g.pool(), capture_error_mode="relaxed")
    with T.cuda.Stream(), other:
        x.mul_(3)
    for graph in (g, g, other):
        graph.replay()
    assert x.tolist() == [6.0, 6.0]
    g.reset()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        g.replay()


def test_no_graph_without_an_accelerator():
    if not T.accelerator.is_available():
        with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is"):
            T.accelerator.Graph()
