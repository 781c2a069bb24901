"""The SPIR-V of many kernels that one process makes: no two things have the same id."""

import struct

import pytest

pytest.importorskip("llvmlite")

from rushlight.compiler.device import labels
from rushlight.compiler.device.language import NoCode
from rushlight.compiler.device.spirv import Spirv

#: Instructions whose first word is their result, and those whose second word is.
_FIRST = {11, *range(19, 39), 248}
_SECOND = {12, 43, 41, 42, 46, 54, 55, 57, 59, 61, 65, 67, 70, 245, *range(109, 216)}


def _kernel(blocks):
    """The text of a kernel with about ``blocks`` blocks."""
    module = Spirv()
    b, pointers, (limit,) = module.kernel("kernel", 1)
    at = module.work_item(b)
    for k in range(blocks):
        with b.if_then(b.icmp_signed("<", b.add(at, at.type(k)), limit)):
            b.store(at, b.gep(pointers[0], [b.mul(at, at.type(k + 3))], source_etype=at.type))
    b.ret_void()
    return str(module)


def _ids(code):
    words = struct.unpack(f"<{len(code) // 4}I", code)
    at, found = 5, []
    while at < len(words):
        kind = words[at] & 0xFFFF
        if kind in _FIRST or kind in _SECOND:
            found.append(words[at + (1 if kind in _FIRST else 2)])
        at += words[at] >> 16
    return words[3], found


def test_ids_are_unique():
    for k in range(60):
        bound, ids = _ids(Spirv.code(_kernel(1 + k % 7), ""))
        assert len(ids) > 20
        assert len(ids) == len(set(ids))
        assert max(ids) < bound


def test_two_blocks_of_one_label_are_refused():
    header = (0x07230203, 0x10000, 0, 10, 0)
    label = lambda k: (2 << 16 | 248, k)
    code = lambda *more: struct.pack(f"<{5 + len(more)}I", *header, *more)
    with pytest.raises(labels.Ambiguous):
        labels.relabelled(code(*label(3), *label(3)))
    with pytest.raises(NoCode, match="switch"):
        labels.relabelled(code(3 << 16 | 251, 1, 2))
    assert labels.relabelled(code(*label(3), 2 << 16 | 249, 3)) == struct.pack(
        "<9I", 0x07230203, 0x10000, 0, 14, 0, 2 << 16 | 248, 13, 2 << 16 | 249, 13
    )
