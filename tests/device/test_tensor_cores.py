"""Products by tensor cores, on the interpreter of PTX: numbers, switches, code, faults."""

import random
import warnings
from itertools import product

import numpy as np
import pytest

import rushlight as T
from rushlight import nn, precision
from rushlight.backend.native import llvm_works
from tests.daily import daily
from tests.device.conftest import ASSEMBLER

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")

if llvm_works():
    from tests.device.ptx.interpreter import Launch
    from tests.device.ptx.memory import Arena, Fault
    from tests.device.ptx.parsing import kernels_of

F = nn.functional
#: What one rounding of the result, and of TF32's factors, may change.
NEAR = {T.float16: 1e-3, T.bfloat16: 8e-3, T.float32: 1e-3}
INSTRUCTIONS = {
    T.float16: "m16n8k16.row.col.f32.f16",
    T.bfloat16: "m16n8k16.row.col.f32.bf16",
    T.float32: "m16n8k8.row.col.f32.tf32",
}


@pytest.fixture
def cores(fresh):
    """A stand-in of compute capability 8.0 that may compute float32 as TF32."""
    T.set_float32_matmul_precision("high")
    precision.allow("convolution", True)
    yield fresh()
    T.set_float32_matmul_precision("highest")


def factor(draw, dtype, *shape, moved):
    """A matrix or several on the CPU and on the device, lying there in some way."""
    x = T.randn(*shape).to(dtype)
    lies = draw.choice(["as it is", "turned", "apart", "behind"])
    y = x.cuda()
    if lies == "turned":
        y = y.mT.contiguous().mT
    elif lies == "apart":
        y = T.stack([y, y], -1)[..., 0]
    elif lies == "behind" and moved:
        room = T.zeros(x.numel() + moved, dtype=dtype, device="cuda")
        room[moved:] = y.reshape(-1)
        y = room[moved:].view(x.shape)
    return x, y


def check(found, want, dtype):
    error = (found.cpu().double() - want).abs().max()
    assert error <= NEAR[dtype] * want.abs().max(), error


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
def test_products_of_any_look(dtype, seed, cores):
    draw = random.Random(f"{seed} {dtype}")
    T.manual_seed(seed)
    for _ in range(6):
        m, n, k = [draw.choice([8, 9, 32, 33, 40, 64, 100, 130]) for _ in range(3)]
        batch = draw.choice([(), (), (3,), (2, 1)])
        moved = draw.choice([0, 1, 2, 8])
        x, far_x = factor(draw, dtype, *batch, m, k, moved=moved)
        y, far_y = factor(draw, dtype, *batch, k, n, moved=moved)
        check(far_x @ far_y, x.double() @ y.double(), dtype)
        assert INSTRUCTIONS[dtype] in cores.texts[-1], (m, n, k)


@pytest.mark.slow
def test_tiles_of_all_sizes(fresh):
    """With one processor no tile is made smaller."""
    driver = fresh()
    driver.attributes[16] = 1
    for m, n in product((20, 40, 80), repeat=2):
        x, y = T.randn(m, 48).half(), T.randn(48, n).half()
        check(x.cuda() @ y.cuda(), x.double() @ y.double(), T.float16)
        assert "mma.sync" in driver.texts[-1]


@pytest.mark.slow
def test_older_devices(fresh):
    T.set_float32_matmul_precision("high")
    try:
        driver = fresh(capability=(7, 5))
        x, y = T.randn(40, 72).half(), T.randn(72, 33).half()
        check(x.cuda() @ y.cuda(), x.double() @ y.double(), T.float16)
        assert "m16n8k8.row.col.f32.f16" in driver.texts[-1]
        assert "cp.async" not in driver.texts[-1]
        for dtype in (T.float32, T.bfloat16):
            _ = x.cuda().to(dtype) @ y.cuda().to(dtype)
            assert "mma" not in driver.texts[-1]
        driver = fresh(capability=(7, 0))
        check(x.cuda() @ y.cuda(), x.double() @ y.double(), T.float16)
        assert "mma" not in driver.texts[-1]
    finally:
        T.set_float32_matmul_precision("highest")


