"""Transforms that change the size: resizing, padding and cropping."""

import warnings

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision import transforms as _first
from rushlight.vision import tv_tensors
from rushlight.vision.images import is_pil
from rushlight.vision.ops import box_iou
from rushlight.vision.transforms.arguments import ordered, two_of
from rushlight.vision.transforms.draws import below
from rushlight.vision.transforms.functional.size import sides, two_sizes
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.arguments import check_padding
from rushlight.vision.transforms.v2.functional import is_pure_tensor
from rushlight.vision.transforms.v2.functional.boxes import XYXY, converted
from rushlight.vision.transforms.v2.samples import (
    get_bounding_boxes,
    has_all,
    has_any,
    query_size,
)
from rushlight.vision.transforms.v2.transform import (
    RandomApplyTransform,
    Transform,
    fill_of,
    fills,
)

__all__ = [
    "CenterCrop", "FiveCrop", "Pad", "RandomCrop", "RandomIoUCrop",
    "RandomResizedCrop", "RandomZoomOut", "Resize", "TenCrop",
]  # fmt: skip


class Resize(Transform):
    """Resizes images, videos, masks, boxes and points.

    Args:
        size: Size of the result in pixels: (height, width), or the length of the shorter side, or
            None, with ``max_size`` as the length of the longer side.
        max_size: The largest length of the longer side. Default: None, no limit.

    Raises:
        ValueError: ``size`` and ``max_size`` do not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.Resize(10)(torch.zeros(3, 20, 30)).shape
    torch.Size([3, 10, 15])
    """

    _v1_transform_cls = _first.Resize

    def __init__(self, size, interpolation="bilinear", max_size=None, antialias=True):
        super().__init__()
        size = [size] if isinstance(size, int) else size
        if size is None and not isinstance(max_size, int):
            raise ValueError(f"max_size must be an integer when size is None, got {max_size}")
        if size is not None and (not isinstance(size, (tuple, list)) or len(size) not in (1, 2)):
            raise ValueError(f"size can be an integer, one or two integers, or None, got {size}")
        self.size = None if size is None else list(size)
        self.interpolation = interpolation
        self.max_size = max_size
        self.antialias = antialias

    def transform(self, inpt, params):
        return self._call_kernel(
            F.resize, inpt, self.size, interpolation=self.interpolation, max_size=self.max_size,
            antialias=self.antialias,
        )  # fmt: skip


class CenterCrop(Transform):
    """Cuts out the middle.

    Args:
        size: Size of the result in pixels: (height, width), or one int for both.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.CenterCrop(2)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 2, 2])
    """

    _v1_transform_cls = _first.CenterCrop

    def __init__(self, size):
        super().__init__()
        self.size = two_sizes(size, "CenterCrop")

    def transform(self, inpt, params):
        return self._call_kernel(F.center_crop, inpt, output_size=self.size)


class RandomResizedCrop(Transform):
    """Cuts out a random part, and resizes it.

    Args:
        size: Size of the result in pixels: (height, width), or one int for both.
        scale: Range of the part's area, as a share of the whole. Default: (0.08, 1).
        ratio: Range of the part's width divided by its height. Default: (3/4, 4/3).

    Raises:
        TypeError: ``scale`` or ``ratio`` is not a sequence.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomResizedCrop(4)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 4, 4])
    """

    _v1_transform_cls = _first.RandomResizedCrop

    def __init__(
        self, size, scale=(0.08, 1.0), ratio=(3.0 / 4.0, 4.0 / 3.0), interpolation="bilinear",
        antialias=True,
    ):  # fmt: skip
        super().__init__()
        self.size = two_sizes(size, "RandomResizedCrop")
        ordered(scale, ratio, "RandomResizedCrop")
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs):
        frame = torch.empty((0, *query_size(flat_inputs)))  # the draws only look at its size
        drawn = _first.RandomResizedCrop.get_params(frame, self.scale, self.ratio)
        return dict(zip(("top", "left", "height", "width"), drawn, strict=True))

    def transform(self, inpt, params):
        return self._call_kernel(
            F.resized_crop, inpt, **params, size=self.size, interpolation=self.interpolation,
            antialias=self.antialias,
        )  # fmt: skip


class _Crops(Transform):
    """Cuts out several parts of images and videos."""

    def check_inputs(self, flat_inputs):
        if has_any(flat_inputs, tv_tensors.BoundingBoxes, tv_tensors.Mask):
            raise TypeError(
                f"BoundingBoxes'es and Mask's are not supported by {type(self).__name__}()"
            )

    def _call_kernel(self, functional, inpt, *args, **kwargs):
        warn_of_passing(self, inpt)
        return super()._call_kernel(functional, inpt, *args, **kwargs)


