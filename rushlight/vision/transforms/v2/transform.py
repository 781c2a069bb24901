"""The base class of transforms of whole samples."""

from enum import Enum
from typing import Any

from rushlight import nn
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import tv_tensors
from rushlight.vision.images import is_pil
from rushlight.vision.transforms.draws import happens
from rushlight.vision.transforms.v2.functional import is_pure_tensor
from rushlight.vision.transforms.v2.functional.registry import get_kernel
from rushlight.vision.transforms.v2.samples import check_type, has_any

__all__ = ["RandomApplyTransform", "Transform", "fill_of", "fills"]


class Transform(nn.Module):
    """The base class: changes the images, masks, boxes … of a sample, and passes on the rest.

    A sample is any nesting of lists, tuples and dicts. A subclass defines ``transform``, and may
    define ``make_params`` and ``check_inputs``. Where a sample has no image of another class, its
    first plain tensor is the image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> class Double(v2.Transform):
    ...     def transform(self, inpt, params):
    ...         return inpt * 2
    >>> Double()({"image": torch.ones(1, 1, 1), "id": 3})
    {'image': tensor([[[2.]]]), 'id': 3}
    """

    #: Classes, and functions that return True, of what ``transform`` gets.
    _transformed_types: tuple = (Tensor, is_pil)
    #: The transform of ``transforms`` whose ``get_params`` this one shares.
    _v1_transform_cls: Any = None

    def __init_subclass__(cls):
        super().__init_subclass__()
        if hasattr(cls._v1_transform_cls, "get_params"):
            vars_of: Any = cls
            vars_of.get_params = staticmethod(cls._v1_transform_cls.get_params)

    def check_inputs(self, flat_inputs):
        """Raise an error where the transform does not work for these inputs."""

    def make_params(self, flat_inputs):
        """Draw what all inputs of a sample share, as a dict for ``transform``."""
        return {}

    def transform(self, inpt, params):
        """Change one input."""
        raise NotImplementedError(f"{type(self).__name__} defines no transform")

    def _call_kernel(self, functional, inpt, *args, **kwargs):
        return get_kernel(functional, type(inpt), allow_passthrough=True)(inpt, *args, **kwargs)

    def forward(self, *inputs):
        flat, spec = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        self.check_inputs(flat)
        return tree_unflatten(self._changed(flat), spec)

    def _changed(self, flat):
        needed = self._needs_transform_list(flat)
        pairs = list(zip(flat, needed, strict=True))
        params = self.make_params([inpt for inpt, needs in pairs if needs])
        return [self.transform(inpt, params) if needs else inpt for inpt, needs in pairs]

    def _needs_transform_list(self, flat_inputs):
        plain = not has_any(flat_inputs, tv_tensors.Image, tv_tensors.Video, is_pil)
        needed = []
        for inpt in flat_inputs:
            needs = check_type(inpt, self._transformed_types)
            if needs and is_pure_tensor(inpt):
                needs, plain = plain, False  # only the first plain tensor is an image
            needed.append(needs)
        return needed

    def extra_repr(self):
        kinds = (bool, int, float, str, tuple, list, Enum)
        shown = [
            f"{name}={value}"
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "training" and isinstance(value, kinds)
        ]
        return ", ".join(shown)


class RandomApplyTransform(Transform):
    """The base class of transforms that happen with probability ``p``."""

    def __init__(self, p=0.5):
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        super().__init__()
        self.p = p

    def forward(self, *inputs):
        whole = inputs if len(inputs) > 1 else inputs[0]
        flat, spec = tree_flatten(whole)
        self.check_inputs(flat)
        return tree_unflatten(self._changed(flat), spec) if happens(self.p) else whole


def fills(fill):
    """The fill for each class of input: ``fill`` itself is for all if it is no dict.

    Raises:
        TypeError: ``fill`` is neither a number nor a sequence nor None.
    """
    if isinstance(fill, dict):
        return {kind: fills(value)["others"] for kind, value in fill.items()}
    if fill is None or isinstance(fill, (int, float)):
        return {"others": fill}
    if not isinstance(fill, (tuple, list)):
        raise TypeError(f"fill must be a number, a sequence, a dict or None, got {type(fill)}")
    return {"others": [float(value) for value in fill]}


def fill_of(table, inpt):
    """The fill for an input, of ``fills``."""
    return table.get(type(inpt), table.get("others"))
