"""Regions, deformable convolution, pyramids and losses of boxes: torchvision's numbers."""

import sys

import numpy as np
import pytest

import rushlight as torch
from rushlight.vision import ops
from rushlight.vision.ops import regions

F64 = torch.float64


ALIGN = [0.778738, 0.811313, 0.608088, 0.869875, 0.762442, -0.331801, 0.621133, -0.1809]
ALIGNED = [0.695288, 0.252205, 0.339314, 0.680227, 0.149603, -0.147351, 0.378196, -0.445705]
PS_ALIGN = [-0.082062, -0.040648, 0.662345, 0.679636, 0.116936, 0.244146, 0.060744, -0.451257]
POOL = [0.983593, 0.3132, 0.999521, 0.773872, 0.994824, -0.506392, 0.983593, 0.3132]
PS_POOL = [0.348628, -0.235054, 0.224226, 0.71179, 0.324398, 0.842632, 0.035817, -0.58094]


def image(channels=8):
    return torch.arange(channels * 36, dtype=F64).reshape(1, channels, 6, 6).sin()


def rois():
    return torch.tensor([[0.0, 0.5, 1.0, 4.0, 5.5], [0.0, -3.0, -2.0, 9.0, 3.0]], dtype=F64)


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda x, r: ops.roi_align(x, r, 2, 0.5, 2), ALIGN),
        (lambda x, r: ops.roi_align(x, r, 2, 1.0, aligned=True), ALIGNED),
        (lambda x, r: ops.ps_roi_align(x, r, 2, 1.0, 2), PS_ALIGN),
        (lambda x, r: ops.roi_pool(x, r, 2), POOL),
        (lambda x, r: ops.ps_roi_pool(x, r, 2), PS_POOL),
    ],
)
def test_regions(call, wanted):
    x = image().requires_grad_()
    out = call(x, rois())
    assert out[:, -1].flatten().tolist() == pytest.approx(wanted, abs=1e-6)
    assert torch.autograd.gradcheck(lambda x: call(x, rois()), (x,), fast_mode=True)


def test_a_region_without_an_area():
    empty = torch.tensor([[0.0, 2.0, 2.0, 2.0, 2.0]], dtype=F64)
    assert ops.roi_align(image(), empty, 2, aligned=True).abs().sum() == 0
    assert ops.ps_roi_align(image(), empty, 2).isnan().all()
    assert ops.RoIAlign(2, 1.0, 2)(image(), torch.zeros(0, 5, dtype=F64)).shape == (0, 8, 2, 2)


def test_boxes_of_another_shape_or_dtype_are_refused():
    with pytest.raises(AssertionError):
        ops.roi_align(image(), torch.zeros(1, 4, dtype=F64), 2)
    with pytest.raises(RuntimeError, match="same type"):
        ops.roi_pool(image(), torch.zeros(1, 5), 2)
    with pytest.raises(RuntimeError, match="multiple"):
        ops.ps_roi_pool(image(7), rois(), 2)


def test_deformable_convolution_and_its_gradients():
    offset = torch.arange(2 * 8 * 25, dtype=F64).reshape(1, 16, 5, 5).cos() * 2
    weight = torch.arange(4 * 4 * 4, dtype=F64).reshape(4, 4, 2, 2).sin()
    mask = torch.arange(8 * 25, dtype=F64).reshape(1, 8, 5, 5).sin() ** 2
    bias = torch.ones(4, dtype=F64)
    inputs = [x.requires_grad_() for x in (image(), offset, weight, bias, mask)]

    def convolved(x, offset, weight, bias, mask):
        return ops.deform_conv2d(x, offset, weight, bias, mask=mask)

    assert convolved(*inputs)[0, :, 2, 1:4].flatten().tolist() == pytest.approx(
        [
            2.283809,
            1.829052,
            1.003606,
            -0.524564,
            0.274084,
            1.089889,
            1.022295,
            2.285743,
            1.289428,
            1.131589,
            -0.08771,
            0.734048,
        ],
        abs=1e-6,
    )
    assert torch.autograd.gradcheck(convolved, inputs, fast_mode=True)
    with pytest.raises(RuntimeError, match="multiple"):
        ops.deform_conv2d(image(), offset[:, :3], weight)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("generalized", [0.638095, 1.68]),
        ("distance", [0.608193, 1.325]),
        ("complete", [0.608487, 1.337527]),
    ],
)
def test_losses_of_boxes(kind, wanted):
    a, b = (
        torch.tensor([[0, 0, 4, 3.0], [1, 1, 2, 5]]),
        torch.tensor([[1, 1, 5, 3.0], [4, 4, 6, 6]]),
    )
    loss = getattr(ops, f"{kind}_box_iou_loss")
    assert loss(a, b).tolist() == pytest.approx(wanted, abs=1e-5)
    assert loss(a, b, "sum").item() == pytest.approx(sum(wanted), abs=1e-5)
    assert loss(a[:0], b[:0], "mean").item() == 0
    with pytest.raises(ValueError, match="reduction"):
        loss(a, b, "max")


