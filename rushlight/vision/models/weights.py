"""Trained weights: where torchvision publishes them, and what belongs to them.

``weights.json`` has a line for each file, ``imagenet.txt`` the names of the 1,000 classes.
"""

import functools
import hashlib
import json
import os
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any

import rushlight as torch
from rushlight.vision.transforms.functional import InterpolationMode
from rushlight.vision.transforms.presets import ImageClassification

__all__ = ["Weights", "WeightsEnum", "weights_enum"]

ABSENT = (
    "{name}: the trained weights are not on this machine, and rushlight downloads nothing. Put\n"
    "    {url}\n"
    "at {path}, or build the model without weights and load a file of your own:\n"
    "    model.load_state_dict(torch.load('file.pth'))"
)


@dataclass
class Weights:
    """Where trained weights are, how an image is prepared for them, and facts about them.

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
        """The member that ``obj`` is or names; None for None.

        Raises:
            TypeError: it is another model's.
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

    def get_state_dict(self, progress=True, check_hash=False, model_dir=None, **options):
        """The weights, from PyTorch's folder for them; nothing is downloaded.

        ``options`` are those of ``torch.load``.

        Raises:
            FileNotFoundError: the file is not there.
            RuntimeError: with ``check_hash``, the file is not the one that was published.
        """
        path = (Path(model_dir) if model_dir else _checkpoints()) / self.url.rpartition("/")[2]
        if not path.is_file():
            raise FileNotFoundError(ABSENT.format(name=self, url=self.url, path=path))
        if check_hash:
            _check_hash(path)
        return torch.load(path, **options)

    @property
    def url(self):
        """Where the file is published."""
        return self.value.url

    @property
    def transforms(self):
        """Makes the transform that prepares an image for the model."""
        return self.value.transforms

    @property
    def meta(self):
        """Facts: ``categories``, ``num_params``, ``min_size``, ``recipe``, …"""
        return self.value.meta

    def __repr__(self):
        return f"{type(self).__name__}.{self.name}"

    def __reduce_ex__(self, protocol):
        return getattr, (type(self), self.name)


def weights_enum(name, module):
    """The ``WeightsEnum`` of this name, made from the table, as a class of ``module``."""
    members = {}
    for member, entry in _table()[name].items():
        options = dict(entry["transforms"])
        if "interpolation" in options:
            options["interpolation"] = InterpolationMode(options["interpolation"])
        meta = {"categories": _categories(), **entry["meta"]}
        if "min_size" in meta:
            meta["min_size"] = tuple(meta["min_size"])
        transforms = functools.partial(ImageClassification, **options)
        members[member] = Weights(entry["url"], transforms, meta)
        if entry["default"]:
            default = members[member]
    make: Any = WeightsEnum
    return make(name, {**members, "DEFAULT": default}, module=module)


@functools.cache
def _table():
    return json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))


@functools.cache
def _categories():
    return files(__package__).joinpath("imagenet.txt").read_text(encoding="utf-8").splitlines()


def _checkpoints():
    """Where PyTorch keeps the weights that it has downloaded."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def _check_hash(path):
    """The name of a published file ends in the beginning of its SHA-256."""
    expected = path.stem.rpartition("-")[2]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(expected):
        raise RuntimeError(f"{path}: expected a SHA-256 that begins with {expected}, got {found}")
