"""Random programs: compiled as eager, in values, writes to inputs, and gradients."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rushlight as torch
from tests.compiler.programs import programs, total

PATIENT = settings(
    deadline=None,
    database=None,
    print_blob=False,
    phases=[Phase.generate],  # a failing program reduces itself
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)


def outcome(function, given, inside):
    """The arrays of results, inputs and gradients after a call, by name."""
    results = function(*given.values())
    if not inside:
        total(results)
    found = {f"result {i}": t.detach().numpy().copy() for i, t in enumerate(results)}
    found |= {name: t.detach().numpy().copy() for name, t in given.items()}
    for name, t in given.items():
        if t.is_leaf and t.requires_grad:
            g = torch.zeros_like(t) if t.grad is None else t.grad  # none is as good as 0
            found[f"gradient of {name}"] = g.numpy().copy()
    return found


def difference(program, inside):
    """What the compiled program does otherwise than the eager one, in words; None where nothing."""
    scope = {"torch": torch, "F": torch.nn.functional, "total": total}
    exec(program.source(inside), scope)
    eager = scope["program"]
    compiled = torch.compile(eager, fullgraph=True)
    want = outcome(eager, program.fresh(), inside)
    # What the program makes of a change in the last digits is no more than rounding may do.
    shaken = outcome(eager, program.fresh(noise=2e-7), inside)
    for turn in ("first", "second"):
        try:
            found = outcome(compiled, program.fresh(), inside)
        except Exception as error:
            return f"{turn} call: {type(error).__name__}: {error}"
        if found.keys() != want.keys():
            return f"{turn} call: {[*found]} instead of {[*want]}"
        for name, x in want.items():
            if not _close(found[name], x, shaken[name]):
                return f"{turn} call, {name}: {found[name]!r} instead of {x!r}"
    return None


def _close(found, want, shaken):
    if (found.shape, found.dtype) != (want.shape, want.dtype):
        return False
    if not want.size or want.dtype.kind != "f":
        return np.array_equal(found, want)
    size = np.abs(want)
    slack = 1e-5 * size + 1e-5 * max(1, size.max()) + 20 * np.abs(shaken - want)
    return np.all(np.abs(found - want) <= slack)


def check(program, inside):
    if difference(program, inside) is not None:
        program.reduce(lambda p: difference(p, inside) is not None)
        pytest.fail(f"{difference(program, inside)}\n{program!r}\n(backward inside: {inside})")


@settings(PATIENT, max_examples=20, derandomize=True)
@given(programs(longest=20), st.booleans())
def test_a_random_program(program, inside):
    check(program, inside)


@pytest.mark.slow
@settings(PATIENT, max_examples=2000)
@given(programs(), st.booleans())
def test_many_random_programs(program, inside):
    check(program, inside)