def test_dropped_blocks_are_torchvisions():
    torch.manual_seed(0)
    found = [ops.drop_block2d(torch.ones(1, 1, 5, 5), 0.3, 3).sum().item(),
             ops.drop_block2d(torch.ones(1, 2, 6, 6), 0.3, 3).sum().item()]  # fmt: skip
    assert found == pytest.approx([25.0000, 72.0], abs=1e-3)
    assert ops.DropBlock3d(0.3, 3).eval()(torch.ones(1, 1, 4, 4, 4)).sum() == 64


def test_a_pyramid_and_regions_of_it():
    torch.manual_seed(0)
    pyramid = ops.FeaturePyramidNetwork([2, 4], 3)
    found = pyramid({"a": torch.ones(1, 2, 8, 8), "b": torch.ones(1, 4, 4, 4)})
    assert [x.sum().item() for x in found.values()] == pytest.approx(
        [192.45079, 22.33768], abs=1e-3
    )
    maps = {
        "a": torch.arange(256.0).reshape(1, 1, 16, 16),
        "b": -torch.arange(64.0).reshape(1, 1, 8, 8),
    }
    layer = ops.MultiScaleRoIAlign(["a", "b"], 2, 2, canonical_scale=32, canonical_level=2)
    boxes = torch.tensor([[0, 0, 9, 9.0], [4, 4, 60, 50]])
    wanted = [9.5625, 10.6875, 27.5625, 28.6875, 66.5, 73.5, 158.5, 165.5]
    assert layer(maps, [boxes], [(64, 64)]).flatten().tolist() == pytest.approx(wanted, abs=1e-3)
    assert layer.scales == [0.25, 0.125]


