"""Detectors and networks that segment, on a small body: torchvision's losses and detections."""

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.vision import models, ops
from rushlight.vision.models import detection, segmentation
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from rushlight.vision.models.detection.coding import BoxCoder, BoxLinearCoder, Matcher
from tests.daily import daily


class Body(nn.Module):
    out_channels = 16

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.fpn = ops.FeaturePyramidNetwork([8, 16], 16)

    def forward(self, x):
        fine = self.first(x)
        return self.fpn({"0": fine, "1": self.second(fine)})


class Maps(Body):
    out_channels = None  # asks for a run

    def forward(self, x):
        fine = self.first(x)
        return {"0": fine, "1": self.second(fine)}


def anchors():
    return AnchorGenerator(((16,), (32,)), ((0.5, 1.0, 2.0),) * 2)


def pool(size):
    return ops.MultiScaleRoIAlign(["0", "1"], output_size=size, sampling_ratio=2)


def build(name):
    torch.manual_seed(0)
    sizes = {"min_size": 64, "max_size": 80}
    if name == "RetinaNet":
        return detection.RetinaNet(
            Body(), 3, anchor_generator=anchors(), score_thresh=0.009, **sizes
        )
    if name == "FCOS":
        own = AnchorGenerator(((4,), (8,)), ((1.0,),) * 2)
        head = detection.fcos.FCOSHead(16, 1, 3, num_convs=0)
        return detection.FCOS(Body(), 3, anchor_generator=own, head=head, score_thresh=0.0, **sizes)
    if name == "SSD":
        own = DefaultBoxGenerator([[2], [2, 3]], min_ratio=0.3, max_ratio=0.6)
        return detection.ssd.SSD(Maps(), own, (64, 64), 3)
    parts = {"rpn_anchor_generator": anchors(), "box_roi_pool": pool(3), **sizes}
    if name == "MaskRCNN":
        parts["mask_roi_pool"] = pool(4)
    if name == "KeypointRCNN":
        parts.update(keypoint_roi_pool=pool(4), num_keypoints=4)
    return getattr(detection, name)(Body(), 3, **parts)


def batch(name):
    torch.manual_seed(1)
    images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
    boxes = torch.tensor([[10.0, 10, 50, 50], [30, 20, 70, 55]]), torch.tensor([[20.0, 10, 60, 60]])
    targets = [{"boxes": b, "labels": torch.ones(len(b), dtype=torch.int64)} for b in boxes]
    for image, target in zip(images, targets, strict=True):
        count = len(target["boxes"])
        if name == "MaskRCNN":
            target["masks"] = (torch.rand(count, *image.shape[1:]) > 0.5).to(torch.uint8)
        if name == "KeypointRCNN":
            target["keypoints"] = torch.cat(
                [torch.rand(count, 4, 2) * 40, torch.ones(count, 4, 1)], 2
            )
    return images, targets


LOSSES = {
    "FasterRCNN": ({'loss_classifier': 1.0866, 'loss_box_reg': 0.0634, 'loss_objectness': 0.6934, 'loss_rpn_box_reg': 0.0037}, 100, 0.36685),
    "MaskRCNN": ({'loss_classifier': 1.1308, 'loss_box_reg': 0.059, 'loss_mask': 0.7255, 'loss_objectness': 0.6931, 'loss_rpn_box_reg': 0.0037}, 100, 0.37216),
    "KeypointRCNN": ({'loss_classifier': 1.0993, 'loss_box_reg': 0.051, 'loss_keypoint': 5.5428, 'loss_objectness': 0.6927, 'loss_rpn_box_reg': 0.0037}, 100, 0.36626),
    "RetinaNet": ({'classification': 1.1293, 'bbox_regression': 0.7841}, 300, 0.01),
    "FCOS": ({'classification': 1.1397, 'bbox_regression': 1.0, 'bbox_ctrness': 0.686}, 100, 0.08162),
    "SSD": ({'bbox_regression': 2.6524, 'classification': 6.0137}, 148, 0.65859),
}  # fmt: skip
SEGMENTED = -224.485


@pytest.mark.parametrize("name", daily([*LOSSES], 0, "detectors"))
def test_a_detector_is_torchvisions(name):
    model = build(name)
    images, targets = batch(name)
    losses = model(images, targets)
    wanted, count, score = LOSSES[name]
    assert {key: loss.item() for key, loss in losses.items()} == pytest.approx(wanted, abs=2e-3)
    sum(losses.values()).backward()
    assert model.backbone.first[0].weight.grad.abs().sum() > 0
    with torch.no_grad():
        found = model.eval()(images)
    assert len(found[0]["boxes"]) == count
    assert found[0]["scores"][0].item() == pytest.approx(score, abs=1e-4)
    if name == "MaskRCNN":
        assert found[0]["masks"].shape == (count, 1, 60, 80)
    if name == "KeypointRCNN":
        assert found[0]["keypoints"].shape == (count, 4, 3)


def test_targets_are_checked():
    model = build("FasterRCNN")
    images, targets = batch("FasterRCNN")
    with pytest.raises(AssertionError, match="targets"):
        model(images)
    targets[1]["boxes"] = torch.tensor([[20.0, 10, 20, 60]])
    with pytest.raises(AssertionError, match="positive height"):
        model(images, targets)
    with pytest.raises(ValueError, match="out_channels"):
        detection.FasterRCNN(nn.Identity(), 3)
    with pytest.raises(ValueError, match="either"):
        detection.FasterRCNN(Body())


def test_boxes_come_back_from_their_codes():
    boxes = torch.tensor([[10.0, 10, 50, 50], [30, 20, 70, 55]])
    near = boxes + torch.tensor([2.0, -3, 5, 6])
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    torch.testing.assert_close(coder.decode_single(coder.encode_single(boxes, near), near), boxes)
    linear = BoxLinearCoder()
    torch.testing.assert_close(linear.decode(linear.encode(near, boxes), near), boxes)


def test_images_without_objects_train():
    for name in ("FCOS", "SSD"):
        model = build(name)
        images, targets = batch(name)
        targets[1] = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
        losses = model(images, targets)
        assert all(loss.isfinite() for loss in losses.values())
    with pytest.raises(ValueError, match="one anchor"):
        detection.FCOS(Body(), 3, anchor_generator=anchors())


def test_no_box_stays_without_its_best_proposal():
    overlaps = torch.tensor([[0.9, 0.4, 0.1], [0.1, 0.2, 0.3]])
    assert Matcher(0.5, 0.35)(overlaps).tolist() == [0, -2, -1]
    assert Matcher(0.5, 0.35, True)(overlaps).tolist() == [0, -2, 1]


def test_models_of_a_package_are_listed():
    names = models.list_models(module=segmentation)
    assert "fcn_resnet50" in names and len(names) == 6
    assert "retinanet_resnet50_fpn" in models.list_models(module=models.detection)
    assert "resnet18" in models.list_models(module=models)


def test_a_light_head_gives_each_pixel_a_class():
    torch.manual_seed(0)
    model = segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=2).eval()
    with torch.no_grad():
        out = model(torch.rand(1, 3, 32, 32))["out"]
    assert out.shape == (1, 2, 32, 32)
    assert out.sum().item() == pytest.approx(SEGMENTED, rel=1e-3)
