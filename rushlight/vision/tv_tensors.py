"""Tensors that say what they are: an image, a video, a mask, boxes or key points.

``transforms.v2`` chooses the computation by these classes. An operation on such a tensor gives an
ordinary tensor, so that nothing is taken for an image that is no image; ``wrap`` and
``set_return_type`` give the class back.
"""

import inspect
from enum import Enum
from typing import Any

import rushlight as torch
from rushlight.autograd.mode import classes_unasked
from rushlight.docstrings import complete
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten
from rushlight.vision.images import is_pil
from rushlight.vision.transforms.functional import pil_to_tensor

__all__ = [
    "BoundingBoxFormat", "BoundingBoxes", "Image", "KeyPoints", "Mask", "TVTensor", "Video",
    "is_rotated_bounding_format", "set_return_type", "wrap",
]  # fmt: skip

#: Operations that keep the class whatever ``set_return_type`` says: their result is the same thing.
_KEEP = frozenset({
    Tensor.clone, Tensor.to, Tensor.detach, Tensor.requires_grad_, Tensor.pin_memory,
})  # fmt: skip
_returns_class = False


class _ReturnType:
    """Restores the earlier return type at the end of a ``with`` block."""

    def __init__(self, earlier):
        self.earlier = earlier

    def __enter__(self):
        return self

    def __exit__(self, *args):
        global _returns_class
        _returns_class = self.earlier


def set_return_type(return_type):
    """Choose whether operations on these tensors give ordinary tensors or keep the class.

    Args:
        return_type: ``"Tensor"``, as at the start, or ``"TVTensor"``.

    Returns:
        A context manager: used with ``with``, it restores the earlier choice at the end.

    Raises:
        ValueError: ``return_type`` is neither.

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> image = tv_tensors.Image(torch.zeros(3, 2, 2))
    >>> with tv_tensors.set_return_type("TVTensor"):
    ...     print(type(image + 1).__name__)
    Image
    """
    global _returns_class
    earlier = _returns_class
    names = {"tensor": False, "tvtensor": True}
    if return_type.lower() not in names:
        raise ValueError(f"return_type must be 'TVTensor' or 'Tensor', got {return_type}")
    _returns_class = names[return_type.lower()]
    return _ReturnType(earlier)


def wrap(wrappee, *, like, **kwargs):
    """Give a tensor the class of another, and what that one says about itself.

    Args:
        wrappee: Tensor.
        like: Tensor of one of this module's classes.
        kwargs: ``format``, ``canvas_size`` and ``clamping_mode`` that differ from those of
            ``like``, where its class has them.

    Returns:
        Tensor of ``like``'s class, over the memory of ``wrappee``.

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> points = tv_tensors.KeyPoints([[1.0, 2.0]], canvas_size=(8, 8))
    >>> tv_tensors.wrap(points + 1, like=points)
    KeyPoints([[2., 3.]], canvas_size=(8, 8))
    """
    kind = type(like)
    if hasattr(kind, "wrap"):
        return kind.wrap(wrappee, like, **kwargs)
    return wrappee.as_subclass(kind)


class TVTensor(Tensor):
    """The base class of the tensors that say what they are.

    >>> from rushlight.vision import tv_tensors
    >>> issubclass(tv_tensors.Mask, tv_tensors.TVTensor)
    True
    """

    @staticmethod
    def _to_tensor(data, dtype=None, device=None, requires_grad=None):
        if requires_grad is None:
            requires_grad = data.requires_grad if isinstance(data, Tensor) else False
        return torch.as_tensor(data, dtype=dtype, device=device).requires_grad_(requires_grad)

    @classmethod
    def _wrap_output(cls, output, args=(), kwargs=None):
        if isinstance(output, Tensor) and not isinstance(output, cls):
            return output.as_subclass(cls)
        if isinstance(output, (tuple, list)):
            return type(output)(cls._wrap_output(part, args, kwargs) for part in output)
        return output

    @classmethod
    def wrap(cls, tensor, like, **kwargs):
        """Give ``tensor`` this class.

        Args:
            tensor: Tensor.
            like: Tensor of this class, whose properties are kept.
            kwargs: Properties that differ from ``like``'s.
        """
        return tensor.as_subclass(cls)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if not all(issubclass(cls, kind) for kind in types):
            return NotImplemented
        with classes_unasked():
            output = func(*args, **(kwargs or {}))
            if isinstance(output, cls) and output is not args[0]:
                # A copy has the class, but not what the tensor says about itself.
                output = output.as_subclass(Tensor)
        if _returns_class or (func in _KEEP and isinstance(args[0], cls)):
            return cls._wrap_output(output, args, kwargs)
        # An in-place operation returns its tensor itself, whose class would go on otherwise.
        return output.as_subclass(Tensor) if isinstance(output, cls) else output

    def _make_repr(self, **shown):
        entries = ", ".join(f"{name}={value}" for name, value in shown.items())
        return f"{super().__repr__()[:-1]}, {entries})"

    @property
    def shape(self):
        """The size of each dim, read without ``__torch_function__``, which takes longer."""
        with classes_unasked():
            return super().shape

    @property
    def ndim(self):
        """The number of dims."""
        with classes_unasked():
            return super().ndim

    @property
    def device(self):
        """Where the elements are."""
        with classes_unasked():
            return super().device

    @property
    def dtype(self):
        """The type of the elements."""
        with classes_unasked():
            return super().dtype

    def __deepcopy__(self, memo):
        # The class's own ``detach`` and ``clone`` keep what the tensor says about itself.
        return self.detach().clone().requires_grad_(self.requires_grad)


