"""Transformer blocks over nested tensors give PyTorch's numbers, and those of each sequence alone."""

import numpy as np
import pytest

import rushlight
from tests.nested.blocks import blocks
from tests.nested.parity import assert_same, jagged, random_parts, told

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
LENGTHS = (5, 1, 7, 3)


def _run(torch, make, call, *inputs):
    """The outputs and all gradients of a module that has the same weights in both libraries."""
    torch.manual_seed(0)
    module = make(*blocks(torch))
    found = call(module, *inputs)
    (found.values() ** 2).sum().backward()
    grads = [p.grad for p in module.parameters()]
    return told([found, *grads, *[x.grad for x in inputs]])


MAKES = {
    "attention": lambda A, L, S: A(8, 8, 8, 8, 2),
    "without bias": lambda A, L, S: A(8, 8, 8, 8, 4, bias=False),
    "encoder layer": lambda A, L, S: L(8, 2, dropout=0.0),
    "norm last": lambda A, L, S: L(8, 2, dropout=0.0, norm_first=False),
    "dropout": lambda A, L, S: L(8, 2, dropout=0.3),
    "SwiGLU": lambda A, L, S: S(8, 16, 4),
}


@pytest.mark.parametrize("name", MAKES)
def test_blocks_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")

    def call(module, x):
        return module(x, x, x) if name in ("attention", "without bias") else module(x)

    parts = random_parts(0, 8, lengths=LENGTHS, dtype=np.float32)
    found, expected = (
        _run(t, MAKES[name], call, jagged(t, parts, True)) for t in (rushlight, torch)
    )
    assert_same(found, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("sizes", [(8, 8, 8), (8, 6, 5)])
def test_cross_attention_agrees_with_pytorch(sizes):
    torch = pytest.importorskip("torch")

    def run(t):
        parts = [random_parts(k, n, lengths=lengths, dtype=np.float32) for k, (n, lengths) in
                 enumerate(zip(sizes, (LENGTHS, (2, 4, 1, 6), (2, 4, 1, 6)), strict=True))]  # fmt: skip
        q, k = jagged(t, parts[0], True), jagged(t, parts[1], True)
        values = t.tensor(np.concatenate(parts[2]))
        v = t.nested.nested_tensor_from_jagged(values, k.offsets()).requires_grad_()
        return _run(t, lambda A, L, S: A(*sizes, 8, 2), lambda m, *x: m(*x), q, k, v)

    assert_same(run(rushlight), run(torch), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_each_sequence_is_computed_as_if_it_were_alone(causal):
    torch = rushlight
    layer = MAKES["encoder layer"](*blocks(torch)).double()
    parts = random_parts(3, 8, lengths=LENGTHS)
    found = layer(jagged(torch, parts), is_causal=causal).unbind()
    for part, mine in zip(parts, found, strict=True):
        alone = layer(torch.tensor(part)[None], is_causal=causal)
        torch.testing.assert_close(mine, alone[0], rtol=1e-12, atol=1e-13)


def test_a_block_trains():
    torch = rushlight
    torch.manual_seed(1)
    layer = MAKES["encoder layer"](*blocks(torch))
    x = jagged(torch, random_parts(3, 8, lengths=LENGTHS, dtype=np.float32))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (layer(x).mean(1) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
