"""Operations on images and volumes against PyTorch: values, gradients of both orders, errors."""

import itertools

import numpy as np
import pytest

import rushlight
from tests.ops.calls import same_gradients, same_values

pytestmark = pytest.mark.parity


def numbers(*shape, seed=0, low=-2.0, high=2.0):
    """Distinct numbers, in no order."""
    n = int(np.prod(shape))
    order = np.random.default_rng((seed, *shape)).permutation(n)
    return (low + (high - low) * (order + 0.5) / max(n, 1)).reshape(shape)


def same_errors(call, **arrays):
    """Both libraries refuse the call, with the same builtin type of error."""
    torch = pytest.importorskip("torch")
    found = []
    for t in (torch, rushlight):
        given = {name: t.tensor(a) for name, a in arrays.items()}
        with pytest.raises(Exception) as caught:
            eval(call, {"torch": t, "F": t.nn.functional, **given})
        found.append(next(k for k in caught.type.__mro__ if k.__module__ == "builtins"))
    assert issubclass(found[1], found[0]) or issubclass(found[0], found[1]), (call, found)


# Transposed convolution -----------------------------------------------------------------------

TRANSPOSED = [
    (
        n,
        f"stride={stride}, padding={padding}, output_padding={extra}, groups={groups}, dilation={d}",
    )
    for n, stride, padding, extra, groups, d in itertools.product(
        (1, 2, 3), (1, 2), (0, 1), (0, 1), (1, 2), (1, 2)
    )
    if extra < max(stride, d)
    if n < 3 or (groups, padding) == (2, 1)
]


