"""Conversions between Pillow images, arrays and tensors, and linear transforms of values."""

from rushlight import nn
from rushlight.vision.transforms import functional as F

__all__ = [
    "ConvertImageDtype", "LinearTransformation", "Normalize", "PILToTensor", "ToPILImage",
    "ToTensor",
]  # fmt: skip


class ToTensor:
    """``functional.to_tensor``: bytes become floating point from 0 to 1.

    >>> import numpy as np
    >>> from rushlight.vision.transforms import ToTensor
    >>> ToTensor()(np.full((2, 3), 51, np.uint8)).max()
    tensor(0.2000)
    """

    def __call__(self, pic):
        return F.to_tensor(pic)

    def __repr__(self):
        return f"{type(self).__name__}()"


class PILToTensor:
    """``functional.pil_to_tensor``: a Pillow image as a tensor of the same values."""

    def __call__(self, pic):
        return F.pil_to_tensor(pic)

    def __repr__(self):
        return f"{type(self).__name__}()"


class ConvertImageDtype(nn.Module):
    """``functional.convert_image_dtype``: another element type, with scaled values."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, image):
        return F.convert_image_dtype(image, self.dtype)


class ToPILImage:
    """``functional.to_pil_image``: a tensor (C, H, W) or array (H, W, C) as a Pillow image."""

    def __init__(self, mode=None):
        self.mode = mode

    def __call__(self, pic):
        return F.to_pil_image(pic, self.mode)

    def __repr__(self):
        mode = "" if self.mode is None else f"mode={self.mode}"
        return f"{type(self).__name__}({mode})"


class Normalize(nn.Module):
    """``functional.normalize``: (x - mean) / std, for each channel.

    Shape: (..., C, H, W) → the same.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import Normalize
    >>> Normalize([0.5], [0.5])(torch.ones(1, 1, 2))
    tensor([[[1., 1.]]])
    """

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor):
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self):
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class LinearTransformation(nn.Module):
    """The flattened image less ``mean_vector``, times ``transformation_matrix``: whitening.

    Shape: (..., C, H, W) → the same; the matrix is (D, D), the vector (D,), D = C·H·W.
    Raises:
        ValueError: shapes or element types do not fit.
    """

    def __init__(self, transformation_matrix, mean_vector):
        super().__init__()
        matrix, mean = tuple(transformation_matrix.shape), tuple(mean_vector.shape)
        if matrix[0] != matrix[1] or mean[0] != matrix[0]:
            raise ValueError(
                f"LinearTransformation: transformation_matrix {matrix} must be (D, D) and "
                f"mean_vector {mean} (D,)"
            )
        if transformation_matrix.dtype is not mean_vector.dtype:
            raise ValueError(
                f"LinearTransformation: the matrix is {transformation_matrix.dtype}, "
                f"the vector {mean_vector.dtype}; both need one dtype"
            )
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def forward(self, tensor):
        size = tensor.shape[-3:].numel()
        if size != len(self.mean_vector):
            raise ValueError(
                f"LinearTransformation: {tuple(tensor.shape)} has {size} values an image, "
                f"the matrix is for {len(self.mean_vector)}"
            )
        flat = tensor.reshape(-1, size) - self.mean_vector
        return (flat @ self.transformation_matrix.to(flat.dtype)).reshape(tensor.shape)

    def __repr__(self):
        return (
            f"{type(self).__name__}(transformation_matrix={self.transformation_matrix.tolist()}, "
            f"mean_vector={self.mean_vector.tolist()})"
        )
