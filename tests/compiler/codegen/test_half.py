"""float16 in kernels of every processor: exact conversions, and no function that nobody has."""

import ctypes
import os
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm
from llvmlite import ir

import rushlight as torch
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.scope import kernel_function
from rushlight.compiler.cpu import machine
from rushlight.compiler.cpu.loader import load as load_code
from rushlight.compiler.cpu.machine import Processor
from rushlight.compiler.cpu.target import CHECKED, host, processor
from rushlight.compiler.run import native_program
from rushlight.compiler.run.assembly import assemble
from rushlight.compiler.run.program import Program
from tests.compiler import families

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


class Bare:
    """A processor without instructions for float16."""

    halves = False


@pytest.fixture(params=["instructions", "bits"])
def conversion(request, monkeypatch):
    if request.param == "bits":
        monkeypatch.setattr(machine, "host", Bare)
    elif not host().halves:
        pytest.skip("this processor has no instructions for float16")


def converted(x, dtype, lanes):
    """``x`` in ``dtype``, by a kernel for so many lanes."""
    module = ir.Module()
    function, b = kernel_function(module, "convert")
    source, _, place = function.args
    store(b, load(b, source, x.dtype, lanes), place, dtype)
    b.ret_void()
    library = load_code(host().object_code(module))
    found = np.zeros(x.size, dtype)
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    call = prototype(library.address("convert"))
    for start in range(0, x.size, lanes):
        call(x[start:].ctypes.data, 0, found[start:].ctypes.data)
    return found


def check(found, expected):
    nan = np.isnan(expected)
    bits = f"u{expected.itemsize}"
    assert np.isnan(found[nan]).all()
    assert np.array_equal(found[~nan].view(bits), expected[~nan].view(bits))
    assert np.array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_every_half_is_widened_exactly(lanes, conversion):
    check(converted(HALVES, np.float32, lanes), HALVES.astype(np.float32))


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lanes", [1, 16])
def test_floats_are_rounded_to_the_nearest_half(lanes, dtype, conversion):
    """Each half, each tie between two and what lies next to it, and bits at random.

    A float64 becomes a float32 first, as in PyTorch.
    """
    finite = np.sort(HALVES[np.isfinite(HALVES)]).astype(dtype)
    ties = np.append((finite[:-1] + finite[1:]) / 2, [65520, -65520]).astype(dtype)
    rng = np.random.default_rng(0)
    x = np.concatenate([
        HALVES.astype(dtype), ties, np.nextafter(ties, dtype(np.inf)),
        np.nextafter(ties, dtype(-np.inf)), [2.0**-25, 1e-40, -1e-40, 65536, 1e38, -1e38],
        rng.standard_normal(1 << 14) * 10.0 ** rng.uniform(-9, 6, 1 << 14),
        rng.integers(0, 1 << 32, 1 << 14, dtype=np.uint32).view(np.float32),
    ]).astype(dtype)  # fmt: skip
    x = np.resize(x, -(-x.size // 16) * 16)
    check(converted(x, np.float16, lanes), x.astype(np.float32).astype(np.float16))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names processors of x86")
@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="names a processor of x86")
def test_a_processor_without_float16_runs_native_code():
    program = """if True:
        import warnings
        warnings.simplefilter("error")
        import rushlight as torch

        @torch.compile
        def f(x, w):
            return torch.softmax(x @ w, 1), (x.float() * 3).half()

        x = torch.linspace(-2, 2, 64).reshape(8, 8).half()
        first, second = f(x, x.t())
        assert (first.float().sum(1) - 1).abs().max() < 1e-2
        assert torch.equal(second, (x.float() * 3).half())
    """
    env = {**os.environ, "RUSHLIGHT_CPU": "x86-64-v2", "RUSHLIGHT_CACHE_DIR": ""}
    subprocess.run([sys.executable, "-c", program], env=env, check=True, timeout=120)


# Names ------------------------------------------------------------------------------------

#: What kernels may call: the C library's mathematics, and memory.
_KNOWN = {"fma", "fmaf", "memcpy", "memset", "memmove", *["bounds"] * CHECKED}


def called(code):
    """The functions that ``code`` calls and does not define."""
    names = re.findall(r"^\s+(?:callq|bl|jmp|b)[ \t]+([A-Za-z_][\w$.]*)", code, re.MULTILINE)
    return set(names) - set(re.findall(r"^([\w$.]+):", code, re.MULTILINE))


def check_names(name, dtype, monkeypatch):
    kept = []
    monkeypatch.setattr(native_program, "NativeProgram", lambda *a: kept.append(a) or Program(*a))
    function, arguments = families.FAMILIES[name][1](33, dtype)
    torch.compile(function)(*arguments)
    for cpu in ("x86-64-v2", "haswell", "neoverse-n1"):
        target = processor(cpu)
        monkeypatch.setattr(machine, "host", lambda target=target: target)
        names = called(target.assembly(assemble(*kept[-1], Processor(target)).module()))
        assert names <= _KNOWN, (name, dtype, cpu)


def test_kernels_call_what_every_process_has(monkeypatch):
    check_names("arithmetic", "float16", monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8"])
@pytest.mark.parametrize("name", families.FAMILIES)
def test_kernels_of_every_family_call_what_every_process_has(name, dtype, monkeypatch):
    if families.fits(name, dtype):
        check_names(name, dtype, monkeypatch)
