"""Transforms of boxes and points alone."""

from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import tv_tensors
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.functional.boxes import valid_boxes, valid_points
from rushlight.vision.transforms.v2.samples import (
    find_labels,
    get_bounding_boxes,
    get_keypoints,
    labels_of,
)
from rushlight.vision.transforms.v2.transform import Transform

__all__ = [
    "ClampBoundingBoxes", "ClampKeyPoints", "ConvertBoundingBoxFormat", "SanitizeBoundingBoxes",
    "SanitizeKeyPoints", "SetClampingMode",
]  # fmt: skip


class ConvertBoundingBoxFormat(Transform):
    """Converts boxes to another format.

    Args:
        format: A ``tv_tensors.BoundingBoxFormat``, or its name.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([1, 2, 4, 8], format="XYXY", canvas_size=(8, 8))
    >>> v2.ConvertBoundingBoxFormat("XYWH")(boxes).tolist()
    [[1, 2, 3, 6]]
    """

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, format):
        super().__init__()
        self.format = format

    def transform(self, inpt, params):
        return F.convert_bounding_box_format(inpt, new_format=self.format)


class ClampBoundingBoxes(Transform):
    """Cuts boxes at the borders of the image.

    Args:
        clamping_mode: ``"soft"`` or ``"hard"``, which differ for rotated boxes, None (not at all),
            or ``"auto"`` (default): that of the boxes.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([-1, 2, 9, 8], format="XYXY", canvas_size=(8, 8))
    >>> v2.ClampBoundingBoxes()(boxes).tolist()
    [[0, 2, 8, 8]]
    """

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, clamping_mode="auto"):
        super().__init__()
        self.clamping_mode = clamping_mode

    def transform(self, inpt, params):
        return F.clamp_bounding_boxes(inpt, clamping_mode=self.clamping_mode)


class ClampKeyPoints(Transform):
    """Moves points outside the image to its border.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> v2.ClampKeyPoints()(tv_tensors.KeyPoints([-1, 9], canvas_size=(8, 8))).tolist()
    [[0, 7]]
    """

    _transformed_types = (tv_tensors.KeyPoints,)

    def transform(self, inpt, params):
        return F.clamp_keypoints(inpt)


class SetClampingMode(Transform):
    """Sets how boxes are cut at the borders from here on.

    Args:
        clamping_mode: ``"soft"``, ``"hard"`` or None.

    Raises:
        ValueError: The mode is not known.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([1, 2, 4, 8], format="XYXY", canvas_size=(8, 8))
    >>> v2.SetClampingMode("hard")(boxes).clamping_mode
    'hard'
    """

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, clamping_mode):
        super().__init__()
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be soft, hard or None, got {clamping_mode}")
        self.clamping_mode = clamping_mode

    def transform(self, inpt, params):
        found = inpt.clone()
        found.clamping_mode = self.clamping_mode
        return found


class _Sanitize(Transform):
    """Drops boxes or points that ``valid`` refuses, and their labels."""

    def __init__(self, labels_getter):
        super().__init__()
        self.labels_getter = labels_getter
        self._labels_getter = find_labels(labels_getter)

    def _dropped(self, inputs, get, valid, name):
        whole = inputs if len(inputs) > 1 else inputs[0]
        flat, spec = tree_flatten(whole)
        places = get(flat)
        labels = labels_of(whole, self._labels_getter, places.shape[0], name)
        params = {"valid": valid(places), "labels": labels}
        return tree_unflatten([self.transform(inpt, params) for inpt in flat], spec)

    def _selected(self, inpt, params, kinds):
        is_label = any(inpt is label for label in params["labels"] or ())
        if not is_label and not isinstance(inpt, kinds):
            return inpt
        if isinstance(inpt, tv_tensors.Mask) and len(inpt) != len(params["valid"]):
            return inpt  # a mask of the whole image, and not one for each box
        found = inpt.as_subclass(Tensor)[params["valid"]]
        return tv_tensors.wrap(found, like=inpt) if isinstance(inpt, kinds) else found


class SanitizeBoundingBoxes(_Sanitize):
    """Drops boxes that are too small or reach beyond the image, with their labels and masks.

    Args:
        min_size: The least width and height. Default: 1.
        min_area: The least area. Default: 1.
        labels_getter: Function that finds the labels in the sample, ``"default"`` (the second part
            of a tuple, or the key with "label" in it) or None, no labels.

    Raises:
        ValueError: ``min_size`` or ``min_area`` is less than 1, or there are no boxes, or another
            number of labels.

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> boxes = [[0, 0, 2, 2], [3, 3, 3, 5]]
    >>> boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(8, 8))
    >>> sample = {"boxes": boxes, "labels": torch.tensor([4, 5])}
    >>> v2.SanitizeBoundingBoxes()(sample)["labels"]
    tensor([4])
    """

    def __init__(self, min_size=1.0, min_area=1.0, labels_getter="default"):
        super().__init__(labels_getter)
        for name, value in (("min_size", min_size), ("min_area", min_area)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}.")
        self.min_size = min_size
        self.min_area = min_area

    def forward(self, *inputs):
        def valid(boxes):
            plain, limits = boxes.as_subclass(Tensor), (self.min_size, self.min_area)
            return valid_boxes(plain, boxes.format, boxes.canvas_size, *limits)

        return self._dropped(inputs, get_bounding_boxes, valid, "boxes")

    def transform(self, inpt, params):
        return self._selected(inpt, params, (tv_tensors.BoundingBoxes, tv_tensors.Mask))


class SanitizeKeyPoints(_Sanitize):
    """Drops points outside the image, with their labels.

    Args:
        labels_getter: Function that finds the labels in the sample, ``"default"`` (the second part
            of a tuple, or the key with "label" in it) or None (default), no labels.

    Raises:
        ValueError: There are no points, or another number of labels.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> points = tv_tensors.KeyPoints([[1, 1], [9, 1]], canvas_size=(8, 8))
    >>> v2.SanitizeKeyPoints()(points).tolist()
    [[1, 1]]
    """

    def __init__(self, labels_getter=None):
        super().__init__(labels_getter)

    def forward(self, *inputs):
        def valid(points):
            return valid_points(points.as_subclass(Tensor), points.canvas_size)

        return self._dropped(inputs, get_keypoints, valid, "points")

    def transform(self, inpt, params):
        return self._selected(inpt, params, tv_tensors.KeyPoints)
