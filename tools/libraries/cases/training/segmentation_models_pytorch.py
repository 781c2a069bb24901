"""Segment generated images with several decoders and encoders; train one with Dice loss."""

requires = ["segmentation-models-pytorch"]


def run():
    """Return masks, losses and scores."""
    import segmentation_models_pytorch as smp
    import torch

    found = {}
    x = torch.randn(2, 3, 64, 64)
    for decoder, encoder in [
        ("Unet", "resnet18"),
        ("UnetPlusPlus", "timm-mobilenetv3_small_minimal_100"),
        ("FPN", "mobilenet_v2"),
        ("DeepLabV3Plus", "resnet18"),
        ("Segformer", "mit_b0"),
    ]:
        torch.manual_seed(0)
        model = smp.create_model(decoder, encoder, encoder_weights=None, classes=2).eval()
        mask = model(x)
        mask.square().mean().backward()
        norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
        found[decoder] = {"mask": mask, "norm of gradients": torch.stack(norms).norm()}
    torch.manual_seed(0)
    model = smp.Unet("resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(16, 8, 4))
    mask = (x.mean(1, keepdim=True) > 0).long()
    dice, focal = smp.losses.DiceLoss("binary"), smp.losses.FocalLoss("binary")
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        scores = model(x)
        loss = dice(scores, mask) + focal(scores, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    counts = smp.metrics.get_stats((scores.sigmoid() > 0.5).long(), mask, mode="binary")
    found["losses"] = losses
    found["IoU"] = smp.metrics.iou_score(*counts, reduction="micro")
    found["other losses"] = [
        smp.losses.JaccardLoss("binary")(scores, mask),
        smp.losses.TverskyLoss("binary")(scores, mask),
        smp.losses.LovaszLoss("binary")(scores, mask),
        smp.losses.SoftBCEWithLogitsLoss(smooth_factor=0.1)(scores, mask.float()),
    ]
    return found
