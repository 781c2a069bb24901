"""The SPIR-V of many kernels that one process makes: no two things have the same id."""

import shutil
import struct

import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64
from rushlight.compiler.device import labels
from rushlight.compiler.device.language import NoCode
from rushlight.compiler.device.spirv import Spirv
from tests import processes

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


@pytest.mark.skipif(not shutil.which("spirv-val"), reason="no spirv-tools")
def test_the_code_is_valid_for_the_oldest_drivers(tmp_path):
    """Names of ids that are none are invalid, and so is a version above the driver's."""
    for k in range(4):  # labels are moved from the second module on
        (tmp_path / "code").write_bytes(Spirv.code(_kernel(1 + k), ""))
        command = ["spirv-val", "--target-env", "opencl1.2", str(tmp_path / "code")]
        done = processes.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stdout + done.stderr


def test_names_are_left_out():
    header = 0x07230203, 0x10000, 0, 10, 0
    name = 3 << 16 | 5, 3, 0
    code = struct.pack("<8I", *header, *name)
    assert labels.relabelled(code) == struct.pack("<5I", *header[:3], 11, 0)


def test_a_function_that_a_kernel_calls_often_has_code():
    """LLVM names the inlined registers ``%.3.i7`` and so on, which are no integers of 7 bits."""
    module = Spirv()
    twice = ir.Function(module, ir.FunctionType(I64, [I64]), "twice")
    twice.linkage = "internal"
    b = ir.IRBuilder(twice.append_basic_block())
    b.ret(b.add(*2 * twice.args))
    b, (target,), (x,) = module.kernel("kernel", 1)
    for _ in range(9):
        x = b.call(twice, [x])
    b.store(x, target)
    b.ret_void()
    assert Spirv.code(str(module), "")


def test_integers_without_code_are_refused():
    module = Spirv()
    b, (target,), (x,) = module.kernel("kernel", 1)
    wide = b.mul(*2 * [b.zext(x, ir.IntType(128))])
    b.store(b.trunc(b.lshr(wide, wide.type(64)), I64), target)
    b.ret_void()
    with pytest.raises(NoCode, match="integers of 128 bits"):
        Spirv.code(str(module), "")
