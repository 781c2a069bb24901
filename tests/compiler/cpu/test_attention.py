"""Attention in blocks: kernels and programs against the eager operation."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import rushlight as torch
from rushlight.compiler.cpu import attention
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import native_program
from rushlight.nn import functional as F
from rushlight.ops.sequence.attention import _attention, _attention_back
from tests.compiler.windows import computed, guarded
from tests.daily import daily

INF = float("inf")
EAGER = {"attention": _attention.op, "attention_backward": _attention_back.op}
every_op = pytest.mark.parametrize("op", EAGER)

#: (batch, queries, keys, features, outputs, causal)
CASES = {
    "benchmark": ((2, 3), 64, 64, 32, 32, True),
    "odd": ((3,), 101, 37, 20, 33, False),
    "one vector": ((2,), 9, 70, 17, 5, True),
    "blocks of keys": ((2,), 70, 300, 16, 40, False),
    "blocks of both": ((1, 2, 1), 150, 290, 24, 16, True),
    "queries after the keys": ((2,), 150, 40, 8, 8, True),
    "few keys": ((2,), 70, 3, 5, 1, False),
    "wide": ((1,), 40, 45, 130, 150, False),
    "one head": ((), 50, 50, 8, 8, True),
    "parts of a head": ((1, 2), 600, 310, 17, 16, True),
    "parts": ((), 1100, 40, 8, 8, False),
}


def operands(op, batch, queries, keys, features, outputs, dtype=np.float32, growth=0.0):
    """Gradient (if it is read), query, key and value."""
    rng = np.random.default_rng(0)
    shapes = [(queries, features), (keys, features), (keys, outputs)]
    if op == "attention_backward":
        shapes.insert(0, (queries, outputs))
    found = [rng.standard_normal((*batch, *s)).astype(dtype) for s in shapes]
    found[-2] *= 1 + growth * np.arange(keys, dtype=dtype)[:, None] / keys
    return found


def exactly(op, arrays, **params):
    found = EAGER[op].forward(np, *arrays, **params)
    return np.concatenate([x.ravel() for x in found]) if type(found) is tuple else found


def check(op, arrays, mask=None, causal=False, **how):
    ins = [*arrays, mask] if mask is not None else arrays
    params = {"scale": arrays[-2].shape[-1] ** -0.5, "causal": causal}
    description = attention.describe(EAGER[op].form, ins, None, params)
    out = computed(attention, description, ins, arrays[0].dtype, **how)
    exact = exactly(op, cast(ins, np.float64), **params)
    assert (np.isnan(out) == np.isnan(exact)).all()
    # As near as the matrices written out, which are summed in other orders.
    allowed = np.finfo(out.dtype).eps * (3 * roundings(op, ins, params) + 2 * largest(exact))
    assert largest(out - exact) <= allowed
    return out


def cast(arrays, dtype):
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


def largest(x):
    return np.nanmax(abs(x))


def roundings(op, ins, params):
    """The error of the eager operation, in units of its dtype's eps."""
    narrow = cast(ins, np.float32)
    error = exactly(op, narrow, **params) - exactly(op, cast(narrow, np.float64), **params)
    return largest(error) / np.finfo(np.float32).eps


@every_op
@pytest.mark.parametrize("case", daily(CASES, 3, "attention of shapes"))
def test_shapes(op, case):
    *shape, causal = CASES[case]
    check(op, operands(op, *shape), causal=causal)


@every_op
@pytest.mark.parametrize("causal", [True, False])
def test_float64_and_layouts(op, causal):
    """Views of one tensor, turned ones, repeated heads; nothing outside them is read."""
    arrays = operands(op, (2, 3), 70, 70, 16, 16, np.float64)
    joined = np.stack([a.transpose(0, 2, 1, 3) for a in arrays], 2).copy()
    check(op, [joined[:, :, i].transpose(0, 2, 1, 3) for i in range(len(arrays))], causal=causal)
    turned = [guarded(a.swapaxes(-1, -2).copy().swapaxes(-1, -2)) for a in arrays]
    check(op, turned, causal=causal)
    shared = [*arrays[:-2], *[np.broadcast_to(a[:, :1], a.shape) for a in arrays[-2:]]]
    check(op, shared, causal=causal)
    assert causal or np.isfinite(check(op, [guarded(a) for a in arrays])).all()


@every_op
@pytest.mark.parametrize(
    ("vector", "registers", "fma"),
    daily([(32, 16, True), (16, 16, False)], 1, "narrower attention"),
)
def test_narrower_vectors(op, vector, registers, fma):
    """The code of processors with shorter and fewer registers, which this one can run, too."""
    if vector >= host().vector_bytes:
        pytest.skip("this processor has none wider")
    narrow = {"vector_bytes": vector, "registers": registers, "fma": fma, "_machines": {}}
    target = dataclasses.replace(host(), **narrow)
    check(op, operands(op, (2,), 45, 150, 20, 9), causal=True, target=target)


# Masks ------------------------------------------------------------------------------------


