"""NVIDIA's GPUs without one: what their assembler takes, what the driver's errors become, races."""

import gc
import os
import sys

import numpy as np
import pytest

import rushlight as T
from rushlight import nn
from rushlight.backend import cuda
from rushlight.backend.native import llvm_works
from rushlight.compiler.device.bundles import Bundle
from rushlight.device_array import driver_of
from rushlight.draw import philox
from rushlight.ops.core import remote_calls
from tests import processes
from tests.daily import daily
from tests.device.conftest import ASSEMBLER

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")

if llvm_works():
    from tests.device.ptx.interpreter import Launch
    from tests.device.ptx.memory import Arena, Fault
    from tests.device.ptx.parsing import kernels_of


# The assembler ------------------------------------------------------------------------------


def used(device):
    """Calls whose kernels are of every form."""
    x = T.randn(3, 40, 50, device=device, requires_grad=True)
    conv, norm = nn.Conv2d(3, 4, 3, padding=1).to(device), nn.LayerNorm(50).to(device)
    y = nn.functional.max_pool2d(nn.functional.gelu(norm(conv(x))), 2).softmax(-1)
    (y @ y.mT).sin().cumsum(0).logsumexp(-1).sum().backward()
    T.optim.AdamW([x], lr=0.1).step()
    ids = T.tensor([1, 0, 1], device=device)
    _ = T.randn(300, 20, device=device) @ T.randn(20, 300, device=device)  # 64 results an item
    _ = nn.functional.embedding(ids, x.detach()[0]), x.argmax(-1), x.half() * 2, x.double().std(1)
    _ = x.bfloat16() @ x.bfloat16().mT, x.round().int() // 3, x.erf(), x.pow(1.7)
    model = nn.Sequential(nn.Linear(50, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(),
                          nn.Linear(16, 4))  # fmt: skip
    model.to(device)
    optimizer = T.optim.AdamW(model.parameters(), fused=False)

    @T.compile
    def step(x, target):  # its kernels are joined
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), target).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    step(x.detach()[0, :3], ids)


@pytest.mark.skipif(not ASSEMBLER, reason="no ptxas")
@pytest.mark.parametrize("capability", daily([((7, 5),), ((8, 0),), ((9, 0),)], 0, "architectures"))
def test_kernels_assemble_without_spills(capability, fresh, assembled, monkeypatch):
    joined: list = []
    emit = Bundle.emit
    monkeypatch.setattr(Bundle, "emit", lambda self, *a: (joined.append(self), emit(self, *a)))
    driver = fresh(races=False, capability=capability)
    used("cuda")
    assert len(driver.texts) > 50
    assert any(len(bundle.parts) > 1 for bundle in joined)
    for text in set(driver.texts):
        assembled(text)


# The driver ---------------------------------------------------------------------------------


def test_out_of_memory_leaves_all_as_it_was(fresh):
    driver = fresh(memory=1 << 20)
    x = T.arange(10, device="cuda")
    kept = T.empty(500_000, dtype=T.uint8, device="cuda")
    del kept  # the pool gives it back when memory is short
    y = T.empty(900_000, dtype=T.uint8, device="cuda")
    with pytest.raises(T.cuda.OutOfMemoryError, match=r"CUDA out of memory. Tried to allocate 878"):
        T.empty(900_000, dtype=T.uint8, device="cuda")
    assert x.sum().item() == 45
    assert T.cuda.memory_allocated() == driver.arenas[0].used - (
        T.cuda.memory_reserved() - T.cuda.memory_allocated()
    )
    del y


def test_a_lost_device_raises_and_the_process_goes_on(fresh):
    driver = fresh()
    x = T.ones(4, device="cuda")
    driver.said = "the device fell off the bus"
    for call in (lambda: x + 1, x.cpu, T.cuda.synchronize):
        with pytest.raises(RuntimeError, match="CUDA error: an illegal memory access"):
            call()
    assert (T.ones(2) + 1).tolist() == [2.0, 2.0]
    driver.said = ""
    assert (x + 1).tolist() == [2.0] * 4


def test_two_devices(fresh):
    fresh(count=2)
    assert T.cuda.device_count() == 2
    x = T.arange(6.0, device="cuda:1")
    assert x.get_device() == 1
    assert x.to("cuda:0").device == T.device("cuda", 0)
    with T.cuda.device(1):
        assert T.cuda.current_device() == 1
        assert T.ones(2, device="cuda").device.index == 1
    assert T.ones(2).cuda().device.index == 0
    with pytest.raises(RuntimeError, match="all tensors to be on the same device"):
        x + T.ones(6, device="cuda:0")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        T.ones(2, device="cuda:2")


