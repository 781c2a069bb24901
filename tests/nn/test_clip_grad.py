"""Gradient clipping, and parameters as one vector, as PyTorch's."""

import pytest

import rushlight
from rushlight.nn import utils


def parameters(torch, scale=1.0):
    shapes = ((2, 3), (4,), ())
    made = [torch.nn.Parameter(torch.full(shape, 1.0 + i)) for i, shape in enumerate(shapes)]
    for i, p in enumerate(made[:2]):
        p.grad = torch.arange(float(p.numel())).view(p.shape) * scale - i
    return made


def clipped(call):
    def script(torch):
        made = parameters(torch)
        out = call(torch, made)
        return [out, [p.grad for p in made]]

    return script


def norm_of(torch, made, value, **options):
    made[0].grad[0, 0] = value
    return torch.nn.utils.clip_grad_norm_(made, 1.0, **options)


SCRIPTS = {
    "norm": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made, 1.0)),
    "large": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made, 1e3)),
    "order 1": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made, 2, 1)),
    "order 3": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made, 2, 3.0)),
    "order inf": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made, 1, "inf")),
    "order 0": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made, 1, 0)),
    "one tensor": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made[0], 1)),
    "generator": clipped(
        lambda torch, made: torch.nn.utils.clip_grad_norm_((p for p in made), 1, foreach=False)
    ),
    "no gradient": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(made[2:], 1)),
    "empty generator": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm_(iter([]), 1)),
    "empty generator expression": clipped(
        lambda torch, made: torch.nn.utils.clip_grad_norm_((p for p in []), 1)
    ),
    "old name": clipped(lambda torch, made: torch.nn.utils.clip_grad_norm(made, 1.0)),
    "nan": clipped(lambda torch, made: norm_of(torch, made, float("nan"))),
    "inf": clipped(lambda torch, made: norm_of(torch, made, float("inf"))),
    "nan refused": clipped(
        lambda torch, made: norm_of(torch, made, float("nan"), error_if_nonfinite=True)
    ),
    "inf refused": clipped(
        lambda torch, made: norm_of(torch, made, float("inf"), error_if_nonfinite=True)
    ),
    "value": clipped(lambda torch, made: torch.nn.utils.clip_grad_value_(made, 1.5)),
    "value of one": clipped(lambda torch, made: torch.nn.utils.clip_grad_value_(made[1], 1)),
    "given norm": clipped(
        lambda torch, made: torch.nn.utils.clip_grads_with_norm_(made, 1.0, torch.tensor(5.0))
    ),
    "total norm": clipped(
        lambda torch, made: torch.nn.utils.get_total_norm([p.grad for p in made[:2]], 2.0)
    ),
    "mixed dtypes": clipped(
        lambda torch, made: torch.nn.utils.get_total_norm([torch.ones(3), torch.ones(2).double()])
    ),
    "vector": lambda torch: torch.nn.utils.parameters_to_vector(parameters(torch)),
    "parameters": lambda torch: [
        [torch.nn.utils.vector_to_parameters(torch.arange(11.0), made), made]
        for made in [parameters(torch)]
    ],
    "short vector": lambda torch: torch.nn.utils.vector_to_parameters(
        torch.arange(5.0), parameters(torch)
    ),
    "no vector": lambda torch: torch.nn.utils.vector_to_parameters([1.0], parameters(torch)),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", SCRIPTS)
def test_utils_do_as_pytorchs(parity, name):
    parity(SCRIPTS[name])


def test_clipping_writes_into_the_gradients():
    made = parameters(rushlight, 10.0)
    grads = [p.grad for p in made[:2]]
    utils.clip_grad_norm_(made, 0.5)
    assert all(p.grad is g for p, g in zip(made, grads, strict=False))
    assert utils.get_total_norm(grads).item() == pytest.approx(0.5, rel=1e-5)


def test_vectors_keep_the_gradients_of_their_parameters():
    made = parameters(rushlight)
    (utils.parameters_to_vector(made) ** 2).sum().backward()
    assert made[2].grad.item() == 6.0


def test_clipping_can_be_traced():
    def step(x):
        layer.zero_grad()
        layer(x).square().sum().backward()
        norm = utils.clip_grad_norm_(layer.parameters(), 0.5)
        utils.clip_grad_value_(layer.parameters(), 0.3)
        return norm, layer.weight.grad.clone()

    layer = rushlight.nn.Linear(3, 2)
    compiled = rushlight.compile(step)
    for _ in range(3):
        x = rushlight.randn(4, 3)
        for ours, theirs in zip(compiled(x), step(x), strict=True):
            assert rushlight.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
