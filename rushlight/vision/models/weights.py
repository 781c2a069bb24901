"""Trained weights: where torchvision publishes them, and facts about them.

``weights.json`` has a line for each published file. ``imagenet.txt``, ``coco.txt``, ``voc.txt``
and ``kinetics.txt`` have the names of the classes.
"""

import functools
import json
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from typing import Any

from rushlight.hub import load_state_dict_from_url
from rushlight.vision.transforms.functional import InterpolationMode
from rushlight.vision.transforms.presets import ImageClassification

__all__ = ["Weights", "WeightsEnum", "weights_enum"]


@dataclass
class Weights:
    """Trained weights: where they are published, and how images are prepared for them.

    Args:
        url: The address of the file.
        transforms: Function that makes the transform.
        meta: Dict of facts, such as ``"num_params"`` and ``"categories"``.

    >>> from rushlight.vision.models import ResNet18_Weights
    >>> ResNet18_Weights.DEFAULT.value.url
    'https://download.pytorch.org/models/resnet18-f37072fd.pth'
    """

    url: str
    transforms: Any
    meta: dict[str, Any]


class WeightsEnum(Enum):
    """The weights that are published for a model: the members are ``Weights``.

    >>> from rushlight.vision.models import ResNet50_Weights
    >>> ResNet50_Weights.DEFAULT, ResNet50_Weights.DEFAULT.meta["categories"][0]
    (ResNet50_Weights.IMAGENET1K_V2, 'tench')
    """

    @classmethod
    def verify(cls, obj):
        """Return a member of this class, given by itself or by name.

        Args:
            obj: A member, its name, or None.

        Returns:
            The member, or None.

        Raises:
            TypeError: ``obj`` is of another type, such as another model's weights.
            KeyError: no member has this name.
        """
        if obj is None or isinstance(obj, cls):
            return obj
        if not isinstance(obj, str):
            raise TypeError(f"weights: expected {cls.__name__} or None, got {type(obj).__name__}")
        name = obj.removeprefix(cls.__name__ + ".")
        if name not in cls.__members__:
            raise KeyError(f"weights: {cls.__name__} has {', '.join(cls.__members__)}; got {obj!r}")
        return cls[name]

    def get_state_dict(self, *args, **options):
        """Load the weights from the folder in which PyTorch keeps downloaded files.

        Nothing is downloaded.

        Args:
            *args, **options: Arguments of ``torch.hub.load_state_dict_from_url`` after the URL.

        Returns:
            The state dict.

        Raises:
            RuntimeError: the file is missing.
        """
        return load_state_dict_from_url(self.url, *args, **options)

    @property
    def url(self):
        """Where the file is published."""
        return self.value.url

    @property
    def transforms(self):
        """A function that makes the transform that prepares an image for the model."""
        return self.value.transforms

    @property
    def meta(self):
        """Dict of facts: ``categories``, ``num_params``, ``min_size``, ``recipe`` and more."""
        return self.value.meta

    def __repr__(self):
        return f"{type(self).__name__}.{self.name}"

    def __reduce_ex__(self, protocol):
        return getattr, (type(self), self.name)


def weights_enum(name, module, preset=ImageClassification):
    """The ``WeightsEnum`` of this name, made from the table, as a class of ``module``.

    ``preset`` is the class of the transform that prepares an image.
    """
    members = {}
    for member, entry in _table()[name].items():
        options = dict(entry["transforms"])
        if "interpolation" in options:
            options["interpolation"] = InterpolationMode(options["interpolation"])
        classes = entry.get("categories", "imagenet")
        meta = {**({"categories": _categories(classes)} if classes else {}), **entry["meta"]}
        if "min_size" in meta:
            meta["min_size"] = tuple(meta["min_size"])
        transforms = functools.partial(preset, **options) if options else preset
        members[member] = Weights(entry["url"], transforms, meta)
        if entry["default"]:
            default = members[member]
    make: Any = WeightsEnum
    return make(name, {**members, "DEFAULT": default}, module=module)


@functools.cache
def _table():
    return json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))


@functools.cache
def _categories(name):
    """The names of the classes: of "imagenet", "coco", "voc" or "kinetics"."""
    return files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
