"""Convolutions as native kernels: all geometries against the eager operations in float64."""

import dataclasses
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

import rushlight as torch
from rushlight.compiler.codegen.frame import storing
from rushlight.compiler.codegen.value import constant, select
from rushlight.compiler.cpu import convolution, convolution_product, costs
from rushlight.compiler.cpu.contractions import Product
from rushlight.compiler.cpu.target import host
from rushlight.dtype import bfloat16
from rushlight.ops.windows.conv import conv, conv_input, conv_weight
from rushlight.ops.windows.window import output_size
from tests.compiler.windows import computed, guarded
from tests.daily import daily

OPS = {
    "convolution": conv,
    "convolution_input_grad": conv_input,
    "convolution_weight_grad": conv_weight,
}
CASES = {
    "plain": (2, 3, 5, (7, 9), (3, 3), {}),
    "padded": (2, 3, 20, (7, 9), (3, 3), {"padding": (1, 1)}),
    "strided": (3, 4, 6, (7, 9), (3, 2), {"stride": (2, 3), "padding": (1, 0), "groups": 2}),
    "dilated": (
        3,
        4,
        18,
        (11, 10),
        (3, 2),
        {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 3)},
    ),
    "gaps": (2, 3, 4, (9, 9), (2, 2), {"stride": (2, 2), "dilation": (2, 2)}),
    "points": (2, 3, 40, (9, 9), (1, 1), {"stride": (2, 2), "padding": (3, 3)}),
    "depth": (2, 2, 17, (5, 6, 7), (3, 2, 3), {"stride": (2, 1, 2), "padding": (1, 1, 0)}),
    "line": (3, 2, 3, (33,), (5,), {"stride": (2,), "padding": (2,)}),
    "long": (1, 2, 20, (150,), (31,), {"padding": (15,)}),
    "pieces of rows": (2, 3, 20, (2100,), (7,), {"padding": (3,)}),
    "strided pieces": (
        2,
        3,
        10,
        (6400,),
        (5,),
        {"padding": (3,), "stride": (3,), "dilation": (2,)},
    ),
    "pieces of two rows": (2, 3, 5, (3, 2100), (2, 3), {"padding": (1, 1)}),
    "small images": (20, 20, 17, (4, 4), (3, 3), {"padding": (1, 1)}),
    "depthwise": (2, 8, 8, (19, 30), (3, 3), {"padding": (1, 1), "groups": 8}),
    "patches": (2, 3, 16, (32, 32), (16, 16), {"stride": (16, 16)}),
    "one place": (5, 40, 33, (3, 3), (3, 3), {}),
    "wide": (1, 70, 70, (20, 40), (3, 3), {"padding": (1, 1)}),
    "no image": (0, 2, 3, (5, 5), (3, 3), {}),
    "no channel": (2, 0, 3, (5, 5), (3, 3), {}),
}


def arrays_of(op, n, c, o, size, kernel, dtype, bias=False, **windows):
    """(inputs, params, shape of the result) of an operation."""
    one, zero = (1,) * len(size), (0,) * len(size)
    params = {"stride": one, "padding": zero, "dilation": one, "groups": 1, **windows}
    steps = params["stride"], params["padding"], params["dilation"]
    places = output_size(size, kernel, *steps)
    x, w, g = (n, c, *size), (o, c // params["groups"], *kernel), (n, o, *places)
    rng = np.random.default_rng(0)
    draw = lambda shape: rng.standard_normal(shape).astype(dtype)
    if op == "convolution":
        return [draw(x), draw(w), *[draw((o,))] * bias], params, g
    if op == "convolution_input_grad":
        return [draw(g), draw(w)], {"size": size, **params}, x
    return [draw(g), draw(x)], {"kernel_size": kernel, **params}, w


def check(op, arrays, params, shape, product=False, flat=False, **how):
    """Compare with the eager operation; ``product``: by the kernels of products of matrices."""
    description = convolution.describe(OPS[op].op.form, arrays, shape, params)
    description = dataclasses.replace(description, flat=product or flat)
    if product:
        assert convolution_product.fits(description, how.get("target") or host())
    out = computed(convolution, description, arrays, arrays[0].dtype, **how).reshape(shape)
    wide = [a.astype(np.float64) for a in arrays]
    exact = OPS[op].op.forward(np, *wide, **params)
    # Any order of summation is within terms · eps / 2 of the sum of absolute values.
    bound = OPS[op].op.forward(np, *map(abs, wide), **params)
    terms = math.prod(arrays[0].shape[2:]) * len(arrays[0]) + math.prod(arrays[1].shape[1:]) + 9
    compute = np.dtype(np.float32) if out.dtype.itemsize == 2 else out.dtype
    slack = bound * terms * np.finfo(compute).eps / 2
    if out.dtype.itemsize == 2:
        slack = slack + abs(exact) * 2.0**-8
    assert (abs(out.astype(np.float64) - exact) <= slack).all()


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("case", daily([*CASES], 8, "geometries"))
def test_geometries(op, case):
    n, c, o, size, kernel, windows = CASES[case]
    check(op, *arrays_of(op, n, c, o, size, kernel, np.float32, bias=True, **windows))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", ["float64", "float16", bfloat16.numpy], ids=str)
def test_dtypes(op, dtype):
    check(op, *arrays_of(op, 2, 5, 9, (6, 11), (3, 3), dtype, padding=(1, 1), bias=True))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("vector", "registers", "fma"), [(32, 16, True), (16, 16, False)])
