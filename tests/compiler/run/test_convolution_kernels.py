"""Convolutions of eager mode: one kernel serves several numbers of images."""

from collections import OrderedDict

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import rushlight as torch
from rushlight.compiler.cpu import convolution_product
from rushlight.compiler.run import convolution_kernels, eager_kernels
from rushlight.compiler.run.convolution_kernels import Images, planned_images
from rushlight.compiler.run.operation_program import Single
from rushlight.ops.windows.max_pool import max_pool_grad, pool_geometry
from tests.compiler.cpu.test_convolution import CASES, OPS, PRODUCTS, arrays_of
from tests.compiler.windows import guarded
from tests.daily import daily

GEOMETRIES = {**CASES, **{f"product, {k}": v for k, v in PRODUCTS.items()}}
del GEOMETRIES["no channel"]
#: In a call with another number of images the scratch memory holds what the call before left.
NUMBERS = (4, 7, 2, 3, 1), (33, 8, 9, 20, 33)


def check(op, kernel, arrays, params, shape):
    """The results of ``kernel``, compared with NumPy's."""
    (found,) = kernel([guarded(a) for a in arrays])
    assert found.shape == shape and found.dtype == arrays[0].dtype
    wide = [a.astype(np.float64) for a in arrays]
    exact = OPS[op].op.forward(np, *wide, **params)
    scale = OPS[op].op.forward(np, *map(abs, wide), **params)
    assert (abs(found - exact) <= scale * 1e-5).all()
    return found


@pytest.mark.parametrize("numbers", NUMBERS, ids=["few", "many"])
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("case", daily([*GEOMETRIES], 8, "geometries"))
def test_any_number_of_images(op, case, numbers):
    _, c, o, size, kernel, windows = GEOMETRIES[case]
    made, results = {}, {}
    for n in numbers:
        given = arrays_of(op, n, c, o, size, kernel, np.float32, bias=True, **windows)
        key = planned_images(n)
        made[key] = made.get(key) or Images(OPS[op].op, *given[:2])
        found = check(op, made[key], *given)
        assert (found == results.setdefault(n, found)).all()  # whatever was computed in between


#: (images, channels, outputs, size, kernel, windows) of convolutions that have many channels.
SHAPES = [
    (5, 24, 40, (9, 11), (3, 3), {}), (4, 40, 24, (17, 6), (3, 3), {"padding": (1, 1)}),
    (7, 8, 70, (5, 30), (5, 3), {"padding": (2, 1)}), (1, 33, 8, (40, 3), (1, 3), {}),
    (2, 64, 64, (4, 4), (3, 3), {"padding": (2, 2), "dilation": (2, 2)}),
    (6, 16, 19, (23, 8), (3, 2), {}), (33, 9, 31, (12, 12), (3, 3), {"padding": (1, 1)}),
    (3, 10, 12, (2, 1100), (2, 3), {}), (3, 16, 24, (15, 14), (3, 3), {"stride": (2, 2)}),
    (2, 48, 32, (31, 9), (5, 5), {"stride": (2, 2), "padding": (2, 2)}),
]  # fmt: skip


@pytest.mark.parametrize("op", OPS)
def test_shapes_share_code(op, monkeypatch):
    """Sizes are read when the code runs: each shape uses code that was written for another one."""
    monkeypatch.setattr(convolution_kernels, "_libraries", {})
    own = []
    for n, c, o, size, kernel, windows in SHAPES + SHAPES[::-1]:
        given = arrays_of(op, n, c, o, size, kernel, np.float32, **windows)
        images = Images(OPS[op].op, *given[:2])
        own.append(images.code.library)
        check(op, images, *given)
    assert len({*map(id, own)}) < len(SHAPES)