def test_names_memory_and_moments(fresh):
    fresh()
    assert T.cuda.is_available()
    assert T.cuda.get_device_name() == "Stand-in GPU"
    assert T.cuda.get_device_capability() == (8, 0)
    assert T.cuda.get_device_properties(0).total_memory == 1 << 25
    assert T.cuda.get_arch_list() == ["sm_80"]
    assert T.accelerator.current_accelerator() == T.device("cuda")
    gc.collect()  # else the garbage of other tests may be freed meanwhile
    before = T.cuda.memory_allocated()
    start, end = [T.cuda.Event(enable_timing=True) for _ in range(2)]
    start.record()
    x = T.zeros(1000, device="cuda")
    end.record()
    assert start.elapsed_time(end) >= 0
    assert T.cuda.memory_allocated() == before + 4096 == T.cuda.max_memory_allocated()
    del x
    assert T.cuda.memory_allocated() == before
    T.cuda.empty_cache()
    assert T.cuda.memory_reserved() == before
    with T.cuda.stream(T.cuda.Stream()):
        T.cuda.current_stream().synchronize()


def test_many_launches_as_one(fresh):
    driver = fresh()
    x = T.arange(4.0, device="cuda")
    y = x * x
    z = T.empty(4, device="cuda")
    (program,) = [p for p in remote_calls._programs.values() if p and p.inputs]
    (step,) = program.steps
    places = [(t._array.memory.buffer, 0) for t in (x, y, z)]
    launches = [
        (step.kernel, [places[0], places[0], places[1]]),
        (step.kernel, [places[1], places[1], places[2]]),
    ]
    sequence = cuda.devices()[0].sequence(launches)
    x.copy_(T.tensor([1.0, 2.0, 3.0, 4.0]))
    driver.calls.clear()
    sequence.launch()
    assert driver.calls == ["cuGraphLaunch"]
    assert z.tolist() == [1.0, 16.0, 81.0, 256.0]
    del sequence
    assert "cuGraphExecDestroy" in driver.calls


