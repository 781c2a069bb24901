"""How an image is prepared for a model with trained weights."""

import rushlight as torch
from rushlight import nn
from rushlight.tensor import Tensor
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.functional import InterpolationMode

__all__ = [
    "ImageClassification", "ObjectDetection", "OpticalFlow", "SemanticSegmentation",
    "VideoClassification",
]  # fmt: skip


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


class ObjectDetection(nn.Module):
    """Scales the values to 0 to 1; the model does the rest.

    Shape: a Pillow image, or a tensor (..., 3, H, W) → (..., 3, H, W), float32.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.presets import ObjectDetection
    >>> ObjectDetection()(torch.full((3, 1, 1), 51, dtype=torch.uint8)).flatten()
    tensor([0.2000, 0.2000, 0.2000])
    """

    def forward(self, img):
        img = img if isinstance(img, Tensor) else F.pil_to_tensor(img)
        return F.convert_image_dtype(img, torch.float32)

    def describe(self):
        """What the transform does, in words."""
        return "Takes a Pillow image or a tensor (..., C, H, W). It is scaled to [0.0, 1.0]."


class OpticalFlow(nn.Module):
    """Scales the values of two images to -1 to 1.

    Shape: two Pillow images, or tensors (..., 3, H, W) → a pair of (..., 3, H, W), float32.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.presets import OpticalFlow
    >>> black = torch.zeros(3, 1, 1, dtype=torch.uint8)
    >>> OpticalFlow()(black, black + 255)[1].flatten()
    tensor([1., 1., 1.])
    """

    def forward(self, img1, img2):
        images = [img if isinstance(img, Tensor) else F.pil_to_tensor(img) for img in (img1, img2)]
        images = [F.convert_image_dtype(img, torch.float32) for img in images]
        half = [0.5] * 3
        return tuple([F.normalize(img, half, half).contiguous() for img in images])

    def describe(self):
        """What the transform does, in words."""
        return "Takes two Pillow images or tensors (..., C, H, W). They are scaled to [-1.0, 1.0]."


class SemanticSegmentation(nn.Module):
    """Resizes the image, scales the values to 0 to 1, and normalises them.

    Shape: a Pillow image, or a tensor (..., 3, H, W) → (..., 3, H', W'), float32.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.presets import SemanticSegmentation
    >>> SemanticSegmentation(resize_size=20)(torch.zeros(3, 30, 40)).shape
    torch.Size([3, 20, 26])
    """

    def __init__(
        self, *, resize_size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
        interpolation=InterpolationMode.BILINEAR, antialias=True,
    ):  # fmt: skip
        super().__init__()
        self.resize_size = None if resize_size is None else [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img):
        if self.resize_size is not None:
            img = F.resize(img, self.resize_size, self.interpolation, antialias=self.antialias)
        img = img if isinstance(img, Tensor) else F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(img, torch.float32), self.mean, self.std)

    def __repr__(self):
        names = ("resize_size", "mean", "std", "interpolation")
        lines = [f"\n    {name}={getattr(self, name)}" for name in names]
        return f"{type(self).__name__}({''.join(lines)}\n)"

    def describe(self):
        """What the transform does, in words."""
        return (
            f"Takes a Pillow image or a tensor (..., C, H, W). It is resized to {self.resize_size} "
            f"by {self.interpolation}, scaled to [0.0, 1.0], and normalised with "
            f"mean={self.mean} and std={self.std}."
        )


class VideoClassification(nn.Module):
    """Resizes the frames, crops the middle, scales the values to 0 to 1, and normalises them.

    Shape: vid: (..., T, 3, H, W) → (..., 3, T, crop_size), float32.

    >>> import rushlight as torch
    >>> from rushlight.vision.models.video import R3D_18_Weights
    >>> R3D_18_Weights.DEFAULT.transforms()(torch.zeros(4, 3, 120, 160)).shape
    torch.Size([3, 4, 112, 112])
    """

    def __init__(
        self, *, crop_size, resize_size, mean=(0.43216, 0.394666, 0.37645),
        std=(0.22803, 0.22145, 0.216989), interpolation=InterpolationMode.BILINEAR,
    ):  # fmt: skip
        super().__init__()
        self.crop_size = list(crop_size)
        self.resize_size = list(resize_size)
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation

    def forward(self, vid):
        frames = vid.reshape(-1, *vid.shape[-3:])
        # Trained models were measured on frames that were resized without antialiasing.
        frames = F.resize(frames, self.resize_size, self.interpolation, antialias=False)
        frames = F.convert_image_dtype(F.center_crop(frames, self.crop_size), torch.float32)
        frames = F.normalize(frames, self.mean, self.std)
        return frames.reshape(*vid.shape[:-2], *frames.shape[-2:]).transpose(-3, -4)

    def __repr__(self):
        names = ("crop_size", "resize_size", "mean", "std", "interpolation")
        lines = [f"\n    {name}={getattr(self, name)}" for name in names]
        return f"{type(self).__name__}({''.join(lines)}\n)"

    def describe(self):
        """What the transform does, in words."""
        return (
            f"Takes a tensor (..., T, C, H, W). Its frames are resized to {self.resize_size} by "
            f"{self.interpolation}, cropped to {self.crop_size}, scaled to [0.0, 1.0], and "
            f"normalised with mean={self.mean} and std={self.std}; channels come before frames."
        )
