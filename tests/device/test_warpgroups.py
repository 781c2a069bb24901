"""Large products by ``wgmma`` and tensor maps, on the interpreter of PTX: numbers, choice, faults."""

import numpy as np
import pytest

from rushlight.backend.native import llvm_works

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")

if llvm_works():
    from tests.device.ptx.interpreter import Launch
    from tests.device.ptx.memory import Arena
    from tests.device.ptx.parsing import kernels_of
    from tests.device.ptx.warpgroups import encoded


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
