"""Caltech 101 and Caltech 256."""

import os

from rushlight.vision.datasets.utils import absent, verify_str_arg
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import pillow

__all__ = ["Caltech101", "Caltech256"]


class _Caltech(VisionDataset):
    """Images in a folder for each category, numbered from 1: ``index`` and the categories ``y``."""

    _FOLDER = _URL = ""

    def __init__(self, root, transform, target_transform):
        name = type(self).__name__
        super().__init__(
            os.path.join(root, name.lower()), transform=transform, target_transform=target_transform
        )
        folder = os.path.join(self.root, self._FOLDER)
        if not os.path.isdir(folder):
            raise absent(name, self.root, [self._FOLDER + "/{category}/*.jpg"], self._URL)
        self.categories = sorted(set(os.listdir(folder)) - {"BACKGROUND_Google"})
        self.index: list[int] = []
        self.y: list[int] = []
        for i, category in enumerate(self.categories):
            names = os.listdir(os.path.join(folder, category))
            count = sum(name.endswith(".jpg") for name in names)
            self.index.extend(range(1, count + 1))
            self.y.extend([i] * count)

    def _image(self, index, name):
        folder = os.path.join(self.root, self._FOLDER, self.categories[self.y[index]])
        return pillow().open(os.path.join(folder, name))

    def __len__(self):
        return len(self.index)


class Caltech101(_Caltech):
    """Photographs of 101 kinds of things, in ``root/caltech101/101_ObjectCategories``.

    A sample is a Pillow image and an int, the outline of the object, or both.

    Args:
        target_type: ``"category"`` (default), ``"annotation"`` (the outline, an array (2, N) from
            ``root/caltech101/Annotations``) or a list of both.
        download: Nothing is downloaded; accepted without effect. Default: False.

    Raises:
        RuntimeError: The folder is missing.
        ValueError: There is no such target type.

    Source: Fei-Fei et al. 2004, https://data.caltech.edu/records/mzrjq-6wc02

    >>> from rushlight.vision.datasets import Caltech101
    >>> Caltech101("none")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    RuntimeError: Caltech101: Dataset not found or corrupted, ...
    """

    _FOLDER, _URL = "101_ObjectCategories", "https://data.caltech.edu/records/mzrjq-6wc02"
    _OUTLINES = {
        "Faces": "Faces_2", "Faces_easy": "Faces_3", "Motorbikes": "Motorbikes_16",
        "airplanes": "Airplanes_Side_2",
    }  # fmt: skip

    def __init__(
        self, root, target_type="category", transform=None, target_transform=None, download=False
    ):
        types = [target_type] if isinstance(target_type, str) else target_type
        self.target_type = [
            verify_str_arg(kind, "target_type", ("category", "annotation")) for kind in types
        ]
        super().__init__(root, transform, target_transform)
        self.annotation_categories = [self._OUTLINES.get(name, name) for name in self.categories]

    def _target(self, kind, index):
        from scipy.io import loadmat

        if kind == "category":
            return self.y[index]
        folder = self.annotation_categories[self.y[index]]
        name = f"annotation_{self.index[index]:04d}.mat"
        return loadmat(os.path.join(self.root, "Annotations", folder, name))["obj_contour"]

    def __getitem__(self, index):
        targets = tuple(self._target(kind, index) for kind in self.target_type)
        image = self._image(index, f"image_{self.index[index]:04d}.jpg")
        return self._transformed(image, targets[0] if len(targets) == 1 else targets)

    def extra_repr(self):
        return f"Target type: {self.target_type}"


class Caltech256(_Caltech):
    """Photographs of 257 kinds of things, in ``root/caltech256/256_ObjectCategories``.

    A sample is a Pillow image and an int.

    Args:
        download: Nothing is downloaded; accepted without effect. Default: False.

    Raises:
        RuntimeError: The folder is missing.

    Source: Griffin et al. 2007, https://data.caltech.edu/records/nyy15-4j048

    >>> from rushlight.vision.datasets import Caltech256
    >>> Caltech256("none")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    RuntimeError: Caltech256: Dataset not found or corrupted, ...
    """

    _FOLDER, _URL = "256_ObjectCategories", "https://data.caltech.edu/records/nyy15-4j048"

    def __init__(self, root, transform=None, target_transform=None, download=False):
        super().__init__(root, transform, target_transform)

    def __getitem__(self, index):
        image = self._image(index, f"{self.y[index] + 1:03d}_{self.index[index]:04d}.jpg")
        return self._transformed(image, self.y[index])
