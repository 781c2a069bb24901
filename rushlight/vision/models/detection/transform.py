"""Images of any size made one batch, and detections brought back to the images' sizes."""

import math

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection.anchor_utils import ImageList
from rushlight.vision.models.detection.masks import paste_masks_in_image
from rushlight.vision.transforms.draws import between

__all__ = ["GeneralizedRCNNTransform", "resize_boxes", "resize_keypoints"]


class GeneralizedRCNNTransform(nn.Module):
    """Normalises and resizes images and their targets, and pads the images to one size."""

    def __init__(
        self, min_size, max_size, image_mean, image_std, size_divisible=32, fixed_size=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__()
        self.min_size = min_size if isinstance(min_size, (list, tuple)) else (min_size,)
        self.max_size = max_size
        self.image_mean = image_mean
        self.image_std = image_std
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size
        self._skip_resize = kwargs.pop("_skip_resize", False)

    def forward(self, images, targets=None):
        images = list(images)
        targets = None if targets is None else [dict(target) for target in targets]
        for i, image in enumerate(images):
            if image.dim() != 3:
                raise ValueError(
                    "images is expected to be a list of 3d tensors of shape [C, H, W], got "
                    f"{tuple(image.shape)}"
                )
            target = None if targets is None else targets[i]
            images[i], target = self.resize(self.normalize(image), target)
            if targets is not None:
                targets[i] = target
        sizes = [tuple(image.shape[-2:]) for image in images]
        return ImageList(self.batch_images(images, self.size_divisible), sizes), targets

    def normalize(self, image):
        """The image (C, H, W) with mean 0 and deviation 1."""
        if not image.is_floating_point():
            raise TypeError(
                "Expected input images to be of floating type (in range [0, 1]), but found type "
                f"{image.dtype} instead"
            )
        mean = torch.as_tensor(self.image_mean, dtype=image.dtype)
        std = torch.as_tensor(self.image_std, dtype=image.dtype)
        return (image - mean[:, None, None]) / std[:, None, None]

    def torch_choice(self, k):
        """Draw one of the sizes ``k``."""
        return k[int(between(0.0, float(len(k))))]

    def resize(self, image, target=None):
        """The image and its target in the new size."""
        height, width = image.shape[-2:]
        if self.training and self._skip_resize:
            return image, target
        shortest = self.torch_choice(self.min_size) if self.training else self.min_size[-1]
        if self.fixed_size is not None:
            options: dict = {"size": [self.fixed_size[1], self.fixed_size[0]]}
        else:
            factor = min(shortest / min(height, width), self.max_size / max(height, width))
            options = {"scale_factor": factor, "recompute_scale_factor": True}
        image = F.interpolate(image[None], mode="bilinear", align_corners=False, **options)[0]
        if target is None:
            return image, target
        old, new = (height, width), image.shape[-2:]
        if "masks" in target:
            masks = F.interpolate(target["masks"][:, None].float(), **options)
            target["masks"] = masks[:, 0].byte()
        target["boxes"] = resize_boxes(target["boxes"], old, new)
        if "keypoints" in target:
            target["keypoints"] = resize_keypoints(target["keypoints"], old, new)
        return image, target

    def batch_images(self, images, size_divisible=32):
        """The images in one tensor, padded at the right and below."""
        channels, *sizes = (max(image.shape[i] for image in images) for i in range(3))
        sizes = [math.ceil(size / size_divisible) * size_divisible for size in sizes]
        batch = images[0].new_full([len(images), channels, *sizes], 0)
        for place, image in zip(batch, images, strict=True):
            place[: image.shape[0], : image.shape[1], : image.shape[2]].copy_(image)
        return batch

    def postprocess(self, result, image_shapes, original_image_sizes):
        """Detections in the original images' sizes."""
        if self.training:
            return result
        for found, now, then in zip(result, image_shapes, original_image_sizes, strict=True):
            found["boxes"] = resize_boxes(found["boxes"], now, then)
            if "masks" in found:
                found["masks"] = paste_masks_in_image(found["masks"], found["boxes"], then)
            if "keypoints" in found:
                found["keypoints"] = resize_keypoints(found["keypoints"], now, then)
        return result

    def __repr__(self):
        return (
            f"{type(self).__name__}(\n    Normalize(mean={self.image_mean}, std={self.image_std})\n"
            f"    Resize(min_size={self.min_size}, max_size={self.max_size}, mode='bilinear')\n)"
        )


def _ratios(old, new):
    """(x, y): the new sizes divided by the old ones, rounded to float32."""
    sizes = [torch.tensor(size, dtype=torch.float32) for size in (new[::-1], old[::-1])]
    return sizes[0] / sizes[1]


def resize_keypoints(keypoints, original_size, new_size):
    """Key points (N, K, 3) after the image was resized."""
    ratios = _ratios(original_size, new_size)
    return torch.cat([keypoints[..., :2] * ratios, keypoints[..., 2:]], -1)


def resize_boxes(boxes, original_size, new_size):
    """Boxes (N, 4) after the image was resized."""
    return boxes * _ratios(original_size, new_size).repeat(2)
