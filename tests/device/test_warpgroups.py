"""Large products by ``wgmma`` and tensor maps, on the interpreter of PTX: numbers, choice, faults."""

import random
import re
from itertools import product

import numpy as np
import pytest

import rushlight as T
from rushlight import nn
from rushlight.backend.native import llvm_works
from tests import processes
from tests.daily import daily
from tests.device.conftest import ASSEMBLER

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")

if llvm_works():
    from rushlight.backend import cuda
    from rushlight.ops.core import remote_calls
    from tests.device.ptx.interpreter import Launch
    from tests.device.ptx.memory import Arena, Fault
    from tests.device.ptx.parsing import kernels_of
    from tests.device.ptx.warpgroups import encoded

F = nn.functional
#: What one rounding of the result, and of TF32's factors, may change.
NEAR = {T.float16: 1e-3, T.bfloat16: 8e-3, T.float32: 1e-3}


@pytest.fixture(autouse=True)
def wanted(monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_WGMMA", "1")


@pytest.fixture
def hopper(fresh):
    """A stand-in of compute capability 9.0 that may compute float32 as TF32."""
    T.set_float32_matmul_precision("high")
    yield fresh(capability=(9, 0))
    T.set_float32_matmul_precision("highest")


def laid(draw, x, rooms):
    """``x`` on the device, lying there in a way that tensor maps can describe."""
    size = x.element_size()
    more = 16 // size
    lies = draw.choice(["as it is", "in a larger one", "behind", "turned"][:rooms])
    y = x.cuda()
    if lies == "turned":
        y = y.mT.contiguous().mT
    elif lies == "in a larger one":
        y = T.cat([y, y[..., : 2 * more]], -1)[..., : x.shape[-1]]
    elif lies == "behind":  # at no multiple of 16 bytes
        moved = draw.randrange(1, more)
        room = T.full((x.numel() + moved,), float("nan"), dtype=x.dtype, device="cuda")
        room[moved:] = y.reshape(-1)
        y = room[moved:].view(x.shape)
    return y


def check(found, want, dtype):
    error = (found.cpu().double() - want).abs().max()
    assert error <= NEAR[dtype] * want.abs().max(), error


@pytest.mark.parametrize("dtype", [T.float16, *[pytest.param(d, marks=pytest.mark.slow)
                                               for d in (T.bfloat16, T.float32)]])  # fmt: skip
@pytest.mark.parametrize("seed", [0, *[pytest.param(k, marks=pytest.mark.slow) for k in (1, 2, 3)]])
def test_products_of_any_look(dtype, seed, hopper):
    """float32 is read along the depth only, since ``wgmma`` turns elements of 16 bits."""
    draw = random.Random(f"{seed} {dtype}")
    T.manual_seed(seed)
    halves = dtype is not T.float32
    for _ in range(2):
        m, n = [draw.choice([128, 136, 152, 264]) for _ in range(2)]
        k = draw.choice([64, 72, 160, 328])
        batch, other = draw.choice(
            [((), ()), ((), ()), ((2,), (2,)), ((2,), (1,)), ((2, 1), (1, 2))]
        )
        x, y = T.randn(*batch, m, k).to(dtype), T.randn(*other, k, n).to(dtype)
        far_x = laid(draw, x, 4 if halves else 3)
        far_y = laid(draw, y, 4) if halves else laid(draw, y.mT.contiguous(), 3).mT
        check(far_x @ far_y, x.double() @ y.double(), dtype)
        assert any("wgmma" in text for text in hopper.texts), (m, n, k)
        assert not any("mma.sync" in text for text in hopper.texts), (m, n, k)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [T.bfloat16, T.float16])
def test_layers_and_their_gradients_are_those_of_the_other_kernel(dtype, fresh, monkeypatch):
    """Bias, activation, scale and sum are fused, as in the kernel for ``mma.sync``."""
    found = []
    for setting in ("1", "0"):
        monkeypatch.setenv("RUSHLIGHT_WGMMA", setting)
        driver = fresh(capability=(9, 0), memory=1 << 26)
        T.manual_seed(0)
        layer, x = nn.Linear(136, 128).to("cuda", dtype), T.randn(160, 136).to("cuda", dtype)

        @T.compile
        def step(x, layer=layer):
            y = F.gelu(layer(x)) * 0.5 + x[:, :128]
            return y, *T.autograd.grad(y.square().mean(), [x, *layer.parameters()])

        found.append([t.detach().cpu().double() for t in step(x.requires_grad_())])
        kinds = ["wgmma.mma" in text for text in driver.texts]
        assert sum(kinds) == (3 if setting == "1" else 0)
        assert any("mma.sync" in text for text in driver.texts) == (setting == "0")
    for ours, other in zip(*found, strict=True):
        T.testing.assert_close(ours, other, rtol=0, atol=NEAR[dtype] * other.abs().max().item())


# Which kernel ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_explain_names_the_kernel_which_a_setting_turns_on(fresh, monkeypatch):
    for setting, want in (("1", "of wgmma"), ("", "of mma.sync")):
        monkeypatch.setenv("RUSHLIGHT_WGMMA", setting)
        fresh(capability=(9, 0), races=False)
        x = T.ones(128, 128, dtype=T.float16, device="cuda")
        assert want in str(T.compiler.explain(lambda x: x @ x)(x))