@pytest.mark.parametrize(("n", "kw"), TRANSPOSED)
def test_transposed_convolution(n, kw):
    groups = 2 if "groups=2" in kw else 1
    same_gradients(
        f"F.conv_transpose{n}d(x, w, b, {kw})",
        x=numbers(2, 4, *(4, 3, 3)[:n]),
        w=numbers(4, 6 // groups, *(3, 2, 2)[:n], seed=1),
        b=numbers(6, seed=2),
    )


def test_transposed_convolution_of_other_inputs():
    x, w = numbers(4, 5, 6), numbers(4, 1, 3, 2, seed=1)
    same_gradients("F.conv_transpose2d(x, w, groups=4, stride=(2, 1))", names=False, x=x, w=w)
    same_gradients("F.conv_transpose2d(x[None, :, :0 + 5], w)", x=x, w=w)
    for dtype in ("float16", "bfloat16", "float32", "complex64"):
        same_values("F.conv_transpose2d(x, w, padding=1)", dtype, x=x[None] / 4, w=w / 4)
    same_values("F.conv_transpose2d(x, w)", x=np.zeros((0, 4, 5, 6)), w=w)


@pytest.mark.parametrize("call", [
    "x, w, groups=3", "x[:, :3], w", "x, w, b", "x, w, stride=0", "x, w, padding=-1", "x, w, output_padding=1",
    "x, w, dilation=0", "x, w.float()", "x[0, 0], w", "x, w[0]", "x, w, padding=(1, 1, 1)", "x, w, padding=9",
])  # fmt: skip
def test_transposed_convolution_refuses(call):
    same_errors(
        f"F.conv_transpose2d({call})", x=numbers(1, 4, 3, 3), w=numbers(4, 2, 3, 3), b=numbers(3)
    )


# Uneven windows -------------------------------------------------------------------------------


def _pixels(kind, *shape):
    x = numbers(*shape)
    if kind == "ties":
        x = np.round(x)
    if kind == "nan":
        x[x > 1.6] = np.nan
        x[x < -1.6] = -np.inf
    return x


@pytest.mark.parametrize("kind", ["distinct", "ties", "nan"])
@pytest.mark.parametrize(("n", "sizes"), [
    (1, (1, 3, 4, 7, 9)), (2, (1, 3, "(2, 5)", "(None, 4)", "(3, 6)", "(8, 9)")), (3, (1, "(2, 3, 4)", "(None, 2, 1)")),
])  # fmt: skip
def test_adaptive_max_pool(n, sizes, kind):
    x = _pixels(kind, 2, 3, *(8, 6, 5)[:n])
    for size in sizes:
        same_values(f"F.adaptive_max_pool{n}d(x, {size}, return_indices=True)", x=x)
        same_gradients(f"F.adaptive_max_pool{n}d(x[0], {size})", x=x, names=False)
    same_values(
        f"F.adaptive_max_pool{n}d_with_indices(x, 2)", "float16", x=_pixels("ties", *x.shape)
    )


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fractional_max_pool(n, dtype):
    x = _pixels("ties", 2, 3, *(17, 19, 16)[:n])
    seed = "torch.manual_seed(4) and "
    for kw in (
        "2, 7",
        "(3, 2, 2)[:x.dim() - 2], output_ratio=(0.5, 0.4, 0.6)[:x.dim() - 2]",
        "2, (5, 9, 6)[:x.dim() - 2]",
    ):
        call = f"F.fractional_max_pool{n}d(x, {kw}, return_indices=True)"
        same_values(f"[{seed}{call}, {call}]", dtype, x=x)
    same_gradients(f"{seed}F.fractional_max_pool{n}d(x[0], 3, 4)", x=x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpool(n):
    x = numbers(2, 3, *(6, 5, 4)[:n])
    pool = f"F.max_pool{n}d(x.detach(), 2, return_indices=True)[1]"
    same_gradients(
        f"F.max_unpool{n}d(F.max_pool{n}d(x, 2), {pool}, 2, output_size=x.shape)", names=False, x=x
    )
    same_values(
        f"F.max_unpool{n}d(F.max_pool{n}d(x[0], 2), {pool}[0], 2, output_size={list(x.shape[2:])})",
        x=x,
    )
    same_values(f"F.max_unpool{n}d(*F.max_pool{n}d(x, 2, 1, return_indices=True), 2, 1)", x=x)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("p", [1.0, 2, 3.0])
def test_lp_pool(n, p):
    x = numbers(2, 3, *(6, 5, 4)[:n])
    for kw in ("2", "3, 2", "2, ceil_mode=True"):
        same_gradients(f"F.lp_pool{n}d(x, {p}, {kw})", x=x, names=False)


@pytest.mark.parametrize("call", [
    "adaptive_max_pool2d(x, (1, 2, 3))", "adaptive_max_pool2d(x[0, 0], 2)", "adaptive_max_pool2d(x, -1)",
    "adaptive_max_pool2d(x.long(), 2)", "adaptive_max_pool2d(x[:, :, :0], 2)", "fractional_max_pool2d(x, 2)",
    "fractional_max_pool2d(x, 4, 4)", "max_unpool2d(x, x, 2)", "max_unpool2d(x, x.long() + 100, 2)",
    "max_unpool2d(x, x[0].long(), 2)", "max_unpool2d(x, x.long(), 2, output_size=(1, 2))",
    "max_unpool2d(x, x.long(), 2, output_size=(3, 2))", "lp_pool2d(x, 2, 9)",
])  # fmt: skip
def test_pooling_refuses(call):
    same_errors(f"F.{call}", x=np.abs(numbers(1, 2, 5, 5)))


# Instance normalisation -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 2), (3, 3, 2, 2, 2)])
def test_instance_norm(shape):
    w, b = numbers(3, seed=1, low=0.5), numbers(3, seed=2)
    x = numbers(*shape)
    for kw in ("", "weight=w, bias=b", "weight=w, bias=b, eps=0.1"):
        same_gradients(f"F.instance_norm(x, {kw})", names=False, x=x, w=w, b=b)
    stats = {"m": numbers(3), "s": numbers(3, low=1.0)}
    for kw in ("momentum=0.3", "w, b, True, 0.0", "w, b, False, 0.3, 1e-3"):
        same_values(f"[F.instance_norm(x, m, s, {kw}), m, s]", x=x, w=w, b=b, **stats)
        same_values(f"F.instance_norm(x, m, s, {kw})", "float32", x=x, w=w, b=b, **stats)
    call = "F.instance_norm(x, torch.zeros(3).double(), torch.ones(3).double(), w, b)"
    same_gradients(call, names=False, x=x, w=w, b=b)


@pytest.mark.parametrize("call", [
    "instance_norm(x)", "instance_norm(y, use_input_stats=False)", "instance_norm(y, weight=y[0, 0])",
])  # fmt: skip
def test_instance_norm_refuses(call):
    same_errors(f"F.{call}", x=numbers(2, 3, 1), y=numbers(2, 3, 4))


# Resampling -----------------------------------------------------------------------------------

MODES = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}
SIZES = ("size=(3, 9, 5)[:n]", "size=1", "size=(14, 7, 8)[:n]", "scale_factor=2", "scale_factor=1.7", "scale_factor=0.4",
         "scale_factor=(0.6, 3.0, 1.0)[:n]", "scale_factor=1.7, recompute_scale_factor=True")  # fmt: skip


@pytest.mark.parametrize(("n", "mode"), [(n, m) for n in MODES for m in MODES[n]])
def test_interpolate(n, mode):
    x = numbers(2, 2, *(7, 5, 6)[:n])
    corners = (None,) if mode in ("nearest", "nearest-exact", "area") else (False, True)
    for kw, align in itertools.product(SIZES, corners):
        call = (
            f"F.interpolate(x, {kw.replace('n]', f'{n}]')}, mode={mode!r}, align_corners={align})"
        )
        same_gradients(call, x=x, names=mode != "area")
        same_values(call, "float32", tolerance=2e-5, x=x)
    same_values(f"F.interpolate(x, scale_factor=2, mode={mode!r})", "bfloat16", x=x)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_interpolate_with_antialias(mode):
    x = numbers(1, 2, 13, 9)
    corners = (False,) if mode == "lanczos" else (False, True)
    for kw, align in itertools.product(
        ("size=(3, 4)", "scale_factor=0.3", "scale_factor=1.6"), corners
    ):
        same_gradients(
            f"F.interpolate(x, {kw}, mode={mode!r}, align_corners={align}, antialias=True)", x=x
        )


@pytest.mark.parametrize("call", [
    "x", "x, 2, 2.0", "x, (1, 2, 3)", "x, scale_factor=(1.0, 2.0, 3.0)", "x, 2, mode='linear'", "x, 2, mode='trilinear'",
    "x[0], 2, mode='bilinear'", "x, 2, mode='cubic'", "x, 2, align_corners=True", "x, 2, recompute_scale_factor=True",
    "x, 2, antialias=True", "x, 2, mode='lanczos'", "x, 2, mode='lanczos', antialias=True, align_corners=True",
    "x[0], 2, mode='lanczos'", "x[0], 2, mode='lanczos', antialias=True", "x, 0", "x[0, 0], 2", "x.long(), 2", "x[:, :, :0], 2", "x, scale_factor=0.1",
])  # fmt: skip
def test_interpolate_refuses(call):
    same_errors(f"F.interpolate({call})", x=numbers(1, 2, 5, 5))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_interpolate_of_bytes(mode):
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 7, 9), "uint8")
    options = itertools.product(((3, 2), (11, 9), (7, 20), (5, 13)), (False, True), (False, True))
    for size, antialias, align in options:
        if mode != "lanczos" or (antialias and not align):
            call = f"F.interpolate(x, {size}, mode={mode!r}, antialias={antialias}, align_corners={align})"
            same_values(call, None, tolerance=0, x=x)
    same_values(f"F.interpolate(x, scale_factor=1.7, mode={mode!r}, antialias=True)", None, x=x)