@pytest.mark.slow
def test_steps_become_one_submission(fresh):
    driver = fresh()
    losses = []
    for d in ("cpu", "cuda"):
        T.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).to(d)
        optimizer = T.optim.AdamW(model.parameters(), lr=0.05)
        x = T.randn(6, 4, generator=T.Generator().manual_seed(1)).to(d)

        @T.compile
        def step(x, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        found = []
        for _ in range(8):
            found.append(step(x).item())
            calls, driver.calls = driver.calls, []
        losses.append(found)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert (calls.count("cuGraphLaunch"), calls.count("cuLaunchKernel")) == (1, 0)


def test_pinned_memory(fresh):
    driver = fresh()
    x = T.arange(6.0).reshape(2, 3)
    pinned = x.pin_memory()
    assert pinned.is_pinned()
    assert pinned[1].is_pinned()
    assert not x.is_pinned()
    assert T.equal(pinned.to("cuda").cpu(), x)
    batches = T.utils.data.DataLoader(T.utils.data.TensorDataset(x), 1, pin_memory=True)
    assert [b[0].is_pinned() for b in batches] == [True, True]
    del pinned, batches
    assert not driver.pinned


def test_autocast_and_scaler(fresh):
    fresh()
    m, x = nn.Linear(3, 2).cuda(), T.ones(4, 3, device="cuda")
    with T.autocast("cuda"):
        y = m(x)
        near = nn.Linear(3, 2)(T.ones(4, 3))
    assert y.dtype is T.float16
    assert near.dtype is T.float32  # a tensor of another type of device
    optimizer, scaler = T.optim.SGD(m.parameters(), 0.1), T.amp.GradScaler(init_scale=8.0)
    before = m.weight.detach().clone()
    scaler.scale(y.float().sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.is_enabled()
    assert T.allclose(m.weight.detach(), before - 0.4)


def test_numbers_are_those_of_pytorch(fresh):
    """The constants are what PyTorch prints on GPUs."""
    fresh()
    draws = [
        (0, T.rand, [0.3990, 0.5167, 0.0249, 0.9401, 0.9459]),
        (42, T.rand, [0.6130, 0.0101, 0.3984, 0.0403, 0.1563]),
        (0, T.randn, [-0.9247, -0.4253, -2.6438, 0.1452, -0.1209]),
        (42, T.randn, [0.1940, 2.1614, -0.1721, 0.8491, -1.9244]),
    ]
    for seed, draw, want in draws:
        near = T.manual_seed(seed).get_state()
        assert draw(5, device="cuda").tolist() == pytest.approx(want, abs=6e-5)
        assert T.equal(T.get_rng_state(), near)  # the CPU's stream goes on where it was
        T.cuda.manual_seed_all(seed)
        assert draw(5, device="cuda").tolist() == pytest.approx(want, abs=6e-5)


@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")
def test_compiled_calls_draw_in_their_kernels(fresh):
    """The constants are PyTorch's for ``rand(5)`` and the seed 0; only a position is copied."""
    fresh()
    x, mine = T.ones(64, device="cuda"), T.Generator("cuda").manual_seed(0)

    @T.compile(fullgraph=True)
    def draws(x):
        return T.rand(5, device="cuda"), nn.functional.dropout(x.exp(), 0.5)

    draws(x)
    T.manual_seed(0)
    driver = driver_of(T.device("cuda", 0))
    before = driver.launches, driver.moved
    first, kept = draws(x)
    assert (driver.launches - before[0], driver.moved - before[1]) == (1, 64)
    assert first.tolist() == pytest.approx([0.3990, 0.5167, 0.0249, 0.9401, 0.9459], abs=6e-5)
    T.manual_seed(0)
    T.rand(5, device="cuda")
    T.testing.assert_close(kept, nn.functional.dropout(x.exp(), 0.5))
    own = T.compile(lambda: T.rand(5, device="cuda", generator=mine), fullgraph=True)
    own()
    g = T.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="not in capture mode"), T.cuda.graph(g):
        own()
    g = T.cuda.CUDAGraph()
    g.register_generator_state(mine)
    mine.manual_seed(0)
    with T.cuda.graph(g):
        found = own()
    g.replay()
    assert T.equal(found, first)


@pytest.mark.slow
def test_a_call_that_is_tried_for_replays_draws_once():
    name = f"{__file__}::test_numbers_are_those_of_pytorch"
    done = processes.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", name],
        capture_output=True, text=True, env={**os.environ, "RUSHLIGHT_REPLAY": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.filterwarnings("ignore:.*has no kernel")
def test_streams_of_numbers(fresh):
    fresh()
    g = T.Generator("cuda").manual_seed(3)
    state = g.get_state()
    assert state.shape == (16,)
    first = [T.rand(1000, generator=g, device="cuda"), T.randn(5, generator=g, device="cuda")]
    assert g.get_offset() == 8
    g.set_state(state)
    again = [T.rand(1000, generator=g, device="cuda"), T.randn(5, generator=g, device="cuda")]
    assert all(map(T.equal, first, again))
    x = T.ones(4096, device="cuda")
    noise = [
        nn.functional.dropout(x, 0.25),
        T.empty_like(x).bernoulli_(0.75),
        T.empty_like(x).exponential_(),
    ]
    means = [n.mean().item() for n in noise]
    assert means == pytest.approx([1.0, 0.75, 1.0], abs=0.1)
    with T.random.fork_rng():
        kept = T.rand(3, device="cuda")
    assert T.equal(T.rand(3, device="cuda"), kept)
    for call in (lambda: T.randperm(9, device="cuda"), lambda: T.multinomial(x[:9], 9)):
        assert sorted(call().tolist()) == [*range(9)]
    g.blocks = 1  # so that a few elements take several steps of all threads
    deep = T.rand(2500, generator=g, device="cuda").cpu()
    assert 0.47 < deep.mean().item() < 0.53
    assert deep.unique().numel() == 2500


@pytest.mark.filterwarnings("error:.*has no kernel")
def test_samples_by_probabilities_in_tensors(fresh):
    """Which thread's word decides: as in PyTorch's kernels for bernoulli and multinomial."""
    fresh()
    g = T.Generator("cuda").manual_seed(5)
    word = lambda step, thread, k: philox.words(5, step, thread + 1)[k, thread]
    unit = lambda w: np.float32(w) * np.float32(2**-32) + np.float32(2**-33)
    p = T.rand(11)
    got = T.bernoulli(p.cuda(), generator=g).tolist()
    assert got == [float(unit(word(0, i // 4, i % 4)) <= p[i].item()) for i in range(11)]
    assert g.get_offset() == 12
    w = T.tensor([[1.0, 0, 3, 4], [5, 5, 0, 0]])
    got = T.multinomial(w.cuda(), 130, True, generator=g).tolist()
    edges = (w / w.sum(-1, keepdim=True)).cumsum(-1).numpy()
    us = [[unit(word(3, 256 * r + k, 0)) for k in range(130)] for r in range(2)]
    assert got == [[int((edges[r] < u).sum()) for u in us[r]] for r in range(2)]
    assert g.get_offset() == 16
    got = T.multinomial(w.cuda(), 2, generator=g)
    race = -np.log(unit(philox.words(5, 4, 256)[0, :8])).reshape(2, 4)
    assert got.tolist() == np.argsort(-w.numpy() / race)[:, :2].tolist()
    assert g.get_offset() == 20


def test_generators_draw_for_their_own_devices(fresh):
    fresh()
    near, far = T.Generator(), T.Generator("cuda")
    x, y = T.ones(3), T.ones(3, device="cuda")
    for g, d, t in ((near, "cuda", y), (far, "cpu", x)):
        for call in (
            lambda g, d, t: T.rand(3, generator=g, device=d), lambda g, d, t: t.normal_(generator=g),
            lambda g, d, t: T.bernoulli(t, generator=g), lambda g, d, t: T.randperm(3, generator=g, device=d),
            lambda g, d, t: T.multinomial(t, 2, generator=g),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match=f"Expected a '{d}' device type for generator"):
                call(g, d, t)
    assert T.rand(3, generator=far, device="cuda").device.type == "cuda"
    assert y.normal_(generator=far).device.type == "cuda"


def test_dropout_that_keeps_next_to_nothing(fresh):
    fresh()
    x = T.ones(1000, dtype=T.float16, device="cuda")
    assert T.dropout(x, 1 - 1e-9, True).eq(0).all()
    with pytest.raises(RuntimeError, match="floating point"):
        T.dropout(T.ones(3, dtype=T.int64, device="cuda"), 0.5, True)


def test_conversions_of_half_precision(fresh):
    driver = fresh()
    x = T.arange(1 << 16).to(T.uint16).view(T.float16)
    y = T.cat([x.float(), x.float() * (1 + 2**-11), T.tensor([65519.0, 65520.0, 2.0**-25])])
    for far, near in ((x.cuda().float(), x.float()), (y.cuda().half(), y.half())):
        assert T.equal(far.cpu().nan_to_num(3), near.nan_to_num(3))
        assert T.equal(far.cpu().isnan(), near.isnan())
    assert any("cvt.rn.f16.f32" in text for text in driver.texts)


def test_files(fresh, tmp_path):
    fresh()
    T.save({"w": T.ones(3, device="cuda:1")}, tmp_path / "w.pt")
    assert T.load(tmp_path / "w.pt")["w"].device == T.device("cuda:1")
    assert T.load(tmp_path / "w.pt", map_location="cpu")["w"].device.type == "cpu"
    assert repr(T.ones(1).cuda()) == "tensor([1.], device='cuda:0')"


# The interpreter: what it must find ---------------------------------------------------------

KERNEL = """.entry kernel(.param .u64 data)
{
.shared .align 4 .b8 shared[512];
.reg .b32 %r<9>;
.reg .b64 %rd<9>;
.reg .pred %p<3>;
ld.param.b64 %rd1, [data];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd2, %r1, 4;
mov.b64 %rd3, shared;
add.s64 %rd4, %rd3, %rd2;
add.s64 %rd5, %rd1, %rd2;
@@
ret;
}
"""


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("st.shared.b32 [%rd4], %r1; ld.shared.b32 %r2, [shared+4];", "race"),
        ("st.shared.b32 [shared], %r1;", "one place at once"),
        ("ld.global.b32 %r2, [%rd5+256];", "out of bounds"),
        ("ld.shared.b32 %r2, [%rd4+400];", "out of bounds"),
        ("ld.global.b32 %r2, [%rd5+2];", "misaligned"),
        ("ld.global.b32 %r2, [%rd1]; bar.sync 0; st.global.b32 [%rd5], %r1;", "race"),
        ("setp.lt.u32 %p1, %r1, 5; @%p1 bra $L; bar.sync 0; $L: bar.sync 0;", "barrier"),
    ],
)
def test_faults_are_found(lines, message):
    code = lines.replace(";", ";\n").replace("$L:", "\n$L:\n").replace("\n ", "\n")
    arena = Arena(1 << 12)
    start = arena.allocate(256)
    launch = Launch(kernels_of(KERNEL.replace("@@", code))["kernel"], 2, 64, [start], arena)
    with pytest.raises(Fault, match=message):
        launch.run()


def test_barriers_order_accesses():
    lines = "st.shared.b32 [%rd4], %r1;\nbar.sync 0;\nld.shared.b32 %r2, [shared+8];\n"
    lines += "mov.u32 %r3, %ctaid.x;\nmul.wide.u32 %rd6, %r3, 256;\nadd.s64 %rd7, %rd5, %rd6;\n"
    lines += "st.global.b32 [%rd7], %r2;"
    arena = Arena(1 << 12)
    start = arena.allocate(512)
    Launch(kernels_of(KERNEL.replace("@@", lines))["kernel"], 2, 64, [start], arena).run()
    assert np.unique(arena.view(start, 512).view(np.int32)).tolist() == [2]
