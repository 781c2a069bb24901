"""From LLVM IR to machine code that is loaded, called and freed."""

import gc

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from rushlight.compiler.cpu import target
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host

ADD = """
declare i64 @more()

define void @add(ptr %p) {
  %x = load i64, ptr %p
  %m = call i64 @more()
  %y = add i64 %x, %m
  store i64 %y, ptr %p
  ret void
}
"""
MORE = "define i64 @more() {\n  ret i64 5\n}"
X86 = ["sse2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("brief", [False, True])
def test_code_is_loaded_and_called(level, brief):
    more = load(host().object_code(MORE, level))
    code = load(host().object_code(ADD, level), {"more": more.address("more")})
    add, x = code.function("add", brief), np.array([2])
    del code
    gc.collect()
    add(x.ctypes.data)
    assert x[0] == 7
    assert "add" in host().assembly(ADD)


def test_what_cannot_be_compiled_or_loaded():
    with pytest.raises(RuntimeError):
        host().object_code("define i64 @f() {\n  ret i64 %x\n}")
    for junk in (b"", b"junk" * 100, host().object_code(MORE)[:100]):
        with pytest.raises(RuntimeError):
            load(junk)
    code = load(host().object_code(ADD))
    for name in ("nothing", "add"):  # add needs more, which nobody defines
        with pytest.raises(KeyError):
            code.address(name)


def test_the_host():
    here = host()
    assert here is host()
    assert here.lanes("float32") * 4 == here.lanes(np.float64) * 8 == here.vector_bytes
    assert 1 << 12 <= here.l1 <= here.l2
    assert here.cpu in here.key and here.triple in here.key


@pytest.mark.parametrize(
    "triple, features, found",
    [
        ("x86_64-unknown-linux-gnu", X86, (64, 32)),
        ("x86_64-pc-windows-msvc", X86[:5], (32, 16)),  # AVX-512 without its later parts
        ("x86_64-apple-darwin20", X86[:3], (16, 16)),  # without fused multiply-add
        ("arm64-apple-darwin23", ["neon"], (16, 32)),
        ("aarch64-unknown-linux-gnu", [], (16, 32)),
    ],
)
def test_vectors_of_processors(triple, features, found):
    assert target._vectors(triple, dict.fromkeys(features, True)) == found


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_caches_of_a_machine_that_says_nothing(monkeypatch, system):
    def silent(*_):
        raise OSError

    monkeypatch.setattr(target.sys, "platform", system)
    monkeypatch.setattr(target, "_linux_caches", silent)
    monkeypatch.setattr(target, "_darwin_caches", silent)
    assert target._caches() == (32 << 10, 512 << 10)


def test_modules_of_the_same_text_are_compiled_once(monkeypatch):
    ways, generated = [], target.Target._generated

    def noting(self, text, level, form, simple, optimise):
        ways.append((level, form, simple))
        return generated(self, text, level, form, simple, optimise)

    monkeypatch.setattr(target.Target, "_generated", noting)
    text = MORE.replace("5", "41")
    code = host().object_code(text)
    assert host().object_code(text) == code
    assert ways == [(2, "emit_object", False)]
    # The same text is compiled again if its code is generated in another way.
    module = SimplyGenerated(text)
    host().object_code(module)
    host().object_code(module)
    host().object_code(text, 1)
    host().assembly(text)
    assert ways[1:] == [
        (2, "emit_object", True),
        (1, "emit_object", False),
        (2, "emit_assembly", False),
    ]


class SimplyGenerated(str):
    simple = True
