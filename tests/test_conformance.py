"""Every operation through every check; see conformance.py and samples/."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler.compile import Compiled
from rushlight.ops.definition import OPS
from tests import conformance as c
from tests.samples import SAMPLES

ALL = list(SAMPLES.values())
GRAD = [s for s in ALL if s.grad]
TRACED = [s for s in ALL if s.trace]
ids = lambda s: s.name


@pytest.fixture(scope="module")
def golden():
    from tests.golden.conformance import load

    return load()


@pytest.mark.parametrize("s", ALL, ids=ids)
def test_recorded_answer(s, golden):
    outs = [o for o in c.run(torch, s) if isinstance(o, torch.Tensor)]
    want = golden.outputs(s.name)
    assert len(outs) == len(want)
    for k, (o, (dtype, a)) in enumerate(zip(outs, want, strict=True)):
        assert str(o.dtype) == dtype
        np.testing.assert_allclose(c.array(o), a, rtol=s.tolerance, atol=s.tolerance, err_msg=f"{s.name}: output {k}")


@pytest.mark.parametrize("s", GRAD, ids=ids)
def test_recorded_gradient(s, golden):
    for k, (g, a) in enumerate(zip(c.gradients(torch, s), golden.gradients(s.name), strict=True)):
        assert (g is None) == (a is None)
        if g is not None:
            np.testing.assert_allclose(c.array(g), a, rtol=10 * s.tolerance, atol=10 * s.tolerance, err_msg=f"input {k}")


def _double(s):
    return [t.double() if not t.dtype.is_complex else t.to(torch.complex128) for t in c.tensors(torch, s)]


@pytest.mark.parametrize("s", [s for s in GRAD if not s.draws], ids=ids)
def test_numeric_gradient(s):
    given = c.tensors(torch, s, "float64")
    given = [t.to(torch.complex128) if t.dtype.is_complex else t for t in given]
    given = [t.requires_grad_() if t.dtype.category > 1 else t for t in given]
    call = lambda *xs: tuple(c.flat(s.call(torch, *xs)))
    torch.autograd.gradcheck(call, given, atol=1e-5)


@pytest.mark.parametrize("s", [s for s in GRAD if s.second and not s.draws], ids=ids)
def test_second_order(s):
    given = [t.requires_grad_() if t.dtype.is_floating_point else t for t in c.tensors(torch, s, "float64")]
    if not any(t.requires_grad for t in given):
        return
    call = lambda *xs: tuple(c.flat(s.call(torch, *xs)))
    torch.autograd.gradgradcheck(call, given, atol=1e-4)


@pytest.mark.parametrize("s", GRAD, ids=ids)
def test_rules_on_arrays_and_on_tensors_agree(s):
    for g, h in zip(c.gradients(torch, s), c.gradients(torch, s, create_graph=True), strict=True):
        assert (g is None) == (h is None)
        if g is not None:
            c.same(g, h.detach(), s.tolerance, s.name)


@pytest.mark.parametrize("s", TRACED, ids=ids)
def test_traced_equals_eager(s):
    with torch.no_grad():
        found, entry = c.traced(s)
        want = [o for o in c.run(torch, s) if isinstance(o, torch.Tensor)]
    assert len(found) == len(want)
    for g, w in zip(found, want, strict=True):
        c.same(g, w, s.tolerance, s.name)


@pytest.mark.parametrize("s", [s for s in TRACED if s.grad], ids=ids)
def test_traced_gradient_equals_eager(s):
    compiled = Compiled(lambda *xs: s.call(torch, *xs), fullgraph=True)
    want = c.gradients(torch, s)
    for _ in range(2):
        found = c.gradients(torch, s, call=lambda _, *xs: compiled(*xs))
        for g, w in zip(found, want, strict=True):
            assert w is None or g is not None
            if w is not None:
                c.same(g, w, s.tolerance, s.name)


@pytest.mark.parity
@pytest.mark.parametrize("s", ALL, ids=ids)
def test_parity(s):
    peer = pytest.importorskip("torch")
    for dtype in (None, *s.dtypes):
        got, want = c.run(torch, s, dtype), c.run(peer, s, dtype)
        assert len(got) == len(want)
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            if hasattr(w, "dtype"):
                c.same(g, w, s.tolerance, f"{s.name} {dtype} output {k}")
                if w._is_view():
                    assert g.stride() == w.stride()
            else:
                assert g == w
        if s.grad:
            for g, w in zip(c.gradients(torch, s, dtype), c.gradients(peer, s, dtype), strict=True):
                assert (g is None) == (w is None)
                if g is not None:
                    c.same(g, w, 10 * s.tolerance, f"{s.name} {dtype} gradient")


def test_every_operation_has_a_sample():
    seen = set()
    for s in ALL:
        for op in _operations(s):
            seen.add(op)
    missing = sorted(set(OPS) - seen)
    assert not missing, f"operations without a sample: {missing}"


def _operations(s):
    """Names of the operations that a sample runs, its gradient's included."""
    from rushlight.ops import dispatch

    names, compute = [], dispatch.compute

    def noted(op, inputs, params):
        names.append(op.name)
        return compute(op, inputs, params)

    from rushlight.autograd import mode

    class Everything:
        """Sends every call the long way, where it is noted."""

        def record(self, op, args, params):
            return NotImplemented

    dispatch.compute = noted
    mode.add_intercept(1)
    try:
        outs = [o for o in c.flat(s.call(torch, *c.tensors(torch, s, requires_grad=s.grad))) if isinstance(o, torch.Tensor)]
        if s.grad:
            c.gradients(torch, s, create_graph=True)
        del outs
    finally:
        dispatch.compute = compute
        mode.add_intercept(-1)
    return names
