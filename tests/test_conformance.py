"""Every operation through every check; see conformance.py and samples/."""

import re

import pytest

import rushlight as torch
from rushlight.compiler.calls.compiled import Compiled
from rushlight.ops.core.definition import OPS
from tests import conformance as c
from tests.daily import drawn
from tests.samples import SAMPLES

#: The dear checks draw one sample each day, of a half of the operations; the rest are long tests.
ONE, ALL = 1, 1 << 10


def by_operation(wanted=lambda s: True, most=ONE):
    """Parametrise by operation: a test gets samples of one, as ``samples``."""
    found = {}
    for s in SAMPLES.values():
        if wanted(s):
            found.setdefault(re.sub(r"-\d+$", "", s.name), []).append(s)
    cases = []
    today = drawn(found, len(found) // 2 if most == ONE else len(found), "operations")
    for k, (name, samples) in enumerate(found.items()):
        chosen = drawn(samples, most, name)
        rest = [s for i, s in enumerate(samples) if i not in chosen]
        marks = () if k in today else pytest.mark.slow
        cases.append(pytest.param([samples[i] for i in sorted(chosen)], id=name, marks=marks))
        if rest:
            cases.append(pytest.param(rest, id=f"{name}-rest", marks=pytest.mark.slow))
    return pytest.mark.parametrize("samples", cases)


def every(samples, check, *args):
    """Run ``check`` on each sample; a failure tells which it was."""
    for s in samples:
        try:
            check(s, *args)
        except Exception as error:
            error.add_note(
                f"in sample {s.name}, inputs {[(a.dtype.name, a.shape) for a in s.inputs]}"
            )
            raise


@pytest.fixture(scope="module")
def golden():
    from tests.golden.conformance import load

    return load()


@by_operation(most=ALL)
def test_recorded_answer(samples, golden):
    every(samples, _recorded_answer, golden)


def _recorded_answer(s, golden):
    outs = [o for o in c.run(torch, s) if isinstance(o, torch.Tensor)]
    want = golden.outputs(s.name)
    assert len(outs) == len(want)
    for k, (o, (dtype, a)) in enumerate(zip(outs, want, strict=True)):
        assert str(o.dtype) == dtype
        c.close(c.array(o), a, s.tolerance, f"output {k}")
    if s.grad:
        for k, (g, a) in enumerate(
            zip(c.gradients(torch, s), golden.gradients(s.name), strict=True)
        ):
            assert (g is None) == (a is None)
            if g is not None:
                c.close(c.array(g), a, 10 * s.tolerance, f"gradient of input {k}")


@by_operation(lambda s: s.grad)
def test_gradient(samples):
    every(samples, _gradient)


def _gradient(s):
    """Numeric gradients of first and second order; and rules that work alike on arrays and on tensors."""
    for g, h in zip(c.gradients(torch, s), c.gradients(torch, s, create_graph=True), strict=True):
        assert (g is None) == (h is None)
        if g is not None:
            c.same(g, h.detach(), s.tolerance, "rules on arrays and on tensors")
    call = lambda *xs: tuple(c.flat(s.call(torch, *xs)))
    if s.numeric:
        torch.autograd.gradcheck(call, c.doubles(s), atol=1e-5)
    if s.second:  # along one direction; element by element below
        torch.autograd.gradgradcheck(call, c.doubles(s), atol=1e-4, fast_mode=True)


@pytest.mark.slow
@by_operation(lambda s: s.grad and s.second, most=ALL)
def test_second_gradient(samples):
    every(samples, _second_gradient)


def _second_gradient(s):
    call = lambda *xs: tuple(c.flat(s.call(torch, *xs)))
    torch.autograd.gradgradcheck(call, c.doubles(s), atol=1e-4)


@by_operation(lambda s: s.grad)
def test_tangent(samples):
    every(samples, _tangent)


def _tangent(s):
    """Forward mode, which reads from the rules whether an operation is linear, and the gradient."""
    if any(OPS[name].own_slope for name in c.operations(s)):
        return  # as that of padding in an embedding, whose tangent is the table's
    try:
        for found, want in c.products(s):
            assert found == pytest.approx(want, 1e-3, 1e-3)
    except (NotImplementedError, RuntimeError):
        if s.second:  # forward mode may need second gradients
            raise


@by_operation(lambda s: s.trace)
def test_traced_equals_eager(samples, monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    every(samples, _traced_equals_eager)


@pytest.mark.slow
@by_operation(lambda s: s.trace)
def test_compiled_equals_eager(samples):
    pytest.importorskip("llvmlite")
    every(samples, _traced_equals_eager)


def _traced_equals_eager(s):
    with torch.no_grad():
        found = c.traced(s)
        want = [o for o in c.run(torch, s) if isinstance(o, torch.Tensor)]
    assert len(found) == len(want)
    for g, w in zip(found, want, strict=True):
        c.same(g, w, s.tolerance, "traced")
    if not s.grad:
        return
    compiled = Compiled(lambda *xs: s.call(torch, *xs), fullgraph=True)
    want = c.gradients(torch, s)
    for _ in range(2):
        found = c.gradients(torch, s, call=lambda _, *xs: compiled(*xs))
        for g, w in zip(found, want, strict=True):
            assert w is None or g is not None
            if w is not None:
                c.same(g, w, s.tolerance, "traced gradient")


@pytest.mark.parity
@by_operation(most=ALL)
def test_parity(samples):
    every(samples, _parity, pytest.importorskip("torch"))


def _parity(s, peer):
    for dtype in (None, *s.dtypes):
        got, want = c.run(torch, s, dtype), c.run(peer, s, dtype)
        assert len(got) == len(want)
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            if not hasattr(w, "dtype"):
                assert g == w
                continue
            c.same(g, w, s.tolerance, f"{dtype} output {k}")
            if w._is_view() and w.numel():
                assert g.stride() == w.stride()
        if s.grad:
            for g, w in zip(c.gradients(torch, s, dtype), c.gradients(peer, s, dtype), strict=True):
                assert (g is None) == (w is None)
                if g is not None:
                    c.same(g, w, 10 * s.tolerance, f"{dtype} gradient")


@pytest.mark.slow
def test_every_operation_has_a_sample():
    seen = {name for s in SAMPLES.values() for name in c.operations(s)}
    # Checks, and attention kept whole, are in programs only: tests/compiler/capture/test_lowering.py.
    # So is attention that changes its scores: tests/compiler/cpu/test_flexible_attention.py.
    seen |= {"flex_attention", "flex_attention_backward"}
    # Marks of detach() and of writes under no_grad() are in exported programs: tests/export.
    seen |= {"check_range", "attention", "attention_backward", "detach", "value_under_history"}
    seen |= {"lstm_layer_backward", "gru_layer_backward", "rnn_layer_backward"}
    seen |= {"to_device", "sorted_runs", "merged_runs", "segments", "in_groups"}  # tests/device
    seen |= {"running_max", "running_min"}
    seen |= {"unset", "window_sum_backward"}  # parts of cat and stack, and of average pooling
    seen |= {"special_series", "unsafe_split_parts", "unsafe_split_sizes_parts"}  # parts of others
    seen |= {"airy_series", "neighbour", "igamma_integral", "gamma_slope", "beta_slope"}  # parts
    seen |= {"special_outer_quantile"}
    # Parts of max pooling, the last two in traces: tests/ops/windows/test_written_inputs_of_pools.py.
    seen |= {"max_pool_noted", "max_pool_backward", "max_pool_pick"}
    # Parts of draws on CUDA devices: tests/device.
    missing = {name for name in set(OPS) - seen if not name.startswith("philox_")}
    assert not missing, f"operations without a sample: {sorted(missing)}"
