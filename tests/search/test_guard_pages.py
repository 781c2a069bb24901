"""Kernels between protected pages: a sample, and more under ``slow``."""

import random

import pytest

pytest.importorskip("llvmlite")

from tests.daily import daily
from tests.search import guard_pages

if not guard_pages.works():
    pytest.skip("this system protects no pages", allow_module_level=True)

#: What was seen: rows of a width of one more than whole vectors, windows, a packed operand.
SEEN = [
    ("rows", "bfloat16", 33), ("copy", "int8", 65), ("copy", "int16", 33), ("copy", "bool", 1),
    ("cast", "int64", 17), ("stream_softmax", "bfloat16", 97), ("batched_products", "bfloat16", 92),
    ("pooling", "float32", 50),
]  # fmt: skip


def check(cpu, todo, **how):
    done, wrong = guard_pages.run(todo, cpu, **how)
    assert done
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("cpu", daily(guard_pages.processors(), 1, "guard pages"))
def test_a_sample(cpu):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    check(cpu, [*SEEN, *random.Random(seed).sample(guard_pages.cases(cpu), 2)])


@pytest.mark.search
@pytest.mark.parametrize("cpu", guard_pages.processors())
def test_cases_at_random(cpu):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    todo = guard_pages.cases(cpu)
    random.Random(seed).shuffle(todo)
    check(cpu, todo, seconds=60)


def test_a_store_too_far_is_found():
    """A planted lane too many: a fault behind the array, changed bytes before other memory."""
    done, wrong = guard_pages.run([("copy", "int8", 65), ("copy", "float32", 64)], plant=True)
    assert done == 2
    ((case, what),) = wrong
    assert case == ("copy", "int8", 65)
    assert what.startswith("the process ended: -") or "bytes beside an array" in what