def test_narrower_vectors(op, vector, registers, fma):
    """The code of processors with shorter and fewer registers, which this one can run, too."""
    if vector >= host().vector_bytes:
        pytest.skip("this processor has none wider")
    narrow = {"vector_bytes": vector, "registers": registers, "fma": fma, "_machines": {}}
    case = arrays_of(op, 2, 5, 20, (9, 13), (3, 3), np.float32, padding=(1, 1), stride=(1, 2))
    check(op, *case, target=dataclasses.replace(host(), **narrow))


@pytest.mark.parametrize("op", OPS)
def test_layouts(op):
    """Operands may have any strides; nothing outside them is read."""
    arrays, params, shape = arrays_of(op, 3, 4, 10, (6, 7), (3, 2), np.float32, stride=(1, 2))
    turned = [guarded(np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1)) for a in arrays]
    check(op, turned, params, shape)
    check(op, [guarded(a) for a in arrays], params, shape)
    flat = [np.broadcast_to(a[..., :1], a.shape) for a in arrays]
    check(op, flat, params, shape)


#: Convolutions as products: (N, C, O, size, kernel, windows).
PRODUCTS = {
    "points": (3, 7, 20, (5, 9), (1, 1), {}),
    "one place": (4, 33, 5, (1, 1), (1, 1), {}),
    "points of a line": (1, 5, 3, (40,), (1,), {}),
    "points of a volume": (2, 3, 18, (3, 5, 7), (1, 1, 1), {}),
    "windows": (1, 9, 20, (7, 7), (3, 3), {"padding": (1, 1)}),
    "far windows": (1, 4, 17, (12, 13), (3, 2), {"stride": (2, 1), "padding": (2, 1), "dilation": (2, 3)}),
    "strided points": (1, 9, 5, (9, 16), (1, 1), {"stride": (2, 2)}),
    "padded points": (1, 3, 4, (6, 6), (1, 1), {"padding": (1, 1)}),
    "as many places as points": (1, 3, 9, (2, 2), (1, 1), {"stride": (2, 2), "padding": (1, 1)}),
    "line": (1, 3, 6, (33,), (5,), {"stride": (2,), "padding": (2,)}),
    "depth": (1, 2, 17, (5, 4, 6), (3, 2, 3), {"stride": (2, 1, 1), "padding": (1, 1, 0)}),
}  # fmt: skip