def _drawn(rng):
    """(images, channels, outputs, size, kernel, windows) of a random convolution."""
    n, dims = int(rng.choice([1, 2, 5, 33])), int(rng.choice([1, 2, 2, 2, 3]))
    some = lambda *numbers: tuple([int(rng.choice(numbers)) for _ in range(dims)])
    groups = int(rng.choice([1, 2, 7, 40]))
    c, o = groups * int(rng.choice([1, 1, 2, 5])), groups * int(rng.choice([1, 1, 2, 9]))
    kernel, dilation = some(1, 2, 3, 5), some(1, 1, 2)
    least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = tuple([m + int(rng.integers(0, (30, 30, 18, 8)[dims])) for m in least])
    padding = tuple([int(rng.integers(0, k)) for k in kernel])
    stride = some(1, 1, 2, 3)
    return n, c, o, size, kernel, {
        "groups": groups, "padding": padding, "stride": stride, "dilation": dilation,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("op", OPS)
def test_frequent_calls_get_code_of_their_own(op, monkeypatch):
    """The results of the code for many shapes and of the code for one are the same, bit by bit."""
    monkeypatch.setattr(convolution_kernels, "_libraries", {})
    monkeypatch.setattr(convolution_kernels, "_CALLS", 2)
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", "")
    rng = np.random.default_rng(len(op))
    exchanged = 0
    for _ in range(16):
        n, c, o, size, kernel, windows = _drawn(rng)
        bias = bool(rng.integers(2))
        given = arrays_of(op, n, c, o, size, kernel, np.float32, bias, **windows)
        images = Images(OPS[op].op, *given[:2])
        code = images.code
        first, second = check(op, images, *given), check(op, images, *given)
        exchanged += images.code is not code
        assert (first == second).all(), (n, c, o, size, kernel, windows)
        assert images.code is code or (code.plan.sizes and not images.code.plan.sizes)
    assert exchanged > 4


def test_a_call_that_is_replayed_gets_code_of_its_own(monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", "")
    given = arrays_of("convolution", 2, 8, 8, (9, 7), (3, 3), np.float32, groups=8)
    images = Images(OPS["convolution"].op, *given[:2])
    assert images.code.plan.sizes
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert images.loop(2)
    finally:
        torch.set_num_threads(threads)
    assert not images.code.plan.sizes
    check("convolution", images, *given)


def test_the_code_of_many_shapes_stays_if_no_other_can_be_made(monkeypatch):
    given = arrays_of("convolution", 2, 8, 8, (9, 7), (3, 3), np.float32, groups=8)
    images = Images(OPS["convolution"].op, *given[:2])
    code = images.code
    assert code.plan.sizes
    monkeypatch.setattr(images, "_planned", None)
    images.calls = 1
    check("convolution", images, *given)
    assert images.code is code and not images.calls


def test_products():
    """Windows of one element are products for any number of images, too."""
    arrays, params, shape = arrays_of("convolution", 9, 40, 33, (7, 5), (1, 1), np.float32)
    kernel = Images(OPS["convolution"].op, arrays, params)
    assert convolution_product.fits(kernel.code.plan.description, kernel.code.plan.target)
    for n in (9, 8, 50):
        arrays, params, shape = arrays_of("convolution", n, 40, 33, (7, 5), (1, 1), np.float32)
        check("convolution", kernel, arrays, params, shape)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_dtypes(dtype):
    arrays, params, _ = arrays_of("convolution", 3, 4, 5, (6, 7), (3, 3), dtype, bias=True)
    kernel = Images(OPS["convolution"].op, arrays, params)
    wide = OPS["convolution"].op.forward(np, *[a.astype("f8") for a in arrays], **params)
    (found,) = kernel(arrays)
    np.testing.assert_allclose(found, wide, rtol=1e-2 if dtype == "float16" else 1e-12, atol=1e-2)


def test_a_smaller_last_batch_compiles_nothing(monkeypatch):
    monkeypatch.setattr(eager_kernels, "_kernels", OrderedDict())
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3)
    )
    for n, more in ((32, True), (17, False), (8, False), (32, False)):
        before = len(eager_kernels._kernels)
        model(torch.randn(n, 3, 32, 32)).sum().backward()
        assert (len(eager_kernels._kernels) > before) == more


@pytest.mark.parametrize("windows", [(3, 2, 1), (2, 2, 0), (3, 1, 1), ((3, 2), (1, 3), (0, 1), 2)])
@pytest.mark.parametrize("pool", ["max_pool2d", "avg_pool2d"])
def test_pools_of_any_number_of_images(pool, windows, monkeypatch):
    if pool == "avg_pool2d":
        windows = windows[:3]
    monkeypatch.setattr(eager_kernels, "_kernels", OrderedDict())
    name = "max_pool_noted" if pool == "max_pool2d" else pool

    def with_slope(x):
        y = getattr(torch.nn.functional, pool)(x, *windows)
        return y, torch.autograd.grad((y * y).sum(), x)[0]

    for n in (12, 5, 40, 12):
        x = torch.randn(n, 33, 24, 26, requires_grad=True)
        found = with_slope(x)
        assert len([key for key in eager_kernels._kernels if name in (key[0], key[0][0])]) == 1
        with monkeypatch.context() as context:
            context.setattr("rushlight.backend.native.COMPILER", "numpy")
            torch.testing.assert_close(found, with_slope(x))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_gradients_of_maxima(dtype):
    """The same bits as of the program for the exact shape."""
    op = max_pool_grad.op
    x = np.empty((1, 1, 9, 11), dtype)
    windows = pool_geometry("max_pool2d", 2, x, (3, 2), (2, 1), (1, 0), (1, 1), False)
    given = {"windows": windows}
    drawn = lambda *shape: np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)
    places = windows.places
    kernel = None
    for n in (50, 33, 80):
        arrays = [drawn(n, *places), drawn(n, 9, 11), drawn(n, *places)]
        kernel = kernel or Images(op, arrays, given)
        (exact,) = Single(op, arrays, given)(arrays)
        assert (kernel(arrays)[0] == exact).all()


def test_a_call_in_a_call():
    """A signal's handler may convolve while the kernel is at work."""
    arrays, params, _ = arrays_of("convolution", 3, 4, 5, (6, 7), (3, 3), np.float32)
    kernel = Images(OPS["convolution"].op, arrays, params)
    run, inner = kernel.code.function, []

    def interrupted(table):
        if not inner:
            inner.append(None)
            inner[:] = kernel([a * 2 for a in arrays])
        return run(table)

    kernel.code.function = interrupted
    (outer,) = kernel(arrays)
    assert np.allclose(outer * 4, inner[0], atol=1e-4)


def test_empty_results_have_no_kernel():
    for op, n, c in (("convolution", 0, 4), ("convolution_input_grad", 2, 0)):
        arrays, params, _ = arrays_of(op, n, c, 5, (6, 7), (3, 3), np.float32)
        with pytest.raises(NotImplementedError):
            Images(OPS[op].op, arrays, params)