def test_other_products_take_the_other_kernel(hopper, monkeypatch):
    monkeypatch.setattr(type(hopper), "_run", lambda *_: None)

    def text(m, k, n, dtype=T.float16, change=lambda x: x):
        x, y = T.zeros(m, k, dtype=dtype, device="cuda"), T.zeros(k, n, dtype=dtype, device="cuda")
        _ = x @ change(y)
        return next(t for t in hopper.texts[::-1] if "mma" in t)

    assert "wgmma" in text(128, 64, 128)
    for case in ((127, 64, 128), (128, 64, 120), (128, 56, 128)):
        assert "wgmma" not in text(*case), case
    assert "wgmma" not in text(129, 65, 128)  # rows that begin at no multiple of 16 bytes
    assert "wgmma" not in text(128, 64, 136, change=lambda y: T.stack([y, y], -1)[..., 0])
    assert "wgmma" not in text(128, 40, 128, T.float32)  # whose right factor must be turned


def test_older_drivers_and_devices_take_the_other_kernel(fresh, monkeypatch):
    for capability, lacks in (((9, 0), True), ((8, 0), False), ((10, 0), False)):
        driver = fresh(capability=capability, races=False)
        if lacks:
            del driver.cuTensorMapEncodeTiled
        monkeypatch.setattr(type(driver), "_run", lambda *_: None)
        x = T.empty(128, 64, dtype=T.float16, device="cuda")
        _ = x @ x.mT
        assert "mma.sync" in "".join(driver.texts)
        assert "wgmma" not in "".join(driver.texts)


def test_kernels_with_tensor_maps_in_sequences(fresh):
    """A sequence describes its own operands; so does a launch whose operands have moved."""
    driver = fresh(capability=(9, 0))
    xs = [T.randn(128, 64, device="cuda").half() for _ in range(2)]
    y = xs[0] @ xs[1].mT
    (program,) = [p for p in remote_calls._programs.values() if p and len(p.inputs) == 2]
    (step,) = program.steps
    place = lambda t: (t._array.memory.buffer, 0)
    targets = [T.zeros_like(y) for _ in range(2)]
    pairs = [(xs[1], xs[0]), (xs[1], xs[1])]
    launches = [
        (step.kernel, [place(x), place(w), place(z)])
        for (x, w), z in zip(pairs, targets, strict=True)
    ]
    sequence = cuda.devices()[0].sequence(launches)
    driver.calls.clear()
    sequence.launch()
    assert driver.calls == ["cuGraphLaunch"]
    for (x, w), z in zip(pairs, targets, strict=True):
        check(z, x.cpu().double() @ w.cpu().double().mT, T.float16)
        check(x @ w.mT, x.cpu().double() @ w.cpu().double().mT, T.float16)