def masks(dtype):
    """Masks for (2, 3) heads of 45 queries and 150 keys."""
    rng = np.random.default_rng(1)
    each = rng.random((2, 1, 45, 150)) < 0.6
    each[0, :, 7] = False
    first = np.arange(150) >= 140
    bias = np.where(each, rng.standard_normal(each.shape), -INF).astype(dtype)
    heads = rng.standard_normal((3, 45, 150)).astype(dtype)
    return {
        "each": each,
        "each, turned": each.swapaxes(-1, -2).copy().swapaxes(-1, -2),
        "keys": rng.random((2, 1, 1, 150)) < 0.4,
        "the first blocks hidden": np.broadcast_to(first, (45, 150)),
        "queries": np.arange(45).reshape(45, 1) % 3 > 0,
        "bias": bias,
        "bias of heads": heads,
        "bias of keys": heads[:, :1],
        "lowest": np.full((45, 150), np.finfo(np.float32).min, dtype),
    }


@every_op
@pytest.mark.parametrize("mask", daily(masks(np.float32), 1, "attention with masks"))
def test_masks(op, mask):
    """Queries that see nothing attend to nothing."""
    check(op, operands(op, (2, 3), 45, 150, 12, 12), masks(np.float32)[mask])
    check(op, operands(op, (2, 3), 45, 150, 12, 12, np.float64), masks(np.float64)[mask])


@every_op
def test_scores_that_grow(op):
    """What was summed before is scaled again and again; scores go up to hundreds."""
    arrays = operands(op, (2,), 33, 400, 64, 16, growth=60.0)
    assert abs(arrays[-3] @ arrays[-2].swapaxes(-1, -2)).max() / 8 > 200
    check(op, arrays)


@every_op
def test_nan(op):
    """nan spreads where a query sees it, and only there."""
    arrays = operands(op, (2,), 40, 150, 8, 8)
    arrays[-2][0, 60, 3] = np.nan
    shown = np.ones((40, 150), bool)
    shown[:, 60] = False
    found = check(op, arrays, shown)
    assert op == "attention_backward" or not np.isnan(found).any()
    assert np.isnan(check(op, arrays)).any()
    arrays[-2][0, 60, 3], arrays[-2][1, 5, 0] = 0, INF
    check(op, arrays)


# Programs ---------------------------------------------------------------------------------


@pytest.fixture
def programs(monkeypatch):
    """The native programs that are made."""
    found = []
    init = native_program.NativeProgram.__init__

    def noted(self, *args):
        init(self, *args)
        found.append(self)

    monkeypatch.setattr(native_program.NativeProgram, "__init__", noted)
    return found


def names(program):
    return [e.op.name for g in program.schedule.groups for e in g.members]


def model(x, w, mask=None, **options):
    b, t, width = x.shape
    q, k, v = (y.view(b, t, 2, width // 6).transpose(1, 2) for y in x.split(width // 3, 2))
    y = F.scaled_dot_product_attention(q, k, v, mask, **options)
    return y.transpose(1, 2).reshape(b, t, width // 3) * w


def slope(x, w, mask=None, **options):
    y = model(x, w, mask, **options)
    return y, torch.autograd.grad(y.sum(), x)[0]


@pytest.mark.parametrize(
    "dtype", daily(["float32", "float64", "float16", "bfloat16"], 2, "programs with attention")
)
@pytest.mark.parametrize("masked", [True, False])
def test_program(dtype, masked, programs):
    """One kernel a direction, of views of one tensor."""
    torch.manual_seed(0)
    kind = getattr(torch, dtype)
    x = torch.randn(2, 70, 6 * 20).to(kind).requires_grad_()
    w = torch.randn(2, 70, 2 * 20).to(kind)
    mask = torch.rand(2, 1, 70, 70) < 0.5 if masked else None
    options = {"is_causal": not masked}
    call = lambda x, w: slope(x, w, mask, **options)
    want, got = call(x, w), torch.compile(call)(x, w)
    (program,) = programs
    assert names(program).count("attention") == names(program).count("attention_backward") == 1
    assert "bmm" not in names(program)
    wide = slope(x.detach().double().requires_grad_(), w.double(), mask, **options)
    for g, e, exact in zip(got, want, wide, strict=True):
        assert g.dtype is kind
        error, near = (largest((y.double() - exact).detach().numpy()) for y in (g, e))
        assert error <= 3 * near + 4 * torch.finfo(kind).eps * largest(exact.detach().numpy())


def test_epilogue(programs):
    """What follows elementwise is done to the results before they are stored."""
    x, w = torch.randn(2, 40, 6 * 8), torch.randn(2, 40, 2 * 8)
    got = torch.compile(lambda x, w: torch.relu(model(x, w) + 1))(x, w)
    torch.testing.assert_close(got, torch.relu(model(x, w) + 1))
    kinds = [g.kind for g in programs[0].schedule.groups]
    assert "contraction" in kinds and len(kinds) <= 2


def test_memory(programs):
    """It grows with the length, not with its square."""
    sizes = []
    for length in (2048, 8192):  # from where a head has its largest number of parts
        x, w = torch.randn(1, length, 6 * 8), torch.randn(1, length, 2 * 8)
        torch.compile(slope)(x.requires_grad_(), w)
        assembly = programs[-1].assembly
        sizes.append(assembly.arena + assembly.scratch)
    assert sizes[1] < 5 * sizes[0]
    assert programs[0].assembly.arena < 2048 * 2048 * 4


@pytest.mark.parametrize(
    ("shape", "options"),
    [((2, 70, 48), {"dropout_p": 0.5}), ((2, 20, 48), {})],
    ids=["dropout", "short"],
)
def test_written_out_where_that_is_better(shape, options, programs):
    x, w = torch.randn(*shape), torch.randn(*shape[:2], shape[2] // 3)
    torch.compile(lambda x, w: model(x, w, **options))(x, w)
    assert "bmm" in names(programs[0])