@pytest.mark.parity
def test_maxima_and_their_gradients_are_torchvisions():
    peer, theirs = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(0)
    for k in range(40):
        size = *rng.integers(1, 4, 2), *rng.integers(1, 20, 2)
        image = rng.integers(0, 4, size).astype("f4")  # many equal maxima
        boxes = rng.uniform(-4, 24, (6, 5)).astype("f4")  # some are outside, some have no area
        boxes[:, 0] = rng.integers(0, size[0], 6)
        found = []
        for t, o in ((torch, ops), (peer, theirs)):
            x = t.tensor(image, requires_grad=True)
            out = o.roi_pool(x, t.tensor(boxes), (1 + k % 5, 3), [1.0, 0.5][k % 2])
            out.sum().backward()
            found.append((out.detach().numpy(), x.grad.numpy()))
        for got, want in zip(*found, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("ratio", [-1, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_products_and_gathered_samples_give_the_same_averages(ratio, aligned, monkeypatch):
    torch.manual_seed(0)
    boxes = torch.cat(
        [torch.randint(2, (20, 1)).double(), torch.rand(20, 4, dtype=F64) * 30 - 5], 1
    )
    boxes[1:, 3:] += boxes[1:, 1:3]  # all but the first have an area
    image, found = torch.rand(2, 3, 16, 20, dtype=F64), []
    for factor in (0, 1 << 20):
        monkeypatch.setattr(regions, "_DENSE", factor)
        x = image.clone().requires_grad_()
        out = ops.roi_align(x, boxes, (3, 4), 0.7, ratio, aligned)
        (out * torch.arange(12.0).reshape(3, 4)).sum().backward()
        found.append((out.detach(), x.grad))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want)


def test_a_value_that_is_not_finite_stays_in_its_regions():
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 7, 7] = float("nan")
    boxes = [torch.tensor([[0.0, 0.0, 3.0, 3.0], [4.0, 4.0, 8.0, 8.0]])]
    assert ops.roi_align(x, boxes, 2).isnan().flatten(1).any(1).tolist() == [False, True]


def test_pooling_of_many_regions_does_not_loop_over_bins():
    x = torch.rand(2, 16, 32, 32)
    boxes = torch.cat([torch.zeros(100, 1), torch.rand(100, 2) * 9, 9 + torch.rand(100, 2) * 20], 1)
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += event in ("call", "c_call")

    ops.roi_pool(x, boxes, 7)  # may compile a kernel
    sys.setprofile(count)
    ops.roi_pool(x, boxes, 7)
    sys.setprofile(None)
    assert calls < 2000  # there are 4900 bins


def test_suppression_in_blocks_is_that_of_one_box_after_another():
    torch.manual_seed(0)
    boxes = torch.rand(300, 4) * 40
    boxes[:, 2:] += boxes[:, :2]
    scores = torch.rand(300)
    left, kept = scores.argsort(descending=True).tolist(), []
    while left:
        first, *left = left
        kept.append(first)
        over = ops.box_iou(boxes[[first]], boxes)[0] > 0.3
        left = [i for i in left if not over[i]]
    assert ops.nms(boxes, scores, 0.3).tolist() == kept


def test_rotated_boxes_in_all_formats():
    boxes = torch.tensor([[12.0, 10.0, 8.0, 5.0, 30.0]])
    for other in ("xywhr", "xyxyxyxy"):
        there = ops.box_convert(boxes, "cxcywhr", other)
        torch.testing.assert_close(ops.box_convert(there, other, "cxcywhr"), boxes)
    with pytest.raises(NotImplementedError):
        ops.box_convert(boxes, "cxcywhr", "xyxy")


@pytest.mark.parametrize("number", [-1.0, 2.0, 1e12, float("nan")])
@pytest.mark.parametrize("name", ["roi_pool", "roi_align", "ps_roi_pool", "ps_roi_align"])
def test_a_box_in_an_image_that_is_not_there_is_refused(name, number):
    boxes = torch.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]] * 40)
    boxes[7, 0] = number
    with pytest.raises(IndexError, match=f"{name}: a box is in image .* has images 0 to 1"):
        getattr(ops, name)(torch.ones(2, 36, 8, 8), boxes, 3)


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(20))
def test_averages_of_regions_of_any_orientation_are_torchvisions(seed):
    import torch as live
    from torchvision.ops import ps_roi_align

    draw = np.random.default_rng(seed)
    bins = tuple(draw.integers(1, 4, 2).tolist())
    x = draw.normal(size=(2, 3 * bins[0] * bins[1], 6, 9))
    boxes = np.column_stack([draw.integers(0, 2, 30), draw.integers(-3, 12, (30, 4))]).astype(float)
    scale = float(draw.choice([0.25, 1.0, 0.5]))
    want = ps_roi_align(live.tensor(x), live.tensor(boxes), bins, scale)
    found = ops.ps_roi_align(torch.tensor(x), torch.tensor(boxes), bins, scale)
    np.testing.assert_allclose(found.numpy(), want.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parity
def test_maxima_of_regions_with_nan_and_infinity():
    theirs = pytest.importorskip("torchvision.ops")
    draw, frameworks = np.random.default_rng(), (sys.modules["torch"], torch)
    for n in range(40):
        height, width = draw.integers(0 if n % 5 == 0 else 1, 9), draw.integers(1, 9)
        x = draw.normal(size=(2, draw.integers(1, 4), height, width)).astype("fd"[n % 2])
        x[draw.random(x.shape) < 0.4] = draw.choice([np.nan, -np.inf])
        count = draw.integers(0, 30)
        boxes = np.c_[draw.integers(0, 2, count), draw.normal(size=(count, 4)) * 6 + 2]
        found = []
        for t, o in zip(frameworks, (theirs, ops), strict=True):
            image = t.tensor(x, requires_grad=True)
            y = o.roi_pool(image, t.tensor(boxes.astype(x.dtype)), (1 + n % 3, 2), 0.7)
            if x.size and count:
                y.sum().backward()
            slope = np.zeros_like(x) if image.grad is None else image.grad.numpy()
            found.append((y.detach().numpy(), slope))
        np.testing.assert_array_equal(found[0][0], found[1][0])
        np.testing.assert_allclose(found[0][1], found[1][1])
