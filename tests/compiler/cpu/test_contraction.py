"""Contractions as native kernels: every layout against NumPy in float64, in any order of chunks."""

import ctypes
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")
from llvmlite import ir

import rushlight as torch
from rushlight.compiler.codegen.emission import Launch
from rushlight.compiler.codegen.loop import address
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.value import INT, Value
from rushlight.compiler.cpu import loader
from rushlight.compiler.cpu.contraction import Contraction, Matrix, Storing, emit, plan
from rushlight.compiler.cpu.contraction_kernels import packing_chunks
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import threads

F4, F8, BF16, F2 = (np.dtype(t) for t in ("f4", "f8", ml_dtypes.bfloat16, "f2"))
KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)


def matrix(x, **how):
    *batch, row, column = (s // x.itemsize for s in x.strides)
    return Matrix(x.dtype, tuple(batch), row, column, **how)


def described(x, y, **forms):
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = (np.broadcast_to(v, batch + v.shape[-2:]) for v in (x, y))
    dtype = F8 if x.dtype == F8 else F4
    a, b = forms.get("a", matrix(x)), forms.get("b", matrix(y))
    return Contraction(dtype, batch, x.shape[-2], y.shape[-1], x.shape[-1], a, b), x, y


def aligned(size):
    memory = np.full(size + 128, 0xFF, np.uint8)  # all ones: NaN, where something unwritten is read
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


def computed(contraction, x, y, target, orders=3):
    """The result for several orders of the chunks, which must not matter."""
    steps = plan(contraction, target)
    batch, m, n = contraction.batch, contraction.m, contraction.n
    guarded = np.full((int(np.prod((*batch, m))) * n + 64), 7, contraction.dtype)
    out = guarded[: guarded.size - 64].reshape(*batch, m, n)
    strides = tuple(s // out.itemsize for s in out.strides)
    library = compiled(
        steps, Storing(2 + len(steps.temporaries), contraction.dtype, strides), target
    )
    results = []
    for seed in range(orders):
        out[...] = np.nan
        run(library, steps, [x, y, *[aligned(n) for n in steps.temporaries], out], seed)
        results.append(out.copy())
    assert all((r.view("u1") == results[0].view("u1")).all() for r in results)
    assert (guarded[guarded.size - 64 :] == 7).all()
    return results[0]


def compiled(steps, sink, target):
    module = ir.Module()
    emit(module, steps, sink)
    return loader.load(target.object_code(module))


def run(library, steps, buffers, seed=0):
    """Run all chunks, in order or as ``seed`` shuffles them."""
    args = (ctypes.c_void_p * len(buffers))(*[v.ctypes.data for v in buffers])
    for kernel in steps.kernels:
        function, scratch = KERNEL(library.address(kernel.name)), aligned(kernel.scratch)
        order = np.random.default_rng(seed).permutation(kernel.chunks)
        for chunk in order if seed else range(kernel.chunks):
            function(args, int(chunk), scratch.ctypes.data)


def check(x, y, target=None, **how):
    contraction, x, y = described(x, y)
    out = computed(contraction, x, y, target or host(), **how)
    wide, bound = (f(x.astype(F8)) @ f(y.astype(F8)) for f in (lambda v: v, abs))
    # Half the bound of a sum in any order; products are exact where they are fused.
    eps = np.finfo(out.dtype).eps / 2
    assert (abs(out - wide) <= bound * (contraction.k + 1) * eps + 1e-300).all()


def samples(shape, dtype=F4, seed=0, layout="C"):
    """Random numbers whose last two dims lie in memory as ``layout`` says."""
    *batch, m, n = shape
    draw = np.random.default_rng(seed).standard_normal
    if layout == "C":
        x = draw(shape)
    elif layout == "T":
        x = draw((*batch, n, m)).swapaxes(-1, -2)
    elif layout == "spread":  # no dim is contiguous
        x = draw((*batch, 2 * m, 3 * n))
    elif layout == "reversed":
        x = draw(shape)
    elif layout == "same row":
        x = draw((*batch, 1, n))
    elif layout == "same column":
        x = draw((*batch, m, 1))
    x = x.astype(dtype)
    if layout == "spread":
        return x[..., ::2, ::3]
    if layout == "reversed":
        return x[..., ::-1, ::-1]
    return np.broadcast_to(x, shape)


LAYOUTS = ["C", "T", "spread", "reversed", "same row", "same column"]
SHAPES = [
    (0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 8, 4), (5, 1, 37), (1, 40, 300), (7, 33, 19),
    (17, 31, 65), (64, 10, 128), (130, 67, 70), (29, 200, 700), (10, 12, 5003), (1, 3, 9001),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layouts", ["CC", "CT", "TC", "TT"])
def test_shapes(shape, layouts):
    m, n, k = shape
    check(samples((m, k), layout=layouts[0]), samples((k, n), layout=layouts[1], seed=1))


@pytest.mark.parametrize("count", [15, pytest.param(40, marks=pytest.mark.slow)])
def test_random(count):
    settings(max_examples=count, deadline=None, derandomize=True)(
        given(st.data())(random_product)
    )()


def random_product(data):
    size = st.one_of(st.integers(1, 20), st.integers(1, 150))
    m, n, k = (data.draw(size) for _ in range(3))
    dtype = data.draw(st.sampled_from([F4, F4, F8]))
    batch = data.draw(st.sampled_from([(), (3,), (2, 3), (2, 1, 2)]))
    parts = [data.draw(st.sampled_from([batch, (), tuple(1 for _ in batch)])) for _ in range(2)]
    layouts = [data.draw(st.sampled_from(LAYOUTS)) for _ in range(2)]
    x = samples((*parts[0], m, k), dtype, 0, layouts[0])
    check(x, samples((*parts[1], k, n), dtype, 1, layouts[1]), orders=2)


@pytest.mark.parametrize("dtype", [BF16, F2], ids=str)
@pytest.mark.parametrize("layouts", [("C", "C"), ("C", "T"), ("T", "spread")])
def test_half(dtype, layouts):
    for m, n, k in [(1, 50, 40), (33, 20, 17), (20, 20, 600)]:
        check(samples((m, k), dtype, 0, layouts[0]), samples((k, n), dtype, 1, layouts[1]))


@pytest.mark.parametrize("shape", [(3, 20, 9), (40, 50, 60), (6, 5, 5001), (300, 96, 1100)])
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_fused(shape, batch):
    """Both operands computed as they are read, and an epilogue that sees each sum once."""
    m, n, k = shape
    if batch and k > 1000:
        batch = (2, 1)
    x, y = samples((*batch, m, k)), samples((*batch, k, n), seed=1)
    bias, residual = samples((1, n), seed=2), samples((*batch, m, n), seed=3)
    out = residual.copy()

    def element(position, strides, indices, b, args, lanes, mask):
        offset = Value(b, ir.Constant(ir.IntType(64), 0), INT)
        for index, stride in zip(indices, strides, strict=True):
            offset = offset + Value(b, index, INT) * stride
        base = b.load(address(b, args, position, 8), typ=ir.PointerType())
        at = address(b, base, offset, 4)
        return at, load(b, at, F4, lanes, mask)

    def strides(v):
        return [s // 4 for s in v.strides]

    def fetch(position, v, scale):
        def read(b, args, batch, row, column, lanes, mask):
            indices = (*batch, row, column)
            return element(position, strides(v), indices, b, args, lanes, mask)[1] * scale

        return Matrix(F4, (0,) * len(batch), fetch=read)

    form, x, y = described(x, y, a=fetch(0, x, 2.0), b=fetch(1, y, -1.0))
    place = 2 + len(plan(form, host()).temporaries)

    def sink(b, args, batch, m, n, value, mask):
        at, old = element(place, strides(out), (*batch, m, n), b, args, value.lanes, mask)
        _, added = element(place + 1, [1], (n,), b, args, value.lanes, mask)
        store(b, old + value + added, at, F4, mask)

    steps = plan(form, host())
    buffers = [x, y, *[aligned(n) for n in steps.temporaries], out, bias]
    run(compiled(steps, sink, host()), steps, buffers)
    expected = residual + bias - 2 * (x.astype(F8) @ y.astype(F8))
    bound = abs(residual) + abs(bias) + 2 * (abs(x.astype(F8)) @ abs(y.astype(F8)))
    assert (abs(out - expected) <= bound * (k + 3) * np.finfo(F4).eps / 2).all()


@pytest.mark.parametrize("layouts", ["CC", "CT", "TC", "TT"])
def test_narrow_vectors(layouts):
    """The same on a target with other vectors, fewer registers, and no fused products."""
    narrow = replace(host(), vector_bytes=16, registers=16, fma=False, _machines={})
    for m, n, k in [(1, 1, 1), (5, 1, 37), (1, 40, 300), (33, 18, 70)]:
        x = samples((m, k), layout=layouts[0])
        check(x, samples((k, n), layout=layouts[1], seed=1), narrow, orders=2)


@pytest.mark.parametrize("shape", [(150, 200, 300), (9, 100, 9001)], ids=str)
def test_threads(shape):
    """The same bits for any number of threads."""
    m, n, k = shape
    contraction, x, y = described(samples((m, k)), samples((n, k), seed=1).T)
    steps = plan(contraction, host())
    out = np.empty((m, n), F4)
    library = compiled(steps, Storing(2 + len(steps.temporaries), F4, (n, 1)), host())
    buffers = [x, y, *[aligned(size) for size in steps.temporaries], out]
    args = (ctypes.c_void_p * len(buffers))(*[v.ctypes.data for v in buffers])
    threads.reserve(max(kernel.scratch for kernel in steps.kernels))
    before, results = torch.get_num_threads(), []
    assert max(kernel.chunks for kernel in steps.kernels) >= 4
    try:
        for count in (1, 2, 4, 4):
            torch.set_num_threads(count)
            out[...] = np.nan
            for kernel in steps.kernels:
                address = library.address(kernel.name)
                threads.PARALLEL(threads.parallel())(address, args, kernel.chunks, None)
            results.append(out.tobytes())
    finally:
        torch.set_num_threads(before)
    assert len(set(results)) == 1
    np.testing.assert_allclose(out, x @ y, rtol=1e-4, atol=1e-4 * k**0.5)


def test_rows_of_batches():
    """Batches that share the second operand are rows of one product, found in the right place."""
    x, w = samples((2, 3, 5, 7)), samples((7, 20), seed=1)
    contraction, *_ = described(x, w)
    cut, _ = plan(contraction, host()).choice
    assert {cut.rows, cut.columns} == {30, 20}
    check(x, w)
    check(x[:, ::-1], w)  # these are not


@pytest.mark.parametrize("when", ["chunk", "ahead"])
@pytest.mark.parametrize("block", [8, 21, 40])
@pytest.mark.parametrize("dtype", [F4, F8, BF16])
def test_packed_rows(when, block, dtype):
    """Tiles of a left operand that is copied, in blocks of the depth, are each on their own."""
    x, y = samples((40, 67), dtype).swapaxes(0, 1), samples((40, 50), dtype, seed=1)
    contraction, x, y = described(x, y)
    steps = plan(contraction, host())
    cut, parts = steps.choice
    cut = replace(cut, pack_left=when, depth_block=block, row_tiles=min(3, cut.tiles[0]))
    kernels = [Launch("c", int(np.prod(cut.grid)), sum(cut.scratch))]
    ahead = tuple(size for size in cut.ahead if size)
    if ahead:
        kernels.insert(0, Launch("c.pack", sum(packing_chunks(cut)), 0))
    steps = replace(steps, kernels=tuple(kernels), temporaries=ahead, choice=(cut, parts))
    out = np.full((67, 50), np.nan, contraction.dtype)
    library = compiled(steps, Storing(2 + len(ahead), contraction.dtype, (50, 1)), host())
    run(library, steps, [x, y, *map(aligned, ahead), out])
    want = x.astype(F8) @ y.astype(F8)
    np.testing.assert_allclose(out, want, rtol=1e-4, atol=1e-4)


def test_plan():
    """Work is cut by size; one kernel suffices unless a long sum makes a small result."""
    big = plan(described(samples((1024, 1024)), samples((1024, 1024)))[0], host())
    assert 16 <= big.kernels[-1].chunks <= 128
    small = plan(described(samples((4, 8)), samples((8, 4)))[0], host())
    assert [k.chunks for k in small.kernels] == [1]
    long = plan(described(samples((10, 65536)), samples((65536, 128)))[0], host())
    assert long.kernels[-1].name == "contraction.sum"
    assert long.kernels[-2].chunks >= 16
    batches = plan(described(samples((48, 64, 32)), samples((48, 32, 64)))[0], host())
    assert 4 <= batches.kernels[0].chunks <= 48