def test_older_names_of_interpolate():
    x = numbers(1, 2, 3, 4)
    same_values(
        "F.upsample(x, 5), F.upsample_nearest(x, scale_factor=2), F.upsample_bilinear(x, (7, 3))",
        x=x,
    )
    same_values(
        "F.interpolate(x.to(torch.uint8), 5), F.interpolate(x[0], 3, mode='nearest-exact')", x=x + 2
    )


def test_columns_and_their_nodes():
    same_gradients("F.unfold(x, 2)", x=numbers(1, 2, 3, 5))
    same_gradients("F.fold(x, (4, 5), (3, 1))", x=numbers(1, 3, 10))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_an_infinite_pixel_has_no_part_in_points_that_lie_elsewhere(mode):
    """Taps outside of the image look its first pixel up, and count nothing."""
    image = numbers(1, 2, 6, 7)
    image[..., 0, 0] = np.inf
    grid = numbers(1, 5, 5, 2, low=0.2, high=1.7)
    found = []
    for t in (pytest.importorskip("torch"), rushlight):
        x, points = (t.tensor(a, requires_grad=True) for a in (image, grid))
        out = t.nn.functional.grid_sample(x, points, mode, align_corners=False)
        out.sum().backward()
        found.append([a.detach().numpy() for a in (out, x.grad, points.grad)])
    for want, got in zip(*found, strict=True):
        assert np.isfinite(want).all()
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_infinite_elements_reach_the_pixels_that_pytorch_s_do(mode, antialias):
    peer = pytest.importorskip("torch")
    for shape, size in (((3, 3), (5, 4)), ((4, 4), (2, 2)), ((3, 4), (6, 8)), ((7, 5), (3, 2))):
        for value in (np.inf, np.nan):
            found = []
            for t in (peer, rushlight):
                x = t.tensor(numbers(1, 1, *shape), requires_grad=True)
                with t.no_grad():
                    x[0, 0, 1, 2] = value
                out = t.nn.functional.interpolate(x, size, mode=mode, antialias=antialias)
                seed = t.ones_like(out)
                if mode == "bilinear":  # a cubic's weight may be 0 here and 1e-17 there
                    seed[0, 0, 0, 1] = value
                out.backward(seed)
                found.append([out.detach().numpy(), x.grad.numpy()])
            for want, got in zip(*found, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