def trained(d, dtype, change):
    """A layer's result and gradients, with operations that are fused to its product."""
    T.manual_seed(0)
    layer = nn.Linear(24, 40).to(d, dtype)
    x = T.randn(3, 20, 24).to(d, dtype).requires_grad_()

    def step(x):
        y = F.gelu(layer(x)) + 1
        return y, *T.autograd.grad(y.square().mean(), [x, *layer.parameters()])

    return [t.detach().cpu().double() for t in change(step)(x)]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("change", [T.compile, lambda f: f], ids=["compiled", "eager"])
def test_layers_and_their_gradients(dtype, change, cores):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = trained("cuda", dtype, change)
    assert sum(INSTRUCTIONS[dtype] in text for text in cores.texts) == 3
    for far, near in zip(found, trained("cpu", dtype, lambda f: f), strict=True):
        T.testing.assert_close(far, near, rtol=0, atol=4 * NEAR[dtype] * near.abs().max().item())


def convolved(d, dtype, groups, sizes, **window):
    T.manual_seed(0)
    x, w = T.randn(2, 16, 9, 8), T.randn(24, 16 // groups, *sizes) / 8
    x, w = [t.to(d, dtype).requires_grad_() for t in (x, w)]
    y = F.conv2d(x, w, groups=groups, **window)
    y.backward(T.randn(y.shape).to(d, dtype))
    return [t.detach().cpu().double() for t in (y, x.grad, w.grad)]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize(
    ("groups", "sizes", "window"),
    [
        (1, (3, 3), {"padding": 1}),
        (1, (1, 1), {}),  # its factors are read in pieces
        (2, (3, 2), {"stride": 2, "padding": (1, 0)}),
        (1, (2, 2), {"dilation": 2, "stride": (2, 1)}),
    ],
)
def test_convolutions(dtype, groups, sizes, window, cores):
    found = convolved("cuda", dtype, groups, sizes, **window)
    assert sum(INSTRUCTIONS[dtype] in text for text in cores.texts) == 3
    for far, near in zip(found, convolved("cpu", dtype, groups, sizes, **window), strict=True):
        T.testing.assert_close(far, near, rtol=0, atol=2 * NEAR[dtype] * near.abs().max().item())


def test_small_sums_need_no_cores(cores):
    x = T.ones(4, 64, dtype=T.float16, device="cuda")
    assert (x @ x.mT).eq(64).all()
    assert "mma" not in "".join(cores.texts)


# Switches -----------------------------------------------------------------------------------


def test_tf32_is_off_until_it_is_allowed(fresh):
    driver = fresh()
    x = T.full((16, 16), 1 + 2.0**-12)
    far = x.cuda()
    exact = (x @ x)[0, 0].item()
    step = T.compile(lambda x: x @ x)
    for run in (lambda x: x @ x, step):
        for level, want in (("highest", exact), ("high", 16.0), ("highest", exact)):
            T.set_float32_matmul_precision(level)
            assert run(far)[0, 0].item() == want
    T.backends.cuda.matmul.allow_tf32 = True
    assert (T.get_float32_matmul_precision(), (far @ far)[0, 0].item()) == ("high", 16.0)
    T.backends.cuda.matmul.fp32_precision = "ieee"
    assert (T.get_float32_matmul_precision(), (far @ far)[0, 0].item()) == ("highest", exact)
    assert any("tf32" in text for text in driver.texts)


def test_convolutions_have_a_switch_of_their_own(fresh):
    fresh()
    precision.allow("convolution", True)  # as at first
    x, w = T.full((1, 8, 3, 4), 1 + 2.0**-12), T.ones(8, 8, 1, 1)
    run = lambda: F.conv2d(x.cuda(), w.cuda())[0, 0, 0, 0].item()
    exact = 8 + 2.0**-9
    assert run() == 8
    with T.backends.cudnn.flags(allow_tf32=False):
        assert run() == exact
    T.backends.cudnn.allow_tf32 = False
    assert run() == exact
    assert not T.backends.cudnn.allow_tf32


@pytest.mark.parity
def test_switches_are_those_of_pytorch():
    import torch

    def told(t):
        found = [t.get_float32_matmul_precision(), t.backends.cuda.matmul.allow_tf32]
        for level in ("high", "medium", "highest"):
            t.set_float32_matmul_precision(level)
            found += [t.backends.cuda.matmul.allow_tf32, t.backends.cuda.matmul.fp32_precision]
        for on in (True, False):
            t.backends.cuda.matmul.allow_tf32 = on
            found.append(t.get_float32_matmul_precision())
        with pytest.raises(AttributeError, match="Unknown attribute"):
            t.backends.cuda.matmul.speed = 1
        with pytest.raises(RuntimeError, match="Unknown precision"):
            t.backends.cuda.matmul.fp32_precision = "x"
        return found

    precision.allow("convolution", True)
    assert T.backends.cudnn.allow_tf32 is torch.backends.cudnn.allow_tf32
    assert told(T) == told(torch)


# Code and faults ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not ASSEMBLER, reason="no ptxas")
@pytest.mark.parametrize("capability", daily([((7, 5),), ((8, 0),), ((9, 0),)], 1, "tensor cores"))
def test_code_assembles_without_spills(capability, fresh, assembled, monkeypatch):
    T.set_float32_matmul_precision("high")
    precision.allow("convolution", True)
    driver = fresh(races=False, capability=capability, memory=1 << 26)
    monkeypatch.setattr(type(driver), "_run", lambda *_: None)
    for dtype in NEAR if capability >= (8, 0) else [T.float16]:
        for n in (300, 512):
            x = T.empty(n, n, dtype=dtype, device="cuda")
            _ = x @ x, x @ x.mT, x.mT @ x
        for size, stride in ((3, 1), (1, 1), (3, 2)):
            x = T.empty(8, 64, 33, 32, dtype=dtype, device="cuda", requires_grad=True)
            w = T.empty(128, 64, size, size, dtype=dtype, device="cuda", requires_grad=True)
            y = F.conv2d(x, w, stride=stride, padding=size // 2)
            y.backward(T.empty_like(y))
        x = T.empty(512, 512, dtype=dtype, device="cuda")
        T.compile(lambda x: F.gelu(x @ x.mT + x[0]) + x)(x)
    T.set_float32_matmul_precision("highest")
    texts = {text for text in driver.texts if "mma.sync" in text}
    assert len(texts) > 10
    for text in texts:
        assembled(text)


def launched(driver, change):
    """Run the product of the driver's last text, changed; 40 x 40 elements of float16."""
    kernel = kernels_of(change(driver.texts[-1]))["kernel"]
    arena = Arena(1 << 16)
    places = [arena.allocate(40 * 104 * 2) for _ in range(3)]
    params = [n for place in places for n in (place, 0)]
    Launch(kernel, 4, 128, [*params, 0], arena).run()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("cp.async.wait_group \t1", "cp.async.wait_group \t2", "asynchronous copy"),
        ("bar.sync \t0;", "", "race"),
        ("", "", None),
    ],
)
def test_planted_faults_are_found(before, after, message, fresh):
    driver = fresh()
    x = T.zeros(40, 104, dtype=T.float16, device="cuda")
    _ = x @ x.mT
    text = driver.texts[-1]
    before = before if before in text else before.replace("bar.sync", "barrier.sync")
    assert before in text
    change = lambda text: text.replace(before, after, 1)
    if message is None:
        launched(driver, change)
        return
    with pytest.raises(Fault, match=message):
        launched(driver, change)


def test_warps_come_by_together():
    code = """.entry kernel(.param .u64 p)
{
.shared .align 16 .b8 shared[512];
.reg .b32 %r<9>;
.reg .b64 %rd<9>;
.reg .pred %p<3>;
mov.u32 %r1, %tid.x;
mov.b64 %rd3, shared;
setp.lt.u32 %p1, %r1, 5;
@%p1 ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r2, %r3, %r4, %r5}, [%rd3];
ret;
}
"""
    with pytest.raises(Fault, match="whole warp"):
        Launch(kernels_of(code)["kernel"], 1, 32, [0], Arena(1 << 12)).run()


def test_rounding_to_tf32():
    from tests.device.ptx.instructions import to_tf32

    x = np.float32([1 + 2**-12, 1 + 2**-11, -1 - 2**-11, np.inf])
    assert to_tf32(x).view(np.float32).tolist() == [1, 1 + 2**-10, -1 - 2**-10, np.inf]
