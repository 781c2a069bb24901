"""Half precision: what is one kernel in PyTorch rounds once here too, forward and gradients.

Errors relative to float64 are compared with PyTorch's, eager and compiled.
"""

import pytest

import rushlight as torch
from rushlight.compiler.calls.compiled import Compiled
from tests.golden import halves as golden
from tests.ops.halves import CASES, DTYPES, UNTRACED, allowed, errors


def _check(half, wrap=lambda call: call, names=CASES):
    recorded = golden.load()[half]
    wrong = []
    for name in names:
        got, theirs = errors(torch, name, half, wrap), recorded[name]
        assert len(got) == len(theirs), name
        if any(g > allowed(t) for g, t in zip(got, theirs, strict=True)):
            wrong.append(f"{name}: {got}, PyTorch {theirs}")
    assert not wrong, "\n".join([f"{len(wrong)} cases round more often:", *wrong])


@pytest.mark.parametrize("half", DTYPES)
def test_eager_rounds_once(half):
    _check(half)


@pytest.mark.slow
@pytest.mark.parametrize("half", DTYPES)
def test_replayed_rounds_once(half, monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    _check(half, lambda call: Compiled(call, fullgraph=True), set(CASES) - UNTRACED)


@pytest.mark.slow
@pytest.mark.parametrize("half", DTYPES)
def test_compiled_rounds_once(half):
    pytest.importorskip("llvmlite")
    _check(half, lambda call: Compiled(call, fullgraph=True), set(CASES) - UNTRACED)


@pytest.mark.parity
@pytest.mark.parametrize("half", DTYPES)
def test_pytorch_rounds_as_recorded(half):
    """The recorded errors are those of the PyTorch that is installed, within its own scatter.

    Its sums depend on the number of threads: the record was made with two.
    """
    peer = pytest.importorskip("torch")
    threads = peer.get_num_threads()
    recorded = golden.load()[half]
    peer.set_num_threads(2)
    try:
        for name in ("softmax", "layer_norm", "sdpa_mask", "gelu"):
            for now, then in zip(errors(peer, name, half), recorded[name], strict=True):
                assert now == pytest.approx(then, rel=0.5), name
    finally:
        peer.set_num_threads(threads)