class Image(TVTensor):
    """An image.

    Shape: (..., C, H, W); (H, W) becomes (1, H, W).

    Args:
        data: Pillow image, tensor, or anything that ``torch.as_tensor`` takes.

    Raises:
        ValueError: ``data`` has fewer than two dims.

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.Image(torch.zeros(2, 2)).shape
    torch.Size([1, 2, 2])
    """

    def __new__(cls, data, *, dtype=None, device=None, requires_grad=None):
        data = pil_to_tensor(data) if is_pil(data) else data
        found = cls._to_tensor(data, dtype, device, requires_grad)
        if found.ndim < 2:
            raise ValueError(f"Image: a tensor needs two dims or more, got {found.ndim}")
        return (found.unsqueeze(0) if found.ndim == 2 else found).as_subclass(cls)

    def __repr__(self, *, tensor_contents=None):
        return self._make_repr()


class Video(TVTensor):
    """A video.

    Shape: (..., T, C, H, W), T frames.

    Args:
        data: Tensor, or anything that ``torch.as_tensor`` takes.

    Raises:
        ValueError: ``data`` has fewer than four dims.

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.Video(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([5, 3, 2, 2])
    """

    def __new__(cls, data, *, dtype=None, device=None, requires_grad=None):
        found = cls._to_tensor(data, dtype, device, requires_grad)
        if found.ndim < 4:
            raise ValueError(f"Video: a tensor needs four dims or more, got {found.ndim}")
        return found.as_subclass(cls)

    def __repr__(self, *, tensor_contents=None):
        return self._make_repr()


class Mask(TVTensor):
    """Masks of segmentation or of detection.

    Shape: (..., H, W).

    Args:
        data: Pillow image, tensor, or anything that ``torch.as_tensor`` takes.

    >>> import rushlight as torch
    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.Mask(torch.zeros(4, 2, 2, dtype=torch.bool)).shape
    torch.Size([4, 2, 2])
    """

    def __new__(cls, data, *, dtype=None, device=None, requires_grad=None):
        data = pil_to_tensor(data) if is_pil(data) else data
        return cls._to_tensor(data, dtype, device, requires_grad).as_subclass(cls)


class BoundingBoxFormat(Enum):
    """What the numbers of a box are.

    X and Y are a corner, CX and CY the centre, W and H the sizes, R an angle in degrees.

    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.BoundingBoxFormat("XYWH")
    <BoundingBoxFormat.XYWH: 'XYWH'>
    """

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


_ROTATED = ("XYWHR", "CXCYWHR", "XYXYXYXY")


def is_rotated_bounding_format(format):
    """Tell whether boxes of a format may be rotated.

    Args:
        format: A ``BoundingBoxFormat``, or its name.

    Returns:
        True or False.

    Raises:
        ValueError: ``format`` is neither.

    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.is_rotated_bounding_format("XYWHR")
    True
    """
    if isinstance(format, BoundingBoxFormat):
        return format.value in _ROTATED
    if isinstance(format, str):
        return format in _ROTATED
    raise ValueError(f"format should be str or BoundingBoxFormat, got {type(format)}")


