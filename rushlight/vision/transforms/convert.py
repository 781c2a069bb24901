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
    """Converts a Pillow image to a tensor of the same values.

    >>> from PIL import Image
    >>> from rushlight.vision.transforms import PILToTensor
    >>> PILToTensor()(Image.new("L", (2, 1), 255))
    tensor([[[255, 255]]], dtype=torch.uint8)
    """

    def __call__(self, pic):
        return F.pil_to_tensor(pic)

    def __repr__(self):
        return f"{type(self).__name__}()"


class ConvertImageDtype(nn.Module):
    """Converts a tensor to another element type, as ``functional.convert_image_dtype`` does.

    Args:
        dtype: The new element type. Values are scaled so that white stays white.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import ConvertImageDtype
    >>> ConvertImageDtype(torch.float32)(torch.tensor([51, 255], dtype=torch.uint8))
    tensor([0.2000, 1.0000])
    """

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, image):
        return F.convert_image_dtype(image, self.dtype)


class ToPILImage:
    """Converts a tensor (C, H, W) or an array (H, W, C) to a Pillow image.

    Args:
        mode: Pillow's name of the pixels' form, such as ``"RGB"``. Default: by the channels and
            dtype.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import ToPILImage
    >>> ToPILImage()(torch.zeros(3, 4, 8)).size
    (8, 4)
    """

    def __init__(self, mode=None):
        self.mode = mode

    def __call__(self, pic):
        return F.to_pil_image(pic, self.mode)

    def __repr__(self):
        mode = "" if self.mode is None else f"mode={self.mode}"
        return f"{type(self).__name__}({mode})"


class Normalize(nn.Module):
    """Computes (x - mean) / std for each channel, as ``functional.normalize`` does.

    Shape: (..., C, H, W) → the same.

    Args:
        mean: Sequence of the channels' means.
        std: Sequence of the channels' standard deviations, none of them 0.
        inplace: Write into the image itself. Default: False.

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
    """Multiplies the flattened image, less a vector, by a matrix: whitening.

    Shape: (..., C, H, W) → the same.

    Args:
        transformation_matrix: Tensor ``(D, D)``, D = C·H·W.
        mean_vector: Tensor ``(D,)``, which is subtracted first.

    Raises:
        ValueError: shapes or element types do not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import LinearTransformation
    >>> LinearTransformation(2 * torch.eye(2), torch.ones(2))(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[0., 4.]]])
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
