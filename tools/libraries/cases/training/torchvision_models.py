"""Trains classifiers, segments images by LR-ASPP, and makes a grid of pictures."""

requires = ["torchvision"]
tolerance = 2e-3  # batch norms of few pixels make rounding errors larger


def run():
    """Losses and outputs of networks with drawn weights."""
    import torch
    from torchvision import models
    from torchvision.models import segmentation
    from torchvision.ops import sigmoid_focal_loss
    from torchvision.utils import make_grid

    images = torch.rand(4, 3, 64, 64)
    labels = torch.tensor([0, 1, 2, 1])
    found = {}
    for name in ("squeezenet1_1", "resnet18"):
        torch.manual_seed(1)
        model = models.get_model(name, weights=None, num_classes=3)
        optimizer = torch.optim.SGD(model.parameters(), 0.005, momentum=0.9)
        losses = []
        for _ in range(2):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found[name] = losses
    torch.manual_seed(2)
    model = segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=2
    ).eval()
    logits = model(images)["out"]
    found["segmentation"] = logits
    found["focal loss"] = sigmoid_focal_loss(logits, (logits > 0).float(), reduction="mean")
    found["grid"] = make_grid(images, nrow=2, normalize=True).mean((1, 2))
    return found
