"""No kernel stores outside of what it may, as its machine code says, for every processor."""

import re

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm
from llvmlite import ir

import rushlight as torch
from rushlight.compiler.codegen.memory import load, memory_type, prefix_mask, store
from rushlight.compiler.codegen.scope import kernel_function
from rushlight.compiler.codegen.value import computed, intrinsic, suffix
from rushlight.compiler.cpu import machine
from rushlight.compiler.cpu.machine import Processor
from rushlight.compiler.cpu.target import CHECKED, PROCESSORS, processor
from rushlight.compiler.run import native_program
from rushlight.compiler.run.assembly import assemble
from rushlight.compiler.run.program import Program
from rushlight.dtype import bfloat16
from tests.compiler import families
from tests.compiler.machine_code import excess, stores
from tests.daily import daily

if CHECKED:
    pytest.skip("stores of kernels that check addresses are others", allow_module_level=True)
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()


def targets():
    for name, (architecture, _) in PROCESSORS.items():
        try:
            llvm.Target.from_triple(f"{architecture}-unknown-linux-gnu")
        except RuntimeError:  # this LLVM has no such processors
            continue
        yield name


TARGETS = list(targets())
#: (What lanes are computed in, what is stored); the first are truncated.
CASTS = [
    ("int64", "int32"), ("int64", "int8"), ("int32", "int16"), ("int32", "uint8"),
    ("int16", "int8"), ("float32", "bfloat16"), ("float32", "float16"), ("float64", "float32"),
    ("float64", "bfloat16"), ("float32", "bool"), ("int64", "int64"), ("float32", "float32"),
]  # fmt: skip


def numpy_dtype(name):
    return bfloat16.numpy if name == "bfloat16" else np.dtype(name)


def tail(target, wide, narrow, count, put=store, lanes=None):
    """A kernel that stores ``count`` lanes (None: as many as its argument says) at ``scratch``."""
    module = ir.Module()
    function, b = kernel_function(module, "tail")
    source, left, place = function.args
    lanes = lanes or target.lanes(computed(wide))
    value = load(b, source, wide, lanes)
    mask = prefix_mask(b, left if count is None else count, lanes)
    put(b, value, place, narrow, mask)
    b.ret_void()
    return module


def by_llvm(b, value, place, dtype, mask):
    """The store as it was: LLVM's masked store of truncated lanes."""
    v = value.astype(np.uint32).v
    v = b.trunc(b.lshr(v, ir.Constant(v.type, [16] * value.lanes)), memory_type(dtype, value.lanes))
    args = [v, place, ir.IntType(32)(dtype.itemsize), mask.v]
    intrinsic(b, f"llvm.masked.store.{suffix(v.type)}.p0", ir.VoidType(), args)