def warn_of_passing(transform, inpt):
    """Warn that a transform passes on boxes, points and masks as they are."""
    if isinstance(inpt, (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints, tv_tensors.Mask)):
        warnings.warn(
            f"{type(transform).__name__}() passes inputs of type {type(inpt).__name__} on as they "
            "are",
            stacklevel=4,
        )


class FiveCrop(_Crops):
    """Cuts out the four corners and the middle: gives a tuple of five.

    Args:
        size: Size of the parts in pixels: (height, width), or one int for both.

    Raises:
        TypeError: The sample holds boxes or masks.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> len(v2.FiveCrop(2)(torch.zeros(3, 8, 8)))
    5
    """

    _v1_transform_cls = _first.FiveCrop

    def __init__(self, size):
        super().__init__()
        self.size = two_sizes(size, "FiveCrop")

    def transform(self, inpt, params):
        return self._call_kernel(F.five_crop, inpt, self.size)


class TenCrop(_Crops):
    """Cuts out the corners and the middle of the image and of the flipped one: a tuple of ten.

    Args:
        size: Size of the parts in pixels: (height, width), or one int for both.

    Raises:
        TypeError: The sample holds boxes or masks.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> len(v2.TenCrop(2)(torch.zeros(3, 8, 8)))
    10
    """

    _v1_transform_cls = _first.TenCrop

    def __init__(self, size, vertical_flip=False):
        super().__init__()
        self.size = two_sizes(size, "TenCrop")
        self.vertical_flip = vertical_flip

    def transform(self, inpt, params):
        return self._call_kernel(F.ten_crop, inpt, self.size, vertical_flip=self.vertical_flip)


class Pad(Transform):
    """Pads, as ``functional.pad`` does.

    Args:
        padding: Pixels at the sides. One int applies to all sides. Two ints are (left and right,
            top and bottom), and four are (left, top, right, bottom).
        padding_mode: ``"constant"`` (default), ``"edge"``, ``"reflect"`` or ``"symmetric"``.

    Raises:
        ValueError: ``padding`` is not one, two or four ints, or the mode is not known.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.Pad(1)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 10, 10])
    """

    _v1_transform_cls = _first.Pad

    def __init__(self, padding, fill=0, padding_mode="constant"):
        super().__init__()
        check_padding(padding, padding_mode)
        self.padding = padding if isinstance(padding, int) else list(padding)
        self.fill = fill
        self._fill = fills(fill)
        self.padding_mode = padding_mode

    def transform(self, inpt, params):
        return self._call_kernel(
            F.pad, inpt, padding=self.padding, fill=fill_of(self._fill, inpt),
            padding_mode=self.padding_mode,
        )  # fmt: skip


class RandomZoomOut(RandomApplyTransform):
    """Puts the image at a random place of a larger canvas, with probability ``p``.

    Args:
        side_range: Range of the canvas's sides, as multiples of the image's. Default: (1, 4).

    Raises:
        ValueError: ``side_range`` goes below 1, or from high to low.

    Source: Liu et al. 2015, https://arxiv.org/abs/1512.02325

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomZoomOut(side_range=(2, 2), p=1.0)(torch.ones(1, 4, 4)).shape
    torch.Size([1, 8, 8])
    """

    def __init__(self, fill=0, side_range=(1.0, 4.0), p=0.5):
        super().__init__(p=p)
        self.fill = fill
        self._fill = fills(fill)
        two_of(side_range, "RandomZoomOut: side_range")
        self.side_range = side_range
        if side_range[0] < 1.0 or side_range[0] > side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        scale = self.side_range[0] + torch.rand(1) * (self.side_range[1] - self.side_range[0])
        wide, high = int(width * scale), int(height * scale)
        place = torch.rand(2)
        left, top = int((wide - width) * place[0]), int((high - height) * place[1])
        return {"padding": [left, top, wide - (left + width), high - (top + height)]}

    def transform(self, inpt, params):
        return self._call_kernel(F.pad, inpt, **params, fill=fill_of(self._fill, inpt))


