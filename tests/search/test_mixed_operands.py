"""Gradients of functions of two tensors of different dtypes.

A forward converts its operands to one dtype. A gradient rule gets operands as they were saved, and
must compute as if they had been converted: the square of an int8, or its logarithm in half
precision, is not that of the number.
"""

import random
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.core.definition import FUNCTIONS
from tests.search.lives import SEED

F = torch.nn.functional
#: Functions that draw; that take powers of 2 in the exponents' dtype; that convert all to the first
#: operand's dtype. So do PyTorch's.
LEFT_OUT = {"gumbel_softmax", "ldexp", "as_strided_scatter", "diagonal_scatter", "select_scatter",
            "slice_scatter", "soft_margin_loss"}  # fmt: skip
#: Functions that compute with an operand before they convert it, as PyTorch's do, whose gradients
#: are the same. Distances of points, and 1 - target, wrap around in 8 bits; the logarithms of
#: probabilities are rounded to half precision.
BEFORE = {
    **dict.fromkeys(("cumulative_trapezoid", "trapezoid", "trapz"), ("uint8", "int8")),
    "multilabel_soft_margin_loss": ("uint8", "int8"), "cross_entropy": ("float16", "bfloat16"),
}  # fmt: skip
SETTINGS = ("set_", "manual_seed", "seed", "use_")  # functions that change how others behave
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16"]


def functions():
    """name → each public function that may take two tensors."""
    found = {n: f for n, f in FUNCTIONS.items() if not n.endswith("_")}
    found |= {n: getattr(F, n) for n in F.__all__ if not n.endswith("_")}
    found = {n: f for n, f in sorted(found.items()) if not n.startswith(SETTINGS)}
    return {n: f for n, f in found.items() if n not in LEFT_OUT}


def operands(chance, dtype, other):
    """A floating tensor that wants a gradient, and one of another dtype."""
    size = 8
    x = torch.tensor([chance.choice([0.0, chance.gauss(0, 2)]) for _ in range(size)], dtype=dtype)
    low = -120 if other in ("int8", "int16", "int32", "int64") else 0
    y = [chance.choice([0, 1, 2, chance.randint(low, 127)]) for _ in range(size)]
    return x, torch.tensor(y, dtype=getattr(torch, other))


def gradient(function, x, y, way, turned):
    """The gradient of ``x``, as an array; None if there is none."""
    x = x.clone().requires_grad_()
    run = torch.compile(lambda *args: function(*args)) if way == "compiled" else function
    out = run(y, x) if turned else run(x, y)
    if not isinstance(out, torch.Tensor) or not out.requires_grad:
        return None
    weights = torch.arange(1.0, out.numel() + 1).reshape(out.shape).to(out.dtype)
    (found,) = torch.autograd.grad(out, x, weights, create_graph=way == "graph", allow_unused=True)
    return None if found is None else found.detach().double().numpy()


def difference(name, function, seed, ways):
    """How a gradient with a mixed operand is not that with a converted one; None if it is."""
    chance = random.Random(f"{name} {seed}")
    dtype = chance.choice([torch.float32, torch.float64])
    other = chance.choice(DTYPES)
    if other in BEFORE.get(name, ()):
        return None
    x, y = operands(chance, dtype, other)
    turned = chance.random() < 0.5
    try:
        want = gradient(function, x, y.to(dtype), "eager", turned)
        got = {way: gradient(function, x, y, way, turned) for way in ways}
    except Exception:  # the function takes other arguments, or refuses a mixture
        return None
    near = 1e-5 if dtype == torch.float32 else 1e-11
    for way, found in got.items():
        if want is None:
            continue
        if found is None or not np.allclose(found, want, near, near, equal_nan=True):
            return f"{name}, seed {seed}, {way}, {y.dtype}: {found} instead of {want}"
    return None


def faults(seeds, ways):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [difference(n, f, s, ways) for n, f in functions().items() for s in seeds]
    return [text for text in found if text]


def test_gradients_are_those_of_converted_operands():
    found = faults(range(3), ["eager", "graph"])
    assert not found, "\n".join(found)


@pytest.mark.search
def test_gradients_are_those_of_converted_operands_in_each_way():
    found = faults(range(SEED, SEED + 12), ["eager", "graph", "compiled"])
    assert not found, f"RUSHLIGHT_SEED={SEED}\n" + "\n".join(found)
