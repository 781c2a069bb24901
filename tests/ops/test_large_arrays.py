"""Ways that only large arrays take give the results of small ones, put together."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.ops.windows import grid_sample, grid_sampler

F = torch.nn.functional


def drawn(*shape):
    return torch.from_numpy(np.random.default_rng(5).uniform(-2, 2, shape).astype(np.float32))


def indices(high, *shape):
    return torch.from_numpy(np.random.default_rng(6).integers(0, high, shape))


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gather_and_scatter_along_each_dim(dim):
    shape = [20, 30, 40]
    x, index = (
        drawn(*shape),
        indices(shape[dim], *[n - 3 if d != dim else 50 for d, n in enumerate(shape)]),
    )
    found = x.gather(dim, index)
    key = [
        np.arange(n).reshape([-1 if i == d else 1 for i in range(3)])
        for d, n in enumerate(index.shape)
    ]
    key[dim] = index.numpy()
    np.testing.assert_array_equal(found.numpy(), x.numpy()[tuple(key)])
    src = drawn(*index.shape)
    wanted = x.numpy().copy()
    np.add.at(wanted, tuple(key), src.numpy())
    np.testing.assert_allclose(x.scatter_add(dim, index, src).numpy(), wanted, rtol=1e-6, atol=1e-6)
    own = torch.argsort(drawn(*shape), dim)  # no index occurs twice
    key = [
        np.arange(n).reshape([-1 if i == d else 1 for i in range(3)]) for d, n in enumerate(shape)
    ]
    key[dim] = own.numpy()
    wanted[tuple(key)] = x.numpy()
    np.testing.assert_array_equal(torch.zeros(shape).scatter(dim, own, x).numpy(), wanted)
    np.testing.assert_array_equal(
        torch.zeros(shape).scatter(dim, own, 2.0).numpy(), np.full(shape, 2)
    )


def test_an_index_outside_is_still_refused():
    x, index = drawn(50, 60), indices(60, 50, 60)
    for wrong in (-1, 60):
        index[49, 59] = wrong
        with pytest.raises((RuntimeError, IndexError)):
            x.gather(1, index)
        with pytest.raises((RuntimeError, IndexError)):
            x.scatter(1, index, x)


def test_a_part_of_a_matrix_is_read_by_its_own_strides():
    x, index = drawn(80, 90)[:, ::2], indices(45, 80, 45)
    wanted = np.take_along_axis(x.numpy(), index.numpy(), 1)
    np.testing.assert_array_equal(x.gather(1, index).numpy(), wanted)
    whole = torch.zeros(80, 90)
    whole[:, ::2].scatter_(1, torch.arange(45).expand(80, 45), x)
    np.testing.assert_array_equal(whole.numpy()[:, ::2], x.numpy())
    assert not whole[:, 1::2].any()


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [None, 0, 1, (0, 1), (1, 2), (0, 2)])
def test_norms_and_sums_without_nan(dim, keepdim):
    x = drawn(64, 70, 65)
    axis = dim if dim is not None else (0, 1, 2)
    wide = x.numpy().astype(np.float64)
    found = torch.linalg.vector_norm(x, 2, dim, keepdim)
    np.testing.assert_allclose(
        found.numpy(), np.sqrt((wide**2).sum(axis, keepdims=keepdim)), rtol=1e-6
    )
    for hole in (None, (3, 4, 5)):
        if hole:
            x[hole], wide[hole] = torch.nan, np.nan
        found = x.nansum(dim, keepdim)
        np.testing.assert_allclose(
            found.numpy(), np.nansum(wide, axis, keepdims=keepdim), rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_products_of_few_factors(dim, keepdim):
    for x in (drawn(5, 6, 700).transpose(0, 2), drawn(700, 6, 5), indices(4, 700, 6, 5)):
        found = x.prod(dim, keepdim)
        np.testing.assert_allclose(
            found.numpy(), np.prod(x.numpy(), dim, keepdims=keepdim), rtol=1e-6
        )
        assert found.is_contiguous()


@pytest.mark.parametrize("affine", ["weight", "bias", "both"])
def test_group_norm_scales_each_channel(affine):
    x, weight, bias = drawn(16, 12, 20, 25), drawn(12), drawn(12)
    given = [weight if affine != "bias" else None, bias if affine != "weight" else None]
    wanted = F.group_norm(x, 4)
    wanted = wanted if given[0] is None else wanted * weight.reshape(-1, 1, 1)
    wanted = wanted if given[1] is None else wanted + bias.reshape(-1, 1, 1)
    found = F.group_norm(x, 4, *given)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["chebyshev_polynomial_v", "shifted_chebyshev_polynomial_t",
                                  "hermite_polynomial_he", "legendre_polynomial_p"])  # fmt: skip
def test_polynomials_of_one_degree(name):
    function = getattr(torch.special, name)
    for x in (drawn(9000, 2), drawn(2, 9000).t()):
        for degree in (-1, 0, 1, 2, 7, 9):
            several = torch.full(x.shape, degree)
            several[0] = 3
            np.testing.assert_array_equal(
                function(x, degree)[1:].numpy(), function(x, several)[1:].numpy()
            )


@pytest.mark.parametrize(
    "shape, places", [((900, 3, 4, 5), (3, 4)), ((300, 2, 3, 4, 3), (2, 3, 2))]
)
def test_many_small_images_are_sampled_as_one_by_one(shape, places):
    x, grid = (
        drawn(*shape).requires_grad_(),
        (drawn(shape[0], *places, len(places)) * 0.7).requires_grad_(),
    )
    g = drawn(*shape[:2], *places)
    sample = lambda x, grid: F.grid_sample(x, grid, align_corners=False)
    whole = torch.autograd.grad(sample(x, grid), [x, grid], g)
    np.testing.assert_array_equal(
        sample(x, grid).detach().numpy(),
        np.concatenate(
            [sample(x[i : i + 1], grid[i : i + 1]).detach().numpy() for i in range(shape[0])]
        ),
    )
    for i in (0, 17, shape[0] - 1):
        a, b = (t[i : i + 1].detach().requires_grad_() for t in (x, grid))
        for one, all in zip(
            torch.autograd.grad(sample(a, b), [a, b], g[i : i + 1]), whole, strict=True
        ):
            np.testing.assert_allclose(one.numpy(), all[i : i + 1].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("align", [0, 1])
def test_the_kernel_of_many_points_samples_as_tensors_do(mode, padding_mode, dims, align):
    if mode == "bicubic" and dims == 3:
        pytest.skip("volumes have no bicubic sampling")
    places = (92, 47) if dims == 2 else (14, 14, 14)
    x, grid = drawn(2, 3, 7, 5, *[4] * (dims - 2)), drawn(2, *places, dims)
    grid[0, 0, 0], grid[1, 3, 2, ..., 0] = float("nan"), float("inf")
    options = mode, padding_mode, bool(align)
    by_tensors = grid_sampler._of_tensors(x, grid, *options)
    x.requires_grad_(), grid.requires_grad_()
    found = F.grid_sample(x, grid, mode, padding_mode, align_corners=bool(align))
    np.testing.assert_array_equal(found.detach().numpy(), by_tensors.numpy())
    g = drawn(*found.shape)
    slopes = torch.autograd.grad(found, [x, grid], g)
    x, grid = x.detach(), grid.detach()
    wanted = [grid_sampler._image_slope_of_tensors(g, grid, tuple(x.shape[2:]), *options)]
    if mode != "nearest":
        wanted.append(grid_sampler._grid_slope_of_tensors(g, x, grid, *options))
    for slope, other in zip(slopes, wanted, strict=False):
        np.testing.assert_allclose(slope.numpy(), other.numpy(), rtol=1e-4, atol=1e-4)
    if mode == "nearest":
        assert not slopes[1].any()


def test_taps_are_summed_by_kernels_as_by_numpy(monkeypatch):
    if not native.llvm_works():
        pytest.skip("no LLVM")
    x, weight, g = drawn(4000, 2, 6), drawn(4000, 4, 9), drawn(4000, 2, 9)
    x[7, 1, 5] = float("inf")  # index -1 must not take it
    index = indices(7, 4000, 4, 9) - 1
    by_kernels = []
    monkeypatch.setattr(native, "tapped", lambda *given: by_kernels.append(TAPPED(*given)) or True)
    for op, operands, params in (
        (grid_sample.weighted_gather.op, (x, weight, index), {}),
        (grid_sample.weighted_scatter.op, (g, weight, index), {"size": 6}),
        (grid_sample.gathered_dot.op, (g, drawn(4000, 2, 6), index.clamp(min=0)), {}),
    ):
        arrays = [t.numpy() for t in operands]
        found = op.forward(xp, *arrays, **params)
        with monkeypatch.context() as without:
            without.setattr(native, "tapped", lambda *given: False)
            wanted = op.forward(xp, *arrays, **params)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    assert by_kernels == [True] * 3


TAPPED = native.tapped


def test_a_convolution_of_a_transposed_image_runs_in_its_program(monkeypatch):
    """Dims of size 1 may have any strides; NumPy computed such calls."""
    if not native.llvm_works():
        pytest.skip("no LLVM")
    from rushlight.compiler.run.native_program import NativeProgram

    monkeypatch.setattr(NativeProgram, "_replay", lambda *_: pytest.fail("computed by NumPy"))
    x, weight = drawn(16, 1, 40, 40), drawn(32, 16, 3, 3)
    found = F.conv2d(x.transpose(0, 1), weight)
    wanted = F.conv2d(x.transpose(0, 1).clone(), weight)
    np.testing.assert_array_equal(found.numpy(), wanted.numpy())


def test_times_beyond_the_longest_input_count_nothing_in_ctc_loss():
    x = drawn(50, 2, 3)
    grads = []
    for times in (50, 4):
        part = x[:times].clone().requires_grad_()
        loss = F.ctc_loss(
            part.log_softmax(2), torch.tensor([[1, 2], [2, 2]]), [4, 3], [2, 2], reduction="none"
        )
        (grad,) = torch.autograd.grad(loss.sum(), part)
        grads.append((loss.detach().numpy(), grad[:4].numpy()))
        assert not grad[4:].any()
    for one, other in zip(*grads, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, float("inf"), 3.0])
@pytest.mark.parametrize("lead, other", [((), ()), ((2, 3), ()), ((3,), (3,)), ((2, 1), (3,))])
def test_distances_of_many_pairs_are_those_of_few(p, lead, other):
    x, y = drawn(*lead, 500, 4), drawn(*other, 40, 4)
    x[..., 3, 1], y[..., 2, 0], x[..., 7, :] = float("nan"), float("inf"), y[..., 5, :].mean()
    mode = "donot_use_mm_for_euclid_dist"
    found = torch.cdist(x, y, p, mode)
    one_by_one = torch.stack([torch.cdist(x[..., i : i + 1, :], y, p, mode) for i in range(9)])
    wanted = one_by_one[..., 0, :].movedim(0, -2)
    np.testing.assert_allclose(found[..., :9, :].numpy(), wanted.numpy(), rtol=1e-6)


@pytest.mark.parametrize("width", [250, 256, 257, 700])
def test_positions_in_wide_windows(width):
    """A byte holds the places of up to 256 elements."""
    x = drawn(3, 4, width)
    x[0, 0, -1], x[1, 1, 3], x[2, 2, 1], x[2, 3] = 9, float("nan"), float("-inf"), float("-inf")
    wanted = x.reshape(3, 4, -1).max(-1).indices
    found = F.max_pool1d(x, width, return_indices=True)[1]
    assert found[..., 0].tolist() == wanted.tolist()
    halves = F.adaptive_max_pool1d(torch.cat([x, x, x[..., :1]], -1), 2, return_indices=True)[1]
    assert halves[0, 0].tolist() == [width - 1, 2 * width - 1]
    assert halves[1, 1].tolist() == [3, width + 3]


@pytest.mark.parametrize("dims", [(0,), (1,), (0, 1)])
def test_narrow_rows_are_turned_as_wide_ones(dims):
    x = drawn(1500, 3)
    wide = torch.cat([x] * 10, 1).flip(dims)
    np.testing.assert_array_equal(x.flip(dims).numpy(), wide[:, :3].numpy())


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_modes_of_many_short_rows_are_those_of_few(dtype):
    x = (drawn(900, 5) * 1.4).round().to(dtype)
    values, places = torch.mode(x)
    few = [torch.mode(x[i : i + 9]) for i in range(0, 900, 9)]
    assert values.tolist() == torch.cat([f.values for f in few]).tolist()
    assert places.tolist() == torch.cat([f.indices for f in few]).tolist()


CALLS = {
    "grid_sample": (lambda x, grid: F.grid_sample(x, grid, align_corners=False), (1024, 4, 8, 8), (1024, 8, 8, 2)),
    "conv2d": (F.conv2d, (8, 8, 32, 32), (8, 8, 3, 3)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (8, 16, 64, 64)),
    "multilabel_margin_loss": (lambda x: F.multilabel_margin_loss(x, indices(8, *x.shape), reduction="none"), (8192, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_gradient_of_a_sum_is_that_of_a_gradient_in_memory(name):
    """The gradient of a sum is one number that is expanded, which programs of fixed shapes copy."""
    call, *shapes = CALLS[name]
    given = [drawn(*shape).requires_grad_() for shape in shapes]
    out = call(*given)
    ones = torch.ones(out.shape)
    wanted = torch.autograd.grad(out, given, ones, retain_graph=True)
    for found, want in zip(torch.autograd.grad(out.sum(), given), wanted, strict=True):
        assert torch.equal(found, want)


@pytest.mark.parametrize("kind", ["ties", "nan", "-inf"])
@pytest.mark.parametrize("kernel", [2, 3])
def test_maxima_of_many_images_lie_where_those_of_one_do(kind, kernel):
    x = np.random.default_rng(0).standard_normal((40, 3, 9, 8)).round(1).astype("f4")
    x.reshape(-1)[:: 7 if kind == "nan" else 2] = 1 if kind == "ties" else float(kind)
    x = torch.from_numpy(x)
    pools = [
        lambda x: F.max_pool2d(x, kernel, 2, kernel // 2, return_indices=True),
        lambda x: F.adaptive_max_pool2d(x, (kernel, 4), return_indices=True),
        lambda x: F.fractional_max_pool2d(
            x, kernel, (3, 4), None, True, torch.linspace(0, 0.99, 6).reshape(1, 3, 2).expand(len(x), 3, 2)
        ),
    ]  # fmt: skip
    for pool in pools:
        for found, each in zip(
            pool(x), zip(*[pool(t) for t in x.split(1)], strict=True), strict=True
        ):
            torch.testing.assert_close(found, torch.cat(each), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("q", [0.3, [0.0, 0.7], [0.1, 0.5, 1.0]])
@pytest.mark.parametrize("missing", [False, True])
def test_quantiles_of_long_rows_are_those_of_sorted_ones(q, missing):
    x = np.random.default_rng(0).standard_normal((3, 2001))
    if missing:
        x[1, 5] = np.nan
    found = torch.quantile(torch.from_numpy(x), torch.tensor(q, dtype=torch.float64), 1)
    np.testing.assert_allclose(found, np.quantile(x, q, 1))


@pytest.mark.parametrize("classes", [2, 4, 6, 7])
def test_multilabel_margins_of_many_rows_are_those_of_few(classes):
    rng = np.random.default_rng(classes)
    x = torch.from_numpy(rng.standard_normal((9000, classes)).astype("f4"))
    x[0, 0], x[1, 1] = float("nan"), float("inf")
    y = torch.from_numpy(rng.integers(-1, classes, x.shape))
    loss = lambda x, y: F.multilabel_margin_loss(x, y, reduction="none")
    few = [loss(*part) for part in zip(x.split(100), y.split(100), strict=True)]
    torch.testing.assert_close(loss(x, y), torch.cat(few), equal_nan=True)


@pytest.mark.parametrize("shape", [(2499, 4), (100, 100), (3, 700, 5), (40, 300)])
def test_sums_of_medium_arrays_are_precise(shape):
    x = np.random.default_rng(0).random(shape).astype("f4")
    for dims in (*range(len(shape)), (*range(len(shape)),)):
        exact = x.astype("f8").sum(dims)
        np.testing.assert_allclose(torch.from_numpy(x).sum(dims), exact, rtol=4e-7)
