"""Augments images with their masks, boxes and points by `transforms.v2`, and mixes a batch."""

requires = ["torchvision"]


def run():
    """Sums of images, boxes and labels after augmentations with drawn numbers."""
    import torch
    from PIL import Image
    from torchvision import tv_tensors
    from torchvision.transforms import InterpolationMode, v2
    from torchvision.transforms.v2 import functional as F

    rows, columns = torch.arange(48)[:, None], torch.arange(64)
    waves = (rows / 7).sin() * (columns / 5).cos()
    pixels = torch.stack([waves, waves.flip(0), waves.flip(1)]) * 100 + 128
    image = pixels.to(torch.uint8)
    sample = {
        "image": tv_tensors.Image(image),
        "mask": tv_tensors.Mask(waves > 0),
        "boxes": tv_tensors.BoundingBoxes(
            [[4, 6, 30, 40], [20, 10, 60, 44]], format="XYXY", canvas_size=(48, 64)
        ),
        "points": tv_tensors.KeyPoints([[5.0, 6.0], [40.0, 20.0]], canvas_size=(48, 64)),
        "labels": torch.tensor([1, 2]),
    }
    geometry = v2.Compose(
        [
            v2.RandomZoomOut(fill={tv_tensors.Image: (120, 110, 100), "others": 0}, p=1.0),
            v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomRotation(20, InterpolationMode.BILINEAR),
            v2.RandomResizedCrop(40, scale=(0.5, 1.0)),
            v2.SanitizeBoundingBoxes(),
            v2.ConvertBoundingBoxFormat("CXCYWH"),
        ]
    )
    colours = v2.Compose(
        [
            v2.RandomPhotometricDistort(p=1.0),
            v2.RandAugment(),
            v2.GaussianBlur(3),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    found = {}
    for seed in range(4):
        torch.manual_seed(seed)
        out = geometry(sample)
        found[f"sample {seed}"] = [
            out["image"].float().mean(),
            out["mask"].float().mean(),
            out["boxes"],
            out["labels"],
            out["points"],
        ]
        found[f"colours {seed}"] = colours(sample["image"]).mean((1, 2))
        pil = v2.Compose([v2.TrivialAugmentWide(), v2.Resize(20), v2.ToImage()])
        found[f"Pillow {seed}"] = pil(Image.fromarray(image.permute(1, 2, 0).numpy()))
        batch = torch.stack([image, image.flip(-1)]).float()
        for mix in (v2.MixUp(num_classes=3), v2.CutMix(num_classes=3)):
            images, labels = mix(batch, torch.tensor([0, 2]))
            found[f"{type(mix).__name__} {seed}"] = [images.mean((1, 2, 3)), labels]
    rotated = tv_tensors.BoundingBoxes(
        [[20.0, 20.0, 16.0, 8.0, 30.0]], format="CXCYWHR", canvas_size=(48, 64)
    )
    found["rotated"] = F.resize(F.horizontal_flip(rotated), [24, 40])
    found["bytes resized"] = F.resize(image, [17, 23], antialias=True)
    return found