def written(target, module):
    """The bytes that the kernel of a known tail writes, from its third argument on."""
    code = target.assembly(module)
    base = {"rdx": 0, "x2": 0}  # register → how far it points behind the argument
    base |= dict.fromkeys(re.findall(r"movq\s+%rdx, %(\w+)", code), 0)
    base |= {r: int(n) for r, n in re.findall(r"add\s+(x\d+), x2, #(\d+)", code)}
    found = set()
    for s in stores(code)["tail"]:
        x86 = re.match(r"(?P<offset>-?\d*)\(%(?P<base>\w+)\)$", s.place)
        place = x86 or re.match(r"\[(?P<base>x\d+)(?:, #(?P<offset>\d+))?\]$", s.place)
        start = base[place["base"]] + int(place["offset"] or 0) + s.further
        found |= set(range(start, start + s.width))
    return found


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("wide, narrow", daily(CASTS, 3, "known tails"), ids=lambda d: d)
def test_known_tails(name, wide, narrow):
    target, wide, narrow = processor(name), numpy_dtype(wide), numpy_dtype(narrow)
    for lanes in {target.lanes(computed(wide)), 4 * target.lanes(np.float32)}:
        some = {0, 1, 2, 3, lanes // 2, lanes // 2 + 1, lanes - 1, lanes}
        for count in sorted(n for n in some if n <= lanes):
            found = written(target, tail(target, wide, narrow, count, lanes=lanes))
            assert found == set(range(count * narrow.itemsize)), (name, lanes, count)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("wide, narrow", CASTS, ids=lambda d: d)
def test_tails_that_are_known_when_they_run(name, wide, narrow):
    target, wide, narrow = processor(name), numpy_dtype(wide), numpy_dtype(narrow)
    module = tail(target, wide, narrow, None)
    code = target.assembly(module)
    assert not excess(code, target.optimised(module), target.vector_bytes)
    assert not any(s.masked for s in stores(code)["tail"])


def test_the_old_form_is_found():
    """One lane of bfloat16 by LLVM's masked store: four bytes with AVX-512, two without."""
    found = {}
    for name in ("skylake-avx512", "haswell"):
        target = processor(name)
        module = tail(target, np.dtype(np.float32), bfloat16.numpy, 1, by_llvm)
        wrong = excess(target.assembly(module), target.optimised(module), target.vector_bytes)
        found[name] = len(written(target, module)), len(wrong)
    if found["skylake-avx512"] == (2, 0):
        pytest.skip("this LLVM has the fault no more")
    assert found == {"skylake-avx512": (4, 1), "haswell": (2, 0)}


@pytest.mark.parametrize("typ, stores, merged", [
    ("float", 4, True), ("float", 3, False), ("float", 1, False), ("<2 x float>", 2, True),
    ("<2 x float>", 1, False), ("double", 2, True), ("i16", 8, False), ("i8", 16, False),
])  # fmt: skip
def test_a_wide_store_stands_for_as_many_narrow_ones_as_it_has_room_for(typ, stores, merged):
    """LLVM merges stores side by side. The wide one may not be wider than all of them together."""
    ir = f"define void @f(ptr %p) {{\n{f'  store {typ} zeroinitializer, ptr %p{chr(10)}' * stores}}}\n"
    code = "f:\n\tmovups\t%xmm0, (%rdi)\n\tretq\n"
    assert bool(excess(code, ir, 16)) is not merged
    twice = code.replace("\tretq", "\tmovups\t%xmm0, 16(%rdi)\n\tretq")
    assert excess(twice, ir, 16), "each of them stands for one store only"


# Families of kernels ----------------------------------------------------------------------


def recorded(name, width, dtype, monkeypatch):
    """What the family's program was recorded as; nothing is compiled."""
    kept = []
    monkeypatch.setattr(native_program, "NativeProgram", lambda *a: kept.append(a) or Program(*a))
    function, arguments = families.FAMILIES[name][1](width, dtype)
    torch.compile(function)(*arguments)
    return kept[-1]


def check(name, width, dtype, processors, monkeypatch):
    program = recorded(name, width, dtype, monkeypatch)
    for cpu in processors:
        target = processor(cpu)
        monkeypatch.setattr(machine, "host", lambda target=target: target)
        module = assemble(*program, Processor(target)).module()
        text = target.optimised(module)
        assert "llvm.masked.store" not in text
        wrong = excess(target.assembly(module), text, target.vector_bytes)
        assert not wrong, (name, width, dtype, cpu, wrong[:3])


def cases(dtypes):
    return [(n, d) for n in families.FAMILIES for d in dtypes if families.fits(n, d)]


@pytest.mark.parametrize("name, dtype", daily(cases(["bfloat16", "int8"]), 4, "families"))
def test_families(name, dtype, monkeypatch):
    check(name, 33, dtype, {"skylake-avx512", "neoverse-n1"} & set(TARGETS), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 33, 100])
@pytest.mark.parametrize("name, dtype", cases(families.DTYPES))
def test_every_family_on_every_processor(name, dtype, width, monkeypatch):
    check(name, width, dtype, TARGETS, monkeypatch)
