"""Build YOLO from its yaml, predict boxes, masks and classes, and take steps of training."""

requires = ["ultralytics"]


def run():
    """Return predictions, losses and gradients."""
    import numpy as np
    import torch
    from ultralytics import YOLO
    from ultralytics.cfg import get_cfg
    from ultralytics.utils.loss import v8DetectionLoss

    found = {}
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    for name in ("yolov8n.yaml", "yolo11n-seg.yaml", "yolo11n-cls.yaml"):
        torch.manual_seed(0)
        model = YOLO(name)
        result = model.predict(image, imgsz=96, conf=1e-6, max_det=5, device="cpu", verbose=False)[
            0
        ]
        if result.probs is not None:
            found[name] = result.probs.data
        else:
            found[name] = {"boxes": result.boxes.xyxy, "scores": result.boxes.conf}
    torch.manual_seed(0)
    net = YOLO("yolov8n.yaml").model.train()
    net.args = get_cfg()
    loss_of = v8DetectionLoss(net)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, nesterov=True)
    images = torch.rand(2, 3, 64, 64)
    targets = {
        "batch_idx": torch.tensor([0.0, 0.0, 1.0]),
        "cls": torch.tensor([[3.0], [7.0], [1.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.3], [0.3, 0.6, 0.2, 0.2], [0.6, 0.4, 0.5, 0.6]]),
    }
    losses = []
    for _ in range(2):
        loss, parts = loss_of(net(images), targets)
        optimizer.zero_grad()
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        losses.append({k: float(v) for k, v in parts.items()})
    found["losses"] = losses
    fused = net.eval().fuse(verbose=False)
    found["fused"] = fused(images)[0]
    return found
