"""Segment volumes: transforms with metadata, cached data, UNet, Dice, sliding windows, metrics."""

requires = ["monai"]


def run():
    """Return losses, transformed volumes and scores."""
    import monai
    import torch
    from monai.data import CacheDataset, DataLoader, MetaTensor, decollate_batch
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceCELoss, FocalLoss, TverskyLoss
    from monai.metrics import DiceMetric, HausdorffDistanceMetric, MeanIoU
    from monai.networks.nets import SegResNet, SwinUNETR, UNet, ViT  # noqa: F401 - imported as users do
    from monai.transforms import (
        Activationsd,
        AsDiscreted,
        Compose,
        EnsureChannelFirstd,
        EnsureTyped,
        NormalizeIntensityd,
        RandAffined,
        RandFlipd,
        RandGaussianNoised,
        RandSpatialCropd,
        ScaleIntensityd,
        Spacingd,
    )

    monai.utils.set_determinism(0)
    found, keys = {}, ["image", "label"]
    samples = []
    for _ in range(4):
        image = torch.randn(20, 18, 16)
        samples.append(
            {
                "image": MetaTensor(image, affine=torch.diag(torch.tensor([1.0, 1.0, 1.5, 1.0]))),
                "label": MetaTensor(
                    (image > 0.5).float(), affine=torch.diag(torch.tensor([1.0, 1.0, 1.5, 1.0]))
                ),
            }
        )
    before = Compose(
        [
            EnsureChannelFirstd(keys, channel_dim="no_channel"),
            Spacingd(keys, (1.2, 1.2, 1.5), mode=("bilinear", "nearest")),
            NormalizeIntensityd("image"),
            RandSpatialCropd(keys, (16, 12, 8), random_size=False),
            RandFlipd(keys, 0.5, 0),
            RandAffined(
                keys,
                prob=1.0,
                rotate_range=0.2,
                scale_range=0.1,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandGaussianNoised("image", 1.0),
            ScaleIntensityd("image"),
            EnsureTyped(keys),
        ]
    )
    before.set_random_state(1)
    data = CacheDataset(samples, before, progress=False)
    loader = DataLoader(data, batch_size=2)
    model = UNet(3, 1, 2, channels=(4, 8, 16), strides=(2, 2), num_res_units=1)
    optimizer, loss_of = (
        torch.optim.Adam(model.parameters(), 1e-2),
        DiceCELoss(to_onehot_y=True, softmax=True),
    )
    losses = []
    for _ in range(2):
        for batch in loader:
            loss = loss_of(model(batch["image"]), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    found["losses"] = losses
    found["image"], found["affine"] = batch["image"].as_tensor(), batch["image"].affine
    found["kind"] = type(batch["image"]).__name__
    found["operations"] = [
        str(o["class"]) for o in decollate_batch(batch)[0]["image"].applied_operations
    ]
    model.eval()
    dice, iou = DiceMetric(include_background=False), MeanIoU()
    distance = HausdorffDistanceMetric(percentile=95)
    after = Compose(
        [
            Activationsd("pred", softmax=True),
            AsDiscreted(["pred", "label"], argmax=(True, False), to_onehot=2),
        ]
    )
    with torch.no_grad():
        for batch in loader:
            batch["pred"] = sliding_window_inference(
                batch["image"], (8, 8, 8), 2, model, overlap=0.5, mode="gaussian"
            )
            parts = [after(part) for part in decollate_batch(batch)]
            for metric in (dice, iou, distance):
                metric([p["pred"] for p in parts], [p["label"] for p in parts])
    found["prediction"] = batch["pred"].as_tensor()
    found["scores"] = [dice.aggregate(), iou.aggregate(), distance.aggregate()]
    x = torch.randn(1, 1, 16, 16, 16)
    torch.manual_seed(2)
    for net in (
        SegResNet(3, 8, 1, 2),
        ViT(1, 16, 8, hidden_size=12, mlp_dim=16, num_layers=1, num_heads=2),
    ):
        out = net.eval()(x)
        found[type(net).__name__] = out[0] if isinstance(out, tuple) else out
    target = (x > 0).float()
    found["other losses"] = [FocalLoss()(x, target), TverskyLoss(sigmoid=True)(x, target)]
    return found
