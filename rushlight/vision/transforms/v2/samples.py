"""What a sample holds: its images, boxes, points, labels, and their size."""

from collections.abc import Mapping

from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.images import is_pil
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.functional import is_pure_tensor

__all__ = [
    "check_type", "find_labels", "get_bounding_boxes", "get_keypoints", "has_all", "has_any",
    "query_chw", "query_size",
]  # fmt: skip

_IMAGES = (is_pure_tensor, is_pil, tv_tensors.Image, tv_tensors.Video)
_SIZED = (*_IMAGES, tv_tensors.Mask, tv_tensors.BoundingBoxes, tv_tensors.KeyPoints)


def check_type(obj, types_or_checks):
    """Tell whether an object is of one of some classes, or passes one of some checks.

    Args:
        obj: Anything.
        types_or_checks: Sequence of classes, and of functions that return True or False.

    Returns:
        True or False.

    >>> from rushlight.vision.transforms.v2 import check_type
    >>> check_type(3, (str, lambda x: x == 3))
    True
    """
    return any(
        isinstance(obj, check) if isinstance(check, type) else check(obj)
        for check in types_or_checks
    )


def has_any(flat_inputs, *types_or_checks):
    """Tell whether one of the inputs is of one of the classes, or passes one of the checks.

    Args:
        flat_inputs: Sequence of inputs.
        types_or_checks: Classes, and functions that return True or False.

    Returns:
        True or False.

    >>> from rushlight.vision.transforms.v2 import has_any
    >>> has_any([1, "a"], str, float)
    True
    """
    return any(check_type(inpt, types_or_checks) for inpt in flat_inputs)


def has_all(flat_inputs, *types_or_checks):
    """Tell whether each of the classes and checks fits one of the inputs.

    Args:
        flat_inputs: Sequence of inputs.
        types_or_checks: Classes, and functions that return True or False.

    Returns:
        True or False.

    >>> from rushlight.vision.transforms.v2 import has_all
    >>> has_all([1, "a"], str, float)
    False
    """
    return all(has_any(flat_inputs, check) for check in types_or_checks)


def _first(flat_inputs, kind, name):
    for inpt in flat_inputs:
        if isinstance(inpt, kind):
            return inpt
    raise ValueError(f"No {name} were found in the sample")


def get_bounding_boxes(flat_inputs):
    """Return the first boxes among the inputs.

    Args:
        flat_inputs: Sequence of inputs.

    Returns:
        ``tv_tensors.BoundingBoxes``.

    Raises:
        ValueError: There are none.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms.v2 import get_bounding_boxes
    >>> boxes = tv_tensors.BoundingBoxes([0, 0, 4, 2], format="XYXY", canvas_size=(8, 8))
    >>> get_bounding_boxes([1, boxes]) is boxes
    True
    """
    return _first(flat_inputs, tv_tensors.BoundingBoxes, "bounding boxes")


def get_keypoints(flat_inputs):
    """Return the first points among the inputs.

    Args:
        flat_inputs: Sequence of inputs.

    Returns:
        ``tv_tensors.KeyPoints``.

    Raises:
        ValueError: There are none.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms.v2 import get_keypoints
    >>> get_keypoints([1, tv_tensors.KeyPoints([1, 2], canvas_size=(8, 8))])
    KeyPoints([[1, 2]], canvas_size=(8, 8))
    """
    return _first(flat_inputs, tv_tensors.KeyPoints, "keypoints")


def _one(found, what, shape):
    if not found:
        raise TypeError(f"No {what} was found in the sample")
    if len(found) > 1:
        raise ValueError(f"Found multiple {shape} dimensions in the sample: {sorted(found)}")
    return found.pop()


def query_chw(flat_inputs):
    """Return the number of channels and the size, which all images and videos must share.

    Args:
        flat_inputs: Sequence of inputs.

    Returns:
        Tuple (channels, height, width).

    Raises:
        TypeError: There is no image and no video.
        ValueError: They differ.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import query_chw
    >>> query_chw([torch.zeros(3, 4, 8)])
    (3, 4, 8)
    """
    found = {tuple(F.get_dimensions(inpt)) for inpt in flat_inputs if check_type(inpt, _IMAGES)}
    return _one(found, "image or video", "CxHxW")


def query_size(flat_inputs):
    """Return the size, which all images, videos, masks, boxes and points must share.

    Args:
        flat_inputs: Sequence of inputs.

    Returns:
        Tuple (height, width).

    Raises:
        TypeError: There is nothing with a size.
        ValueError: The sizes differ.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import query_size
    >>> query_size([torch.zeros(3, 4, 8)])
    (4, 8)
    """
    found = {tuple(F.get_size(inpt)) for inpt in flat_inputs if check_type(inpt, _SIZED)}
    return _one(found, "image, video, mask, bounding box of keypoint", "HxW")


def _guess_labels(inputs):
    """The labels of a sample: its second part, or what has "label" in its key."""
    if isinstance(inputs, (tuple, list)):
        inputs = inputs[1]
    if is_pure_tensor(inputs):
        return inputs
    if not isinstance(inputs, Mapping):
        raise ValueError(
            "When using the default labels_getter, the input must be a dictionary or a two-tuple "
            f"whose second item is a dictionary or a tensor, but got {inputs} instead."
        )
    keys = [key for key in inputs if key.lower() == "labels"]
    keys += [key for key in inputs if "label" in key.lower()]
    if not keys:
        raise ValueError("Could not infer where the labels are in the sample: give labels_getter.")
    return inputs[keys[0]]


def find_labels(labels_getter):
    """The function that finds the labels of a sample; None stands for no labels.

    Raises:
        ValueError: ``labels_getter`` is neither a function nor ``"default"`` nor None.
    """
    if labels_getter == "default":
        return _guess_labels
    if callable(labels_getter):
        return labels_getter
    if labels_getter is None:
        return lambda _: None
    raise ValueError(
        f"labels_getter should either be 'default', a callable, or None, but got {labels_getter}."
    )


def labels_of(inputs, getter, count, name):
    """The labels of a sample as a tuple of tensors with ``count`` elements each, or None.

    Raises:
        ValueError: They are no tensors, or have another length.
    """
    labels = getter(inputs)
    if labels is None:
        return None
    labels = labels if isinstance(labels, (tuple, list)) else (labels,)
    for label in labels:
        if not isinstance(label, Tensor):
            raise ValueError(f"The labels must be a tensor or None, got {type(label)} instead.")
        if len(label) != count:
            raise ValueError(
                f"There are {count} {name} and labels of shape {tuple(label.shape)}: "
                "their numbers must be equal"
            )
    return tuple(labels)