# Code and faults ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not ASSEMBLER, reason="no ptxas")
def test_code_assembles_without_spills_and_waits(hopper, tmp_path, monkeypatch):
    """The assembler warns of products that it makes wait for each other."""
    monkeypatch.setattr(type(hopper), "_run", lambda *_: None)
    for dtype in NEAR:
        x = T.empty(256, 256, dtype=dtype, device="cuda")
        cases = [(x, x.mT)] if dtype is T.float32 else product((x, x.mT), repeat=2)
        for left, right in cases:
            _ = left @ right, left[None].expand(3, -1, -1) @ T.stack([right.mT] * 3).mT
        T.compile(lambda x: F.gelu(x @ x.mT + x[0]) * 2 + x)(x)
    texts = {text for text in hopper.texts if "wgmma" in text}
    assert len(texts) > 10
    for k, text in enumerate(texts):
        assert ".target sm_90a" in text
        source = tmp_path / f"{k}.ptx"
        source.write_text(text)
        command = [ASSEMBLER, "-v", "-arch=sm_90a", str(source), "-o", str(tmp_path / "code")]
        done = processes.run(command, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert not done.returncode, said
        assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in said
        assert "warning" not in said.lower() and "serializ" not in said.lower(), said


def planted(before, after, first=""):
    """A change of the first ``before`` that stands behind ``first``."""

    def change(text):
        start = text.index(first)
        found = re.search(before, text[start:])
        assert found, before
        return text[:start] + text[start:].replace(found[0], found.expand(after), 1)

    return change


#: What descriptors say besides the address: the swizzle, and the bytes between 8 rows.
DESCRIPTOR = str(1 << 62 | 64 << 32 | 1 << 16)
FAULTS = {
    "nothing": (str, None),
    "no wait": (planted(r"wgmma.wait_group.*", ""), "before its product|in use"),
    "late wait": (planted(r"wgmma.wait_group(.*)0;", r"wgmma.wait_group\g<1>1;"), "before its product|in use"),
    "no group": (planted(r"wgmma.commit_group.*", ""), "in no group"),
    "no fence": (planted(r"wgmma.fence.*", ""), "after the last fence"),
    "fewer bytes": (planted(r"(expect_tx.*)32768", r"\g<1>16384"), "does not end"),
    "more bytes": (planted(r"(expect_tx.*)32768", r"\g<1>65536"), "does not end"),
    "arrivals": (planted(r"(mbarrier.init.*)1;", r"\g<1>2;"), "does not end"),
    "no barrier": (planted(r"mbarrier.init.*", ""), "nobody made"),
    "parity": (
        planted(r"mbarrier.try_wait.*(%r\d+);", r"xor.b32 \1, \1, 1;\n\g<0>"), "nobody waited for",
    ),
    "no wait for others": (planted(r"bar\S*\.sync.*", "", "try_wait"), "race|in use"),
    "swizzle": (planted(DESCRIPTOR, str(2 << 62 | 64 << 32 | 1 << 16)), "swizzle"),
    "stride": (planted(DESCRIPTOR, str(1 << 62 | 8191 << 32 | 1 << 16)), "bounds"),
    "one warp": (planted(r"wgmma.fence", r"setp.lt.u32 p, %tid.x, 32;\n@p wgmma.fence"), "only some"),
}  # fmt: skip


@pytest.mark.parametrize("fault", daily(FAULTS, 4, "faults of wgmma"))
def test_planted_faults_are_found(fault, fresh):
    change, message = FAULTS[fault]
    driver = fresh(capability=(9, 0))
    x = T.zeros(128, 328, dtype=T.float16, device="cuda")
    _ = x @ x.mT
    launch = launched(change(driver.texts[-1]))
    if message is None:
        launch.run()
        return
    with pytest.raises(Fault, match=message):
        launch.run()


def test_totals_are_looked_at_after_their_product(fresh):
    driver = fresh(capability=(9, 0), races=False)
    x = T.zeros(128, 64, dtype=T.float16, device="cuda")
    _ = x @ x.mT
    total = re.search(r"mma_async\S* \{(%\w+)", driver.texts[-1])[1]
    early = planted("wgmma.wait_group", rf"mov.b32 %r1, {total};\n\g<0>")
    with pytest.raises(Fault, match="before its product was waited for"):
        launched(early(driver.texts[-1]), 64).run()


def launched(text, depth=328):
    """A launch of a product of 128 x ``depth`` elements of float16 with its transpose."""
    arena = Arena(1 << 18)
    x, y = [arena.allocate(128 * n * 2) for n in (depth, 128)]
    described = encoded(6, x, [depth, 128], [2 * depth], [64, 128])
    kernel = kernels_of(text)["kernel"]
    params = [x, 0, x, 0, y, 0, 0, described, described]
    assert len(kernel.params) == len(params)
    return Launch(kernel, 1, 256, params, arena, asked=1 << 17)


def test_boxes_beyond_the_edges_are_zeros():
    """A tensor copy reads nothing beyond the sizes of its map."""
    code = """.extern .shared .align 1024 .b8 asked[];
.entry kernel(.param .u64 out, .param .align 128 .b8 map[128])
{
.shared .align 8 .b8 bars[8];
.reg .b32 %r<9>;
.reg .b64 %rd<9>;
.reg .pred %p<3>;
ld.param.b64 %rd1, [out];
mov.u32 %r1, %tid.x;
setp.ne.u32 %p1, %r1, 0;
mov.b64 %rd2, map;
mov.u32 %r2, 62;
mov.u32 %r3, 7;
mov.u32 %r4, asked;
mov.u32 %r5, bars;
@%p1 bra $L;
mbarrier.init.shared.b64 [%r5], 1;
mbarrier.arrive.expect_tx.shared.b64 _, [%r5], 1024;
cp.async.bulk.tensor.2d.x [%r4], [%rd2, {%r2, %r3}], [%r5];
$L:
bar.sync 0;
mbarrier.try_wait.parity.shared.b64 %p2, [%r5], 0;
mul.wide.u32 %rd3, %r1, 4;
mov.b64 %rd4, asked;
add.s64 %rd4, %rd4, %rd3;
add.s64 %rd5, %rd1, %rd3;
ld.shared.b32 %r6, [%rd4];
st.global.b32 [%rd5], %r6;
ret;
}
"""
    arena = Arena(1 << 14)
    x, out = arena.allocate(66 * 10 * 2 + 12), arena.allocate(1024)
    given = np.arange(1, 673, dtype=np.uint16)[: 66 * 10 + 6]
    arena.view(x, 1332)[...] = given.view(np.uint8)
    described = encoded(6, x, [65, 10], [144 - 16], [64, 8])
    Launch(kernels_of(code)["kernel"], 1, 256, [out, described], arena, asked=1024).run()
    got = arena.view(out, 1024).view(np.uint16).reshape(8, 8, 8)
    want = np.zeros((8, 64), np.uint16)
    for row in range(3):
        first = (7 + row) * 64 + 62
        want[row, :3] = given[first : first + 3]
    want = want.reshape(8, 8, 8)
    for row in range(8):  # chunk k of a row lies at k xor row
        for k in range(8):
            assert got[row, k ^ row].tolist() == want[row, k].tolist()
