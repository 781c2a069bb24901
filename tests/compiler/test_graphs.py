"""Random programs: compiled as eager, in values, writes to inputs, and gradients."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rushlight as torch
from tests.compiler.programs import programs, total

PATIENT = settings(
    deadline=None,
    database=None,
    print_blob=False,
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
        if t.is_leaf and t.grad is not None:
            found[f"gradient of {name}"] = t.grad.numpy().copy()
    return found


def check(program, inside):
    scope = {"torch": torch, "F": torch.nn.functional, "total": total}
    exec(program.source(inside), scope)
    eager = scope["program"]
    compiled = torch.compile(eager, fullgraph=True)
    want = outcome(eager, program.fresh(), inside)
    # What the program makes of a change in the last digits is no more than rounding may do.
    shaken = outcome(eager, program.fresh(noise=2e-7), inside)
    for turn in ("first", "second"):
        found = outcome(compiled, program.fresh(), inside)
        assert found.keys() == want.keys()
        for name, x in want.items():
            y = found[name]
            assert (y.shape, y.dtype) == (x.shape, x.dtype), name
            if x.size and x.dtype.kind == "f":
                slack = (
                    1e-5 * np.abs(x)
                    + 1e-5 * max(1, np.abs(x).max())
                    + 20 * np.abs(shaken[name] - x)
                )
                assert np.all(np.abs(y - x) <= slack), f"{turn} call, {name}: {y} is not {x}"
            else:
                assert np.array_equal(x, y), f"{turn} call, {name}: {y} is not {x}"


@settings(PATIENT, max_examples=60, derandomize=True)
@given(programs(longest=20), st.booleans())
def test_a_random_program(program, inside):
    check(program, inside)


@pytest.mark.slow
@settings(PATIENT, max_examples=1500)
@given(programs(), st.booleans())
def test_many_random_programs(program, inside):
    check(program, inside)
