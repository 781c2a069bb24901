"""Trains and applies Faster R-CNN and RetinaNet on a small body, and measures boxes."""

requires = ["torchvision"]
tolerance = 1e-3  # logarithms of small boxes' sizes are large


def run():
    """Losses of two steps, and detections."""
    import torch
    from torch import nn
    from torchvision import ops
    from torchvision.models.detection import FasterRCNN, RetinaNet
    from torchvision.models.detection.anchor_utils import AnchorGenerator

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

    torch.manual_seed(0)
    anchors = AnchorGenerator(((16,), (32,)), ((0.5, 1.0, 2.0),) * 2)
    pool = ops.MultiScaleRoIAlign(["0", "1"], output_size=3, sampling_ratio=2)
    sizes = {"min_size": 96, "max_size": 128}
    models = {
        "FasterRCNN": FasterRCNN(
            Body(), 3, rpn_anchor_generator=anchors, box_roi_pool=pool, **sizes
        ),
        "RetinaNet": RetinaNet(Body(), 3, anchor_generator=anchors, **sizes),
    }
    images = [torch.rand(3, 90, 120), torch.rand(3, 100, 96)]
    targets = [
        {"boxes": torch.tensor([[10.0, 10, 50, 60], [40, 20, 110, 80]]),
         "labels": torch.tensor([1, 2])},
        {"boxes": torch.tensor([[20.0, 30, 60, 90]]), "labels": torch.tensor([1])},
    ]  # fmt: skip
    found = {}
    for name, model in models.items():
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for step in range(2):
            losses = model(images, targets)
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
            found[f"{name}, step {step}"] = losses
        with torch.no_grad():
            detections = model.eval()(images)
        found[f"{name}, detections"] = [
            {key: value[:5] for key, value in one.items()} for one in detections
        ]
    boxes = torch.rand(50, 4) * 40
    boxes[:, 2:] += boxes[:, :2]
    scores, kinds = torch.rand(50), torch.arange(50) % 3
    features = torch.rand(1, 18, 20, 20)
    regions = [boxes[:4] / 4]
    found["suppressed"] = ops.batched_nms(boxes, scores, kinds, 0.3)
    found["overlaps"] = ops.generalized_box_iou(boxes[:4], boxes[4:8])
    found["regions"] = [
        ops.roi_align(features, regions, 2, aligned=True),
        ops.roi_pool(features, regions, 3),
        ops.ps_roi_align(features, regions, 3),
        ops.ps_roi_pool(features, regions, 3),
    ]
    offset = torch.randn(1, 18, 20, 20)
    found["deformed"] = ops.DeformConv2d(18, 2, 3, padding=1)(features, offset)
    return found
