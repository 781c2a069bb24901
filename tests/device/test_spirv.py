"""The code of OpenCL devices, as LLVM makes it and as we mend it."""

import struct

import pytest

pytest.importorskip("llvmlite")


from rushlight.compiler.codegen.scope import I64, i64
from rushlight.compiler.device.spirv import Spirv, renumbered

_TYPES, _LABEL = range(19, 39), 248
#: Instructions without a result, of those that occur before the functions and in them.
_NONE = {0, 3, 4, 5, 6, 10, 14, 15, 16, 17, 56, 62, 63, 71, 72, 224, 246, 247, *range(249, 258)}


def instructions(code):
    words, at, found = struct.unpack(f"<{len(code) // 4}I", code), 5, []
    while at < len(words):
        size = words[at] >> 16
        found.append((words[at] & 0xFFFF, *words[at + 1 : at + size]))
        at += size
    return words[3], found


def defined(code):
    """(the bound of all numbers, the numbers that the instructions define)."""
    bound, found = instructions(code)
    return bound, [
        i[1] if i[0] in _TYPES or i[0] in (11, _LABEL) else i[2] for i in found if i[0] not in _NONE
    ]


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
        bound, found = defined(Spirv.code(text, ""))
        assert len(found) == len(set(found))
        assert max(found) < bound


def test_other_numbers_for_blocks_are_the_same_code():
    code = renumbered(Spirv.code(module(), ""))
    again = renumbered(code)
    (bound, before), (more, after) = instructions(code), instructions(again)
    count = sum(i[0] == _LABEL for i in before)
    assert more == bound + count
    assert count > 4
    moved = {b[1]: a[1] for b, a in zip(before, after, strict=True) if b[0] == _LABEL}
    for b, a in zip(before, after, strict=True):
        assert len(b) == len(a)
        for x, y in zip(b[1:], a[1:], strict=True):
            assert y in (x, moved.get(x))
    branches = [i for i in after if i[0] in (249, 250, 251)]
    assert {251} <= {i[0] for i in branches}
    for op, *words in branches:
        named = words if op == 249 else words[1:]
        targets = [w for w in named if w in moved.values()]
        assert len(targets) == {249: 1, 250: 2}.get(op, 4)


@pytest.mark.parametrize("bits", [32, 64])
def test_switches_of_both_widths(bits):
    label = struct.unpack("<I", struct.pack("<HH", _LABEL, 2))[0]
    literal = [5] if bits == 32 else [5, 0]
    switch = [3 + len(literal) + 1 << 16 | 251, 1, 2, *literal, 3]
    body = [5 << 16 | 54, 1, 9, 0, 8, label, 2, *switch, label, 3, 1 << 16 | 253, 1 << 16 | 56]
    code = renumbered(struct.pack(f"<{5 + len(body)}I", 1, 2, 3, 10, 0, *body))
    found = [i for i in instructions(code)[1] if i[0] == 251]
    assert found == [(251, 1, 10, *literal, 11)]
