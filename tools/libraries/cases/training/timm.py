"""Run small models forward and backward, and train one with timm's optimizer and schedule."""

requires = ["timm"]

MODELS = {
    "resnet10t": 64,
    "vit_tiny_patch16_224": 224,
    "mobilenetv3_small_050": 64,
    "convnext_atto": 64,
    "efficientnet_b0": 64,
    "regnetx_002": 64,
    "ghostnet_050": 64,
    "mixer_s32_224": 224,
    "levit_128s": 224,
    "edgenext_xx_small": 64,
    "fastvit_t8": 64,
    "repvgg_a0": 64,
}


def run():
    """Return each model's scores and gradients, and the losses of a training."""
    import numpy as np
    import timm
    import torch
    from timm.data import Mixup, create_transform
    from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from timm.utils import ModelEmaV3

    np.random.seed(0)

    found = {}
    for name, size in MODELS.items():
        torch.manual_seed(0)
        model = timm.create_model(name, num_classes=3).eval()
        scores = model(torch.randn(1, 3, size, size))
        LabelSmoothingCrossEntropy()(scores, torch.tensor([1])).backward()
        norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
        found[name] = {"scores": scores, "norm of gradients": torch.stack(norms).norm()}

    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=4, drop_path_rate=0.1)
    optimizer = create_optimizer_v2(model, "lamb", lr=1e-3, weight_decay=0.05)
    schedule = CosineLRScheduler(optimizer, t_initial=4, warmup_t=1, warmup_lr_init=1e-4)
    ema = ModelEmaV3(model, decay=0.9)
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    mixup = Mixup(num_classes=4, mixup_alpha=0.2, label_smoothing=0.1)
    losses = []
    for step in range(3):
        x, y = mixup(images.clone(), labels)
        loss = SoftTargetCrossEntropy()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step(step + 1)
        ema.update(model)
        losses.append(loss.item())
    found["losses"] = losses
    found["learning rate"] = optimizer.param_groups[0]["lr"]
    found["averaged weight"] = ema.module.conv1[0].weight
    features = timm.create_model("resnet10t", features_only=True).eval()
    found["shapes of features"] = [list(f.shape) for f in features(images)]
    found["transform"] = str(create_transform(64, is_training=False))
    return found
