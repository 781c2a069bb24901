"""Signals while code is loaded and freed: LLVM's lock is free afterwards, and the process ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes

pytest.importorskip("llvmlite")

SCRIPT = """
import random, signal, sys
from llvmlite import ir
import rushlight
from rushlight.compiler.cpu.llvm_lock import _holds_lock
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host

module = ir.Module()
function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.PointerType()]), "f")
ir.IRBuilder(function.append_basic_block()).ret_void()
code = host().object_code(module)


class Stop(BaseException):
    pass


def stop(*_):
    if armed:
        raise Stop


armed = False
sys.unraisablehook = lambda *_: None  # some are raised in a __del__, where Python ignores them
signal.signal(signal.SIGALRM, stop)
draw = random.Random(int(sys.argv[1]))
found = 0
for _ in range(int(sys.argv[2])):
    try:
        signal.setitimer(signal.ITIMER_REAL, draw.random() * 1e-3 + 1e-6, 1e-3)
        armed = True
        while True:
            library = load(code)
            library.address("f")
            del library
    except Stop:
        armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    found += _holds_lock()
print(found, "of the interrupts left the lock taken")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs interval timers")
def test_the_lock_is_free_after_an_interrupt():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(os.getpid()), "700"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}, timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith("0 of the interrupts"), (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_other_libraries_can_still_register_functions_with_the_lock():
    script = """
import llvmlite.binding as llvm
from rushlight.compiler.cpu.target import host
host()
seen = []
llvm.ffi.register_lock_callback(lambda: seen.append("taken"), lambda: seen.append("released"))
llvm.get_host_cpu_name()
print(*seen)
"""
    done = processes.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.stdout.split()[:2] == ["taken", "released"]
