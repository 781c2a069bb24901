"""Every layer inside torch.compile, and in other dtypes."""

import numpy as np
import pytest

import rushlight
from tests.daily import daily
from tests.nn.cases import Inputs
from tests.nn.conftest import outcome, same
from tests.nn.test_layers import EVERY, build, flat

CALLED = [(expression, inputs) for expression, inputs in EVERY if inputs is not None]
IDS = [f"{e}({i})" for e, i in CALLED]
by_case = pytest.mark.parametrize("expression, inputs", CALLED, ids=IDS)
some_cases = pytest.mark.parametrize("expression, inputs", daily(CALLED, 100, "layers"), ids=IDS)


def results(layer, made, given):
    """What a layer gives, and the gradients of its inputs and parameters."""
    rushlight.manual_seed(1)
    outs = flat(layer(*given))
    roots = [o.sum() for o in outs if o.requires_grad]
    if roots:
        sum(roots).backward()
    return outs, [leaf.grad for leaf in made.leaves], [p.grad for p in layer.parameters()]


def compiled_equals_eager(expression, inputs):
    found = []
    for wrapped in (lambda layer: layer, rushlight.compile):
        layer, made = build(rushlight, expression), Inputs(rushlight)
        given = made(inputs)
        found.append(results(wrapped(layer), made, given))
    for eager, compiled in zip(*(flat(list(f)) for f in found), strict=True):
        np.testing.assert_allclose(
            compiled.detach().numpy(), eager.detach().numpy(), rtol=1e-4, atol=2e-5
        )


@pytest.mark.filterwarnings("ignore")
@some_cases
def test_compiled_on_numpy(expression, inputs, monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    compiled_equals_eager(expression, inputs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@by_case
def test_compiled(expression, inputs):
    pytest.importorskip("llvmlite")
    compiled_equals_eager(expression, inputs)


# Other dtypes -----------------------------------------------------------------------------


def converted(value, dtype):
    """The floating tensors among a layer's inputs in ``dtype``."""
    if type(value) in (list, tuple):
        return type(value)([converted(v, dtype) for v in value])
    if not hasattr(value, "to"):
        return value
    values = getattr(value, "data", value)  # those of a packed sequence are its data
    return value.to(dtype) if values.is_floating_point() else value


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize(
    "dtype, tolerance", [("float64", 1e-6), ("float16", 6e-3), ("bfloat16", 4e-2)]
)
@by_case
def test_other_dtypes_do_as_in_pytorch(expression, inputs, dtype, tolerance):
    def script(torch):
        layer, made = build(torch, expression).to(getattr(torch, dtype)), Inputs(torch)
        outs = flat(layer(*converted(made(inputs), getattr(torch, dtype))))
        roots = [o.sum() for o in outs if o.requires_grad]
        if roots:
            sum(roots).backward()
        grads = [leaf.grad for leaf in made.leaves]
        return [[str(o.dtype) for o in outs], [o.double() for o in outs], grads]

    theirs, _ = outcome(script, pytest.importorskip("torch"))
    if isinstance(theirs, NotImplementedError):
        pytest.skip(f"PyTorch: {theirs}")
    ours, _ = outcome(script, rushlight)
    if isinstance(ours, Exception):
        raise ours
    same(ours, theirs, rtol=3 * tolerance, atol=3 * tolerance)