class _Placed(TVTensor):
    """The base class of tensors with properties of their own: their places are on a canvas."""

    OWN: tuple[str, ...] = ()  # the names of the properties

    @staticmethod
    def _checked(tensor):
        """``tensor`` with all dims."""
        return tensor

    @classmethod
    def _wrap(cls, tensor, *, check_dims=True, **properties):
        tensor = cls._checked(tensor) if check_dims else tensor
        found: Any = tensor.as_subclass(cls)
        vars(found).update(properties)
        return found

    @classmethod
    def wrap(cls, tensor, like, **kwargs):
        """Give ``tensor`` this class, and ``like``'s properties where ``kwargs`` has no other."""
        return cls._wrap(
            tensor, **{name: kwargs.get(name, getattr(like, name)) for name in cls.OWN}
        )

    @classmethod
    def _wrap_output(cls, output, args=(), kwargs=None):
        flat, _ = tree_flatten([args, kwargs or {}])
        first = next(part for part in flat if isinstance(part, cls))
        properties = {name: getattr(first, name) for name in cls.OWN}
        if isinstance(output, Tensor) and not isinstance(output, cls):
            return cls._wrap(output, check_dims=False, **properties)
        if isinstance(output, (tuple, list)):
            return type(output)(cls._wrap(p, check_dims=False, **properties) for p in output)
        return output

    def __repr__(self, *, tensor_contents=None):
        return self._make_repr(**{name: getattr(self, name) for name in self.OWN})


class BoundingBoxes(_Placed):
    """Boxes in an image.

    Shape: (N, 4), or (N, 5) and (N, 8) for rotated boxes; one box may have one dim less.

    Args:
        data: Tensor, or anything that ``torch.as_tensor`` takes.
        format: A ``BoundingBoxFormat``, or its name.
        canvas_size: The image's (height, width), in pixels.
        clamping_mode: How rotated boxes are cut at the borders: ``"soft"`` (default), ``"hard"``,
            or None, not at all.

    Raises:
        ValueError: The shape, the format or the clamping mode is not allowed, or rotated boxes are
            integers.

    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.BoundingBoxes([0, 0, 4, 2], format="XYXY", canvas_size=(8, 8)).format.name
    'XYXY'
    """

    OWN = ("format", "canvas_size", "clamping_mode")

    def __new__(
        cls, data, *, format, canvas_size, clamping_mode="soft", dtype=None, device=None,
        requires_grad=None,
    ):  # fmt: skip
        found = cls._to_tensor(data, dtype, device, requires_grad)
        if not found.is_floating_point() and is_rotated_bounding_format(format):
            raise ValueError(
                f"Rotated bounding boxes should be floating point tensors, got {found.dtype}."
            )
        return cls._wrap(found, format=format, canvas_size=canvas_size, clamping_mode=clamping_mode)

    @classmethod
    def _wrap(cls, tensor, *, check_dims=True, clamping_mode="soft", **properties):
        if clamping_mode not in (None, "hard", "soft"):
            raise ValueError(f"clamping_mode must be None, hard or soft, got {clamping_mode}.")
        format = properties["format"]
        if isinstance(format, str):
            properties["format"] = BoundingBoxFormat[format.upper()]
        properties["clamping_mode"] = clamping_mode
        return super()._wrap(tensor, check_dims=check_dims, **properties)

    @staticmethod
    def _checked(tensor):
        if tensor.ndim not in (1, 2):
            raise ValueError(f"Expected a 1D or 2D tensor, got {tensor.ndim}D")
        return tensor.unsqueeze(0) if tensor.ndim == 1 else tensor


class KeyPoints(_Placed):
    """Points in an image.

    Shape: (..., 2), x and y in pixels; one point may have one dim.

    Args:
        data: Tensor, or anything that ``torch.as_tensor`` takes.
        canvas_size: The image's (height, width), in pixels.

    Raises:
        ValueError: The last dim does not have two elements.

    >>> from rushlight.vision import tv_tensors
    >>> tv_tensors.KeyPoints([1.0, 2.0], canvas_size=(8, 8))
    KeyPoints([[1., 2.]], canvas_size=(8, 8))
    """

    OWN = ("canvas_size",)

    def __new__(cls, data, *, canvas_size, dtype=None, device=None, requires_grad=None):
        found = cls._to_tensor(data, dtype, device, requires_grad)
        return cls._wrap(found, canvas_size=canvas_size)

    @staticmethod
    def _checked(tensor):
        if tensor.ndim == 1:
            return tensor.unsqueeze(0)
        if tensor.shape[-1] != 2:
            raise ValueError(f"Expected a tensor of shape (..., 2), not {tensor.shape}")
        return tensor


for _class in (BoundingBoxes, Image, KeyPoints, Mask, Video):
    _class.__doc__ = complete(
        str(_class.__doc__), tuple(inspect.signature(_class).parameters), "image tensor"
    )
