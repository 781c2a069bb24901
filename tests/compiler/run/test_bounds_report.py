"""``RUSHLIGHT_CHECK=bounds``: a wrong address in a kernel is an error that names it."""

import os
import sys

import pytest

from tests import processes
from tests.daily import daily

pytest.importorskip("llvmlite")

SCRIPT = """
import rushlight as torch
from rushlight.compiler.codegen import memory, nodes
from rushlight.compiler.cpu.target import host

assert host().key.endswith(" bounds")
torch.set_num_threads({threads})
known, pointer = memory._store_known, nodes.Nodes.pointer
x, f = torch.ones(50, 33), lambda x: torch.softmax(x, 1)
assert torch.allclose(torch.compile(f)(x), f(x))
{plant}
try:
    print(({call}).sum())
except AssertionError as error:
    print(error)
print(torch.ones(3).sum())
"""
A_LANE_MORE = """
memory._store_known = lambda b, v, p, size, count: known(b, v, p, size, count + 1)
"""
FAR = """
nodes.Nodes.pointer = lambda self, arg, affine, dtype, level=2: pointer(
    self, arg, type(affine)(affine.offset - 10, affine.terms), dtype, level
)
"""


def said(plant, call, threads=1):
    script = SCRIPT.format(plant=plant, call=call, threads=threads)
    env = {**os.environ, "RUSHLIGHT_CHECK": "bounds", "RUSHLIGHT_CACHE_DIR": ""}
    env.pop("RUSHLIGHT_COMPILER", None)
    found = processes.run(
        [sys.executable, "-W", "error", "-c", script], env=env, capture_output=True, text=True
    )
    assert not found.returncode, found.stderr
    *first, last = found.stdout.splitlines()
    assert last == "tensor(3.)"
    return "\n".join(first)


@pytest.mark.parametrize("threads", daily([1, 2], 1, "threads of a wrong address"))
def test_a_wrong_address_is_named(threads):
    text = said(A_LANE_MORE, "torch.compile(lambda x: x.softmax(1))(x)", threads)
    assert "loops0 stores" in text
    assert text.endswith("up to 4 bytes behind output 0 (float32[50, 33]) of 6600 bytes")


def test_a_wrong_address_of_an_eager_kernel():
    text = said(A_LANE_MORE, "torch.ones(5000, 13).softmax(1)")
    assert text.startswith("kernel stores ")
    assert " bytes outside of its memory: up to 4 bytes behind array" in text


def test_a_load_before_its_memory():
    text = said(FAR, "torch.compile(lambda x: (x * 2).t().contiguous())(x)")
    assert "loops0 loads" in text
    assert text.endswith("40 bytes before input 0 (float32[50, 33])")


def test_nothing_is_said_where_nothing_is_wrong():
    assert said("", "torch.compile(f)(x)") == "tensor(50.)"
