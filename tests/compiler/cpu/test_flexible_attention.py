"""Attention whose kernel changes and hides scores, against the scores written out."""

import random
from functools import partial

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import rushlight as torch
from rushlight.compiler.capture.ranges import Range, ranges
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from rushlight.ops.core.definition import OPS
from tests.compiler.cpu.test_attention import names, programs  # noqa: F401 (a fixture)
from tests.daily import daily

B, H, L, S, E = 2, 4, 100, 140, 16


def inputs(heads=H, queries=L, keys=S, batch=B, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    shapes = (batch, H, queries, E), (batch, heads, keys, E), (batch, heads, keys, E)
    return [torch.randn(s).to(dtype).requires_grad_() for s in shapes]


def slopes(call, leaves):
    out = call(*leaves)
    torch.manual_seed(9)
    return [out, *torch.autograd.grad(out, leaves, torch.randn(out.shape).to(out.dtype))]


def compare(call, leaves, allowed=3e-5):
    """The compiled call and its gradients are the eager ones."""
    want, got = slopes(call, leaves), slopes(torch.compile(call, fullgraph=True), leaves)
    for w, g in zip(want, got, strict=True):
        assert g.dtype is w.dtype
        torch.testing.assert_close(g, w, rtol=allowed, atol=allowed)


def fused(found):
    """Whether each of the ``programs`` that computes attention has kernels that change scores."""
    every = [n for p in found for n in names(p)]
    return "flex_attention" in every and "bmm" not in every


# Rules, put together at random --------------------------------------------------------------


def rules(chance):
    """(score_mod, mask_mod), each a random expression, and the tensors that they read."""
    per_head, table = torch.randn(H), torch.randn(H, L + S)
    groups, batches = torch.arange(max(L, S)) // chance.randint(3, 60), torch.randn(B, 1, H)
    window, cap = chance.randint(1, 90), chance.choice([2.0, 20.0])
    changes = [
        lambda s, b, h, q, k: s + per_head[h] * (k - q),
        lambda s, b, h, q, k: s * torch.sigmoid(batches[b, 0, h]),
        lambda s, b, h, q, k: s + table[h, q - k + S - 1],
        lambda s, b, h, q, k: torch.tanh(s / cap) * cap,
        lambda s, b, h, q, k: torch.where((q + k) % 3 == 0, s * 0.5, s - 1),
        lambda s, b, h, q, k: s.abs().sqrt() + s * (q // 7 - k // 5),
        lambda s, b, h, q, k: s + (torch.minimum(q, k) - (q - k).abs().clamp(max=9)) * 0.01,
        lambda s, b, h, q, k: s + table[-1, (k - 3 * q).clamp(-50, 50)],
    ]
    masks = [
        lambda b, h, q, k: q >= k,
        lambda b, h, q, k: (q - k).abs() <= window,
        lambda b, h, q, k: groups[q] == groups[k],
        lambda b, h, q, k: (k + h * 3) % 5 != 1,
        lambda b, h, q, k: (q > 40) | (b == 1),
        lambda b, h, q, k: table[h, q] + table[h, k] > 0,
    ]
    chosen = chance.sample(changes, chance.randint(0, 3))
    shown = chance.sample(masks, chance.randint(0 if chosen else 1, 2))

    def change(score, *position):
        for c in chosen:
            score = c(score, *position)
        return score

    def mask(b, h, q, k):
        found = shown[0](b, h, q, k)
        return found if len(shown) < 2 else found & shown[1](b, h, q, k)

    return change if chosen else None, mask if shown else None


@pytest.mark.parametrize("seed", daily(range(24), 3, "rules of flexible attention"))
def test_random_rules(seed, programs):  # noqa: F811
    chance = random.Random(seed)
    torch.manual_seed(seed)
    change, mask = rules(chance)
    heads, size = chance.choice([1, 2, H]), chance.choice([128, 16, (32, 128), (128, 24)])
    batch, shared = chance.choice([(B, H), (None, H), (B, None), (None, None)])
    if mask is not None and (batch, shared) != (B, H):
        wider, mask = mask, lambda b, h, q, k: wider(b * 0, h * 0, q, k)
    block_mask = None
    if mask is not None:
        block_mask = create_block_mask(mask, batch, shared, L, S, BLOCK_SIZE=size)

    def call(q, k, v):
        return flex_attention(q, k, v, change, block_mask, enable_gqa=heads != H)

    compare(call, inputs(heads, seed=seed), 2e-4)
    assert fused(programs)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_dtypes(dtype, programs):  # noqa: F811
    """Half precision is computed in float32, and rounded once."""
    kind = getattr(torch, dtype)
    bias = torch.randn(H, S)
    change = lambda s, b, h, q, k: torch.tanh(s) + bias[h, k].to(s.dtype)
    mask = create_block_mask(lambda b, h, q, k: q + 20 >= k, None, None, L, S)
    call = lambda q, k, v: flex_attention(q, k, v, change, mask)
    leaves = inputs(dtype=kind)
    wide = slopes(call, [x.detach().double().requires_grad_() for x in leaves])
    got = slopes(torch.compile(call, fullgraph=True), leaves)
    assert fused(programs)
    for exact, g in zip(wide, got, strict=True):
        assert g.dtype is kind
        error = (g.double() - exact).abs().max()
        assert error <= 16 * torch.finfo(kind).eps * exact.abs().max()


# Blocks -------------------------------------------------------------------------------------


def test_a_mask_of_listed_blocks(programs):  # noqa: F811
    """Blocks that are not listed are hidden, and the rule holds inside of the others."""
    counts = torch.tensor([[[1, 2, 0, 1]]], dtype=torch.int32)
    columns = torch.tensor([[[[2, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]]]], dtype=torch.int32)
    full = torch.tensor([[[1, 0, 0, 1]]], dtype=torch.int32), columns.flip(-1)
    mask = BlockMask.from_kv_blocks(
        counts, columns, *full, BLOCK_SIZE=(32, 64), mask_mod=lambda b, h, q, k: (q + k) % 2 == 0
    )
    leaves = inputs(queries=128, keys=192)
    compare(lambda q, k, v: flex_attention(q, k, v, block_mask=mask), leaves)
    assert fused(programs)


def test_hidden_blocks_are_not_read(programs):  # noqa: F811
    """nan in a block of keys that the mask hides from all queries spreads to nothing."""
    mask = create_block_mask(lambda b, h, q, k: (k < 128) | (k >= 256), None, None, 64, 384)
    leaves = inputs(queries=64, keys=384)
    with torch.no_grad():
        leaves[2][:, :, 128:256] = float("nan")
    found = torch.compile(lambda q, k, v: flex_attention(q, k, v, block_mask=mask))(*leaves)
    assert fused(programs) and torch.isfinite(found).all()


@pytest.mark.slow
def test_memory(programs):  # noqa: F811
    """It grows with the length, not with its square."""
    sizes = []
    for length in (2048, 8192):
        mask = create_block_mask(lambda b, h, q, k: (q - k).abs() < 9, 1, 1, length, length)
        leaves = [torch.randn(1, 2, length, 8, requires_grad=True) for _ in range(3)]
        slopes(torch.compile(partial(flex_attention, block_mask=mask)), leaves)
        assembly = programs[-1].assembly
        sizes.append(assembly.arena + assembly.scratch)
    assert sizes[1] < 5 * sizes[0]


# What stays written out ---------------------------------------------------------------------


def test_a_tensor_with_a_gradient(programs):  # noqa: F811
    bias = torch.randn(H, requires_grad=True)
    leaves = [*inputs(), bias]
    compare(lambda q, k, v, bias: flex_attention(q, k, v, lambda s, b, h, *_: s + bias[h]), leaves)
    assert not fused(programs)


def test_an_index_that_may_be_out_of_range(programs):  # noqa: F811
    """It is checked at each run, so it raises as in eager mode."""
    table, places = torch.randn(20), torch.randint(0, 20, (L,))
    call = torch.compile(
        lambda q, k, v: flex_attention(q, k, v, lambda s, b, h, qi, ki: s + table[places[qi]])
    )
    leaves = inputs()
    call(*leaves)
    assert not fused(programs)
    places[3] = 20
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        call(*leaves)
    for index in (lambda q, k: q - k, lambda q, k: ~q, lambda q, k: ~(k + 0)):
        rule = lambda s, b, h, q, k, index=index: s + table[index(q, k)]
        with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
            torch.compile(lambda q, k, v, rule=rule: flex_attention(q, k, v, rule))(*leaves)


def test_a_rule_that_writes():
    """It is called for all positions, as ``vmap`` does it, or refused."""
    count = torch.zeros(())

    def rule(score, b, h, q, k):
        count.add_(1)
        return score

    found = flex_attention(*inputs(), rule)
    once = count.clone()
    compiled = torch.compile(lambda q, k, v: flex_attention(q, k, v, rule))(*inputs())
    torch.testing.assert_close(compiled, found)
    assert once > 0 and count == 2 * once


@pytest.mark.slow
def test_second_gradients():
    change = lambda s, b, h, q, k: torch.tanh(s) * s + (k - q) * 0.1
    mask = create_block_mask(lambda b, h, q, k: q >= k, None, None, 40, 40)

    def call(q, k, v):
        out = flex_attention(q, k, v, change, mask)
        first = torch.autograd.grad(out.square().sum(), (q, k, v), create_graph=True)
        return sum(g.square().sum() for g in first)

    compare(call, inputs(queries=40, keys=40), 1e-3)


@pytest.mark.slow
def test_numbers_and_tensors_of_later_calls():
    """What a rule captures may change between calls."""

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cap, self.bias = 2.0, torch.zeros(H)

        def forward(self, q, k, v):
            change = lambda s, b, h, qi, ki: torch.tanh(s / self.cap) * self.cap + self.bias[h]
            mask = create_block_mask(lambda b, h, qi, ki: qi >= ki, None, None, L, L)
            return flex_attention(q, k, v, change, mask)

    layer = Layer()
    compiled, leaves = torch.compile(layer), inputs(keys=L)
    for cap, bias in ((2.0, 0.0), (3.0, 0.0), (3.0, 1.0), (0.5, 2.0)):
        layer.cap = cap
        layer.bias += torch.arange(H) * bias
        torch.testing.assert_close(compiled(*leaves), layer(*leaves))


# Ranges -------------------------------------------------------------------------------------


UNARY = ["neg", "abs", "bitwise_not"]


def test_ranges_hold():
    """Each number of random integer expressions is in the range that was derived for it."""
    chance = random.Random(0)
    binary = ["add", "sub", "mul", "minimum", "maximum"]
    for _ in range(60):
        bounds = [sorted(chance.sample(range(-9, 10), 2)) for _ in range(2)]
        values = [Abstract((), np.int64) for _ in bounds]
        inputs, equations = list(values), []
        for _ in range(5):
            name = chance.choice([*binary, *UNARY, "floor_divide", "remainder", "clamp_number"])
            x, number = chance.choice(values), chance.randint(1, 6)
            ins = {
                **dict.fromkeys(UNARY, (x,)), "floor_divide": (x, number), "remainder": (x, number),
                "clamp_number": chance.choice([(x, -number, None), (x, None, number), (x, -2, 3)]),
            }.get(name, (x, chance.choice([*values, number])))  # fmt: skip
            out = Abstract((), np.int64)
            equations.append(Equation(OPS[name], ins, {}, [out]))
            values.append(out)
        known = {v.id: Range(*r) for v, r in zip(inputs, bounds, strict=True)}
        found = ranges(equations, known)
        for first in range(bounds[0][0], bounds[0][1] + 1):
            for second in range(bounds[1][0], bounds[1][1] + 1):
                numbers = {inputs[0].id: first, inputs[1].id: second}
                for e in equations:
                    args = [numbers[v.id] if isinstance(v, Abstract) else v for v in e.ins]
                    numbers[e.outs[0].id] = _exactly(e.op.name, *args)
                for i, n in numbers.items():
                    assert found[i].low <= n <= found[i].high


def _exactly(name, x, *others):
    y = others[0] if others else None
    if name == "clamp_number":
        low, high = others
        x = x if low is None else max(x, low)
        return x if high is None else min(x, high)
    return {
        "add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y, "neg": lambda: -x,
        "bitwise_not": lambda: ~x, "minimum": lambda: min(x, y), "maximum": lambda: max(x, y), "abs": lambda: abs(x),
        "floor_divide": lambda: x // y, "remainder": lambda: x % y,
    }[name]()  # fmt: skip
