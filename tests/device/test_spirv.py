"""The code of OpenCL devices."""

import struct

import pytest

pytest.importorskip("llvmlite")


from rushlight.compiler.codegen.scope import I64, i64
from rushlight.compiler.device import spirv
from rushlight.compiler.device.language import NoCode
from rushlight.compiler.device.spirv import Spirv, defined


def module():
    """A kernel with branches, a loop and a switch."""
    found = Spirv()
    b, (x,), limit = found.kernel("kernel", 1)
    item = found.work_item(b)
    with b.if_then(b.icmp_signed("<", item, limit)):
        start, loop, after = b.block, b.append_basic_block("loop"), b.append_basic_block("after")
        b.branch(loop)
        b.position_at_end(loop)
        i = b.phi(I64)
        i.add_incoming(i64(0), start)
        b.store(i, b.gep(x, [i], source_etype=I64))
        more = b.add(i, i64(1))
        i.add_incoming(more, loop)
        b.cbranch(b.icmp_signed("<", more, item), loop, after)
        b.position_at_end(after)
        cases = [b.append_basic_block(f"case{k}") for k in range(3)]
        end = b.append_basic_block("end")
        switch = b.switch(item, end)
        for k, block in enumerate(cases):
            switch.add_case(k, block)
            b.position_at_end(block)
            b.store(i64(7 * k * k), b.gep(x, [i64(9 * k + 1)], source_etype=I64))
            b.branch(end)
        b.position_at_end(end)
    b.ret_void()
    return str(found)


def test_every_number_is_defined_once():
    text = module()
    for _ in range(20):  # LLVM's code differs from run to run
        code = Spirv.code(text, "")
        found = defined(code)
        assert len(found) == len(set(found))
        bound = struct.unpack_from("<I", code, 12)[0]
        assert 30 < max(found) < bound


def test_code_with_a_number_for_two_things_is_made_again(monkeypatch):
    text, count = module(), 0
    good = Spirv.code(text, "")
    words = [*struct.unpack(f"<{len(good) // 4}I", good)]
    label = words.index(2 << 16 | 248)
    words[label + 1] = defined(good)[3]
    bad = struct.pack(f"<{len(words)}I", *words)

    def emitted(text):
        nonlocal count
        count += 1
        return good if count == 3 else bad

    monkeypatch.setattr(spirv, "_emitted", emitted)
    assert Spirv.code(text, "") == good
    assert count == 3
    with pytest.raises(NoCode, match="one number"):
        Spirv.code(text, "")