@pytest.mark.parametrize("case", PRODUCTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products(case, dtype, monkeypatch):
    monkeypatch.setattr(costs, "LARGE_WEIGHT", 0)
    n, c, o, size, kernel, windows = PRODUCTS[case]
    arrays, params, shape = arrays_of("convolution", n, c, o, size, kernel, dtype, **windows)
    check("convolution", arrays, params, shape, product=True)
    if len(size) == 2:  # channels last, between pages that may not be touched
        x = guarded(np.moveaxis(np.moveaxis(arrays[0], 1, -1).copy(), -1, 1))
        check("convolution", [x, guarded(arrays[1])], params, shape, product=True)


@pytest.mark.parametrize("case", [k for k, v in PRODUCTS.items() if "points" in k and not v[-1]])
def test_input_gradients_as_products(case):
    n, c, o, size, kernel, _ = PRODUCTS[case]
    given = arrays_of("convolution_input_grad", n, c, o, size, kernel, np.float32)
    check("convolution_input_grad", *given, product=True)


def test_epilogues_decide_what_is_flat(monkeypatch, tmp_path):
    """A vector of results may go on in the next row only if everything that is fused does."""
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", str(tmp_path))  # so that kernels are planned
    chosen = []
    flat = Product._flat
    monkeypatch.setattr(Product, "_flat", lambda self: chosen.append(flat(self)) or chosen[-1])
    x, w, rows = torch.randn(2, 3, 6, 7), torch.randn(4, 3, 1, 1), torch.randn(6, 1)
    cases = [
        (True, lambda: torch.conv2d(x, w).relu()),
        (True, lambda: torch.conv2d(x, w) + torch.randn(4, 1, 1)),
        (False, lambda: torch.conv2d(x, w) * rows),
        (False, lambda: torch.conv2d(x, w) + torch.arange(7.0)),
    ]
    for wanted, call in cases:
        chosen.clear()
        torch.manual_seed(0)
        found = torch.compile(call)()
        assert {*chosen} == {wanted}
        torch.manual_seed(0)
        torch.testing.assert_close(found, call())


def test_sink():
    """Each result passes the sink once, where it can be changed."""

    def sink(place, dtype, strides):
        store = storing(place, dtype, strides)

        def rectified(b, args, indices, value, mask):
            zero = constant(b, 0, value.dtype)
            store(b, args, indices, select(value > zero, value, zero), mask)

        return rectified

    arrays, params, shape = arrays_of("convolution", 2, 3, 5, (8, 20), (3, 3), np.float32)
    description = convolution.describe("result", arrays, shape, params)
    plain = computed(convolution, description, arrays, np.float32)
    changed = computed(convolution, description, arrays, np.float32, sink=sink)
    assert (plain < 0).any()
    assert (changed == np.maximum(plain, 0)).all()


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_any_geometry(data):
    draw = lambda low, high: data.draw(st.integers(low, high))
    rank, groups, largest = draw(1, 3), draw(1, 3), draw(0, 1) * 3 + 1
    kernel, stride, dilation, padding = (
        tuple(draw(low, high) for _ in range(rank))
        for low, high in ((1, largest), (1, 3), (1, 2), (0, 3))
    )
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + draw(0, 12)
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    windows = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    op = data.draw(st.sampled_from(list(OPS)))
    channels, outputs = groups * draw(1, 5), groups * draw(1, 20)
    arrays, params, shape = arrays_of(
        op, draw(1, 4), channels, outputs, size, kernel, np.float32, **windows
    )
    if op == "convolution_input_grad":  # elements past the last window, as output_padding makes
        rest = [draw(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True)]
        params["size"] = tuple(n + r for n, r in zip(size, rest, strict=True))
        shape = (*shape[:2], *params["size"])
    with mock.patch.object(costs, "LARGE_WEIGHT", 0):
        check(op, arrays, params, shape, flat=data.draw(st.booleans()))


#: The shape of a weight and how it lies in memory, so that each way of packing is taken.
WEIGHTS = {
    "contiguous": ((29, 17, 3, 3), lambda w: w),
    "channels last": ((29, 17, 3, 3), lambda w: w.to(memory_format=torch.channels_last)),
    "two taps": ((29, 33, 1, 2), lambda w: w),
    "turned": ((29, 17, 3, 3), lambda w: w.transpose(0, 1).contiguous().transpose(0, 1)),
    "every other": ((29, 17, 3, 3), lambda w: torch.cat([w, w]).view(29, 2, 17, 3, 3)[:, 1]),
    "few results": ((3, 17, 3, 3), lambda w: w),
}  # fmt: skip


PACKED = [
    (name, dtype, stride)
    for name in WEIGHTS
    for dtype in (torch.float32, torch.float64, torch.bfloat16)
    for stride in (1, 2, (3, 1))
]


@pytest.mark.parametrize("name, dtype, stride", daily(PACKED, 3, "packed weights"))
def test_each_way_of_packing_the_weight(name, dtype, stride):
    shape, lay = WEIGHTS[name]
    rng = np.random.default_rng(0)
    drawn = lambda *shape: torch.tensor(rng.integers(-4, 5, shape)).to(dtype)
    x, w = drawn(2, shape[1], 7, 9), lay(drawn(*shape))

    def both(x, w, g):
        y = torch.nn.functional.conv2d(x, w, None, stride, 1)
        return y.detach(), *torch.autograd.grad(y, (x, w), g)

    g = drawn(*torch.nn.functional.conv2d(x, w, None, stride, 1).shape)
    inputs = [t.requires_grad_() for t in (x, w)]
    wide = [t.detach().double().contiguous().requires_grad_() for t in (x, w)]
    want = both(*wide, g.double())
    for found, exact in zip(torch.compile(both, fullgraph=True)(*inputs, g), want, strict=True):
        # Sums of small whole numbers are exact in float32; bfloat16 rounds them once.
        torch.testing.assert_close(found, exact.to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize(
    "windows", [{"padding": (1, 0)}, {"stride": (1, 2)}, {"stride": (2, 2), "padding": (1, 1)}]
)
def test_only_points_of_one_image_are_products_in_batches(windows):
    arrays, params, shape = arrays_of(
        "convolution", 3, 40, 50, (2, 32), (1, 1), np.float32, **windows
    )
    check("convolution", arrays, params, shape, flat=True)


@pytest.mark.parametrize("size", [(30,), (5, 6), (3, 4, 5)])
def test_elements_past_the_last_window_are_zeros(size):
    """A transposed convolution of one tap with output_padding."""
    rest = (1,) + (0,) * (len(size) - 1)
    call = getattr(torch.nn.functional, f"conv_transpose{len(size)}d")
    f = lambda x, w: call(x, w, output_padding=rest, dilation=2)
    x, w = torch.randn(2, 4, *size), torch.randn(4, 3, *[1] * len(size))
    torch.testing.assert_close(torch.compile(f)(x, w), f(x, w))
