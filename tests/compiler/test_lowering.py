"""Lowered programs, replayed on NumPy, give what the operations give eagerly."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler import entry, gradient
from rushlight.compiler.compiled import Compiled
from rushlight.compiler.lowering import expand
from rushlight.compiler.program import make_program
from tests import conformance as c
from tests.test_conformance import by_operation, every


@pytest.fixture
def lowered(monkeypatch):
    """Have programs made of lowered equations; gives the list of those, program by program."""
    programs = []

    def make(equations, inputs, outputs, writes=()):
        programs.append(expand(equations))
        return make_program(programs[-1], inputs, outputs, writes)

    monkeypatch.setattr(entry, "make_program", make)
    monkeypatch.setattr(gradient, "make_program", make)
    return programs


def compiled(sample):
    """The call of a sample as a compiled function, whatever the framework."""
    run = Compiled(lambda *xs: sample.call(torch, *xs), fullgraph=True)
    return lambda framework, *xs: run(*xs)


def near(got, want, what):
    assert (got is None) == (want is None), what
    if got is None or not isinstance(got, torch.Tensor):
        return
    assert got.dtype == want.dtype and got.shape == want.shape, what
    tolerance = 1e-12 if got.dtype in (torch.float64, torch.complex128) else 1e-5
    tolerance = c._TOLERANCE.get(str(got.dtype), tolerance) if tolerance == 1e-5 else tolerance
    a, b = c.array(got), c.array(want)
    if a.dtype.kind in "fc":
        c.close(a, b, tolerance, what)
    else:
        np.testing.assert_array_equal(a, b, err_msg=what)


@by_operation(lambda s: s.trace)
def test_same_as_eager(samples, lowered):
    every(samples, _same_as_eager)


def _same_as_eager(sample):
    for dtype in ("float32", "float64"):
        want = c.run(torch, sample, dtype)
        torch.manual_seed(0)
        call = compiled(sample)
        got = c.flat(call(torch, *c.tensors(torch, sample, dtype)))
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            near(g, w, f"{dtype}, output {k}")
        if sample.grad:
            want = c.gradients(torch, sample, dtype)
            got = c.gradients(torch, sample, dtype, call=compiled(sample))
            for k, (g, w) in enumerate(zip(got, want, strict=True)):
                near(g, w, f"{dtype}, gradient of input {k}")
