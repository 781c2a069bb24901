"""The Oxford-IIIT Pet data set."""

from pathlib import Path

from rushlight.vision.datasets.folder import pil_loader
from rushlight.vision.datasets.utils import (
    absent,
    download_and_extract_archive,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import pillow

__all__ = ["OxfordIIITPet"]

_URL = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"


class OxfordIIITPet(VisionDataset):
    """Photographs of 37 breeds of cats and dogs, in ``root/oxford-iiit-pet``.

    That folder holds ``images/{name}.jpg``, ``annotations/trainval.txt``, ``annotations/test.txt``
    and ``annotations/trimaps/{name}.png``. A sample is a Pillow image and the targets.

    Args:
        split: ``"trainval"`` (default) or ``"test"``.
        target_types: ``"category"`` (the breed, default), ``"binary-category"`` (0 for cats, 1 for
            dogs) or ``"segmentation"`` (an image: 1 for the animal, 2 for the background, 3 for the
            border), or a list of these.
        transforms: Function of an image and a target that returns both. Default: None.
        download: Unpack ``images.tar.gz`` and ``annotations.tar.gz`` in that folder, if they exist;
            nothing is downloaded. Default: False.

    Raises:
        RuntimeError: A folder is missing.
        ValueError: There is no such split or target type.

    Source: Parkhi et al. 2012, https://www.robots.ox.ac.uk/~vgg/data/pets/

    >>> from rushlight.vision.datasets import OxfordIIITPet
    >>> OxfordIIITPet("none", split="train")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: Unknown value 'train' for argument split. Valid values are {...}.
    """

    _RESOURCES = (
        (f"{_URL}images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        (f"{_URL}annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    )
    _VALID_TARGET_TYPES = ("category", "binary-category", "segmentation")

    def __init__(
        self, root, split="trainval", target_types="category", transforms=None, transform=None,
        target_transform=None, download=False,
    ):  # fmt: skip
        self._split = verify_str_arg(split, "split", ("trainval", "test"))
        types = [target_types] if isinstance(target_types, str) else target_types
        self._target_types = [
            verify_str_arg(kind, "target_types", self._VALID_TARGET_TYPES) for kind in types
        ]
        super().__init__(root, transforms, transform, target_transform)
        folder = Path(self.root, "oxford-iiit-pet")
        images, notes = folder / "images", folder / "annotations"
        if download and not (images.is_dir() and notes.is_dir()):
            for url, md5 in self._RESOURCES:
                download_and_extract_archive(url, str(folder), md5=md5)
        if not (images.is_dir() and notes.is_dir()):
            files = ["images/{name}.jpg", f"annotations/{split}.txt"]
            files += ["annotations/trimaps/{name}.png", "or, with download=True, the two archives"]
            raise absent("OxfordIIITPet", folder, files, _URL)
        lines = [line.split() for line in (notes / f"{split}.txt").read_text().splitlines()]
        names = [name for name, *_ in lines]
        self._labels = [int(label) - 1 for _, label, *_ in lines]
        self._bin_labels = [int(kind) - 1 for _, _, kind, _ in lines]
        breeds = {
            label: name.rpartition("_")[0] for name, label in zip(names, self._labels, strict=True)
        }
        self.classes = [
            " ".join(part.title() for part in breeds[label].split("_")) for label in sorted(breeds)
        ]
        self.bin_classes = ["Cat", "Dog"]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.bin_class_to_idx = {"Cat": 0, "Dog": 1}
        self._images = [images / f"{name}.jpg" for name in names]
        self._segs = [notes / "trimaps" / f"{name}.png" for name in names]

    def _target(self, kind, index):
        if kind == "segmentation":
            return pillow().open(self._segs[index])
        return (self._labels if kind == "category" else self._bin_labels)[index]

    def __getitem__(self, index):
        targets = tuple(self._target(kind, index) for kind in self._target_types)
        target = targets[0] if len(targets) == 1 else targets or None
        return self._transformed_together(pil_loader(self._images[index]), target)

    def __len__(self):
        return len(self._images)
