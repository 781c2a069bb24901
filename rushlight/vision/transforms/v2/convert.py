"""Conversions of samples: to images and tensors, element types, normalisation, noise and blur."""

import warnings

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision import transforms as _first
from rushlight.vision import tv_tensors
from rushlight.vision.images import is_pil
from rushlight.vision.transforms.draws import between
from rushlight.vision.transforms.functional import to_tensor
from rushlight.vision.transforms.functional.size import two_sizes
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.arguments import numbers_of
from rushlight.vision.transforms.v2.functional import is_pure_tensor
from rushlight.vision.transforms.v2.samples import has_any
from rushlight.vision.transforms.v2.transform import Transform

__all__ = [
    "ConvertImageDtype", "GaussianBlur", "GaussianNoise", "Identity", "Lambda",
    "LinearTransformation", "Normalize", "PILToTensor", "ToDtype", "ToImage", "ToPILImage",
    "ToPureTensor", "ToTensor", "UniformTemporalSubsample",
]  # fmt: skip


def _is_array(inpt):
    return isinstance(inpt, np.ndarray)


class _NoPillow(Transform):
    def check_inputs(self, flat_inputs):
        if has_any(flat_inputs, is_pil):
            raise TypeError(f"{type(self).__name__}() does not support PIL images.")


class PILToTensor(Transform):
    """Converts Pillow images to tensors of the same values.

    >>> from PIL import Image
    >>> from rushlight.vision.transforms import v2
    >>> v2.PILToTensor()(Image.new("L", (2, 1), 255))
    tensor([[[255, 255]]], dtype=torch.uint8)
    """

    _transformed_types = (is_pil,)

    def transform(self, inpt, params):
        return F.pil_to_tensor(inpt)


class ToImage(Transform):
    """Converts tensors, arrays and Pillow images to ``tv_tensors.Image``, with the same values.

    >>> import numpy as np
    >>> from rushlight.vision.transforms import v2
    >>> v2.ToImage()(np.zeros((4, 8, 3), np.uint8)).shape
    torch.Size([3, 4, 8])
    """

    _transformed_types = (is_pure_tensor, is_pil, _is_array)

    def transform(self, inpt, params):
        return F.to_image(inpt)


class ToPILImage(Transform):
    """Converts tensors (C, H, W) and arrays (H, W, C) to Pillow images.

    Args:
        mode: Pillow's name of the pixels' form, such as ``"RGB"``. Default: by the channels and
            dtype.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.ToPILImage()(torch.zeros(3, 4, 8)).size
    (8, 4)
    """

    _transformed_types = (is_pure_tensor, tv_tensors.Image, _is_array)

    def __init__(self, mode=None):
        super().__init__()
        self.mode = mode

    def transform(self, inpt, params):
        return F.to_pil_image(inpt, mode=self.mode)


class ToPureTensor(Transform):
    """Converts the classes of ``tv_tensors`` to plain tensors.

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> type(v2.ToPureTensor()(tv_tensors.Image(torch.zeros(1, 2, 2)))).__name__
    'Tensor'
    """

    _transformed_types = (tv_tensors.TVTensor,)

    def transform(self, inpt, params):
        return inpt.as_subclass(Tensor)


class ToTensor(Transform):
    """Deprecated: use ``ToImage``, then ``ToDtype(torch.float32, scale=True)``."""

    _transformed_types = (is_pil, _is_array)

    def __init__(self):
        warnings.warn(
            "ToTensor() is deprecated: use ToImage(), then ToDtype(torch.float32, scale=True)",
            stacklevel=2,
        )
        super().__init__()

    def transform(self, inpt, params):
        return to_tensor(inpt)


class Identity(Transform):
    """Changes nothing.

    >>> from rushlight.vision.transforms import v2
    >>> v2.Identity()(3)
    3
    """

    def transform(self, inpt, params):
        return inpt


class Lambda(Transform):
    """Makes a transform of a function.

    Args:
        lambd: Function of one input.
        types: Classes of the inputs that it changes. Default: all.

    >>> from rushlight.vision.transforms import v2
    >>> v2.Lambda(lambda number: number + 1, int)([2, "a"])
    [3, 'a']
    """

    _transformed_types = (object,)

    def __init__(self, lambd, *types):
        super().__init__()
        self.lambd = lambd
        self.types = types or self._transformed_types

    def transform(self, inpt, params):
        return self.lambd(inpt) if isinstance(inpt, self.types) else inpt

    def extra_repr(self):
        name = getattr(self.lambd, "__name__", None)
        shown = [name] if name else []
        return ", ".join([*shown, f"types={[kind.__name__ for kind in self.types]}"])


class LinearTransformation(_NoPillow):
    """Multiplies the flattened image, less a vector, by a matrix: whitening.

    Shape: (..., C, H, W) → the same.

    Args:
        transformation_matrix: Tensor ``(D, D)``, D = C·H·W.
        mean_vector: Tensor ``(D,)``, which is subtracted first.

    Raises:
        ValueError: Shapes or element types do not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.LinearTransformation(2 * torch.eye(2), torch.ones(2))(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[0., 4.]]])
    """

    _v1_transform_cls = _first.LinearTransformation
    _transformed_types = (is_pure_tensor, tv_tensors.Image, tv_tensors.Video)

    def __init__(self, transformation_matrix, mean_vector):
        super().__init__()
        _first.LinearTransformation(transformation_matrix, mean_vector)  # checks the shapes
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def transform(self, inpt, params):
        linear = _first.LinearTransformation(self.transformation_matrix, self.mean_vector)
        found = linear(inpt.as_subclass(Tensor))
        return found if is_pure_tensor(inpt) else tv_tensors.wrap(found, like=inpt)


