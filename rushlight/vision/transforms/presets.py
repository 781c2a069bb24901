"""How an image is prepared for a model with trained weights."""

import rushlight as torch
from rushlight import nn
from rushlight.tensor import Tensor
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.functional import InterpolationMode

__all__ = ["ImageClassification"]


class ImageClassification(nn.Module):
    """Resizes the image, crops the middle, scales the values to 0 to 1, and normalises them.

    Shape: a Pillow image, or a tensor (..., 3, H, W) → (..., 3, crop_size, crop_size), float32.

    >>> import rushlight as torch
    >>> from rushlight.vision.models import ResNet18_Weights
    >>> ResNet18_Weights.DEFAULT.transforms()(torch.zeros(3, 300, 400)).shape
    torch.Size([3, 224, 224])
    """

    def __init__(
        self, *, crop_size, resize_size=256, mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225), interpolation=InterpolationMode.BILINEAR, antialias=True,
    ):  # fmt: skip
        super().__init__()
        self.crop_size = [crop_size]
        self.resize_size = [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img):
        img = F.resize(img, self.resize_size, self.interpolation, antialias=self.antialias)
        img = F.center_crop(img, self.crop_size)
        if not isinstance(img, Tensor):
            img = F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(img, torch.float32), self.mean, self.std)

    def __repr__(self):
        names = ("crop_size", "resize_size", "mean", "std", "interpolation")
        lines = [f"\n    {name}={getattr(self, name)}" for name in names]
        return f"{type(self).__name__}({''.join(lines)}\n)"

    def describe(self):
        """What the transform does, in words."""
        return (
            f"Takes a Pillow image or a tensor (..., C, H, W). It is resized to {self.resize_size} "
            f"by {self.interpolation}, cropped to {self.crop_size}, scaled to [0.0, 1.0], and "
            f"normalised with mean={self.mean} and std={self.std}."
        )
