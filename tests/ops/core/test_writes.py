"""What an operation saves decides what may be written before backward: the same as in PyTorch."""

import pytest

import rushlight as torch
from tests.golden import writes as golden
from tests.ops.writes import cases, outcome

#: Cases that differ on purpose, by the beginning of their keys; ``docs/differences.md`` has them.
DIFFERENT = (
    "H/result",  # a conjugate has memory of its own and refuses writes
    "mH/result",
    "kron/input",  # PyTorch's gradient is that of the new values
    "kron-2/input", "kron-3/input", "kron-4/input", "kron-5/input",
    "matmul-10/input",  # PyTorch copies operands whose batches do not lie as those of one dim
    "sparse_product/input/1", "sparse_sampled_product/input",  # PyTorch's side is a stand-in
    "lstm/input/5", "lstm/input/6", "lstm/result/0",  # another library computes it for PyTorch
)  # fmt: skip


def test_writes_are_refused_where_pytorch_refuses_them():
    recorded = golden.load()
    wrong = []
    for key, *case in cases():
        got = outcome(torch, *case)
        if got != recorded[key] and not key.startswith(DIFFERENT):
            wrong.append(f"{key}: {'taken' if got else 'refused'}")
    assert not wrong, "\n".join([f"{len(wrong)} otherwise than in PyTorch:", *wrong[:40]])


def test_every_difference_is_one():
    recorded = golden.load()
    found = {key for key, *case in cases() if key.startswith(DIFFERENT)
             and outcome(torch, *case) != recorded[key]}  # fmt: skip
    assert all(any(key.startswith(d) for key in found) for d in DIFFERENT)


@pytest.mark.parity
@pytest.mark.slow
def test_the_record_is_pytorchs():
    peer = pytest.importorskip("torch")
    recorded = golden.load()
    wrong = [key for key, *case in cases() if outcome(peer, *case) != recorded[key]]
    assert not wrong