class Normalize(_NoPillow):
    """Computes (x - mean) / std for each channel, as ``functional.normalize`` does.

    Shape: (..., C, H, W) → the same.

    Args:
        mean: Sequence of the channels' means.
        std: Sequence of the channels' standard deviations, none of them 0.
        inplace: Write into the image itself. Default: False.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.Normalize([0.5], [0.5])(torch.ones(1, 1, 2))
    tensor([[[1., 1.]]])
    """

    _v1_transform_cls = _first.Normalize

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean = list(mean)
        self.std = list(std)
        self.inplace = inplace

    def transform(self, inpt, params):
        return self._call_kernel(F.normalize, inpt, self.mean, self.std, self.inplace)


class GaussianBlur(Transform):
    """Blurs the image, as ``functional.gaussian_blur`` does, with a random deviation.

    Args:
        kernel_size: Size of the kernel in pixels, odd: an int, or (width, height).
        sigma: Deviation in pixels: a number, or the range (least, largest). Default: (0.1, 2).

    Raises:
        TypeError: ``sigma`` is neither a number nor a sequence.
        ValueError: A size is not odd and positive, or the range of ``sigma`` makes no sense.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.GaussianBlur(3)(torch.ones(1, 4, 4)).shape
    torch.Size([1, 4, 4])
    """

    _v1_transform_cls = _first.GaussianBlur

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        super().__init__()
        self.kernel_size = two_sizes(kernel_size, "GaussianBlur")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = numbers_of(sigma, "sigma")
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma values should be positive (min, max). Got {self.sigma}")

    def make_params(self, flat_inputs):
        return {"sigma": [between(*self.sigma)] * 2}

    def transform(self, inpt, params):
        return self._call_kernel(F.gaussian_blur, inpt, self.kernel_size, **params)


class GaussianNoise(Transform):
    """Adds normal noise to each value, as ``functional.gaussian_noise`` does.

    Args:
        mean: Mean of the noise, as a share of white. Default: 0.
        sigma: Standard deviation of the noise, as a share of white. Default: 0.1.
        clip: Cut the result off at black and white. Default: True.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.GaussianNoise(sigma=0.0)(torch.ones(3, 2, 2)).mean()
    tensor(1.)
    """

    def __init__(self, mean=0.0, sigma=0.1, clip=True):
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, inpt, params):
        return self._call_kernel(F.gaussian_noise, inpt, self.mean, self.sigma, self.clip)


class ToDtype(Transform):
    """Converts to another element type: images and videos, or what a dict says.

    Args:
        dtype: The new element type, or a dict from a class of input to its element type, or to
            None (no change); the key ``"others"`` is for all other classes.
        scale: Scale images and videos so that white stays white. Default: False.

    Raises:
        ValueError: ``dtype`` is neither, or has no entry for a class.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.ToDtype(torch.float32, scale=True)(torch.tensor([[51, 255]], dtype=torch.uint8))
    tensor([[0.2000, 1.0000]])
    """

    _transformed_types = (Tensor,)

    def __init__(self, dtype, scale=False):
        super().__init__()
        if not isinstance(dtype, (dict, torch.dtype)):
            raise ValueError(f"dtype must be a dict or a torch.dtype, got {type(dtype)} instead")
        images = tv_tensors.Image, tv_tensors.Video
        if isinstance(dtype, dict) and Tensor in dtype and any(kind in dtype for kind in images):
            warnings.warn(
                "ToDtype: where a sample has images or videos, plain tensors are passed on as they "
                "are, so dtype's entry for torch.Tensor has no effect",
                stacklevel=2,
            )
        self.dtype = dtype
        self.scale = scale

    def transform(self, inpt, params):
        scalable = is_pure_tensor(inpt) or isinstance(inpt, (tv_tensors.Image, tv_tensors.Video))
        if not isinstance(self.dtype, dict):
            dtype = self.dtype if scalable else None
        elif type(inpt) in self.dtype or "others" in self.dtype:
            dtype = self.dtype[type(inpt) if type(inpt) in self.dtype else "others"]
            if dtype is None and self.scale and scalable:
                warnings.warn("ToDtype: no dtype for images or videos: no scaling", stacklevel=2)
        else:
            raise ValueError(
                f"No dtype was specified for type {type(inpt)}. Add it to the dict, or the key "
                "'others' for all classes, with None for no change"
            )
        return inpt if dtype is None else self._call_kernel(F.to_dtype, inpt, dtype, self.scale)


class ConvertImageDtype(Transform):
    """Converts images and videos to another element type, scaled so that white stays white.

    Args:
        dtype: The new element type. Default: ``torch.float32``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.ConvertImageDtype()(torch.tensor([[51, 255]], dtype=torch.uint8))
    tensor([[0.2000, 1.0000]])
    """

    _v1_transform_cls = _first.ConvertImageDtype

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.dtype = dtype

    def transform(self, inpt, params):
        return self._call_kernel(F.to_dtype, inpt, dtype=self.dtype, scale=True)


class UniformTemporalSubsample(Transform):
    """Takes ``num_samples`` frames at equal distances from videos.

    Args:
        num_samples: Number of frames of the result.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.UniformTemporalSubsample(3)(torch.arange(9).reshape(9, 1, 1, 1)).flatten()
    tensor([0, 4, 8])
    """

    _transformed_types = (Tensor,)

    def __init__(self, num_samples):
        super().__init__()
        self.num_samples = num_samples

    def transform(self, inpt, params):
        return self._call_kernel(F.uniform_temporal_subsample, inpt, self.num_samples)