class RandomCrop(Transform):
    """Cuts out a part at a random place.

    Args:
        size: Size of the result in pixels: (height, width), or one int for both.
        padding: Padding before the crop, as of ``Pad``. Default: None, no padding.
        pad_if_needed: Pad an image that is smaller than ``size``. Default: False.
        padding_mode: ``"constant"`` (default), ``"edge"``, ``"reflect"`` or ``"symmetric"``.

    Raises:
        ValueError: ``padding`` is not one, two or four ints, the mode is not known, or ``size`` is
            larger than the image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomCrop(4)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 4, 4])
    """

    _v1_transform_cls = _first.RandomCrop

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        super().__init__()
        self.size = two_sizes(size, "RandomCrop")
        if pad_if_needed or padding is not None:
            check_padding(padding or 0, padding_mode)
        left, top, right, bottom = sides(padding or 0)
        self.padding = [left, right, top, bottom] if padding else None  # torchvision's order
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self._fill = fills(fill)
        self.padding_mode = padding_mode

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        left, right, top, bottom = self.padding or [0, 0, 0, 0]
        more = [self.size[0] - height - top - bottom, self.size[1] - width - left - right]
        if self.pad_if_needed:
            top, bottom = (side + max(more[0], 0) for side in (top, bottom))
            left, right = (side + max(more[1], 0) for side in (left, right))
        height, width = height + top + bottom, width + left + right
        if height < self.size[0] or width < self.size[1]:
            raise ValueError(
                f"Required crop size {tuple(self.size)} is larger than "
                f"{'padded ' if self.padding is not None else ''}input image size "
                f"{(height, width)}."
            )
        over = height - self.size[0], width - self.size[1]
        start = [below(room + 1) if room else 0 for room in over]
        return {
            "needs_crop": any(over), "top": start[0], "left": start[1], "height": self.size[0],
            "width": self.size[1], "needs_pad": any((left, top, right, bottom)),
            "padding": [left, top, right, bottom],
        }  # fmt: skip

    def transform(self, inpt, params):
        if params["needs_pad"]:
            inpt = self._call_kernel(
                F.pad, inpt, padding=params["padding"], fill=fill_of(self._fill, inpt),
                padding_mode=self.padding_mode,
            )  # fmt: skip
        if params["needs_crop"]:
            place = {name: params[name] for name in ("top", "left", "height", "width")}
            inpt = self._call_kernel(F.crop, inpt, **place)
        return inpt


class RandomIoUCrop(Transform):
    """Cuts out a random part that overlaps one of the boxes by a drawn share.

    Args:
        min_scale, max_scale: Range of the part's sides, as shares of the image's. Default: 0.3
            and 1.
        min_aspect_ratio, max_aspect_ratio: Range of the part's width divided by its height.
            Default: 0.5 and 2.
        sampler_options: The overlaps that are drawn from; 1 and more changes nothing. Default:
            0, 0.1, 0.3, 0.5, 0.7, 0.9 and 1.
        trials: Number of parts that are drawn for one overlap. Default: 40.

    Raises:
        TypeError: The sample has no image or no boxes.

    Source: Liu et al. 2015, https://arxiv.org/abs/1512.02325

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([0, 0, 4, 4], format="XYXY", canvas_size=(8, 8))
    >>> image, boxes = v2.RandomIoUCrop(sampler_options=[1.0])(torch.zeros(3, 8, 8), boxes)
    >>> image.shape
    torch.Size([3, 8, 8])
    """

    def __init__(
        self, min_scale=0.3, max_scale=1.0, min_aspect_ratio=0.5, max_aspect_ratio=2.0,
        sampler_options=None, trials=40,
    ):  # fmt: skip
        super().__init__()
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.options = sampler_options or [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
        self.trials = trials

    def check_inputs(self, flat_inputs):
        images = is_pil, tv_tensors.Image, is_pure_tensor
        if not has_all(flat_inputs, tv_tensors.BoundingBoxes) or not has_any(flat_inputs, *images):
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images "
                "and bounding boxes. Sample can also contain masks."
            )

    def make_params(self, flat_inputs):
        size, boxes = query_size(flat_inputs), get_bounding_boxes(flat_inputs)
        boxes = converted(boxes.as_subclass(Tensor), boxes.format, XYXY)
        while True:
            overlap = self.options[below(len(self.options))]
            if overlap >= 1.0:
                return {}
            for _ in range(self.trials):
                found = self._part(size, boxes, overlap)
                if found is not None:
                    return found

    def _part(self, size, boxes, overlap):
        """Draw a part; None if it does not fit."""
        height, width = size
        scale = self.min_scale + (self.max_scale - self.min_scale) * torch.rand(2)
        w, h = int(width * scale[0]), int(height * scale[1])
        if not self.min_aspect_ratio <= w / h <= self.max_aspect_ratio:
            return None
        place = torch.rand(2)
        left, top = int((width - w) * place[0]), int((height - h) * place[1])
        if not w or not h:
            return None
        x, y = 0.5 * (boxes[:, 0] + boxes[:, 2]), 0.5 * (boxes[:, 1] + boxes[:, 3])
        inside = (left < x) & (x < left + w) & (top < y) & (y < top + h)
        part = torch.tensor([[left, top, left + w, top + h]], dtype=boxes.dtype)
        if not inside.any() or box_iou(boxes[inside], part).max() < overlap:
            return None
        return {"top": top, "left": left, "height": h, "width": w, "is_within_crop_area": inside}

    def transform(self, inpt, params):
        if not params:
            return inpt
        place = {name: params[name] for name in ("top", "left", "height", "width")}
        found = self._call_kernel(F.crop, inpt, **place)
        if isinstance(found, tv_tensors.BoundingBoxes):
            found[~params["is_within_crop_area"]] = 0  # for ``SanitizeBoundingBoxes`` to drop
        return found
